package pg

import (
	"os"
	"strings"

	"pgvault/fault"
)

// Settings say how the server is reached: [server] of the configuration.
// Whatever is left empty is left to libpq: its environment variables, its
// service files, its password file.
type Settings struct {
	// Service is a name from pg_service.conf.
	Service string `toml:"service"`
	// Conninfo is a libpq connection string: a URI, key=value pairs or the
	// bare name of a database.
	Conninfo string `toml:"dbname"`
	// BinDir is where the client programs are; empty: they are looked for.
	BinDir string `toml:"bin_dir"`
	// Globals tells whether roles and server-wide settings are saved too;
	// nil means true.
	Globals *bool `toml:"globals"`

	// Host, Port, User and Password come from DB_HOST, DB_PORT, DB_USERNAME
	// and DB_PASSWORD. They count only where neither Service nor Conninfo
	// is set, and a PGHOST, PGHOSTADDR or PGSERVICE of the environment
	// beats a Host together with all that belongs to it.
	Host     string `toml:"-"`
	Port     string `toml:"-"`
	User     string `toml:"-"`
	Password string `toml:"-"`
}

// WantGlobals tells whether roles and server-wide settings are to be saved.
func (s Settings) WantGlobals() bool { return s.Globals == nil || *s.Globals }

// Database is the database that the settings themselves name, "" if none: it
// is the one to connect to for work that concerns the whole server.
func (s Settings) Database() string {
	kv, err := parseConninfo(s.Conninfo)
	if err != nil {
		return ""
	}
	return kv["dbname"]
}

// target is what the settings say to libpq, before any service file.
type target struct {
	keys map[string]string // libpq keyword to value, without dbname
	name string            // dbname
	// clear are environment variables of the caller that would contradict
	// the keys.
	clear []string
}

// resolve merges the settings with what env (PG* variables) allows.
func (s Settings) resolve(getenv func(string) string) (target, error) {
	kv, err := parseConninfo(s.Conninfo)
	if err != nil {
		return target{}, settingsError("the connection string in [server] dbname cannot be read", err.Error())
	}
	t := target{keys: map[string]string{}, name: kv["dbname"]}
	delete(kv, "dbname")
	delete(kv, "client_encoding") // ours to choose: digests depend on it
	delete(kv, "fallback_application_name")
	if s.Service != "" && len(kv) > 0 {
		return target{}, settingsError("[server] has both service and a connection string",
			"keys of a service file and of a connection string would compete")
	}
	for k, v := range kv {
		if _, ok := envOf[k]; !ok {
			return target{}, settingsError("the connection string in [server] dbname has the key "+k,
				"pgvault hands settings to pg_dump by environment, so that no password shows in the process list, and libpq has no variable for this key")
		}
		t.keys[k] = v
	}
	switch {
	case s.Service != "":
		t.keys["service"] = s.Service
	case len(kv) > 0:
		if kv["service"] != "" && len(kv) > 1 {
			return target{}, settingsError("the connection string in [server] dbname names a service and other keys",
				"keys of a service file and of a connection string would compete")
		}
		if kv["service"] == "" {
			t.clear = append(t.clear, "PGSERVICE")
		}
		if kv["host"] != "" && kv["hostaddr"] == "" {
			t.clear = append(t.clear, "PGHOSTADDR")
		}
	default:
		s.fromApplication(&t, getenv)
	}
	return t, nil
}

// fromApplication takes over DB_HOST and its like.
func (s Settings) fromApplication(t *target, getenv func(string) string) {
	hosted := getenv("PGHOST") != "" || getenv("PGHOSTADDR") != "" || getenv("PGSERVICE") != ""
	if hosted && s.Host != "" {
		return
	}
	for _, f := range []struct{ key, value string }{
		{"host", s.Host}, {"port", s.Port}, {"user", s.User}, {"password", s.Password},
	} {
		if f.value != "" && (s.Host != "" || getenv(envOf[f.key]) == "") {
			t.keys[f.key] = f.value
		}
	}
}

func settingsError(what, why string) error {
	return &fault.Error{Op: "settings", What: what, Why: why, Code: fault.Usage,
		Left: "Nothing was done.",
		Do:   "Put the connection into ~/.pg_service.conf and name it with service = \"NAME\" in [server]."}
}

// Env gives the environment for a child program: base with the settings as
// PG* variables. The text that values have in COPY output depends on
// session settings that pg_dump leaves alone; they are fixed here (see
// sessionOptions), so that equal rows always give equal digests.
func (s Settings) Env(base []string) ([]string, error) {
	env := map[string]string{}
	order := make([]string, 0, len(base)+16)
	set := func(k, v string) {
		if _, ok := env[k]; !ok {
			order = append(order, k)
		}
		env[k] = v
	}
	for _, e := range base {
		if k, v, ok := strings.Cut(e, "="); ok {
			set(k, v)
		}
	}
	t, err := s.resolve(func(k string) string { return env[k] })
	if err != nil {
		return nil, err
	}
	for _, k := range append(t.clear, "PGCLIENTENCODING", "PGDATABASE", "PGDATESTYLE", "LANGUAGE") {
		delete(env, k)
	}
	for k, v := range t.keys {
		set(envOf[k], v)
	}
	set("PGOPTIONS", withSessionOptions(env["PGOPTIONS"]))
	set("PGTZ", "UTC")
	set("LC_ALL", "C") // messages are classified by their English text
	if env["PGAPPNAME"] == "" {
		set("PGAPPNAME", "pgvault")
	}
	out := make([]string, 0, len(order))
	for _, k := range order {
		if v, ok := env[k]; ok {
			out = append(out, k+"="+v)
		}
	}
	return out, nil
}

// childEnv is Env of this process's own environment.
func (s Settings) childEnv() ([]string, error) { return s.Env(os.Environ()) }

// sessionOptions fix what COPY text and deparsed names look like and what
// pg_dump does not set by itself (it sets DateStyle, IntervalStyle,
// extra_float_digits, synchronize_seqscans and search_path): timestamptz,
// bytea, money, and the quotes of regclass and of every deparsed expression.
// Any role may set them, and they beat settings of the role and database.
var sessionOptions = []string{
	"TimeZone=UTC", "bytea_output=hex", "lc_monetary=C", "xmlbinary=base64",
	"array_nulls=on", "quote_all_identifiers=off",
}

// withSessionOptions appends them to the user's own, the later wins.
func withSessionOptions(user string) string {
	parts := make([]string, 0, len(sessionOptions)+1)
	if strings.TrimSpace(user) != "" {
		parts = append(parts, user)
	}
	for _, o := range sessionOptions {
		parts = append(parts, "-c "+o)
	}
	return strings.Join(parts, " ")
}
