package vault

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"

	"pgvault/fault"
	"pgvault/pg"
	"pgvault/vault/store/storetest"
)

// The published sample is what PostgreSQL's own regression tests leave behind:
// eleven schemas with nearly every kind of object, which PostgreSQL itself
// dumps and restores to test pg_upgrade. They make roles, tablespaces and
// settings of the whole cluster while they run, so that they get a server of
// their own.

// sampleLeft are tests that take long and leave nothing behind that others do
// not have too: they try how queries are planned.
var sampleLeft = []string{"join_hash", "select_parallel", "partition_prune", "partition_join", "partition_aggregate", "join", "aggregates", "groupingsets", "tuplesort", "memoize", "stats"}

// sampleFolder is a copy of the regression tests of a major version that the
// server's user can read.
func sampleFolder(t *testing.T, major int) string {
	t.Helper()
	from := filepath.Join(storetest.Cache(t), fmt.Sprintf("regress-%d", major))
	if _, err := os.Stat(filepath.Join(from, "parallel_schedule")); err != nil {
		t.Fatalf("the sample database is not there: run scripts/install-samples.sh %d", major)
	}
	to := filepath.Join(os.TempDir(), "regress")
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(to) })
	if err := os.Mkdir(filepath.Join(to, "results"), 0o700); err != nil { // the server writes files there and reads them back
		t.Fatal(err)
	}
	err := filepath.WalkDir(to, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = os.Chmod(path, 0o777)
		} else if err == nil {
			err = os.Chmod(path, 0o644)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// loadSample runs the tests as pg_regress does, in its order: what fails in
// one is part of it. Functions in C are left out with all that needs them, for
// their library would have to be compiled.
func loadSample(t *testing.T, s pg.Settings, dir, database string) {
	t.Helper()
	schedule, err := os.ReadFile(filepath.Join(dir, "parallel_schedule"))
	if err != nil {
		t.Fatal(err)
	}
	env, err := s.Env(os.Environ())
	if err != nil {
		t.Fatal(err)
	}
	env = append(env, "PGTZ=PST8PDT", "PGDATESTYLE=Postgres, MDY", "PG_ABS_SRCDIR="+dir, "PG_ABS_BUILDDIR="+dir, "PG_LIBDIR="+filepath.Join(s.BinDir, "../lib"), "PG_DLSUFFIX=.so", "PGDATABASE="+database)
	ran := 0
	for line := range strings.Lines(string(schedule)) {
		names, ok := strings.CutPrefix(line, "test:")
		if !ok {
			continue
		}
		group, slots := sync.WaitGroup{}, make(chan struct{}, 3)
		for _, name := range strings.Fields(names) {
			if slices.Contains(sampleLeft, name) {
				continue
			}
			ran++
			slots <- struct{}{}
			group.Go(func() {
				defer func() { <-slots }()
				cmd := exec.CommandContext(t.Context(), filepath.Join(s.BinDir, "psql"), "-Xq", "-v", "HIDE_TABLEAM=on", "-v", "HIDE_TOAST_COMPRESSION=on", "-f", filepath.Join(dir, "sql", name+".sql"))
				cmd.Env, cmd.Dir = env, dir
				if err := cmd.Run(); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		group.Wait()
	}
	if ran < 150 {
		t.Fatalf("%d tests ran", ran)
	}
}

// sampleWorld is a vault and the sample in a server of its own.
func newSampleWorld(t *testing.T) *switchWorld {
	t.Helper()
	c, err := startServer(filepath.Join(os.TempDir(), "rg"), map[string]string{"max_prepared_transactions": "2"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Stop() })
	w := &switchWorld{world: newWorld(t), name: "regression", with: "regression_r"}
	w.conf.Server = settingsOf(c)
	w.sql("", "CREATE DATABASE regression TEMPLATE template0", "ALTER DATABASE regression SET timezone_abbreviations TO 'Default'")
	conn := connectAs(t, w.conf.Server, "")
	info, err := pg.Server(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	loadSample(t, w.conf.Server, sampleFolder(t, info.Major()), w.name)
	return w
}

// inheriting is a table with its columns and those that it inherits. pg_dump
// names the columns of such a table as they stand; made again, those of the
// parent come first (PostgreSQL's own comparison, AdjustDump.pm, knows of it).
var inheriting = regexp.MustCompile(`(?s)(CREATE TABLE [^\n]* \(\n)([^;]*?)(\n\)\nINHERITS )`)

// schemaOf is what pg_dump says of a database without its rows.
func (w *switchWorld) schemaOf(database string) []string {
	w.t.Helper()
	env, err := w.conf.Server.Env(os.Environ())
	if err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.CommandContext(w.t.(*testing.T).Context(), filepath.Join(w.conf.Server.BinDir, "pg_dump"), "--schema-only", "--dbname="+database)
	cmd.Env = env
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		w.t.Fatalf("pg_dump: %v\n%s", err, &stderr)
	}
	text := regexp.MustCompile(`(?m)^\\(un)?restrict .*\n`).ReplaceAllString(string(out), "")
	text = inheriting.ReplaceAllStringFunc(text, func(table string) string {
		m := inheriting.FindStringSubmatch(table)
		columns := strings.Split(m[2]+",", "\n")
		sort.Strings(columns)
		return m[1] + strings.Join(columns, "\n") + m[3]
	})
	return strings.Split(text, "\n")
}

// rowsOf sums the rows of each table as the server writes them, with the
// columns in the order of their names. Materialized views are not in it: a
// dump has their query, and a restore asks it anew.
func (w *switchWorld) rowsOf(database string) map[string]string {
	w.t.Helper()
	conn := connectAs(w.t.(*testing.T), w.conf.Server, database)
	ctx := w.t.(*testing.T).Context()
	rows, err := conn.Query(ctx, `SELECT c.oid::regclass::text, 'SELECT concat_ws('' '', count(*), sum(hashtextextended(ROW(' ||
			coalesce((SELECT string_agg('t.' || quote_ident(attname), ',' ORDER BY attname) FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped), '') || ')::text, 0)::numeric)) FROM ONLY ' || c.oid::regclass || ' t'
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'back') AND n.nspname !~ '^pg_'`)
	if err != nil {
		w.t.Fatal(err)
	}
	queries := map[string]string{}
	for rows.Next() {
		var table, query string
		if err := rows.Scan(&table, &query); err != nil {
			w.t.Fatal(err)
		}
		queries[table] = query
	}
	if err := rows.Err(); err != nil {
		w.t.Fatal(err)
	}
	for table, query := range queries {
		var sum string
		if err := conn.QueryRow(ctx, query).Scan(&sum); err != nil {
			w.t.Fatalf("%s: %v", query, err)
		}
		queries[table] = sum
	}
	conn.Close(ctx)
	return queries
}

// sameRowsAs compares the rows of all tables with what they were.
func (w *switchWorld) sameRowsAs(database string, want map[string]string) {
	w.t.Helper()
	got := w.rowsOf(database)
	if len(got) != len(want) || len(want) < 400 {
		w.t.Errorf("%s has %d tables, not %d", database, len(got), len(want))
	}
	for table, sum := range want {
		if got[table] != sum {
			w.t.Errorf("%s in %s: %q, not %q", table, database, got[table], sum)
		}
	}
}

// TestPublishedSample takes the sample through all that can happen to a
// database: backed up, proven, restored, some of it brought back, and switched.
// Nothing of it is lost, by pg_dump's and the server's own word.
func TestPublishedSample(t *testing.T) {
	w := newSampleWorld(t)
	w.id = w.backup(BackupOptions{Database: w.name}).ok(t).done.ID
	a := w.list()[0]
	schemas := w.ask(w.name, "SELECT string_agg(DISTINCT relnamespace::regnamespace::text, ',') FROM pg_class WHERE relkind IN ('r', 'v', 'm') AND relnamespace::regnamespace::text !~ '^(pg_|information_schema)'")
	if a.Tables < 400 || a.Rows < 300_000 || len(strings.Split(schemas, ",")) < 8 {
		t.Errorf("%d tables, %d rows, schemas %s", a.Tables, a.Rows, schemas)
	}
	rows, schema := w.rowsOf(w.name), w.schemaOf(w.name)

	// It has types and functions in the server's own code, which only a
	// superuser can make: a proof says so, and goes on when told to.
	w.verify(w.id, ProofReadable).ok(t)
	w.verify(w.id, ProofRestored).failed(t, fault.Refused)
	p := &tape{}
	p.err = w.vault().Verify(t.Context(), VerifyOptions{ID: w.id, Level: ProofRestored, Identities: w.ids, AsSuperuser: true}, p.sink)
	p.check(t)
	if p.ok(t).done.TablesEqual != a.Tables {
		t.Errorf("proven: %d of %d tables equal", p.done.TablesEqual, a.Tables)
	}

	p = w.apply(t.Context(), w.plan(RestoreOptions{ID: w.id, ToNew: w.with, Jobs: 2}), nil).ok(t)
	if p.done.TablesEqual != a.Tables || p.done.TablesTotal != a.Tables || len(p.done.Differences) > 0 {
		t.Errorf("restored: %d of %d tables equal: %+v", p.done.TablesEqual, a.Tables, p.done.Differences)
	}
	for _, n := range all[Notice](p) { // those whose columns stand in another order: see inheriting
		if n.Level == "warning" && !strings.Contains(n.Text, "3 definitions read differently after the restore: table public.gtestxx_4, table public.test_type_diff2_c1, table public.test_type_diff2_c2") {
			t.Errorf("a warning: %s", n.Text)
		}
	}
	w.sameRowsAs(w.with, rows)
	got := w.schemaOf(w.with)
	for i := range min(len(got), len(schema)) {
		if got[i] != schema[i] {
			t.Fatalf("line %d of the schemas:\n%.300q\n%.300q", i, schema[i], got[i])
		}
	}
	if len(got) != len(schema) || len(schema) < 15_000 {
		t.Errorf("schemas of %d and %d lines", len(schema), len(got))
	}
	w.someOfTheSample(t, rows)

	w.live, w.rest = w.oid(w.name), w.oid(w.with)
	w.doSwitch(w.vault(), w.planSwitch()).ok(t)
	if w.oid(w.name) != w.rest {
		t.Error("the restored database has not the name")
	}
	w.sameRowsAs(w.name, rows)
	w.undo().ok(t)
	if w.oid(w.name) != w.live || w.oid(w.with) != w.rest {
		t.Error("the names did not go back")
	}
}

// someOfTheSample brings back every table of one schema after the other into a
// schema of the live database; what merges them adds nothing, for nothing is
// missing.
func (w *switchWorld) someOfTheSample(t *testing.T, rows map[string]string) {
	t.Helper()
	for _, schema := range []string{"testxmlschema", "fkpart3", "public"} {
		beside := "some_" + schema
		plan := w.plan(RestoreOptions{ID: w.id, ToNew: beside, Tables: []string{schema + ".*"}, IntoSchema: "back", Jobs: 2})
		p := w.apply(t.Context(), plan, nil).ok(t)
		if n := len(plan.Tables); p.done.TablesEqual != p.done.TablesTotal || p.done.TablesTotal == 0 || n < 3 {
			t.Errorf("%s: %d of %d tables equal, %d chosen", schema, p.done.TablesEqual, p.done.TablesTotal, n)
		}
		merge, err := w.vault().MergeSQL(t.Context(), plan)
		if err != nil {
			t.Fatal(err)
		}
		if err := pg.Exec(t.Context(), w.conf.Server, w.name, merge); err != nil {
			t.Fatal(err)
		}
		w.sql(w.name, "DROP SCHEMA back CASCADE")
		w.sql("", "DROP DATABASE "+beside)
	}
	w.sameRowsAs(w.name, rows)
}
