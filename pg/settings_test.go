package pg

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgvault/fault"
)

func TestEnv(t *testing.T) {
	cases := map[string]struct {
		s     Settings
		base  []string
		want  []string // in the result
		never []string // variables not in it
	}{
		"libpq's own stay": {Settings{}, []string{"PGHOST=a", "PGPASSFILE=/x", "HOME=/root"},
			[]string{"PGHOST=a", "PGPASSFILE=/x", "HOME=/root", "PGTZ=UTC", "LC_ALL=C", "PGAPPNAME=pgvault"}, []string{"PGDATABASE", "PGCLIENTENCODING"}},
		"what would change digests goes": {Settings{}, []string{"PGCLIENTENCODING=LATIN1", "PGDATESTYLE=German", "PGTZ=Asia/Tokyo", "PGDATABASE=x", "LANGUAGE=de"},
			[]string{"PGTZ=UTC"}, []string{"PGCLIENTENCODING", "PGDATESTYLE", "PGDATABASE", "LANGUAGE"}},
		"user's options first": {Settings{}, []string{"PGOPTIONS=-c work_mem=1GB -c TimeZone=Asia/Tokyo"},
			[]string{"PGOPTIONS=-c work_mem=1GB -c TimeZone=Asia/Tokyo -c TimeZone=UTC -c bytea_output=hex -c lc_monetary=C -c xmlbinary=base64 -c array_nulls=on -c quote_all_identifiers=off"}, nil},
		"conninfo": {Settings{Conninfo: "postgresql://u:p%20w@h:7/d?sslmode=require&options=-c%20geqo%3Doff"}, []string{"PGSERVICE=other", "PGHOST=other", "PGHOSTADDR=9.9.9.9"},
			[]string{"PGHOST=h", "PGPORT=7", "PGUSER=u", "PGPASSWORD=p w", "PGSSLMODE=require"}, []string{"PGSERVICE", "PGHOSTADDR", "PGDATABASE"}},
		"bare name keeps the rest": {Settings{Conninfo: "billing"}, []string{"PGSERVICE=mine"}, []string{"PGSERVICE=mine"}, nil},
		"service":                  {Settings{Service: "backup"}, []string{"PGSERVICE=other"}, []string{"PGSERVICE=backup"}, nil},
		"service and name":         {Settings{Service: "backup", Conninfo: "billing"}, nil, []string{"PGSERVICE=backup"}, nil},
		"service in conninfo":      {Settings{Conninfo: "service=backup dbname=x"}, []string{"PGSERVICE=other"}, []string{"PGSERVICE=backup"}, nil},
		"application": {Settings{Host: "h", Port: "7", User: "u", Password: "p"}, []string{"PGUSER=ambient"},
			[]string{"PGHOST=h", "PGPORT=7", "PGUSER=u", "PGPASSWORD=p"}, nil},
		"application loses to PGHOST": {Settings{Host: "h", Port: "7", User: "u", Password: "p"}, []string{"PGHOST=mine"},
			[]string{"PGHOST=mine"}, []string{"PGPORT", "PGUSER", "PGPASSWORD"}},
		"application without a host": {Settings{User: "u", Password: "p"}, []string{"PGHOST=mine", "PGPASSWORD=own"},
			[]string{"PGHOST=mine", "PGUSER=u", "PGPASSWORD=own"}, nil},
		"application loses to the file": {Settings{Conninfo: "host=file", Host: "h", Password: "p"}, nil,
			[]string{"PGHOST=file"}, []string{"PGPASSWORD"}},
	}
	for name, c := range cases {
		env, err := c.s.Env(c.base)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, w := range c.want {
			if !slices.Contains(env, w) {
				t.Errorf("%s: %q is not in %q", name, w, env)
			}
		}
		for _, e := range env {
			k, _, _ := strings.Cut(e, "=")
			if slices.Contains(c.never, k) {
				t.Errorf("%s: has %q", name, e)
			}
		}
	}
}

func TestSettingsThatCannotWork(t *testing.T) {
	for _, s := range []Settings{
		{Service: "a", Conninfo: "host=b"}, {Conninfo: "service=a host=b"}, {Conninfo: "host=b keepalives=1"},
		{Conninfo: "host=b sslpassword=s3cret"}, {Conninfo: "host=b nonsense=s3cret"},
	} {
		_, err := s.Env(nil)
		var f *fault.Error
		if !errors.As(err, &f) || f.Code != fault.Usage || !strings.Contains(f.Do, "pg_service.conf") || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%+v: %v", s, err)
		}
	}
}

