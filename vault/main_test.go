package vault

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"pgvault/pg"
	"pgvault/pg/pgtest"
)

// The one server of this package's tests, of the version whose programs lie
// in PGVAULT_TEST_BINDIR, else of the newest installed one; and pgvault
// itself, built once.
var (
	cluster *pgtest.Cluster
	binary  string
)

func TestMain(m *testing.M) {
	if order := os.Getenv("PGVAULT_TEST_SWITCH"); order != "" { // see switchkill_test.go
		os.Exit(runSwitchVictim(order))
	}
	if dir := os.Getenv(hereDirEnv); dir != "" {
		os.Exit(hereAsChild(dir))
	}
	if order := os.Getenv(retainOrderEnv); order != "" {
		os.Exit(retainAsChild(order))
	}
	for _, e := range os.Environ() {
		if k, _, _ := strings.Cut(e, "="); strings.HasPrefix(k, "PG") && !strings.HasPrefix(k, "PGVAULT_TEST_") || strings.HasPrefix(k, "DB_") || strings.HasPrefix(k, "BACKUP_") {
			os.Unsetenv(k)
		}
	}
	os.Exit(withServer(m))
}

func withServer(m *testing.M) int {
	fail := func(err error) int {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	programs, err := os.MkdirTemp("", "pgvault-test-")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(programs)
	outer, err := os.MkdirTemp(memory(), "pgvault-test-")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(outer)
	if err := os.Chmod(outer, 0o755); err != nil { // the server's user enters it
		return fail(err)
	}
	binary = filepath.Join(programs, "pgvault")
	build := exec.Command("go", "build", "-o", binary, "pgvault")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fail(fmt.Errorf("go build: %w\n%s", err, out))
	}
	if cluster, err = startServer(filepath.Join(outer, "server"), nil); err != nil {
		return fail(err)
	}
	defer cluster.Stop()
	defer func() { stopSwitchServer(); stopChainServers() }()
	// Each test's own files lie here, where a search for plaintext looks.
	temp := filepath.Join(outer, "tmp")
	if err := os.Mkdir(temp, 0o755); err != nil {
		return fail(err)
	}
	os.Setenv("TMPDIR", temp)
	return m.Run()
}

// memory is a file system in memory where there is one: the tests make many
// databases, and a slow disk proves nothing more.
func memory() string {
	f, err := os.CreateTemp("/dev/shm", "pgvault-test-")
	if err != nil {
		return ""
	}
	f.Close()
	os.Remove(f.Name())
	return "/dev/shm"
}

func startServer(dir string, conf map[string]string) (*pgtest.Cluster, error) {
	all := map[string]string{"max_locks_per_transaction": "512", "autovacuum": "off", "wal_level": "minimal", "max_wal_senders": "0", "max_connections": "60"}
	for k, v := range conf {
		all[k] = v
	}
	return pgtest.Start(context.Background(), pgtest.Options{BinDir: os.Getenv("PGVAULT_TEST_BINDIR"), Dir: dir, Conf: all})
}

// settings are those of the server's superuser, with the server's own client
// programs.
func settings() pg.Settings { return settingsOf(cluster) }

func settingsOf(c *pgtest.Cluster) pg.Settings {
	s := c.Settings()
	s.BinDir = c.BinDir
	return s
}

func connect(t *testing.T, database string) *pgx.Conn { return connectAs(t, settings(), database) }

func connectAs(t *testing.T, s pg.Settings, database string) *pgx.Conn {
	t.Helper()
	conn, err := s.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	if _, err := conn.Exec(t.Context(), "SET application_name = 'a test'"); err != nil { // see noSessions
		t.Fatal(err)
	}
	return conn
}

// sql runs statements in a database and closes the session.
func sql(t *testing.T, database string, statements ...string) {
	t.Helper()
	sqlAs(t, settings(), database, statements...)
}

func sqlAs(t *testing.T, s pg.Settings, database string, statements ...string) {
	t.Helper()
	conn, err := s.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	for _, q := range append([]string{"SET search_path = public"}, statements...) {
		if _, err := conn.Exec(t.Context(), q, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatalf("%.300s: %v", q, err)
		}
	}
}

// one asks for one value.
func one[T any](t *testing.T, database, query string, args ...any) T {
	t.Helper()
	conn, err := settings().Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var v T
	if err := conn.QueryRow(t.Context(), query, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return v
}

// create makes a database, dropped in the end. how follows CREATE DATABASE.
func create(t *testing.T, name, how string) {
	t.Helper()
	sql(t, "", "CREATE DATABASE "+pg.QuoteIdent(name)+" TEMPLATE template0 "+how)
	dropAfter(t, name)
}

// dropAfter drops a database at the test's end.
func dropAfter(t testing.TB, name string) {
	t.Cleanup(func() {
		if err := pg.DropDatabase(context.Background(), settings(), name); err != nil {
			t.Errorf("drop %q: %v", name, err)
		}
	})
}

// dropRoleAfter drops a role at the test's end, after the databases that
// were made later.
func dropRoleAfter(t *testing.T, name string) {
	t.Cleanup(func() {
		conn, err := settings().Connect(context.Background(), "")
		if err == nil {
			_, err = conn.Exec(context.Background(), "DROP ROLE IF EXISTS "+pg.QuoteIdent(name))
			conn.Close(context.Background())
		}
		if err != nil {
			t.Errorf("drop role %q: %v", name, err)
		}
	})
}

func exists(t *testing.T, database string) bool {
	t.Helper()
	return one[bool](t, "", "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", database)
}
