package pg

import (
	"context"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// RoleNames gives the names of all roles of the server, sorted bytewise.
func RoleNames(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	rows, _ := conn.Query(ctx, `SELECT rolname::text FROM pg_catalog.pg_roles ORDER BY rolname`)
	names, err := collect[string](rows)
	return names, queryFault(ctx, "plan", "the list of roles cannot be read", err)
}

// MissingRoles gives those of want that the server does not have.
func MissingRoles(ctx context.Context, conn *pgx.Conn, want []Role) ([]Role, error) {
	have, err := RoleNames(ctx, conn)
	if err != nil {
		return nil, err
	}
	var out []Role
	for _, r := range want {
		if !slices.Contains(have, r.Name) {
			out = append(out, r)
		}
	}
	return out, nil
}

// MissingExtensions gives those of want whose files are not installed on the
// server: CREATE EXTENSION would fail. One that is there in another version
// only is not among them; a dump asks for no version.
func MissingExtensions(ctx context.Context, conn *pgx.Conn, want []Extension) ([]Extension, error) {
	rows, _ := conn.Query(ctx, "SELECT name::text FROM pg_catalog.pg_available_extensions")
	have, err := collect[string](rows)
	if err != nil {
		return nil, queryFault(ctx, "plan", "the list of extensions cannot be read", err)
	}
	var out []Extension
	for _, e := range want {
		if !slices.Contains(have, e.Name) {
			out = append(out, e)
		}
	}
	return out, nil
}

// CreateRoles makes those of want that are missing, so that objects find
// their owners. They cannot log in, have no password and no special right:
// whoever wants one of those back grants it knowingly. It gives the names it
// made, also when it fails half-way. Names that begin with pg_ are the
// server's own and passed over.
func CreateRoles(ctx context.Context, conn *pgx.Conn, want []Role) (made []string, err error) {
	missing, err := MissingRoles(ctx, conn, want)
	if err != nil {
		return nil, err
	}
	for _, r := range missing {
		if strings.HasPrefix(r.Name, "pg_") {
			continue
		}
		inherit := " NOINHERIT"
		if r.Inherit {
			inherit = " INHERIT"
		}
		if _, err := conn.Exec(ctx, "CREATE ROLE "+quoteIdent(r.Name)+" NOLOGIN"+inherit); err != nil {
			return made, queryFault(ctx, "roles", "the role "+quoteShown(r.Name)+" cannot be created", err)
		}
		made = append(made, r.Name)
	}
	return made, nil
}
