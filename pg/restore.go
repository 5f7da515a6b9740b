package pg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"pgvault/fault"
	"pgvault/pg/internal/child"
)

// RestoreOptions say what pg_restore loads from where.
type RestoreOptions struct {
	Database string // must exist; any name, never taken for a connection string
	Section  string // "pre-data", "data" or "post-data"; empty: all of them
	Jobs     int    // parallel sessions, with TOC only; 0 and 1: one
	// TOC is an archive's header and table of contents. pg_restore reads it
	// from memory; it never gets a name on a disk.
	TOC []byte
	// Stdin is read instead of TOC: the same followed by data blocks. Its
	// Read must return in the end; RunRestore waits for it.
	Stdin io.Reader
	// Folder is a dump in directory format, read instead of TOC and Stdin.
	Folder string
	// Format is "custom", "tar" or "directory"; empty: custom.
	Format string
	// IDs are the dump ids to restore, in this order; nil: all.
	IDs []int
	// NoOwner leaves out owners and grants: all belongs to the role that
	// restores.
	NoOwner bool
	// NoTablespaces puts all into the database's default tablespace.
	NoTablespaces bool
}

// RunRestore runs pg_restore. line, which may be nil, gets each line of its
// messages. ignored are the errors of single statements that pg_restore went
// on after, each with its statement: the restore is then not
// complete, and what that means is the caller's to decide. err tells that
// pg_restore could not do its work at all, or was ended.
func RunRestore(ctx context.Context, s Settings, p Programs, o RestoreOptions, line func(string)) (ignored []string, err error) {
	cmd, files, err := restoreCommand(s, p, o)
	for _, f := range files {
		defer f.Close()
	}
	if err != nil {
		return nil, err
	}
	var feedTo *os.File
	if o.Stdin != nil {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		defer r.Close()
		cmd.Stdin, feedTo = r, w
	}
	proc, lines, err := startTalking(ctx, cmd, child.Options{}, line)
	if err != nil {
		if feedTo != nil {
			feedTo.Close()
		}
		return nil, &fault.Error{Op: "restore", What: "pg_restore does not start", Why: err.Error(), Err: err,
			Left: "Nothing was changed.", Do: "See that " + p.Restore + " can be run."}
	}
	var feedErr error
	if feedTo != nil {
		cmd.Stdin.(*os.File).Close() // or the feed would never see that pg_restore has gone
		feedErr = feed(proc, feedTo, o.Stdin)
	}
	waitErr := proc.Wait()
	lines.Wait()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if feedErr != nil {
		return nil, feedErr
	}
	all := lines.Last(keepLines)
	ignored = restoreErrors(all)
	if waitErr == nil {
		return ignored, nil
	}
	var exit *exec.ExitError
	if errors.As(waitErr, &exit) && exit.ExitCode() == 1 && strings.Contains(strings.Join(all, "\n"), "errors ignored on restore") {
		return ignored, nil
	}
	f := &fault.Error{Op: "restore", What: "pg_restore failed", Why: tail(lines.Last(tailLines), waitErr), Err: waitErr,
		Left: "The target may be filled in part.", Do: "Mend what the messages above name, and restore again."}
	if sig, ok := killedBy(waitErr); ok {
		f.What = fmt.Sprintf("pg_restore was killed (%s)", sig)
	} else if classify(f, strings.Join(all, "\n")) {
		f.What = "pg_restore failed: " + f.What
	}
	return ignored, f
}

// feed gives r to a child until it has it all, or ends by itself, and gives
// an error of reading r.
func feed(proc *child.Process, w *os.File, r io.Reader) error {
	fed := make(chan error, 1)
	go func() { fed <- feedInto(w, r) }()
	select {
	case <-proc.Done():
		w.Close() // it needs no more
		return <-fed
	case err := <-fed:
		if err != nil {
			proc.Kill() // a stream that breaks off must not pass for its end
		}
		w.Close()
		return err
	}
}

