package vault

import (
	"compress/gzip"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"pgvault/fault"
)

// importShop makes a database as dumps of years hold: owners and grants in
// several schemas, an extension in one of them, large objects, odd names.
func importShop(t *testing.T, name string) {
	t.Helper()
	for _, r := range []string{"imp_app", "imp Odd"} {
		sql(t, "", `DO $$ BEGIN CREATE ROLE "`+r+`"; EXCEPTION WHEN duplicate_object THEN NULL; END $$`)
		dropRoleAfter(t, r)
	}
	create(t, name, "ENCODING 'UTF8' LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8'")
	sql(t, name, `CREATE SCHEMA "Sales ""x"`, `ALTER SCHEMA "Sales ""x" OWNER TO imp_app`,
		`CREATE TABLE t (id int PRIMARY KEY, v text, f float8)`, `INSERT INTO t SELECT i, E'row\t' || i || E'\n\\.', i / 3.0 FROM generate_series(1, 2000) i`,
		`CREATE TABLE "Sales ""x"."o t" (id int REFERENCES t)`, `INSERT INTO "Sales ""x"."o t" VALUES (1), (2), (NULL)`,
		`ALTER TABLE "Sales ""x"."o t" OWNER TO "imp Odd"`, `GRANT SELECT ON t TO imp_app`, `CREATE TABLE empty ()`,
		`ALTER TABLE t ENABLE ROW LEVEL SECURITY`, `ALTER TABLE t FORCE ROW LEVEL SECURITY`, `CREATE POLICY p ON t TO imp_app USING (id > 10)`,
		`CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1; -- \! x'`, `CREATE VIEW w AS SELECT * FROM t`,
		`CREATE MATERIALIZED VIEW m AS SELECT count(*) FROM t`, `SELECT lo_from_bytea(1001, 'hello')`,
		`ALTER DEFAULT PRIVILEGES FOR ROLE imp_app IN SCHEMA "Sales ""x" GRANT SELECT ON TABLES TO "imp Odd"`)
}

// importDump lets pg_dump write into a file of the world.
func (w *world) importDump(database, file string, args ...string) string {
	w.t.Helper()
	path := w.path(file)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(cluster.BinDir, "pg_dump"), append(args, "-f", path, "-d", database)...)
	cmd.Env = append(os.Environ(), "PGHOST="+cluster.SocketDir, "PGUSER="+cluster.Superuser)
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("%v: %s", err, out)
	}
	return path
}

// of is the world for a test within its test.
func (w *world) of(t testing.TB) *world {
	sub := *w
	sub.t = t
	return &sub
}

