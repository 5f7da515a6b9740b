package child

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// sh starts a shell and gives what it writes to standard output.
func sh(t *testing.T, ctx context.Context, o Options, script string) (*Process, *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/bin/sh", "-c", script)
	cmd.Stdout = w
	p, err := Start(ctx, cmd, o)
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return p, r
}

func TestStatus(t *testing.T) {
	p, _ := sh(t, t.Context(), Options{}, "exit 0")
	if err := p.Wait(); err != nil {
		t.Error(err)
	}
	p, _ = sh(t, t.Context(), Options{}, "exit 3")
	var e *exec.ExitError
	if err := p.Wait(); !errors.As(err, &e) || e.ExitCode() != 3 {
		t.Error(err)
	}
	p.Kill() // of a child that has ended: nothing
	p.Signal(syscall.SIGKILL)
	p.End()
	if _, err := Start(t.Context(), exec.Command("/no/such/program"), Options{}); err == nil {
		t.Error("a program that does not exist was started")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Start(ctx, exec.Command("/bin/true"), Options{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestCancelIsPoliteFirst(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p, out := sh(t, ctx, Options{}, `trap 'echo bye; exit 7' TERM; echo ready; while :; do :; done`)
	ready := make([]byte, 6)
	if _, err := io.ReadFull(out, ready); err != nil {
		t.Fatal(err)
	}
	cancel()
	var e *exec.ExitError
	if err := p.Wait(); !errors.As(err, &e) || e.ExitCode() != 7 {
		t.Error(err)
	}
	if rest, _ := io.ReadAll(out); string(rest) != "bye\n" {
		t.Errorf("%q", rest)
	}
}

func TestCancelKillsTheDeaf(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p, out := sh(t, ctx, Options{Grace: time.Millisecond}, `trap '' TERM; echo ready; exec tail -f /dev/null`)
	if _, err := io.ReadFull(out, make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	cancel()
	var e *exec.ExitError
	if err := p.Wait(); !errors.As(err, &e) || e.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Error(err)
	}
}

// TestKillTakesGrandchildren: the pipe has its end only when all who hold it
// are gone.
func TestKillTakesGrandchildren(t *testing.T) {
	p, out := sh(t, t.Context(), Options{}, `tail -f /dev/null & echo ready; wait`)
	if _, err := io.ReadFull(out, make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	p.Kill()
	if rest, err := io.ReadAll(out); err != nil || len(rest) != 0 {
		t.Errorf("%q, %v", rest, err)
	}
}

func TestLines(t *testing.T) {
	long := strings.Repeat("x", 3*maxLine)
	var seen []string
	l := ReadLines(io.NopCloser(strings.NewReader("one\n\x1b[31mtwo\x07\r\n"+long+"\nlast, no end")), 3, func(s string) { seen = append(seen, s) })
	l.Wait()
	want := []string{"one", `\x1b[31mtwo\x07`, long[:maxLine], "last, no end"}
	if !slices.Equal(seen, want) {
		t.Errorf("%d lines: %.100q", len(seen), seen)
	}
	if got := l.Last(10); !slices.Equal(got, want[1:]) {
		t.Errorf("kept: %.100q", got)
	}
	if got := l.Last(1); !slices.Equal(got, want[3:]) {
		t.Errorf("last: %q", got)
	}
}
