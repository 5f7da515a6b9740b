package vault

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgvault/fault"
	"pgvault/vault/store/disk"
)

// TestBackupRefused: what is wrong before the dump begins.
func TestBackupRefused(t *testing.T) {
	c := makeVictim(t, settings(), "victim")
	for _, f := range []struct {
		name string
		code fault.Code
		says string
		set  func(t *testing.T, w *world)
	}{
		{"no recipients", fault.Usage, "recipients", func(t *testing.T, w *world) { os.Remove(w.path("recipients")) }},
		{"empty recipients", fault.Usage, "no recipient", func(t *testing.T, w *world) { w.write("recipients", "# nobody\n") }},
		{"one recipient", fault.Refused, "only one recipient", func(t *testing.T, w *world) { w.write("recipients", w.read("duty.pub")) }},
		{"one recipient twice", fault.Refused, "only one recipient", func(t *testing.T, w *world) { w.write("recipients", w.read("duty.pub")+w.read("duty.pub")) }},
		{"not a recipient", fault.Usage, "line 1", func(t *testing.T, w *world) { w.write("recipients", "age1nonsense\n"+w.read("duty.pub")) }},
		{"a secret key as recipient", fault.Usage, "secret key", func(t *testing.T, w *world) {
			w.write("recipients", w.read("duty"))
		}},
		{"no signing key", fault.Usage, "signing key", func(t *testing.T, w *world) { os.Remove(w.path("signing")) }},
		{"signing key open to others", fault.Usage, "others may read it", func(t *testing.T, w *world) { os.Chmod(w.path("signing"), 0o644) }},
		{"no place", fault.NoVault, "place", func(t *testing.T, w *world) { w.conf.Places = nil }},
		{"place gone", fault.PlaceUnreachable, "place", func(t *testing.T, w *world) {
			_, err := disk.Open(w.path("gone"))
			w.conf.Places = []Place{{Name: "disk", Err: err}}
		}},
		{"state folder unusable", fault.Failed, "state folder", func(t *testing.T, w *world) { w.write("file", ""); w.conf.StateDir = w.path("file") }},
		{"read-only", fault.Refused, "read-only", func(t *testing.T, w *world) { w.conf.ReadOnly = true }},
		{"server down", fault.DBUnreachable, "does not answer", func(t *testing.T, w *world) { w.conf.Server.Conninfo = "host=" + w.dir }},
		{"wrong role", fault.DBUnreachable, "nobody-here", func(t *testing.T, w *world) {
			s := cluster.SettingsFor("nobody-here")
			w.conf.Server.Conninfo = s.Conninfo
		}},
		{"no programs", fault.Refused, "pg_dump", func(t *testing.T, w *world) { w.conf.Server.BinDir = t.TempDir() }},
		{"programs too old", fault.Refused, "12", func(t *testing.T, w *world) {
			w.conf.Server.BinDir = t.TempDir()
			for _, p := range []string{"pg_dump", "pg_restore", "pg_dumpall"} {
				os.WriteFile(filepath.Join(w.conf.Server.BinDir, p), []byte("#!/bin/sh\necho '"+p+" (PostgreSQL) 12.3'\n"), 0o755)
			}
		}},
		{"no room", fault.NoSpace, "", func(t *testing.T, w *world) { w.setPlace(w.small(t, 1<<20)) }},
	} {
		t.Run(f.name, func(t *testing.T) {
			w := newWorld(t)
			f.set(t, w)
			p := w.backup(BackupOptions{Database: "victim"})
			e := p.failed(t, f.code)
			if !strings.Contains(e.What+e.Why+e.Do, f.says) {
				t.Errorf("no word of %q: %s: %s (%s)", f.says, e.What, e.Why, e.Do)
			}
			if strings.Contains(p.err.Error()+e.What+e.Why+e.Left+e.Do, "AGE-SECRET-KEY") {
				t.Error("the error repeats a secret key")
			}
			if w.store() != nil {
				w.nothingMade(t, c, 0)
			}
			quiet(t)
		})
	}
	w := newWorld(t)
	for name, code := range map[string]fault.Code{"no such database": fault.DBUnreachable, "": fault.Usage} {
		w.backup(BackupOptions{Database: name}).failed(t, code)
	}
	// With the second recipient waived one is enough.
	w.write("recipients", w.read("duty.pub"))
	w.conf.AllowOne = true
	w.backup(BackupOptions{Database: "victim"}).ok(t)
}

