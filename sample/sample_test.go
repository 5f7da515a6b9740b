package sample_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pgvault/pg/pgtest"
	"pgvault/sample"
)

// The cluster runs the newest installed PostgreSQL, or the one whose programs
// are in PGVAULT_TEST_BINDIR (scripts/test-matrix.sh).
var cluster *pgtest.Cluster

func TestMain(m *testing.M) {
	c, err := pgtest.Start(context.Background(), pgtest.Options{BinDir: os.Getenv("PGVAULT_TEST_BINDIR")})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	cluster = c
	code := m.Run()
	if err := c.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// client runs a client program of the cluster against database, and gives
// what it wrote.
func client(t *testing.T, database, stdin, program string, args ...string) string {
	t.Helper()
	env, err := cluster.Settings().Env(os.Environ())
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(cluster.BinDir, program), args...)
	cmd.Env = append(env, "PGDATABASE="+database)
	cmd.Stdin = strings.NewReader(stdin)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, said.Bytes())
	}
	return string(out)
}

// query gives the unaligned result of a statement.
func query(t *testing.T, database, sql string) string {
	t.Helper()
	return strings.TrimSpace(client(t, database, "", "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql))
}

// load makes the school of about size bytes in a new database.
func load(t *testing.T, database string, size int64) {
	t.Helper()
	client(t, "postgres", "", "createdb", "-T", "template0", "--", database)
	all := append([]string{sample.Roles(), sample.Schema()}, sample.Data(size)...)
	for _, s := range append(all, sample.Settings(database)) {
		if l := sample.Label(s); l == "" || len(l) > 60 || strings.Contains(l, ";") {
			t.Errorf("label %q is not a few words", l)
		}
		// Each statement in a session of its own, as one transaction.
		query(t, database, s)
	}
}

func TestSizeIsAboutWhatWasAskedFor(t *testing.T) {
	for _, size := range []int64{2_000_000, sample.DefaultSize} {
		database := fmt.Sprintf("size %d", size)
		load(t, database, size)
		got := int64(len(client(t, database, "", "pg_dump", "-Fc", "-Z0", "-b")))
		t.Logf("asked for %d bytes, dump has %d", size, got)
		if got < size/2 || got > size*2 {
			t.Errorf("dump of a school of %d bytes has %d", size, got)
		}
		query(t, "postgres", `DROP DATABASE "`+database+`"`)
	}
}

// TestEveryKindOfObject checks that what backups trip over is really there.
func TestEveryKindOfObject(t *testing.T) {
	const database = `school "of" 100%`
	load(t, database, 1_000_000)
	for name, sql := range map[string]string{
		"a few dozen tables":         `SELECT count(*) BETWEEN 40 AND 90 FROM pg_class WHERE relkind = 'r' AND relnamespace::regnamespace::text !~ '^(pg_|information)'`,
		"partitions with rows":       `SELECT count(*) = 13 FROM pg_class WHERE relispartition AND relname ~ '^ledger_[o0-9a-z_]+$' AND relkind = 'r' AND reltuples > 0`,
		"rows in the default one":    `SELECT count(*) = 60 FROM fees.ledger_other`,
		"inheritance":                `SELECT count(*) = 240 FROM people.person`,
		"nothing of its own":         `SELECT count(*) = 0 FROM ONLY people.person`,
		"an empty table":             `SELECT count(*) = 0 FROM teaching.incident`,
		"enums":                      `SELECT count(*) >= 4 FROM pg_type WHERE typtype = 'e'`,
		"domains":                    `SELECT count(*) >= 3 FROM pg_type WHERE typtype = 'd' AND typnamespace::regnamespace::text ~ '^(people|fees|teaching)$'`,
		"generated columns":          `SELECT count(*) >= 4 FROM pg_attribute WHERE attgenerated = 's'`,
		"both kinds of identity":     `SELECT count(DISTINCT attidentity) = 3 FROM pg_attribute`,
		"a sequence that moved":      `SELECT last_value > 10001 FROM fees.invoice_number`,
		"large objects":              `SELECT count(*) > 5 FROM pg_largeobject_metadata`,
		"an empty large object":      `SELECT count(*) = 1 FROM files.scan WHERE document NOT IN (SELECT loid FROM pg_largeobject)`,
		"bytea":                      `SELECT bool_and(octet_length(content) = size) AND count(*) > 20 FROM files.attachment`,
		"a filled materialized view": `SELECT count(*) > 11 FROM fees.month_total`,
		"an unfilled one":            `SELECT NOT relispopulated FROM pg_class WHERE relname = 'not_filled'`,
		"triggers that ran":          `SELECT count(*) > 0 FROM audit.change`,
		"an event trigger":           `SELECT evtname = 'note_drop' FROM pg_event_trigger`,
		"a row security policy":      `SELECT count(*) = 1 FROM pg_policy JOIN pg_class c ON c.oid = polrelid WHERE relrowsecurity`,
		"extensions":                 `SELECT string_agg(extname, ' ' ORDER BY extname) = 'citext pg_trgm plpgsql' FROM pg_extension`,
		"names of 63 bytes":          `SELECT count(*) = 2 FROM pg_class WHERE relkind = 'r' AND octet_length(relname) = 63`,
		"a name with a line break":   `SELECT count(*) = 1 FROM pg_class WHERE relname = E'two\nlines'`,
		"a table without columns":    `SELECT count(*) = 3 FROM "Odd Names"."no columns"`,
		"nothing of the generator":   `SELECT count(*) = 0 FROM pg_namespace WHERE nspname = 'seed'`,
		"an owner of another name":   `SELECT count(*) = 1 FROM pg_class WHERE relowner = 'school_office'::regrole AND relkind = 'r'`,
		"settings of the database":   `SELECT count(*) = 2 FROM pg_db_role_setting s JOIN pg_database d ON d.oid = setdatabase WHERE datname = current_database()`,
		"balanced classes":           `SELECT count(*) = (SELECT count(*) FROM people.student) FROM teaching.enrolment`,
	} {
		if got := query(t, database, sql); got != "t" {
			t.Errorf("%s: %s gave %q", name, sql, got)
		}
	}
}

// TestMatrixRestores sends the school through pg_dump and pg_restore, which must
// say nothing, and compares the two dumps.
func TestMatrixRestores(t *testing.T) {
	const size = 1_000_000
	load(t, "original", size)
	dump := client(t, "original", "", "pg_dump", "-Fc", "-Z0")
	client(t, "postgres", "", "createdb", "-T", "template0", "restored")
	client(t, "restored", dump, "pg_restore", "--exit-on-error", "-d", "restored")
	plain := func(database string) string {
		// Newer releases add a line with a random word to every plain dump.
		var kept []string
		for line := range strings.Lines(client(t, database, "", "pg_dump")) {
			if !strings.HasPrefix(line, `\restrict `) && !strings.HasPrefix(line, `\unrestrict `) {
				kept = append(kept, line)
			}
		}
		return strings.Join(kept, "")
	}
	if plain("original") != plain("restored") {
		t.Error("the restored school is not dumped as the original is")
	}
}

// TestSameSizeSameRows loads twice and compares a digest of all rows that do
// not hold the time of the load.
func TestSameSizeSameRows(t *testing.T) {
	digest := func(database string) string {
		load(t, database, 1_000_000)
		list := query(t, database, `SELECT string_agg(format('SELECT %L, count(*), md5(string_agg(md5(x::text), '''' ORDER BY x::text)) FROM (SELECT * FROM %s) AS x', c.oid::regclass, c.oid::regclass), ' UNION ALL ' ORDER BY c.oid)
			FROM pg_class AS c WHERE relkind IN ('r', 'm') AND relnamespace::regnamespace::text IN ('teaching', 'fees', 'library', 'transport') AND relname <> 'not_filled'`)
		return query(t, database, list)
	}
	one, two := digest("first"), digest("second")
	if strings.Count(one, "\n") < 30 {
		t.Fatalf("digest of too few tables:\n%s", one)
	}
	if one != two {
		t.Errorf("two schools of one size differ:\n%s\n%s", one, two)
	}
}
