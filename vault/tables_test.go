package vault

import (
	"context"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgvault/fault"
	"pgvault/vault/archive"
	"pgvault/vault/store"
)

// counting counts the bytes that are read from objects of a place.
type counting struct {
	store.Store
	mu   sync.Mutex
	read map[string]int64 // by the object's last name
}

func (c *counting) Open(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	r, err := c.Store.Open(ctx, name, offset, length)
	if err != nil {
		return nil, err
	}
	return &countingReader{r, c, name[strings.LastIndex(name, "/")+1:]}, nil
}

type countingReader struct {
	io.ReadCloser
	c    *counting
	name string
}

func (r *countingReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	r.c.mu.Lock()
	r.c.read[r.name] += int64(n)
	r.c.mu.Unlock()
	return n, err
}

func TestChosenTables(t *testing.T) {
	dropRoleAfter(t, "chooser")
	sql(t, "", "CREATE ROLE chooser")
	create(t, "shop", "")
	sql(t, "shop", "CREATE SCHEMA s", "CREATE TYPE s.state AS ENUM ('new', 'paid')", "CREATE DOMAIN positive AS int CHECK (VALUE > 0)",
		"CREATE FUNCTION now_text() RETURNS text LANGUAGE sql AS $$ SELECT 'now'::text $$", "CREATE FUNCTION trg() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$",
		"CREATE SEQUENCE shared START 40", "CREATE TABLE customer (id serial PRIMARY KEY, name text NOT NULL DEFAULT now_text())",
		`CREATE TABLE s."order" (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, no int DEFAULT nextval('shared') UNIQUE, customer int REFERENCES customer, state s.state, n positive, double int GENERATED ALWAYS AS (n * 2) STORED)`,
		`CREATE INDEX order_state ON s."order" (state)`, `CREATE TRIGGER t BEFORE INSERT ON s."order" FOR EACH ROW EXECUTE FUNCTION trg()`, `COMMENT ON TABLE s."order" IS 'orders'`, `COMMENT ON INDEX s.order_state IS 'by state'`, `GRANT SELECT ON s."order" TO chooser`, `GRANT USAGE ON SCHEMA s TO chooser`,
		`CREATE RULE r AS ON DELETE TO s."order" DO ALSO NOTHING`, `CREATE POLICY p ON s."order" USING (true)`,
		"INSERT INTO customer (name) VALUES ('a'), ('b')", `INSERT INTO s."order" (customer, state, n) SELECT 1, 'new', i FROM generate_series(1, 100) i`,
		"CREATE TABLE big (v text)", "INSERT INTO big SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 200000) i GROUP BY i % 50", // digits that do not compress
		"CREATE TABLE log (at int, v text) PARTITION BY RANGE (at)", "CREATE TABLE log_1 PARTITION OF log FOR VALUES FROM (0) TO (10) PARTITION BY RANGE (at)", "CREATE TABLE log_1_1 PARTITION OF log_1 DEFAULT",
		"CREATE TABLE log_2 PARTITION OF log DEFAULT", "CREATE INDEX log_at ON log (at)", "INSERT INTO log SELECT i, i FROM generate_series(0, 19) i",
		"CREATE SCHEMA other", "CREATE TABLE other.customer (id int)", "SELECT lo_from_bytea(0, '\\x00')")
	w := newWorld(t)
	w.backup(BackupOptions{Database: "shop"}).ok(t)
	a := w.list()[0]

	t.Run("with what it needs", func(t *testing.T) {
		count := &counting{Store: w.store(), read: map[string]int64{}}
		w2 := *w
		w2.t = t
		w2.setPlace(count)
		plan := w2.plan(RestoreOptions{ID: a.ID, ToNew: "some", Tables: []string{"s.order"}})
		for _, want := range []string{"fk constraint", "trigger", "rule", "policy"} {
			if !slices.ContainsFunc(plan.Left, func(l string) bool { return strings.HasPrefix(l, want) }) {
				t.Errorf("no word that a %s is left out: %q", want, plan.Left)
			}
		}
		if !slices.Equal(plan.Tables, []string{`s."order"`}) || plan.Refused() {
			t.Errorf("tables %q, checks %+v", plan.Tables, plan.Checks)
		}
		dropAfter(t, "some")
		p := w2.apply(t.Context(), plan, nil).ok(t)
		if p.done.TablesEqual != 1 || p.done.TablesTotal != 1 || p.done.Rows != 100 {
			t.Errorf("%d of %d tables, %d rows", p.done.TablesEqual, p.done.TablesTotal, p.done.Rows)
		}
		sql(t, "some", `INSERT INTO s."order" (state, n) VALUES ('paid', 7)`)
		if got := one[string](t, "some", `SELECT concat_ws(',', id, no, state, n, double) FROM s."order" ORDER BY id DESC LIMIT 1`); got != "101,140,paid,7,14" {
			t.Errorf("the next row is %s", got)
		}
		if n := one[int](t, "some", `SELECT count(*) FROM pg_index WHERE indrelid = 's."order"'::regclass AND indisvalid`); n != 3 {
			t.Errorf("%d indexes", n)
		}
		if got := one[string](t, "some", "SELECT string_agg(relname, ',' ORDER BY relname) FROM pg_class WHERE relkind = 'r' AND relnamespace::regnamespace::text IN ('public', 's', 'other')"); got != "order" {
			t.Errorf("tables made: %s", got)
		}
		if !one[bool](t, "some", `SELECT has_table_privilege('chooser', 's."order"', 'SELECT') AND obj_description('s.order_state'::regclass) = 'by state'`) {
			t.Error("a grant or a comment is missing")
		}
		// age's header may be up to 2 MiB long; that much is read to find its end.
		main := count.read[archive.MainPart]
		if whole := a.Stored; main > 3<<20 || whole < 3*main/2 && whole < 3<<20 {
			t.Errorf("%d bytes read of a main part of about %d", main, whole)
		}
	})
	t.Run("keys between chosen tables come too", func(t *testing.T) {
		p := w.restore(RestoreOptions{ID: a.ID, ToNew: "two", Tables: []string{`s."order"`, "public.customer", "public.customer"}}).ok(t)
		if p.done.TablesEqual != 2 {
			t.Errorf("%d tables", p.done.TablesEqual)
		}
		if n := one[int](t, "two", "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND convalidated"); n != 1 {
			t.Errorf("%d foreign keys", n)
		}
	})
	t.Run("partitions", func(t *testing.T) {
		p := w.restore(RestoreOptions{ID: a.ID, ToNew: "parts", Tables: []string{"log"}}).ok(t)
		if n := one[int](t, "parts", "SELECT count(*) FROM public.log"); n != 20 || p.done.Rows != 20 {
			t.Errorf("%d rows, %d compared", n, p.done.Rows)
		}
		if n := one[int](t, "parts", "SELECT count(*) FROM pg_inherits WHERE inhparent IN ('public.log'::regclass, 'public.log_1'::regclass)"); n != 3 {
			t.Errorf("%d partitions are attached", n)
		}
	})
	t.Run("into an empty database", func(t *testing.T) {
		create(t, "hollow", "")
		w.restore(RestoreOptions{ID: a.ID, ToEmpty: "hollow", Tables: []string{"other.customer"}}).ok(t)
	})
	for name, tables := range map[string][]string{"unknown": {"nothing"}, "in two schemas": {"customer"}, "a view or index": {"order_state"}, "one of two unknown": {"log", "x.y"}} {
		t.Run(name, func(t *testing.T) {
			_, err := w.vault().PlanRestore(t.Context(), RestoreOptions{ID: a.ID, ToNew: "never", Tables: tables, Identities: w.ids})
			if fault.CodeOf(err) != fault.Usage {
				t.Errorf("%v", err)
			}
			fourLines(t, err)
		})
	}
	quiet(t)
}
