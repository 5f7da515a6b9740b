package vault

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"pgvault/pg"
)

// checkRoles says what becomes of roles that the archive's objects refer to
// and the server lacks.
func (p *RestorePlan) checkRoles(ctx context.Context, conn *pg.Conn, major int, missing []pg.Role) error {
	if len(missing) == 0 {
		p.check("ok", "every role that owns or may use something exists", "")
		return nil
	}
	g := p.prep.r.globals
	names, list := roleList(missing)
	switch {
	case p.o.NoOwner:
		p.check("!", "roles are missing: "+list+"; owners and grants are left out as asked", "")
		return nil
	case p.o.CreateRoles:
		p.check("!", "roles are missing: "+list+"; they will be made without login and password", "")
		return nil
	case g == nil:
		do := "--create-roles makes them (no login, no password), --no-owner leaves owners and grants out"
		if p.o.FullRoles {
			do = "the archive has no roles as data, so --roles create cannot be done: " + do
		}
		p.check("x", "roles are missing: "+list, do)
		return nil
	}
	have, err := pg.RoleNames(ctx, conn)
	if err != nil {
		return err
	}
	plan := g.PlanGlobals(have, g.With(names, have), g.Verifiers, major)
	if p.o.FullRoles {
		p.roles = plan
		passwords := "with their passwords"
		if !g.Verifiers {
			passwords = "without passwords, which the role of the backup might not read"
		}
		p.check("!", "roles are missing: "+list+"; they will be made as they were, "+passwords, "")
		p.Checks = append(p.Checks, oldPasswords(g, rolesMade(plan), major)...)
		for _, name := range unmade(names, plan) {
			p.check("x", "role "+name+" is missing, and is not among the roles that were saved", "make it, or use --create-roles or --no-owner")
		}
		return nil
	}
	for _, s := range plan {
		p.Statements = append(p.Statements, strings.Replace(s.Text, " PASSWORD (as it was)", "", 1)+";")
	}
	p.check("x", "roles are missing: "+list, "--roles create makes them as they were, with passwords; --create-roles without login and password; --no-owner leaves owners and grants out; or run the statements below")
	return nil
}

func roleList(roles []pg.Role) (names []string, list string) {
	for _, r := range roles {
		names = append(names, r.Name)
	}
	return names, strings.Join(firstFew(names, 5), ", ")
}

// unmade are names that no statement makes; the server's own are passed over.
func unmade(names []string, plan []pg.GlobalStatement) []string {
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool {
		return strings.HasPrefix(n, "pg_") || slices.ContainsFunc(plan, func(s pg.GlobalStatement) bool { return s.Must && s.Role == n })
	})
}

// rolesMade are the roles that a plan makes.
func rolesMade(plan []pg.GlobalStatement) []string {
	var out []string
	for _, s := range plan {
		if s.Must {
			out = append(out, s.Role)
		}
	}
	return out
}

// makeFullRoles makes the planned roles.
func (p *RestorePlan) makeFullRoles(ctx context.Context) error {
	r := p.prep.r
	if len(p.roles) == 0 {
		return nil
	}
	conn, err := r.server.Connect(ctx, "")
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	made, warnings, err := pg.ApplyGlobals(ctx, conn, p.roles)
	for _, w := range warnings {
		r.warn(w)
	}
	if len(made) > 0 {
		r.info("roles made as they were: " + strings.Join(made, ", "))
	}
	return err
}

// tablespaceSQL is the statement that makes a tablespace; where it lay, only
// an archive with roles and settings knows.
func (r *restoration) tablespaceSQL(name string) string {
	where := "'/an/empty/folder/of/the/server'"
	if r.globals != nil {
		for _, t := range r.globals.Tablespaces {
			if t.Name == name && t.Location != "" {
				where = "'" + strings.ReplaceAll(t.Location, "'", "''") + "'"
			}
		}
	}
	return "CREATE TABLESPACE " + pg.QuoteName("", name) + " LOCATION " + where + ";"
}

// GlobalsOptions say from which archive roles are restored, and which.
type GlobalsOptions struct {
	ID         string   // archive id or latest:DB
	Place      string   // whose copy; empty: the best one
	Roles      []string // none: all
	Passwords  bool
	Identities Identities
}

