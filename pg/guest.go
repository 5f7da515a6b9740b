package pg

import (
	"context"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"pgvault/fault"
)

// GuestOptions say what a dump from elsewhere needs before it is restored.
type GuestOptions struct {
	Database   string       // to be made; it must not exist
	Like       DatabaseInfo // encoding and locale
	Roles      []string     // that own something or are granted something
	Extensions []Extension  // that it makes; the versions do not count
	// Superuser lets the guest do all that a superuser may. Only for a dump
	// whose maker is trusted like this host's root.
	Superuser bool
}

// The names that a scratch cluster has of its own. A dump that names them as
// roles restores with them.
const (
	guestRole   = "pgvault_import"
	guestHub    = "pgvault_import_hub"
	guestSchema = "pgvault_import_setup" // not the role's name: a search_path may hold "$user"
)

// Guest is a role without superuser, and a database of its own, in a scratch
// cluster: for a dump that nobody vouches for. Whatever the dump runs, it runs
// as this role: it reads no file, starts no program and loads no library on
// the server. What needs more is done for it by event triggers, which take
// nothing from the dump but names that were given before: the extensions that
// it makes are made by the superuser, and the roles that are to own its
// objects get CREATE in each of its schemas. These roles pass row-level
// security, because some of them were superusers. While the guest is in, nobody
// else can log in: the superuser's only session is this one.
type Guest struct {
	Settings Settings // as the guest
	Database string

	admin *pgx.Conn // in Database
}

// InviteGuest makes the guest. admin is the superuser of a scratch cluster,
// which is not to be used for anything else.
func InviteGuest(ctx context.Context, admin Settings, guest func(role string) Settings, o GuestOptions) (*Guest, error) {
	conn, err := admin.Connect(ctx, "")
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	super := " NOSUPERUSER"
	if o.Superuser {
		super = " SUPERUSER"
	}
	steps := []string{"CREATE ROLE " + guestRole + " LOGIN BYPASSRLS" + super, "CREATE ROLE " + guestHub}
	for _, r := range withPostgres(o.Roles) {
		steps = append(steps, "CREATE ROLE "+quoteIdent(r)+" BYPASSRLS", "GRANT "+quoteIdent(r)+" TO "+guestRole, "GRANT "+guestHub+" TO "+quoteIdent(r))
	}
	if major(conn) >= 14 {
		steps = append(steps, "GRANT pg_read_all_data TO "+guestRole)
	}
	const what = "the scratch server cannot be prepared for a dump from elsewhere"
	if err := execAll(ctx, conn, steps); err != nil {
		return nil, queryFault(ctx, "import", what, err)
	}
	if err := CreateDatabase(ctx, admin, o.Database, o.Like); err != nil {
		return nil, err
	}
	g := &Guest{Settings: guest(guestRole), Database: o.Database}
	if g.admin, err = admin.Connect(ctx, o.Database); err != nil {
		return nil, err
	}
	steps = append([]string{"ALTER DATABASE " + quoteIdent(o.Database) + " OWNER TO " + guestRole,
		"GRANT CREATE ON DATABASE " + quoteIdent(o.Database) + " TO " + guestHub, "GRANT CREATE ON SCHEMA public TO " + guestHub,
		"UPDATE pg_catalog.pg_extension SET extowner = '" + guestRole + "'::pg_catalog.regrole", // its comment is in old dumps
	}, guestTriggers...)
	if major(g.admin) < 15 { // later the database's owner owns it; a pg_dump of 15 or newer names its owner
		steps = append(steps, "ALTER SCHEMA public OWNER TO "+guestRole)
	}
	for _, e := range o.Extensions {
		steps = append(steps, "INSERT INTO "+guestSchema+".extensions VALUES ("+quoteLiteral(e.Name)+", "+quoteLiteral(e.Schema)+")")
	}
	steps = append(steps, "ALTER ROLE CURRENT_USER NOLOGIN")
	if err := execAll(ctx, g.admin, steps); err != nil {
		g.Close(ctx)
		return nil, queryFault(ctx, "import", what, err)
	}
	return g, nil
}

// withPostgres gives the roles to make: postgres is always there, as on most
// servers, and owns what nobody else is said to.
func withPostgres(roles []string) []string {
	out := append([]string{"postgres"}, roles...)
	slices.Sort(out)
	return slices.DeleteFunc(slices.Compact(out), func(r string) bool {
		return r == guestRole || r == guestHub || strings.HasPrefix(r, "pg_")
	})
}

