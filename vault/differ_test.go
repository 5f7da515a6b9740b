package vault

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgvault/fault"
)

// again runs the comparison of an archive with a database once more.
func again(t *testing.T, w *world, id, target string, o *RestoreOptions) *tape {
	t.Helper()
	if o == nil {
		o = &RestoreOptions{}
	}
	o.ID, o.ToEmpty = id, target
	plan := w.plan(*o)
	p := &tape{}
	r := plan.prep.r
	r.run = newRun(p.sink, w.vault().now, RunStarted{Kind: KindRestore, ID: id, Target: target, Stages: []Stage{StageCompare}})
	r.enter(StageCompare)
	p.err = r.finish(t.Context(), r.compare(t.Context()))
	p.check(t)
	return p
}

// plainDump is a database as SQL text, without what differs from run to run.
func plainDump(t *testing.T, database string) string {
	t.Helper()
	env, err := settings().Env(os.Environ())
	if err != nil {
		t.Fatal(err)
	}
	quoted := strings.NewReplacer(`'`, `\'`, `\`, `\\`).Replace(database)
	encoding := one[string](t, "", "SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = $1", database)
	cmd := exec.CommandContext(t.Context(), filepath.Join(cluster.BinDir, "pg_dump"), "--encoding="+encoding, "--dbname=dbname='"+quoted+"'")
	cmd.Env = env
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("pg_dump: %v\n%s", err, &stderr)
	}
	return regexp.MustCompile(`(?m)^\\(un)?restrict .*$`).ReplaceAllString(string(out), "")
}

func tableWithNote(t *testing.T, p *tape, note string) {
	t.Helper()
	n := 0
	for _, d := range all[TableDone](p) {
		if d.Note == note && d.State == StateEqual {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d tables say %q", n, note)
	}
}

// TestComparisonFindsEachDifference changes a restored database in one way at
// a time and has the comparison say that, and only that.
func TestComparisonFindsEachDifference(t *testing.T) {
	dropRoleAfter(t, "granted")
	sql(t, "", "CREATE ROLE granted")
	create(t, "origin", "")
	sql(t, "origin", "CREATE TABLE a (id serial PRIMARY KEY, v text, at timestamptz, f float8)", "INSERT INTO a (v, at, f) SELECT i, 'epoch', 1.0 / i FROM generate_series(1, 100) i",
		"CREATE INDEX a_v ON a (v)", "CREATE TABLE b (v int CHECK (v > 0))", "INSERT INTO b VALUES (1)", "GRANT SELECT, INSERT ON b TO granted", "CREATE VIEW c AS SELECT 1 AS one",
		`SELECT lo_from_bytea(20000, '\x00ff')`, "CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT 1'", "CREATE FUNCTION f(text) RETURNS int LANGUAGE sql AS 'SELECT 1'",
		"ALTER DATABASE origin SET work_mem = '7MB'", "ALTER DATABASE origin SET extra_float_digits = -9", "GRANT CREATE ON DATABASE origin TO granted")
	w := newWorld(t)
	w.backup(BackupOptions{Database: "origin"}).ok(t)
	id := w.list()[0].ID
	w.restore(RestoreOptions{ID: id, ToNew: "changed"}).ok(t)
	for _, c := range []struct{ change, back, table, why string }{
		{"SELECT 1", "SELECT 1", "", ""},
		{"DELETE FROM a WHERE id = 50", "INSERT INTO a VALUES (50, 50, 'epoch', 1.0 / 50)", "public.a", "99 rows instead of 100"},
		{"UPDATE a SET v = 'x' WHERE id = 50", "UPDATE a SET v = 50 WHERE id = 50", "public.a", "as many rows, but not the same"},
		{"UPDATE a SET v = NULL WHERE id = 50", "UPDATE a SET v = 50 WHERE id = 50", "public.a", "as many rows, but not the same"},
		{"UPDATE a SET f = f + 1e-15 WHERE id = 50", "UPDATE a SET f = 1.0 / 50 WHERE id = 50", "public.a", "as many rows, but not the same"},
		{"DROP INDEX a_v", "CREATE INDEX a_v ON a (v)", "index public.a_v", "is missing"},
		{"ALTER TABLE b DROP CONSTRAINT b_v_check, ADD CONSTRAINT b_v_check CHECK (v > 0) NOT VALID", "ALTER TABLE b VALIDATE CONSTRAINT b_v_check", "constraint public.b: b_v_check", "is not valid"},
		{"ALTER TABLE a ALTER id DROP DEFAULT", "ALTER TABLE a ALTER id SET DEFAULT nextval('a_id_seq')", "default public.a id", "is missing"},
		{"SELECT setval('a_id_seq', 7)", "SELECT setval('a_id_seq', 100)", "sequence public.a_id_seq", "stands elsewhere"},
		{"SELECT setval('a_id_seq', 100, false)", "SELECT setval('a_id_seq', 100)", "sequence public.a_id_seq", "stands elsewhere"},
		{"SELECT lo_unlink(20000)", `SELECT lo_from_bytea(20000, '\x00ff')`, "large objects", "0 large objects"},
		{`SELECT lo_put(20000, 0, '\x01')`, `SELECT lo_put(20000, 0, '\x00')`, "large objects", "their contents differ"},
		{"REVOKE INSERT ON b FROM granted", "GRANT INSERT ON b TO granted", "grants on public.TABLE b", "not as they were"},
		{"GRANT DELETE ON b TO granted", "REVOKE DELETE ON b FROM granted", "grants on public.TABLE b", "not as they were"},
		{"REVOKE ALL ON b FROM granted", "GRANT SELECT, INSERT ON b TO granted", "acl public.TABLE b", "is missing"},
		{"REVOKE CREATE ON DATABASE changed FROM granted", "GRANT CREATE ON DATABASE changed TO granted", "grant CREATE on the database", "not as it was"},
		{"ALTER DATABASE changed SET work_mem = '8MB'", "ALTER DATABASE changed SET work_mem = '7MB'", "database setting work_mem", "not as it was"},
		{"DROP FUNCTION f(text)", "CREATE FUNCTION f(text) RETURNS int LANGUAGE sql AS 'SELECT 1'", "function public.f(text)", "is missing"},
		{"DROP VIEW c", "CREATE VIEW c AS SELECT 1 AS one", "view public.c", "is missing"},
		{"CREATE TABLE more AS SELECT 1", "DROP TABLE more", "public.more", "is not in the archive"},
	} {
		t.Run(c.change, func(t *testing.T) {
			sql(t, "changed", c.change)
			p := again(t, w, id, "changed", nil)
			sql(t, "changed", c.back)
			if c.table == "" {
				p.ok(t)
				return
			}
			p.failed(t, fault.Differs)
			if d := p.done.Differences; len(d) != 1 || d[0].Table != c.table || !strings.Contains(d[0].Why, c.why) {
				t.Errorf("differences: %+v", d)
			}
		})
	}
	t.Run("another order", func(t *testing.T) {
		sql(t, "changed", "CREATE TABLE o AS SELECT * FROM a", "TRUNCATE a", "INSERT INTO a SELECT * FROM o ORDER BY id DESC", "DROP TABLE o")
		p := again(t, w, id, "changed", nil).ok(t)
		tableWithNote(t, p, "equal, in another order")
		if p.done.TablesEqual != 2 {
			t.Errorf("%d tables equal", p.done.TablesEqual)
		}
		// Equal sums of rows must not hide one that differs.
		sql(t, "changed", "UPDATE a SET v = CASE id WHEN 3 THEN '4' WHEN 4 THEN '3' END WHERE id IN (3, 4)")
		p = again(t, w, id, "changed", nil)
		if p.failed(t, fault.Differs); len(p.done.Differences) != 1 {
			t.Errorf("differences: %+v", p.done.Differences)
		}
	})
	t.Run("a table less", func(t *testing.T) {
		sql(t, "changed", "DROP TABLE b")
		p := again(t, w, id, "changed", nil)
		p.failed(t, fault.Differs)
		var said []string
		for _, d := range p.done.Differences {
			said = append(said, d.Table)
		}
		for _, want := range []string{"public.b", "table public.b", "acl public.TABLE b"} {
			if !slices.Contains(said, want) {
				t.Errorf("no word of %s: %q", want, said)
			}
		}
		if p.done.TablesEqual != 0 || p.done.TablesTotal != 2 {
			t.Errorf("%d of %d tables equal", p.done.TablesEqual, p.done.TablesTotal)
		}
	})
	quiet(t)
}
