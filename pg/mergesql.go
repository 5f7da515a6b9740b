package pg

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// MergeSQL writes SQL for a person to read and run: it adds to the tables of
// the database that conn is on those rows that lie in schema (see CopyTables)
// and are missing, by primary key, else by all columns; no row is changed or
// deleted. Tables come in an order that suits their foreign keys, all in one
// transaction; sequences are moved on behind the greatest value. Nothing is run.
func MergeSQL(ctx context.Context, conn *pgx.Conn, schema string, tables []TableRef) (string, error) {
	order, err := keyOrder(ctx, conn, tables)
	if err != nil {
		return "", queryFault(ctx, "merge", "the foreign keys cannot be read", err)
	}
	var b strings.Builder
	b.WriteString("-- Adds what is missing from the schema " + commentSafe(quotePart(schema)) + ". Read it before you run it; ROLLBACK instead of COMMIT tries it.\nBEGIN;\n")
	for _, t := range order {
		if err := mergeOne(ctx, conn, &b, schema, t); err != nil {
			return "", queryFault(ctx, "merge", "the table "+t.String()+" cannot be read", err)
		}
	}
	b.WriteString("COMMIT;\n")
	return b.String(), nil
}

// commentSafe keeps a name within its line of comment.
func commentSafe(s string) string { return strings.NewReplacer("\n", " ", "\r", " ").Replace(s) }

// keyOrder puts tables behind those that they refer to; of a circle the first
// comes first.
func keyOrder(ctx context.Context, conn *pgx.Conn, tables []TableRef) ([]TableRef, error) {
	rows, _ := conn.Query(ctx, `SELECT n.nspname::text, c.relname::text, m.nspname::text, f.relname::text FROM pg_catalog.pg_constraint k
		JOIN pg_catalog.pg_class c ON c.oid = k.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		JOIN pg_catalog.pg_class f ON f.oid = k.confrelid JOIN pg_catalog.pg_namespace m ON m.oid = f.relnamespace WHERE k.contype = 'f'`)
	needs := map[TableRef][]TableRef{}
	var t, f TableRef
	if _, err := pgx.ForEachRow(rows, []any{&t.Schema, &t.Name, &f.Schema, &f.Name}, func() error {
		needs[t] = append(needs[t], f)
		return nil
	}); err != nil {
		return nil, err
	}
	var out []TableRef
	met := map[TableRef]bool{}
	var visit func(TableRef)
	visit = func(t TableRef) {
		if met[t] || !slices.Contains(tables, t) {
			return
		}
		met[t] = true
		for _, f := range needs[t] {
			visit(f)
		}
		out = append(out, t)
	}
	for _, t := range tables {
		visit(t)
	}
	return out, nil
}

func mergeOne(ctx context.Context, conn *pgx.Conn, b *strings.Builder, schema string, t TableRef) error {
	live, from := quoteIdent(t.Schema)+"."+quoteIdent(t.Name), quoteIdent(schema)+"."+quoteIdent(t.Name)
	var inherits *bool
	if err := conn.QueryRow(ctx, `SELECT (SELECT c.relkind = 'r' FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p'))`, t.Schema, t.Name).Scan(&inherits); err != nil {
		return err
	}
	own := live // where its own rows are: those of children are theirs
	if inherits != nil && *inherits {
		own = "ONLY " + live
	}
	rows, _ := conn.Query(ctx, `SELECT quote_ident(a.attname), a.attidentity = 'a', a.attgenerated <> '', coalesce(a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]), false), coalesce(i.indimmediate, false) AND NOT c.relhasrules,
			coalesce(pg_catalog.pg_get_serial_sequence(quote_ident(n.nspname) || '.' || quote_ident(c.relname), a.attname), '')
		FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		LEFT JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisprimary
		WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped
			AND EXISTS (SELECT FROM pg_catalog.pg_attribute x JOIN pg_catalog.pg_class y ON y.oid = x.attrelid JOIN pg_catalog.pg_namespace z ON z.oid = y.relnamespace
				WHERE z.nspname = $3 AND y.relname = $2 AND x.attname = a.attname AND x.attnum > 0) ORDER BY a.attnum`, t.Schema, t.Name, schema)
	var columns, key, sequences []string
	overriding := ""
	var column, sequence string
	var always, generated, primary, immediate bool
	_, err := pgx.ForEachRow(rows, []any{&column, &always, &generated, &primary, &immediate, &sequence}, func() error {
		if !generated {
			columns = append(columns, column)
		}
		if always {
			overriding = " OVERRIDING SYSTEM VALUE"
		}
		if primary {
			key = append(key, column)
		}
		if sequence != "" {
			sequences = append(sequences, fmt.Sprintf("SELECT setval(%s, greatest((SELECT max(%s) FROM %s), (SELECT last_value FROM %s))) WHERE EXISTS (SELECT FROM %s);\n", quoteLiteral(sequence), column, live, sequence, live))
		}
		return nil
	})
	if err != nil {
		return err
	}
	list := strings.Join(columns, ", ")
	switch {
	case len(columns) == 0 && inherits != nil:
		b.WriteString("-- " + commentSafe(t.String()) + " has no column that both have: its rows cannot be told apart, and none is added.\n")
		return nil
	case len(columns) == 0:
		b.WriteString("-- " + commentSafe(t.String()) + " is not in this database: CREATE TABLE " + live + " first.\n")
		b.WriteString("SELECT 1 / 0 AS \"a table is missing\";\n")
		return nil
	case len(key) > 0:
		// Rows that are there are not even tried: no trigger fires for them, and
		// no check that was never validated refuses them. One that comes meanwhile
		// is passed over, but where the server cannot (a deferred key, a table with
		// rules).
		conflict := ""
		if immediate {
			conflict = " ON CONFLICT (" + strings.Join(key, ", ") + ") DO NOTHING"
		}
		fmt.Fprintf(b, "INSERT INTO %s (%s)%s SELECT %s FROM %s AS q WHERE NOT EXISTS (SELECT FROM %s AS l WHERE (l.%s) = (q.%s))%s;\n", live, list, overriding, list, from, own,
			strings.Join(key, ", l."), strings.Join(key, ", q."), conflict)
	default: // as text: some types have no equality (json, xml), or another one (box)
		fmt.Fprintf(b, "-- no primary key: a row is missing where no row has the same values\nINSERT INTO %s (%s)%s SELECT %s FROM %s AS q WHERE NOT EXISTS (SELECT FROM %s AS l WHERE ROW(l.%s)::text = ROW(q.%s)::text);\n", live, list, overriding, list, from, own,
			strings.Join(columns, ", l."), strings.Join(columns, ", q."))
	}
	b.WriteString(strings.Join(sequences, ""))
	return nil
}