// feedInto copies the stream into pg_restore and gives an error of reading it.
// That pg_restore stops to read is none: its exit status tells.
func feedInto(w *os.File, r io.Reader) error {
	src := &readErrors{r: r}
	_, _ = io.Copy(struct{ io.Writer }{w}, src)
	return src.err
}

// readErrors remembers an error of reading, to tell it from one of writing.
type readErrors struct {
	r   io.Reader
	err error
}

func (e *readErrors) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	if err != nil && err != io.EOF {
		e.err = err
	}
	return n, err
}

// restoreCommand makes the command and the files in memory that it reads.
func restoreCommand(s Settings, p Programs, o RestoreOptions) (cmd *exec.Cmd, files []*os.File, err error) {
	sources := 0
	for _, given := range []bool{o.TOC != nil, o.Stdin != nil, o.Folder != ""} {
		if given {
			sources++
		}
	}
	if o.Database == "" || sources != 1 {
		return nil, nil, errors.New("RunRestore: a database and one of TOC, Stdin and Folder are needed")
	}
	target, err := s.targetArg(o.Database)
	if err != nil {
		return nil, nil, err
	}
	if o.Format == "" {
		o.Format = "custom"
	}
	args := []string{"--no-password", "--format=" + o.Format, target}
	if o.Section != "" {
		args = append(args, "--section="+o.Section)
	}
	if o.NoOwner {
		args = append(args, "--no-owner", "--no-privileges")
	}
	if o.NoTablespaces {
		args = append(args, "--no-tablespaces")
	}
	if o.Jobs > 1 {
		if o.Stdin != nil {
			return nil, nil, errors.New("RunRestore: parallel sessions need TOC, not a stream")
		}
		args = append(args, "--jobs="+strconv.Itoa(o.Jobs))
	}
	memory := func(name string, text []byte) error {
		f, err := memfile(name, text)
		if err == nil {
			files = append(files, f)
		}
		return err
	}
	if o.IDs != nil {
		var list bytes.Buffer
		for _, id := range o.IDs {
			fmt.Fprintf(&list, "%d;\n", id)
		}
		if err := memory("list", list.Bytes()); err != nil {
			return nil, files, err
		}
		args = append(args, "--use-list="+childPath(len(files)-1))
	}
	if o.TOC != nil {
		if err := memory("toc", o.TOC); err != nil {
			return nil, files, err
		}
		args = append(args, childPath(len(files)-1))
	}
	if o.Folder != "" {
		args = append(args, o.Folder)
	}
	cmd = exec.Command(p.Restore, args...)
	cmd.ExtraFiles = files
	cmd.Env, err = s.childEnv()
	return cmd, files, err
}

// shownCommand is how much of a statement that failed goes into its message.
const shownCommand = 160

// restoreErrors gathers the errors that pg_restore reports, each with the
// beginning of its statement. Its messages span lines:
//
//	pg_restore: error: could not execute query: ERROR:  role "x" does not exist
//	DETAIL:  …
//	Command was: ALTER TABLE public.a OWNER TO x;
func restoreErrors(lines []string) []string {
	var out []string
	open := false
	for _, l := range lines {
		rest, ours := strings.CutPrefix(l, "pg_restore: ")
		command, isCommand := strings.CutPrefix(strings.TrimPrefix(rest, "detail: "), "Command was: ")
		switch {
		case open && isCommand:
			if short := strings.ToValidUTF8(command[:min(len(command), shownCommand)], ""); short != command {
				command = short + "…"
			}
			out[len(out)-1] += " (" + command + ")"
			open = false
		case ours && strings.HasPrefix(rest, "error: "):
			text := strings.TrimPrefix(rest, "error: ")
			out = append(out, strings.TrimPrefix(text, "could not execute query: "))
			open = true
		case ours && open && (strings.HasPrefix(rest, "detail: ") || strings.HasPrefix(rest, "hint: ")):
			out[len(out)-1] += " " + rest
		case ours:
			open = false
		case open:
			out[len(out)-1] += " " + strings.TrimSpace(l)
		}
	}
	return out
}
