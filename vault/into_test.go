package vault

import (
	"strings"
	"testing"

	"pgvault/fault"
	"pgvault/pg"
)

// TestTablesIntoSchema: chosen tables are compared beside, then copied into a
// new schema of the live database; the SQL that merges them is run by the
// test as a person would.
func TestTablesIntoSchema(t *testing.T) {
	create(t, "into_live", "")
	sql(t, "into_live", "CREATE TABLE a (id serial PRIMARY KEY, v text)", "INSERT INTO a (v) SELECT i FROM generate_series(1, 100) i", "CREATE TABLE b AS SELECT 1 AS i",
		"CREATE TABLE p (at int, v text) PARTITION BY RANGE (at)", "CREATE TABLE p1 PARTITION OF p DEFAULT", "INSERT INTO p VALUES (1, 'x'), (2, 'y')")
	w := newWorld(t)
	w.backup(BackupOptions{Database: "into_live"}).ok(t)
	id := w.list()[0].ID
	sql(t, "into_live", "DELETE FROM a WHERE id > 90", "UPDATE a SET v = 'newer' WHERE id = 1", "DELETE FROM p")
	o := RestoreOptions{ID: id, ToNew: "into_beside", Tables: []string{"a", "p"}, IntoSchema: "back here"}
	plan := w.plan(o)
	planState(t, plan, "will be new", "ok")
	if !strings.Contains(plan.Same, "--into-schema") || plan.Order().IntoSchema != "back here" || !strings.Contains(strings.Join(plan.Steps, "\n"), "into the new schema back here") {
		t.Errorf("%q, %q", plan.Same, plan.Steps)
	}
	dropAfter(t, "into_beside")
	w.apply(t.Context(), plan, nil).ok(t)
	if got := one[int](t, "into_live", `SELECT (SELECT count(*) FROM "back here".a) * 1000 + (SELECT count(*) FROM "back here".p)`); got != 100002 {
		t.Errorf("%d rows came", got)
	}
	if got := one[int](t, "into_live", "SELECT count(*) FROM public.a"); got != 90 {
		t.Errorf("the live table has %d rows", got)
	}
	merge, err := w.vault().MergeSQL(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	if err := pg.Exec(t.Context(), settings(), "into_live", merge); err != nil {
		t.Fatal(err)
	}
	if got := one[string](t, "into_live", "SELECT count(*) || min(v) FILTER (WHERE id = 1) || (SELECT count(*) FROM public.p) FROM public.a"); got != "100newer2" {
		t.Errorf("merged: %q\n%s", got, merge)
	}
	o.ToNew = "into_other"
	again := w.plan(o)
	planState(t, again, "has a schema back here already", "x")
	w.apply(t.Context(), again, nil).failed(t, fault.Refused)
	o.Tables = nil
	planState(t, w.plan(o), "a whole database cannot", "x")
}
