package setup

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"pgvault/pg"
	"pgvault/pg/pgtest"
	"pgvault/vault"
)

// The one server of this package's tests.
var cluster *pgtest.Cluster

func TestMain(m *testing.M) {
	for _, e := range os.Environ() {
		if k, _, _ := strings.Cut(e, "="); strings.HasPrefix(k, "PG") && k != "PGVAULT_TEST_BINDIR" || strings.HasPrefix(k, "DB_") || strings.HasPrefix(k, "BACKUP_") {
			os.Unsetenv(k)
		}
	}
	os.Exit(withServer(m))
}

func withServer(m *testing.M) int {
	var err error
	cluster, err = pgtest.Start(context.Background(), pgtest.Options{BinDir: os.Getenv("PGVAULT_TEST_BINDIR")})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer cluster.Stop()
	return m.Run()
}

// server is the settings of the server's superuser.
func server() pg.Settings {
	s := cluster.Settings()
	s.BinDir = cluster.BinDir
	return s
}

// sql runs statements in a database.
func sql(t *testing.T, database string, statements ...string) {
	t.Helper()
	if err := pg.Exec(t.Context(), server(), database, statements...); err != nil {
		t.Fatal(err)
	}
}

// states writes lines as "ok ! x", in order.
func states(checks []vault.Check) string {
	var out []string
	for _, c := range checks {
		out = append(out, c.State)
	}
	return strings.Join(out, " ")
}

// has wants a line of the state that holds text.
func has(t *testing.T, checks []vault.Check, state, text string) {
	t.Helper()
	for _, c := range checks {
		if c.State == state && strings.Contains(c.Text+" > "+c.Do, text) {
			return
		}
	}
	t.Errorf("no line %s with %q in %+v", state, text, checks)
}
