package pg

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/jackc/pgx/v5"

	"pgvault/fault"
)

// TableRef names a table.
type TableRef struct{ Schema, Name string }

// String is the name as SQL reads it.
func (t TableRef) String() string { return QuoteName(t.Schema, t.Name) }

// Quarried is a table that CopyTables copied.
type Quarried struct {
	Table TableRef
	Rows  int64
}

// quarryTable is what CopyTables needs of a table.
type quarryTable struct {
	TableRef
	only    bool     // its rows are those that no child of it has
	columns []string // quoted; those that COPY takes; none: it has no column
	define  []string // column and type
}

// from is where a SELECT finds the table's own rows: of a partitioned table
// those of its partitions, of one that others inherit from not those of its
// children, which are tables of their own.
func (q quarryTable) from() string {
	if q.only {
		return "ONLY " + quoteIdent(q.Schema) + "." + quoteIdent(q.Name)
	}
	return quoteIdent(q.Schema) + "." + quoteIdent(q.Name)
}

// list gives the columns as COPY takes them; a table without any has rows too.
func (q quarryTable) list() string {
	if len(q.columns) == 0 {
		return ""
	}
	return " (" + strings.Join(q.columns, ", ") + ")"
}

// CopyTables copies tables of one database into a new schema of another, of
// the same server: columns with their types and rows, and nothing that could run
// code there (no default, check, trigger, index or policy). The schema must not
// exist. All of it is one transaction: after an error nothing is there, and no
// existing table is ever written. Rows are read in one snapshot, passed on as
// COPY gives them, and lie nowhere in between. Tables whose names differ only by
// schema are refused: they would meet in the new one.
func CopyTables(ctx context.Context, s Settings, from, to, schema string, tables []TableRef) ([]Quarried, error) {
	seen := map[string]TableRef{}
	for _, t := range tables {
		if other, twice := seen[t.Name]; twice {
			return nil, &fault.Error{Op: "copy tables", What: other.String() + " and " + t.String() + " would have one name in the schema " + quoteShown(schema), Why: "both are called " + t.Name,
				Left: "nothing was made or changed", Do: "copy them into two schemas, one after the other", Code: fault.Usage}
		}
		seen[t.Name] = t
	}
	src, err := s.Connect(ctx, from)
	if err != nil {
		return nil, err
	}
	defer src.Close(context.WithoutCancel(ctx))
	dst, err := s.Connect(ctx, to)
	if err != nil {
		return nil, err
	}
	defer dst.Close(context.WithoutCancel(ctx))
	read, err := src.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, queryFault(ctx, "copy tables", "the restored tables cannot be read", err)
	}
	defer func() { _ = read.Rollback(context.WithoutCancel(ctx)) }()
	write, err := dst.Begin(ctx)
	if err != nil {
		return nil, queryFault(ctx, "copy tables", "the schema cannot be made", err)
	}
	defer func() { _ = write.Rollback(context.WithoutCancel(ctx)) }()
	for _, tx := range []pgx.Tx{read, write} {
		if err := sameWords(ctx, tx); err != nil {
			return nil, queryFault(ctx, "copy tables", "the schema cannot be made", err)
		}
	}
	if _, err := write.Exec(ctx, "CREATE SCHEMA "+quoteIdent(schema)); err != nil {
		return nil, queryFault(ctx, "copy tables", "the schema "+quoteShown(schema)+" cannot be made in the database "+quoteShown(to), err)
	}
	var out []Quarried
	for _, t := range tables {
		q, err := quarryOf(ctx, read, t)
		if err != nil {
			return nil, err
		}
		n, err := copyOne(ctx, read, write, schema, q)
		if err != nil {
			return nil, queryFault(ctx, "copy tables", "the table "+t.String()+" cannot be copied into the schema "+quoteShown(schema), err)
		}
		out = append(out, Quarried{t, n})
	}
	return out, queryFault(ctx, "copy tables", "the schema cannot be made", write.Commit(ctx))
}

