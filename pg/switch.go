package pg

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"pgvault/fault"
)

// Switcher gives two databases of one server each other's names. It speaks
// from a third database: one cannot be renamed while somebody is on it, and
// that counts for us too. It has both its sessions from the beginning: when
// all clients come back at once, there may be no free one.
type Switcher struct {
	// Statement, where it is not nil, is called before and after each
	// statement that changes something, with its text.
	Statement func(sql string, done bool)
	Server    ServerInfo

	conn   *pgx.Conn // changes
	helper *pgx.Conn // ends sessions, while conn waits for their end
}

// OpenSwitcher connects to a database that is none of not: the one of the
// settings, else postgres, else template1.
func OpenSwitcher(ctx context.Context, s Settings, not ...string) (*Switcher, error) {
	var w Switcher
	var err error
	if w.conn, err = elsewhere(ctx, s, not); err != nil {
		return nil, err
	}
	if w.helper, err = s.Connect(ctx, w.conn.Config().Database); err != nil {
		w.Close()
		return nil, err
	}
	for _, c := range []*pgx.Conn{w.conn, w.helper} {
		// What a role's settings say must not break a switch off in its midst,
		// and a commit is on the disk when it is reported.
		_, err = c.Exec(ctx, `SET statement_timeout = '60s'; SET lock_timeout = '5s'; SET idle_in_transaction_session_timeout = 0;
			SET default_transaction_read_only = off; SET client_min_messages = error;
			SELECT pg_catalog.set_config('synchronous_commit', 'on', false) WHERE pg_catalog.current_setting('synchronous_commit') = 'off'`)
		if err != nil {
			w.Close()
			return nil, switchFault(ctx, "the session for the switch cannot be prepared", err)
		}
	}
	if w.Server, err = Server(ctx, w.conn); err != nil {
		w.Close()
		return nil, err
	}
	return &w, nil
}

func elsewhere(ctx context.Context, s Settings, not []string) (*pgx.Conn, error) {
	var first error
	for _, name := range []string{"", "postgres", "template1"} {
		if slices.Contains(not, name) {
			continue
		}
		conn, err := s.Connect(ctx, name)
		if err == nil && !slices.Contains(not, conn.Config().Database) {
			return conn, nil
		}
		if err == nil {
			_ = conn.Close(ctx)
		} else if first == nil {
			first = err
		}
	}
	if first == nil {
		first = &fault.Error{Op: "switch", What: "there is no other database to give the orders from", Why: "a database cannot be renamed by a session on it",
			Left: "Nothing was changed.", Do: "Let the role connect to the database postgres.", Code: fault.Refused}
	}
	return nil, first
}

// Close ends the sessions; what was not committed is as it was.
func (w *Switcher) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), cancelTimeout)
	defer cancel()
	for _, c := range []*pgx.Conn{w.conn, w.helper} {
		if c != nil {
			_ = c.Close(ctx)
		}
	}
}

// switchFault is queryFault that lets an error with its four lines through.
func switchFault(ctx context.Context, what string, err error) error {
	var f *fault.Error
	if errors.As(err, &f) {
		return err
	}
	err = queryFault(ctx, "switch", what, err)
	if errors.As(err, &f) {
		f.Left = "What was asked of the server was not done."
	}
	return err
}

func (w *Switcher) exec(ctx context.Context, sql string) error {
	if w.Statement != nil {
		w.Statement(sql, false)
	}
	_, err := w.conn.Exec(ctx, sql)
	if err == nil && w.Statement != nil {
		w.Statement(sql, true)
	}
	return err
}

// transaction runs do in one: all of it happens, or nothing. After an error
// of COMMIT itself neither is known.
func (w *Switcher) transaction(ctx context.Context, do func() error) error {
	if err := w.exec(ctx, "BEGIN"); err != nil {
		return err
	}
	if err := do(); err != nil {
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelTimeout)
		defer cancel()
		_, _ = w.conn.Exec(limited, "ROLLBACK")
		return err
	}
	return w.exec(ctx, "COMMIT")
}

// Named is a database as pg_database has it now.
type Named struct {
	OID  uint32
	Name string
	Open bool // it accepts connections
}

// Names tells how the databases with these OIDs are called now; one that is
// gone is not in the answer.
func (w *Switcher) Names(ctx context.Context, oids ...uint32) (map[uint32]Named, error) {
	rows, _ := w.conn.Query(ctx, "SELECT oid, datname::text, datallowconn FROM pg_catalog.pg_database WHERE oid = ANY ($1)", oids)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Named])
	out := map[uint32]Named{}
	for _, n := range list {
		out[n.OID] = n
	}
	return out, switchFault(ctx, "the names of the databases cannot be read", err)
}

// Allow lets new sessions into databases, or nobody any more, superusers
// included; in one transaction. Those that are there stay.
func (w *Switcher) Allow(ctx context.Context, open map[uint32]bool) error {
	names, err := w.Names(ctx, keys(open)...)
	if err != nil {
		return err
	}
	err = w.transaction(ctx, func() error { return w.allow(ctx, names, open) })
	return switchFault(ctx, "it cannot be changed who may log in", err)
}

