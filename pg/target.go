package pg

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Offer is what a server offers of an extension.
type Offer struct {
	Default  string   // what CREATE EXTENSION installs
	Versions []string // all that can be asked for
}

// Offers gives the extensions that the server offers, by name.
func Offers(ctx context.Context, conn *pgx.Conn) (map[string]Offer, error) {
	rows, _ := conn.Query(ctx, `SELECT e.name::text, coalesce(e.default_version, ''), coalesce(array_agg(v.version ORDER BY v.version) FILTER (WHERE v.version IS NOT NULL), '{}')
		FROM pg_catalog.pg_available_extensions e LEFT JOIN pg_catalog.pg_available_extension_versions v ON v.name = e.name GROUP BY 1, 2`)
	out := map[string]Offer{}
	var name string
	var o Offer
	_, err := pgx.ForEachRow(rows, []any{&name, &o.Default, &o.Versions}, func() error {
		out[name], o.Versions = o, nil
		return nil
	})
	return out, queryFault(ctx, "plan", "the list of extensions cannot be read", err)
}

// Tablespaces gives the names of the server's tablespaces.
func Tablespaces(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	rows, _ := conn.Query(ctx, "SELECT spcname::text FROM pg_catalog.pg_tablespace ORDER BY 1")
	names, err := collect[string](rows)
	return names, queryFault(ctx, "plan", "the list of tablespaces cannot be read", err)
}

// Locale is what a server has for the locale of a database.
type Locale struct {
	Missing string // why the server cannot use it; empty: it can
	Unknown string // why that could not be asked; empty: it was
	Version string // of the collation, as the server's library has it; empty: it has none
}

