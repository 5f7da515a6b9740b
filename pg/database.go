package pg

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"pgvault/fault"
)

// Databases gives the names of the databases that accept connections, without
// templates, sorted bytewise.
func Databases(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	rows, _ := conn.Query(ctx, `SELECT datname::text FROM pg_catalog.pg_database
		WHERE datallowconn AND NOT datistemplate ORDER BY datname`)
	names, err := collect[string](rows)
	return names, queryFault(ctx, "catalog", "the list of databases cannot be read", err)
}

// cancelTimeout bounds the request to cancel a statement.
const cancelTimeout = 10 * time.Second

// CreateDatabase makes an empty database from template0 with the encoding and
// locale of like; "" and the owner are the server's choice. One that exists
// is refused, code Refused. After an error, also of a cancelled ctx, it was not
// made. What else belongs to a database, ApplyDatabase
// sets when it is filled.
func CreateDatabase(ctx context.Context, s Settings, name string, like DatabaseInfo) error {
	conn, err := s.Connect(ctx, "")
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	// A statement that is merely left alone might still succeed afterwards, and
	// the database would stay: it is cancelled on the server, and waited for.
	stop := context.AfterFunc(ctx, func() {
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelTimeout)
		defer cancel()
		_ = conn.PgConn().CancelRequest(limited)
	})
	defer stop()
	_, err = conn.Exec(context.WithoutCancel(ctx), createStatement(name, like, major(conn)))
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	f := &fault.Error{Op: "create", What: "the database " + quoteShown(name) + " cannot be created", Err: err,
		Why: err.Error(), Left: "Nothing was changed."}
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		f.Code = fault.DBUnreachable
		return f
	}
	f.Why, f.Do = e.Message, "See the server's log for more."
	switch {
	case e.Code == "42P04":
		f.Code, f.Do = fault.Refused, "Choose another name: pgvault never writes into a database that holds something."
	case e.Code == "42501":
		f.Do = "As a superuser: ALTER ROLE … CREATEDB"
	case e.Code == "53100":
		f.Code, f.Do = fault.NoSpace, "Make room on the server's disk."
	case e.Code == "22023" || e.Code == "42809" || strings.Contains(e.Message, "locale") || strings.Contains(e.Message, "encoding"):
		f.Code = fault.Refused
		f.Do = "Install the locale " + quoteShown(like.Collate) + " on the server (dpkg-reconfigure locales), restart it, and restore again."
	}
	return f
}

// createStatement is CREATE DATABASE for a server of the given major version.
// A provider that the server does not know is left out if it is the classic
// one, and named otherwise: the server then says what it lacks.
func createStatement(name string, like DatabaseInfo, major int) string {
	var b strings.Builder
	b.WriteString("CREATE DATABASE " + quoteIdent(name) + " TEMPLATE template0")
	add := func(key, value string) {
		if value != "" {
			b.WriteString(" " + key + " " + quoteLiteral(value))
		}
	}
	add("ENCODING", like.Encoding)
	if like.Provider != "" && (major >= 15 || like.Provider != "c") {
		b.WriteString(" LOCALE_PROVIDER " + map[string]string{"c": "libc", "i": "icu", "b": "builtin"}[like.Provider])
	}
	add("LC_COLLATE", like.Collate)
	add("LC_CTYPE", like.CType)
	switch like.Provider {
	case "i":
		add("ICU_LOCALE", like.ICULocale)
		add("ICU_RULES", like.ICURules)
	case "b":
		add("BUILTIN_LOCALE", like.ICULocale)
	}
	return b.String()
}

// DropDatabase drops a database that pgvault made, ending the sessions on it.
// One that does not exist is no error.
func DropDatabase(ctx context.Context, s Settings, name string) error {
	conn, err := s.Connect(ctx, "")
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = conn.Exec(ctx, "DROP DATABASE IF EXISTS "+quoteIdent(name)+" WITH (FORCE)")
	return queryFault(ctx, "drop", "the database "+quoteShown(name)+" cannot be dropped", err)
}

