package pg

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"
)

// userSchemas limits a query with pg_namespace n to what pg_dump looks at.
const userSchemas = ` n.nspname !~ '^pg_(catalog|toast|temp|toast_temp)' AND n.nspname <> 'information_schema' `

// notExtension leaves out the members of extensions; %s is the class and oid.
func notExtension(class, oid string) string {
	return ` NOT EXISTS (SELECT FROM pg_catalog.pg_depend xd WHERE xd.classid = 'pg_catalog.` + class +
		`'::pg_catalog.regclass AND xd.objid = ` + oid + ` AND xd.deptype = 'e') `
}

// Catalog reads what the database holds, in the snapshot. Locks held by
// others do not fail it: sizes of a table that somebody locks are estimates.
func (s *Snapshot) Catalog(ctx context.Context) (*Catalog, error) {
	c := &Catalog{}
	for _, step := range []struct {
		what string
		read func(context.Context, *Catalog) error
	}{
		{"the server's version", s.readServer},
		{"the database's properties", s.readDatabase},
		{"the list of tables", s.readTables},
		{"the list of extensions", s.readExtensions},
		{"the list of roles", s.readRoles},
		{"the sequences", s.readSequences},
		{"what the role may read", s.readRights},
		{"the large objects", s.readLargeObjects},
		{"the indexes and constraints", s.readFacts},
	} {
		if err := step.read(ctx, c); err != nil {
			return nil, queryFault(ctx, "catalog", step.what+" cannot be read", err)
		}
	}
	return c, nil
}

// attempt runs f so that its failure does not end the transaction; it tells
// whether f succeeded. Only a dead connection is an error.
func (s *Snapshot) attempt(ctx context.Context, f func() error) (bool, error) {
	if _, err := s.conn.Exec(ctx, "SAVEPOINT pgvault"); err != nil {
		return false, err
	}
	if err := f(); err != nil {
		_, e := s.conn.Exec(ctx, "ROLLBACK TO SAVEPOINT pgvault")
		return false, e
	}
	_, err := s.conn.Exec(ctx, "RELEASE SAVEPOINT pgvault")
	return err == nil, err
}

func (s *Snapshot) readServer(ctx context.Context, c *Catalog) error {
	info, err := readServer(ctx, s.conn)
	c.Server = info
	return err
}

// Server tells which server conn speaks to.
func Server(ctx context.Context, conn *pgx.Conn) (ServerInfo, error) {
	info, err := readServer(ctx, conn)
	return info, queryFault(ctx, "connect", "the server's version cannot be read", err)
}

func readServer(ctx context.Context, conn *pgx.Conn) (ServerInfo, error) {
	var i ServerInfo
	var may bool
	err := conn.QueryRow(ctx, `SELECT current_setting('server_version'), current_setting('server_version_num')::int,
		pg_catalog.pg_is_in_recovery(), current_setting('is_superuser') = 'on', current_user::text,
		has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE')`).
		Scan(&i.Version, &i.Num, &i.InRecovery, &i.SuperUser, &i.User, &may)
	i.Version, _, _ = strings.Cut(i.Version, " ")
	if err == nil && may {
		err = conn.QueryRow(ctx, "SELECT system_identifier::text FROM pg_catalog.pg_control_system()").Scan(&i.SystemID)
	}
	return i, err
}

func (s *Snapshot) readDatabase(ctx context.Context, c *Catalog) error {
	d, err := readDatabase(ctx, s.conn, c.Server.Major())
	if err != nil {
		return err
	}
	// Needs CONNECT or pg_read_all_stats, and reads directories.
	_, err = s.attempt(ctx, func() error {
		return s.conn.QueryRow(ctx, "SELECT pg_catalog.pg_database_size(pg_catalog.current_database())").Scan(&d.Size)
	})
	c.Database = d
	return err
}

