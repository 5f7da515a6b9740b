package vault

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"pgvault/fault"
	"pgvault/pg"
	"pgvault/pg/pgtest"
)

// switchServer is one of its own for all tests of switches: with room for 50
// clients, prepared transactions and logical slots.
var switchServer = sync.OnceValues(func() (c *pgtest.Cluster, err error) {
	c, err = startServer(filepath.Join(os.TempDir(), "sw"), map[string]string{"max_connections": "90", "max_prepared_transactions": "5", "wal_level": "logical", "max_wal_senders": "2"})
	stopSwitchServer = func() { c.Stop() }
	return c, err
})

// stopSwitchServer stops it when all tests are done, if one began.
var stopSwitchServer = func() {}

// switchWorld is a world with two databases: NAME, which is live, and NAME_r,
// restored from its archive. In each, the tables a and b tell which it is.
type switchWorld struct {
	*world
	name, with string
	id         string
	live, rest uint32 // OIDs
}

func newSwitchWorld(t *testing.T, name string, statements ...string) *switchWorld {
	t.Helper()
	c, err := switchServer()
	if err != nil {
		t.Fatal(err)
	}
	w := &switchWorld{world: newWorld(t), name: name, with: name + "_r"}
	w.conf.Server = settingsOf(c)
	w.sql("", "CREATE DATABASE "+pg.QuoteIdent(name)+" TEMPLATE template0")
	t.Cleanup(w.dropAll)
	w.sql(name, append([]string{"CREATE TABLE a AS SELECT 'restored' AS v", "CREATE TABLE b AS SELECT 'restored' AS v"}, statements...)...)
	w.id = w.backup(BackupOptions{Database: name}).ok(t).done.ID
	w.sql(name, "UPDATE a SET v = 'live'", "UPDATE b SET v = 'live'")
	w.restoreInto(w.with).ok(t)
	w.live, w.rest = w.oid(name), w.oid(w.with)
	return w
}

func (w *switchWorld) restoreInto(target string) *tape {
	w.t.Helper()
	return w.apply(w.t.Context(), w.plan(RestoreOptions{ID: w.id, ToNew: target}), nil)
}

func (w *switchWorld) sql(database string, statements ...string) {
	w.t.Helper()
	sqlAs(w.t.(*testing.T), w.conf.Server, database, statements...)
}

// ask asks for one value in text, "" where there is none.
func (w *switchWorld) ask(database, query string) string {
	w.t.Helper()
	conn, err := w.conf.Server.Connect(w.t.Context(), database)
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var v *string
	if err := conn.QueryRow(w.t.Context(), "SELECT ("+query+")::text").Scan(&v); err != nil {
		w.t.Fatalf("%s: %v", query, err)
	}
	if v == nil {
		return ""
	}
	return *v
}

func (w *switchWorld) oid(name string) (oid uint32) {
	w.t.Helper()
	if err := json.Unmarshal([]byte(w.ask("postgres", "SELECT oid FROM pg_database WHERE datname = '"+name+"'")), &oid); err != nil {
		w.t.Fatal(err)
	}
	return oid
}

// dropAll drops every database that a test made, under whatever name.
func (w *switchWorld) dropAll() {
	ctx := context.Background()
	conn, err := w.conf.Server.Connect(ctx, "")
	if err != nil {
		w.t.Error(err)
		return
	}
	defer conn.Close(ctx)
	rows, _ := conn.Query(ctx, "SELECT datname::text FROM pg_database WHERE starts_with(datname, $1)", w.name)
	var names []string
	for rows.Next() {
		var n string
		if err := rows.Scan(&n); err != nil {
			w.t.Error(err)
		}
		names = append(names, n)
	}
	for _, n := range names {
		if err := pg.DropDatabase(ctx, w.conf.Server, n); err != nil {
			w.t.Error(err)
		}
	}
}

