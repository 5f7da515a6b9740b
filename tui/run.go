package tui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"pgvault/fault"
	"pgvault/guide"
	"pgvault/setup"
	"pgvault/vault/store"
)

// framesPerSecond bounds how often the terminal is written to. A key waits for
// the next frame, 4 ms on average, and is to be answered within 16 ms; where
// nothing changes, nothing is written. That holds for a slow line too: what a
// job adds to it is bounded by interval, and a key brings one frame anyway.
const framesPerSecond = 120

// Options say how the screen looks and what it may do. Whether a terminal is
// there at all, and what LC_ALL and SSH_TTY say, is for the caller
// to find out.
type Options struct {
	Theme    string // auto or empty: for the background that the terminal tells of; light, dark; none: no colours, bold and inverse stay
	ASCII    bool   // only bytes below 127
	Mouse    bool   // click and wheel; M switches it
	UTC      bool   // times in UTC instead of local; u switches it
	ReadOnly bool   // nothing may be started or changed
	SlowLine bool   // over SSH: two frames of progress a second instead of four

	Host     string           // shown in the header; empty: this machine's name
	Now      func() time.Time // nil: time.Now
	Identity []string         // identity files offered for verify, restore and tables
	In       io.Reader        // nil: the terminal
	Out      io.Writer        // nil: standard output
	Farewell *string          // takes the line for after leaving; nil: it is printed to Out

	// Guide is shown from the start and alone: when it ends, the screen does.
	Guide   *guide.Session
	Setup   *setup.Desk // for the Setup page; nil: it knows nothing
	AtSetup bool        // begin on the Setup page
	Say     string      // stands in the message line at the start
	// Again takes what to say when the screen is left only to be begun anew
	// with a changed configuration; it stays empty otherwise. nil: a change
	// does not end the screen.
	Again *string

	// Command completes a pgvault command line with what the screen was
	// opened with (configuration, vault), so that it runs as it is. nil:
	// commands are as they are.
	Command func(string) string

	exec     func(*exec.Cmd, tea.ExecCallback) tea.Cmd // gives the terminal to a program; nil: tea.ExecProcess
	idle     func()                                    // told when the screen is idle, nil: nobody asks
	panicKey string                                    // this key breaks the screen, empty: none does
}

// Run shows the screen until the user leaves or ctx ends. Jobs are processes
// of their own and go on; what goes on is told in one line: Farewell. A job's
// failure is shown on the screen and is no error of Run.
//
// For tests PGVAULT_TEST_IDLE_FD names a descriptor that takes a byte
// whenever the screen has become idle, and PGVAULT_TEST_PANIC a key that
// breaks the screen.
func Run(ctx context.Context, v Vault, o Options) error {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Out == nil {
		o.Out = os.Stdout
	}
	if o.Host == "" {
		o.Host, _ = os.Hostname() // an unknown name leaves its place empty
	}
	o.idle, o.panicKey = idleSignal(), os.Getenv("PGVAULT_TEST_PANIC")
	defer store.AddRoom(2)() // a key and the frame that answers it do not wait for a listing
	defer quickStart()()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	g := &engine{ctx: ctx, vault: v, wait: interval(o.SlowLine), poll: pollEvery(o.SlowLine), now: o.Now, frame: firstFrame}
	m := newModel(g, o)
	opts := []tea.ProgramOption{tea.WithContext(ctx), tea.WithOutput(o.Out), tea.WithFPS(framesPerSecond), tea.WithWindowSize(80, 24)}
	if o.In != nil {
		opts = append(opts, tea.WithInput(o.In))
	}
	p := tea.NewProgram(m, opts...)
	g.send = p.Send
	_, err := p.Run()
	if m.broken != nil {
		err = fmt.Errorf("%w: %s\n%s", tea.ErrProgramPanic, m.broken.why, m.broken.stack)
	}
	bye := farewell(m.th, m.know, m.o.Command)
	switch {
	case o.Farewell != nil:
		*o.Farewell = bye
	case bye != "":
		fmt.Fprintln(o.Out, bye)
	}
	return outcome(err, m.broken)
}

// quickStart lets the first second collect garbage less often: before the first
// frame a listing of thousands of archives is read in. What it gives undoes
// that, if it is not over yet.
func quickStart() (end func()) {
	was := debug.SetGCPercent(400)
	end = sync.OnceFunc(func() { debug.SetGCPercent(was) })
	time.AfterFunc(time.Second, end)
	return end
}

// outcome turns what the program loop returned into an error that a person
// can use; being interrupted is a way to leave.
func outcome(err error, broken *brokenMsg) error {
	switch {
	case err == nil, errors.Is(err, tea.ErrInterrupted), errors.Is(err, context.Canceled):
		return nil
	case errors.Is(err, tea.ErrProgramPanic):
		why := "a fault in pgvault; the trace above names it"
		if broken != nil {
			why = "a fault in pgvault: " + broken.why
		}
		return &fault.Error{
			Op: "screen", What: "the screen broke down", Why: why,
			Left: "jobs go on by themselves; archives are untouched",
			Do:   "use the command line meanwhile: pgvault help", Code: fault.Failed, Err: err,
		}
	}
	return &fault.Error{Op: "screen", What: "the terminal could not be used", Do: "pgvault status works without one", Code: fault.Failed, Err: err}
}

// farewell is the line for the shell about the jobs that go on when the
// screen was left, empty when none does.
func farewell(th theme, k *known, command func(string) string) string {
	run := k.running()
	if len(run) == 0 {
		return ""
	}
	return goesOn(th, run, "goes on") + ". Look again: " + th.text(strings.TrimSpace(command("pgvault "))) + "   Stop: " + th.text(command("pgvault job cancel "+jobShort(run[0].ID)))
}