// readDatabase reads the properties of the database that conn is on.
func readDatabase(ctx context.Context, conn *pgx.Conn, major int) (DatabaseInfo, error) {
	provider, locale, rules, version := "'c'", "''", "''", "''"
	if major >= 15 {
		provider, locale, version = "d.datlocprovider::text", "coalesce(d.daticulocale, '')", "coalesce(d.datcollversion, '')"
	}
	if major >= 16 {
		rules = "coalesce(d.daticurules, '')"
	}
	if major >= 17 {
		locale = "coalesce(d.datlocale, '')"
	}
	var i DatabaseInfo
	var acl bool
	err := conn.QueryRow(ctx, `SELECT d.datname::text, pg_catalog.pg_get_userbyid(d.datdba)::text, pg_catalog.pg_encoding_to_char(d.encoding)::text,
		d.datcollate::text, d.datctype::text, `+provider+`, `+locale+`, `+rules+`, `+version+`, d.datconnlimit, t.spcname::text,
		coalesce(pg_catalog.shobj_description(d.oid, 'pg_database'), ''), d.datacl IS NOT NULL
		FROM pg_catalog.pg_database d JOIN pg_catalog.pg_tablespace t ON t.oid = d.dattablespace
		WHERE d.datname = pg_catalog.current_database()`).
		Scan(&i.Name, &i.Owner, &i.Encoding, &i.Collate, &i.CType, &i.Provider, &i.ICULocale, &i.ICURules, &i.CollationVersion,
			&i.ConnLimit, &i.Tablespace, &i.Comment, &acl)
	if err != nil {
		return i, err
	}
	rows, _ := conn.Query(ctx, `SELECT coalesce(r.rolname::text, ''), split_part(c, '=', 1), substr(c, strpos(c, '=') + 1)
		FROM pg_catalog.pg_db_role_setting s LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole, unnest(s.setconfig) WITH ORDINALITY AS u(c, n)
		WHERE s.setdatabase = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
		ORDER BY 1, n`)
	if i.Settings, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Setting]); err != nil || !acl {
		return i, err
	}
	rows, _ = conn.Query(ctx, `SELECT coalesce(r.rolname::text, ''), a.privilege_type, a.is_grantable
		FROM pg_catalog.pg_database d, pg_catalog.aclexplode(d.datacl) a LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee
		WHERE d.datname = pg_catalog.current_database() ORDER BY 1, 2, 3`)
	i.Grants, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Grant])
	return i, err
}

func (s *Snapshot) readTables(ctx context.Context, c *Catalog) error {
	query := func(size string) func() error {
		return func() error {
			rows, _ := s.conn.Query(ctx, `SELECT n.nspname::text, c.relname::text, c.relkind::text,
				CASE WHEN c.reltuples < 0 OR c.reltuples = 0 AND c.relpages = 0 THEN -1 ELSE c.reltuples::bigint END, `+size+`
				FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
				WHERE c.relkind IN ('r', 'p', 'm') AND c.relpersistence <> 't' AND `+userSchemas+`
				ORDER BY 1, 2`)
			var err error
			c.Tables, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (t TableStat, err error) {
				var kind string
				err = r.Scan(&t.Schema, &t.Name, &kind, &t.EstRows, &t.Size)
				if err == nil {
					t.Kind = kind[0]
				}
				return t, err
			})
			return err
		}
	}
	const pages = "c.relpages::bigint * current_setting('block_size')::bigint"
	// pg_table_size waits for a lock; it is not asked where somebody holds
	// or awaits one that excludes readers.
	ok, err := s.attempt(ctx, query(`CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_locks l WHERE l.locktype = 'relation'
		AND l.relation = c.oid AND l.mode = 'AccessExclusiveLock') THEN `+pages+`
		ELSE coalesce(pg_catalog.pg_table_size(c.oid), `+pages+`) END`))
	if err != nil || ok {
		return err
	}
	return query(pages)()
}

func (s *Snapshot) readExtensions(ctx context.Context, c *Catalog) (err error) {
	rows, _ := s.conn.Query(ctx, `SELECT e.extname::text, e.extversion, n.nspname::text FROM pg_catalog.pg_extension e
		JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace ORDER BY 1`)
	c.Extensions, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Extension])
	return err
}

// readRoles finds roles by pg_shdepend, and the bootstrap superuser, whom
// pg_shdepend leaves out, by what it owns.
func (s *Snapshot) readRoles(ctx context.Context, c *Catalog) (err error) {
	owned := func(table, owner, schema, class string) string {
		q := "SELECT o." + owner + " FROM pg_catalog." + table + " o"
		if schema != "" {
			q += " JOIN pg_catalog.pg_namespace n ON n.oid = o." + schema + " AND " + userSchemas
		}
		return q + " WHERE o." + owner + " = 10 AND " + notExtension(class, "o.oid")
	}
	rows, _ := s.conn.Query(ctx, `WITH me AS (SELECT oid, datdba FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()),
		used (oid) AS (
			SELECT refobjid FROM pg_catalog.pg_shdepend, me WHERE refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass
				AND (dbid = me.oid OR classid = 'pg_catalog.pg_database'::pg_catalog.regclass AND objid = me.oid)
			UNION SELECT datdba FROM me
			UNION SELECT setrole FROM pg_catalog.pg_db_role_setting, me WHERE setdatabase = me.oid
			UNION `+owned("pg_class", "relowner", "relnamespace", "pg_class")+`
			UNION `+owned("pg_proc", "proowner", "pronamespace", "pg_proc")+`
			UNION `+owned("pg_type", "typowner", "typnamespace", "pg_type")+`
			UNION SELECT n.nspowner FROM pg_catalog.pg_namespace n WHERE n.nspname <> 'public' AND `+userSchemas+`
			UNION SELECT lomowner FROM pg_catalog.pg_largeobject_metadata WHERE lomowner = 10)
		SELECT r.rolname::text, r.rolsuper, r.rolinherit, r.rolcreaterole, r.rolcreatedb, r.rolcanlogin, r.rolreplication, r.rolbypassrls
		FROM pg_catalog.pg_roles r WHERE r.oid IN (SELECT oid FROM used) ORDER BY 1`)
	c.Roles, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Role])
	return err
}
