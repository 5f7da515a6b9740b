package vault

import (
	"fmt"
	"strings"
	"testing"
)

var everyLevel = []Proof{ProofIntact, ProofReadable, ProofRestored}

// proven backs up a database, proves the archive on these levels, restores it
// with each number of workers, and has every table equal.
func proven(t *testing.T, w *world, name string, levels []Proof, jobs ...int) Archive {
	t.Helper()
	w.backup(BackupOptions{Database: name}).ok(t)
	a := w.list()[0]
	if a.State != "good" || a.Database != name || a.Proof != ProofReadable {
		t.Fatalf("listed as %+v", a)
	}
	for _, level := range levels {
		p := w.verify(a.ID, level).ok(t)
		if level == ProofRestored && (p.done.TablesEqual != a.Tables || p.done.TablesTotal != a.Tables || p.done.Proof != ProofRestored) {
			t.Errorf("restored: %d of %d tables equal, %d in the archive", p.done.TablesEqual, p.done.TablesTotal, a.Tables)
		}
	}
	for _, n := range jobs {
		target := fmt.Sprintf("restored %d", n)
		p := w.restore(RestoreOptions{ID: a.ID, ToNew: target, Jobs: n}).ok(t)
		if p.done.TablesEqual != a.Tables || p.done.Rows != a.Rows || len(p.done.Differences) > 0 {
			t.Errorf("%d workers: %d of %d tables equal, %d of %d rows: %+v", n, p.done.TablesEqual, a.Tables, p.done.Rows, a.Rows, p.done.Differences)
		}
		for _, d := range all[TableDone](p) {
			if d.Stage == StageCompare && (d.State != StateEqual || d.Note != "") {
				t.Errorf("%d workers: %s is %s, %s", n, d.Name, d.State, d.Note)
			}
		}
		for _, n := range all[Notice](p) {
			if n.Level == "warning" {
				t.Errorf("a warning: %s", n.Text)
			}
		}
		if n == jobs[0] {
			samePlain(t, name, target)
		}
	}
	quiet(t)
	return w.list()[0]
}

// samePlain compares what pg_dump says of both databases as SQL text, an
// opinion that owes nothing to pgvault.
func samePlain(t *testing.T, a, b string) {
	t.Helper()
	x, y := strings.Split(plainDump(t, a), "\n"), strings.Split(plainDump(t, b), "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			t.Errorf("line %d of the plain dumps:\n%.300q\n%.300q", i, x[i], y[i])
			return
		}
	}
	if len(x) != len(y) {
		t.Errorf("plain dumps of %d and %d lines", len(x), len(y))
	}
}

func TestNastyDatabase(t *testing.T) {
	const name = `na"sty 'db' %s 數據庫`
	makeNasty(t, name)
	w := newWorld(t)
	a := proven(t, w, name, everyLevel, 1, 3)
	if a.Proof != ProofRestored || len(a.Proofs) != 6 { // self-check, three levels, two restores
		t.Errorf("proof %s, %d records", a.Proof, len(a.Proofs))
	}
	src, dst := databaseFacts(t, name), databaseFacts(t, "restored 1")
	if src != dst {
		t.Errorf("of the database itself:\n%s\n%s", src, dst)
	}
}

// databaseFacts is what belongs to a database itself.
func databaseFacts(t *testing.T, name string) string {
	t.Helper()
	return one[string](t, "", `SELECT concat_ws(' | ', pg_get_userbyid(datdba), datacl::text, datconnlimit, shobj_description(oid, 'pg_database'),
		(SELECT string_agg(setrole::regrole::text || setconfig::text, ',' ORDER BY setrole) FROM pg_db_role_setting WHERE setdatabase = d.oid)) FROM pg_database d WHERE datname = $1`, name)
}

