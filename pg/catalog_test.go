package pg_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgvault/fault"
	"pgvault/pg"
)

func TestCatalog(t *testing.T) {
	for _, r := range []string{"owner_r", "policy_r", "setting_r", "grantee_r", "unrelated_r"} {
		newPlainRole(t, r, "NOINHERIT CREATEDB")
	}
	newDatabase(t, "src", append(slices.Clone(school),
		"CREATE EXTENSION pgcrypto", "CREATE TEMP TABLE temporary (i int)",
		"ALTER TABLE fee OWNER TO owner_r", "GRANT SELECT ON pupil TO grantee_r",
		"ALTER TABLE dog ENABLE ROW LEVEL SECURITY", "CREATE POLICY p ON dog TO policy_r USING (true)",
		"ALTER TABLE dog ADD CONSTRAINT later CHECK (breed <> 'x') NOT VALID",
		"CREATE MATERIALIZED VIEW empty_mv AS SELECT 1 WITH NO DATA",
		"CREATE UNIQUE INDEX good ON animal (name)", "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'good'::regclass",
		"CREATE SEQUENCE used", "SELECT nextval('used')", "CREATE SEQUENCE unused", "CREATE UNLOGGED TABLE unlogged (i int)",
		"ALTER DATABASE src SET search_path = '$user', public", "ALTER ROLE setting_r IN DATABASE src SET work_mem = '5MB'",
		"COMMENT ON DATABASE src IS 'it''s mine'", "GRANT CREATE ON DATABASE src TO grantee_r WITH GRANT OPTION", "ALTER DATABASE src CONNECTION LIMIT 7",
		"ANALYZE")...)
	c := catalogOf(t, settings(), "src")

	if s := c.Server; s.Major() != programs(t).Major || !s.SuperUser || s.InRecovery || s.User != "postgres" || len(s.SystemID) < 15 || strings.Contains(s.Version, " ") {
		t.Errorf("server: %+v", s)
	}
	d := c.Database
	if d.Size < 1<<20 || d.Owner != "postgres" || d.Encoding != "UTF8" || d.Collate != "C" || d.Provider != "c" || d.ConnLimit != 7 || d.Comment != "it's mine" || d.Tablespace != "pg_default" {
		t.Errorf("database: %+v", d)
	}
	if want := []pg.Setting{{Name: "search_path", Value: `"$user", public`}, {Role: "setting_r", Name: "work_mem", Value: "5MB"}}; !reflect.DeepEqual(d.Settings, want) {
		t.Errorf("settings: %+v", d.Settings)
	}
	if want := (pg.Grant{Grantee: "grantee_r", Privilege: "CREATE", Grantable: true}); !slices.Contains(d.Grants, want) || !slices.Contains(d.Grants, pg.Grant{Privilege: "CONNECT"}) {
		t.Errorf("grants: %+v", d.Grants)
	}
	var roles []string
	for _, r := range c.Roles {
		roles = append(roles, r.Name)
		if r.Name == "owner_r" && (r.Inherit || !r.CreateDB || r.Login || r.Super) {
			t.Errorf("%+v", r)
		}
	}
	if want := []string{"grantee_r", "owner_r", "policy_r", "postgres", "setting_r"}; !slices.Equal(roles, want) {
		t.Errorf("roles: %q", roles)
	}
	if !slices.ContainsFunc(c.Extensions, func(e pg.Extension) bool { return e.Name == "pgcrypto" && e.Schema == "public" && e.Version != "" }) {
		t.Errorf("extensions: %+v", c.Extensions)
	}
	checkTables(t, c.Tables)
	checkFacts(t, c)
}

