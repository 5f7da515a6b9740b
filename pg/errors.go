package pg

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"pgvault/fault"
)

// reason is one known way for a client program to fail. Servers translate
// their messages by lc_messages, which only a superuser may set; what is not
// recognised is shown as it came.
type reason struct {
	pattern *regexp.Regexp
	what    string // %s: the first group of pattern
	do      string
	code    fault.Code
}

// reasons, the first that matches counts. Texts as of PostgreSQL 13 to 18.
var reasons = []reason{
	{regexp.MustCompile(`(?m)query would be affected by row-level security policy for table (".+")$`),
		"row-level security hides rows of the table %s from this role",
		"Give the role of the backup BYPASSRLS, or connect as the table's owner: ALTER ROLE … BYPASSRLS", fault.Failed},
	{regexp.MustCompile(`permission denied for database "(.+?)"`), "the role of the backup may not connect to the database %s",
		"As its owner: GRANT CONNECT ON DATABASE … TO …", fault.DBUnreachable},
	{regexp.MustCompile(`(?m)permission denied for (\S+ .+)$`),
		"the role of the backup may not read: %s",
		"As a superuser: GRANT pg_read_all_data TO …", fault.Failed},
	{regexp.MustCompile(`server version mismatch`), "pg_dump is older than the server",
		"apt install postgresql-client of the server's version, or set bin_dir in [server].", fault.Failed},
	{regexp.MustCompile(`conflict with recovery`), "the standby ended the dump in favour of replication",
		"Raise max_standby_streaming_delay or set hot_standby_feedback on the standby, or back up from the primary.", fault.Failed},
	{regexp.MustCompile(`(?:invalid snapshot identifier|snapshot "\S+" does not exist|could not import the requested snapshot)`),
		"the session that holds the snapshot has ended", "Run the backup again; see the server's log for what ended the session.", fault.Failed},
	{regexp.MustCompile(`No space left on device`), "a disk is full",
		"Make room on the server (temporary files, WAL) or here, as the message says.", fault.NoSpace},
	{regexp.MustCompile(`(?:password authentication failed|no password supplied|no pg_hba\.conf entry|authentication failed)`),
		"the server does not let this role in", "Put the password into ~/.pgpass (mode 0600), and see pg_hba.conf on the server.", fault.DBUnreachable},
	{regexp.MustCompile(`database "(.+?)" does not exist`), "the database %s does not exist", "Look for the right name: psql -l", fault.DBUnreachable},
	{regexp.MustCompile(`terminating connection due to administrator command`), "the session was ended on the server: it shuts down, or somebody called pg_terminate_backend",
		"See the server's log; then run this again.", fault.DBUnreachable},
	{regexp.MustCompile(`(?:server closed the connection unexpectedly|connection to server .*failed|could not connect to (?:server|databases?)|could not receive data from server|SSL SYSCALL error|the database system is (?:shutting down|starting up|in recovery)|terminating connection because of crash|connection not open|lost synchronization with server|no connection to the server)`),
		"the connection to the server was lost", "See that the server runs, and its log; then run this again.", fault.DBUnreachable},
	{regexp.MustCompile(`out of memory`), "the server or the program ran out of memory", "See the server's log; lower max_locks_per_transaction users or add memory.", fault.Failed},
	{regexp.MustCompile(`out of shared memory`), "the server's lock table is full: the database has very many tables",
		"Raise max_locks_per_transaction on the server and restart it.", fault.Failed},
}

var (
	lockTimeout = regexp.MustCompile(`canceling statement due to (?:statement|lock) timeout`)
	lockedNames = regexp.MustCompile(`LOCK TABLE (.+?) IN ACCESS SHARE MODE`)
)

// explain turns the end of a pg_dump that failed into four lines.
func (d *Dump) explain(err error) error {
	lines := d.lines.Last(tailLines)
	f := &fault.Error{Op: "dump", Code: fault.Failed, Err: err, Left: "No archive was made; older archives are as they were.",
		What: "pg_dump failed", Why: tail(lines, err), Do: "Run pg_dump by hand to see more: the messages above are its last."}
	text := strings.Join(d.lines.Last(keepLines), "\n")
	if sig, ok := killedBy(err); ok && len(lines) == 0 {
		f.What = fmt.Sprintf("pg_dump was killed (%s)", sig)
		f.Why = "the stream ended before the dump was whole"
		f.Do = "See the system's log (out of memory?), then run the backup again."
		return f
	}
	if lockTimeout.MatchString(text) && strings.Contains(text, "LOCK TABLE") {
		return d.explainLock(f, text)
	}
	classify(f, text)
	return f
}

