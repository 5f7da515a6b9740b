package pg

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"pgvault/fault"
	"pgvault/pg/internal/child"
)

// DumpOptions say what pg_dump writes.
type DumpOptions struct {
	Database string // any name; it is never taken for a connection string
	Snapshot string // Snapshot.ID; empty: pg_dump takes one of its own
	// Encoding is the database's own (Snapshot.Encoding). Given, the rows
	// have it whatever client_encoding the role or the database has set, so
	// that digests do not depend on settings. Empty: the server decides.
	Encoding string
	// LockWait is how long to wait for a table that somebody locks
	// exclusively; 0 means 5 minutes: longer than an ordinary ALTER TABLE,
	// short enough that a forgotten transaction does not keep the snapshot,
	// and with it VACUUM, waiting all night.
	LockWait time.Duration
	// ExcludeTableData are pg_dump's patterns of tables whose rows are left
	// out; their definitions are not.
	ExcludeTableData []string
}

const (
	defaultLockWait = 5 * time.Minute
	pipeSize        = 1 << 20
	// tailLines of a program's messages go into an error.
	tailLines = 20
	// keepLines is how many of them are kept while it runs.
	keepLines = 1000
)

// Dump is a running pg_dump. Read it to io.EOF, then call Wait: only that
// tells whether the dump is whole, because the stream of a pg_dump that was
// killed ends like any other.
type Dump struct {
	proc     *child.Process
	out      *os.File
	lines    *child.Lines
	settings Settings
	o        DumpOptions
	version  string
	pause    time.Duration // before the pipe is emptied again
	taken    int           // bytes since the last pause
	drained  bool          // the pipe was empty after the last piece
	ctx      context.Context

	once sync.Once
	err  error
}

// StartDump starts pg_dump in custom format, uncompressed. stderr, which may
// be nil, gets each line of its messages, safe for a terminal, from another
// goroutine. Cancelling ctx ends it.
//
// Row-level security is never switched on: it would leave out rows without a
// word. Neither password nor connection string is among the arguments.
func StartDump(ctx context.Context, s Settings, p Programs, o DumpOptions, stderr func(line string)) (*Dump, error) {
	if o.Database == "" {
		return nil, errors.New("StartDump: no database named")
	}
	if o.LockWait == 0 {
		o.LockWait = defaultLockWait
	}
	target, err := s.targetArg(o.Database)
	if err != nil {
		return nil, err
	}
	args := []string{"--format=custom", "--compress=0", "--no-password",
		"--lock-wait-timeout=" + strconv.FormatInt(max(1, o.LockWait.Milliseconds()), 10), target}
	if o.Snapshot != "" {
		args = append(args, "--snapshot="+o.Snapshot)
	}
	if o.Encoding != "" {
		args = append(args, "--encoding="+o.Encoding)
	}
	for _, t := range o.ExcludeTableData {
		args = append(args, "--exclude-table-data="+t)
	}
	d := &Dump{settings: s, o: o, version: p.Version, ctx: ctx}
	cmd := inLargePieces(p.Dump, args)
	if cmd.Env, err = s.childEnv(); err != nil {
		return nil, err
	}
	out, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	// A larger pipe spares half of the switches between the two programs; a
	// user over its limit of pipe pages keeps the small one.
	_, _ = unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, pipeSize)
	cmd.Stdout = w
	d.out = out
	// The server wakes pg_dump for every few rows, on the processor that it
	// runs on itself. A pg_dump that takes that one at once has it all day
	// wait for the other; in turns both get more done, on two busy processors
	// a tenth of the time.
	d.proc, d.lines, err = startTalking(ctx, cmd, child.Options{Batch: true}, stderr)
	w.Close()
	if err != nil {
		out.Close()
		return nil, &fault.Error{Op: "dump", What: "pg_dump does not start", Why: err.Error(), Err: err,
			Left: "Nothing was written.", Do: "See that " + p.Dump + " can be run."}
	}
	return d, nil
}

// stdbuf is coreutils' program that makes another one buffer its output.
var stdbuf = "/usr/bin/stdbuf"

// inLargePieces runs program so that it writes 256 KiB at once where it would
// write 4: for 1.5 GB that is 6 000 system calls instead of 370 000, and each
// would wake who reads. On two cores a dump takes a sixth less than with 4,
// and 3 % less than with 64 or 128; with 512 it has to wait for room in the
// pipe. Where stdbuf is missing, program works as it is. Either way the
// process becomes program: its pid and its exit status are those of program.
func inLargePieces(program string, args []string) *exec.Cmd {
	if _, err := os.Stat(stdbuf); err != nil {
		return exec.Command(program, args...)
	}
	return exec.Command(stdbuf, append([]string{"--output=256K", program}, args...)...)
}

