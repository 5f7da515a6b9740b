// Package child runs the programs that pgvault starts (pg_dump, pg_restore,
// postgres) so that none of them outlives it: the kernel signals a child when
// the thread that started it dies, even by SIGKILL, and a cancelled context
// ends it politely first.
package child

import (
	"context"
	"errors"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Options say how a child is ended.
type Options struct {
	Death  syscall.Signal // sent by the kernel when this process dies; 0 means SIGKILL
	Cancel syscall.Signal // sent when ctx is cancelled; 0 means SIGTERM
	Grace  time.Duration  // from Cancel to SIGKILL; 0 means 5 s
	// Cred is the user that the child runs as; nil: the one that calls.
	Cred *syscall.Credential
	// Low has the child, and all that it starts, give way to others. A ctx
	// of AtLowPriority says the same.
	Low bool
	// Batch has the child wait for its turn when it wakes, and not take the
	// processor from whoever has it just then.
	Batch bool
}

// Process is a started child. It is always reaped, also when nobody waits.
type Process struct {
	cmd  *exec.Cmd
	o    Options
	done chan struct{} // closed when the child is reaped
	err  error         // valid after done

	mu     sync.Mutex // a process group is signalled only before the child is reaped: its number may be used again later
	reaped bool
}

// Start runs cmd in a process group of its own. cmd must have been made with
// exec.Command and carry files, not writers, as standard output and error.
// The goroutine that starts it stays on its thread for the child's lifetime,
// because the kernel watches that thread.
func Start(ctx context.Context, cmd *exec.Cmd, o Options) (*Process, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if o.Death == 0 {
		o.Death = syscall.SIGKILL
	}
	if o.Cancel == 0 {
		o.Cancel = syscall.SIGTERM
	}
	if o.Grace == 0 {
		o.Grace = 5 * time.Second
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: o.Death, Credential: o.Cred}
	o.Low = o.Low || IsLow(ctx)
	p := &Process{cmd: cmd, o: o, done: make(chan struct{})}
	started := make(chan error, 1)
	go p.live(started)
	if err := <-started; err != nil {
		return nil, err
	}
	go p.watch(ctx)
	return p, nil
}

func (p *Process) live(started chan<- error) {
	runtime.LockOSThread()
	if p.o.Low {
		giveWay()
	}
	if p.o.Batch {
		waitForTurns()
	}
	if !p.o.Low && !p.o.Batch { // else the thread does not go back to what it was: it stays locked, and ends with this goroutine
		defer runtime.UnlockOSThread()
	}
	err := p.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	for {
		err := unix.Waitid(unix.P_PID, p.cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	p.mu.Lock()
	p.err = p.cmd.Wait()
	p.reaped = true
	p.mu.Unlock()
	close(p.done)
}

func (p *Process) watch(ctx context.Context) {
	select {
	case <-p.done:
	case <-ctx.Done():
		p.End()
	}
}

// Signal sends sig to the child's whole process group; a child that has
// ended is left alone.
func (p *Process) Signal(sig syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		_ = syscall.Kill(-p.cmd.Process.Pid, sig)
	}
}

// SignalLeader sends sig to the child alone, not to what it started.
func (p *Process) SignalLeader(sig syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		_ = syscall.Kill(p.cmd.Process.Pid, sig)
	}
}

// End asks the child to end (Options.Cancel), kills it after Options.Grace
// and returns when it is reaped.
func (p *Process) End() {
	p.Signal(p.o.Cancel)
	t := time.NewTimer(p.o.Grace)
	defer t.Stop()
	select {
	case <-p.done:
	case <-t.C:
		p.Kill()
	}
}

// Kill ends the child with SIGKILL and returns when it is reaped.
func (p *Process) Kill() {
	p.Signal(syscall.SIGKILL)
	<-p.done
}

// Done is closed when the child has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait returns when the child has ended: nil only for exit status 0.
func (p *Process) Wait() error {
	<-p.done
	return p.err
}

// Pid is the child's process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }
