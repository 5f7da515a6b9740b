package pg

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// SwitchDatabase is what one wants to know of a database before it loses, or
// gets, a name.
type SwitchDatabase struct {
	Named
	Owner         string
	Encoding      string
	Collate       string
	CType         string
	Tablespace    string
	Bytes         int64 // on the server's disk, -1: the role may not know
	Sessions      []Session
	Prepared      []string // prepared transactions: the server renames nothing under them
	Slots         []string // logical replication slots: they stay with the OID
	Subscriptions []string // they stay with the OID
	Labels        int      // security labels on it
	Mine          bool     // the role owns it, or is a superuser
}

// Session is a session on a database, of clients, or of the server's own
// workers where they can be ended.
type Session struct {
	PID     int32
	User    string
	App     string
	Client  string // address, empty for a Unix socket
	State   string
	Since   time.Time // begin of its last statement or change of state, zero: not known
	Writing bool      // it is in a transaction that has written
}

// SwitchRights is what the role may do, of what a switch needs.
type SwitchRights struct {
	Super    bool
	CreateDB bool // RENAME needs it beside ownership
	Signal   bool // it may end other roles' sessions, but superusers'
}

// Rights tells what the role may do.
func (w *Switcher) Rights(ctx context.Context) (SwitchRights, error) {
	var r SwitchRights
	err := w.conn.QueryRow(ctx, `SELECT rolsuper, rolsuper OR rolcreatedb, rolsuper OR pg_catalog.pg_has_role('pg_signal_backend', 'USAGE')
		FROM pg_catalog.pg_roles WHERE rolname = current_user`).Scan(&r.Super, &r.CreateDB, &r.Signal)
	return r, switchFault(ctx, "the role's rights cannot be read", err)
}

// Database reads what there is to know of a database by its name; nil: there
// is none.
func (w *Switcher) Database(ctx context.Context, name string) (*SwitchDatabase, error) {
	d := &SwitchDatabase{}
	rows, _ := w.conn.Query(ctx, `SELECT d.oid, d.datname::text, d.datallowconn, pg_catalog.pg_get_userbyid(d.datdba)::text, pg_catalog.pg_encoding_to_char(d.encoding)::text,
		d.datcollate::text, d.datctype::text, t.spcname::text,
		CASE WHEN pg_catalog.has_database_privilege(d.oid, 'CONNECT') OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') THEN pg_catalog.pg_database_size(d.oid) ELSE -1 END,
		(SELECT count(*) FROM pg_catalog.pg_shseclabel l WHERE l.classoid = 'pg_catalog.pg_database'::pg_catalog.regclass AND l.objoid = d.oid),
		pg_catalog.pg_has_role(d.datdba, 'USAGE')
		FROM pg_catalog.pg_database d JOIN pg_catalog.pg_tablespace t ON t.oid = d.dattablespace WHERE d.datname = $1`, name)
	found, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (struct{}, error) {
		return struct{}{}, r.Scan(&d.OID, &d.Name, &d.Open, &d.Owner, &d.Encoding, &d.Collate, &d.CType, &d.Tablespace, &d.Bytes, &d.Labels, &d.Mine)
	})
	if err == nil && len(found) == 0 {
		return nil, nil
	}
	if err == nil {
		d.Sessions, err = w.Sessions(ctx, d.OID)
	}
	for _, q := range []struct {
		into *[]string
		sql  string
	}{
		{&d.Prepared, "SELECT gid FROM pg_catalog.pg_prepared_xacts WHERE database = $1 ORDER BY prepared"},
		{&d.Slots, "SELECT slot_name::text FROM pg_catalog.pg_replication_slots WHERE database = $1 ORDER BY 1"},
		{&d.Subscriptions, "SELECT s.subname::text FROM pg_catalog.pg_subscription s JOIN pg_catalog.pg_database d ON d.oid = s.subdbid WHERE d.datname = $1 ORDER BY 1"},
	} {
		if err == nil {
			rows, _ := w.conn.Query(ctx, q.sql, name)
			*q.into, err = collect[string](rows)
		}
	}
	return d, switchFault(ctx, "the database "+quoteShown(name)+" cannot be looked at", err)
}