// DatabaseEmpty tells whether a database exists and whether it holds nothing
// but what template0 gives: no relation, function, type or schema of a user,
// no extension but plpgsql, no large object.
func DatabaseEmpty(ctx context.Context, s Settings, name string) (exists, empty bool, err error) {
	admin, err := s.Connect(ctx, "")
	if err != nil {
		return false, false, err
	}
	defer admin.Close(context.WithoutCancel(ctx))
	const what = "it cannot be seen whether the target is empty"
	err = admin.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = $1)", name).Scan(&exists)
	if err != nil || !exists {
		return false, false, queryFault(ctx, "plan", what, err)
	}
	conn, err := s.Connect(ctx, name)
	if err != nil {
		return true, false, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	none := func(table, schema, class string) string {
		return "NOT EXISTS (SELECT FROM pg_catalog." + table + " o JOIN pg_catalog.pg_namespace n ON n.oid = o." + schema +
			" WHERE " + userSchemas + " AND " + notExtension(class, "o.oid") + ")"
	}
	err = conn.QueryRow(ctx, "SELECT "+strings.Join([]string{
		none("pg_class", "relnamespace", "pg_class"),
		none("pg_proc", "pronamespace", "pg_proc"),
		none("pg_type", "typnamespace", "pg_type"),
		none("pg_operator", "oprnamespace", "pg_operator"),
		none("pg_collation", "collnamespace", "pg_collation"),
		"NOT EXISTS (SELECT FROM pg_catalog.pg_namespace n WHERE n.nspname <> 'public' AND " + userSchemas + ")",
		"NOT EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname <> 'plpgsql')",
		"NOT EXISTS (SELECT FROM pg_catalog.pg_largeobject_metadata)",
		"NOT EXISTS (SELECT FROM pg_catalog.pg_event_trigger)",
		"NOT EXISTS (SELECT FROM pg_catalog.pg_publication)",
		"NOT EXISTS (SELECT FROM pg_catalog.pg_foreign_data_wrapper)",
	}, " AND ")).Scan(&empty)
	return true, empty, queryFault(ctx, "plan", what, err)
}

// ApplyDatabase sets what a dump leaves out because it belongs to the
// database itself: settings, grants, comment, connection limit and owner.
// haveRoles are the roles of the target server; what needs another one is
// left out. Each thing that could not be set is a warning; unfit are the
// settings among them that this version of the server does not know, or not with
// that value. An error means that the database could not be reached.
func ApplyDatabase(ctx context.Context, s Settings, name string, info DatabaseInfo, haveRoles []string) (unfit []Setting, warnings []string, err error) {
	conn, err := s.Connect(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "SET client_min_messages = error"); err != nil {
		return nil, nil, queryFault(ctx, "settings", "the database's settings cannot be restored", err)
	}
	steps, warnings := applySteps(name, info, haveRoles)
	for _, st := range steps {
		if _, err := conn.Exec(ctx, st.sql); err != nil {
			if ctx.Err() != nil || conn.IsClosed() {
				return unfit, warnings, queryFault(ctx, "settings", "the database's settings cannot be restored", err)
			}
			why := err.Error()
			var e *pgconn.PgError
			if errors.As(err, &e) {
				why = e.Message
				if st.setting != nil && unfitSetting(e.Code) {
					unfit = append(unfit, *st.setting)
				}
			}
			warnings = append(warnings, st.what+" was not restored: "+why)
		}
	}
	return unfit, warnings, nil
}

// unfitSetting tells from an error's code whether the server has no such
// setting, or takes no such value for it: undefined_object,
// invalid_parameter_value, cant_change_runtime_param, invalid_name.
func unfitSetting(code string) bool {
	return slices.Contains([]string{"42704", "22023", "55P02", "42602"}, code)
}

type applyStep struct {
	what, sql string
	setting   *Setting // that it sets; nil: it sets none
}

