package vault

import (
	"reflect"
	"testing"
	"time"

	"pgvault/vault/archive"
)

// TestResealOfImport: an archive that was made of a dump from elsewhere stays
// one when it is encrypted anew: its date, its original and that it was imported are
// those of before, so that its original is not imported again; and the new keys
// restore it.
func TestResealOfImport(t *testing.T) {
	w := newWorld(t)
	create(t, "reseal_imp", "")
	sql(t, "reseal_imp", "CREATE TABLE a AS SELECT i, md5(i::text) AS v FROM generate_series(1, 500) i", "CREATE TABLE b AS SELECT 7 AS x", "SELECT lo_from_bytea(4711, 'hello')")
	dump := w.importDump("reseal_imp", "old.dump", "-Fc")
	o := ImportOptions{Paths: []string{dump}, Database: "reseal imp", At: importDay}
	w.importOne(o).ok(t)
	was := w.list()[0]
	if err := archive.WriteNewIdentity(w.path("new")); err != nil {
		t.Fatal(err)
	}
	w.write("recipients", "# in the safe\n"+w.read("safe.pub")+"# new\n"+w.read("new.pub"))
	_, before, err := w.vault().Show(t.Context(), was.ID, w.ids)
	if err != nil {
		t.Fatal(err)
	}
	w.reseal(ResealOptions{IDs: []string{was.ID}}).ok(t)
	made, after, err := w.vault().Show(t.Context(), "latest:reseal imp", w.withKey("new"))
	if err != nil {
		t.Fatal(err)
	}
	if made.ID == was.ID || made.ResealedFrom != was.ID || made.Imported == nil || !made.Imported.Equal(*was.Imported) || !made.Started.Equal(importDay) || made.mark == "" || made.mark != was.mark {
		t.Errorf("made %+v\nof %+v", made, was)
	}
	if after.ID != made.ID || after.Original == nil || !reflect.DeepEqual(after.Original, before.Original) || !reflect.DeepEqual(after.Tables, before.Tables) || !reflect.DeepEqual(after.Warnings, before.Warnings) {
		t.Errorf("contents %+v\nof %+v", after, before)
	}
	if _, _, err := w.vault().Show(t.Context(), made.ID, w.ids); err == nil {
		t.Error("a key that was retired opens it")
	}
	// The original is known by either of the two, also when the old one is gone.
	if f := w.planImport(o).Files[0]; f.State != ImportThere || f.Archive != made.ID && f.Archive != was.ID {
		t.Errorf("%s, %s", f.State, f.Archive)
	}
	p, err := w.vault().PlanDelete(t.Context(), was.ID)
	if err != nil || p.Refused != "" {
		t.Fatalf("%+v, %v", p, err)
	}
	if err := w.vault().Delete(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if f := w.planImport(o).Files[0]; f.State != ImportThere || f.Archive != made.ID {
		t.Errorf("after the old one was deleted: %s, %s", f.State, f.Archive)
	}
	w.ids = w.withKey("new")
	run := w.restore(RestoreOptions{ID: made.ID, ToNew: "reseal_imp_r"}).ok(t)
	if run.done.TablesEqual != 2 || run.done.TablesTotal != 2 {
		t.Errorf("%+v", run.done)
	}
	if got := one[string](t, "reseal_imp_r", "SELECT concat_ws(' ', (SELECT count(*) FROM public.a), convert_from(lo_get(4711), 'UTF8'))"); got != "500 hello" {
		t.Error(got)
	}
	// It is as old as its dump: no backup of today.
	st, err := w.vault().Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range st {
		if s.Database == "reseal imp" && s.LastGood != nil && s.LastGood.After(time.Now().AddDate(0, 0, -1)) {
			t.Errorf("%+v", s)
		}
	}
}
