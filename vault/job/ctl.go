package job

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"pgvault/fault"
)

// ctl is the socket of a job. It is the owner's alone (0600): who may only
// read cannot cancel.
type ctl struct {
	l    *net.UnixListener
	once sync.Once
}

// inFolder calls f with a short name for a folder: the address of a socket
// holds 107 bytes, a path may be much longer.
func inFolder(dir string, f func(short string) error) error {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: dir, Err: err}
	}
	defer unix.Close(fd)
	return f(fmt.Sprintf("/proc/self/fd/%d/", fd))
}

// listenIn opens a socket in a folder, for the owner alone.
func listenIn(dir, name string) (l *net.UnixListener, err error) {
	err = inFolder(dir, func(short string) error {
		if l, err = net.ListenUnix("unix", &net.UnixAddr{Name: short + name, Net: "unix"}); err != nil {
			return err
		}
		l.SetUnlinkOnClose(false) // its name is not that name any more
		if err := os.Chmod(short+name, 0o600); err != nil {
			return errors.Join(err, l.Close())
		}
		return nil
	})
	return l, err
}

func dialIn(ctx context.Context, dir, name string) (conn net.Conn, err error) {
	err = inFolder(dir, func(short string) error {
		conn, err = (&net.Dialer{}).DialContext(ctx, "unix", short+name)
		return err
	})
	return conn, err
}

// listen answers on the job's socket until close. cancel is called once,
// whatever is asked and how often.
func listen(dir string, cancel func()) (*ctl, error) {
	l, err := listenIn(dir, ctlFile)
	if err != nil {
		return nil, err
	}
	c := &ctl{l: l}
	go func() {
		for {
			conn, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				go c.serve(conn, cancel)
			}
		}
	}()
	return c, nil
}

func (c *ctl) serve(conn net.Conn, cancel func()) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	word, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return
	}
	if strings.TrimSpace(word) != "cancel" {
		fmt.Fprintln(conn, "unknown")
		return
	}
	c.once.Do(cancel)
	fmt.Fprintln(conn, "ok")
}

func (c *ctl) close() { _ = c.l.Close() }

// Cancel asks the runner of a job to end cleanly, and returns when it was
// told: how it ends is in its journal.
func (d Dir) Cancel(ctx context.Context, id string) error {
	s, err := d.Read(id)
	if err != nil {
		return err
	}
	if s.State != Running {
		return notRunning(s)
	}
	ctx, stop := context.WithTimeout(ctx, 10*time.Second)
	defer stop()
	conn, err := dialIn(ctx, d.path(id), ctlFile)
	if err == nil {
		defer conn.Close()
		deadline, _ := ctx.Deadline()
		_ = conn.SetDeadline(deadline)
		if _, err = fmt.Fprintln(conn, "cancel"); err == nil {
			var word string
			if word, err = bufio.NewReader(conn).ReadString('\n'); err == nil && strings.TrimSpace(word) != "ok" {
				err = fmt.Errorf("it answered %q", word)
			}
		}
	}
	if err == nil {
		return nil
	}
	if now, rerr := d.Read(id); rerr == nil && now.State != Running {
		return notRunning(now)
	}
	e := &fault.Error{Op: "cancel", What: "job " + id + " could not be told to end", Left: "it goes on", Do: fmt.Sprintf("kill -TERM %d does the same", s.PID), Err: err}
	if errors.Is(err, os.ErrPermission) {
		e.Why, e.Do, e.Code = "it belongs to another user", "do it as that user, or as root", fault.Refused
	}
	return e
}

func notRunning(s Status) error {
	return &fault.Error{Op: "cancel", What: "job " + s.ID + " does not run", Why: "its state is " + s.State, Left: "nothing was changed", Do: "pgvault job log " + s.ID + " tells how it ended", Code: fault.Refused}
}