// TestHiddenRows: a role that would not see all rows makes no archive.
func TestHiddenRows(t *testing.T) {
	dropRoleAfter(t, "limited")
	sql(t, "", "CREATE ROLE limited LOGIN")
	create(t, "hidden", "")
	sql(t, "hidden", "CREATE TABLE open (v int)", "CREATE SCHEMA s", `CREATE TABLE s."be hind" (v int)`, `INSERT INTO s."be hind" VALUES (1), (2)`,
		"GRANT SELECT ON ALL TABLES IN SCHEMA public, s TO limited", "GRANT USAGE ON SCHEMA s TO limited", `ALTER TABLE s."be hind" ENABLE ROW LEVEL SECURITY`, `CREATE POLICY p ON s."be hind" USING (v = 1)`)
	w := newWorld(t)
	w.conf.Server = cluster.SettingsFor("limited")
	w.conf.Server.BinDir = cluster.BinDir
	refused := func(code fault.Code, words ...string) {
		t.Helper()
		e := w.backup(BackupOptions{Database: "hidden"}).failed(t, code)
		quiet(t) // pg_dump had begun
		for _, word := range words {
			if !strings.Contains(e.What+e.Why+e.Do, word) {
				t.Errorf("no word of %q: %s: %s (%s)", word, e.What, e.Why, e.Do)
			}
		}
		w.nothingMade(t, newCanary(), 0)
	}
	refused(fault.Refused, `s."be hind"`, "limited", "BYPASSRLS")
	sql(t, "hidden", `ALTER TABLE s."be hind" DISABLE ROW LEVEL SECURITY`, "SELECT lo_from_bytea(777, '\\x00')")
	refused(fault.Refused, "large object", "777")
	sql(t, "hidden", "GRANT SELECT ON LARGE OBJECT 777 TO limited", "CREATE TABLE closed (v int)")
	refused(fault.Refused, "closed", "limited")
	sql(t, "hidden", "GRANT SELECT ON closed TO limited")
	// It may not read passwords of roles either: that is a warning.
	p := w.backup(BackupOptions{Database: "hidden"}).ok(t)
	if p.done.Warnings != 1 || w.list()[0].Warnings != 1 {
		t.Errorf("%d warnings", p.done.Warnings)
	}
	w.conf.Server = settings()
	w.restore(RestoreOptions{ID: w.list()[0].ID, ToNew: "shown"}).ok(t)
	quiet(t)
}

