package setup

import (
	"strings"
	"testing"

	"pgvault/fault"
	"pgvault/pg"
)

func TestConnectAsSuperuser(t *testing.T) {
	s, err := Connect(t.Context(), server())
	if err != nil {
		t.Fatal(err)
	}
	has(t, s.Checks, "ok", "PostgreSQL "+s.Server.Version)
	has(t, s.Checks, "ok", "pg_dump "+s.Programs.Version)
	has(t, s.Checks, "!", "CREATE ROLE pgvault LOGIN")
	if Refused(s.Checks) {
		t.Errorf("%+v", s.Checks)
	}
}

// TestConnectWithLacks shows the two statements, runs them, and sees that all
// is well.
func TestConnectWithLacks(t *testing.T) {
	sql(t, "postgres", `CREATE ROLE setup_plain LOGIN`)
	set := cluster.SettingsFor("setup_plain")
	set.BinDir = cluster.BinDir
	s, err := Connect(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	if s.Server.Major() < 14 {
		has(t, s.Checks, "!", "GRANT SELECT")
		return
	}
	has(t, s.Checks, "!", `GRANT pg_read_all_data TO "setup_plain";`)
	has(t, s.Checks, "!", `ALTER ROLE "setup_plain" BYPASSRLS;`)
	sql(t, "postgres", s.Grants[0])
	if s, err = Connect(t.Context(), set); err != nil {
		t.Fatal(err)
	}
	has(t, s.Checks, "ok", "may read every table (pg_read_all_data)")
	sql(t, "postgres", s.Grants...)
	if s, err = Connect(t.Context(), set); err != nil || strings.Contains(states(s.Checks), "!") {
		t.Errorf("%+v %v", s, err)
	}
	has(t, s.Checks, "ok", "every row")
}

func TestConnectRefused(t *testing.T) {
	if _, err := Connect(t.Context(), pg.Settings{Conninfo: "host=/nonexistent"}); fault.CodeOf(err) != fault.DBUnreachable {
		t.Error(err)
	}
	set := server()
	set.BinDir = t.TempDir()
	s, err := Connect(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	has(t, s.Checks, "x", "postgresql-client")
}

func TestParseServer(t *testing.T) {
	for text, want := range map[string]pg.Settings{
		"":                        {},
		" service:backup ":        {Service: "backup"},
		"host=/tmp port=5433":     {Conninfo: "host=/tmp port=5433"},
		"postgresql://u@h/db?a=b": {Conninfo: "postgresql://u@h/db?a=b"},
		"shop":                    {Conninfo: "shop"},
	} {
		if got, err := ParseServer(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for text, code := range map[string]fault.Code{
		"service:": fault.Usage, "host=h password=x": fault.Refused, "postgresql://u:x@h/db": fault.Refused,
	} {
		_, err := ParseServer(text)
		if fault.CodeOf(err) != code || strings.Contains(err.Error(), ":x@") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestCheckDatabases(t *testing.T) {
	s := &Server{Survey: pg.Survey{Databases: []pg.DatabaseSize{{Name: "a", Bytes: 5 << 20, MayConnect: true}, {Name: "b", Bytes: -1}, {Name: "c", MayConnect: true}}}}
	s.Server.User = "pgvault"
	for _, c := range []struct {
		chosen []string
		states string
		want   string
	}{
		{nil, "x", "no database is chosen"},
		{[]string{"a"}, "ok", "1 of 3 databases, 5.0 MiB"},
		{[]string{"a", "b"}, "ok x", "may not connect to b"},
		{[]string{"a", "zz"}, "ok x", "not on this server: zz"},
	} {
		got := s.CheckDatabases(c.chosen)
		if states(got) != c.states {
			t.Errorf("%v: %+v", c.chosen, got)
		}
		has(t, got, got[len(got)-1].State, c.want)
	}
}
