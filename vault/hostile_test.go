package vault

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgvault/fault"
)

// hostileTries are ways to reach beyond a database; %s is the path of a file
// to leave. Each runs for itself, and what it says is swallowed.
var hostileTries = []string{
	`COPY (SELECT 1) TO PROGRAM ''touch %s.program''`,
	`COPY (SELECT 1) TO ''%s.copy''`,
	`SELECT lo_export(lo_from_bytea(0, ''x''), ''%s.lo'')`,
	`CREATE FUNCTION sh(cstring) RETURNS int AS ''/lib/x86_64-linux-gnu/libc.so.6'', ''system'' LANGUAGE c`,
	`CREATE EXTENSION adminpack`,
}

// hostileEscapes are ways to become somebody else before that.
var hostileEscapes = []string{`NULL`, `RESET ROLE`, `RESET SESSION AUTHORIZATION`, `SET ROLE postgres`, `SET SESSION AUTHORIZATION postgres`, `SET ROLE pg_execute_server_program`,
	`ALTER ROLE CURRENT_USER SUPERUSER`, `GRANT pg_execute_server_program TO CURRENT_USER`, `CREATE ROLE stronger SUPERUSER`}

// hostileBody is a body in plpgsql that tries all of it, in the scratch
// server only, and leaves files that are called by way.
func hostileBody(dir, way string) string {
	var b strings.Builder
	b.WriteString("BEGIN IF current_database() = 'pgvault_scratch' THEN ")
	for i, escape := range hostileEscapes {
		if escape != "NULL" {
			fmt.Fprintf(&b, "BEGIN EXECUTE '%s'; EXCEPTION WHEN OTHERS THEN NULL; END; ", escape)
		}
		for _, try := range hostileTries {
			if strings.Contains(try, "%s") {
				try = fmt.Sprintf(try, filepath.Join(dir, fmt.Sprintf("%s.%d", way, i)))
			}
			fmt.Fprintf(&b, "BEGIN EXECUTE '%s'; EXCEPTION WHEN OTHERS THEN NULL; END; ", try)
		}
	}
	b.WriteString("END IF; END")
	return b.String()
}

// hostileDatabase is a database, every object of which that can run code
// does, and the ways in which.
func hostileDatabase(t *testing.T, name, dir string) (ways []string) {
	t.Helper()
	dropRoleAfter(t, "hostile_r")
	sql(t, "", "CREATE ROLE hostile_r")
	create(t, name, "")
	fn := func(way, args, end string) {
		ways = append(ways, way)
		returns := "int"
		switch end {
		case "RETURN true":
			returns = "boolean"
		case "RETURN NULL":
			returns = "trigger"
		case "RETURN":
			returns = "event_trigger"
		}
		volatility := " IMMUTABLE"
		if args == "" {
			volatility = ""
		}
		sql(t, name, "CREATE FUNCTION "+way+"_v() RETURNS void LANGUAGE plpgsql AS $hostile$ "+hostileBody(dir, way)+" $hostile$", // an immutable one may only read
			"CREATE FUNCTION "+way+"_f("+args+") RETURNS "+returns+" LANGUAGE plpgsql"+volatility+" AS $$ BEGIN PERFORM public."+way+"_v(); "+end+"; END $$")
	}
	fn("check", "int", "RETURN true")
	fn("generated", "int", "RETURN 1")
	fn("index", "int", "RETURN 1")
	fn("predicate", "int", "RETURN true")
	fn("domain", "int", "RETURN true")
	fn("matview", "int", "RETURN 1")
	fn("statistics", "int", "RETURN 1")
	fn("constraint", "int", "RETURN true")
	fn("partition", "int", "RETURN 1")
	fn("event", "", "RETURN")
	fn("row", "", "RETURN NULL")
	sql(t, name, "ALTER FUNCTION check_v() SECURITY DEFINER",
		"CREATE DOMAIN d AS int CHECK (domain_f(VALUE))",
		"CREATE TABLE a (i int CHECK (check_f(i)), g int GENERATED ALWAYS AS (generated_f(i)) STORED, d d)", "INSERT INTO a (i, d) SELECT i, i FROM generate_series(1, 10) i",
		"CREATE INDEX a_i ON a (index_f(i)) WHERE predicate_f(i)", "CREATE MATERIALIZED VIEW m AS SELECT matview_f(i) FROM a",
		"CREATE STATISTICS a_s ON statistics_f(i), i FROM a", "CREATE TABLE b (i int)", "INSERT INTO b VALUES (1)", "ALTER TABLE b ADD CONSTRAINT late CHECK (constraint_f(i)) NOT VALID",
		"CREATE TABLE p (i int) PARTITION BY RANGE (partition_f(i))", "CREATE TABLE p1 PARTITION OF p DEFAULT", "INSERT INTO p VALUES (1)",
		"CREATE TRIGGER row_t AFTER INSERT OR TRUNCATE ON a EXECUTE FUNCTION row_f()", "ALTER TABLE a ENABLE ALWAYS TRIGGER row_t",
		"CREATE EVENT TRIGGER event_t ON ddl_command_end EXECUTE FUNCTION event_f()", "ALTER EVENT TRIGGER event_t ENABLE ALWAYS", "COMMENT ON EVENT TRIGGER event_t IS 'fires'",
		"ALTER TABLE b OWNER TO hostile_r", "GRANT SELECT ON a TO hostile_r", "SELECT lo_from_bytea(4711, 'x')", "ALTER LARGE OBJECT 4711 OWNER TO hostile_r", "GRANT SELECT ON LARGE OBJECT 4711 TO PUBLIC")
	return ways
}

