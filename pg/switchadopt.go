package pg

import (
	"context"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"pgvault/fault"
)

// Properties is what belongs to a database itself and stays with its OID when
// its name goes elsewhere.
type Properties struct {
	Owner     string
	Comment   string
	ConnLimit int // -1: none
	Template  bool
	Settings  []Setting // by role, then name
	Grants    []Granted // the default ones where none were given; by grantor, grantee, privilege
}

// Granted is one privilege on a database, with who gave it. Grantee "" is
// PUBLIC.
type Granted struct {
	Grantor   string
	Grantee   string
	Privilege string
	Grantable bool
}

// Properties reads a database's.
func (w *Switcher) Properties(ctx context.Context, oid uint32) (Properties, error) {
	p, err := w.properties(ctx, oid)
	return p, switchFault(ctx, "the database's properties cannot be read", err)
}

func (w *Switcher) properties(ctx context.Context, oid uint32) (p Properties, err error) {
	err = w.conn.QueryRow(ctx, `SELECT pg_catalog.pg_get_userbyid(datdba)::text, coalesce(pg_catalog.shobj_description(oid, 'pg_database'), ''), datconnlimit, datistemplate
		FROM pg_catalog.pg_database WHERE oid = $1`, oid).Scan(&p.Owner, &p.Comment, &p.ConnLimit, &p.Template)
	if err != nil {
		return p, err
	}
	rows, _ := w.conn.Query(ctx, `SELECT coalesce(r.rolname::text, ''), split_part(c, '=', 1), substr(c, strpos(c, '=') + 1)
		FROM pg_catalog.pg_db_role_setting s LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole, unnest(s.setconfig) c
		WHERE s.setdatabase = $1 ORDER BY 1, 2`, oid)
	if p.Settings, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Setting]); err != nil {
		return p, err
	}
	rows, _ = w.conn.Query(ctx, `SELECT pg_catalog.pg_get_userbyid(a.grantor)::text, CASE WHEN a.grantee = 0 THEN '' ELSE pg_catalog.pg_get_userbyid(a.grantee)::text END,
		a.privilege_type, a.is_grantable
		FROM pg_catalog.pg_database d, pg_catalog.aclexplode(coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))) a
		WHERE d.oid = $1 ORDER BY 1, 2, 3, 4`, oid)
	p.Grants, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Granted])
	return p, err
}

// Adopt gives the database to the owner, comment, connection limit, settings
// and grants of the database from, in one transaction, and compares them
// before it commits: they are equal, or nothing was changed. Only what
// differs is touched. It gives the number of statements.
func (w *Switcher) Adopt(ctx context.Context, from, to uint32) (n int, err error) {
	err = w.transaction(ctx, func() error {
		names, err := w.Names(ctx, to)
		if err != nil {
			return err
		}
		want, err := w.properties(ctx, from)
		if err != nil {
			return err
		}
		// Grants come after the owner, whose change changes them.
		for _, statements := range []func(db string, have, want Properties) []string{adoptOwner, adoptGrants} {
			have, err := w.properties(ctx, to)
			if err != nil {
				return err
			}
			for _, sql := range statements("DATABASE "+quoteIdent(names[to].Name), have, want) {
				if err := w.exec(ctx, sql); err != nil {
					return err
				}
				n++
			}
		}
		have, err := w.properties(ctx, to)
		if err == nil && !reflect.DeepEqual(have, want) {
			return &fault.Error{Op: "switch", What: "the properties of the live database cannot be carried over", Why: "after all statements they still differ: " + differing(have, want),
				Left: "Nothing was changed.", Do: "Give them to the restored database by hand, then run this again.", Code: fault.Refused}
		}
		return err
	})
	return n, switchFault(ctx, "the live database's owner, settings and grants cannot be given to the restored one", err)
}

// differing names in words what of two databases' properties differs.
func differing(a, b Properties) string {
	var out []string
	for _, f := range []struct {
		what string
		same bool
	}{{"owner", a.Owner == b.Owner}, {"comment", a.Comment == b.Comment}, {"connection limit", a.ConnLimit == b.ConnLimit}, {"template", a.Template == b.Template},
		{"settings", slices.Equal(a.Settings, b.Settings)}, {"grants", slices.Equal(a.Grants, b.Grants)}} {
		if !f.same {
			out = append(out, f.what)
		}
	}
	return strings.Join(out, ", ")
}

// Differing names in words what differs from q, "" for nothing.
func (p Properties) Differing(q Properties) string { return differing(p, q) }

// adoptOwner gives the statements for all but the grants.
func adoptOwner(db string, have, want Properties) []string {
	var out []string
	if have.Owner != want.Owner {
		out = append(out, "ALTER "+db+" OWNER TO "+quoteIdent(want.Owner))
	}
	if have.Comment != want.Comment {
		text := "NULL"
		if want.Comment != "" {
			text = quoteLiteral(want.Comment)
		}
		out = append(out, "COMMENT ON "+db+" IS "+text)
	}
	if have.ConnLimit != want.ConnLimit {
		out = append(out, "ALTER "+db+" CONNECTION LIMIT "+strconv.Itoa(want.ConnLimit))
	}
	if have.Template != want.Template {
		out = append(out, "ALTER "+db+" IS_TEMPLATE "+strconv.FormatBool(want.Template))
	}
	if slices.Equal(have.Settings, want.Settings) {
		return out
	}
	alter := func(role string) string {
		if role == "" {
			return "ALTER " + db
		}
		return "ALTER ROLE " + quoteIdent(role) + " IN " + db
	}
	for i, s := range have.Settings {
		if i == 0 || s.Role != have.Settings[i-1].Role {
			out = append(out, alter(s.Role)+" RESET ALL")
		}
	}
	for _, s := range want.Settings {
		out = append(out, alter(s.Role)+" SET "+settingName(s.Name)+" TO "+settingValue(s.Name, s.Value))
	}
	return out
}

// adoptGrants takes every grant back and gives those that are wanted, each by
// the role that gave it: what a superuser grants is the owner's.
func adoptGrants(db string, have, want Properties) []string {
	if slices.Equal(have.Grants, want.Grants) {
		return nil
	}
	role := func(name string) string {
		if name == "" {
			return "PUBLIC"
		}
		return quoteIdent(name)
	}
	var out, taken []string
	for _, g := range have.Grants {
		if !slices.Contains(taken, g.Grantee) {
			taken = append(taken, g.Grantee)
			out = append(out, "REVOKE ALL ON "+db+" FROM "+role(g.Grantee)+" CASCADE")
		}
	}
	// Whoever grants must have been granted before: from the owner outwards.
	may := map[string]bool{}
	left := slices.Clone(want.Grants)
	for progress := true; progress; {
		progress = false
		var later []Granted
		for _, g := range left {
			if g.Grantor != want.Owner && !may[g.Grantor+" "+g.Privilege] {
				later = append(later, g)
				continue
			}
			sql := "GRANT " + g.Privilege + " ON " + db + " TO " + role(g.Grantee)
			if g.Grantable {
				sql += " WITH GRANT OPTION"
				may[g.Grantee+" "+g.Privilege] = true
			}
			if g.Grantor != want.Owner {
				out = append(out, "SET LOCAL ROLE "+quoteIdent(g.Grantor), sql, "RESET ROLE")
			} else {
				out = append(out, sql)
			}
			progress = true
		}
		left = later
	}
	return out
}
