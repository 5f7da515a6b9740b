package pg_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"pgvault/fault"
	"pgvault/pg"
)

const password = "c4nary-s3cret'pw"

// overTCP gives settings of a role that needs a password, as a URI.
func overTCP(t *testing.T, role string) pg.Settings {
	t.Helper()
	return pg.Settings{Conninfo: "postgresql://" + role + ":c4nary-s3cret%27pw@127.0.0.1:" + strconv.Itoa(cluster.Port) + "/postgres?sslmode=disable"}
}

// newRole makes a role that may log in with the password.
func newRole(t *testing.T, name, options string) {
	t.Helper()
	conn := connectTo(t, "")
	exec(t, conn, "SET password_encryption = 'scram-sha-256'")
	newPlainRole(t, name, "LOGIN PASSWORD 'c4nary-s3cret''pw' "+options)
}

// newPlainRole makes a role and drops it in the end, after the databases that
// the test makes later.
func newPlainRole(t *testing.T, name, options string) {
	t.Helper()
	ident := pgx.Identifier{name}.Sanitize()
	exec(t, connectTo(t, ""), "CREATE ROLE "+ident+" "+options)
	t.Cleanup(func() {
		conn, err := settings().Connect(context.Background(), "")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(context.Background())
		if _, err := conn.Exec(context.Background(), "DROP ROLE IF EXISTS "+ident); err != nil {
			t.Errorf("drop role %s: %v", name, err)
		}
	})
}

func TestPasswordIsInNoArgument(t *testing.T) {
	newRole(t, "shown", "SUPERUSER")
	newDatabase(t, "src", big...)
	s := overTCP(t, "shown")
	d := stalledDump(t, t.Context(), s, "src")
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(lines) == 0 {
		t.Fatal(lines, err)
	}
	found := false
	for _, f := range lines {
		text, _ := os.ReadFile(f)
		if bytes.Contains(text, []byte("c4nary")) {
			t.Errorf("%s: %q", f, text)
		}
		found = found || strings.Contains(f, "/"+strconv.Itoa(d.Pid())+"/") && bytes.Contains(text, []byte("pg_dump"))
	}
	if !found {
		t.Error("pg_dump was not among the processes looked at")
	}
	if err := end(t, d); err != nil {
		t.Error(err)
	}
}

func TestPasswordIsInNoError(t *testing.T) {
	newDatabase(t, "src")
	newPlainRole(t, "known", "LOGIN PASSWORD 'other'")
	for name, s := range map[string]pg.Settings{
		"wrong password": overTCP(t, "known"),
		"no such role":   overTCP(t, "unknown"),
		"no server":      {Conninfo: "host=127.0.0.1 port=1 user=known password='c4nary'"},
		"application":    {Host: "127.0.0.1", Port: strconv.Itoa(cluster.Port), User: "known", Password: password},
	} {
		var errs []error
		_, err := s.Connect(t.Context(), "src")
		errs = append(errs, err)
		_, err = dump(t, s, pg.DumpOptions{Database: "src"})
		errs = append(errs, err)
		_, _, err = pg.DumpGlobals(t.Context(), s, programs(t))
		errs = append(errs, err)
		_, err = pg.RunRestore(t.Context(), s, programs(t), pg.RestoreOptions{Database: "src", TOC: archiveOf(t, "src")}, nil)
		errs = append(errs, err)
		for i, err := range errs {
			f := fault.As(err)
			if f.Code != fault.DBUnreachable {
				t.Errorf("%s, %d: code %d: %v", name, i, f.Code, err)
			}
			if strings.Contains(f.What+f.Why+f.Left+f.Do+err.Error(), "c4nary") {
				t.Errorf("%s, %d: the password is in: %+v", name, i, f)
			}
		}
	}
}

func archiveOf(t *testing.T, database string) []byte {
	t.Helper()
	archive, err := dump(t, settings(), pg.DumpOptions{Database: database})
	if err != nil {
		t.Fatal(err)
	}
	return archive
}

func TestConnectErrors(t *testing.T) {
	newDatabase(t, "closed")
	conn := connectTo(t, "")
	exec(t, conn, "ALTER DATABASE closed ALLOW_CONNECTIONS false")
	_, err := settings().Connect(t.Context(), "closed")
	wantFault(t, err, fault.DBUnreachable, "»closed« accepts no connections")
	exec(t, conn, "ALTER DATABASE closed ALLOW_CONNECTIONS true")
	_, err = settings().Connect(t.Context(), "no\x1b[31m such")
	wantFault(t, err, fault.DBUnreachable, "does not exist")
	_, err = overTCP(t, "nobody_at_all").Connect(t.Context(), "")
	wantFault(t, err, fault.DBUnreachable, "»nobody_at_all«", ".pgpass")
	_, err = pg.Settings{Conninfo: "host=" + t.TempDir() + " user=x"}.Connect(t.Context(), "")
	wantFault(t, err, fault.DBUnreachable, "does not answer", ".s.PGSQL.5432")
	newRole(t, "guest", "")
	exec(t, conn, "REVOKE CONNECT ON DATABASE closed FROM PUBLIC")
	_, err = overTCP(t, "guest").Connect(t.Context(), "closed")
	wantFault(t, err, fault.DBUnreachable, "»guest« may not connect", "GRANT CONNECT")
}

