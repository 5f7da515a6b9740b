package vault

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgvault/fault"
	"pgvault/vault/archive"
)

// change rewrites one object of an archive in the place, and puts it back at
// the test's end.
func (w *world) change(t *testing.T, a Archive, object string, f func([]byte) []byte) {
	t.Helper()
	path := filepath.Join(w.path("place"), archive.Folder("main", a.Database, a.ID), object)
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, f(bytes.Clone(src)), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.WriteFile(path, src, 0o600) })
}

func flip(at func(n int) int) func([]byte) []byte {
	return func(b []byte) []byte {
		b[at(len(b))] ^= 4
		return b
	}
}

// TestRestoreOfDamage: whatever is wrong with the bytes, exit 5, no database
// is left, and no row ever is in one.
func TestRestoreOfDamage(t *testing.T) {
	create(t, "origin", "")
	sql(t, "origin", "CREATE TABLE t AS SELECT i, md5(i::text) AS v FROM generate_series(1, 180000) i", "CREATE TABLE small AS SELECT 1 AS one", "SELECT lo_from_bytea(1000, decode(repeat('00ff', 100000), 'hex'))")
	w := newWorld(t)
	w.backup(BackupOptions{Database: "origin"}).ok(t)
	a := w.list()[0]
	sql(t, "origin", "UPDATE t SET v = 'other' WHERE i = 1")
	w.backup(BackupOptions{Database: "origin"}).ok(t)
	other := w.list()[0]
	ways := map[string]func([]byte) []byte{
		"first byte": flip(func(int) int { return 0 }), "header": flip(func(int) int { return 100 }), "middle": flip(func(n int) int { return n / 2 }),
		"last byte": flip(func(n int) int { return n - 1 }), "cut by one": func(b []byte) []byte { return b[:len(b)-1] }, "cut in half": func(b []byte) []byte { return b[:len(b)/2] },
		"one more": func(b []byte) []byte { return append(b, 0) }, "twice": func(b []byte) []byte { return append(b, b...) }, "nothing": func([]byte) []byte { return nil },
	}
	for _, object := range []string{archive.MainPart, archive.ContentsPart, archive.GlobalsPart, archive.ManifestName, archive.SignatureName} {
		ways["of another archive"] = func([]byte) []byte {
			src, err := os.ReadFile(filepath.Join(w.path("place"), archive.Folder("main", "origin", other.ID), object))
			if err != nil {
				t.Fatal(err)
			}
			return src
		}
		for way, f := range ways {
			if object == archive.SignatureName && (way == "one more" || way == "twice" || strings.Contains(way, "last") || way == "cut by one") {
				continue // what follows the armored signature says nothing
			}
			t.Run(object+" "+way, func(t *testing.T) {
				w.change(t, a, object, f)
				plan, err := w.vault().PlanRestore(t.Context(), RestoreOptions{ID: a.ID, ToNew: "new", Identities: w.ids})
				if err == nil {
					err = w.apply(t.Context(), plan, nil).err
				}
				if fault.CodeOf(err) != fault.Differs {
					t.Errorf("exit code %d: %v", fault.CodeOf(err), err)
				}
				fourLines(t, err)
				if exists(t, "new") {
					t.Error("the database is there")
				}
			})
		}
	}
	t.Run("after the check", func(t *testing.T) { w.changedLater(t, a) })
	for way, f := range ways {
		if way == "of another archive" {
			continue // of the last object above
		}
		t.Run("chosen table, "+way, func(t *testing.T) {
			w.change(t, a, archive.MainPart, f)
			plan, err := w.vault().PlanRestore(t.Context(), RestoreOptions{ID: a.ID, ToNew: "new", Tables: []string{"t"}, Identities: w.ids})
			if err == nil {
				err = w.apply(t.Context(), plan, nil).err
			}
			if fault.CodeOf(err) != fault.Differs {
				t.Errorf("exit code %d: %v", fault.CodeOf(err), err)
			}
			if exists(t, "new") {
				t.Error("the database is there")
			}
		})
	}
	quiet(t)
}

// changedLater damages the rows when the check of all parts is over, beyond
// the first 2 MiB, which the plan has read. The table is rolled back.
func (w *world) changedLater(t *testing.T, a Archive) {
	plan := w.plan(RestoreOptions{ID: a.ID, ToNew: "new"})
	w.apply(t.Context(), plan, at(1, startOf(StageCreate), func() {
		w.change(t, a, archive.MainPart, flip(func(n int) int { return n * 9 / 10 }))
	})).failed(t, fault.Differs)
	if exists(t, "new") {
		t.Error("the database is there")
	}
	create(t, "hollow", "")
	plan = w.plan(RestoreOptions{ID: a.ID, ToEmpty: "hollow", Tables: []string{"t"}})
	w.apply(t.Context(), plan, nil).failed(t, fault.Differs)
	if n := one[int](t, "hollow", "SELECT count(*) FROM public.t"); n != 0 {
		t.Errorf("%d rows of a damaged table were stored", n)
	}
}

// TestDamageIsRemembered: a verification that finds damage counts until one
// that goes as far finds none.
func TestDamageIsRemembered(t *testing.T) {
	create(t, "origin", "")
	w := newWorld(t)
	w.backup(BackupOptions{Database: "origin"}).ok(t)
	a := w.list()[0]
	t.Run("damaged", func(t *testing.T) {
		w.change(t, a, archive.MainPart, flip(func(n int) int { return n / 2 }))
		w.verify(a.ID, ProofIntact).failed(t, fault.Differs)
	})
	if a = w.list()[0]; a.State != "damaged" || a.Reason == "" || w.status(t, "origin").State != "never" {
		t.Errorf("%+v", a)
	}
	w.verify(a.ID, ProofIntact).ok(t)
	if a = w.list()[0]; a.State != "good" {
		t.Errorf("%+v", a)
	}
}
