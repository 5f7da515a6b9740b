package pg_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"pgvault/fault"
	"pgvault/pg"
)

func TestSurveyOfASuperuser(t *testing.T) {
	s, err := pg.LookAt(t.Context(), settings())
	if err != nil {
		t.Fatal(err)
	}
	if !s.ReadsAll || !s.SeesAllRows || len(s.Grants) != 0 || !s.Local || s.Server.Major() < 13 {
		t.Errorf("%+v", s)
	}
	if !strings.HasPrefix(s.DataDir, "/") {
		t.Errorf("data directory %q", s.DataDir)
	}
	i := slices.IndexFunc(s.Databases, func(d pg.DatabaseSize) bool { return d.Name == "postgres" })
	if i < 0 || s.Databases[i].Bytes < 1<<20 || !s.Databases[i].MayConnect {
		t.Fatalf("%+v", s.Databases)
	}
	if got := s.Bytes([]string{"postgres", "not there"}); got != s.Databases[i].Bytes {
		t.Errorf("bytes %d of %+v", got, s.Databases)
	}
	for _, d := range s.Databases {
		if strings.HasPrefix(d.Name, "template") {
			t.Errorf("the template %s is among the databases", d.Name)
		}
	}
}

// TestSurveyGrants runs the statements that the survey gives and sees that
// nothing is lacking afterwards.
func TestSurveyGrants(t *testing.T) {
	conn := connectTo(t, "postgres")
	const role = `Survey "role"`
	exec(t, conn, `CREATE ROLE "Survey ""role""" LOGIN`)
	exec(t, conn, `CREATE DATABASE survey_closed`)
	exec(t, conn, `REVOKE CONNECT ON DATABASE survey_closed FROM PUBLIC`)
	t.Cleanup(func() {
		if err := pg.DropDatabase(context.Background(), settings(), "survey_closed"); err != nil {
			t.Error(err)
		}
	})
	set := cluster.SettingsFor(role)
	s, err := pg.LookAt(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	if s.Server.User != role || s.ReadsAll || s.SeesAllRows || s.DataDir != "" {
		t.Fatalf("%+v", s)
	}
	want := []string{`GRANT pg_read_all_data TO "Survey ""role""";`, `ALTER ROLE "Survey ""role""" BYPASSRLS;`}
	if s.Server.Major() < 14 {
		want = want[1:]
	}
	if !slices.Equal(s.Grants, want) {
		t.Fatalf("grants %q", s.Grants)
	}
	for _, d := range s.Databases {
		if d.Name == "survey_closed" && (d.MayConnect || d.Bytes != -1) {
			t.Errorf("%+v", d)
		}
	}
	for _, g := range s.Grants {
		exec(t, conn, g)
	}
	s, err = pg.LookAt(t.Context(), set)
	if err != nil || len(s.Grants) != 0 && s.Server.Major() >= 14 || !s.SeesAllRows {
		t.Errorf("after the grants: %+v, %v", s, err)
	}
}

func TestSurveyOfNoServer(t *testing.T) {
	_, err := pg.LookAt(t.Context(), pg.Settings{Conninfo: "host=/nonexistent user=nobody"})
	if fault.CodeOf(err) != fault.DBUnreachable {
		t.Errorf("%v", err)
	}
}
