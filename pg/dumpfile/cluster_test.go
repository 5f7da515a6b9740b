package dumpfile

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// cluster is a throwaway server on a Unix socket, one for the whole test run.
type cluster struct {
	bin   string // folder of the programs
	dir   string // data and socket
	major int
	cred  *syscall.Credential
}

var (
	theCluster   *cluster
	clusterErr   error
	clusterOnce  sync.Once
	clusterReady bool
)

func TestMain(m *testing.M) {
	code := m.Run()
	if clusterReady {
		theCluster.stop()
	}
	os.Exit(code)
}

// server starts the cluster on first use. PGVAULT_TEST_BINDIR names the folder
// of other programs than the newest installed ones.
func server(t testing.TB) *cluster {
	t.Helper()
	clusterOnce.Do(func() { theCluster, clusterErr = startCluster() })
	if clusterErr != nil {
		t.Fatal(clusterErr)
	}
	return theCluster
}

func startCluster() (*cluster, error) {
	bin := os.Getenv("PGVAULT_TEST_BINDIR")
	if bin == "" {
		found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
		if len(found) == 0 {
			return nil, fmt.Errorf("no PostgreSQL server programs in /usr/lib/postgresql")
		}
		bin = filepath.Dir(found[len(found)-1])
	}
	dir, err := os.MkdirTemp("/tmp", "pgv")
	if err != nil {
		return nil, err
	}
	c := &cluster{bin: bin, dir: dir}
	if os.Getuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			return nil, err
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		c.cred = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(dir, uid, gid); err != nil {
			return nil, err
		}
	}
	data := filepath.Join(dir, "data")
	opts := "-k " + dir + " -c listen_addresses= -c fsync=off -c max_locks_per_transaction=1024"
	for _, args := range [][]string{
		{"initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"},
		{"pg_ctl", "-D", data, "-w", "-l", filepath.Join(dir, "log"), "-o", opts, "start"},
	} {
		cmd := c.command(args[0], args[1:]...)
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%v: %w\n%s", args, err, out)
		}
	}
	clusterReady = true
	out, err := c.command("pg_dump", "--version").Output()
	if err != nil {
		return nil, err
	}
	c.major, err = strconv.Atoi(strings.Split(strings.Fields(string(out))[2], ".")[0])
	return c, err
}

func (c *cluster) stop() {
	c.command("pg_ctl", "-D", filepath.Join(c.dir, "data"), "-m", "immediate", "-w", "stop").Run()
	os.RemoveAll(c.dir)
}

// command is one of the server's programs, as the server's user.
func (c *cluster) command(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), filepath.Join(c.bin, name), args...)
	cmd.Dir = c.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "PGHOST=" + c.dir, "PGUSER=postgres", "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.cred}
	return cmd
}

func (c *cluster) output(t testing.TB, stdin []byte, name string, args ...string) []byte {
	t.Helper()
	cmd := c.command(name, args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, errs.Bytes())
	}
	return out.Bytes()
}

// createdb makes a database and fills it with the script.
func (c *cluster) createdb(t testing.TB, name, script string) {
	t.Helper()
	c.output(t, nil, "psql", "-XqAt", "-d", "postgres", "-c", `create database "`+name+`"`)
	c.output(t, []byte(script), "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", name)
}

// query gives what psql prints, unaligned; COPY ... TO STDOUT comes as sent.
func (c *cluster) query(t testing.TB, db, sql string) []byte {
	t.Helper()
	return c.output(t, []byte(sql), "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", db)
}

// dump is pg_dump's output through a pipe.
func (c *cluster) dump(t testing.TB, db string, args ...string) []byte {
	t.Helper()
	return c.output(t, nil, "pg_dump", append([]string{"-Fc", "-Z0", "-d", db}, args...)...)
}
