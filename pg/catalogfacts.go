package pg

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// names reads rows of (schema, name), quoted and joined.
func (s *Snapshot) names(ctx context.Context, sql string) ([]string, error) {
	rows, _ := s.conn.Query(ctx, sql)
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (string, error) {
		var schema, name string
		err := r.Scan(&schema, &name)
		return QuoteName(schema, name), err
	})
}

func (s *Snapshot) readSequences(ctx context.Context, c *Catalog) error {
	query := func(last string) func() error {
		return func() (err error) {
			rows, _ := s.conn.Query(ctx, `SELECT n.nspname::text, c.relname::text, `+last+`
				FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
				WHERE c.relkind = 'S' AND c.relpersistence <> 't' AND `+userSchemas+` ORDER BY 1, 2`)
			c.Sequences, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Sequence])
			return err
		}
	}
	// An unlogged sequence cannot be read on a standby.
	ok, err := s.attempt(ctx, query(`CASE WHEN pg_catalog.has_sequence_privilege(c.oid, 'SELECT,USAGE')
		AND NOT (c.relpersistence = 'u' AND pg_catalog.pg_is_in_recovery()) THEN pg_catalog.pg_sequence_last_value(c.oid) END`))
	if err != nil || ok {
		return err
	}
	return query("NULL::bigint")()
}

// readRights finds what pg_dump would stumble over. It locks and reads
// ordinary tables one by one, partitions too, so that only their own rights
// and policies count.
func (s *Snapshot) readRights(ctx context.Context, c *Catalog) (err error) {
	const from = `SELECT n.nspname::text, c.relname::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relpersistence <> 't' AND ` + userSchemas + ` AND `
	order := ` AND ` + notExtension("pg_class", "c.oid") + ` ORDER BY 1, 2`
	if c.RowSecurity, err = s.names(ctx, from+`c.relkind = 'r' AND c.relrowsecurity AND pg_catalog.row_security_active(c.oid)`+order); err != nil {
		return err
	}
	c.Unreadable, err = s.names(ctx, from+`c.relkind IN ('r', 'p', 'S') AND NOT (CASE c.relkind WHEN 'S'
		THEN pg_catalog.has_sequence_privilege(c.oid, 'SELECT') ELSE pg_catalog.has_table_privilege(c.oid, 'SELECT') END
		AND pg_catalog.has_schema_privilege(n.oid, 'USAGE'))`+order)
	return err
}

// readLargeObjects counts them by pg_largeobject_metadata, which everybody
// may read. pg_read_all_data does not cover them (before version 18 there is
// not even a function that asks), so the grants are taken apart here.
func (s *Snapshot) readLargeObjects(ctx context.Context, c *Catalog) error {
	err := s.conn.QueryRow(ctx, "SELECT count(*) FROM pg_catalog.pg_largeobject_metadata").Scan(&c.LargeObjects)
	if err != nil || c.LargeObjects == 0 || c.Server.SuperUser {
		return err
	}
	const hidden = ` FROM pg_catalog.pg_largeobject_metadata m WHERE current_setting('lo_compat_privileges') = 'off'
		AND NOT pg_catalog.pg_has_role(m.lomowner, 'USAGE') AND NOT EXISTS (SELECT FROM pg_catalog.aclexplode(m.lomacl) a
		WHERE a.privilege_type = 'SELECT' AND (a.grantee = 0 OR pg_catalog.pg_has_role(a.grantee, 'USAGE')))`
	if err := s.conn.QueryRow(ctx, "SELECT count(*)"+hidden).Scan(&c.UnreadableLargeObjects); err != nil || c.UnreadableLargeObjects == 0 {
		return err
	}
	rows, err := s.conn.Query(ctx, "SELECT m.oid"+hidden+" ORDER BY 1 LIMIT 5")
	if err != nil {
		return err
	}
	c.UnreadableSample, err = collect[uint32](rows)
	return err
}

func (s *Snapshot) readFacts(ctx context.Context, c *Catalog) (err error) {
	f := &c.Facts
	inUser := ` JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relpersistence <> 't' AND ` + userSchemas +
		` AND ` + notExtension("pg_class", "c.oid")
	const sorted = ` ORDER BY 1, 2`
	if f.InvalidIndexes, err = s.names(ctx, `SELECT n.nspname::text, c.relname::text FROM pg_catalog.pg_index i
		JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid`+inUser+` AND NOT i.indisvalid`+sorted); err != nil {
		return err
	}
	if f.UnpopulatedMatviews, err = s.names(ctx, `SELECT n.nspname::text, c.relname::text FROM pg_catalog.pg_class c`+
		inUser+` AND c.relkind = 'm' AND NOT c.relispopulated`+sorted); err != nil {
		return err
	}
	rows, _ := s.conn.Query(ctx, `SELECT n.nspname::text, coalesce(c.relname::text, t.typname::text), k.conname::text FROM pg_catalog.pg_constraint k
		JOIN pg_catalog.pg_namespace n ON n.oid = k.connamespace LEFT JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
		LEFT JOIN pg_catalog.pg_type t ON t.oid = k.contypid
		WHERE NOT k.convalidated AND coalesce(c.relpersistence, 'p') <> 't' AND `+userSchemas+sorted+`, 3`)
	if f.UnvalidatedConstraints, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (string, error) {
		var schema, on, name string
		err := r.Scan(&schema, &on, &name)
		return QuoteName(schema, on) + ": " + quotePart(name), err
	}); err != nil {
		return err
	}
	count := func(from string) string { return "(SELECT count(*) FROM pg_catalog." + from + ")" }
	return s.conn.QueryRow(ctx, "SELECT "+
		count(`pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid`+inUser)+","+
		count(`pg_constraint k JOIN pg_catalog.pg_namespace n ON n.oid = k.connamespace LEFT JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
			WHERE k.contype <> 'n' AND coalesce(c.relpersistence, 'p') <> 't' AND `+userSchemas+
			` AND `+notExtension("pg_class", "k.conrelid")+` AND `+notExtension("pg_type", "k.contypid"))+","+
		count(`pg_trigger g JOIN pg_catalog.pg_class c ON c.oid = g.tgrelid`+inUser+` AND NOT g.tgisinternal`)+","+
		count(`pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE `+userSchemas+` AND `+notExtension("pg_proc", "p.oid"))+","+
		count(`pg_class c`+inUser+` AND c.relkind = 'v'`)+","+
		count(`pg_class c`+inUser+` AND c.relkind = 'm'`)).
		Scan(&f.Indexes, &f.Constraints, &f.Triggers, &f.Functions, &f.Views, &f.Matviews)
}
