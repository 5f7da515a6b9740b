package pg

import (
	"context"
	"io"
	"os"
	"os/exec"
	"strings"

	"pgvault/fault"
	"pgvault/pg/internal/child"
)

// RowScript gives a dump's rows as pg_restore writes them into a script: a
// COPY statement, the rows and their end for each table. It connects to no
// server and runs nothing of the dump. One of stdin and folder is given;
// format is "custom", "tar" or "directory". read gets the script and must
// read it to its end; its error, or that of pg_restore or stdin, is returned.
func RowScript(ctx context.Context, p Programs, format string, stdin io.Reader, folder string, read func(io.Reader) error) error {
	args := []string{"--data-only", "--file=-", "--format=" + format}
	if folder != "" {
		args = append(args, folder)
	}
	cmd := exec.Command(p.Restore, args...)
	out, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer out.Close()
	cmd.Stdout = w
	var in, feedTo *os.File
	if stdin != nil {
		if in, feedTo, err = os.Pipe(); err != nil {
			w.Close()
			return err
		}
		defer in.Close()
		cmd.Stdin = in
	}
	proc, lines, err := startTalking(ctx, cmd, child.Options{}, nil)
	w.Close()
	if err != nil {
		if feedTo != nil {
			feedTo.Close()
		}
		return &fault.Error{Op: "import", What: "pg_restore does not start", Why: err.Error(), Err: err, Left: "Nothing was changed.", Do: "See that " + p.Restore + " can be run."}
	}
	fed := make(chan error, 1)
	if feedTo != nil {
		in.Close()
		go func() { fed <- feed(proc, feedTo, stdin) }()
	} else {
		fed <- nil
	}
	readErr := read(out)
	if readErr != nil {
		proc.Kill()
	}
	feedErr := <-fed
	waitErr := proc.Wait()
	lines.Wait()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case readErr != nil:
		return readErr
	case feedErr != nil:
		return feedErr
	case waitErr == nil:
		return nil
	}
	return &fault.Error{Op: "import", What: "pg_restore cannot read this dump to its end", Why: strings.TrimSpace(tail(lines.Last(tailLines), waitErr)), Err: waitErr, Code: fault.Differs,
		Left: "No archive was made; the original is as it was.", Do: "Look for another copy of it: this one is cut or damaged."}
}
