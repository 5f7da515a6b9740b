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

// TestMergeSQL: what it prints adds what is missing, and only that, when a
// person runs it.
func TestMergeSQL(t *testing.T) {
	shop := []string{"CREATE TABLE customer (id serial PRIMARY KEY, name text)", "CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer int NOT NULL REFERENCES customer, n int, d int GENERATED ALWAYS AS (n * 2) STORED)",
		"CREATE TABLE note (a int, b text)", "INSERT INTO customer (name) VALUES ('a'), ('b'), ('c')", "INSERT INTO orders (customer, n) SELECT 1 + i % 3, i FROM generate_series(1, 9) i", "INSERT INTO note VALUES (1, NULL), (2, 'x')"}
	newDatabase(t, "beside", shop...)
	newDatabase(t, "live", append(shop, "DELETE FROM orders WHERE customer = 3 OR id < 3", "DELETE FROM customer WHERE id = 3", "DELETE FROM note WHERE a = 1",
		"UPDATE customer SET name = 'newer' WHERE id = 1", "SELECT setval('customer_id_seq', 1)")...)
	tables := []pg.TableRef{{Schema: "public", Name: "orders"}, {Schema: "public", Name: "note"}, {Schema: "public", Name: "customer"}}
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
		"SELECT string_agg(a || coalesce(b, '-'), ',' ORDER BY a) FROM public.note": "1-,2x", "SELECT nextval('public.customer_id_seq')::text": "4",
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
