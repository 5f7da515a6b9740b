package pg

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"pgvault/fault"
)

// connectTimeout bounds an attempt where the user set no connect_timeout: a
// timer must not hang on a host that drops packets.
const connectTimeout = 20 * time.Second

// driverKeys are the connection keywords that pgx understands itself. The
// others of envOf concern libpq only.
var driverKeys = []string{"host", "port", "user", "passfile", "require_auth", "channel_binding",
	"application_name", "sslmode", "sslcert", "sslkey", "sslcertmode", "sslrootcert", "sslsni",
	"sslnegotiation", "krbsrvname", "connect_timeout", "target_session_attrs",
	"min_protocol_version", "max_protocol_version", "options"}

// Config gives the driver's configuration for one database; "" means the one
// that the settings name, else postgres. The name is never taken for a
// connection string. Passwords of ~/.pgpass are those of that database.
func (s Settings) Config(database string) (*pgx.ConnConfig, error) {
	t, err := s.resolve(os.Getenv)
	if err != nil {
		return nil, err
	}
	if database == "" {
		database = t.name
	}
	get := func(k string) string {
		if v, ok := t.keys[k]; ok || slices.Contains(t.clear, envOf[k]) {
			return v
		}
		return os.Getenv(envOf[k])
	}
	cfg, err := parseDriverConfig(t, database, get("service"))
	if err != nil {
		return nil, err
	}
	if cfg.Database == "" {
		if cfg, err = parseDriverConfig(t, "postgres", get("service")); err != nil {
			return nil, err
		}
	}
	if p := t.keys["password"]; p != "" {
		cfg.Password = p
	}
	if err := onlyLibpq(cfg, get); err != nil {
		return nil, err
	}
	rp := cfg.RuntimeParams
	rp["options"] = withSessionOptions(rp["options"])
	rp["client_encoding"] = "UTF8"
	rp["timezone"] = "UTC"
	if rp["application_name"] == "" {
		rp["application_name"] = "pgvault"
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = connectTimeout
	}
	cfg.OnNotice = func(*pgconn.PgConn, *pgconn.Notice) {}
	return cfg, nil
}

func parseDriverConfig(t target, database, service string) (*pgx.ConnConfig, error) {
	var pairs []string
	add := func(k, v string) { pairs = append(pairs, k+"="+quoteConninfo(v)) }
	if database != "" {
		add("dbname", database)
	}
	for _, k := range driverKeys {
		if v, ok := t.keys[k]; ok {
			add(k, v)
		}
	}
	if t.keys["host"] == "" && t.keys["hostaddr"] != "" {
		add("host", t.keys["hostaddr"])
	}
	if service != "" {
		add("service", service)
		add("servicefile", serviceFile(service))
	} else if slices.Contains(t.clear, "PGSERVICE") && os.Getenv("PGSERVICE") != "" {
		// pgx reads the variable by itself; a service without settings
		// stands in for the one that the connection string overrules.
		f, err := memfile("service", []byte("[none]\n"))
		if err != nil {
			return nil, err
		}
		defer f.Close()
		add("service", "none")
		add("servicefile", fdPath(f))
	}
	cfg, err := pgx.ParseConfig(strings.Join(pairs, " "))
	if err != nil {
		return nil, settingsError("the settings for the connection are not usable", err.Error())
	}
	return cfg, nil
}

// serviceFile gives the file that defines service, in libpq's order: the
// user's own, then the system's.
func serviceFile(service string) string {
	own := os.Getenv("PGSERVICEFILE")
	if own == "" {
		home, _ := os.UserHomeDir()
		own = filepath.Join(home, ".pg_service.conf")
	}
	candidates := []string{own}
	if dir := os.Getenv("PGSYSCONFDIR"); dir != "" {
		candidates = append(candidates, filepath.Join(dir, "pg_service.conf"))
	} else {
		candidates = append(candidates, "/etc/postgresql-common/pg_service.conf",
			"/etc/sysconfig/pgsql/pg_service.conf", "/etc/postgresql/pg_service.conf",
			"/etc/pg_service.conf", "/usr/local/pgsql/etc/pg_service.conf")
	}
	for _, f := range candidates {
		text, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if strings.TrimSpace(line) == "["+service+"]" {
				return f
			}
		}
	}
	return own
}

// onlyLibpq treats the settings that libpq knows and the driver does not: it
// obeys them, or refuses where leaving one out would be less safe.
func onlyLibpq(cfg *pgx.ConnConfig, get func(string) string) error {
	value := func(k string) string {
		if v := cfg.RuntimeParams[k]; v != "" {
			return v // from a service file
		}
		return get(k)
	}
	for _, k := range []string{"sslcrl", "sslcrldir", "requirepeer"} {
		if value(k) != "" {
			return settingsError("the connection setting "+k+" is not supported",
				"pgvault's own session could not check it, and will not do without")
		}
	}
	if value("gssencmode") == "require" {
		return settingsError("the connection setting gssencmode=require is not supported",
			"pgvault's own session cannot encrypt by GSSAPI")
	}
	if v := value("ssl_min_protocol_version"); v != "" {
		floor := map[string]uint16{"TLSv1": tls.VersionTLS10, "TLSv1.1": tls.VersionTLS11, "TLSv1.2": tls.VersionTLS12, "TLSv1.3": tls.VersionTLS13}[v]
		if floor == 0 {
			return settingsError("the connection setting ssl_min_protocol_version is not a TLS version", v)
		}
		setFloor(cfg, floor)
	}
	if addr := value("hostaddr"); addr != "" {
		if strings.Contains(addr, ",") {
			return settingsError("the connection setting hostaddr has more than one address", "pgvault supports one")
		}
		cfg.LookupFunc = func(context.Context, string) ([]string, error) { return []string{addr}, nil }
	}
	for k := range cfg.RuntimeParams {
		_, known := envOf[k]
		if known && k != "application_name" && k != "options" || slices.Contains(libpqOnly, k) {
			delete(cfg.RuntimeParams, k)
		}
	}
	return nil
}