// TestOddDatabaseNames: a name that libpq would take for a connection string
// goes to the right server, as do all others.
func TestOddDatabaseNames(t *testing.T) {
	for _, name := range []string{"host=127.0.0.9 port=1", "postgresql://127.0.0.9:1/x", `it's "odd" \ --`, "東京 🐘", "a\nb", "-d", "x'; DROP"} {
		newDatabase(t, name, "CREATE TABLE here (i int)", "INSERT INTO here VALUES (42)")
		snap, err := pg.OpenSnapshot(t.Context(), settings(), name)
		if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		archive, err := dump(t, settings(), pg.DumpOptions{Database: name, Snapshot: snap.ID})
		if err != nil || !bytes.Contains(archive, []byte("42\n")) {
			t.Errorf("%q: dump: %v", name, err)
		}
		snap.Close(t.Context())
		copied := name + " 2"
		if err := pg.CreateDatabase(t.Context(), settings(), copied, pg.DatabaseInfo{}); err != nil {
			t.Fatal(err)
		}
		if ignored, err := pg.RunRestore(t.Context(), settings(), programs(t), pg.RestoreOptions{Database: copied, Stdin: bytes.NewReader(archive)}, nil); err != nil || len(ignored) > 0 {
			t.Errorf("%q: restore: %v %v", name, ignored, err)
		}
		l, err := pg.OpenLoader(t.Context(), settings(), copied, "UTF8")
		if err != nil {
			t.Fatal(err)
		}
		if n, err := l.Copy(t.Context(), "public", "here", "COPY public.here (i) FROM stdin;", strings.NewReader("1\n2\n")); err != nil || n != 2 {
			t.Errorf("%q: load: %d, %v", name, n, err)
		}
		l.Close()
		if err := pg.Analyze(t.Context(), settings(), copied); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		if err := pg.DropDatabase(t.Context(), settings(), copied); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestServiceFileDoesNotRedirect: a dbname or options of the service file
// must not beat what pgvault asks for.
func TestServiceFileDoesNotRedirect(t *testing.T) {
	newDatabase(t, "wanted", "CREATE TABLE w (at timestamptz)", "INSERT INTO w VALUES ('2024-03-31 12:00+02')")
	newDatabase(t, "other", "CREATE TABLE o (i int)")
	file := filepath.Join(t.TempDir(), "service.conf")
	text := "[backup]\nhost=" + cluster.SocketDir + "\nport=" + strconv.Itoa(cluster.Port) + "\nuser=postgres\ndbname=other\noptions=-c TimeZone=Asia/Tokyo\nkeepalives=1\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PGSERVICEFILE", file)
	check := func(s pg.Settings) {
		t.Helper()
		archive, err := dump(t, s, pg.DumpOptions{Database: "wanted"})
		if err != nil || !bytes.Contains(archive, []byte("2024-03-31 10:00:00+00\n")) {
			t.Errorf("dump: %v", err)
		}
		c := catalogOf(t, s, "wanted")
		if len(c.Tables) != 1 || c.Tables[0].Name != "w" || c.Database.Name != "wanted" {
			t.Errorf("catalog: %+v of %s", c.Tables, c.Database.Name)
		}
	}
	check(pg.Settings{Service: "backup"})
	check(pg.Settings{Conninfo: "service=backup"})
	t.Setenv("PGSERVICE", "backup")
	check(pg.Settings{})
	check(cluster.Settings())
}

// TestSameBytesWhateverIsSet: settings of the role, the database, the server
// and the environment must not change a digest.
func TestSameBytesWhateverIsSet(t *testing.T) {
	rows := []string{
		"CREATE TABLE odd (at timestamptz, raw bytea, fee money, d date, i interval, f float8, c regclass, t text, x xml, a int[])",
		`CREATE TABLE "Q" (i int)`,
		`INSERT INTO odd VALUES ('2024-03-31 12:00+02', '\x00ff', 12.5, '2024-12-31', '1 mon 2 days', 1/3.0, 'public."Q"', 'Größe', '<a/>', '{1,NULL}')`,
	}
	newDatabase(t, "src", rows...)
	plainBytes := tablesOf(t, settings(), "src")
	conn := connectTo(t, "")
	for k, v := range map[string]string{"TimeZone": "Asia/Tokyo", "bytea_output": "escape", "DateStyle": "German", "IntervalStyle": "iso_8601",
		"extra_float_digits": "-5", "client_encoding": "LATIN1", "quote_all_identifiers": "on", "search_path": "pg_temp"} {
		exec(t, conn, "ALTER DATABASE src SET "+k+" TO "+pgx.Identifier{v}.Sanitize())
	}
	t.Setenv("PGOPTIONS", "-c TimeZone=Asia/Tokyo -c bytea_output=escape")
	t.Setenv("PGTZ", "Asia/Tokyo")
	t.Setenv("PGDATESTYLE", "German")
	t.Setenv("PGCLIENTENCODING", "LATIN1")
	archive, err := dump(t, settings(), pg.DumpOptions{Database: "src", Encoding: "UTF8"})
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range plainBytes {
		if strings.Contains(table.copy, "odd") && !bytes.Contains(archive, []byte(strings.TrimSuffix(table.data, "\\.\n\n\n"))) {
			t.Errorf("not in the dump: %s", table.data)
		}
	}
	if !strings.Contains(plainBytes[len(plainBytes)-1].data+plainBytes[0].data, "2024-03-31 10:00:00+00\t\\\\x00ff\t$12.50\t2024-12-31\t1 mon 2 days\t0.3333333333333333\t") {
		t.Errorf("%q", plainBytes)
	}
}
