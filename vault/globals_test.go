package vault

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"pgvault/fault"
)

// rolesVerifier is what the server keeps of a role's password.
func rolesVerifier(t *testing.T, role string) string {
	t.Helper()
	return one[string](t, "", "SELECT coalesce(max(rolpassword), '') FROM pg_authid WHERE rolname = $1", role)
}

// TestRolesAsTheyWere: roles that are missing are refused with statements, or
// made with all that they had, and nothing that a person or a file sees
// holds a verifier.
func TestRolesAsTheyWere(t *testing.T) {
	for _, r := range []string{"was_group", "was_owner", "was_there"} {
		dropRoleAfter(t, r)
	}
	sql(t, "", "CREATE ROLE was_group", "CREATE ROLE was_owner LOGIN CREATEDB PASSWORD 'geheim' CONNECTION LIMIT 9 IN ROLE was_group", "CREATE ROLE was_there", "ALTER ROLE was_owner SET work_mem = '7MB'", "COMMENT ON ROLE was_owner IS 'owns'")
	create(t, "was_db", "")
	sql(t, "was_db", "CREATE TABLE a AS SELECT 1 AS i", "ALTER TABLE a OWNER TO was_owner", "GRANT SELECT ON a TO was_there", "ALTER DATABASE was_db OWNER TO was_owner", "ALTER ROLE was_owner IN DATABASE was_db SET work_mem = '8MB'",
		"COMMENT ON DATABASE was_db IS 'a db'", "ALTER DATABASE was_db CONNECTION LIMIT 11", "GRANT TEMPORARY ON DATABASE was_db TO was_there", "ALTER DATABASE was_db SET statement_timeout = '17min'")
	verifier := rolesVerifier(t, "was_owner")
	w := newWorld(t)
	w.backup(BackupOptions{Database: "was_db"}).ok(t)
	id := w.list()[0].ID
	canary(verifier).absent(t, w.dir)
	sql(t, "", "ALTER DATABASE was_db OWNER TO postgres")
	sql(t, "was_db", "REASSIGN OWNED BY was_owner TO postgres")
	sql(t, "", "DROP ROLE was_owner", "DROP ROLE was_group", "ALTER ROLE was_there CREATEDB")

	refused := w.plan(RestoreOptions{ID: id, ToNew: "was_new"})
	text := strings.Join(refused.Statements, "\n")
	if c := planState(t, refused, "roles are missing: was_owner", "x"); !strings.Contains(c.Do, "--roles create") || !strings.Contains(text, `CREATE ROLE "was_owner"`) || !strings.Contains(text, `GRANT "was_group" TO "was_owner"`) || strings.Contains(text, "PASSWORD") {
		t.Errorf("%+v\n%s", c, text)
	}
	plan := w.plan(RestoreOptions{ID: id, ToNew: "was_new", FullRoles: true})
	if !strings.Contains(plan.Same, "--roles create") || !plan.Order().FullRoles || !strings.Contains(strings.Join(plan.Steps, "\n"), "PASSWORD (as it was)") {
		t.Errorf("%q, %q", plan.Same, plan.Steps)
	}
	js, err := json.Marshal(plan)
	if shown := fmt.Sprintf("%+v %#v", plan.Steps, plan.Statements); err != nil || strings.Contains(string(js), "SCRAM") || strings.Contains(shown, "SCRAM") {
		t.Errorf("the plan shows a verifier: %v", err)
	}
	dropAfter(t, "was_new")
	w.apply(t.Context(), plan, nil).ok(t)
	if got := rolesVerifier(t, "was_owner"); got != verifier || got == "" {
		t.Error("the verifier is another one")
	}
	for query, want := range map[string]string{
		"SELECT concat_ws(',', rolcanlogin, rolcreatedb, rolsuper, rolconnlimit, rolconfig) FROM pg_roles WHERE rolname = 'was_owner'":                                                 "t,t,f,9,{work_mem=7MB}",
		"SELECT pg_has_role('was_owner', 'was_group', 'MEMBER')::text":                                                                                                                 "true",
		"SELECT rolcreatedb::text FROM pg_roles WHERE rolname = 'was_there'":                                                                                                           "true",
		"SELECT concat_ws(',', pg_get_userbyid(datdba), datconnlimit, shobj_description(oid, 'pg_database')) FROM pg_database WHERE datname = 'was_new'":                               "was_owner,11,a db",
		"SELECT has_database_privilege('was_there', 'was_new', 'TEMPORARY')::text":                                                                                                     "true",
		"SELECT string_agg(array_to_string(setconfig, ','), ';' ORDER BY setrole) FROM pg_db_role_setting WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = 'was_new')": "statement_timeout=17min;work_mem=8MB",
		"SELECT shobj_description('was_owner'::regrole, 'pg_authid')":                                                                                                                  "owns",
	} {
		if got := one[string](t, "", query); got != want {
			t.Errorf("%s: %q, not %q", query, got, want)
		}
	}
	canary(verifier).absent(t, w.dir)
	if got := one[string](t, "was_new", "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'a'"); got != "was_owner" {
		t.Error(got)
	}
}

// TestGlobalsAlone is what a recovery begins with: all roles of an archive,
// planned and applied without a database.
func TestGlobalsAlone(t *testing.T) {
	dropRoleAfter(t, "alone_a")
	create(t, "alone_db", "")
	sql(t, "alone_db", "CREATE TABLE a AS SELECT 1 AS i")
	sql(t, "", "CREATE ROLE alone_a LOGIN PASSWORD 'x'")
	w := newWorld(t)
	w.backup(BackupOptions{Database: "alone_db"}).ok(t)
	verifier := rolesVerifier(t, "alone_a")
	sql(t, "", "DROP ROLE alone_a")
	o := GlobalsOptions{ID: "latest:alone_db", Passwords: true, Identities: w.ids}
	p, err := w.vault().PlanGlobals(t.Context(), o)
	if err != nil || p == nil || len(p.Statements) != 1 || !p.Passwords || !slices.Contains(p.Exist, "postgres") {
		t.Fatalf("%+v, %v", p, err)
	}
	other := w.conf
	other.ReadOnly = true
	if _, _, err := New(other).ApplyGlobals(t.Context(), p); fault.CodeOf(err) != fault.Refused {
		t.Errorf("read-only: %v", err)
	}
	made, warned, err := w.vault().ApplyGlobals(t.Context(), p)
	if err != nil || !slices.Equal(made, []string{"alone_a"}) || len(warned) != 0 || rolesVerifier(t, "alone_a") != verifier {
		t.Errorf("%q, %q, %v", made, warned, err)
	}
	if trail, err := os.ReadFile(w.path("state/audit.jsonl")); err != nil || !strings.Contains(string(trail), "roles of "+p.Archive) || strings.Contains(string(trail), "SCRAM") {
		t.Errorf("%s, %v", trail, err)
	}
	if p, err = w.vault().PlanGlobals(t.Context(), o); err != nil || len(p.Statements) != 0 || !slices.Contains(p.Exist, "alone_a") {
		t.Errorf("%+v, %v", p, err)
	}
	off := false
	w.conf.Server.Globals = &off
	w.backup(BackupOptions{Database: "alone_db"}).ok(t)
	if p, err = w.vault().PlanGlobals(t.Context(), o); p != nil || err != nil {
		t.Errorf("an archive without roles: %+v, %v", p, err)
	}
}