// guestTriggers are the event triggers. Both functions have a search_path
// without any schema that the guest could write into, and run no text but
// their own with quoted names.
var guestTriggers = []string{
	"CREATE SCHEMA " + guestSchema,
	"CREATE TABLE " + guestSchema + ".extensions (name text, schema text)",
	"CREATE FUNCTION " + guestSchema + `.schemas() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE s name;
BEGIN
	FOR s IN SELECT n.nspname FROM pg_event_trigger_ddl_commands() d JOIN pg_namespace n ON n.oid = d.objid WHERE d.object_type = 'schema' LOOP
		EXECUTE format('GRANT CREATE ON SCHEMA %I TO ` + guestHub + `', s);
	END LOOP;
END $$`,
	"CREATE FUNCTION " + guestSchema + `.extend() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE e record;
BEGIN
	IF current_setting('` + guestSchema + `.busy', true) = 'yes' THEN RETURN; END IF;
	PERFORM set_config('` + guestSchema + `.busy', 'yes', true);
	FOR e IN SELECT x.name, x.schema FROM ` + guestSchema + `.extensions x JOIN pg_available_extensions a ON a.name = x.name
		WHERE a.installed_version IS NULL AND (x.schema = '' OR EXISTS (SELECT FROM pg_namespace n WHERE n.nspname = x.schema)) LOOP
		IF e.schema = '' THEN
			EXECUTE format('CREATE EXTENSION IF NOT EXISTS %I SCHEMA public CASCADE', e.name);
		ELSE
			EXECUTE format('CREATE EXTENSION IF NOT EXISTS %I SCHEMA %I CASCADE', e.name, e.schema);
		END IF;
	END LOOP;
	UPDATE pg_extension SET extowner = '` + guestRole + `'::regrole;
	PERFORM set_config('` + guestSchema + `.busy', 'no', true);
END $$`,
	"CREATE EVENT TRIGGER pgvault_import_schemas ON ddl_command_end WHEN TAG IN ('CREATE SCHEMA') EXECUTE FUNCTION " + guestSchema + ".schemas()",
	"CREATE EVENT TRIGGER pgvault_import_extend ON ddl_command_start WHEN TAG IN ('CREATE EXTENSION') EXECUTE FUNCTION " + guestSchema + ".extend()",
}

func execAll(ctx context.Context, conn *pgx.Conn, steps []string) error {
	for _, q := range steps {
		if _, err := conn.Exec(ctx, q, pgx.QueryExecModeSimpleProtocol); err != nil {
			return err
		}
	}
	return nil
}

// MissingOf gives those of the extensions that the scratch server lacks.
func (g *Guest) MissingOf(ctx context.Context, want []Extension) ([]Extension, error) {
	return MissingExtensions(ctx, g.admin, want)
}

// Settle takes away what was made for the guest and gives what belongs to
// nobody else to owner, "" for postgres. After it only the guest's role is
// left, which reads all for a dump. Sessions of the guest are ended.
func (g *Guest) Settle(ctx context.Context, owner string) error {
	if owner == "" {
		owner = "postgres"
	}
	err := execAll(ctx, g.admin, []string{
		"SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE usename = '" + guestRole + "'",
		"DROP EVENT TRIGGER pgvault_import_schemas", "DROP EVENT TRIGGER pgvault_import_extend", "DROP SCHEMA " + guestSchema + " CASCADE",
		"DO $$ BEGIN IF (SELECT nspowner FROM pg_catalog.pg_namespace WHERE nspname = 'public') = '" + guestRole + "'::pg_catalog.regrole THEN ALTER SCHEMA public OWNER TO CURRENT_USER; END IF; END $$",
		"REASSIGN OWNED BY " + guestRole + " TO " + quoteIdent(owner), "DROP OWNED BY " + guestHub, "DROP ROLE " + guestHub,
		"ALTER ROLE " + guestRole + " NOSUPERUSER",
	})
	return queryFault(ctx, "import", "the restored database cannot be settled", err)
}

// Close ends the superuser's session. It may be called again.
func (g *Guest) Close(ctx context.Context) {
	if g != nil && g.admin != nil {
		_ = g.admin.Close(context.WithoutCancel(ctx))
	}
}

// IsGuest tells whether a role is the one that dumps are restored as.
func IsGuest(role string) bool { return role == guestRole }

// refuseSuperuser is what to do where a dump needs more rights than a guest
// has; see ImportFault.
const refuseSuperuser = "If you made this dump yourself and trust it as you trust root, --superuser restores it as a superuser of the scratch server."

const importDo = "Mend what is named above, or leave owners and grants out with --no-owner."

// ImportFault says why a dump from elsewhere could not be restored: errors
// are those of its statements.
func ImportFault(what string, errors []string, cause error) error {
	f := &fault.Error{Op: "import", What: what, Why: strings.Join(errors[:min(len(errors), 3)], "; "), Err: cause, Code: fault.Failed,
		Left: "No archive was made; the original is as it was.", Do: importDo}
	text := strings.Join(errors, "\n")
	if strings.Contains(text, "permission denied") || strings.Contains(text, "must be superuser") || strings.Contains(text, "Must be superuser") || strings.Contains(text, "must be owner") {
		f.Do = refuseSuperuser
	}
	return f
}