// LocaleOf asks whether a database like the given one can be made. It makes a
// collation of that locale among the temporary objects of the session and takes it
// back.
func LocaleOf(ctx context.Context, conn *pgx.Conn, like DatabaseInfo) (Locale, error) {
	lacks := map[string]int{"i": 15, "b": 17}[like.Provider]
	if m := major(conn); m < lacks {
		return Locale{Missing: "a server of major " + strconv.Itoa(m) + " has no databases of the locale provider " + providerNames[like.Provider]}, nil
	}
	how := "provider = libc, lc_collate = " + quoteLiteral(like.Collate) + ", lc_ctype = " + quoteLiteral(like.CType)
	switch like.Provider {
	case "i":
		how = "provider = icu, locale = " + quoteLiteral(like.ICULocale)
	case "b":
		how = "provider = builtin, locale = " + quoteLiteral(like.ICULocale)
	}
	tx, err := conn.Begin(ctx)
	if err != nil {
		return Locale{}, queryFault(ctx, "plan", "the locale cannot be asked for", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	var l Locale
	_, err = tx.Exec(ctx, "CREATE COLLATION pg_temp.pgvault_probe ("+how+")")
	if err == nil {
		err = tx.QueryRow(ctx, "SELECT coalesce(pg_catalog.pg_collation_actual_version('pg_temp.pgvault_probe'::pg_catalog.regcollation), '')").Scan(&l.Version)
	}
	var e *pgconn.PgError
	switch {
	case err == nil:
	case !errors.As(err, &e):
		return l, queryFault(ctx, "plan", "the locale cannot be asked for", err)
	case strings.Contains(e.Message, "does not match"): // it is there, for another encoding than that of the session
	case e.Code == "42501" || e.Code == "25006":
		l.Unknown = e.Message
	default:
		l.Missing = e.Message
	}
	return l, nil
}

// LocaleIs gives encoding and collation of a database; empty where there is
// none of that name.
func LocaleIs(ctx context.Context, conn *pgx.Conn, name string) (encoding, collate string, err error) {
	err = conn.QueryRow(ctx, "SELECT pg_catalog.pg_encoding_to_char(encoding)::text, datcollate::text FROM pg_catalog.pg_database WHERE datname = $1", name).Scan(&encoding, &collate)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", "", nil
	}
	return encoding, collate, queryFault(ctx, "plan", "the database's locale cannot be read", err)
}

var providerNames = map[string]string{"c": "libc", "i": "icu", "b": "builtin"}

// Room is how many sessions and bytes a server has left.
type Room struct {
	Connections int    // that this role may still open
	Max         int    // max_connections
	Free        int64  // bytes, -1: it cannot be asked
	Where       string // the folder that Free is of, or why it cannot be asked
}

// RoomOf asks for both. Disk space is known only of a server on this machine,
// reached by a Unix socket, whose folder can be looked at.
func RoomOf(ctx context.Context, conn *pgx.Conn) (Room, error) {
	r := Room{Free: -1}
	var dir *string
	var mine int
	err := conn.QueryRow(ctx, `SELECT m.max, m.max - m.kept - u.used, CASE WHEN o.rolconnlimit < 0 OR o.rolsuper THEN m.max ELSE o.rolconnlimit - u.mine END,
		CASE WHEN pg_catalog.pg_has_role(o.oid, 'pg_read_all_settings', 'USAGE') THEN current_setting('data_directory') END
		FROM (SELECT current_setting('max_connections')::int AS max, CASE WHEN current_setting('is_superuser') = 'on' THEN 0 ELSE
			current_setting('superuser_reserved_connections')::int + coalesce(current_setting('reserved_connections', true)::int, 0) END AS kept) m,
		(SELECT count(*)::int AS used, (count(*) FILTER (WHERE usename = current_user))::int AS mine FROM pg_catalog.pg_stat_activity WHERE backend_type IN ('client backend', 'walsender') OR backend_type IS NULL) u,
		pg_catalog.pg_roles o WHERE o.rolname = current_user`).Scan(&r.Max, &r.Connections, &mine, &dir)
	if err != nil {
		return r, queryFault(ctx, "plan", "the server's limits cannot be read", err)
	}
	r.Connections = max(0, min(r.Connections, mine))
	var fs syscall.Statfs_t
	switch {
	case conn.PgConn().Conn().RemoteAddr().Network() != "unix":
		r.Where = "the server is not reached by a socket of this machine"
	case dir == nil:
		r.Where = "the role may not read data_directory (it needs pg_read_all_settings)"
	default:
		if err := syscall.Statfs(*dir, &fs); err != nil {
			r.Where = *dir + ": " + err.Error()
			break
		}
		r.Free, r.Where = int64(fs.Bavail)*fs.Bsize, *dir
	}
	return r, nil
}

// Live is a database that is there and may be in use.
type Live struct {
	Size      int64 // bytes; -1: the role may not ask
	Sessions  int   // of others
	Changes   int64 // rows inserted, updated and deleted since Since
	Since     *time.Time
	LastWrite *time.Time // of any database of the server, where it keeps track of commits
}

// LiveOf tells of a database; nil where there is none of that name.
func LiveOf(ctx context.Context, conn *pgx.Conn, name string) (*Live, error) {
	l := &Live{}
	err := conn.QueryRow(ctx, `SELECT CASE WHEN pg_catalog.has_database_privilege(d.oid, 'CONNECT') OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') THEN pg_catalog.pg_database_size(d.oid) ELSE -1 END,
		(SELECT count(*)::int FROM pg_catalog.pg_stat_activity a WHERE a.datid = d.oid AND a.pid <> pg_catalog.pg_backend_pid()),
		coalesce(s.tup_inserted + s.tup_updated + s.tup_deleted, 0), s.stats_reset
		FROM pg_catalog.pg_database d LEFT JOIN pg_catalog.pg_stat_database s ON s.datid = d.oid WHERE d.datname = $1`, name).Scan(&l.Size, &l.Sessions, &l.Changes, &l.Since)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err == nil {
		var on bool
		if err = conn.QueryRow(ctx, "SELECT current_setting('track_commit_timestamp') = 'on'").Scan(&on); err == nil && on {
			err = conn.QueryRow(ctx, "SELECT timestamp FROM pg_catalog.pg_last_committed_xact()").Scan(&l.LastWrite)
		}
	}
	return l, queryFault(ctx, "plan", "the live database cannot be asked", err)
}
