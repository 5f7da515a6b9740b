package vault

import (
	"strings"
	"testing"

	"pgvault/fault"
)

// TestPlanOwners: a role that restores without being a superuser is told
// whose objects it cannot give to them, and nothing where it can.
func TestPlanOwners(t *testing.T) {
	for _, r := range []string{"plan_maker", "plan_owner"} {
		dropRoleAfter(t, r)
	}
	sql(t, "", "CREATE ROLE plan_maker LOGIN CREATEDB CREATEROLE", "CREATE ROLE plan_owner")
	create(t, "plan_owned", "")
	sql(t, "plan_owned", "CREATE SCHEMA own AUTHORIZATION plan_owner", "CREATE TABLE own.a AS SELECT 1 AS i", "ALTER TABLE own.a OWNER TO plan_owner", "CREATE TABLE b AS SELECT 2 AS i", "ALTER TABLE b OWNER TO plan_maker", "ALTER DATABASE plan_owned OWNER TO plan_maker",
		"ALTER SCHEMA public OWNER TO plan_maker")
	w := newWorld(t)
	w.backup(BackupOptions{Database: "plan_owned"}).ok(t)
	o := RestoreOptions{ID: w.list()[0].ID, ToNew: "plan_owned_r"}
	says := func(o RestoreOptions, want bool) {
		t.Helper()
		n := 0
		for _, c := range w.plan(o).Checks {
			if strings.Contains(c.Text, "may not make these the owners of objects: plan_owner;") && c.State == "!" && strings.Contains(c.Do, "GRANT plan_owner TO plan_maker") {
				n++
			}
		}
		if n != map[bool]int{true: 1}[want] {
			t.Errorf("%d lines of owners", n)
		}
	}
	says(o, false) // a superuser
	w.conf.Server = cluster.SettingsFor("plan_maker")
	w.conf.Server.BinDir = cluster.BinDir
	says(o, true)
	says(RestoreOptions{ID: o.ID, ToNew: o.ToNew, NoOwner: true}, false)
	dropAfter(t, "plan_owned_r")
	e := w.apply(t.Context(), w.plan(o), nil).failed(t, fault.Partial)
	if !strings.Contains(e.Why, "plan_owner") {
		t.Errorf("%s: %s", e.What, e.Why)
	}
	sql(t, "", "GRANT plan_owner TO plan_maker")
	says(o, false)
	o.ToNew = "plan_owned_r2"
	dropAfter(t, "plan_owned_r2")
	w.apply(t.Context(), w.plan(o), nil).ok(t)
	if got := one[string](t, "plan_owned_r2", "SELECT string_agg(tableowner, ',' ORDER BY tablename) FROM pg_tables WHERE schemaname IN ('own', 'public')"); got != "plan_owner,plan_maker" {
		t.Error(got)
	}
}