func (w *Switcher) allow(ctx context.Context, names map[uint32]Named, open map[uint32]bool) error {
	for _, oid := range keys(open) {
		if n, ok := names[oid]; ok && n.Open != open[oid] {
			if err := w.exec(ctx, "ALTER DATABASE "+quoteIdent(n.Name)+" ALLOW_CONNECTIONS "+strconv.FormatBool(open[oid])); err != nil {
				return err
			}
		}
	}
	return nil
}

func keys[V any](m map[uint32]V) []uint32 {
	out := make([]uint32, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// Move gives the database with an OID another name.
type Move struct {
	OID uint32
	To  string
}

// Rename does all moves, in their order, and lets logins in where open says
// so, in one transaction: whoever comes sees all of it or nothing. Sessions
// that still come into one of the databases are ended. It gives up after
// limit; then, and after every other error but that of a lost connection,
// nothing was changed.
func (w *Switcher) Rename(ctx context.Context, limit time.Duration, moves []Move, open map[uint32]bool) error {
	var oids []uint32
	for _, m := range moves {
		oids = append(oids, m.OID)
	}
	waiting, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { // RENAME itself waits for up to 5 s for those who are there
		defer close(ended)
		for waiting.Err() == nil {
			_, _ = w.end(context.WithoutCancel(ctx), oids) // cancelled in its midst, the session would be lost
			pause(waiting, endEvery)
		}
	}()
	defer func() { stop(); <-ended }()
	for end := time.Now().Add(limit); ; {
		err := w.transaction(ctx, func() error { return w.rename(ctx, oids, moves, open) })
		var e *pgconn.PgError
		busy := errors.As(err, &e) && (e.Code == "55006" || e.Code == "55P03") // object_in_use, lock_not_available
		if err == nil || !busy || time.Now().After(end) || ctx.Err() != nil {
			return switchFault(ctx, "the databases cannot be renamed", err)
		}
	}
}

func (w *Switcher) rename(ctx context.Context, oids []uint32, moves []Move, open map[uint32]bool) error {
	for _, m := range moves {
		now, err := w.Names(ctx, m.OID)
		if err != nil {
			return err
		}
		from, ok := now[m.OID]
		if !ok {
			return &fault.Error{Op: "switch", What: "a database of the switch is gone", Why: "nothing has the OID " + strconv.Itoa(int(m.OID)) + " any more",
				Left: "Nothing was renamed.", Do: "See the server's log for who dropped it.", Code: fault.Refused}
		}
		if from.Name == m.To {
			continue
		}
		if err := w.exec(ctx, "ALTER DATABASE "+quoteIdent(from.Name)+" RENAME TO "+quoteIdent(m.To)); err != nil {
			return err
		}
	}
	names, err := w.Names(ctx, oids...)
	if err != nil {
		return err
	}
	return w.allow(ctx, names, open)
}

const endEvery = 20 * time.Millisecond

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// EndSessions ends every session on the databases and waits until they are
// gone, for limit at most. It gives how many it ended.
func (w *Switcher) EndSessions(ctx context.Context, limit time.Duration, oids ...uint32) (int, error) {
	all := map[int32]bool{}
	for end := time.Now().Add(limit); ; pause(ctx, endEvery) {
		pids, err := w.end(ctx, oids)
		if err != nil {
			return len(all), switchFault(ctx, "the sessions cannot be ended", err)
		}
		for _, p := range pids {
			all[p] = true
		}
		if len(pids) == 0 {
			return len(all), nil
		}
		if time.Now().After(end) {
			return len(all), &fault.Error{Op: "switch", What: strconv.Itoa(len(pids)) + " sessions do not end", Why: "asked to for " + limit.String() + ", they are still there: pid " + joinPids(pids),
				Left: "No name was changed.", Do: "See what they do: SELECT * FROM pg_stat_activity. Then run this again.", Code: fault.Refused}
		}
	}
}

// end asks all sessions on the databases to end, and gives their pids. A
// worker of autovacuum goes by itself when its database is renamed.
func (w *Switcher) end(ctx context.Context, oids []uint32) ([]int32, error) {
	// Not within WHERE: there the planner may ask it of every session first.
	rows, _ := w.helper.Query(ctx, `SELECT pid, pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
		WHERE datid = ANY ($1) AND pid <> pg_catalog.pg_backend_pid() AND backend_type NOT IN ('autovacuum worker', 'parallel worker')`, oids)
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (pid int32, err error) {
		var asked bool
		err = r.Scan(&pid, &asked)
		return pid, err
	})
}

func joinPids(pids []int32) string {
	var out []string
	for _, p := range pids[:min(len(pids), 5)] {
		out = append(out, strconv.Itoa(int(p)))
	}
	return strings.Join(out, ", ")
}