// sameWords makes both sessions write and read values in the same words,
// exactly, and rows in their order, whatever the settings of the two databases and
// of the role: pg_dump's own ones (setup_connection in pg_dump.c), and lc_monetary,
// which stands in the text of money. Without a search_path every name has its schema.
func sameWords(ctx context.Context, tx pgx.Tx) error {
	for _, q := range []string{"client_encoding = 'UTF8'", "DateStyle = ISO", "IntervalStyle = postgres", "extra_float_digits = 3", "bytea_output = hex", "lc_monetary = 'C'", "xmlbinary = base64", "xmloption = content",
		"search_path = ''", "array_nulls = on", "row_security = off", "synchronize_seqscans = off", "statement_timeout = 0", "lock_timeout = 0", "idle_in_transaction_session_timeout = 0"} {
		if _, err := tx.Exec(ctx, "SET LOCAL "+q, pgx.QueryExecModeSimpleProtocol); err != nil {
			return err
		}
	}
	return nil
}

func quarryOf(ctx context.Context, tx pgx.Tx, t TableRef) (quarryTable, error) {
	q := quarryTable{TableRef: t}
	err := tx.QueryRow(ctx, `SELECT c.relkind = 'r' FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p')`, t.Schema, t.Name).Scan(&q.only)
	if errors.Is(err, pgx.ErrNoRows) {
		err = &fault.Error{Op: "copy tables", What: "there is no table " + t.String(), Left: "nothing was made or changed", Code: fault.Usage}
	}
	if err != nil {
		return q, queryFault(ctx, "copy tables", "the table "+t.String()+" cannot be read", err)
	}
	rows, _ := tx.Query(ctx, `SELECT quote_ident(a.attname), quote_ident(a.attname) || ' ' || pg_catalog.format_type(a.atttypid, a.atttypmod) ||
			coalesce((SELECT ' COLLATE ' || quote_ident(n.nspname) || '.' || quote_ident(l.collname) FROM pg_catalog.pg_collation l JOIN pg_catalog.pg_namespace n ON n.oid = l.collnamespace
				JOIN pg_catalog.pg_type y ON y.oid = a.atttypid WHERE l.oid = a.attcollation AND a.attcollation <> y.typcollation), '')
		FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`, t.Schema, t.Name)
	var column, define string
	_, err = pgx.ForEachRow(rows, []any{&column, &define}, func() error {
		q.columns, q.define = append(q.columns, column), append(q.define, define)
		return nil
	})
	return q, queryFault(ctx, "copy tables", "the table "+t.String()+" cannot be read", err)
}

// copyOne makes a table, fills it and counts what is there afterwards.
func copyOne(ctx context.Context, read, write pgx.Tx, schema string, q quarryTable) (int64, error) {
	name := quoteIdent(schema) + "." + quoteIdent(q.Name)
	if _, err := write.Exec(ctx, "CREATE TABLE "+name+" ("+strings.Join(q.define, ", ")+")", pgx.QueryExecModeExec); err != nil {
		return 0, err
	}
	r, w := io.Pipe()
	sent := make(chan error, 1)
	sum := sha256.New()
	go func() {
		_, err := read.Conn().PgConn().CopyTo(ctx, io.MultiWriter(w, sum), "COPY (SELECT "+strings.Join(q.columns, ", ")+" FROM "+q.from()+") TO STDOUT")
		w.CloseWithError(err)
		sent <- err
	}()
	tag, err := write.Conn().PgConn().CopyFrom(ctx, r, "COPY "+name+q.list()+" FROM STDIN")
	r.CloseWithError(io.ErrClosedPipe)
	if sendErr := <-sent; err == nil {
		err = sendErr
	}
	if err != nil {
		return 0, err
	}
	// A new table gives its rows in the order in which they came.
	stored := sha256.New()
	there, err := write.Conn().PgConn().CopyTo(ctx, stored, "COPY "+name+" TO STDOUT")
	if err != nil {
		return 0, err
	}
	if there.RowsAffected() != tag.RowsAffected() || !bytes.Equal(sum.Sum(nil), stored.Sum(nil)) {
		return 0, &fault.Error{Op: "copy tables", What: "the rows of " + q.String() + " are not the same in the schema " + quoteShown(schema), Why: fmt.Sprintf("%d of %d came, or their SHA-256 is another one", there.RowsAffected(), tag.RowsAffected()),
			Left: "nothing was made or changed", Do: "look whether its types are the same in both databases", Code: fault.Differs}
	}
	return there.RowsAffected(), nil
}
