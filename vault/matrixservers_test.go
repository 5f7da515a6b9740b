package vault

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"pgvault/pg"
	"pgvault/pg/pgtest"
)

// chainServer is one server of the chain, with its programs.
type chainServer struct {
	*pgtest.Cluster
	major    int
	settings pg.Settings
}

// chainServers are servers of the versions in PGVAULT_TEST_CHAIN (folders of
// programs, the oldest first, with colons between), else of those that are
// installed; of one version, two.
var chainServers = sync.OnceValues(func() (out []*chainServer, err error) {
	dirs := filepath.SplitList(os.Getenv("PGVAULT_TEST_CHAIN"))
	if len(dirs) == 0 {
		all, _, err := pg.FindPrograms(context.Background(), "")
		if err != nil {
			return nil, err
		}
		for _, p := range all {
			if p.Server {
				dirs = append(dirs, p.Dir)
			}
		}
	}
	if len(dirs) == 1 {
		dirs = append(dirs, dirs[0])
	}
	stopChainServers = func() {
		for _, s := range out {
			s.Stop()
		}
	}
	for i, dir := range dirs {
		one, _, err := pg.FindPrograms(context.Background(), dir)
		if err != nil || len(one) != 1 {
			return out, errors.Join(err, fmt.Errorf("no programs in %s", dir))
		}
		c, err := pgtest.Start(context.Background(), pgtest.Options{BinDir: dir, Dir: filepath.Join(os.TempDir(), fmt.Sprintf("chain%d", i)),
			HBA:  []string{"local all chain_md5 md5", "local all chain_scram scram-sha-256"},
			Conf: map[string]string{"max_locks_per_transaction": "512", "autovacuum": "off", "max_connections": "60"}})
		if err != nil {
			return out, err
		}
		out = append(out, &chainServer{c, one[0].Major, settingsOf(c)})
	}
	return out, nil
})

// chainAgain tells whether server i is of the same programs as the one before.
func chainAgain(servers []*chainServer, i int) bool {
	return i > 0 && i < len(servers) && servers[i].BinDir == servers[i-1].BinDir
}

// stopChainServers stops them when all tests are done, if any began.
var stopChainServers = func() {}

// chainSQL runs statements in a database.
func (s *chainServer) chainSQL(t *testing.T, database string, statements ...string) {
	t.Helper()
	sqlAs(t, s.settings, database, statements...)
}

// ask asks for one value in text, "" where it is NULL.
func (s *chainServer) ask(t *testing.T, database, query string) string {
	t.Helper()
	conn, err := s.settings.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var v *string
	if err := conn.QueryRow(t.Context(), "SELECT ("+query+")::text", pgx.QueryExecModeSimpleProtocol).Scan(&v); err != nil {
		t.Fatalf("PostgreSQL %d: %s: %v", s.major, query, err)
	}
	if v == nil {
		return ""
	}
	return *v
}

// run runs a client program, of this server's version or of another one's, on
// a database.
func (s *chainServer) run(t *testing.T, of *chainServer, program, database string, args ...string) string {
	t.Helper()
	cmd := exec.Command(filepath.Join(of.BinDir, program), args...)
	cmd.Env = append(os.Environ(), "PGHOST="+s.SocketDir, "PGUSER="+s.Superuser, "PGDATABASE="+database)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s of %d: %v: %s", program, of.major, err, out)
	}
	return string(out)
}

// chainRoles are those of the story, each after those that it is a member of.
var chainRoles = []string{"chain_group", "chain_owner", "chain_md5", "chain_scram", "chain_no_inherit", "chain_admin", "chain_reader"}

