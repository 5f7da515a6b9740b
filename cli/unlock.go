package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"pgvault/fault"
	"pgvault/safetext"
	"pgvault/vault/archive"
)

// maxRequest bounds what is read as a request, in bytes.
const maxRequest = 1 << 20

func (p *program) unlockCmd() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "unlock -i IDENTITY",
		Short: "On your own machine: open one archive for a host that has no key",
		Long: "Reads the request that a restore shows (pgvault-unlock-1:…) from the terminal or from\n" +
			"standard input, says what it is asked to open, and prints one line (pgvault-key-1:…)\n" +
			"to paste there. The line opens that one archive only, and only in the program that\n" +
			"asked. The identity (-i) never leaves this machine. No configuration is needed.",
		Example: "  pgvault unlock -i alice.txt\n" +
			"  pgvault unlock -i alice.txt --yes < request.txt > answer.txt",
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return p.unlock(cmd.Context(), yes) },
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask whether to open it")
	return cmd
}

func (p *program) unlock(ctx context.Context, yes bool) error {
	piped := !term.IsTerminal(int(p.stdin.Fd()))
	if slices.Contains(p.identities, "-") {
		return usage("the request is read from standard input: name the identity by its path")
	}
	if p.noInput && !yes {
		return &fault.Error{Op: "unlock", What: "nobody can be asked whether to open it", Why: "--no-input was given", Left: "nothing was opened", Do: "add --yes if you know where the request came from", Code: fault.Refused}
	}
	var q *archive.Request
	var err error
	if piped {
		q, err = until(ctx, func() (*archive.Request, error) { return readRequest(p.stdin) })
	} else {
		fmt.Fprintf(p.stderr, "paste the request (pgvault-unlock-1:…), then Enter: ")
		q, err = typedRequest(ctx, p.stdin)
		fmt.Fprintln(p.stderr)
	}
	if err != nil {
		return err
	}
	if !p.quiet || !yes {
		p.describeRequest(q)
	}
	if !yes {
		if err := askToOpen(ctx); err != nil {
			return err
		}
	}
	keys, err := archive.Load(archive.Source{Files: p.identities, Passphrase: p.secrets(ctx).Passphrase})
	if err != nil {
		return err
	}
	answer, name, err := q.Answer(keys)
	if err != nil {
		return err
	}
	if !p.quiet {
		fmt.Fprintf(p.stderr, "opened with %s; paste this line of %d characters where you were asked:\n", safetext.Line(name), len(answer))
	}
	_, err = fmt.Fprintln(p.stdout, answer)
	return err
}

func (p *program) describeRequest(q *archive.Request) {
	from := safetext.Line(q.Vault)
	if q.Host != "" {
		from += " on " + safetext.Line(q.Host)
	}
	fmt.Fprintf(p.stderr, "asked to open one archive:\n  vault     %s\n  database  %s\n  archive   %s, begun %s\n", from, safetext.Line(q.Database),
		safetext.Line(q.ID), q.Started.UTC().Format("2006-01-02 15:04:05 UTC"))
	fmt.Fprintf(p.stderr, "These are the words of the host that asks. Whoever gets the answer can read all of that\narchive, and nothing else: it opens the %d files that were asked for.\n", q.Files())
}

// readRequest reads a request that is piped in.
func readRequest(r io.Reader) (*archive.Request, error) {
	src, err := io.ReadAll(io.LimitReader(r, maxRequest))
	if err != nil {
		return nil, err
	}
	return archive.ParseRequest(string(src))
}

// typedRequest reads a request that is pasted. The terminal is raw
// meanwhile: in its own line editing a line ends after 4095 bytes.
func typedRequest(ctx context.Context, tty *os.File) (*archive.Request, error) {
	return onTerminal(ctx, int(tty.Fd()), func() (*archive.Request, error) {
		old, err := term.MakeRaw(int(tty.Fd()))
		if err != nil {
			return nil, err
		}
		defer term.Restore(int(tty.Fd()), old)
		return pastedRequest(bufio.NewReader(tty))
	})
}

// pastedRequest reads to the Enter after which the request is whole; an
// empty line, ^D or ^C end it before. Line breaks may have come into the
// text where it was copied.
func pastedRequest(r *bufio.Reader) (*archive.Request, error) {
	var text strings.Builder
	line, last := 0, byte(0)
	for text.Len() < maxRequest {
		c, err := r.ReadByte()
		switch {
		case errors.Is(err, io.EOF), err == nil && c == 4:
			return archive.ParseRequest(text.String())
		case err != nil:
			return nil, err
		case c == 3:
			return nil, &fault.Error{Op: "unlock", What: "stopped", Why: "^C was pressed", Left: "nothing was opened", Do: "start it again when you like", Code: fault.Cancelled}
		case c == '\n' && last == '\r':
			last = c
			continue
		case c != '\r' && c != '\n':
			text.WriteByte(c)
			line++
			last = c
			continue
		}
		last = c
		q, err := archive.ParseRequest(text.String())
		if err == nil || line == 0 && text.Len() > 0 {
			return q, err
		}
		line = 0
	}
	return archive.ParseRequest(text.String())
}

// askToOpen asks on the terminal, also when the request was piped in.
func askToOpen(ctx context.Context) error {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return &fault.Error{Op: "unlock", What: "nobody can be asked whether to open it", Why: "there is no terminal", Left: "nothing was opened", Do: "add --yes if you know where the request came from", Code: fault.Refused, Err: err}
	}
	fmt.Fprint(tty, "open it? [y/N] ")
	line, err := until(ctx, func() (string, error) {
		defer tty.Close()
		return bufio.NewReader(tty).ReadString('\n')
	})
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if a := strings.ToLower(strings.TrimSpace(line)); a != "y" && a != "yes" {
		return &fault.Error{Op: "unlock", What: "not opened", Why: "the question was not answered with y", Left: "nothing was opened", Do: "start it again when you know where the request came from", Code: fault.Refused}
	}
	return nil
}
