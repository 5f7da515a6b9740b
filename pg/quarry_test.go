package pg_test

import (
	"strings"
	"testing"

	"pgvault/pg"
)

// TestCopyTables: rows come into a new schema whole, or nothing is there; no
// existing table is written, and nothing runs.
func TestCopyTables(t *testing.T) {
	newDatabase(t, "beside", `CREATE TYPE mood AS ENUM ('a', 'b')`, `CREATE TABLE "T ""x" (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) STORED, m mood, v text COLLATE "C", "a b" text[])`,
		`INSERT INTO "T ""x" (id, m, v, "a b") SELECT i, 'b', E'l\n\\.' || i, ARRAY['x,"', NULL] FROM generate_series(1, 500) i`, "CREATE TABLE empty (i int)", "CREATE SCHEMA s", "CREATE TABLE s.empty (i int)",
		"CREATE TYPE only_here AS ENUM ('z')", "CREATE TABLE odd (m only_here)")
	newDatabase(t, "live", `CREATE TYPE mood AS ENUM ('a', 'b')`, `CREATE TABLE "T ""x" (id int)`, "INSERT INTO \"T \"\"x\" VALUES (7)", "CREATE SCHEMA taken")
	x, empty := pg.TableRef{Schema: "public", Name: `T "x`}, pg.TableRef{Schema: "public", Name: "empty"}
	copied, err := pg.CopyTables(t.Context(), settings(), "beside", "live", `res "c`, []pg.TableRef{x, empty})
	if err != nil || len(copied) != 2 || copied[0].Rows != 500 || copied[1].Rows != 0 {
		t.Fatalf("%+v, %v", copied, err)
	}
	sum := func(db, table string) (s string) {
		if err := connectTo(t, db).QueryRow(t.Context(), `SELECT md5(string_agg(x::text, '|' ORDER BY id)) FROM `+table+` x`).Scan(&s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	if sum("beside", `public."T ""x"`) != sum("live", `"res ""c"."T ""x"`) {
		t.Error("the rows are not the same")
	}
	var rows int
	if err := connectTo(t, "live").QueryRow(t.Context(), `SELECT count(*) FROM public."T ""x"`).Scan(&rows); err != nil || rows != 1 {
		t.Errorf("the live table has %d rows, %v", rows, err)
	}
	for name, c := range map[string]struct {
		schema string
		tables []pg.TableRef
		text   string
	}{
		"schema there": {"taken", []pg.TableRef{x}, "already exists"},
		"no table":     {"fresh", []pg.TableRef{x, {Schema: "public", Name: "missing"}}, "no table public.missing"},
		"no type":      {"fresh", []pg.TableRef{x, {Schema: "public", Name: "odd"}}, "only_here"},
		"one name":     {"fresh", []pg.TableRef{empty, {Schema: "s", Name: "empty"}}, "would have one name"},
	} {
		if _, err := pg.CopyTables(t.Context(), settings(), "beside", "live", c.schema, c.tables); err == nil || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var left bool
	if err := connectTo(t, "live").QueryRow(t.Context(), "SELECT to_regnamespace('fresh') IS NOT NULL").Scan(&left); err != nil || left {
		t.Errorf("after an error the schema is there: %v", err)
	}
}

// TestCopyTablesExactly: the settings of neither database change a value, as
// they are written or as they are read.
func TestCopyTablesExactly(t *testing.T) {
	odd := []string{`ALTER DATABASE "%" SET DateStyle = 'German, DMY'`, `ALTER DATABASE "%" SET extra_float_digits = -5`, `ALTER DATABASE "%" SET IntervalStyle = 'sql_standard'`, `ALTER DATABASE "%" SET bytea_output = 'escape'`,
		`ALTER DATABASE "%" SET search_path = nowhere`, `ALTER DATABASE "%" SET client_encoding = 'LATIN1'`, `ALTER DATABASE "%" SET lc_monetary = 'C.utf8'`, `ALTER DATABASE "%" SET xmloption = document`, `ALTER DATABASE "%" SET array_nulls = off`}
	set := func(name string) {
		for _, q := range odd {
			exec(t, connectTo(t, ""), strings.Replace(q, "%", name, 1))
		}
	}
	newDatabase(t, "exact", "CREATE TYPE mood AS ENUM ('a', 'b')", "CREATE TABLE x (id int, m mood, d date, ts timestamptz, iv interval, f4 real, f8 float8, b bytea, c money, r regclass, t text, a int[], doc xml)",
		`INSERT INTO x VALUES (1, 'b', '2026-02-03', '2026-02-03 04:05:06.789+01', '-1 year 2 days -03:04:05.678', 0.1, 1.0 / 3, '\x00ff5c', '-1234.56', 'public.x', 'é', ARRAY[1, NULL], '<a/>b')`)
	newDatabase(t, "exactly", "CREATE TYPE mood AS ENUM ('a', 'b')", "CREATE TABLE x (id int)")
	row := func(db, table string) (s string) {
		conn := connectTo(t, db)
		for _, q := range []string{"SET DateStyle = ISO", "SET IntervalStyle = postgres", "SET extra_float_digits = 3", "SET bytea_output = hex", "SET search_path = ''", "SET client_encoding = 'UTF8'"} {
			exec(t, conn, q)
		}
		if err := conn.QueryRow(t.Context(), "SELECT string_agg(x::text, '|') FROM "+table+" x").Scan(&s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	want := row("exact", "public.x")
	for i, name := range []string{"exactly", "exact"} { // settings of the one that is written, then of both
		set(name)
		schema := "back " + name
		if _, err := pg.CopyTables(t.Context(), settings(), "exact", "exactly", schema, []pg.TableRef{{Schema: "public", Name: "x"}}); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
		if got := row("exactly", pg.QuoteIdent(schema)+".x"); got != want {
			t.Errorf("%d: %s\nwant %s", i, got, want)
		}
	}
}

// TestCopyTablesOfAFamily: a table that others inherit from has its own rows
// only, a partitioned one those of its partitions, one without columns has rows
// too, and rows are told apart whose types have no equality, or one of areas. Of
// rows that are there by their key nothing is tried.
func TestCopyTablesOfAFamily(t *testing.T) {
	family := []string{"CREATE TABLE parent (a int, b text)", "CREATE TABLE child (c int) INHERITS (parent)", "CREATE TABLE whole (a int) PARTITION BY LIST (a)", "CREATE TABLE part PARTITION OF whole DEFAULT",
		"CREATE TABLE bare ()", "CREATE TABLE made (a int, b int GENERATED ALWAYS AS (a / 2) STORED, at point, PRIMARY KEY (a, b) INCLUDE (at))", "INSERT INTO made VALUES (1), (2)", "CREATE RULE quiet AS ON INSERT TO made DO ALSO NOTHING",
		"CREATE TABLE keyed (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, v int)", "INSERT INTO keyed VALUES (1, -1), (2, 2), (3, 3)", "ALTER TABLE keyed ADD CHECK (v > 0) NOT VALID", "CREATE TABLE odd (j json, x xml, b box, p point, n numeric)", `INSERT INTO odd VALUES ('{"a": 1}', '<a/>', '(0,0),(2,2)', '(1,2)', 1), (NULL, NULL, '(0,0),(1,4)', '(1,2)', NULL)`, "INSERT INTO parent VALUES (1, 'x'), (2, 'y')", "INSERT INTO child VALUES (1, 'x', 3), (7, 'z', 4), (8, 'z', 5)", "INSERT INTO whole VALUES (1), (2), (3)", "INSERT INTO bare DEFAULT VALUES", "INSERT INTO bare DEFAULT VALUES"}
	newDatabase(t, "beside", family...)
	newDatabase(t, "live", append(family, "DELETE FROM ONLY parent WHERE a = 1", "DELETE FROM child WHERE a = 7", "DELETE FROM whole WHERE a = 2", "DELETE FROM odd WHERE n IS NULL", "DELETE FROM keyed WHERE id = 2", "DELETE FROM made WHERE a = 2",
		"CREATE FUNCTION nosy() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF NEW.id <> 2 THEN RAISE ''tried''; END IF; RETURN NEW; END'", "CREATE TRIGGER nosy BEFORE INSERT ON keyed FOR EACH ROW EXECUTE FUNCTION nosy()")...)
	var tables []pg.TableRef
	for _, n := range []string{"parent", "child", "whole", "bare", "odd", "keyed", "made"} {
		tables = append(tables, pg.TableRef{Schema: "public", Name: n})
	}
	copied, err := pg.CopyTables(t.Context(), settings(), "beside", "live", "back", tables)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int64{2, 3, 3, 2, 2, 3, 2} {
		if copied[i].Rows != want {
			t.Errorf("%s: %d rows, not %d", copied[i].Table, copied[i].Rows, want)
		}
	}
	conn := connectTo(t, "live")
	sql, err := pg.MergeSQL(t.Context(), conn, "back", tables)
	if err != nil || !strings.Contains(sql, "-- public.bare has no column that both have") {
		t.Fatalf("%s, %v", sql, err)
	}
	for range 2 {
		if err := pg.Exec(t.Context(), settings(), "live", sql); err != nil {
			t.Fatalf("%v\n%s", err, sql)
		}
	}
	var got string
	if err := conn.QueryRow(t.Context(), "SELECT concat_ws(',', (SELECT count(*) FROM ONLY public.parent), (SELECT count(*) FROM public.child), (SELECT count(*) FROM public.whole), (SELECT count(*) FROM public.bare), (SELECT count(*) FROM public.odd), (SELECT count(*) FROM public.keyed), (SELECT count(*) FROM public.made))").Scan(&got); err != nil || got != "2,3,3,2,2,3,2" {
		t.Errorf("merged: %s, %v\n%s", got, err, sql)
	}
}

// TestMergeSQL: what it prints adds what is missing, and only that, when a
// person runs it.
func TestMergeSQL(t *testing.T) {
	shop := []string{"CREATE TABLE customer (id serial PRIMARY KEY, name text)", "CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer int NOT NULL REFERENCES customer, n int, d int GENERATED ALWAYS AS (n * 2) STORED)",
		"CREATE TYPE odd AS (j json)", "CREATE DOMAIN spots AS point[]", "CREATE TABLE note (a int, b text)", "CREATE TABLE unequal (i int, j json, p point, s spots, o odd, v varchar(9), k json[], n numeric)",
		"INSERT INTO unequal VALUES (1, '{\"a\": 1}', '(1,2)', '{\"(1,2)\"}', ROW('[1]'), 'v', ARRAY['1'::json], 1.0), (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL)", "INSERT INTO customer (name) VALUES ('a'), ('b'), ('c')", "INSERT INTO orders (customer, n) SELECT 1 + i % 3, i FROM generate_series(1, 9) i", "INSERT INTO note VALUES (1, NULL), (2, 'x')"}
	newDatabase(t, "beside", shop...)
	newDatabase(t, "live", append(shop, "DELETE FROM orders WHERE customer = 3 OR id < 3", "DELETE FROM customer WHERE id = 3", "DELETE FROM note WHERE a = 1", "DELETE FROM unequal WHERE i = 2",
		"UPDATE customer SET name = 'newer' WHERE id = 1", "SELECT setval('customer_id_seq', 1)")...)
	tables := []pg.TableRef{{Schema: "public", Name: "orders"}, {Schema: "public", Name: "note"}, {Schema: "public", Name: "unequal"}, {Schema: "public", Name: "customer"}}
	if _, err := pg.CopyTables(t.Context(), settings(), "beside", "live", "got back", tables); err != nil {
		t.Fatal(err)
	}
	conn := connectTo(t, "live")
	sql, err := pg.MergeSQL(t.Context(), conn, "got back", tables)
	if err != nil || strings.Index(sql, `"customer" (`) > strings.Index(sql, `"orders" (`) {
		t.Fatalf("%s, %v", sql, err)
	}
	for range 2 { // what is there is not added again
		if err := pg.Exec(t.Context(), settings(), "live", sql); err != nil {
			t.Fatalf("%v\n%s", err, sql)
		}
	}
	for query, want := range map[string]string{
		"SELECT string_agg(id || name, ',' ORDER BY id) FROM public.customer": "1newer,2b,3c", "SELECT count(*) || ',' || sum(d) FROM public.orders": "9,90",
		"SELECT string_agg(a || coalesce(b, '-'), ',' ORDER BY a) FROM public.note":          "1-,2x",
		"SELECT string_agg(i || '-' || coalesce(v, ''), ',' ORDER BY i) FROM public.unequal": "1-v,2-", "SELECT nextval('public.customer_id_seq')::text": "4",
	} {
		var got string
		if err := conn.QueryRow(t.Context(), query).Scan(&got); err != nil || got != want {
			t.Errorf("%s: %q, not %q: %v\n%s", query, got, want, err, sql)
		}
	}
	lacking, err := pg.MergeSQL(t.Context(), connectTo(t, "beside"), "got back", []pg.TableRef{{Schema: "public", Name: "gone"}})
	if err != nil || pg.Exec(t.Context(), settings(), "beside", lacking) == nil {
		t.Errorf("a table that is missing is passed over: %s, %v", lacking, err)
	}
}