func (w *world) planImport(o ImportOptions) *ImportPlan {
	w.t.Helper()
	p, err := w.vault().PlanImport(w.t.Context(), o)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// importOne imports the only file of a plan.
func (w *world) importOne(o ImportOptions) *tape {
	w.t.Helper()
	p := w.planImport(o)
	if len(p.Files) != 1 {
		w.t.Fatalf("%d files", len(p.Files))
	}
	return w.importFile(w.t.Context(), p, p.Files[0], nil)
}

func (w *world) importFile(ctx context.Context, p *ImportPlan, f *ImportFile, hook func(Event)) *tape {
	w.t.Helper()
	t := &tape{hook: hook}
	t.err = w.vault().Import(ctx, p, f, t.sink)
	t.check(w.t)
	return t
}

func importGzip(t *testing.T, path string) string {
	t.Helper()
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(path + ".gz")
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(out)
	if _, err := z.Write(src); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return path + ".gz"
}

// importAge encrypts a file to a recipient as age does.
func importAge(t *testing.T, w *world, path string) string {
	t.Helper()
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	line := strings.TrimSpace(w.read("duty.pub"))
	line = line[strings.LastIndex(line, "\n")+1:]
	to, err := age.ParseRecipients(strings.NewReader(line))
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(path + ".age")
	if err != nil {
		t.Fatal(err)
	}
	e, err := age.Encrypt(out, to...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Write(src); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return path + ".age"
}

var importDay = time.Date(2020, 2, 29, 2, 30, 0, 0, time.UTC)

func TestImportKinds(t *testing.T) {
	w := newWorld(t)
	importShop(t, "imp_kinds")
	for name, path := range map[string]string{
		"custom":     w.importDump("imp_kinds", "a.dump", "-Fc", "-Z0"),
		"compressed": w.importDump("imp_kinds", "b.dump", "-Fc"),
		"tar":        w.importDump("imp_kinds", "c.tar", "-Ft"),
		"directory":  w.importDump("imp_kinds", "d", "-Fd"),
		"sql":        w.importDump("imp_kinds", "e.sql", "-Fp"),
		"create":     w.importDump("imp_kinds", "f.sql", "-Fp", "--create", "--clean", "--if-exists"),
		"gzip":       importGzip(t, w.importDump("imp_kinds", "g.tar", "-Ft")),
		"age":        importAge(t, w, importGzip(t, w.importDump("imp_kinds", "h.sql", "-Fp"))),
	} {
		t.Run(name, func(t *testing.T) {
			w := w.of(t)
			before, _ := os.Lstat(path)
			p := w.importOne(ImportOptions{Paths: []string{path}, Database: "shop " + name, At: importDay, RunSQL: true, Identities: w.ids}).ok(t)
			if p.done.TablesEqual != 3 || p.done.TablesTotal != 3 || p.done.Proof != ProofReadable || p.done.Rows != 2003 {
				t.Errorf("%+v", p.done)
			}
			if after, _ := os.Lstat(path); !after.ModTime().Equal(before.ModTime()) || after.Size() != before.Size() {
				t.Error("the original was touched")
			}
			a, c, err := w.vault().Show(t.Context(), "latest:shop "+name, w.ids)
			if err != nil {
				t.Fatal(err)
			}
			if a.Imported == nil || !a.Started.Equal(importDay) || !strings.HasPrefix(a.ID, "20200229T023000Z-") || c.Original.Name != filepath.Base(path) || c.Original.Equal != 3 {
				t.Errorf("%+v %+v", a, c.Original)
			}
			target := "imp_back_" + name
			w.restore(RestoreOptions{ID: a.Database + "/" + a.ID, ToNew: target}).ok(t)
			if owner := one[string](t, target, `SELECT tableowner FROM pg_tables WHERE tablename = 'o t'`); owner != "imp Odd" {
				t.Errorf("owner %s", owner)
			}
			if n := one[int](t, target, `SELECT count(*)::int FROM pg_namespace WHERE nspname LIKE 'pgvault%'`); n != 0 {
				t.Error("something of the scratch server is in the archive")
			}
			if acl := one[string](t, target, `SELECT coalesce(string_agg(nspacl::text, ';'), '') || (SELECT relacl::text FROM pg_class WHERE relname = 't') FROM pg_namespace WHERE nspname ~ 'Sales|public'`); strings.Contains(acl, "pgvault") || !strings.Contains(acl, "imp_app=r") {
				t.Errorf("grants: %s", acl)
			}
			if pol := one[int](t, target, `SELECT count(*)::int FROM pg_policies WHERE policyname = 'p'`); pol != 1 {
				t.Error("the policy is gone")
			}
		})
	}
	quiet(t)
}

// TestImportRunsNothing: what a dump tries to run, runs as nobody.
func TestImportRunsNothing(t *testing.T) {
	w := newWorld(t)
	mark := filepath.Join(t.TempDir(), "ran")
	evil := map[string]string{
		"program.sql":   "COPY (SELECT 1) TO PROGRAM 'touch " + mark + "';\n",
		"role.sql":      "SET ROLE pgvault_scratch;\nCOPY (SELECT 1) TO PROGRAM 'touch " + mark + "';\n",
		"reset.sql":     "RESET ROLE; RESET SESSION AUTHORIZATION;\nCOPY (SELECT 1) TO '" + mark + "';\n",
		"file.sql":      "CREATE TABLE t (a text);\nCOPY t FROM '/etc/passwd';\n",
		"lo.sql":        "SELECT lo_import('/etc/passwd');\n",
		"c.sql":         "CREATE FUNCTION f() RETURNS int LANGUAGE c AS '/lib/x86_64-linux-gnu/libc.so.6', 'system';\n",
		"language.sql":  "CREATE FUNCTION f() RETURNS int LANGUAGE internal AS 'pg_read_file';\n",
		"super.sql":     "CREATE ROLE evil SUPERUSER LOGIN;\n",
		"alter.sql":     "ALTER ROLE pgvault_import SUPERUSER;\n",
		"system.sql":    "ALTER SYSTEM SET archive_command = 'touch " + mark + "';\n",
		"event.sql":     "UPDATE pg_catalog.pg_authid SET rolsuper = true;\n",
		"extension.sql": "INSERT INTO pgvault_import_setup.extensions VALUES ('adminpack', '');\n",
		"function.sql":  "CREATE OR REPLACE FUNCTION pgvault_import_setup.schemas() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$;\n",
		"check.sql": "CREATE FUNCTION public.run(a text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'RESET ROLE'; EXECUTE format('COPY (SELECT 1) TO PROGRAM %L', a); RETURN true; END $$;\n" +
			"CREATE TABLE public.t (a text CHECK (public.run(a)));\nCOPY public.t (a) FROM stdin;\ntouch " + mark + "\n\\.\n",
	}
	for name, text := range evil {
		t.Run(name, func(t *testing.T) {
			w := w.of(t)
			w.write(name, "SET client_encoding = 'UTF8';\n"+text)
			p := w.importOne(ImportOptions{Paths: []string{w.path(name)}, Database: "evil", At: importDay, RunSQL: true})
			if e := p.failed(t, fault.Failed); !strings.Contains(e.What, "line ") {
				t.Errorf("%s: %s", e.What, e.Why)
			}
		})
	}
	for _, name := range slices.Sorted(func(yield func(string) bool) {
		for _, text := range []string{`\! touch `, `\copy t from program 'touch `, "SELECT 1 \\g |touch ", "SELECT 'touch ' \\gexec ", `\o |touch `, `\set x ` + "`touch ", `\connect - pgvault_scratch ` + "`touch "} {
			if !yield(text) {
				return
			}
		}
	}) {
		w.write("meta.sql", "SET client_encoding = 'UTF8';\n"+name+mark+"\n")
		p := w.planImport(ImportOptions{Paths: []string{w.path("meta.sql")}, Database: "evil", At: importDay, RunSQL: true})
		if f := p.Files[0]; f.State != ImportRefused || !strings.Contains(f.Why, "line 2") {
			t.Errorf("%q: %s %s", name, f.State, f.Why)
		}
		// Where the reader of scripts would be fooled, psql itself refuses.
		r := p.Files[0]
		r.State, r.script.Commands = ImportReady, nil
		w.importFile(t.Context(), p, r, nil).failed(t, fault.Failed)
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("a program was run")
	}
	if n := len(w.list()); n != 0 {
		t.Errorf("%d archives", n)
	}
	left, _ := filepath.Glob(filepath.Join(os.Getenv("TMPDIR"), "pgvault-pg-*"))
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	quiet(t)
}