// isolated hides the caller's own settings from a test.
func isolated(t *testing.T) string {
	t.Helper()
	for _, e := range os.Environ() {
		if k, _, _ := strings.Cut(e, "="); strings.HasPrefix(k, "PG") {
			t.Setenv(k, "")
		}
	}
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("PGSYSCONFDIR", filepath.Join(home, "etc"))
	os.Mkdir(filepath.Join(home, "etc"), 0o700)
	return home
}

func TestConfigNamesAreNoConninfo(t *testing.T) {
	isolated(t)
	for _, name := range []string{"host=evil port=1", "postgresql://evil/x", `it's \ "odd"`, "東京", "a\nb", " lead"} {
		cfg, err := Settings{Conninfo: "host=right user=me"}.Config(name)
		if err != nil || cfg.Database != name || cfg.Host != "right" || cfg.User != "me" {
			t.Errorf("%q: %+v, %v", name, cfg, err)
		}
	}
}

func TestConfigDefaults(t *testing.T) {
	home := isolated(t)
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(home, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(".pg_service.conf", "[mine]\nhost=h1\ndbname=theirs\noptions=-c geqo=off\nkeepalives=1\nuser=u\n")
	write("etc/pg_service.conf", "[system]\nhost=h2\nuser=u\n")
	write(".pgpass", "h1:*:wanted:u:right\n*:*:*:*:wrong\n")
	cfg, err := Settings{Service: "mine"}.Config("wanted")
	if err != nil || cfg.Database != "wanted" || cfg.Host != "h1" || cfg.Password != "right" {
		t.Fatalf("%+v, %v", cfg, err)
	}
	if o := cfg.RuntimeParams["options"]; !strings.HasPrefix(o, "-c geqo=off -c TimeZone=UTC") {
		t.Errorf("options %q", o)
	}
	if _, ok := cfg.RuntimeParams["keepalives"]; ok {
		t.Error("the server would be asked for keepalives")
	}
	if arg, err := (Settings{Service: "mine"}).targetArg("x'y"); err != nil || !strings.HasPrefix(arg, `--dbname=dbname='x\'y' options='-c geqo=off -c TimeZone=UTC`) {
		t.Errorf("%q, %v", arg, err)
	}
	if cfg, err := (Settings{Service: "mine"}).Config(""); err != nil || cfg.Database != "theirs" {
		t.Errorf("the service's own database: %v, %v", cfg.Database, err)
	}
	if cfg, err := (Settings{Service: "system"}).Config(""); err != nil || cfg.Host != "h2" || cfg.Database != "postgres" {
		t.Errorf("the system's service file: %v, %v", cfg, err)
	}
	t.Setenv("PGSERVICE", "mine")
	cfg, err = Settings{Conninfo: "host=h3 user=u"}.Config("d")
	if err != nil || cfg.Host != "h3" || cfg.RuntimeParams["options"] != withSessionOptions("") {
		t.Errorf("a connection string must overrule PGSERVICE: %+v, %v", cfg, err)
	}
	if arg, _ := (Settings{Conninfo: "host=h3 user=u"}).targetArg("d"); arg != "--dbname=dbname='d'" {
		t.Error(arg)
	}
}

func TestConfigRefusesWhatItCannotCheck(t *testing.T) {
	isolated(t)
	for _, k := range []string{"sslcrl=/x", "requirepeer=postgres", "gssencmode=require", "ssl_min_protocol_version=9"} {
		if _, err := (Settings{Conninfo: "host=h user=u " + k}).Config("d"); fault.CodeOf(err) != fault.Usage {
			t.Errorf("%s: %v", k, err)
		}
	}
	cfg, err := Settings{Conninfo: "host=h user=u sslmode=require ssl_min_protocol_version=TLSv1.3 gssencmode=disable hostaddr=10.0.0.1"}.Config("d")
	if err != nil || cfg.TLSConfig.MinVersion != 0x0304 {
		t.Fatalf("%+v, %v", cfg, err)
	}
	if a, err := cfg.LookupFunc(t.Context(), "h"); err != nil || !slices.Equal(a, []string{"10.0.0.1"}) {
		t.Errorf("%v, %v", a, err)
	}
	for _, k := range []string{"gssencmode", "hostaddr", "ssl_min_protocol_version"} {
		if v, ok := cfg.RuntimeParams[k]; ok {
			t.Errorf("the server would be asked for %s=%s", k, v)
		}
	}
}