// applySteps gives the statements. The owner comes before the grants: a change
// of owner would merge those of the role that restores into the new owner's.
func applySteps(name string, info DatabaseInfo, haveRoles []string) (steps []applyStep, warnings []string) {
	db := "DATABASE " + quoteIdent(name)
	add := func(what, sql string) { steps = append(steps, applyStep{what: what, sql: sql}) }
	lacks := func(role, what string) bool {
		if role == "" || slices.Contains(haveRoles, role) {
			return false
		}
		warnings = append(warnings, what+" was not restored: the role "+quoteShown(role)+" does not exist here")
		return true
	}
	for _, set := range info.Settings {
		what, sql := "the setting "+set.Name, "ALTER "+db
		if set.Role != "" {
			what += " of the role " + quoteShown(set.Role)
			sql = "ALTER ROLE " + quoteIdent(set.Role) + " IN " + db
		}
		if !lacks(set.Role, what) {
			add(what, sql+" SET "+settingName(set.Name)+" TO "+settingValue(set.Name, set.Value))
			steps[len(steps)-1].setting = &set
		}
	}
	if info.Comment != "" {
		add("the comment", "COMMENT ON "+db+" IS "+quoteLiteral(info.Comment))
	}
	if info.ConnLimit >= 0 {
		add("the connection limit", "ALTER "+db+" CONNECTION LIMIT "+strconv.Itoa(info.ConnLimit))
	}
	if info.Grants != nil {
		add("what PUBLIC may do", "REVOKE ALL ON "+db+" FROM PUBLIC")
	}
	if info.Owner != "" && !lacks(info.Owner, "the owner "+quoteShown(info.Owner)) {
		add("the owner "+quoteShown(info.Owner), "ALTER "+db+" OWNER TO "+quoteIdent(info.Owner))
		if info.Grants != nil {
			add("what the owner may do", "REVOKE ALL ON "+db+" FROM "+quoteIdent(info.Owner))
		}
	}
	for _, g := range info.Grants {
		to, what := "PUBLIC", "the grant of "+g.Privilege+" to PUBLIC"
		if g.Grantee != "" {
			to, what = quoteIdent(g.Grantee), "the grant of "+g.Privilege+" to "+quoteShown(g.Grantee)
		}
		if lacks(g.Grantee, what) || !slices.Contains([]string{"CREATE", "CONNECT", "TEMPORARY"}, g.Privilege) {
			continue
		}
		sql := "GRANT " + g.Privilege + " ON " + db + " TO " + to
		if g.Grantable {
			sql += " WITH GRANT OPTION"
		}
		add(what, sql)
	}
	return steps, warnings
}

// settingName quotes each part of a setting's name ("plpgsql.extra_errors").
func settingName(name string) string {
	parts := strings.Split(name, ".")
	for i, p := range parts {
		parts[i] = quoteIdent(p)
	}
	return strings.Join(parts, ".")
}

// listSettings hold lists of names, stored already quoted; as one constant
// they would become a list of one (variable_is_guc_list_quote in dumputils.c).
var listSettings = []string{"local_preload_libraries", "search_path", "session_preload_libraries",
	"shared_preload_libraries", "temp_tablespaces", "unix_socket_directories"}

func settingValue(name, value string) string {
	if !slices.Contains(listSettings, strings.ToLower(name)) {
		return quoteLiteral(value)
	}
	items := splitList(value)
	for i, item := range items {
		items[i] = quoteLiteral(item)
	}
	if len(items) == 0 {
		return "''"
	}
	return strings.Join(items, ", ")
}

// splitList reads a list of names as SplitGUCList does: commas, double quotes
// around a name, doubled inside.
func splitList(s string) []string {
	var out []string
	for s = strings.TrimLeft(s, spaces); s != ""; {
		var item strings.Builder
		if s[0] == '"' {
			i := 1
			for ; i < len(s); i++ {
				if s[i] == '"' {
					if i+1 < len(s) && s[i+1] == '"' {
						i++
					} else {
						break
					}
				}
				item.WriteByte(s[i])
			}
			s = s[min(i+1, len(s)):]
		} else {
			word, _, _ := strings.Cut(s, ",")
			item.WriteString(strings.TrimRight(word, spaces))
			s = s[len(word):]
		}
		out = append(out, item.String())
		s = strings.TrimLeft(s, spaces)
		s = strings.TrimLeft(strings.TrimPrefix(s, ","), spaces)
	}
	return out
}

// Analyze gives the planner its statistics, which a dump does not hold.
func Analyze(ctx context.Context, s Settings, name string) error {
	conn, err := s.Connect(ctx, name)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for _, q := range []string{"SET statement_timeout = 0", "SET lock_timeout = 0", "SET client_min_messages = error", "ANALYZE"} {
		if _, err := conn.Exec(ctx, q); err != nil {
			return queryFault(ctx, "analyze", "ANALYZE failed", err)
		}
	}
	return nil
}
