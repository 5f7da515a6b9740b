package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// terminal is a program on a pseudo terminal of 80x24, with a record of
// what it wrote and when.
type terminal struct {
	master *os.File
	cmd    *exec.Cmd
	began  time.Time
	more   chan struct{} // told of each new piece
	ended  chan struct{}

	mu     sync.Mutex
	text   []byte
	pieces []piece
}

// piece is what one read from the terminal gave.
type piece struct {
	at time.Time
	n  int
}

// openTerminal starts a program on a new pseudo terminal.
func openTerminal(ctx context.Context, env []string, name string, args ...string) (*terminal, error) {
	master, slave, err := openPty()
	if err != nil {
		return nil, err
	}
	defer slave.Close()
	t := &terminal{master: master, more: make(chan struct{}, 1), ended: make(chan struct{})}
	t.cmd = exec.CommandContext(ctx, name, args...)
	t.cmd.Env = append(append([]string{}, env...), "TERM=xterm-256color", "LC_ALL=C.UTF-8", "NO_COLOR=")
	t.cmd.Stdin, t.cmd.Stdout, t.cmd.Stderr = slave, slave, slave
	t.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	t.began = time.Now()
	if err := t.cmd.Start(); err != nil {
		master.Close()
		return nil, err
	}
	go t.read()
	return t, nil
}

func openPty() (master, slave *os.File, err error) {
	if master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0); err != nil {
		return nil, nil, err
	}
	fd := int(master.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80})
	}
	if err == nil {
		slave, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|syscall.O_NOCTTY, 0)
	}
	if err != nil {
		master.Close()
	}
	return master, slave, err
}

func (t *terminal) read() {
	defer close(t.ended)
	b := make([]byte, 64<<10)
	for {
		n, err := t.master.Read(b)
		if err != nil {
			return
		}
		t.mu.Lock()
		t.text = append(t.text, b[:n]...)
		t.pieces = append(t.pieces, piece{time.Now(), n})
		t.mu.Unlock()
		select {
		case t.more <- struct{}{}:
		default:
		}
	}
}

// wait returns when holds does, which is asked after each piece.
func (t *terminal) wait(what string, limit time.Duration, holds func(text []byte, pieces []piece) bool) error {
	timeout := time.After(limit)
	for {
		t.mu.Lock()
		ok := holds(t.text, t.pieces)
		t.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-t.more:
		case <-t.ended:
			return fmt.Errorf("%s: the program ended: %.500q", what, t.text)
		case <-timeout:
			return fmt.Errorf("%s: not within %s", what, limit)
		}
	}
}

// shows gives how long after the start a text stood in what was written.
func (t *terminal) shows(text string) (time.Duration, error) {
	err := t.wait("a screen with "+text, 20*time.Second, func(all []byte, _ []piece) bool { return bytes.Contains(all, []byte(text)) })
	return time.Since(t.began), err
}

// answer presses a key and gives the time until text stood in what was
// written after it: a clock or a job's progress may come first.
func (t *terminal) answer(key, text string) (time.Duration, error) {
	t.mu.Lock()
	before := len(t.text)
	t.mu.Unlock()
	start := time.Now()
	if _, err := t.master.WriteString(key); err != nil {
		return 0, err
	}
	var at time.Time
	err := t.wait(fmt.Sprintf("an answer to %q with %q", key, text), 5*time.Second, func(all []byte, pieces []piece) bool {
		if len(pieces) > 0 {
			at = pieces[len(pieces)-1].at
		}
		return bytes.Contains(all[before:], []byte(text))
	})
	return at.Sub(start), err
}

// bytes counts what was written between two moments.
func (t *terminal) bytes(from, to time.Time) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	var n int64
	for _, p := range t.pieces {
		if p.at.After(from) && p.at.Before(to) {
			n += int64(p.n)
		}
	}
	return n
}

// quiet returns when nothing was written for d.
func (t *terminal) quiet(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-t.more:
			timer.Reset(d)
		case <-timer.C:
			return
		case <-t.ended:
			return
		}
	}
}

// close hangs up, as a lost connection does.
func (t *terminal) close() {
	t.master.Close()
	_ = t.cmd.Wait()
}