// GlobalsPlan is what ApplyGlobals will do: Statements in their order, without
// the passwords. Exist are roles that are there and stay as they are;
// Tablespaces are those that the server lacks, as statements for a person: their
// folders must be made first.
type GlobalsPlan struct {
	Archive     string
	Statements  []string
	Exist       []string
	Tablespaces []string
	Passwords   bool // the archive has them
	// Checks are what to know of these roles on this server, each with "!".
	Checks []Check

	statements []pg.GlobalStatement
}

// PlanGlobals reads the roles of an archive and says which statements make
// those that the server lacks. Nothing is changed. nil without an error:
// the archive has no roles as data.
func (v *Vault) PlanGlobals(ctx context.Context, o GlobalsOptions) (*GlobalsPlan, error) {
	keys, err := v.keys(o.Identities)
	if err != nil {
		return nil, err
	}
	f, err := v.locate(ctx, o.ID, o.Place)
	if err != nil {
		return nil, err
	}
	var r *restoration
	if err := f.read(ctx, func(l *located) (err error) { r, err = openTwice(ctx, l, keys); return err }); err != nil {
		return nil, err
	}
	defer r.main.Close()
	if r.globals == nil {
		return nil, nil
	}
	conn, err := v.c.Server.Connect(ctx, "")
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	info, err := pg.Server(ctx, conn)
	if err != nil {
		return nil, err
	}
	have, err := pg.RoleNames(ctx, conn)
	if err != nil {
		return nil, err
	}
	spaces, err := pg.Tablespaces(ctx, conn)
	if err != nil {
		return nil, err
	}
	want := o.Roles
	if len(want) == 0 {
		want = nil
	}
	p := &GlobalsPlan{Archive: f.ID, Passwords: r.globals.Verifiers, statements: r.globals.PlanGlobals(have, want, o.Passwords, info.Major())}
	if err := p.checkThem(ctx, conn, r.globals, o.Passwords, info); err != nil {
		return nil, err
	}
	for _, s := range p.statements {
		p.Statements = append(p.Statements, s.Text)
	}
	for _, role := range r.globals.Roles {
		if slices.Contains(have, role.Name) && (want == nil || slices.Contains(want, role.Name)) {
			p.Exist = append(p.Exist, role.Name)
		}
	}
	for _, t := range r.globals.Tablespaces {
		if !slices.Contains(spaces, t.Name) {
			p.Tablespaces = append(p.Tablespaces, r.tablespaceSQL(t.Name))
		}
	}
	return p, nil
}

// checkThem leaves out the settings that the server does not know, and says so.
func (p *GlobalsPlan) checkThem(ctx context.Context, conn *pg.Conn, g *pg.Globals, passwords bool, info pg.ServerInfo) error {
	if passwords {
		p.Checks = oldPasswords(g, rolesMade(p.statements), info.Major())
	}
	unknown, err := pg.UnknownSettings(ctx, conn, settingsOfRoles(p.statements))
	if err != nil || len(unknown) == 0 {
		return err
	}
	p.statements = withoutSettings(p.statements, unknown)
	p.Checks = append(p.Checks, unknownSettings(unknown, info))
	return nil
}

func settingsOfRoles(plan []pg.GlobalStatement) []string {
	var out []string
	for _, s := range plan {
		if s.Setting != "" {
			out = append(out, s.Setting)
		}
	}
	return out
}

func withoutSettings(plan []pg.GlobalStatement, names []string) []pg.GlobalStatement {
	return slices.DeleteFunc(plan, func(s pg.GlobalStatement) bool { return slices.Contains(names, s.Setting) })
}

// ApplyGlobals makes the planned roles, all or none, and remembers that in the
// audit trail. It gives those that were made, and what of them could not be restored.
func (v *Vault) ApplyGlobals(ctx context.Context, p *GlobalsPlan) (made, warnings []string, err error) {
	if err := v.writable(); err != nil {
		return nil, nil, err
	}
	conn, err := v.c.Server.Connect(ctx, "")
	if err != nil {
		return nil, nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	made, warnings, err = pg.ApplyGlobals(ctx, conn, p.statements)
	return made, warnings, v.audited(ctx, "restore", "roles of "+p.Archive, fmt.Sprintf("%s made", plural(int64(len(made)), "role")), err)
}