func (w *switchWorld) planSwitch(accept ...string) *SwitchPlan {
	w.t.Helper()
	p, err := w.vault().PlanSwitch(w.t.Context(), SwitchOptions{Database: w.name, With: w.with, Accept: accept})
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func (w *switchWorld) doSwitch(v *Vault, p *SwitchPlan) *tape {
	w.t.Helper()
	tp := &tape{}
	tp.err = v.Switch(w.t.Context(), p, tp.sink)
	tp.check(w.t)
	return tp
}

func (w *switchWorld) undo() *tape {
	w.t.Helper()
	p, err := w.vault().PlanSwitchUndo(w.t.Context(), w.name)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.doSwitch(w.vault(), p)
}

// stands fails the test unless the names stand so, and logins are let in as
// they should be.
func (w *switchWorld) stands(goal SwitchGoal) {
	w.t.Helper()
	want := map[SwitchGoal]string{GoalOriginal: w.name + " true, " + w.with + " true", GoalSwitched: "* false, " + w.name + " true"}[goal]
	got := w.ask("postgres", `SELECT string_agg(CASE WHEN datname LIKE '%\_\_old\_%' THEN '*' ELSE datname::text END || ' ' || datallowconn, ', ' ORDER BY oid) FROM pg_database WHERE oid IN (`+
		jsonText(w.live)+", "+jsonText(w.rest)+")")
	if got != want {
		w.t.Errorf("the databases are %q, not %q", got, want)
	}
	value := map[SwitchGoal]string{GoalOriginal: "live", GoalSwitched: "restored"}[goal]
	if got := w.ask(w.name, "SELECT min(v) FROM public.a"); got != value {
		w.t.Errorf("%s says %q, not %q", w.name, got, value)
	}
}

func jsonText(v any) string {
	src, _ := json.Marshal(v)
	return string(src)
}

// checkOf gives the first check with a state that holds a text.
func (p *SwitchPlan) checkOf(t *testing.T, state, text string) Check {
	t.Helper()
	for _, c := range p.Checks {
		if c.State == state && strings.Contains(c.Text, text) {
			return c
		}
	}
	t.Errorf("no check %q with %q in %+v", state, text, p.Checks)
	return Check{}
}

// TestSwitchAndUndo goes there and back; what belongs to the database itself
// is the same before, after, and after the undo.
func TestSwitchAndUndo(t *testing.T) {
	w := newSwitchWorld(t, "sw_undo")
	w.sql("", "CREATE ROLE sw_undo_owner", "CREATE ROLE sw_undo_app", "ALTER DATABASE sw_undo OWNER TO sw_undo_owner", "COMMENT ON DATABASE sw_undo IS 'the shop'",
		"ALTER DATABASE sw_undo SET work_mem = '7MB'", "ALTER ROLE sw_undo_app IN DATABASE sw_undo SET lock_timeout = '9s'", "ALTER DATABASE sw_undo CONNECTION LIMIT 70",
		"REVOKE ALL ON DATABASE sw_undo FROM PUBLIC", "GRANT CONNECT ON DATABASE sw_undo TO sw_undo_app")
	t.Cleanup(func() {
		w.dropAll() // before the roles that own them
		for _, role := range []string{"sw_undo_app", "sw_undo_owner"} {
			if err := pg.Exec(context.Background(), w.conf.Server, "", "DROP ROLE "+role); err != nil {
				t.Error(err)
			}
		}
	})
	before := w.properties(w.live)
	p := w.planSwitch()
	if p.Refused() || p.Old == "" || !strings.HasPrefix(p.Old, "sw_undo__old_") || p.Equal != 2 || p.Tables != 2 || p.Archive != w.id || p.Lost <= 0 || len(p.Steps) != 5 {
		t.Fatalf("%+v", p)
	}
	p.checkOf(t, "ok", "2 of 2 tables equal")
	p.checkOf(t, "ok", "no row was written")
	p.checkOf(t, "!", "it will be in "+p.Old+" alone")
	run := w.doSwitch(w.vault(), p).ok(t)
	w.stands(GoalSwitched)
	if got := w.properties(w.rest); !reflect.DeepEqual(got, before) || len(before.Settings) != 2 {
		t.Errorf("%+v, before %+v", got, before)
	}
	if run.done.Kind != KindSwitch || run.done.TablesEqual != 2 {
		t.Errorf("%+v", run.done)
	}
	u, err := w.vault().PlanSwitchUndo(t.Context(), w.name)
	if err != nil || u.Refused() || u.Goal != GoalOriginal || u.Live.After != w.name || u.Other.After != w.with || u.Same != "pgvault switch sw_undo --undo --confirm sw_undo" {
		t.Fatalf("%+v, %v", u, err)
	}
	w.doSwitch(w.vault(), u).ok(t)
	w.stands(GoalOriginal)
	if got := w.properties(w.live); !reflect.DeepEqual(got, before) {
		t.Errorf("after the undo %+v, before %+v", got, before)
	}
	_, err = w.vault().PlanSwitchUndo(t.Context(), w.name)
	fourLines(t, err)
	if fault.CodeOf(err) != fault.Refused || !strings.Contains(err.Error(), "taken back") {
		t.Errorf("a second undo: %v", err)
	}
	// And once more: the note holds, the old name is free again.
	w.doSwitch(w.vault(), w.planSwitch()).ok(t)
	w.stands(GoalSwitched)
	if got := w.vault().UnfinishedSwitches(); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

func (w *switchWorld) properties(oid uint32) pg.Properties {
	w.t.Helper()
	s, err := pg.OpenSwitcher(w.t.Context(), w.conf.Server, w.name)
	if err != nil {
		w.t.Fatal(err)
	}
	defer s.Close()
	p, err := s.Properties(w.t.Context(), oid)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// TestSwitchBelieves only a proof of this very database.
func TestSwitchBelieves(t *testing.T) {
	w := newSwitchWorld(t, "sw_proof")
	refuse := func(text string, accept ...string) {
		t.Helper()
		p := w.planSwitch(accept...)
		p.checkOf(t, "x", text)
		e := w.doSwitch(w.vault(), p).failed(t, fault.Refused)
		if !strings.Contains(e.Why, text) {
			t.Errorf("%+v", e)
		}
		w.stands(GoalOriginal)
	}
	refuse("nothing called public.a differs", "public.a")
	// A note of differences: each has to be accepted.
	note := w.vault().restoredNoteOf(w.with)
	if note == nil || note.OID != w.rest || note.SystemID == "" || note.TablesEqual != 2 {
		t.Fatalf("%+v", note)
	}
	differs := *note
	differs.Differences, differs.Errors, differs.FirstErrors = []Difference{{Table: "public.a", RowsExpected: 1, Why: "0 rows instead of 1"}}, 1, []string{"duplicate key"}
	w.note(&differs)
	refuse("public.a: 0 rows instead of 1")
	refuse("pg_restore errors: 1: duplicate key", "public.a")
	if p := w.planSwitch("public.a", "pg_restore errors"); p.Refused() || len(p.Differences) != 2 || !p.Differences[0].Accepted {
		t.Errorf("%+v", p)
	}
	other := *note
	other.Database = "wiki"
	w.note(&other)
	refuse("it is an archive of wiki")
	bare := *note
	bare.NoOwner = true
	w.note(&bare)
	refuse("owners and grants were left out")
	elsewhere := *note
	elsewhere.SystemID = "7"
	w.note(&elsewhere)
	refuse("is another one")
	w.note(note)
	w.sql(w.with, "INSERT INTO a VALUES ('more')")
	until(t, "the server counts the row", func() bool {
		for _, c := range w.planSwitch().Checks {
			if c.State == "!" && strings.Contains(c.Text, "was proven, 1 row of it changed") {
				return true
			}
		}
		return false
	})
	// The same name, another database.
	w.sql("", "DROP DATABASE sw_proof_r", "CREATE DATABASE sw_proof_r TEMPLATE template0")
	if p := w.planSwitch(); !p.Refused() {
		t.Errorf("%+v", p)
	} else {
		p.checkOf(t, "x", "is another one")
	}
	w.sql("", "DROP DATABASE sw_proof_r")
	w.planSwitch().checkOf(t, "x", "there is no database sw_proof_r")
	if err := os.Remove(w.vault().restoredPath(w.with)); err != nil {
		t.Fatal(err)
	}
	w.sql("", "CREATE DATABASE sw_proof_r TEMPLATE template0")
	w.planSwitch().checkOf(t, "x", "nothing here has proven")
}

func (w *switchWorld) note(n *restoredNote) {
	w.t.Helper()
	if err := w.vault().writeSynced(w.vault().restoredPath(n.Target), n); err != nil {
		w.t.Fatal(err)
	}
}

// TestRestoreForgets: what is filled anew is not proven by what was there.
func TestRestoreForgets(t *testing.T) {
	w := newSwitchWorld(t, "sw_forget")
	w.sql(w.with, "DROP TABLE a, b")
	plan := w.plan(RestoreOptions{ID: w.id, ToEmpty: w.with, SkipCompare: true})
	w.apply(t.Context(), plan, nil).ok(t)
	if n := w.vault().restoredNoteOf(w.with); n != nil {
		t.Errorf("%+v", n)
	}
	w.planSwitch().checkOf(t, "x", "nothing here has proven")
}

// TestSwitchNames what the server has beside: prepared transactions forbid a
// rename, slots and open transactions are told of.
func TestSwitchNames(t *testing.T) {
	w := newSwitchWorld(t, "sw_names")
	w.sql(w.name, "SELECT pg_create_logical_replication_slot('sw_slot', 'test_decoding')", "BEGIN; INSERT INTO a VALUES ('p'); PREPARE TRANSACTION 'sw two'")
	conn, err := w.conf.Server.Connect(t.Context(), w.name)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), "BEGIN; INSERT INTO public.b VALUES ('half')"); err != nil {
		t.Fatal(err)
	}
	p := w.planSwitch()
	p.checkOf(t, "x", "1 prepared transaction of sw_names")
	p.checkOf(t, "!", "sw_slot")
	p.checkOf(t, "!", "1 session will be ended; 1 of them have written")
	if p.Live.Writing != 1 || len(p.Live.Sessions) != 1 || p.Live.LastActive == nil {
		t.Errorf("%+v", p.Live)
	}
	// The server itself says the same of the prepared transaction.
	sw, err := pg.OpenSwitcher(t.Context(), w.conf.Server, w.name)
	if err != nil {
		t.Fatal(err)
	}
	defer sw.Close()
	err = sw.Rename(t.Context(), 0, []pg.Move{{OID: w.live, To: "sw_names__x"}}, nil)
	if err == nil || !strings.Contains(err.Error(), "prepared transaction") {
		t.Errorf("renamed under a prepared transaction: %v", err)
	}
	w.sql(w.name, "ROLLBACK PREPARED 'sw two'")
	w.doSwitch(w.vault(), w.planSwitch()).ok(t)
	w.stands(GoalSwitched)
	if got := w.ask("postgres", "SELECT database FROM pg_replication_slots WHERE slot_name = 'sw_slot'"); !strings.HasPrefix(got, "sw_names__old_") {
		t.Errorf("the slot is in %q", got)
	}
	w.sql("", "SELECT pg_drop_replication_slot('sw_slot')")
}