// chainMake makes the database of the story, with all that newer versions do
// otherwise.
func (s *chainServer) chainMake(t *testing.T) {
	t.Helper()
	s.chainSQL(t, "", "CREATE ROLE chain_group", "CREATE ROLE chain_owner LOGIN CREATEDB CREATEROLE CONNECTION LIMIT 9 VALID UNTIL '2031-01-02 03:04:05+00' IN ROLE chain_group",
		"SET password_encryption = 'md5'", "CREATE ROLE chain_md5 LOGIN PASSWORD 'old secret'", "SET password_encryption = 'scram-sha-256'", "CREATE ROLE chain_scram LOGIN PASSWORD 'new secret'",
		"CREATE ROLE chain_no_inherit NOINHERIT IN ROLE chain_group, pg_monitor", "CREATE ROLE chain_admin", "GRANT chain_group TO chain_admin WITH ADMIN OPTION",
		"CREATE ROLE chain_reader BYPASSRLS", "COMMENT ON ROLE chain_owner IS 'owns ''all'''", "ALTER ROLE chain_owner SET work_mem = '7MB'", "ALTER ROLE chain_owner SET search_path = '$user', \"a b\"",
		"CREATE DATABASE chain TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'")
	s.chainSQL(t, "chain", nastySQL()...)
	s.chainSQL(t, "chain", "CREATE SCHEMA app AUTHORIZATION chain_owner", "CREATE TABLE app.bill (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, owner text COLLATE \"C\", amount numeric)",
		"INSERT INTO app.bill (owner, amount) SELECT 'owner ' || i % 7, i / 3.0 FROM generate_series(1, 1000) i", "ALTER TABLE app.bill OWNER TO chain_owner", "GRANT SELECT ON app.bill TO chain_reader, chain_group WITH GRANT OPTION", "GRANT INSERT ON app.bill TO chain_md5, chain_scram, chain_no_inherit, chain_admin",
		"GRANT SELECT ON LARGE OBJECT 17000 TO chain_reader", "ALTER LARGE OBJECT 17001 OWNER TO chain_owner", "ALTER DEFAULT PRIVILEGES FOR ROLE chain_owner GRANT SELECT ON TABLES TO chain_reader",
		"SELECT lo_from_bytea(100000 + i, decode(md5(i::text), 'hex')) FROM generate_series(1, 2500) i",
		"ALTER DATABASE chain SET search_path = '$user', \"sch\"\"ema %\", public", "ALTER DATABASE chain SET DateStyle = 'German, DMY'", "ALTER DATABASE chain SET extra_float_digits = -5", "ALTER ROLE chain_reader IN DATABASE chain SET work_mem = '8MB'",
		"ALTER ROLE chain_reader IN DATABASE chain SET plpgsql.extra_warnings = 'all'", "COMMENT ON DATABASE chain IS 'a data''base'", "ALTER DATABASE chain CONNECTION LIMIT 33", "REVOKE TEMPORARY ON DATABASE chain FROM PUBLIC",
		"GRANT CREATE, CONNECT ON DATABASE chain TO chain_reader WITH GRANT OPTION", "ALTER DATABASE chain OWNER TO chain_owner")
	for name, until := range chainSettings {
		if s.major < until {
			s.chainSQL(t, "", "ALTER DATABASE chain SET "+name+" = "+map[bool]string{true: "0.5", false: "on"}[name == "vacuum_cleanup_index_scale_factor"])
		}
	}
	if s.major < 16 {
		s.chainSQL(t, "", "ALTER ROLE chain_owner SET force_parallel_mode = on")
	}
	if s.major < 17 {
		s.chainSQL(t, "chain", "CREATE EXTENSION adminpack")
	}
}

// chainSettings are settings of the database, by the first version that does
// not know them; password_encryption lost only its value on.
var chainSettings = map[string]int{"operator_precedence_warning": 14, "vacuum_cleanup_index_scale_factor": 14, "password_encryption": 14, "force_parallel_mode": 16}

