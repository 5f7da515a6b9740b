package pgtest_test

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgvault/fault"
	"pgvault/pg/pgtest"
)

func ask(t *testing.T, c *pgtest.Cluster, sql string) string {
	t.Helper()
	conn, err := c.Settings().Connect(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var out string
	if err := conn.QueryRow(t.Context(), sql).Scan(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

// openDir is a directory that the server's user may enter, also below root's.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pgv")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestLife(t *testing.T) {
	dir := filepath.Join(openDir(t), "it's here")
	c, err := pgtest.Start(t.Context(), pgtest.Options{Dir: dir, Encoding: "LATIN1", Superuser: "boss", Conf: map[string]string{"work_mem": "5MB"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Stop()
	if got := ask(t, c, `SELECT current_user || current_setting('server_encoding') || current_setting('work_mem') || current_setting('fsync') || '[' || current_setting('listen_addresses') || ']'`); got != "bossLATIN15MBoff[]" {
		t.Error(got)
	}
	if st, err := os.Stat(dir); err != nil || st.Mode() != fs.ModeDir|0o700 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	ask(t, c, "SELECT pg_switch_wal()::text")
	c.StopImmediate()
	if c.Running() {
		t.Error("it runs after StopImmediate")
	}
	if _, err := c.Settings().Connect(t.Context(), ""); fault.CodeOf(err) != fault.DBUnreachable {
		t.Errorf("connect to a stopped server: %v", err)
	}
	if err := c.StartAgain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if log := strings.Join(c.Log(100), "\n"); !strings.Contains(log, "not properly shut down") {
		t.Errorf("no crash in the log: %s", log)
	}
	before := c.Pid()
	if err := c.Restart(t.Context()); err != nil || c.Pid() == before {
		t.Errorf("restart: %v", err)
	}
	for range 2 {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory is left: %v", err)
	}
}

func TestDirectoryOfTheCaller(t *testing.T) {
	dir := openDir(t)
	c, err := pgtest.Start(t.Context(), pgtest.Options{Dir: dir, Durable: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := ask(t, c, "SELECT current_setting('fsync')"); got != "on" {
		t.Errorf("durable: fsync %s", got)
	}
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left in the caller's directory: %v, %v", left, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "mine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := pgtest.Start(t.Context(), pgtest.Options{Dir: dir}); err == nil {
		t.Error("a directory with a file in it was taken")
	}
	if _, err := os.Stat(filepath.Join(dir, "mine")); err != nil {
		t.Error(err)
	}
}

func TestCannotStart(t *testing.T) {
	open := openDir(t)
	closed := filepath.Join(open, "closed")
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		o    pgtest.Options
		text string
	}{
		"long path":     {pgtest.Options{Dir: filepath.Join(open, strings.Repeat("x", 100))}, "too long for a Unix socket"},
		"no programs":   {pgtest.Options{BinDir: open}, "initdb"},
		"bad encoding":  {pgtest.Options{Encoding: "NOPE"}, "NOPE"},
		"bad setting":   {pgtest.Options{Conf: map[string]string{"work_mem": "much"}}, "work_mem"},
		"parent absent": {pgtest.Options{Dir: filepath.Join(open, "a", "b")}, "no such file"},
	}
	if os.Geteuid() == 0 {
		cases["closed parent"] = struct {
			o    pgtest.Options
			text string
		}{pgtest.Options{Dir: filepath.Join(closed, "c")}, "cannot enter " + closed}
	}
	for name, c := range cases {
		cluster, err := pgtest.Start(t.Context(), c.o)
		if err == nil {
			cluster.Stop()
			t.Errorf("%s: it started", name)
		} else if !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, dir := range []string{open, closed} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Name() != "closed" {
				t.Errorf("left behind: %s/%s", dir, e.Name())
			}
		}
	}
}

// TestSweep: the directory of a killed process is removed, one in use is not.
// The killed process is this binary, started again.
func TestSweep(t *testing.T) {
	t.Setenv("TMPDIR", openDir(t))
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "PGTEST_ROLE=victim")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	dir := strings.TrimSpace(line)
	if err != nil || !strings.HasPrefix(dir, os.Getenv("TMPDIR")) {
		t.Fatalf("%q, %v", line, err)
	}
	if removed, err := pgtest.Sweep(); slices.Contains(removed, dir) || err != nil {
		t.Errorf("a cluster in use was swept: %q, %v", removed, err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	if _, err := os.Stat(filepath.Join(dir, "data", "PG_VERSION")); err != nil {
		t.Fatalf("nothing is left to sweep: %v", err)
	}
	c, err := pgtest.Start(t.Context(), pgtest.Options{}) // sweeps
	if err != nil {
		t.Fatal(err)
	}
	defer c.Stop()
	pgtest.Sweep() // what the dying server put back while it was swept
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is still there: %v", dir, err)
	}
	if got := ask(t, c, "SELECT 'alive'"); got != "alive" {
		t.Error(got)
	}
}

func TestMain(m *testing.M) {
	if os.Getenv("PGTEST_ROLE") == "" {
		os.Exit(m.Run())
	}
	c, err := pgtest.Start(context.Background(), pgtest.Options{})
	if err != nil {
		println(err.Error())
		os.Exit(1)
	}
	os.Stdout.WriteString(c.Dir + "\n")
	select {}
}

func TestCancelledStart(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := pgtest.Start(ctx, pgtest.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
