package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// cluster is a private PostgreSQL below one folder: data, sock and log. It
// listens on a Unix socket only and keeps the server's default settings,
// durability (fsync, full_page_writes) included.
type cluster struct {
	dir  string
	bin  string // folder of the server programs
	cred *syscall.Credential
	port string
	ours bool // started here, so to be stopped here
}

const (
	clusterPort = "5999"
	database    = "bench"
)

// openCluster starts the cluster below dir, and makes it first if there is
// none. A caller who is root runs the server as user postgres.
func openCluster(ctx context.Context, dir, bin string) (*cluster, error) {
	c := &cluster{dir: dir, bin: bin, port: clusterPort}
	if os.Geteuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			return nil, fmt.Errorf("the server refuses to run as root and there is no user postgres: %w", err)
		}
		uid, _ := strconv.ParseUint(u.Uid, 10, 32)
		gid, _ := strconv.ParseUint(u.Gid, 10, 32)
		c.cred = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	for _, d := range []string{dir, c.path("sock")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, err
		}
		if c.cred != nil {
			if err := os.Chown(d, int(c.cred.Uid), int(c.cred.Gid)); err != nil {
				return nil, err
			}
		}
	}
	if _, err := os.Stat(c.path("data", "PG_VERSION")); errors.Is(err, os.ErrNotExist) {
		err := c.server(ctx, "initdb", "-D", c.path("data"), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8")
		if err != nil {
			return nil, err
		}
	}
	if c.server(ctx, "pg_ctl", "-D", c.path("data"), "status") == nil {
		return c, nil
	}
	c.ours = true
	return c, c.server(ctx, "pg_ctl", "-D", c.path("data"), "-l", c.path("log"), "-w", "start",
		"-o", fmt.Sprintf("-p %s -c listen_addresses='' -c unix_socket_directories='%s'", c.port, c.path("sock")))
}

func (c *cluster) path(e ...string) string { return filepath.Join(append([]string{c.dir}, e...)...) }

// warm reads the cluster's files, so that every case finds them in the page
// cache: some hosts drop what was not asked for in a minute, and a case that
// follows a long one would read them from the disk. Before, it waits until
// the disk has what the case before wrote, or this one would wait for it.
func (c *cluster) warm() error {
	syscall.Sync()
	return filepath.WalkDir(c.path("data", "base"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a temporary file of the server
		}
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(io.Discard, f)
		return err
	})
}

// stop ends the server, unless it ran before the bench did.
func (c *cluster) stop() error {
	if !c.ours {
		return nil
	}
	return c.server(context.Background(), "pg_ctl", "-D", c.path("data"), "-m", "fast", "-w", "stop")
}

// server runs a server program as the server's user, in a folder that it can
// enter; its output is shown only when it fails.
func (c *cluster) server(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(c.bin, name), args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.cred}
	cmd.Dir = c.dir
	out, err := os.CreateTemp("", "pgvault-bench-*") // a pipe would stay open in the server that pg_ctl starts
	if err != nil {
		return err
	}
	defer os.Remove(out.Name())
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(out.Name())
		return fmt.Errorf("%s: %w\n%s", name, err, text)
	}
	return nil
}

// env is the environment in which client programs reach the cluster.
func (c *cluster) env() []string {
	var env []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "PG") {
			env = append(env, kv)
		}
	}
	return append(env, "PATH="+c.bin+":"+os.Getenv("PATH"), "PGHOST="+c.path("sock"), "PGPORT="+c.port, "PGUSER=postgres", "PGDATABASE="+database)
}

// client gives a client program that is to run in env, its errors on stderr.
func (c *cluster) client(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(c.bin, name), args...)
	cmd.Env, cmd.Stderr = c.env(), os.Stderr
	return cmd
}

// sql runs statements in db and gives the unaligned output.
func (c *cluster) sql(ctx context.Context, db, text string) (string, error) {
	cmd := c.client(ctx, "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", db)
	cmd.Env = append(cmd.Env, "PGOPTIONS=-c client_min_messages=warning")
	cmd.Stdin = strings.NewReader(text)
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("psql: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// fill makes the database of about size bytes of uncompressed dump. A
// database that an earlier call finished at the same size is kept.
func (c *cluster) fill(ctx context.Context, size int64) error {
	mark := fmt.Sprintf("bench data 3, %d bytes", size)
	have, err := c.sql(ctx, "postgres", `SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = '`+database+`'`)
	if err != nil || have == mark {
		return err
	}
	_, err = c.sql(ctx, "postgres", "DROP DATABASE IF EXISTS "+database+";\nCREATE DATABASE "+database+";\n")
	if err != nil {
		return err
	}
	scale := max(1, int(float64(size)*shareBench/pgbenchScale))
	cmd := c.client(ctx, "pgbench", "-i", "-q", "-I", "dtGvp", "-s", strconv.Itoa(scale))
	cmd.Stderr = nil
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("pgbench: %w", err)
	}
	if _, err := c.sql(ctx, database, schema); err != nil {
		return err
	}
	for i, t := range tables {
		err := c.copyIn(ctx, t.name, func(w *counter) { t.write(newGen(uint64(i)), w, int64(float64(size)*t.share)) })
		if err != nil {
			return err
		}
	}
	if _, err := c.sql(ctx, database, indexes+"\nVACUUM ANALYZE;"); err != nil {
		return err
	}
	_, err = c.sql(ctx, "postgres", "COMMENT ON DATABASE "+database+" IS '"+mark+"'; CHECKPOINT;")
	return err
}

func (c *cluster) copyIn(ctx context.Context, table string, write func(*counter)) error {
	cmd := c.client(ctx, "psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-c", "COPY "+table+" FROM STDIN")
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	w := bufio.NewWriterSize(in, 1<<20)
	write(&counter{w: w})
	// A write that failed is told by psql's exit status, with its reason.
	_ = w.Flush()
	_ = in.Close()
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("load %s: %w", table, err)
	}
	return nil
}

// dumpSize counts the bytes that pg_dump writes with args.
func (c *cluster) dumpSize(ctx context.Context, args ...string) (int64, error) {
	cmd := c.client(ctx, "pg_dump", args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	n, err := io.Copy(io.Discard, out)
	return n, errors.Join(err, cmd.Wait())
}