// Sessions lists who is on a database, without autovacuum and parallel
// workers, which end with what they belong to.
func (w *Switcher) Sessions(ctx context.Context, oid uint32) ([]Session, error) {
	rows, _ := w.conn.Query(ctx, `SELECT pid, coalesce(usename::text, ''), coalesce(application_name, ''), coalesce(host(client_addr), ''), coalesce(state, backend_type),
		coalesce(greatest(query_start, state_change, xact_start, backend_start), 'epoch'), backend_xid IS NOT NULL
		FROM pg_catalog.pg_stat_activity WHERE datid = $1 AND backend_type NOT IN ('autovacuum worker', 'parallel worker') ORDER BY backend_start, pid`, oid)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Session])
	for i := range list {
		if list[i].Since.Unix() == 0 {
			list[i].Since = time.Time{}
		}
	}
	return list, switchFault(ctx, "the sessions cannot be read", err)
}

// Mark tells one database of one server from every other, and how much was
// written into it.
type Mark struct {
	OID      uint32
	SystemID string // of the server; empty where the role may not know
	// Written counts the rows of user tables that were ever inserted, updated
	// or deleted, as the server's statistics have it. They are lost by a
	// crash, and lag by half a second.
	Written int64
}

// MarkOf reads a database's mark, in a session on it.
func MarkOf(ctx context.Context, s Settings, database string) (Mark, error) {
	return markOf(ctx, s, database, false)
}

// SettledMarkOf is MarkOf with all that was written by sessions that have
// ended: before version 15 it waits until the server's statistics, which lag by
// half a second, have it.
func SettledMarkOf(ctx context.Context, s Settings, database string) (Mark, error) {
	return markOf(ctx, s, database, true)
}

func markOf(ctx context.Context, s Settings, database string, settled bool) (Mark, error) {
	var m Mark
	conn, err := s.Connect(ctx, database)
	if err != nil {
		return m, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	info, err := Server(ctx, conn)
	if err != nil {
		return m, err
	}
	m.SystemID = info.SystemID
	if settled && info.Major() < 15 {
		if _, err := conn.Exec(ctx, "SELECT pg_catalog.pg_sleep(0.7)"); err != nil {
			return m, switchFault(ctx, "the database's mark cannot be read", err)
		}
	}
	err = conn.QueryRow(ctx, `SELECT d.oid, (SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint FROM pg_catalog.pg_stat_user_tables)
		FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()`).Scan(&m.OID, &m.Written)
	return m, switchFault(ctx, "the database's mark cannot be read", err)
}

// Answer is what a database says of itself when it is asked.
type Answer struct {
	OID      uint32
	Tables   int // of users
	Readable int // of them, those that the database's owner may read
}

// Ask opens a session on a database and asks it who it is and what it holds.
func Ask(ctx context.Context, s Settings, database string) (Answer, error) {
	var a Answer
	conn, err := s.Connect(ctx, database)
	if err != nil {
		return a, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	err = conn.QueryRow(ctx, `SELECT d.oid, count(c.oid), count(c.oid) FILTER (WHERE pg_catalog.has_table_privilege(d.datdba, c.oid, 'SELECT'))
		FROM pg_catalog.pg_database d LEFT JOIN (pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND `+userSchemas+`)
			ON c.relkind IN ('r', 'p', 'm') AND c.relpersistence <> 't'
		WHERE d.datname = pg_catalog.current_database() GROUP BY d.oid, d.datdba`).Scan(&a.OID, &a.Tables, &a.Readable)
	return a, switchFault(ctx, "the database "+quoteShown(database)+" does not answer", err)
}

// NoFreeConnection tells of an error of Connect, or of what uses it, whether
// the server or the database had no connection left.
func NoFreeConnection(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && e.Code == "53300"
}
