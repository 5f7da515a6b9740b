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
func program(ctx context.Context, d *fakeDesk, o Options) (io.Writer, *terminal, <-chan error) {
	keys, keyboard := io.Pipe()
	t := newTerminal()
	o.In, o.Out, o.Host = keys, t, "db1"
	end := make(chan error, 1)
	go func() { end <- Run(ctx, d.vault(), o) }()
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

// TestRunEndsWithItsContext: a hang-up ends the context. Run comes back at
// once although a job is followed, asks nothing, cancels nothing, and says
// what goes on.
func TestRunEndsWithItsContext(t *testing.T) {
	d := sampleDesk()
	d.setJobs(wikiJob())
	ctx, stop := context.WithCancel(t.Context())
	keyboard, term, end := program(ctx, d, Options{})
	term.await(t, "still running")
	fmt.Fprint(keyboard, "3\r")
	term.await(t, "BACKUP")
	stop()
	if err := <-end; err != nil {
		t.Fatal(err)
	}
	if len(d.calls()) > 0 {
		t.Errorf("leaving did %v", d.calls())
	}
	if !strings.HasSuffix(term.buf.String(), "wiki backup goes on (~42%). Look again: pgvault   Stop: pgvault job cancel 7f3a\n") {
		t.Errorf("no farewell: %q", term.buf.String()[max(0, term.buf.Len()-200):])
	}
}

func TestFarewellIsHandedOver(t *testing.T) {
	d := sampleDesk()
	second := wikiJob()
	second.ID, second.Progress, second.Order.Database = "20260904T120211Z-1111", nil, hostile
	d.setJobs(second, wikiJob())
	bye := "unset"
	keyboard, term, end := program(t.Context(), d, Options{Farewell: &bye})
	term.await(t, "still running")
	fmt.Fprint(keyboard, "q")
	if err := <-end; err != nil {
		t.Fatal(err)
	}
	if want := `\r\n\ttail backup goes on, and 1 more. Look again: pgvault   Stop: pgvault job cancel 1111`; !strings.HasSuffix(bye, want) {
		t.Errorf("%q", bye)
	}
	if strings.Contains(term.buf.String(), "goes on, and 1 more. Look") {
		t.Error("it was printed too")
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
	d.setJobs(wikiJob())
	d.watch = func(context.Context, string, vault.Sink) error { panic("engine broke") }
	keyboard, term, end := program(t.Context(), d, Options{})
	term.await(t, "still running")
	fmt.Fprint(keyboard, "3\r")
	err := <-end
	f := fault.As(err)
	if !strings.Contains(f.Why, "engine broke") || !errors.Is(err, tea.ErrProgramPanic) || !strings.Contains(f.Err.Error(), "program_test.go") {
		t.Errorf("%+v", f)
	}
	if s := term.buf.String(); strings.LastIndex(s, "\x1b[?1049l") < strings.LastIndex(s, "\x1b[?1049h") || !strings.Contains(s, "\x1b[?25h") {
		t.Error("the terminal is left in the alternate screen or without its cursor")
	}
}
