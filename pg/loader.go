package pg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"pgvault/fault"
)

// Loader is a session that loads rows as pg_restore would, table by table.
// Not for use by two goroutines at once: each worker opens its own.
type Loader struct {
	conn *pgx.Conn
}

// loaderSession are pg_restore's own session settings (_doSetFixedOutputState
// in pg_backup_archiver.c) and, because a target that crashes is restored
// again anyway, commits that do not wait for the disk.
var loaderSession = []string{
	"SET statement_timeout = 0", "SET lock_timeout = 0", "SET idle_in_transaction_session_timeout = 0",
	"SET standard_conforming_strings = on", "SELECT pg_catalog.set_config('search_path', '', false)",
	"SET check_function_bodies = false", "SET xmloption = content", "SET client_min_messages = warning",
	"SET row_security = off", "SET synchronous_commit = off", "SET DateStyle = ISO", "SET IntervalStyle = postgres",
	"SET extra_float_digits = 3", "SET synchronize_seqscans = off", // for CopyOut, as pg_dump does
}

// OpenLoader opens a session on database. encoding is the archive's: names,
// statements and rows are passed on in it as they are.
func OpenLoader(ctx context.Context, s Settings, database, encoding string) (*Loader, error) {
	cfg, err := s.Config(database)
	if err != nil {
		return nil, err
	}
	conn, err := connect(ctx, cfg)
	if err != nil {
		return nil, err
	}
	l := &Loader{conn: conn}
	for _, q := range append([]string{"SET client_encoding = " + quoteLiteral(encoding)}, loaderSession...) {
		if err := l.exec(ctx, q); err != nil {
			l.Close()
			return nil, queryFault(ctx, "restore", "the session of a load worker cannot be prepared", err)
		}
	}
	return l, nil
}

// exec runs a statement by the simple protocol: the driver's statement cache
// would read it as UTF-8.
func (l *Loader) exec(ctx context.Context, sql string) error {
	return l.conn.PgConn().Exec(ctx, sql).Close()
}

// Copy loads rows into an empty table in one transaction, by the archive's
// own COPY statement, and gives their number. rows is the archive's data of
// the table, its end mark \. included or not.
//
// The table is truncated first, in the same transaction: into a file of its
// own the server writes rows in the order in which they come, never into free
// space elsewhere, so that a dump of the restored table gives the same bytes.
// It also spares WAL where wal_level is minimal. After an error the table is
// as it was.
func (l *Loader) Copy(ctx context.Context, schema, table, copyStmt string, rows io.Reader) (int64, error) {
	name := quoteIdent(schema) + "." + quoteIdent(table)
	if err := l.exec(ctx, "BEGIN; TRUNCATE ONLY "+name); err != nil {
		return 0, l.fail(ctx, schema, table, err)
	}
	src := &borrowed{r: rows}
	tag, err := l.conn.PgConn().CopyFrom(ctx, src, copyStmt)
	src.giveBack()
	if src.err != nil {
		l.rollback(ctx)
		return 0, src.err
	}
	if err == nil {
		err = l.exec(ctx, "COMMIT")
	}
	if err != nil {
		return 0, l.fail(ctx, schema, table, err)
	}
	return tag.RowsAffected(), nil
}

// borrowed is a reader for the time of one call. The driver reads in a
// goroutine of its own, and when ctx ends or the connection is lost it returns
// while that one still reads: the caller would close what is being read.
type borrowed struct {
	mu  sync.Mutex
	r   io.Reader // nil once given back
	err error
}

// Read implements io.Reader; it remembers an error of reading, to tell it
// from one of the server.
func (b *borrowed) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.r == nil {
		return 0, io.ErrClosedPipe
	}
	n, err := b.r.Read(p)
	if err != nil && err != io.EOF {
		b.err = err
	}
	return n, err
}

// giveBack waits for a Read that is under way; there is none after it.
func (b *borrowed) giveBack() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.r = nil
}

func (l *Loader) rollback(ctx context.Context) {
	if l.conn.IsClosed() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	_ = l.exec(ctx, "ROLLBACK")
}

func (l *Loader) fail(ctx context.Context, schema, table string, err error) error {
	l.rollback(ctx)
	err = queryFault(ctx, "restore", fmt.Sprintf("the rows of %s cannot be loaded", QuoteName(schema, table)), err)
	var f *fault.Error
	if errors.As(err, &f) {
		f.Left = "This table is empty; the others are as they were."
	}
	return err
}

// Close ends the session.
func (l *Loader) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = l.conn.Close(ctx)
}