// chainClear drops what the story made, so that it can be made again.
func (s *chainServer) chainClear(t *testing.T) {
	t.Helper()
	ctx := context.Background() // it also ends a test
	conn, err := s.settings.Connect(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	rows, _ := conn.Query(ctx, "SELECT datname::text FROM pg_database WHERE datname LIKE 'chain%'")
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	for i := range names {
		names[i] = "DATABASE " + pg.QuoteIdent(names[i]) + " WITH (FORCE)"
	}
	for _, role := range slices.Backward(chainRoles) {
		names = append(names, "ROLE IF EXISTS "+role)
	}
	for i := 0; err == nil && i < len(names); i++ {
		_, err = conn.Exec(ctx, "DROP "+names[i])
	}
	if err != nil {
		t.Error(err)
	}
}

// chainFacts is what belongs to the database itself and to the roles, as
// every version says it. With full, the roles are as they were, with passwords.
func (s *chainServer) chainFacts(t *testing.T, database string, full bool) map[string]string {
	t.Helper()
	left := "'operator_precedence_warning', 'vacuum_cleanup_index_scale_factor', 'password_encryption', 'force_parallel_mode'"
	kept := func(config string) string {
		return "(SELECT string_agg(c, ', ' ORDER BY c) FROM unnest(" + config + ") c WHERE split_part(c, '=', 1) NOT IN (" + left + "))"
	}
	facts := map[string]string{
		"database": "SELECT concat_ws(' | ', pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate, datctype, datconnlimit, shobj_description(oid, 'pg_database')) FROM pg_database WHERE datname = '" + database + "'",
		"settings": "SELECT string_agg(setrole::regrole::text || ': ' || " + kept("setconfig") + ", '; ' ORDER BY setrole::regrole::text) FROM pg_db_role_setting s JOIN pg_database d ON d.oid = setdatabase WHERE datname = '" + database + "'",
		"grants":   "SELECT string_agg(concat_ws(' ', CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END, a.privilege_type, a.is_grantable), ', ' ORDER BY a.grantee::regrole::text, a.privilege_type) FROM pg_database d, aclexplode(datacl) a WHERE datname = '" + database + "'",
		"owners":   "SELECT string_agg(c.relname || ' ' || c.relowner::regrole, ', ' ORDER BY c.relname) FROM pg_class c WHERE c.relnamespace = 'app'::regnamespace",
	}
	if full {
		facts["roles"] = "SELECT string_agg(concat_ws(' ', rolname, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolbypassrls, rolsuper, rolconnlimit, rolvaliduntil AT TIME ZONE 'UTC', shobj_description(oid, 'pg_authid'), rolpassword), '; ' ORDER BY rolname) FROM pg_authid WHERE rolname LIKE 'chain%'"
		facts["role settings"] = "SELECT string_agg(rolname || ' ' || " + kept("rolconfig") + ", '; ' ORDER BY rolname) FROM pg_roles WHERE rolname LIKE 'chain%'"
		facts["memberships"] = "SELECT string_agg(concat_ws(' ', r.rolname, u.rolname, m.admin_option, pg_has_role(u.oid, r.oid, 'USAGE')), '; ' ORDER BY r.rolname, u.rolname) FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid JOIN pg_roles u ON u.oid = m.member WHERE u.rolname LIKE 'chain%'"
	}
	out := map[string]string{}
	for name, query := range facts {
		out[name] = s.ask(t, database, query)
	}
	return out
}

// chainLogin logs in with the passwords of the story, which only verifiers
// were carried of.
func (s *chainServer) chainLogin(t *testing.T) {
	t.Helper()
	for role, password := range map[string]string{"chain_md5": "old secret", "chain_scram": "new secret"} {
		in := func(password string) error {
			conn, err := pgx.Connect(t.Context(), fmt.Sprintf("host=%s port=%d user=%s dbname=postgres password='%s'", s.SocketDir, s.Port, role, password))
			if err == nil {
				conn.Close(t.Context())
			}
			return err
		}
		if err := in(password); err != nil {
			t.Errorf("PostgreSQL %d: %v", s.major, err)
		}
		if in("another") == nil {
			t.Errorf("PostgreSQL %d lets %s in with a wrong password", s.major, role)
		}
	}
}
