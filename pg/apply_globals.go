package pg

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// GlobalStatement is one statement that restores something of Globals.
type GlobalStatement struct {
	Role string // whom it makes or changes
	Text string // to be shown: a password is left out
	// Must tells that without it the role is not there; what else fails is a
	// warning.
	Must    bool
	Setting string // the name of the setting that it makes; empty: it makes none

	sql string // with the password
}

// PlanGlobals gives the statements that make the roles of want which are not
// in have: as they were, with attributes, memberships, settings, comments and,
// with passwords, the verifiers of these. want nil means all roles. A role that is in have
// is never changed, not even by a membership; nothing is done for names that
// begin with pg_. major is the target server's.
func (g *Globals) PlanGlobals(have, want []string, passwords bool, major int) []GlobalStatement {
	var out []GlobalStatement
	made := map[string]bool{}
	add := func(must bool, role, text, sql string) {
		out = append(out, GlobalStatement{Role: role, Text: text, Must: must, sql: sql})
	}
	for _, r := range g.Roles {
		if slices.Contains(have, r.Name) || want != nil && !slices.Contains(want, r.Name) || strings.HasPrefix(r.Name, "pg_") {
			continue
		}
		made[r.Name] = true
		text := "CREATE ROLE " + quoteIdent(r.Name) + r.attributes()
		sql := text
		if passwords && r.Verifier != "" {
			text += " PASSWORD (as it was)"
			sql += " PASSWORD " + quoteLiteral(string(r.Verifier))
		}
		add(true, r.Name, text, sql)
	}
	known := func(role string) bool { return made[role] || slices.Contains(have, role) }
	for _, m := range g.Memberships {
		if !made[m.Member] || !known(m.Role) {
			continue
		}
		sql := "GRANT " + quoteIdent(m.Role) + " TO " + quoteIdent(m.Member) + m.options(major)
		add(false, m.Member, sql, sql)
	}
	for _, s := range g.Settings {
		if made[s.Role] {
			sql := "ALTER ROLE " + quoteIdent(s.Role) + " SET " + settingName(s.Name) + " TO " + settingValue(s.Name, s.Value)
			add(false, s.Role, sql, sql)
			out[len(out)-1].Setting = s.Name
		}
	}
	for _, r := range g.Roles {
		if made[r.Name] && r.Comment != "" {
			sql := "COMMENT ON ROLE " + quoteIdent(r.Name) + " IS " + quoteLiteral(r.Comment)
			add(false, r.Name, sql, sql)
		}
	}
	return out
}

func (r GlobalRole) attributes() string {
	var b strings.Builder
	for _, a := range []struct {
		on   bool
		name string
	}{{r.Super, "SUPERUSER"}, {r.Inherit, "INHERIT"}, {r.CreateRole, "CREATEROLE"}, {r.CreateDB, "CREATEDB"}, {r.Login, "LOGIN"}, {r.Replication, "REPLICATION"}, {r.BypassRLS, "BYPASSRLS"}} {
		b.WriteString(" ")
		if !a.on {
			b.WriteString("NO")
		}
		b.WriteString(a.name)
	}
	if r.ConnLimit >= 0 {
		b.WriteString(" CONNECTION LIMIT " + strconv.Itoa(r.ConnLimit))
	}
	if r.ValidUntil != "" {
		b.WriteString(" VALID UNTIL " + quoteLiteral(r.ValidUntil))
	}
	return b.String()
}

func (m Membership) options(major int) string {
	var with []string
	word := map[bool]string{true: "TRUE", false: "FALSE"}
	switch {
	case major < 16 && m.Admin:
		return " WITH ADMIN OPTION"
	case major < 16:
		return ""
	case m.Admin:
		with = append(with, "ADMIN TRUE")
	}
	if m.Inherit != nil {
		with = append(with, "INHERIT "+word[*m.Inherit])
	}
	if m.Set != nil {
		with = append(with, "SET "+word[*m.Set])
	}
	if len(with) == 0 {
		return ""
	}
	return " WITH " + strings.Join(with, ", ")
}

// quiet keeps statements, which hold passwords, out of the server's log, its
// statistics and its list of activities. Only a superuser may set these.
var quiet = []string{"log_statement = 'none'", "log_min_duration_statement = -1", "log_min_duration_sample = -1", "log_duration = off", "log_min_error_statement = 'panic'",
	"track_activities = off", `"pg_stat_statements"."track_utility" = off`, `"pgaudit"."log" = 'none'`}

// ApplyGlobals runs the statements in one transaction: after an error no role
// was made. What is no must and fails is a warning. Where the role that
// restores is no superuser and the server would write the statements into its
// log, passwords are left out, with a warning. It gives the roles it made.
func ApplyGlobals(ctx context.Context, conn *pgx.Conn, statements []GlobalStatement) (made, warnings []string, err error) {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return nil, nil, queryFault(ctx, "roles", "roles cannot be restored", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	passwords, err := hush(ctx, tx)
	if err != nil {
		return nil, nil, queryFault(ctx, "roles", "roles cannot be restored", err)
	}
	for _, s := range statements {
		sql := s.sql
		if !passwords && s.sql != s.Text {
			sql, _, _ = strings.Cut(s.Text, " PASSWORD (as it was)")
			warnings = append(warnings, "the password of the role "+quoteShown(s.Role)+" was not restored: the server would write it into its log, and only a superuser can keep it from that")
		}
		err := pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, sql, pgx.QueryExecModeExec)
			return err
		})
		var e *pgconn.PgError
		switch {
		case err == nil && s.Must:
			made = append(made, s.Role)
		case err != nil && (s.Must || !errors.As(err, &e)):
			// The driver's error names no statement; the server's may quote it.
			return nil, nil, queryFault(ctx, "roles", "the role "+quoteShown(s.Role)+" cannot be created", err)
		case err != nil:
			warnings = append(warnings, "of the role "+quoteShown(s.Role)+" this was not restored: "+s.Text+": "+e.Message)
		}
	}
	return made, warnings, queryFault(ctx, "roles", "roles cannot be restored", tx.Commit(ctx))
}

// hush tells whether statements of this transaction may hold passwords: a
// superuser keeps them out of the log, anybody else has to find the log
// set so that neither statements nor failed ones come into it.
func hush(ctx context.Context, tx pgx.Tx) (bool, error) {
	var super, silent bool
	err := tx.QueryRow(ctx, `SELECT current_setting('is_superuser') = 'on', current_setting('log_statement') = 'none' AND current_setting('log_min_duration_statement') = '-1'
		AND current_setting('log_min_duration_sample') = '-1' AND current_setting('log_duration') = 'off' AND current_setting('log_min_error_statement') IN ('log', 'fatal', 'panic')`).Scan(&super, &silent)
	if err != nil || !super {
		return silent, err
	}
	for _, q := range quiet {
		if _, err := tx.Exec(ctx, "SET LOCAL "+q); err != nil {
			return false, err
		}
	}
	return true, nil
}
