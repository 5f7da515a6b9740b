package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"pgvault/fault"
	"pgvault/pg"
	"pgvault/pg/internal/child"
)

// Settings say how the cluster is reached: by its socket, as its superuser.
func (c *Cluster) Settings() pg.Settings { return c.SettingsFor(c.Superuser) }

// SettingsFor is Settings for another role.
func (c *Cluster) SettingsFor(user string) pg.Settings {
	q := func(s string) string {
		return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
	}
	return pg.Settings{Conninfo: fmt.Sprintf("host=%s port=%d user=%s", q(c.SocketDir), c.Port, q(user))}
}

// Running tells whether the server's process lives.
func (c *Cluster) Running() bool {
	c.mu.Lock()
	p := c.proc
	c.mu.Unlock()
	if p == nil {
		return false
	}
	select {
	case <-p.Done():
		return false
	default:
		return true
	}
}

// Pid is the process id of the postmaster, 0 if it never ran.
func (c *Cluster) Pid() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.proc == nil {
		return 0
	}
	return c.proc.Pid()
}

// Log gives the last n lines of the server's log, n up to 500.
func (c *Cluster) Log(n int) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.log == nil {
		return nil
	}
	return c.log.Last(n)
}

// StartAgain starts the server of a stopped or killed cluster and returns
// when it accepts connections.
func (c *Cluster) StartAgain(ctx context.Context) error {
	if c.Running() {
		return nil
	}
	cmd := exec.Command(filepath.Join(c.BinDir, "postgres"), "-D", c.DataDir)
	cmd.Env, cmd.Dir = c.env(), c.Dir
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = w, w
	// SIGQUIT is PostgreSQL's immediate shutdown: the postmaster takes its
	// children with it.
	p, err := child.Start(context.Background(), cmd, child.Options{Death: syscall.SIGQUIT, Cred: c.cred, Low: child.IsLow(ctx)})
	w.Close()
	if err != nil {
		r.Close()
		return fmt.Errorf("the private server does not start: %w", err)
	}
	ready := make(chan struct{})
	var once sync.Once
	lines := child.ReadLines(r, 500, func(line string) {
		if strings.Contains(line, "database system is ready to accept") {
			once.Do(func() { close(ready) })
		}
	})
	c.mu.Lock()
	c.proc, c.log = p, lines
	c.mu.Unlock()
	limit := time.NewTimer(startTimeout)
	defer limit.Stop()
	why := "it is not ready after " + startTimeout.String()
	select {
	case <-ready:
		return nil
	case <-ctx.Done():
		p.Kill()
		return ctx.Err()
	case <-p.Done():
		lines.Wait()
		why = strings.Join(lines.Last(4), "; ")
	case <-limit.C:
		p.Kill()
	}
	return &fault.Error{Op: "cluster", What: "the private server does not start", Why: why,
		Left: "Nothing else was touched.", Do: "See the limits of this machine: memory, shared memory, disk space."}
}

// halt sends sig and waits for the end; the server is killed when it takes
// longer than stopTimeout.
func (c *Cluster) halt(sig syscall.Signal) {
	c.mu.Lock()
	p := c.proc
	c.mu.Unlock()
	if p == nil {
		return
	}
	// Only the postmaster: backends would die of a signal meant for it.
	p.SignalLeader(sig)
	t := time.NewTimer(stopTimeout)
	defer t.Stop()
	select {
	case <-p.Done():
		return
	case <-t.C:
	}
	p.SignalLeader(syscall.SIGQUIT)
	t.Reset(stopTimeout)
	select {
	case <-p.Done():
	case <-t.C:
		p.Kill()
	}
}

// StopFast ends the server as a sysadmin would: sessions are ended, data is
// written. The cluster stays and can be started again.
func (c *Cluster) StopFast() { c.halt(syscall.SIGINT) }

// StopImmediate ends the server as a crash would; StartAgain recovers it.
func (c *Cluster) StopImmediate() { c.halt(syscall.SIGQUIT) }

// Restart stops the server fast and starts it again.
func (c *Cluster) Restart(ctx context.Context) error {
	c.StopFast()
	return c.StartAgain(ctx)
}

// Stop ends the server and removes all that the cluster put on disk. It may
// be called more than once.
func (c *Cluster) Stop() error {
	c.StopFast()
	return c.remove()
}

func (c *Cluster) remove() error {
	if c.owner != nil {
		defer c.owner.Close()
		c.owner = nil
	}
	if c.Dir == "" {
		return nil
	}
	if c.madeDir {
		return os.RemoveAll(c.Dir)
	}
	sock := filepath.Join(c.Dir, ".s.PGSQL."+strconv.Itoa(c.Port))
	err := os.RemoveAll(c.DataDir)
	for _, f := range []string{sock, sock + ".lock", filepath.Join(c.Dir, lockName), filepath.Join(c.Dir, lockName+".new")} {
		if e := os.Remove(f); e != nil && !errors.Is(e, os.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}
