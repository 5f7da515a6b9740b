package vault

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgvault/fault"
	"pgvault/vault/archive"
	"pgvault/vault/store/disk"
)

// bare is the world as a machine sees it that has only the place: no keys, no
// recipients, an empty state folder. fingerprint is from the recovery sheet.
func (w *world) recoverBare(t *testing.T) *world {
	t.Helper()
	public, err := archive.PublicOf(w.conf.SigningKey)
	if err != nil {
		t.Fatal(err)
	}
	trust, err := archive.NewTrust([]string{public})
	if err != nil {
		t.Fatal(err)
	}
	found, err := FindSigners(t.Context(), w.store(), "main", []string{trust.Signings()[0].Fingerprint})
	if err != nil || len(found.Found) != 1 || len(found.Unknown) != 0 {
		t.Fatalf("%+v, %v", found, err)
	}
	b := *w
	b.t, b.conf.StateDir = t, filepath.Join(t.TempDir(), "state")
	b.conf.SigningKey, b.conf.RecipientsFile, b.conf.Signers = "", "", found.Lines()
	return &b
}

func (w *world) recoverPlan(t *testing.T, o RecoverOptions) *RecoverPlan {
	t.Helper()
	o.Identities = w.ids
	p, err := w.vault().PlanRecover(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// recoverRun applies a plan; the databases that it makes go when the test
// ends.
func (w *world) recoverRun(t *testing.T, p *RecoverPlan) (*RecoverReport, error) {
	t.Helper()
	for _, d := range p.Databases {
		dropAfter(t, d.Target)
	}
	rows := 0
	r, err := w.vault().Recover(t.Context(), p, func(Event) {}, func(RecoverRow) { rows++ })
	if r != nil && rows != len(r.Databases) {
		t.Errorf("%d rows told, %d in the report", rows, len(r.Databases))
	}
	return r, err
}

func recoverSays(t *testing.T, checks []Check, state, text string) Check {
	t.Helper()
	i := slices.IndexFunc(checks, func(c Check) bool { return c.State == state && strings.Contains(c.Text, text) })
	if i < 0 {
		t.Fatalf("no check %q with %q in %+v", state, text, checks)
	}
	return checks[i]
}

// recoverWorld has two archives of rec_a, the older proven by a restore, and
// one of rec_b; the databases themselves are gone.
func recoverWorld(t *testing.T) (w *world, older, newer, other string) {
	t.Helper()
	w = newWorld(t)
	for _, name := range []string{"rec_a", "rec_b"} {
		create(t, name, "")
		sql(t, name, "CREATE TABLE t AS SELECT i FROM generate_series(1, 100) i")
	}
	w.backup(BackupOptions{Database: "rec_a"}).ok(t)
	older = w.list()[0].ID
	w.verify(older, ProofRestored).ok(t)
	sql(t, "rec_a", "INSERT INTO t SELECT i FROM generate_series(101, 120) i")
	w.backup(BackupOptions{Database: "rec_a"}).ok(t)
	newer = w.list()[0].ID
	w.backup(BackupOptions{Database: "rec_b"}).ok(t)
	other = w.list()[slices.IndexFunc(w.list(), func(a Archive) bool { return a.Database == "rec_b" })].ID
	sql(t, "", "DROP DATABASE rec_a", "DROP DATABASE rec_b")
	return w, older, newer, other
}

// TestRecoverChooses: the newest proven one, unless the newest is asked for;
// what is damaged is passed over, in the plan and in the run, and said.
func TestRecoverChooses(t *testing.T) {
	w, older, newer, other := recoverWorld(t)
	b := w.recoverBare(t)
	p := b.recoverPlan(t, RecoverOptions{})
	if p.Databases[0].Chosen.ID != older || p.Databases[1].Chosen.ID != other || p.Refused() {
		t.Errorf("%+v", p.Databases)
	}
	recoverSays(t, p.Databases[0].Checks, "!", newer+", is ")
	if p = b.recoverPlan(t, RecoverOptions{Latest: true}); p.Databases[0].Chosen.ID != newer {
		t.Errorf("latest is %s", p.Databases[0].Chosen.ID)
	}
	archiveOf := func(id string) Archive {
		return w.list()[slices.IndexFunc(w.list(), func(a Archive) bool { return a.ID == id })]
	}

	t.Run("contents", func(t *testing.T) {
		w.change(t, archiveOf(newer), archive.ContentsPart, flip(func(n int) int { return n / 2 }))
		p := w.recoverBare(t).recoverPlan(t, RecoverOptions{Latest: true})
		if p.Databases[0].Chosen.ID != older || p.Refused() {
			t.Errorf("%+v", p.Databases[0])
		}
		recoverSays(t, p.Databases[0].Checks, "!", "the archive "+newer+" cannot be used")
	})
	t.Run("size", func(t *testing.T) {
		w.change(t, archiveOf(newer), archive.MainPart, func(b []byte) []byte { return b[:len(b)-1] })
		p := w.recoverBare(t).recoverPlan(t, RecoverOptions{Latest: true})
		if p.Databases[0].Chosen.ID != older {
			t.Errorf("%+v", p.Databases[0])
		}
		recoverSays(t, p.Databases[0].Checks, "!", "a newer archive, "+newer+", is damaged")
	})
	t.Run("the bytes, while it runs", func(t *testing.T) {
		b := w.recoverBare(t)
		p := b.recoverPlan(t, RecoverOptions{Latest: true, Databases: []string{"rec_a"}})
		w.change(t, archiveOf(newer), archive.GlobalsPart, flip(func(n int) int { return n / 2 }))
		r, err := b.recoverRun(t, p)
		if err != nil || r.Databases[0].ID != older || r.Databases[0].Result != "ok" {
			t.Fatalf("%+v, %v", r, err)
		}
		if said := strings.Join(r.Warnings, "\n"); !strings.Contains(said, newer+" is damaged") || !strings.Contains(said, older+" of ") {
			t.Errorf("%q", said)
		}
		if n := one[int](t, "rec_a", "SELECT count(*)::int FROM public.t"); n != 100 {
			t.Errorf("%d rows", n)
		}
	})
	t.Run("all of one database", func(t *testing.T) {
		w.change(t, archiveOf(other), archive.GlobalsPart, flip(func(n int) int { return n / 2 }))
		b := w.recoverBare(t)
		p := b.recoverPlan(t, RecoverOptions{As: map[string]string{"rec_a": "rec_c", "rec_b": "rec_d"}})
		r, err := b.recoverRun(t, p)
		if fault.CodeOf(err) != fault.Differs || r.Databases[0].Result != "ok" || r.Databases[1].Result != "damaged" {
			t.Errorf("%+v, %v", r, err)
		}
		fourLines(t, err)
	})
}

// TestRecoverOnlyReads: from a folder that cannot be written to, and nothing
// in it is another afterwards.
func TestRecoverOnlyReads(t *testing.T) {
	w, _, _, _ := recoverWorld(t)
	before := recoverTree(t, w.path("place"))
	for dir := range before {
		if st, err := os.Stat(dir); err == nil && st.IsDir() {
			if err := os.Chmod(dir, 0o500); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.Chmod(dir, 0o700) })
		}
	}
	b := w.recoverBare(t)
	d, err := disk.OpenToRead(w.path("place"), os.Geteuid()) // refuses every write, also root's
	if err != nil {
		t.Fatal(err)
	}
	b.conf.Places = []Place{{Name: "disk", Store: d}}
	r, err := b.recoverRun(t, b.recoverPlan(t, RecoverOptions{}))
	if err != nil || len(r.Databases) != 2 {
		t.Fatalf("%+v, %v", r, err)
	}
	if after := recoverTree(t, w.path("place")); len(after) != len(before) {
		t.Errorf("%d files, %d before", len(after), len(before))
	}
}

