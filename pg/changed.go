package pg

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// goneExtensions are those that came with PostgreSQL 13 or later, by the major
// version that came without (Release Notes, "Migration to Version 15" and 17).
var goneExtensions = map[string]int{"plpythonu": 15, "plpython2u": 15, "hstore_plpythonu": 15, "hstore_plpython2u": 15, "jsonb_plpythonu": 15,
	"jsonb_plpython2u": 15, "ltree_plpythonu": 15, "ltree_plpython2u": 15, "adminpack": 17, "old_snapshot": 17}

// GoneExtension gives the major version from which PostgreSQL comes without
// an extension that it had; 0 where it has it, or never had.
func GoneExtension(name string) int { return goneExtensions[name] }

// UnknownSettings gives those of names that the server has no setting for, each
// once and in their order. A name with a dot is an extension's, and a server
// takes any that no loaded library denies: it is never among them.
func UnknownSettings(ctx context.Context, conn *pgx.Conn, names []string) ([]string, error) {
	var out []string
	for _, name := range names {
		if strings.Contains(name, ".") || slices.Contains(out, name) {
			continue
		}
		var unknown bool
		err := conn.QueryRow(ctx, "SELECT pg_catalog.current_setting($1, true) IS NULL", name).Scan(&unknown)
		var e *pgconn.PgError
		if errors.As(err, &e) && e.Code == "42501" { // there is one, which the role may not see
			err = nil
		}
		if err != nil {
			return nil, queryFault(ctx, "plan", "the server's settings cannot be asked for", err)
		}
		if unknown {
			out = append(out, name)
		}
	}
	return out, nil
}

// WithMD5 gives those of the roles whose password is kept as MD5.
func (g *Globals) WithMD5(roles []string) []string {
	var out []string
	for _, r := range g.Roles {
		if slices.Contains(roles, r.Name) && strings.HasPrefix(string(r.Verifier), "md5") {
			out = append(out, r.Name)
		}
	}
	return out
}

// OwnersOutOfReach gives those of the roles that the session's role may not
// give objects to: it would have to be a member of them, and from version 16 on
// with the option SET, which a role does not have of those that it makes. A
// role that is not there counts as one that it will make. A superuser may give to all.
func OwnersOutOfReach(ctx context.Context, conn *pgx.Conn, owners []string) ([]string, error) {
	how := "MEMBER"
	if major(conn) >= 16 {
		how = "SET"
	}
	rows, _ := conn.Query(ctx, `SELECT o FROM unnest($1::text[]) o LEFT JOIN pg_catalog.pg_roles r ON r.rolname = o
		WHERE current_setting('is_superuser') = 'off' AND (r.oid IS NULL OR NOT pg_catalog.pg_has_role(r.oid, '`+how+`')) ORDER BY 1`, owners)
	out, err := collect[string](rows)
	return out, queryFault(ctx, "plan", "the role's memberships cannot be read", err)
}
