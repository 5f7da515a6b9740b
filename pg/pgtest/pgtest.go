// Package pgtest runs a private throwaway PostgreSQL cluster on a Unix
// socket: for tests, for `pgvault demo` and as the scratch cluster in which a
// restore is proven.
//
// The cluster listens on no network address, lives in a directory of mode
// 0700 and trusts whoever may enter that. It dies with the process that
// started it, however that one ends; only the directory of a process killed
// by SIGKILL stays behind, until the next Start or Sweep. Called by root, the server runs as an unprivileged
// user, because PostgreSQL refuses root.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"pgvault/fault"
	"pgvault/pg"
	"pgvault/pg/internal/child"
)

// Options say what cluster to make. The zero value is a cluster for tests.
type Options struct {
	// BinDir holds initdb and postgres; empty: the newest installed.
	BinDir string
	// Dir holds the cluster and its socket; empty: a new temporary
	// directory. It must be empty or not exist, and its path short: a
	// socket's path has 107 bytes at most.
	Dir string
	// Encoding and Locale are initdb's; empty: UTF8 and C.
	Encoding, Locale string
	// Conf is added to postgresql.conf: name to value, unquoted.
	Conf map[string]string
	// HBA are lines of pg_hba.conf that come before "local all all trust".
	HBA []string
	// Superuser is the bootstrap role; empty: postgres.
	Superuser string
	// Durable keeps fsync and its like on; without it a crash of the machine
	// (not of the server) may damage the cluster, and everything is faster.
	Durable bool
}

// Cluster is a running, stopped or killed cluster.
type Cluster struct {
	Dir       string // the directory of mode 0700 around everything
	DataDir   string
	SocketDir string
	Port      int
	Superuser string
	BinDir    string

	cred    *syscall.Credential
	madeDir bool
	owner   *os.File // locked while the cluster is in use
	mu      sync.Mutex
	proc    *child.Process
	log     *child.Lines
}

const (
	startTimeout = 60 * time.Second
	stopTimeout  = 20 * time.Second
	// maxSocketPath is sizeof(sun_path) less its NUL.
	maxSocketPath = 107
)

// Start makes a cluster and starts it. It returns when the server accepts
// connections. Cancelling ctx before that ends the attempt; afterwards ctx
// has no say, and only Stop or the end of this process ends the server.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	c := &Cluster{Superuser: o.Superuser, BinDir: o.BinDir, Port: 5432}
	if c.Superuser == "" {
		c.Superuser = "postgres"
	}
	if c.BinDir == "" {
		all, searched, err := pg.FindPrograms(ctx, "")
		if err != nil {
			return nil, err
		}
		if c.BinDir, err = pg.ForScratch(all, searched, 0); err != nil {
			return nil, err
		}
	}
	if p := o.Conf["port"]; p != "" {
		if _, err := fmt.Sscanf(p, "%d", &c.Port); err != nil {
			return nil, fmt.Errorf("port %q: %w", p, err)
		}
	}
	_, _ = Sweep() // what cannot be removed hinders no new cluster
	if err := c.place(o.Dir); err != nil {
		return nil, err
	}
	if err := c.lock(); err != nil {
		return nil, errors.Join(err, c.remove())
	}
	if err := c.initdb(ctx, o); err != nil {
		return nil, errors.Join(err, c.remove())
	}
	if err := c.StartAgain(ctx); err != nil {
		return nil, errors.Join(err, c.remove())
	}
	return c, nil
}

// place makes the directory and gives it to the user who runs the server.
func (c *Cluster) place(dir string) error {
	cred, owner, err := serverUser()
	if err != nil {
		return err
	}
	c.cred = cred
	if dir == "" {
		if dir, err = tempDir(); err != nil {
			return err
		}
		c.madeDir = true
	} else if err = os.Mkdir(dir, 0o700); err == nil {
		c.madeDir = true
	} else if !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("the directory of the cluster: %w", err)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		return fmt.Errorf("the directory of a cluster must be empty: %s (%w)", dir, errors.Join(err, os.ErrExist))
	}
	c.Dir, c.SocketDir, c.DataDir = dir, dir, filepath.Join(dir, "data")
	if n := len(filepath.Join(dir, fmt.Sprintf(".s.PGSQL.%d", c.Port))); n > maxSocketPath {
		return errors.Join(fmt.Errorf("the path %s is too long for a Unix socket: %d bytes, at most %d", dir, n, maxSocketPath), c.remove())
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return err
	}
	if cred == nil {
		return nil
	}
	if err := os.Chown(dir, int(cred.Uid), int(cred.Gid)); err != nil {
		return errors.Join(&fault.Error{Op: "cluster", What: "the private cluster cannot be given to the user " + owner,
			Why: err.Error(), Left: "Nothing was started.", Err: err,
			Do: "PostgreSQL does not run as root: call this as an ordinary user, or allow the change of owner (CAP_CHOWN)."}, c.remove())
	}
	if up := closedParent(dir); up != "" {
		return errors.Join(&fault.Error{Op: "cluster", What: "the user " + owner + " cannot enter " + up,
			Why: "PostgreSQL does not run as root, and its directory lies below that one", Left: "Nothing was started.",
			Do: "Set TMPDIR to a directory that every user may enter, such as /tmp."}, c.remove())
	}
	return nil
}