// TestOddDatabaseNames: libpq would take some of these names for connection
// strings, and shells and folders have their own opinion of others.
func TestOddDatabaseNames(t *testing.T) {
	for _, name := range []string{"host=127.0.0.9 port=1", "postgresql://evil/x", `q"uo'te\`, "../up", "new\nline", strings.Repeat("表", 21)} {
		t.Run(name, func(t *testing.T) {
			create(t, name, "")
			sql(t, name, "CREATE TABLE t (v text)", "INSERT INTO t VALUES ('x')")
			w := newWorld(t)
			w.backup(BackupOptions{Database: name}).ok(t)
			list := w.list()
			if len(list) != 1 || list[0].Database != name || list[0].Rows != 1 {
				t.Fatalf("listed: %+v", list)
			}
			target := strings.ToValidUTF8(name[:min(len(name), 57)], "") + " again"
			w.restore(RestoreOptions{ID: "latest:" + name, ToNew: target}).ok(t)
			if n := one[int](t, target, "SELECT count(*) FROM public.t"); n != 1 {
				t.Errorf("%d rows restored", n)
			}
		})
	}
}

func TestEmptyDatabase(t *testing.T) {
	create(t, "nothing", "")
	w := newWorld(t)
	a := proven(t, w, "nothing", nil, 1)
	if a.Tables != 0 || a.Rows != 0 {
		t.Errorf("%d tables, %d rows", a.Tables, a.Rows)
	}
}

func TestFiveThousandTables(t *testing.T) {
	create(t, "many", "")
	sql(t, "many", `DO $$ BEGIN FOR i IN 1..5000 LOOP EXECUTE format('CREATE TABLE t%s (v int); INSERT INTO t%1$s VALUES (%1$s)', i);
		IF i % 500 = 0 THEN COMMIT; END IF; END LOOP; END $$`)
	w := newWorld(t)
	w.backup(BackupOptions{Database: "many"}).ok(t)
	a := w.list()[0]
	p := w.verify(a.ID, ProofRestored).ok(t)
	if p.done.TablesEqual != 5000 {
		t.Errorf("%d tables equal", p.done.TablesEqual)
	}
	quiet(t)
}

// TestOtherEncodings: names and rows of databases that are not UTF-8.
func TestOtherEncodings(t *testing.T) {
	for _, encoding := range []string{"LATIN1", "SQL_ASCII", "EUC_JP"} {
		t.Run(encoding, func(t *testing.T) {
			name := "of " + encoding
			create(t, name, "ENCODING '"+encoding+"' LC_COLLATE 'C' LC_CTYPE 'C'")
			word := map[string]string{"LATIN1": "größe", "SQL_ASCII": "gr\xf6\xdfe", "EUC_JP": "表"}[encoding]
			rawSQL(t, name, `CREATE TABLE "`+word+`" ("`+word+`" text, e text PRIMARY KEY)`, `INSERT INTO "`+word+`" VALUES ('`+word+`', 'a'), ('x', 'b'), ('y', 'c')`,
				`CREATE TABLE doubles (v int)`, `INSERT INTO doubles VALUES (1), (1)`)
			// What is not valid at the source need not be valid afterwards, in whatever bytes its name is written.
			rawSQL(t, name, `CREATE INDEX "bad `+word+`" ON doubles (v)`, `UPDATE pg_index SET indisvalid = false WHERE indexrelid = '"bad `+word+`"'::regclass`,
				`ALTER TABLE doubles ADD CONSTRAINT "plus `+word+`" CHECK (v > 1) NOT VALID`)
			w := newWorld(t)
			a := proven(t, w, name, map[string][]Proof{"LATIN1": {ProofRestored}}[encoding], 1)
			// In another order the rows are read once more, by another way.
			rawSQL(t, "restored 1", `CREATE TABLE o AS SELECT * FROM "`+word+`"`, `TRUNCATE "`+word+`"`, `INSERT INTO "`+word+`" SELECT * FROM o ORDER BY e DESC`, `DROP TABLE o`)
			p := again(t, w, a.ID, "restored 1", nil)
			if p.ok(t).done.TablesEqual != 2 {
				t.Errorf("%d tables equal", p.done.TablesEqual)
			}
			tableWithNote(t, p, "equal, in another order")
		})
	}
}

// rawSQL sends statements by the simple protocol as they are. In a database
// of encoding SQL_ASCII that is any byte.
func rawSQL(t *testing.T, database string, statements ...string) {
	t.Helper()
	conn := connect(t, database)
	defer conn.Close(t.Context())
	first := `SET search_path = public; SELECT set_config('client_encoding', 'SQL_ASCII', false) WHERE getdatabaseencoding() = 'SQL_ASCII'`
	for _, q := range append([]string{first}, statements...) {
		if err := conn.PgConn().Exec(t.Context(), q).Close(); err != nil {
			t.Fatalf("%q: %v", q, err)
		}
	}
}

// TestTargetNameTooLong: the server would cut the name, and the rows would
// lie in a database that nobody named.
func TestTargetNameTooLong(t *testing.T) {
	create(t, "short", "")
	w := newWorld(t)
	w.backup(BackupOptions{Database: "short"}).ok(t)
	p := w.plan(RestoreOptions{ID: "latest:short", ToNew: strings.Repeat("n", 64)})
	if !p.Refused() {
		t.Errorf("not refused: %+v", p.Checks)
		dropAfter(t, strings.Repeat("n", 63))
	}
	// The proposed name fits even for the longest source.
	create(t, long, "")
	w.backup(BackupOptions{Database: long}).ok(t)
	if p := w.plan(RestoreOptions{ID: "latest:" + long}); p.Refused() || len(p.Target) > 63 {
		t.Errorf("proposed %q: %+v", p.Target, p.Checks)
	}
}
