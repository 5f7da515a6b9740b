package pg

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// CreateRestorer makes the role as whom an archive is loaded that is not
// trusted with a superuser's rights: it may log in and sees every row of what
// it owns, and nothing else. Logged in as this role, code of the archive gains
// nothing by RESET ROLE; a superuser who merely did SET ROLE would.
func CreateRestorer(ctx context.Context, s Settings, role string) error {
	return Exec(ctx, s, "", "CREATE ROLE "+quoteIdent(role)+" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION BYPASSRLS")
}

// PrepareRestorer gives an empty database to the role that is to fill it, and
// makes there what only a superuser may make: extensions, in their order, each
// in a schema of its own where schemas names it. Nothing of the archive is there yet that
// an extension's script could meet. It gives the languages in which the role
// may write functions.
func PrepareRestorer(ctx context.Context, s Settings, database, role string, schemas []string, extensions []Extension) (languages []string, err error) {
	conn, err := s.Connect(ctx, database)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	do := []string{"ALTER DATABASE " + quoteIdent(database) + " OWNER TO " + quoteIdent(role)}
	for _, name := range schemas {
		do = append(do, "CREATE SCHEMA "+quoteIdent(name)+" AUTHORIZATION "+quoteIdent(role))
	}
	for _, e := range extensions {
		q := "CREATE EXTENSION IF NOT EXISTS " + quoteIdent(e.Name)
		if e.Schema != "" {
			q += " SCHEMA " + quoteIdent(e.Schema)
		}
		do = append(do, q)
	}
	for _, q := range append([]string{"SET client_min_messages = error", "SET search_path = public"}, do...) {
		if _, err := conn.Exec(ctx, q); err != nil {
			return nil, queryFault(ctx, "create", "the database cannot be prepared for a role without superuser: "+q, err)
		}
	}
	if _, err := conn.Exec(ctx, "SELECT pg_catalog.set_config('search_path', '', false)"); err != nil {
		return nil, queryFault(ctx, "create", "the database cannot be prepared for a role without superuser", err)
	}
	// Rows of an extension's own tables are in the dump where it asked for it.
	rows, _ := conn.Query(ctx, `SELECT 'ALTER TABLE ' || c.oid::regclass || ' OWNER TO ' || quote_ident($1) FROM pg_catalog.pg_extension e, unnest(e.extconfig) AS t
		JOIN pg_catalog.pg_class c ON c.oid = t WHERE c.relkind = 'r' UNION ALL
		SELECT 'ALTER SCHEMA public OWNER TO ' || quote_ident($1) FROM pg_catalog.pg_namespace WHERE nspname = 'public' AND nspowner = 10`, role)
	give, err := collect[string](rows)
	for i := 0; err == nil && i < len(give); i++ {
		_, err = conn.Exec(ctx, give[i])
	}
	if err == nil {
		rows, _ = conn.Query(ctx, "SELECT lanname::text FROM pg_catalog.pg_language WHERE lanpltrusted ORDER BY 1")
		languages, err = collect[string](rows)
	}
	return languages, queryFault(ctx, "create", "the database cannot be prepared for a role without superuser", err)
}

// EachAlone runs statements one by one, each by the extended protocol, which
// refuses a text that holds two. encoding is that of the texts. What fails is
// given with the server's reason and its statement, in the words of
// RunRestore; an error tells that the session could not go on.
func EachAlone(ctx context.Context, s Settings, database, encoding string, statements []string) (failed []string, err error) {
	l, err := OpenLoader(ctx, s, database, encoding)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	for _, q := range statements {
		_, err := l.conn.PgConn().ExecParams(ctx, q, nil, nil, nil, nil).Close()
		var e *pgconn.PgError
		switch {
		case err == nil:
		case errors.As(err, &e) && !l.conn.IsClosed():
			failed = append(failed, "ERROR:  "+e.Message+" ("+strings.ToValidUTF8(q[:min(len(q), shownCommand)], "")+")")
		default:
			return failed, queryFault(ctx, "restore", "owners and what only a superuser may make cannot be restored", err)
		}
	}
	return failed, nil
}
