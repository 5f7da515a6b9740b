package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// openTerminal makes a pseudo-terminal: its far end, and the end that a
// program takes for a terminal.
func openTerminal() (far, near *os.File, err error) {
	far, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	var n int
	err = unix.IoctlSetPointerInt(int(far.Fd()), unix.TIOCSPTLCK, 0)
	if err == nil {
		n, err = unix.IoctlGetInt(int(far.Fd()), unix.TIOCGPTN)
	}
	if err == nil {
		near, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		return nil, nil, errors.Join(err, far.Close())
	}
	return far, near, nil
}

// cmdHungUp starts pgvault on a terminal of its own, reads what it prints up
// to a word and takes the terminal away, as a lost connection does. The
// exit status must match: hungup REGEXP WORD ARGS...
func cmdHungUp(ts *testscript.TestScript, neg bool, args []string) {
	far, near, err := openTerminal()
	ts.Check(err)
	cmd := exec.Command(pathOf(ts, "pgvault"), args[2:]...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = storyEnv(ts)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = near, near, near
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	ts.Check(cmd.Start())
	ts.Check(near.Close())
	var seen bytes.Buffer
	for buf := make([]byte, 4096); !strings.Contains(seen.String(), args[1]); {
		n, err := far.Read(buf)
		seen.Write(buf[:n])
		if err != nil {
			ts.Fatalf("%v, %v: it never said %q:\n%s", err, cmd.Wait(), args[1], seen.String())
		}
	}
	if err := cmd.Process.Signal(syscall.Signal(0)); err != nil {
		ts.Fatalf("it had ended before the terminal went: %v", err)
	}
	ts.Check(far.Close())
	_ = cmd.Wait()
	if got := fmt.Sprint(cmd.ProcessState.ExitCode()); !regexp.MustCompile("^(?:" + args[0] + ")$").MatchString(got) {
		ts.Fatalf("it ended with %v after the terminal went, having said:\n%s", cmd.ProcessState, seen.String())
	}
}

// storyEnv is the environment of a story's own processes.
func storyEnv(ts *testscript.TestScript) []string {
	env := []string{"TERM=xterm"}
	for _, k := range []string{"HOME", "STATE_DIRECTORY", "PGHOST", "PGPORT", "PGUSER", "PATH"} {
		env = append(env, k+"="+ts.Getenv(k))
	}
	return env
}
