package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"pgvault/safetext"
)

// lineReaders give what reads a line from in, shown and hidden. Both end when
// ctx does, and a terminal shows again then what is typed.
func lineReaders(ctx context.Context, in *os.File, out io.Writer) (shown, hidden func() (string, error)) {
	buffered := bufio.NewReader(in)
	shown = func() (string, error) {
		return until(ctx, func() (string, error) {
			s, err := buffered.ReadString('\n')
			if err != nil && s == "" {
				return "", err
			}
			return strings.TrimRight(s, "\r\n"), nil
		})
	}
	if !term.IsTerminal(int(in.Fd())) {
		return shown, shown
	}
	hidden = func() (string, error) {
		s, err := readHidden(ctx, int(in.Fd()))
		fmt.Fprintln(out)
		return s, err
	}
	return shown, hidden
}

// readHidden reads a line from a terminal that does not show it.
func readHidden(ctx context.Context, fd int) (string, error) {
	return onTerminal(ctx, fd, func() (string, error) {
		b, err := term.ReadPassword(fd)
		defer clear(b)
		return string(b), err
	})
}

// onTerminal is until for a read that changes how the terminal behaves.
func onTerminal[T any](ctx context.Context, fd int, read func() (T, error)) (T, error) {
	old, err := term.GetState(fd)
	if err != nil {
		var none T
		return none, err
	}
	t, err := until(ctx, read)
	if ctx.Err() != nil {
		_ = term.Restore(fd, old) // the reader is still at it, and the program ends
	}
	return t, err
}

// askPassphrase asks on the terminal, whatever standard input is. A signal
// ends the waiting.
func askPassphrase(ctx context.Context, prompt string) (string, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return "", errors.New("a passphrase is needed and there is no terminal to ask on")
	}
	fmt.Fprintf(tty, "%s: ", safetext.Line(prompt))
	pass, err := readHidden(ctx, int(tty.Fd()))
	fmt.Fprintln(tty)
	if ctx.Err() == nil { // else the reader is still at it
		_ = tty.Close()
	}
	return pass, err
}

// until waits for read, or for the end of ctx.
func until[T any](ctx context.Context, read func() (T, error)) (T, error) {
	type result struct {
		t   T
		err error
	}
	done := make(chan result, 1)
	go func() {
		t, err := read()
		done <- result{t, err}
	}()
	select {
	case r := <-done:
		return r.t, r.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}