// TestRestoreRefused: what a plan finds, and that nothing is done then.
func TestRestoreRefused(t *testing.T) {
	create(t, "origin", "")
	dropRoleAfter(t, "gone")
	sql(t, "", "CREATE ROLE gone")
	sql(t, "origin", "CREATE TABLE t (v int)", "INSERT INTO t VALUES (1)", "ALTER TABLE t OWNER TO gone",
		"INSERT INTO pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion) VALUES (99999, 'ghost', 10, 2200, true, '1.0')")
	w := newWorld(t)
	w.backup(BackupOptions{Database: "origin"}).ok(t)
	id := w.list()[0].ID
	sql(t, "origin", "DELETE FROM pg_extension WHERE extname = 'ghost'", "DROP TABLE t")
	sql(t, "", "DROP ROLE gone")
	create(t, "taken", "")
	sql(t, "taken", "CREATE VIEW v AS SELECT 1")

	said := func(p *RestorePlan, state, text string) {
		t.Helper()
		for _, c := range p.Checks {
			if c.State == state && strings.Contains(c.Text, text) && (state != "x" || c.Do != "") {
				return
			}
		}
		t.Errorf("no check %s %q: %+v", state, text, p.Checks)
	}
	plan := w.plan(RestoreOptions{ID: id, ToNew: "new one"})
	said(plan, "x", "gone")
	said(plan, "x", "ghost")
	w.apply(t.Context(), plan, nil).failed(t, fault.Refused)
	if exists(t, "new one") {
		t.Error("a refused restore made its database")
	}
	said(w.plan(RestoreOptions{ID: id, ToNew: "new one", CreateRoles: true}), "!", "gone")
	said(w.plan(RestoreOptions{ID: id, ToNew: "new one", NoOwner: true}), "!", "gone")
	for o, text := range map[*RestoreOptions]string{{ToNew: "taken"}: "exists already", {ToEmpty: "taken"}: "not empty", {ToEmpty: "new one"}: "does not exist"} {
		o.ID = id
		plan := w.plan(*o)
		said(plan, "x", text)
		w.apply(t.Context(), plan, nil).failed(t, fault.Refused)
	}
	if n := one[int](t, "taken", "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"); n != 1 {
		t.Errorf("the existing database holds %d relations", n)
	}
	if one[bool](t, "", "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = 'gone')") {
		t.Error("a plan made a role")
	}
	// Somebody else makes the database between plan and restore.
	sql(t, "origin", "CREATE TABLE t (v int)")
	w.backup(BackupOptions{Database: "origin"}).ok(t)
	plan = w.plan(RestoreOptions{ID: w.list()[0].ID, ToNew: "raced"})
	create(t, "raced", "")
	sql(t, "raced", "CREATE TABLE precious (v int)")
	w.apply(t.Context(), plan, nil).failed(t, fault.Refused)
	if !exists(t, "raced") {
		t.Error("somebody else's database was dropped")
	}
	quiet(t)
}

// TestWrongIdentity: exit 12, and no file or database is left.
func TestWrongIdentity(t *testing.T) {
	create(t, "origin", "")
	w := newWorld(t)
	w.backup(BackupOptions{Database: "origin"}).ok(t)
	id := w.list()[0].ID
	other := newWorld(t)
	w.ids = other.ids
	check := func(err error) {
		t.Helper()
		if fault.CodeOf(err) != fault.NoKey {
			t.Errorf("%d: %v", fault.CodeOf(err), err)
		}
		fourLines(t, err)
	}
	_, err := w.vault().PlanRestore(t.Context(), RestoreOptions{ID: id, ToNew: "never", Identities: w.ids})
	check(err)
	_, _, err = w.vault().Show(t.Context(), id, w.ids)
	check(err)
	out := filepath.Join(t.TempDir(), "out.dump")
	check(w.vault().DumpTo(t.Context(), id, out, nil, w.ids))
	if left, _ := filepath.Glob(out + "*"); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
	for _, level := range []Proof{ProofReadable, ProofRestored} {
		w.verify(id, level).failed(t, fault.NoKey)
	}
	if a := w.list()[0]; a.State != "good" || len(a.Proofs) != 1 {
		t.Errorf("a missing key counts against the archive: %+v", a)
	}
	w.ids = Identities{}
	_, err = w.vault().PlanRestore(t.Context(), RestoreOptions{ID: id, ToNew: "never"})
	check(err)
	w.verify(id, ProofIntact).ok(t) // needs none
	w.verify("20200101T000000Z-0000", ProofIntact).failed(t, fault.Usage)
	w.verify(id, "splendid").failed(t, fault.Usage)
}

// TestDamagedStateDoesNotStop: what the state folder remembers is only a
// convenience.
func TestDamagedStateDoesNotStop(t *testing.T) {
	create(t, "origin", "")
	w := newWorld(t)
	w.backup(BackupOptions{Database: "origin"}).ok(t)
	files, _ := filepath.Glob(w.path("state/last/*"))
	for _, f := range files {
		if err := os.WriteFile(f, []byte("\x00{"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if len(files) == 0 {
		t.Error("nothing is remembered")
	}
	w.backup(BackupOptions{Database: "origin"}).ok(t)
}
