package pg_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"pgvault/fault"
	"pgvault/pg"
)

// school is a database with what makes restores hard.
var school = []string{
	"CREATE TYPE mood AS ENUM ('sad', 'ok')",
	"CREATE TABLE pupil (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, double int GENERATED ALWAYS AS (length(name) * 2) STORED, m mood DEFAULT 'ok', at timestamptz DEFAULT '2024-03-31 12:00+02', fee money DEFAULT 12.5, raw bytea DEFAULT '\\x00ff', owner regclass DEFAULT 'pg_catalog.pg_class')",
	"INSERT INTO pupil (name) SELECT 'pupil ' || i FROM generate_series(1, 500) i",
	"CREATE TABLE fee (pupil int REFERENCES pupil, amount numeric(10,2) CHECK (amount > 0))",
	"INSERT INTO fee SELECT i, i * 1.5 FROM generate_series(1, 500) i",
	"DELETE FROM fee WHERE pupil % 3 = 0",
	"CREATE TABLE ledger (at date, v int) PARTITION BY RANGE (at)",
	"CREATE TABLE ledger_23 PARTITION OF ledger FOR VALUES FROM ('2023-01-01') TO ('2024-01-01')",
	"CREATE TABLE ledger_24 PARTITION OF ledger FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')",
	"INSERT INTO ledger SELECT '2023-06-01'::date + i, i FROM generate_series(1, 400) i",
	"CREATE INDEX ON ledger (at)",
	"CREATE TABLE animal (name text)", "CREATE TABLE dog (breed text) INHERITS (animal)",
	"INSERT INTO animal VALUES ('cat')", "INSERT INTO dog VALUES ('rex', 'lab')",
	"CREATE TABLE nothing ()", "INSERT INTO nothing DEFAULT VALUES", "INSERT INTO nothing DEFAULT VALUES",
	`CREATE SCHEMA "Größe; DROP"`,
	`CREATE TABLE "Größe; DROP"."t ""x"" 東京" ("select" int, "a""b" text)`,
	`INSERT INTO "Größe; DROP"."t ""x"" 東京" VALUES (1, E'tab\there\\'), (2, NULL), (3, E'\\.\n')`,
	"CREATE VIEW v AS SELECT name FROM pupil", "CREATE MATERIALIZED VIEW mv AS SELECT count(*) FROM pupil",
	"CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
	"CREATE TRIGGER tr BEFORE INSERT ON fee FOR EACH ROW EXECUTE FUNCTION f()",
	"SELECT lo_from_bytea(4711, 'large object')",
}

// tableOf is how a test loads one table.
type tableOf struct{ copy, data string }

// tablesOf takes the COPY statements and rows out of a plain-text dump.
func tablesOf(t *testing.T, s pg.Settings, database string) []tableOf {
	t.Helper()
	text := plain(t, s, database)
	var out []tableOf
	for {
		i := strings.Index(text, "\nCOPY ")
		if i < 0 {
			return out
		}
		text = text[i+1:]
		stmt, rest, _ := strings.Cut(text, "\n")
		data, rest, _ := strings.Cut(rest, "\\.\n")
		if rest == "" {
			t.Fatalf("no end of rows after %s", stmt)
		}
		text = rest
		out = append(out, tableOf{copy: stmt, data: data + "\\.\n\n\n"})
	}
}

func TestRestoreInThreeSections(t *testing.T) {
	newDatabase(t, "src", school...)
	newDatabase(t, "dst")
	archive, err := dump(t, settings(), pg.DumpOptions{Database: "src"})
	if err != nil {
		t.Fatal(err)
	}
	for _, section := range []string{"pre-data", "data", "post-data"} {
		o := pg.RestoreOptions{Database: "dst", Section: section, TOC: archive, Jobs: 2}
		if section == "data" {
			o = pg.RestoreOptions{Database: "dst", Section: section, Stdin: bytes.NewReader(archive)}
		}
		ignored, err := pg.RunRestore(t.Context(), settings(), programs(t), o, nil)
		if err != nil || len(ignored) > 0 {
			t.Fatalf("%s: %v %v", section, ignored, err)
		}
	}
	if a, b := factsOf(t, "src"), factsOf(t, "dst"); fmt.Sprint(a) != fmt.Sprint(b) {
		t.Errorf("facts differ:\n%+v\n%+v", a, b)
	}
	if a, b := plain(t, settings(), "src"), plain(t, settings(), "dst"); a != b {
		t.Error("the restored database dumps to another text")
	}
	var lo string
	if err := connectTo(t, "dst").QueryRow(t.Context(), "SELECT convert_from(lo_get(4711), 'UTF8')").Scan(&lo); err != nil || lo != "large object" {
		t.Errorf("large object: %q, %v", lo, err)
	}
}

