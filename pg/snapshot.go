package pg

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// collect reads rows of one column.
func collect[T any](rows pgx.Rows) ([]T, error) {
	return pgx.CollectRows(rows, pgx.RowTo[T])
}

// Snapshot is a session that holds one state of a database: what pg_dump
// writes and what Catalog says are of the same moment. It must live until
// pg_dump has ended. Not for use by two goroutines at once.
type Snapshot struct {
	ID       string // for DumpOptions.Snapshot
	Database string
	conn     *pgx.Conn
	cfg      *pgx.ConnConfig
}

// aliveTimeout bounds the question that Alive asks.
const aliveTimeout = 30 * time.Second

// OpenSnapshot opens a REPEATABLE READ READ ONLY transaction, on a primary or
// a standby, and exports its snapshot. Timeouts that the role or the database
// has set do not end it while it waits for pg_dump.
func OpenSnapshot(ctx context.Context, s Settings, database string) (*Snapshot, error) {
	cfg, err := s.Config(database)
	if err != nil {
		return nil, err
	}
	conn, err := connect(ctx, cfg)
	if err != nil {
		return nil, err
	}
	snap := &Snapshot{conn: conn, cfg: cfg, Database: cfg.Database}
	for _, q := range []string{
		"SET statement_timeout = 0", "SET idle_in_transaction_session_timeout = 0", "SET lock_timeout = '10s'",
		"SET tcp_keepalives_idle = 60", "SET tcp_keepalives_interval = 15", "SET tcp_keepalives_count = 4",
	} {
		if _, err := conn.Exec(ctx, q); err != nil {
			snap.Close(ctx)
			return nil, queryFault(ctx, "snapshot", "the session of the snapshot cannot be prepared", err)
		}
	}
	if major(conn) >= 17 {
		_, err = conn.Exec(ctx, "SET transaction_timeout = 0")
	}
	if err == nil {
		_, err = conn.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
	}
	if err == nil {
		err = conn.QueryRow(ctx, "SELECT pg_catalog.pg_export_snapshot()").Scan(&snap.ID)
	}
	if err != nil {
		snap.Close(ctx)
		return nil, queryFault(ctx, "snapshot", "no snapshot can be exported", err)
	}
	return snap, nil
}

// Major is the server's major version.
func (s *Snapshot) Major() int { return major(s.conn) }

// Encoding is the database's own.
func (s *Snapshot) Encoding() string { return s.conn.PgConn().ParameterStatus("server_encoding") }

// major is the server's major version, from what it said at connect.
func major(conn *pgx.Conn) int {
	n := 0
	for _, c := range conn.PgConn().ParameterStatus("server_version") {
		if c < '0' || c > '9' {
			break
		}
		n = n*10 + int(c-'0')
	}
	return n
}

// Alive asks the server whether the transaction still holds: if not, what
// pg_dump reads later is not of this snapshot's moment.
func (s *Snapshot) Alive(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, aliveTimeout)
	defer cancel()
	var one int
	err := s.conn.QueryRow(ctx, "SELECT 1").Scan(&one)
	return queryFault(ctx, "snapshot", "the session that holds the snapshot has ended", err)
}

// Close ends the session; the snapshot is gone. It may be called again.
func (s *Snapshot) Close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_ = s.conn.Close(ctx)
}
