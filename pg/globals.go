package pg

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"strings"

	"pgvault/fault"
	"pgvault/pg/internal/child"
)

// maxGlobals bounds the text of roles and settings: a server with a hundred
// thousand roles has some 20 MB.
const maxGlobals = 256 << 20

// DumpGlobals gives roles, their memberships and settings, and tablespaces
// as SQL text, by pg_dumpall --globals-only. A role that may not read
// pg_authid gets them without passwords, and a warning that says so. The text
// holds password verifiers: it is secret.
func DumpGlobals(ctx context.Context, s Settings, p Programs) (sql []byte, warned []string, err error) {
	if p.DumpAll == "" {
		return nil, nil, &fault.Error{Op: "globals", What: "pg_dumpall is missing beside " + p.Dump, Left: "Nothing was written.",
			Why: "roles and server-wide settings are saved by it", Do: "Install it, or set globals = false in [server]."}
	}
	sql, lines, err := dumpAll(ctx, s, p)
	if err != nil && strings.Contains(strings.Join(lines, "\n"), "permission denied for") && strings.Contains(strings.Join(lines, "\n"), "pg_authid") {
		warned = append(warned, "roles are saved without passwords: the role of the backup may not read pg_authid; after a restore each role needs a new password")
		sql, lines, err = dumpAll(ctx, s, p, "--no-role-passwords")
	}
	if ctx.Err() != nil {
		return nil, nil, ctx.Err()
	}
	if err != nil && noWayIn(lines) {
		// pg_dumpall often keeps the reason to itself.
		conn, connErr := s.Connect(ctx, "")
		if connErr != nil {
			return nil, nil, connErr
		}
		_ = conn.Close(ctx)
	}
	if err != nil {
		f := &fault.Error{Op: "globals", What: "roles and settings cannot be saved", Why: tail(lines, err), Err: err,
			Left: "Nothing was written.", Do: "Run pg_dumpall --globals-only by hand, or set globals = false in [server]."}
		classify(f, strings.Join(lines, "\n"))
		return nil, nil, f
	}
	return sql, append(warned, warnings(lines)...), nil
}

// dumpAll connects through the database postgres, else template1, as
// pg_dumpall does; where neither lets the role in, through the settings' own.
func dumpAll(ctx context.Context, s Settings, p Programs, more ...string) ([]byte, []string, error) {
	args := append([]string{"--globals-only", "--no-password"}, more...)
	sql, lines, err := runDumpAll(ctx, s, p, args)
	if err == nil || ctx.Err() != nil {
		return sql, lines, err
	}
	own := s.Database()
	// pg_dumpall would take such a name for a connection string.
	if own == "" || isConninfo(own) || !noWayIn(lines) {
		return nil, lines, err
	}
	return runDumpAll(ctx, s, p, append(args, "--database="+own))
}

// noWayIn tells whether pg_dumpall did not get a session.
func noWayIn(lines []string) bool {
	text := strings.Join(lines, "\n")
	return strings.Contains(text, "could not connect to database") || strings.Contains(text, "connection to server")
}

func runDumpAll(ctx context.Context, s Settings, p Programs, args []string) ([]byte, []string, error) {
	cmd := exec.Command(p.DumpAll, args...)
	var err error
	if cmd.Env, err = s.childEnv(); err != nil {
		return nil, nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer r.Close()
	cmd.Stdout = w
	proc, lines, err := startTalking(ctx, cmd, child.Options{}, nil)
	w.Close()
	if err != nil {
		return nil, nil, err
	}
	sql, readErr := readAll(r, maxGlobals, proc)
	err = proc.Wait()
	lines.Wait()
	if err == nil {
		err = readErr
	}
	return sql, lines.Last(tailLines), err
}

// readAll reads r to its end; a child that says more than limit is killed.
func readAll(r io.Reader, limit int64, proc *child.Process) ([]byte, error) {
	var buf bytes.Buffer
	n, err := io.Copy(&buf, io.LimitReader(r, limit+1))
	if err == nil && n > limit {
		proc.Kill()
		err = &fault.Error{Op: "globals", What: "roles and settings are larger than 256 MiB", Code: fault.Refused}
	}
	return buf.Bytes(), err
}