func checkTables(t *testing.T, tables []pg.TableStat) {
	t.Helper()
	by := map[string]pg.TableStat{}
	var order []string
	for _, s := range tables {
		n := pg.QuoteName(s.Schema, s.Name)
		by[n], order = s, append(order, n)
	}
	want := []string{`"Größe; DROP"."t ""x"" 東京"`, "public.animal", "public.dog", "public.empty_mv", "public.fee", "public.ledger", "public.ledger_23",
		"public.ledger_24", "public.mv", "public.nothing", "public.pupil", "public.unlogged"}
	if !slices.Equal(order, want) {
		t.Errorf("tables: %q", order)
	}
	if p := by["public.pupil"]; p.EstRows != 500 || p.Size < 8192 || p.Kind != 'r' {
		t.Errorf("pupil: %+v", p)
	}
	if by["public.ledger"].Kind != 'p' || by["public.mv"].Kind != 'm' || by["public.empty_mv"].EstRows != -1 {
		t.Errorf("%+v", by)
	}
}

func checkFacts(t *testing.T, c *pg.Catalog) {
	t.Helper()
	want := pg.Facts{InvalidIndexes: []string{"public.good"}, UnvalidatedConstraints: []string{"public.dog: later"}, UnpopulatedMatviews: []string{"public.empty_mv"},
		Indexes: 5, Constraints: 4, Triggers: 1, Functions: 1, Views: 1, Matviews: 2}
	if !reflect.DeepEqual(c.Facts, want) {
		t.Errorf("facts: %+v\nwant   %+v", c.Facts, want)
	}
	last := map[string]int64{}
	for _, s := range c.Sequences {
		last[s.Name] = -1
		if s.Last != nil {
			last[s.Name] = *s.Last
		}
	}
	if want := map[string]int64{"used": 1, "unused": -1, "pupil_id_seq": 500}; !reflect.DeepEqual(last, want) {
		t.Errorf("sequences: %v", last)
	}
	if c.LargeObjects != 1 || c.UnreadableLargeObjects != 0 || len(c.RowSecurity)+len(c.Unreadable) != 0 {
		t.Errorf("rights of a superuser: %+v", c)
	}
	text, err := json.Marshal(c)
	if err != nil || !strings.Contains(string(text), `"est_rows":500`) || !strings.Contains(string(text), `"icu_locale":""`) {
		t.Errorf("%s, %v", text, err)
	}
	var back pg.Catalog
	if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(&back, c) {
		t.Errorf("JSON and back: %v", err)
	}
}

// TestReadOnlyRole is the role that a backup should have: it reads all rows
// and passwords, but not other roles' large objects.
func TestReadOnlyRole(t *testing.T) {
	newRole(t, "backup_r", "IN ROLE pg_read_all_data")
	newDatabase(t, "src", "CREATE TABLE a (i int)", "INSERT INTO a VALUES (1)", "CREATE SEQUENCE s")
	s := overTCP(t, "backup_r")
	c := catalogOf(t, s, "src")
	if len(c.Unreadable)+len(c.RowSecurity) != 0 || c.Server.SuperUser || c.Server.User != "backup_r" {
		t.Errorf("%+v", c)
	}
	if archive, err := dump(t, s, pg.DumpOptions{Database: "src"}); err != nil || len(archive) == 0 {
		t.Error(err)
	}
	sql, warned, err := pg.DumpGlobals(t.Context(), s, programs(t))
	if err != nil || len(warned) != 0 || !strings.Contains(string(sql), "SCRAM-SHA-256") {
		t.Errorf("%v, %q", err, warned)
	}
	exec(t, connectTo(t, "src"), "SELECT lo_from_bytea(10, 'a'), lo_from_bytea(11, 'b'), lo_from_bytea(12, 'c')")
	exec(t, connectTo(t, "src"), "GRANT SELECT ON LARGE OBJECT 11 TO PUBLIC")
	c = catalogOf(t, s, "src")
	if c.LargeObjects != 3 || c.UnreadableLargeObjects != 2 || !slices.Equal(c.UnreadableSample, []uint32{10, 12}) {
		t.Errorf("large objects: %+v", c)
	}
	_, err = dump(t, s, pg.DumpOptions{Database: "src"})
	wantFault(t, err, fault.Failed, "large object")
	exec(t, connectTo(t, "src"), "SELECT lo_unlink(oid) FROM pg_largeobject_metadata")
}