func factsOf(t *testing.T, database string) pg.Facts {
	t.Helper()
	return catalogOf(t, settings(), database).Facts
}

func TestRestoreOfListedEntries(t *testing.T) {
	newDatabase(t, "src", "CREATE TABLE a (i int)", "CREATE TABLE b (i int)", "INSERT INTO a VALUES (1)", "INSERT INTO b VALUES (2)")
	newDatabase(t, "dst")
	archive, err := dump(t, settings(), pg.DumpOptions{Database: "src"})
	if err != nil {
		t.Fatal(err)
	}
	var wanted []int
	for _, l := range strings.Split(listing(t, archive), "\n") {
		var id int
		if strings.Contains(l, " b ") {
			fmt.Sscanf(l, "%d;", &id)
			wanted = append(wanted, id)
		}
	}
	if len(wanted) != 2 {
		t.Fatalf("entries of b: %v", wanted)
	}
	o := pg.RestoreOptions{Database: "dst", Stdin: bytes.NewReader(archive), IDs: wanted}
	if ignored, err := pg.RunRestore(t.Context(), settings(), programs(t), o, nil); err != nil || len(ignored) > 0 {
		t.Fatal(ignored, err)
	}
	c := catalogOf(t, settings(), "dst")
	if len(c.Tables) != 1 || c.Tables[0].Name != "b" {
		t.Errorf("tables: %+v", c.Tables)
	}
	// An empty list is no list of all.
	newDatabase(t, "dst2")
	o = pg.RestoreOptions{Database: "dst2", TOC: archive, IDs: []int{}}
	if _, err := pg.RunRestore(t.Context(), settings(), programs(t), o, nil); err != nil {
		t.Fatal(err)
	}
	if c := catalogOf(t, settings(), "dst2"); len(c.Tables) != 0 {
		t.Errorf("tables after an empty list: %+v", c.Tables)
	}
}

func TestRestoreReportsIgnoredErrors(t *testing.T) {
	newDatabase(t, "src", "CREATE ROLE gone_soon", "CREATE TABLE a (i int)", "ALTER TABLE a OWNER TO gone_soon", "CREATE TABLE b (i int)")
	newDatabase(t, "dst")
	newDatabase(t, "dst2")
	archive, err := dump(t, settings(), pg.DumpOptions{Database: "src"})
	if err != nil {
		t.Fatal(err)
	}
	exec(t, connectTo(t, "src"), "DROP OWNED BY gone_soon; DROP ROLE gone_soon")
	o := pg.RestoreOptions{Database: "dst", Section: "pre-data", TOC: archive}
	var seen []string
	ignored, err := pg.RunRestore(t.Context(), settings(), programs(t), o, func(l string) { seen = append(seen, l) })
	if err != nil {
		t.Fatal(err)
	}
	if want := `ERROR:  role "gone_soon" does not exist (ALTER TABLE public.a OWNER TO gone_soon;)`; len(ignored) != 1 || ignored[0] != want {
		t.Errorf("ignored: %q of %q", ignored, seen)
	}
	if len(seen) < 3 {
		t.Errorf("lines: %q", seen)
	}
	o.Database, o.NoOwner = "dst2", true
	if ignored, err = pg.RunRestore(t.Context(), settings(), programs(t), o, nil); err != nil || len(ignored) > 0 {
		t.Errorf("without owners: %v %v", ignored, err)
	}
}

func TestRestoreFails(t *testing.T) {
	newDatabase(t, "src", "CREATE TABLE a (i int)", "INSERT INTO a SELECT generate_series(1, 300000)")
	newDatabase(t, "dst")
	archive, err := dump(t, settings(), pg.DumpOptions{Database: "src"})
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("the archive is damaged")
	cases := map[string]struct {
		o    pg.RestoreOptions
		want func(error) bool
	}{
		"no such database": {pg.RestoreOptions{Database: "nowhere", TOC: archive}, func(err error) bool {
			return fault.CodeOf(err) == fault.DBUnreachable && strings.Contains(err.Error(), "nowhere")
		}},
		"no archive": {pg.RestoreOptions{Database: "dst", TOC: []byte("not an archive at all")}, func(err error) bool {
			return fault.CodeOf(err) == fault.Failed && strings.Contains(err.Error(), "magic")
		}},
		"stream breaks off": {pg.RestoreOptions{Database: "dst", Stdin: io.MultiReader(bytes.NewReader(archive[:len(archive)/2]), iotest.ErrReader(broken))},
			func(err error) bool { return errors.Is(err, broken) }},
		"stream ends early": {pg.RestoreOptions{Database: "dst", Stdin: bytes.NewReader(archive[:len(archive)/2])},
			func(err error) bool { return err != nil }},
	}
	for name, c := range cases {
		ignored, err := pg.RunRestore(t.Context(), settings(), programs(t), c.o, nil)
		if !c.want(err) {
			t.Errorf("%s: %v, ignored %v", name, err, ignored)
		}
	}
}

