// Package servers starts the real servers that tests of places run against:
// private ones, on a free port of 127.0.0.1, that end with the test. It
// needs no client of any of them.
package servers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"pgvault/vault/store/storetest"
)

// TB is what the starters need of a test; a *testing.T has it.
type TB = storetest.TB

// startIn is how long a server may take until it answers.
const startIn = 30 * time.Second

// process is a server that is to be started.
type process struct {
	name string                                       // of the program, as storetest.Program knows it
	args func(addr string) []string                   // addr is 127.0.0.1 and a port that was free
	env  []string                                     // all of its environment
	dir  string                                       // where it runs; "" is a folder of the test
	up   func(ctx context.Context, addr string) error // nil when it answers
}

// start runs a server until the test ends, and gives its address. Between
// finding a free port and the server's listening on it somebody else may take
// it; then another one is tried.
func start(t TB, p process) (addr string) {
	t.Helper()
	program := storetest.Program(t, p.name)
	var err error
	for range 5 {
		addr, err = freePort()
		if err != nil {
			break
		}
		if err = p.run(t, program, addr); err == nil {
			return addr
		}
	}
	t.Fatalf("%s does not start: %v", p.name, err)
	return ""
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// run starts the program once and waits until it answers or has ended.
func (p process) run(t TB, program, addr string) error {
	var said output
	cmd := exec.Command(program, p.args(addr)...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = p.env, p.dir, &said, &said
	if cmd.Dir == "" {
		cmd.Dir = t.TempDir()
	}
	// A test that is killed takes its servers along: the kernel kills them
	// when the thread that started them ends.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	begun, ended := make(chan error), make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		begun <- err
		if err == nil {
			ended <- cmd.Wait()
		}
	}()
	if err := <-begun; err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startIn)
	defer cancel()
	for {
		err := p.up(ctx, addr)
		if err == nil {
			t.Cleanup(func() {
				_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // it may have ended by itself
				<-ended
			})
			return nil
		}
		select {
		case died := <-ended:
			return fmt.Errorf("it ended: %v; it said: %s", died, &said)
		case <-ctx.Done():
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			<-ended
			return errors.Join(fmt.Errorf("no answer within %s; it said: %s", startIn, &said), err)
		case <-time.After(10 * time.Millisecond): // until the next look whether it answers
		}
	}
}

// output keeps the end of what a server said.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.buf.Len() > 64<<10 {
		o.buf.Next(o.buf.Len() / 2)
	}
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