func recoverTree(t *testing.T, dir string) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error { out[path] = true; return err })
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestRecoverGoesOn: what is there is told of and left; a half-made database
// and a stranger's of the same name refuse all, an empty one is filled.
func TestRecoverGoesOn(t *testing.T) {
	w, older, _, _ := recoverWorld(t)
	b := w.recoverBare(t)
	if _, err := b.recoverRun(t, b.recoverPlan(t, RecoverOptions{Databases: []string{"rec_a"}})); err != nil {
		t.Fatal(err)
	}
	create(t, "rec_b", "")
	sql(t, "", "COMMENT ON DATABASE rec_b IS 'pgvault: restore of X in progress, not complete'")
	p := b.recoverPlan(t, RecoverOptions{})
	if d := p.Databases[0]; d.There == nil || d.There.Archive != older || !d.There.Whole || d.refused() {
		t.Errorf("%+v", d)
	}
	if c := recoverSays(t, p.Databases[1].Checks, "x", "half-made"); !strings.Contains(c.Do, `DROP DATABASE rec_b`) {
		t.Errorf("%+v", c)
	}
	r, err := b.vault().Recover(t.Context(), p, nil, nil)
	if r != nil || fault.CodeOf(err) != fault.Refused {
		t.Errorf("%+v, %v", r, err)
	}
	fourLines(t, err)
	if do := fault.As(err).Do; !strings.Contains(do, "--database rec_a") {
		t.Errorf("%q", do)
	}
	sql(t, "", "COMMENT ON DATABASE rec_b IS NULL")
	r, err = b.recoverRun(t, b.recoverPlan(t, RecoverOptions{}))
	if err != nil || r.Databases[0].Result != "there" || r.Databases[1].Result != "ok" {
		t.Fatalf("%+v, %v", r, err)
	}
	// another host's state folder knows of none of them
	p = w.recoverBare(t).recoverPlan(t, RecoverOptions{})
	for _, d := range p.Databases {
		recoverSays(t, d.Checks, "x", "exists already, and holds something")
	}
	// stopped: nothing more is begun
	ctx, stop := context.WithCancel(t.Context())
	stop()
	p = b.recoverPlan(t, RecoverOptions{As: map[string]string{"rec_a": "rec_e", "rec_b": "rec_f"}})
	r, err = b.vault().Recover(ctx, p, func(Event) {}, func(RecoverRow) {})
	if fault.CodeOf(err) != fault.Cancelled || r != nil && r.Databases[0].Result != "not begun" {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestRecoverKeys: no key, one that opens nothing, and whose signatures count.
func TestRecoverKeys(t *testing.T) {
	w := newWorld(t)
	w.fabricate(made{database: "shop", at: noon, proof: ProofReadable})
	b := w.recoverBare(t)
	_, err := b.vault().PlanRecover(t.Context(), RecoverOptions{})
	if fault.CodeOf(err) != fault.NoKey {
		t.Errorf("%v", err)
	}
	fourLines(t, err)
	_, err = b.vault().PlanRecover(t.Context(), RecoverOptions{Identities: b.ids, Databases: []string{"none"}})
	if fault.CodeOf(err) != fault.Usage {
		t.Errorf("%v", err)
	}
	wrong := "SHA256:uNiVztksCsDhcc0u9e8BrrQXVUpKZIQTMZrzvj2HrKc"
	_, err = FindSigners(t.Context(), w.store(), "main", []string{wrong})
	if fault.CodeOf(err) != fault.Refused {
		t.Errorf("%v", err)
	}
	fourLines(t, err)
	public := b.conf.Signers[0]
	trust, err := archive.NewTrust([]string{public})
	if err != nil {
		t.Fatal(err)
	}
	right := trust.Signings()[0].Fingerprint
	found, err := FindSigners(t.Context(), w.store(), "main", []string{wrong, " sha256:" + strings.TrimPrefix(right, "SHA256:") + "= "})
	if err != nil || found.Lines()[0] != public || !slices.Equal(found.Unknown, []string{wrong}) {
		t.Errorf("%+v, %v", found, err)
	}
	if names, err := FindVaults(t.Context(), w.store()); err != nil || !slices.Equal(names, []string{"main"}) {
		t.Errorf("%q, %v", names, err)
	}
}

// TestTakeOverPlan: whether the old host may still write, and for whom.
func TestTakeOverPlan(t *testing.T) {
	w := newWorld(t)
	w.fabricate(made{database: "shop", at: noon})
	b := w.recoverBare(t)
	to, err := archive.LoadRecipients(w.path("recipients"))
	if err != nil {
		t.Fatal(err)
	}
	plan := func(now time.Time, o TakeOverOptions) *TakeOverPlan {
		t.Helper()
		v := b.vault()
		v.now = func() time.Time { return now }
		p, err := v.PlanTakeOver(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	young, old := noon.Add(time.Hour), noon.Add(25*time.Hour)
	recoverSays(t, plan(young, TakeOverOptions{}).Checks, "x", "may still write here")
	recoverSays(t, plan(young, TakeOverOptions{Gone: true}).Checks, "!", "gone was said")
	p := plan(old, TakeOverOptions{Recipients: to.Public})
	recoverSays(t, p.Checks, "ok", "nobody seems to write")
	if !slices.Equal(p.Databases, []string{"shop"}) || len(p.Signers) != 1 || p.Newest == nil {
		t.Errorf("%+v", p)
	}
	// a number that was reserved since is a sign of life, too
	err = archive.Reserve(t.Context(), w.store(), "main", "shop", 2, archive.Reservation{Host: "root@old", At: old.Add(-time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	if c := recoverSays(t, plan(old, TakeOverOptions{}).Checks, "x", "the number 2 of shop"); !strings.Contains(c.Text, "by root@old") {
		t.Errorf("%+v", c)
	}
	was := []archive.Recipient{{Name: "a", Fingerprint: "1"}, {Name: "b", Fingerprint: "2"}}
	for state, now := range map[string][]archive.Recipient{"ok": was, "x": was[:1]} {
		if c := sameRecipients(was, now, false); c.State != state {
			t.Errorf("%+v", c)
		}
	}
	if c := sameRecipients(was, was[1:], true); c.State != "!" || !strings.Contains(c.Text, "not open for a (1)") {
		t.Errorf("%+v", c)
	}
}