// TestLoaderKeepsPhysicalOrder is why Loader truncates: what is restored
// dumps to the same bytes as its source.
func TestLoaderKeepsPhysicalOrder(t *testing.T) {
	newDatabase(t, "src", school...)
	newDatabase(t, "dst")
	archive, err := dump(t, settings(), pg.DumpOptions{Database: "src"})
	if err != nil {
		t.Fatal(err)
	}
	o := pg.RestoreOptions{Database: "dst", Section: "pre-data", TOC: archive}
	if ignored, err := pg.RunRestore(t.Context(), settings(), programs(t), o, nil); err != nil || len(ignored) > 0 {
		t.Fatal(ignored, err)
	}
	l, err := pg.OpenLoader(t.Context(), settings(), "dst", "UTF8")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	names := map[string][2]string{
		"COPY public.pupil ": {"public", "pupil"}, "COPY public.fee ": {"public", "fee"}, "COPY public.ledger_23 ": {"public", "ledger_23"},
		"COPY public.ledger_24 ": {"public", "ledger_24"}, "COPY public.animal ": {"public", "animal"}, "COPY public.dog ": {"public", "dog"},
		"COPY public.nothing ": {"public", "nothing"}, `COPY "Größe; DROP"."t ""x"" 東京" `: {"Größe; DROP", `t "x" 東京`},
	}
	source := tablesOf(t, settings(), "src")
	if len(source) != len(names) {
		t.Fatalf("%d tables in the dump", len(source))
	}
	for _, table := range source {
		var n [2]string
		for prefix := range names {
			if strings.HasPrefix(table.copy, prefix) {
				n = names[prefix]
			}
		}
		rows, err := l.Copy(t.Context(), n[0], n[1], table.copy, strings.NewReader(table.data))
		if want := int64(strings.Count(table.data, "\n") - 3); err != nil || rows != want {
			t.Errorf("%s: %d rows, want %d: %v", table.copy, rows, want, err)
		}
	}
	restored := tablesOf(t, settings(), "dst")
	for i, table := range source {
		if sha256.Sum256([]byte(table.data)) != sha256.Sum256([]byte(restored[i].data)) {
			t.Errorf("%s: other bytes", table.copy)
		}
	}
}

func TestLoaderLeavesTableAfterError(t *testing.T) {
	newDatabase(t, "dst", "CREATE TABLE a (i int)", "INSERT INTO a VALUES (7)")
	l, err := pg.OpenLoader(t.Context(), settings(), "dst", "UTF8")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const stmt = "COPY public.a (i) FROM stdin;"
	broken := errors.New("damaged")
	_, err = l.Copy(t.Context(), "public", "a", stmt, io.MultiReader(strings.NewReader("1\n2\n"), iotest.ErrReader(broken)))
	if !errors.Is(err, broken) {
		t.Errorf("broken reader: %v", err)
	}
	_, err = l.Copy(t.Context(), "public", "a", stmt, strings.NewReader("1\nno number\n"))
	if err == nil || !strings.Contains(err.Error(), "public.a") || !strings.Contains(err.Error(), "no number") {
		t.Errorf("bad row: %v", err)
	}
	if _, err = l.Copy(t.Context(), "public", "missing", stmt, strings.NewReader("")); err == nil {
		t.Error("a table that does not exist was loaded")
	}
	var got []int32
	rows, _ := connectTo(t, "dst").Query(t.Context(), "SELECT i FROM public.a")
	for rows.Next() {
		var i int32
		rows.Scan(&i)
		got = append(got, i)
	}
	if !slices.Equal(got, []int32{7}) {
		t.Errorf("rows after the errors: %v", got)
	}
	if n, err := l.Copy(t.Context(), "public", "a", stmt, strings.NewReader("1\n2\n\\.\n\n\n")); err != nil || n != 2 {
		t.Errorf("the session is of no use after errors: %d, %v", n, err)
	}
}
