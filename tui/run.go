package tui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	tea "charm.land/bubbletea/v2"

	"pgvault/fault"
	"pgvault/setup"
	"pgvault/vault"
)

// Options say how the screen looks and what it may do. Whether a terminal is
// there at all, and what NO_COLOR, LC_ALL and SSH_TTY say, is for the caller
// to find out.
type Options struct {
	NoColor  bool // no colours; bold and inverse stay
	ASCII    bool // only bytes below 127
	Mouse    bool // click and wheel; M switches it
	UTC      bool // times in UTC instead of local; u switches it
	ReadOnly bool // nothing may be started
	SlowLine bool // over SSH: two frames of progress a second instead of four

	Host     string           // shown in the header; empty: this machine's name
	Now      func() time.Time // nil: time.Now
	Identity []string         // identity files offered for verify and restore
	In       io.Reader        // nil: the terminal
	Out      io.Writer        // nil: standard output
	Farewell *string          // takes the line for after leaving; nil: it is printed to Out

	Setup   *setup.Desk // for the Setup page; nil: it knows nothing
	AtSetup bool        // begin on the Setup page
	Say     string      // stands in the message line at the start
	// Again takes what to say when the screen is left only to be begun anew
	// with a changed configuration; it stays empty otherwise. nil: a change
	// does not end the screen.
	Again *string
}

// Run shows the screen until the user leaves or ctx ends. A run that goes on
// then is cancelled, and Run returns after the engine has ended it. What a
// person should know after that is one line: Farewell. An engine's failure is
// shown on the screen and is no error of Run.
func Run(ctx context.Context, d vault.Desk, o Options) error {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Out == nil {
		o.Out = os.Stdout
	}
	if o.Host == "" {
		o.Host, _ = os.Hostname() // an unknown name leaves its place empty
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	g := &engine{ctx: ctx, desk: d, wait: interval(o.SlowLine), now: o.Now}
	m := newModel(g, o)
	opts := []tea.ProgramOption{tea.WithContext(ctx), tea.WithOutput(o.Out), tea.WithFPS(20), tea.WithWindowSize(80, 24)}
	if o.In != nil {
		opts = append(opts, tea.WithInput(o.In))
	}
	p := tea.NewProgram(m, opts...)
	g.send = p.Send
	_, err := p.Run()
	if m.broken != nil {
		err = fmt.Errorf("%w: %s\n%s", tea.ErrProgramPanic, m.broken.why, m.broken.stack)
	}
	running := m.broken == nil && (m.leaving || m.job != nil && m.job.done == nil)
	stop()
	g.close()
	bye := ""
	if running {
		bye = farewell(m.th, m.job, g.ended())
	}
	switch {
	case o.Farewell != nil:
		*o.Farewell = bye
	case bye != "":
		fmt.Fprintln(o.Out, bye)
	}
	return outcome(err, m.broken)
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
			Left: "a run that was going on has been cancelled; finished archives are untouched",
			Do:   "use the command line meanwhile: pgvault help", Code: fault.Failed, Err: err,
		}
	}
	return &fault.Error{Op: "screen", What: "the terminal could not be used", Do: "pgvault status works without one", Code: fault.Failed, Err: err}
}

// farewell is the line for the shell about a run that was going on when the
// screen was left.
func farewell(th theme, j *job, end *vault.RunDone) string {
	name := j.title(th)
	if end == nil {
		return name + " was cancelled"
	}
	switch end.Result {
	case vault.ResultOK:
		return name + " had just finished: ok"
	case vault.ResultCancelled:
		left := ""
		if j.kind == vault.KindBackup {
			left = "nothing was left behind"
		}
		if end.Err != nil {
			left = first(th.text(fault.As(end.Err).Left), left)
		}
		return name + " was cancelled" + after(", ", left)
	}
	why := ""
	if end.Err != nil {
		why = ": " + th.text(end.Err.Error())
	}
	return name + " " + string(end.Result) + why
}