// hostileLeft are the ways that left a file.
func hostileLeft(t *testing.T, dir string) []string {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range files {
		way, _, _ := strings.Cut(f.Name(), ".")
		out = append(out, way)
	}
	return slices.Compact(out)
}

// TestHostileArchive: what runs code while an archive is restored for proof
// reaches nothing, and the proof is whole. The same archive, loaded as a
// superuser on request, shows that each way is one.
func TestHostileArchive(t *testing.T) {
	dir, err := os.MkdirTemp("", "hostile")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil { // the server is another user
		t.Fatal(err)
	}
	ways := hostileDatabase(t, "hostile", dir)
	if left := hostileLeft(t, dir); len(left) > 0 {
		t.Fatalf("the source itself was reached: %q", left)
	}
	w := newWorld(t)
	w.backup(BackupOptions{Database: "hostile"}).ok(t)
	a := w.list()[0]
	p := w.verify(a.ID, ProofRestored).ok(t)
	if left := hostileLeft(t, dir); len(left) > 0 {
		t.Errorf("code of the archive reached the host, by %q", left)
	}
	if p.done.Proof != ProofRestored || p.done.TablesEqual != a.Tables || p.done.TablesTotal != a.Tables || a.Tables == 0 {
		t.Errorf("%+v", p.done)
	}
	for _, n := range all[Notice](p) {
		if n.Level == "warning" {
			t.Errorf("warned: %s", n.Text)
		}
	}
	trusting := &tape{}
	trusting.err = w.vault().Verify(t.Context(), VerifyOptions{ID: a.ID, Level: ProofRestored, Identities: w.ids, AsSuperuser: true}, trusting.sink)
	trusting.check(t)
	if trusting.err != nil {
		t.Logf("as superuser: %v", trusting.err)
	}
	left := hostileLeft(t, dir)
	for _, way := range []string{"check", "generated", "domain", "matview", "index", "predicate", "statistics"} {
		if !slices.Contains(left, way) {
			t.Errorf("the test tries nothing by %s: as superuser, it left no file (of %q, tried %q)", way, left, ways)
		}
	}
}

// TestNativeArchive: an archive that brings code which no rights bound is
// refused, unless it is trusted on request.
func TestNativeArchive(t *testing.T) {
	create(t, "native", "")
	sql(t, "native", `CREATE FUNCTION "reads it"(text) RETURNS text LANGUAGE internal AS 'pg_read_file_all'`, "CREATE TABLE a AS SELECT 1 AS i")
	w := newWorld(t)
	w.backup(BackupOptions{Database: "native"}).ok(t)
	id := w.list()[0].ID
	e := w.verify(id, ProofRestored).failed(t, fault.Refused)
	if !strings.Contains(e.Why, `function public."reads it`) || !strings.Contains(e.Do, "--as-superuser") {
		t.Errorf("%+v", e)
	}
	if got := w.list()[0]; got.State != "good" || got.Proof != ProofReadable {
		t.Errorf("a refusal counts against the archive: %+v", got)
	}
	trusting := &tape{}
	trusting.err = w.vault().Verify(t.Context(), VerifyOptions{ID: id, Level: ProofRestored, Identities: w.ids, AsSuperuser: true}, trusting.sink)
	trusting.check(t)
	trusting.ok(t)
}
