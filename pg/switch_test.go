package pg_test

import (
	"context"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"pgvault/fault"
	"pgvault/pg"
)

func openSwitcher(t *testing.T, s pg.Settings, not ...string) *pg.Switcher {
	t.Helper()
	w, err := pg.OpenSwitcher(t.Context(), s, not...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

func switchSide(t *testing.T, w *pg.Switcher, name string) *pg.SwitchDatabase {
	t.Helper()
	d, err := w.Database(t.Context(), name)
	if err != nil || d == nil {
		t.Fatalf("%s: %v, %v", name, d, err)
	}
	return d
}

// TestAdopt carries over all that belongs to a database itself, with names
// and values that need quotes and with a grant that a grantee gave on.
func TestAdopt(t *testing.T) {
	for _, r := range []string{"sw_owner", `sw "app"`, "sw_third", "sw_other"} {
		newPlainRole(t, r, "")
	}
	newDatabase(t, "sw_live")
	newDatabase(t, "sw_new")
	conn := connectTo(t, "")
	for _, q := range []string{
		`ALTER DATABASE sw_live OWNER TO sw_owner`,
		`COMMENT ON DATABASE sw_live IS 'it''s \ the shop'`,
		`ALTER DATABASE sw_live CONNECTION LIMIT 77`,
		`ALTER DATABASE sw_live SET search_path TO "$user", 'a, b', public`,
		`ALTER DATABASE sw_live SET my.word TO 'x''y\'`,
		`ALTER DATABASE sw_live SET work_mem TO '9MB'`,
		`ALTER ROLE "sw ""app""" IN DATABASE sw_live SET statement_timeout TO '3s'`,
		`REVOKE ALL ON DATABASE sw_live FROM PUBLIC`,
		`GRANT CONNECT ON DATABASE sw_live TO "sw ""app""" WITH GRANT OPTION`,
		`SET ROLE "sw ""app"""`, `GRANT CONNECT ON DATABASE sw_live TO sw_third`, `RESET ROLE`,
		`GRANT CREATE ON DATABASE sw_live TO sw_third`,
		// What the other one has must go.
		`ALTER DATABASE sw_new OWNER TO sw_other`, `COMMENT ON DATABASE sw_new IS 'restored'`, `ALTER DATABASE sw_new SET lock_timeout TO '1s'`,
		`ALTER ROLE sw_other IN DATABASE sw_new SET work_mem TO '1MB'`, `GRANT ALL ON DATABASE sw_new TO sw_other WITH GRANT OPTION`,
	} {
		exec(t, conn, q)
	}
	w := openSwitcher(t, settings(), "sw_live", "sw_new")
	live, restored := switchSide(t, w, "sw_live"), switchSide(t, w, "sw_new")
	want, err := w.Properties(t.Context(), live.OID)
	if err != nil {
		t.Fatal(err)
	}
	n, err := w.Adopt(t.Context(), live.OID, restored.OID)
	if err != nil || n == 0 {
		t.Fatalf("%d statements, %v", n, err)
	}
	got, err := w.Properties(t.Context(), restored.OID)
	if err != nil || !reflect.DeepEqual(got, want) || len(want.Settings) != 4 || len(want.Grants) != 6 {
		t.Errorf("%+v\nfrom %+v, %v", got, want, err)
	}
	if after, _ := w.Properties(t.Context(), live.OID); !reflect.DeepEqual(after, want) {
		t.Errorf("the live one has changed: %+v", after)
	}
	var path string
	if err := connectTo(t, "sw_new").QueryRow(t.Context(), `SELECT unnest(setconfig) FROM pg_db_role_setting WHERE setdatabase = $1 AND setrole = 0 ORDER BY 1 DESC LIMIT 1 OFFSET 1`, restored.OID).Scan(&path); err != nil || path != `search_path="$user", "a, b", public` {
		t.Errorf("search_path: %q, %v", path, err)
	}
	if n, err := w.Adopt(t.Context(), live.OID, restored.OID); n != 0 || err != nil {
		t.Errorf("a second time: %d statements, %v", n, err)
	}
	// The default grants are nobody's: what was revoked from PUBLIC comes back.
	newDatabase(t, "sw_plain")
	if _, err := w.Adopt(t.Context(), switchSide(t, w, "sw_plain").OID, restored.OID); err != nil {
		t.Error(err)
	}
}

// TestAdoptIsAllOrNothing: a statement that the server refuses leaves the
// restored database as it was.
func TestAdoptIsAllOrNothing(t *testing.T) {
	newRole(t, "sw_lord", "")
	newRole(t, "sw_peasant", "CREATEDB")
	newDatabase(t, "sw_a")
	newDatabase(t, "sw_b")
	conn := connectTo(t, "")
	exec(t, conn, "ALTER DATABASE sw_a OWNER TO sw_lord")
	exec(t, conn, "ALTER DATABASE sw_a CONNECTION LIMIT 3")
	exec(t, conn, "ALTER DATABASE sw_b OWNER TO sw_peasant")
	w := openSwitcher(t, overTCP(t, "sw_peasant"), "sw_a", "sw_b")
	a, b := switchSide(t, w, "sw_a"), switchSide(t, w, "sw_b")
	before, _ := w.Properties(t.Context(), b.OID)
	_, err := w.Adopt(t.Context(), a.OID, b.OID)
	wantFault(t, err, fault.Failed, "sw_lord")
	if after, err := w.Properties(t.Context(), b.OID); err != nil || !reflect.DeepEqual(before, after) {
		t.Errorf("%+v, before %+v, %v", after, before, err)
	}
	if rights, err := w.Rights(t.Context()); err != nil || rights.Super || !rights.CreateDB || rights.Signal || a.Mine || !b.Mine {
		t.Errorf("%+v %v, %t %t", rights, err, a.Mine, b.Mine)
	}
}

// swap gives sw_x's name to sw_y, as the vault does.
func swap(ctx context.Context, w *pg.Switcher, x, y *pg.SwitchDatabase) error {
	if err := w.Allow(ctx, map[uint32]bool{x.OID: false, y.OID: false}); err != nil {
		return err
	}
	if _, err := w.EndSessions(ctx, 10*time.Second, x.OID, y.OID); err != nil {
		return err
	}
	return w.Rename(ctx, 10*time.Second, []pg.Move{{OID: x.OID, To: x.Name + "_old"}, {OID: y.OID, To: x.Name}}, map[uint32]bool{y.OID: true})
}

func swapPair(t *testing.T, name string) {
	t.Helper()
	newDatabase(t, name, "CREATE TABLE mark AS SELECT 'old' AS v")
	newDatabase(t, name+"_new", "CREATE TABLE mark AS SELECT 'new' AS v")
	dropLater(t, name+"_old")
}

func dropLater(t *testing.T, name string) {
	t.Cleanup(func() {
		if err := pg.DropDatabase(context.Background(), settings(), name); err != nil {
			t.Error(err)
		}
	})
}

func TestSwapNames(t *testing.T) {
	swapPair(t, "sw_x")
	busy := connectTo(t, "sw_x")
	exec(t, busy, "BEGIN; INSERT INTO public.mark VALUES ('half')")
	w := openSwitcher(t, settings(), "sw_x", "sw_x_new")
	var said []string
	w.Statement = func(sql string, done bool) {
		if done {
			said = append(said, sql)
		}
	}
	x, y := switchSide(t, w, "sw_x"), switchSide(t, w, "sw_x_new")
	if len(x.Sessions) != 1 || !x.Sessions[0].Writing || x.Sessions[0].Since.IsZero() || x.Bytes < 1000 {
		t.Errorf("%+v", x)
	}
	if err := swap(t.Context(), w, x, y); err != nil {
		t.Fatal(err)
	}
	if err := busy.Ping(t.Context()); err == nil {
		t.Error("a session lives on in the old one")
	}
	names, err := w.Names(t.Context(), x.OID, y.OID)
	if err != nil || names[x.OID] != (pg.Named{OID: x.OID, Name: "sw_x_old"}) || names[y.OID] != (pg.Named{OID: y.OID, Name: "sw_x", Open: true}) {
		t.Errorf("%+v, %v", names, err)
	}
	if a, err := pg.Ask(t.Context(), settings(), "sw_x"); err != nil || a != (pg.Answer{OID: y.OID, Tables: 1, Readable: 1}) {
		t.Errorf("%+v, %v", a, err)
	}
	begin := slices.Index(said, `ALTER DATABASE "sw_x" RENAME TO "sw_x_old"`)
	if begin < 1 || !slices.Equal(said[begin-1:begin+4], []string{"BEGIN", said[begin], `ALTER DATABASE "sw_x_new" RENAME TO "sw_x"`, `ALTER DATABASE "sw_x" ALLOW_CONNECTIONS true`, "COMMIT"}) {
		t.Errorf("not one transaction: %q", said)
	}
	if w := openSwitcher(t, settings(), "postgres"); w.Server.Major() < 13 { // spoken to from template1
		t.Error(w.Server)
	}
}

// TestRenameEndsLateComers: somebody logs in between the last session's end
// and the renames.
func TestRenameEndsLateComers(t *testing.T) {
	swapPair(t, "sw_late")
	w := openSwitcher(t, settings(), "sw_late", "sw_late_new")
	x, y := switchSide(t, w, "sw_late"), switchSide(t, w, "sw_late_new")
	connectTo(t, "sw_late") // logins were never refused
	connectTo(t, "sw_late_new")
	began := time.Now()
	err := w.Rename(t.Context(), 10*time.Second, []pg.Move{{OID: x.OID, To: "sw_late_old"}, {OID: y.OID, To: "sw_late"}}, nil)
	if took := time.Since(began); err != nil || took > time.Second {
		t.Errorf("%v after %v", err, took)
	}
}

// TestRenameFails: after the first of two renames, and neither name has
// changed.
func TestRenameFails(t *testing.T) {
	swapPair(t, "sw_gone")
	w := openSwitcher(t, settings(), "sw_gone", "sw_gone_new")
	x := switchSide(t, w, "sw_gone")
	var renames atomic.Int32
	w.Statement = func(sql string, done bool) {
		if done && strings.Contains(sql, "RENAME") {
			renames.Add(1)
		}
	}
	err := w.Rename(t.Context(), time.Second, []pg.Move{{OID: x.OID, To: "sw_gone_old"}, {OID: 4294967295, To: "sw_gone"}}, nil)
	wantFault(t, err, fault.Refused, "gone", "4294967295")
	if d, err := w.Database(t.Context(), "sw_gone"); err != nil || d == nil || d.OID != x.OID || renames.Load() != 1 {
		t.Errorf("%+v, %v after %d renames", d, err, renames.Load())
	}
	if d, err := w.Database(t.Context(), "sw_nowhere"); d != nil || err != nil {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestEndSessionsHasABound(t *testing.T) {
	swapPair(t, "sw_stay")
	w := openSwitcher(t, settings(), "sw_stay")
	x := switchSide(t, w, "sw_stay")
	busy := connectTo(t, "sw_stay")
	pid := int(busy.PgConn().PID())
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil { // hangs, as on a disk that does not answer
		t.Fatal(err)
	}
	defer syscall.Kill(pid, syscall.SIGCONT)
	_, err := w.EndSessions(t.Context(), 100*time.Millisecond, x.OID)
	wantFault(t, err, fault.Refused, "1 sessions do not end", "pid "+strconv.Itoa(pid))
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if n, err := w.EndSessions(t.Context(), 10*time.Second, x.OID); err != nil || n > 1 {
		t.Errorf("%d, %v", n, err)
	}
}

func TestMark(t *testing.T) {
	newDatabase(t, "sw_mark", "CREATE TABLE t AS SELECT generate_series(1, 50) AS i")
	conn := connectTo(t, "sw_mark")
	var m pg.Mark
	for m.Written < 50 { // statistics lag
		var err error
		if m, err = pg.MarkOf(t.Context(), settings(), "sw_mark"); err != nil {
			t.Fatal(err)
		}
	}
	exec(t, conn, "UPDATE public.t SET i = i + 1 WHERE i <= 7")
	exec(t, conn, "ANALYZE")
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for after := m; after.Written != m.Written+7; {
		var err error
		if after, err = pg.MarkOf(t.Context(), settings(), "sw_mark"); err != nil || after.OID != m.OID || after.SystemID != m.SystemID || after.SystemID == "" || after.Written > m.Written+7 {
			t.Fatalf("%+v then %+v, %v", m, after, err)
		}
	}
}