// classify puts the first known reason into f.
func classify(f *fault.Error, text string) bool {
	for _, r := range reasons {
		m := r.pattern.FindStringSubmatch(text)
		if m == nil {
			continue
		}
		f.What, f.Do, f.Code = r.what, r.do, r.code
		if strings.Contains(r.what, "%s") {
			f.What = fmt.Sprintf(r.what, m[1])
		}
		return true
	}
	return false
}

// explainLock names who still holds the lock that pg_dump did not get.
func (d *Dump) explainLock(f *fault.Error, text string) error {
	f.What = "a table stayed locked for longer than " + d.o.LockWait.String()
	if m := lockedNames.FindStringSubmatch(text); m != nil && len(m[1]) < 200 {
		f.What = "the table " + m[1] + " stayed locked for longer than " + d.o.LockWait.String()
	}
	f.Do = "Let that transaction end, or end it: SELECT pg_terminate_backend(PID). Then run the backup again."
	ctx, cancel := context.WithTimeout(d.ctx, 5*time.Second)
	defer cancel()
	if h, err := lockHolders(ctx, d.settings, d.o.Database); err == nil && len(h) > 0 {
		f.Why = "held by " + strings.Join(h, "; ")
	}
	return f
}

// lockHolders gives the sessions that hold an exclusive lock on a table of
// the database, in words.
func lockHolders(ctx context.Context, s Settings, database string) ([]string, error) {
	conn, err := s.Connect(ctx, database)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	rows, err := conn.Query(ctx, `
		SELECT DISTINCT format('session %s of %s (%s, since %s) on %s', l.pid, coalesce(a.usename::text, '?'),
			coalesce(nullif(a.application_name, ''), 'no name'), coalesce(to_char(a.xact_start, 'YYYY-MM-DD HH24:MI:SS TZ'), '?'),
			l.relation::pg_catalog.regclass::text)
		FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_class c ON c.oid = l.relation
		LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
		WHERE l.locktype = 'relation' AND l.granted AND l.mode = 'AccessExclusiveLock'
		AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
		AND c.relkind IN ('r', 'p', 'm', 'v', 'f', 'S') AND l.pid <> pg_catalog.pg_backend_pid() LIMIT 5`)
	if err != nil {
		return nil, err
	}
	return collect[string](rows)
}

// tail is the end of a program's messages as one text.
func tail(lines []string, err error) string {
	if len(lines) == 0 {
		return err.Error()
	}
	return strings.Join(lines, "\n")
}

// killedBy tells which signal ended a program.
func killedBy(err error) (syscall.Signal, bool) {
	var e *exec.ExitError
	if !errors.As(err, &e) {
		return 0, false
	}
	ws, ok := e.Sys().(syscall.WaitStatus)
	if !ok || !ws.Signaled() {
		return 0, false
	}
	return ws.Signal(), true
}

// queryFault wraps an error of a statement of ours: a lost connection gets
// its exit code, all others stay what the server said.
func queryFault(ctx context.Context, op, what string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	f := &fault.Error{Op: op, What: what, Err: err, Why: err.Error()}
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		f.Code = fault.DBUnreachable
		f.Do = "See that the server runs, and its log; then run this again."
		return f
	}
	f.Why = e.Message
	for _, extra := range []string{e.Detail, e.Hint} {
		if extra != "" {
			f.Why += " (" + extra + ")"
		}
	}
	switch {
	case strings.HasPrefix(e.Code, "57P"):
		f.Code = fault.DBUnreachable
		f.Do = "See that the server runs, and its log; then run this again."
	case e.Code == "53100":
		f.Code = fault.NoSpace
		f.Do = "Make room on the server's disk."
	case e.Code == "42501":
		f.Do = "Use a role that may do this, or have it granted."
	default:
		f.Do = "See the server's log for more."
	}
	return f
}

// NoSuchTable tells of an error of Loader.Copy whether the table is not there.
func NoSuchTable(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && e.Code == "42P01"
}