// libpqOnly are keywords without an environment variable that a service file
// may hold; the server must not see them as parameters.
var libpqOnly = []string{"keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count",
	"tcp_user_timeout", "fallback_application_name", "replication", "requiressl", "scram_client_key",
	"scram_server_key", "sslkeylogfile", "oauth_issuer", "oauth_client_id", "oauth_client_secret", "oauth_scope"}

func setFloor(cfg *pgx.ConnConfig, v uint16) {
	all := []*tls.Config{cfg.TLSConfig}
	for _, f := range cfg.Fallbacks {
		all = append(all, f.TLSConfig)
	}
	for _, c := range all {
		if c != nil {
			c.MinVersion = v
		}
	}
}

// Conn is a session; rooms above name it by this.
type Conn = pgx.Conn

// Connect opens a session on database ("": see Config). Its search_path is
// empty, so that nothing in the database can stand before the catalogs. An
// error is a *fault.Error with code DBUnreachable and never holds a password.
func (s Settings) Connect(ctx context.Context, database string) (*pgx.Conn, error) {
	cfg, err := s.Config(database)
	if err != nil {
		return nil, err
	}
	return connect(ctx, cfg)
}

func connect(ctx context.Context, cfg *pgx.ConnConfig) (*pgx.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, connectFault(ctx, cfg, err)
	}
	prepare := "SELECT pg_catalog.set_config('search_path', '', false)"
	if conn.PgConn().ParameterStatus("server_encoding") == "SQL_ASCII" {
		// Bytes of no known encoding: the server would refuse to give those
		// that are not UTF-8, be it only in the name of a table.
		prepare += ", pg_catalog.set_config('client_encoding', 'SQL_ASCII', false)"
	}
	if _, err := conn.Exec(ctx, prepare); err != nil {
		_ = conn.Close(ctx)
		return nil, connectFault(ctx, cfg, err)
	}
	return conn, nil
}

// connectFault says which of the usual reasons kept a session from opening.
func connectFault(ctx context.Context, cfg *pgx.ConnConfig, err error) error {
	if ctx.Err() != nil && errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	server := serverName(cfg)
	f := &fault.Error{Op: "connect", Code: fault.DBUnreachable, Left: "Nothing was changed.", Err: err,
		What: "the PostgreSQL server at " + server + " does not answer", Why: rootText(err),
		Do: "See that it runs and that host and port are right, then run this again."}
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return f
	}
	f.Why = e.Message
	if e.Detail != "" {
		f.Why += " (" + e.Detail + ")"
	}
	switch {
	case e.Code == "3D000":
		f.What = "the database " + quoteShown(cfg.Database) + " does not exist on the server at " + server
		f.Do = "Look for the right name: psql -l"
	case strings.HasPrefix(e.Code, "28"):
		f.What = "the server at " + server + " does not let the role " + quoteShown(cfg.User) + " in"
		f.Do = "Put the password into ~/.pgpass (mode 0600), and see pg_hba.conf on the server."
	case e.Code == "42501":
		f.What = "the role " + quoteShown(cfg.User) + " may not connect to the database " + quoteShown(cfg.Database)
		f.Do = "As its owner: GRANT CONNECT ON DATABASE … TO …"
	case e.Code == "53300":
		f.What = "the server at " + server + " has no free connection"
		f.Do = "Run this again later, or raise max_connections."
	case e.Code == "57P03":
		f.What = "the server at " + server + " is starting up or shutting down"
		f.Do = "Run this again when it accepts connections."
	case e.Code == "55000":
		f.What = "the database " + quoteShown(cfg.Database) + " accepts no connections"
		f.Do = "As a superuser: ALTER DATABASE … ALLOW_CONNECTIONS true"
	default:
		f.What = "the server at " + server + " refused the session"
	}
	return f
}

// serverName is where cfg goes to, as a person would say it.
func serverName(cfg *pgx.ConnConfig) string {
	_, addr := pgconn.NetworkAddress(cfg.Host, cfg.Port)
	return addr
}

// rootText is the innermost cause that still says something.
func rootText(err error) string {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Error()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	var ce *pgconn.ConnectError
	if errors.As(err, &ce) {
		return strings.ReplaceAll(ce.Unwrap().Error(), "\n", "; ")
	}
	return strings.ReplaceAll(err.Error(), "\n", "; ")
}