// startTalking starts cmd and reads its standard error.
func startTalking(ctx context.Context, cmd *exec.Cmd, o child.Options, f func(string)) (*child.Process, *child.Lines, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	cmd.Stderr = w
	p, err := child.Start(ctx, cmd, o)
	w.Close()
	if err != nil {
		r.Close()
		return nil, nil, err
	}
	return p, child.ReadLines(r, keepLines, f), nil
}

// targetArg is the argument that names the database for pg_dump and
// pg_restore. It is a connection string with the name quoted in it: so a name
// such as "host=evil" stays a name, and a service file's own dbname loses
// (it would win over PGDATABASE). A service file's options win over
// PGOPTIONS too, so with a service they are repeated here.
func (s Settings) targetArg(database string) (string, error) {
	arg := "--dbname=dbname=" + quoteConninfo(database)
	cfg, err := s.Config(database)
	if err != nil {
		return "", err
	}
	t, err := s.resolve(os.Getenv)
	if err != nil {
		return "", err
	}
	named := t.keys["service"]
	if named == "" && len(t.clear) == 0 {
		named = os.Getenv("PGSERVICE")
	}
	if named != "" {
		arg += " options=" + quoteConninfo(cfg.RuntimeParams["options"])
	}
	return arg, nil
}

// A reader that keeps up with pg_dump would be woken for each piece that it
// writes, at a cost that both processes and the server pay. So Read lets the pipe fill for a moment
// before it takes all there is. The pause follows pg_dump's speed, so that
// the pipe is about half full when it ends and pg_dump never waits for it.
const (
	firstPause  = time.Millisecond
	longPause   = 16 * time.Millisecond
	littleTaken = pipeSize / 4
	muchTaken   = pipeSize * 5 / 8
)

// Read gives the archive as pg_dump writes it.
func (d *Dump) Read(p []byte) (int, error) {
	if d.drained {
		switch {
		case d.pause == 0:
			d.pause = firstPause
		case d.taken < littleTaken:
			d.pause = min(d.pause*5/4, longPause)
		case d.taken > muchTaken:
			d.pause /= 2
		}
		d.taken = 0
		select {
		case <-time.After(d.pause):
		case <-d.proc.Done(): // nothing more will come
		}
	}
	n, err := d.out.Read(p)
	d.taken += n
	d.drained = n < len(p)
	return n, err
}

// Kill ends pg_dump at once; Wait then gives an error.
func (d *Dump) Kill() {
	d.proc.Kill()
	d.out.Close()
}

// Wait returns when pg_dump has ended and all its messages are read: nil only
// if its exit status was 0. To be called after Read gave io.EOF, or after
// Kill. The error is a *fault.Error that says which of the known reasons it
// was, with the end of pg_dump's messages in Why.
func (d *Dump) Wait() error {
	d.once.Do(func() {
		err := d.proc.Wait()
		d.lines.Wait()
		d.out.Close()
		if d.ctx.Err() != nil {
			d.err = d.ctx.Err()
		} else if err != nil {
			d.err = d.explain(err)
		}
	})
	return d.err
}

// Warnings are what pg_dump warned of, one text each; complete after Wait.
func (d *Dump) Warnings() []string { return warnings(d.lines.Last(keepLines)) }

// Pid is the process id of pg_dump.
func (d *Dump) Pid() int { return d.proc.Pid() }

// warnings gathers "pg_dump: warning: …" with the lines that belong to it.
func warnings(lines []string) []string {
	var out []string
	in := false
	for _, line := range lines {
		program, rest, ok := strings.Cut(line, ": ")
		ok = ok && strings.HasPrefix(program, "pg_")
		switch {
		case ok && strings.HasPrefix(rest, "warning: "):
			out = append(out, strings.TrimPrefix(rest, "warning: "))
			in = true
		case in && ok && (strings.HasPrefix(rest, "detail: ") || strings.HasPrefix(rest, "hint: ")):
			_, text, _ := strings.Cut(rest, ": ")
			out[len(out)-1] += " (" + text + ")"
		case in && !ok:
			out[len(out)-1] += " " + strings.TrimSpace(line)
		default:
			in = false
		}
	}
	return out
}
