package pg

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Globals are a server's roles, their memberships and settings, and its
// tablespaces, as data: what belongs to no database. Seal gives it with
// passwords; any other way to write it down leaves them out.
type Globals struct {
	Roles       []GlobalRole  `json:"roles"`
	Memberships []Membership  `json:"memberships"`
	Settings    []RoleSetting `json:"settings"` // of roles in every database; Role "" is every role
	Tablespaces []Tablespace  `json:"tablespaces"`
	// Verifiers tells whether passwords could be read; a role without one
	// then has none.
	Verifiers bool `json:"verifiers"`
}

// GlobalRole is a role with its attributes.
type GlobalRole struct {
	Role
	ConnLimit  int      `json:"conn_limit"` // -1: none
	ValidUntil string   `json:"valid_until,omitempty"`
	Comment    string   `json:"comment,omitempty"`
	Verifier   Verifier `json:"-"`
}

// Membership is GRANT Role TO Member. Inherit and Set are nil on servers
// before 16, which know neither.
type Membership struct {
	Role    string `json:"role"`
	Member  string `json:"member"`
	Admin   bool   `json:"admin"`
	Inherit *bool  `json:"inherit,omitempty"`
	Set     *bool  `json:"set,omitempty"`
}

// RoleSetting is ALTER ROLE … SET.
type RoleSetting struct {
	Role  string `json:"role"`
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Tablespace is a folder of the server that tables may lie in.
type Tablespace struct {
	Name     string `json:"name"`
	Owner    string `json:"owner"`
	Location string `json:"location"`
}

// Verifier is what a server keeps of a password: who has it can try passwords
// at leisure, and with md5 can log in. It shows itself to nobody.
type Verifier string

// String hides it.
func (v Verifier) String() string {
	if v == "" {
		return ""
	}
	return "(hidden)"
}

// GoString hides it from %#v.
func (v Verifier) GoString() string { return strconv.Quote(v.String()) }

// Format hides it from every verb.
func (v Verifier) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(v.String())) }

// MarshalJSON hides it.
func (v Verifier) MarshalJSON() ([]byte, error) { return json.Marshal(v.String()) }

// sealedGlobals is Globals with its passwords, by role.
type sealedGlobals struct {
	*Globals
	Passwords map[string]string `json:"passwords,omitempty"`
}

// Seal gives the JSON with passwords. It is a secret: only to be encrypted.
func (g *Globals) Seal() ([]byte, error) {
	s := sealedGlobals{g, map[string]string{}}
	for _, r := range g.Roles {
		if r.Verifier != "" {
			s.Passwords[r.Name] = string(r.Verifier)
		}
	}
	return json.Marshal(s)
}

// OpenGlobals reads what Seal gave.
func OpenGlobals(src []byte) (*Globals, error) {
	s := sealedGlobals{Globals: &Globals{}}
	if err := json.Unmarshal(src, &s); err != nil {
		return nil, fmt.Errorf("roles and settings: %w", err)
	}
	for i := range s.Roles {
		s.Roles[i].Verifier = Verifier(s.Passwords[s.Roles[i].Name])
	}
	return s.Globals, nil
}

// ReadGlobals reads them. Passwords are there only for a role that may read
// pg_authid (a superuser, or a member of pg_read_all_data).
func ReadGlobals(ctx context.Context, conn *pgx.Conn) (*Globals, error) {
	g := &Globals{}
	err := g.read(ctx, conn)
	return g, queryFault(ctx, "globals", "roles and settings cannot be read", err)
}

func (g *Globals) read(ctx context.Context, conn *pgx.Conn) error {
	const of = `SELECT r.rolname::text, r.rolsuper, r.rolinherit, r.rolcreaterole, r.rolcreatedb, r.rolcanlogin, r.rolreplication, r.rolbypassrls,
		r.rolconnlimit, coalesce(to_char(r.rolvaliduntil AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US+00'), ''), coalesce(pg_catalog.shobj_description(r.oid, 'pg_authid'), ''), `
	const order = ` WHERE r.rolname !~ '^pg_' ORDER BY 1`
	scan := func(sql string) error {
		rows, _ := conn.Query(ctx, sql)
		roles, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r GlobalRole, err error) {
			err = row.Scan(&r.Name, &r.Super, &r.Inherit, &r.CreateRole, &r.CreateDB, &r.Login, &r.Replication, &r.BypassRLS, &r.ConnLimit, &r.ValidUntil, &r.Comment, (*string)(&r.Verifier))
			return r, err
		})
		g.Roles = roles
		return err
	}
	err := scan(of + "coalesce(r.rolpassword, '') FROM pg_catalog.pg_authid r" + order)
	g.Verifiers = err == nil
	var denied *pgconn.PgError
	if errors.As(err, &denied) && denied.Code == "42501" {
		err = scan(of + "'' FROM pg_catalog.pg_roles r" + order)
	}
	if err != nil {
		return err
	}
	more := "NULL::boolean, NULL::boolean"
	if major(conn) >= 16 {
		more = "bool_or(m.inherit_option), bool_or(m.set_option)"
	}
	// From 16 on several roles may have granted the same membership, each with
	// options of its own: what counts is what any of them allows.
	rows, _ := conn.Query(ctx, `SELECT r.rolname::text, u.rolname::text, bool_or(m.admin_option), `+more+` FROM pg_catalog.pg_auth_members m
		JOIN pg_catalog.pg_roles r ON r.oid = m.roleid JOIN pg_catalog.pg_roles u ON u.oid = m.member WHERE u.rolname !~ '^pg_' GROUP BY 1, 2 ORDER BY 1, 2`)
	if g.Memberships, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Membership]); err != nil {
		return err
	}
	rows, _ = conn.Query(ctx, `SELECT coalesce(r.rolname::text, ''), split_part(c, '=', 1), substr(c, strpos(c, '=') + 1)
		FROM pg_catalog.pg_db_role_setting s LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole, unnest(s.setconfig) WITH ORDINALITY AS u(c, n)
		WHERE s.setdatabase = 0 ORDER BY 1, n`)
	if g.Settings, err = pgx.CollectRows(rows, pgx.RowToStructByPos[RoleSetting]); err != nil {
		return err
	}
	rows, _ = conn.Query(ctx, `SELECT t.spcname::text, pg_catalog.pg_get_userbyid(t.spcowner)::text, pg_catalog.pg_tablespace_location(t.oid)
		FROM pg_catalog.pg_tablespace t WHERE t.spcname !~ '^pg_' ORDER BY 1`)
	g.Tablespaces, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Tablespace])
	return err
}

// With gives names and every role that these are members of, directly or not,
// and that is not in have: without them memberships would be lost.
func (g *Globals) With(names, have []string) []string {
	out := slices.Clone(names)
	for i := 0; i < len(out); i++ {
		for _, m := range g.Memberships {
			if m.Member == out[i] && !slices.Contains(out, m.Role) && !slices.Contains(have, m.Role) {
				out = append(out, m.Role)
			}
		}
	}
	return out
}
