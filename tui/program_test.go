package tui

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"pgvault/fault"
	"pgvault/vault"
)

// terminal is the far end of a program: what it wrote, and a wait for it.
type terminal struct {
	mu   sync.Mutex
	cond *sync.Cond
	buf  bytes.Buffer
}

func newTerminal() *terminal {
	t := &terminal{}
	t.cond = sync.NewCond(&t.mu)
	return t
}

func (t *terminal) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cond.Broadcast()
	return t.buf.Write(p)
}

// await blocks until the program has written s.
func (t *terminal) await(tb testing.TB, s string) {
	tb.Helper()
	limit := time.AfterFunc(20*time.Second, t.cond.Broadcast)
	defer limit.Stop()
	end := time.Now().Add(20 * time.Second)
	t.mu.Lock()
	defer t.mu.Unlock()
	for !strings.Contains(t.buf.String(), s) {
		if time.Now().After(end) {
			tb.Fatalf("%q was never written:\n%q", s, t.buf.String())
		}
		t.cond.Wait()
	}
}

// program runs Run on pipes and gives its keyboard, its terminal and its end.
func program(ctx context.Context, d vault.Desk, o Options) (io.Writer, *terminal, <-chan error) {
	keys, keyboard := io.Pipe()
	t := newTerminal()
	o.In, o.Out, o.Host = keys, t, "db1"
	end := make(chan error, 1)
	go func() { end <- Run(ctx, d, o) }()
	return keyboard, t, end
}

func TestRunLeavesAtOnceWhenNothingRuns(t *testing.T) {
	keyboard, term, end := program(t.Context(), sampleDesk(), Options{})
	term.await(t, "DATABASE")
	fmt.Fprint(keyboard, "q")
	if err := <-end; err != nil {
		t.Fatal(err)
	}
	if s := term.buf.String(); !strings.Contains(s, "\x1b[?1049l") || strings.HasSuffix(s, "\n") {
		t.Errorf("it ended with %q", s[len(s)-80:])
	}
}

// TestRunWaitsForTheEngine: the context ends while a backup runs; Run comes
// back only after the engine has cleaned up, and says what became of it.
func TestRunWaitsForTheEngine(t *testing.T) {
	d := sampleDesk()
	var cleaned bool
	started := make(chan struct{})
	d.run = func(ctx context.Context, k vault.Kind, id vault.Identities, s vault.Sink) error {
		opening(k, s)
		close(started)
		err := wait(ctx, k, id, s)
		cleaned = true
		return err
	}
	ctx, stop := context.WithCancel(t.Context())
	keyboard, term, end := program(ctx, d, Options{})
	term.await(t, "DATABASE")
	fmt.Fprint(keyboard, "b")
	term.await(t, "which database?")
	fmt.Fprint(keyboard, "\r")
	<-started
	stop()
	if err := <-end; err != nil {
		t.Fatal(err)
	}
	if !cleaned {
		t.Error("the engine was left behind")
	}
	if !strings.Contains(term.buf.String(), "backup of shop was cancelled, nothing was left behind\n") {
		t.Errorf("no farewell: %q", term.buf.String()[max(0, term.buf.Len()-200):])
	}
}

func TestFarewellIsHandedOver(t *testing.T) {
	d := sampleDesk()
	bye := "unset"
	keyboard, term, end := program(t.Context(), d, Options{Farewell: &bye})
	term.await(t, "DATABASE")
	fmt.Fprint(keyboard, "b")
	term.await(t, "which database?")
	fmt.Fprint(keyboard, "\r")
	term.await(t, "BACKUP")
	fmt.Fprint(keyboard, "q")
	term.await(t, "Stay")
	fmt.Fprint(keyboard, "\t\r")
	if err := <-end; err != nil {
		t.Fatal(err)
	}
	if bye != "backup of shop was cancelled, nothing was left behind" {
		t.Errorf("%q", bye)
	}
}

func TestFarewellSaysNoMoreThanIsKnown(t *testing.T) {
	j := newJob(vault.KindRestore, "x", "shop", "shop__r", clockAt)
	for _, c := range []struct {
		end  *vault.RunDone
		want string
	}{
		{nil, "restore of shop into shop__r was cancelled"},
		{&vault.RunDone{Result: vault.ResultCancelled}, "restore of shop into shop__r was cancelled"},
		{&vault.RunDone{Result: vault.ResultCancelled, Err: &fault.Error{What: "cancelled", Left: "shop__r was dropped"}}, "restore of shop into shop__r was cancelled, shop__r was dropped"},
		{&vault.RunDone{Result: vault.ResultOK}, "restore of shop into shop__r had just finished: ok"},
		{&vault.RunDone{Result: vault.ResultFailed, Err: errors.New("disk \x1b[31mfull")}, `restore of shop into shop__r failed: disk \x1b[31mfull`},
	} {
		if got := farewell(theme{}, j, c.end); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestOutcome(t *testing.T) {
	for _, err := range []error{nil, tea.ErrInterrupted, fmt.Errorf("%w: %w", tea.ErrProgramKilled, context.Canceled)} {
		if got := outcome(err, nil); got != nil {
			t.Errorf("%v: %v", err, got)
		}
	}
	for _, err := range []error{fmt.Errorf("%w: %w", tea.ErrProgramKilled, tea.ErrProgramPanic), errors.New("no tty")} {
		if got := fault.As(outcome(err, nil)); got.Do == "" || got.Code != fault.Failed {
			t.Errorf("%v: %+v", err, got)
		}
	}
}

// TestPanicOfTheEngineIsAnError: the terminal is itself again, and the error
// names the panic and holds its trace.
func TestPanicOfTheEngineIsAnError(t *testing.T) {
	d := sampleDesk()
	d.run = func(context.Context, vault.Kind, vault.Identities, vault.Sink) error { panic("engine broke") }
	keyboard, term, end := program(t.Context(), d, Options{})
	term.await(t, "DATABASE")
	fmt.Fprint(keyboard, "b")
	term.await(t, "which database?")
	fmt.Fprint(keyboard, "\r")
	err := <-end
	f := fault.As(err)
	if !strings.Contains(f.Why, "engine broke") || !errors.Is(err, tea.ErrProgramPanic) || !strings.Contains(f.Err.Error(), "program_test.go") {
		t.Errorf("%+v", f)
	}
	if s := term.buf.String(); strings.LastIndex(s, "\x1b[?1049l") < strings.LastIndex(s, "\x1b[?1049h") || !strings.Contains(s, "\x1b[?25h") {
		t.Error("the terminal is left in the alternate screen or without its cursor")
	}
}