// Base is the directory below which clusters without Options.Dir are made:
// TMPDIR, or /tmp where that path would be too long for a socket.
func Base() string {
	if base := os.TempDir(); len(base) <= maxSocketPath-40 {
		return base
	}
	return "/tmp"
}

// tempDir makes a directory below Base.
func tempDir() (string, error) {
	dir, err := os.MkdirTemp(Base(), tempPrefix+"*")
	if err != nil {
		return "", fmt.Errorf("a directory for the private cluster: %w", err)
	}
	return dir, nil
}

func (c *Cluster) initdb(ctx context.Context, o Options) error {
	if o.Encoding == "" {
		o.Encoding = "UTF8"
	}
	if o.Locale == "" {
		o.Locale = "C"
	}
	out, err := c.run(ctx, "initdb", "-D", c.DataDir, "-U", c.Superuser, "-A", "trust", "-N",
		"-E", o.Encoding, "--locale="+o.Locale)
	if err != nil {
		return &fault.Error{Op: "cluster", What: "initdb could not make the private cluster", Why: out, Err: err,
			Left: "Its directory was removed.", Do: "See that " + c.BinDir + "/initdb works and that there is space in " + filepath.Dir(c.Dir) + "."}
	}
	conf := map[string]string{"listen_addresses": "", "unix_socket_directories": c.SocketDir, "unix_socket_permissions": "0700",
		"logging_collector": "off", "log_destination": "stderr", "lc_messages": "C", "max_connections": "50",
		"jit": "off"} // a service that may not write code as it runs (MemoryDenyWriteExecute) starts it too
	if !o.Durable {
		conf["fsync"], conf["synchronous_commit"], conf["full_page_writes"] = "off", "off", "off"
	}
	for k, v := range o.Conf {
		conf[k] = v
	}
	var text strings.Builder
	for _, k := range slices.Sorted(mapKeys(conf)) {
		fmt.Fprintf(&text, "%s = '%s'\n", k, strings.ReplaceAll(conf[k], "'", "''"))
	}
	hba := strings.Join(append(slices.Clone(o.HBA), "local all all trust", "local replication all trust"), "\n") + "\n"
	return errors.Join(c.write("postgresql.auto.conf", text.String()), c.write("pg_hba.conf", hba))
}

func mapKeys(m map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// write replaces the text of a file that initdb made; its owner stays.
func (c *Cluster) write(name, text string) error {
	f, err := os.OpenFile(filepath.Join(c.DataDir, name), os.O_WRONLY|os.O_TRUNC|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// run runs one of the cluster's programs as the server's user and gives the
// end of what it said.
func (c *Cluster) run(ctx context.Context, program string, args ...string) (string, error) {
	cmd := exec.Command(filepath.Join(c.BinDir, program), args...)
	cmd.Env, cmd.Dir = c.env(), c.Dir
	r, w, err := os.Pipe()
	if err != nil {
		return "", err
	}
	cmd.Stdout, cmd.Stderr = w, w
	p, err := child.Start(ctx, cmd, child.Options{Cred: c.cred})
	w.Close()
	lines := child.ReadLines(r, 20, nil)
	if err == nil {
		err = p.Wait()
	}
	lines.Wait()
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return strings.Join(lines.Last(6), "; "), err
}

// env is the environment of the server's programs: nothing of the caller's
// PG* variables, English messages.
func (c *Cluster) env() []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "PG") && !strings.HasPrefix(e, "LC_") && !strings.HasPrefix(e, "LANG") {
			env = append(env, e)
		}
	}
	return append(env, "LC_ALL=C", "TZ=UTC")
}