func TestGlobalsWithoutPasswords(t *testing.T) {
	newRole(t, "globals_r", "")
	sql, warned, err := pg.DumpGlobals(t.Context(), overTCP(t, "globals_r"), programs(t))
	if err != nil || !strings.Contains(string(sql), "CREATE ROLE globals_r") || strings.Contains(string(sql), "SCRAM") {
		t.Errorf("%s, %v", sql, err)
	}
	if len(warned) != 1 || !strings.Contains(warned[0], "without passwords") {
		t.Errorf("warnings: %q", warned)
	}
}

// TestGlobalsThroughOwnDatabase: where neither postgres nor template1 lets
// the role in, the database of the settings does.
func TestGlobalsThroughOwnDatabase(t *testing.T) {
	newRole(t, "own_r", "")
	newDatabase(t, "own")
	conn := connectTo(t, "")
	for _, db := range []string{"postgres", "template1"} {
		exec(t, conn, "REVOKE CONNECT ON DATABASE "+db+" FROM PUBLIC")
		defer exec(t, conn, "GRANT CONNECT ON DATABASE "+db+" TO PUBLIC")
	}
	s := overTCP(t, "own_r")
	if _, _, err := pg.DumpGlobals(t.Context(), s, programs(t)); fault.CodeOf(err) != fault.DBUnreachable || !strings.Contains(err.Error(), "may not connect") {
		t.Errorf("without a way in: %v", err)
	}
	s.Conninfo = strings.Replace(s.Conninfo, "/postgres?", "/own?", 1)
	if sql, _, err := pg.DumpGlobals(t.Context(), s, programs(t)); err != nil || !strings.Contains(string(sql), "CREATE ROLE own_r") {
		t.Errorf("%s, %v", sql, err)
	}
}

func TestForbiddenTable(t *testing.T) {
	newRole(t, "weak_r", "")
	newDatabase(t, "src", "CREATE TABLE open (i int)", "GRANT SELECT ON open TO weak_r", `CREATE TABLE "Secret" (i int)`, "CREATE SCHEMA closed", "CREATE TABLE closed.c (i int)", "GRANT SELECT ON closed.c TO weak_r")
	c := catalogOf(t, overTCP(t, "weak_r"), "src")
	if want := []string{"closed.c", `public."Secret"`}; !slices.Equal(c.Unreadable, want) {
		t.Errorf("unreadable: %q", c.Unreadable)
	}
	exec(t, connectTo(t, "src"), "DROP SCHEMA closed CASCADE")
	_, err := dump(t, overTCP(t, "weak_r"), pg.DumpOptions{Database: "src"})
	wantFault(t, err, fault.Failed, "Secret", "pg_read_all_data")
}

func TestRowSecurityIsNamed(t *testing.T) {
	newRole(t, "rls_r", "IN ROLE pg_read_all_data")
	newDatabase(t, "src", "CREATE TABLE mine (i int)", "CREATE TABLE hidden (i int)", "INSERT INTO hidden SELECT generate_series(1, 10)",
		"ALTER TABLE hidden ENABLE ROW LEVEL SECURITY", "CREATE POLICY few ON hidden USING (i < 4)")
	s := overTCP(t, "rls_r")
	if c := catalogOf(t, s, "src"); !slices.Equal(c.RowSecurity, []string{"public.hidden"}) {
		t.Errorf("row security: %q", c.RowSecurity)
	}
	_, err := dump(t, s, pg.DumpOptions{Database: "src"})
	wantFault(t, err, fault.Failed, "hidden", "row-level security", "BYPASSRLS")
	exec(t, connectTo(t, ""), "ALTER ROLE rls_r BYPASSRLS")
	if _, err := dump(t, s, pg.DumpOptions{Database: "src"}); err != nil {
		t.Error(err)
	}
}
