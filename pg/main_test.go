package pg_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	osexec "os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"pgvault/pg"
	"pgvault/pg/pgtest"
)

// The one cluster of this package's tests. It speaks TCP too, where a role
// needs a password.
var cluster *pgtest.Cluster

func TestMain(m *testing.M) {
	if role := os.Getenv("PGVAULT_TEST_ROLE"); role != "" {
		os.Exit(runRole(role))
	}
	for _, e := range os.Environ() {
		if k, _, _ := strings.Cut(e, "="); strings.HasPrefix(k, "PG") || strings.HasPrefix(k, "DB_") {
			os.Unsetenv(k)
		}
	}
	os.Exit(withCluster(m))
}

func withCluster(m *testing.M) int {
	var err error
	cluster, err = pgtest.Start(context.Background(), pgtest.Options{
		BinDir: os.Getenv("PGVAULT_TEST_BINDIR"), // another version than the newest installed
		Conf:   map[string]string{"listen_addresses": "127.0.0.1", "port": freePort(), "max_connections": "100"},
		HBA:    []string{"host all all 127.0.0.1/32 scram-sha-256"},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer cluster.Stop()
	return m.Run()
}

func settings() pg.Settings { return cluster.Settings() }

// programs are the client programs of the cluster's own version.
func programs(t *testing.T) pg.Programs {
	t.Helper()
	all, _, err := pg.FindPrograms(t.Context(), cluster.BinDir)
	if err != nil || len(all) != 1 {
		t.Fatalf("programs in %s: %v, %v", cluster.BinDir, all, err)
	}
	return all[0]
}

// connectTo opens a session of the superuser.
func connectTo(t *testing.T, database string) *pgx.Conn {
	t.Helper()
	conn, err := settings().Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func exec(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// newDatabase makes a database, runs sql in it and drops it in the end.
func newDatabase(t *testing.T, name string, sql ...string) {
	t.Helper()
	admin := connectTo(t, "")
	ident := pgx.Identifier{name}.Sanitize()
	exec(t, admin, "CREATE DATABASE "+ident+" TEMPLATE template0")
	t.Cleanup(func() {
		conn, err := settings().Connect(context.Background(), "")
		if err == nil {
			_, err = conn.Exec(context.Background(), "DROP DATABASE IF EXISTS "+ident+" WITH (FORCE)")
			conn.Close(context.Background())
		}
		if err != nil {
			t.Errorf("drop %s: %v", name, err)
		}
	})
	conn, err := settings().Connect(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	for _, q := range append([]string{"SET search_path = public"}, sql...) {
		exec(t, conn, q)
	}
}

// dump reads a whole dump.
func dump(t *testing.T, s pg.Settings, o pg.DumpOptions) ([]byte, error) {
	t.Helper()
	d, err := pg.StartDump(t.Context(), s, programs(t), o, nil)
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	if _, err := io.Copy(&buf, d); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes(), d.Wait()
}

// clientProgram runs one of the client programs and gives what it wrote.
func clientProgram(t *testing.T, s pg.Settings, stdin []byte, name string, args ...string) string {
	t.Helper()
	env, err := s.Env(os.Environ())
	if err != nil {
		t.Fatal(err)
	}
	cmd := osexec.CommandContext(t.Context(), filepath.Join(cluster.BinDir, name), args...)
	cmd.Env, cmd.Stdin = env, bytes.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, &stderr)
	}
	return string(out)
}

// plain is the database as SQL text, without what differs from run to run.
func plain(t *testing.T, s pg.Settings, database string) string {
	t.Helper()
	text := clientProgram(t, s, nil, "pg_dump", "--dbname=dbname='"+database+"'")
	return regexp.MustCompile(`(?m)^\\(un)?restrict .*$`).ReplaceAllString(text, "")
}

// listing is pg_restore's table of contents.
func listing(t *testing.T, archive []byte) string {
	t.Helper()
	return clientProgram(t, settings(), archive, "pg_restore", "--list")
}

func catalogOf(t *testing.T, s pg.Settings, database string) *pg.Catalog {
	t.Helper()
	snap, err := pg.OpenSnapshot(t.Context(), s, database)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close(t.Context())
	c, err := snap.Catalog(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}
