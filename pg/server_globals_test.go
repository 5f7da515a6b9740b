package pg_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgvault/pg"
)

// globalsOf reads them as the superuser.
func globalsOf(t *testing.T) *pg.Globals {
	t.Helper()
	g, err := pg.ReadGlobals(t.Context(), connectTo(t, ""))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestGlobalsRoundTrip: roles are the same after they were read, dropped and
// made again, verifiers included; roles that are there are not touched.
func TestGlobalsRoundTrip(t *testing.T) {
	conn := connectTo(t, "")
	names := []string{`glob "a"`, "glob_b", "glob_group", "glob_there"}
	drop := func() {
		for _, n := range names[:3] {
			exec(t, conn, "DROP ROLE IF EXISTS "+pg.QuoteIdent(n))
		}
	}
	defer exec(t, conn, "DROP ROLE glob_there")
	defer drop()
	for _, q := range []string{"CREATE ROLE glob_group NOLOGIN", "CREATE ROLE glob_there LOGIN",
		`CREATE ROLE "glob ""a""" LOGIN NOINHERIT CREATEDB CREATEROLE BYPASSRLS CONNECTION LIMIT 7 PASSWORD 'geheim' VALID UNTIL '2031-01-02 03:04:05+00' IN ROLE pg_monitor`,
		"CREATE ROLE glob_b LOGIN REPLICATION IN ROLE glob_group", `GRANT glob_group TO "glob ""a""" WITH ADMIN OPTION`, "GRANT glob_group TO glob_there",
		`ALTER ROLE "glob ""a""" SET search_path = '$user', "a,b"`, `ALTER ROLE "glob ""a""" SET work_mem = '5MB'`, `COMMENT ON ROLE glob_b IS 'it''s b'`} {
		exec(t, conn, q)
	}
	before := globalsOf(t)
	if !before.Verifiers {
		t.Error("a superuser read no passwords")
	}
	src, err := before.Seal()
	if err != nil || !strings.Contains(string(src), "SCRAM-SHA-256$") {
		t.Fatalf("%v", err)
	}
	opened, err := pg.OpenGlobals(src)
	if err != nil || !reflect.DeepEqual(opened, before) {
		t.Fatalf("%+v, %v", opened, err)
	}
	drop()
	all, err := pg.RoleNames(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	want := opened.With([]string{`glob "a"`, "glob_b", "glob_there"}, all)
	if !slices.Contains(want, "glob_group") {
		t.Errorf("without the group: %q", want)
	}
	plan := opened.PlanGlobals(all, want, true, programs(t).Major)
	text := ""
	for _, s := range plan {
		text += s.Text + "\n"
	}
	if strings.Contains(text, "SCRAM") || strings.Contains(fmt.Sprint(plan), "VALUES") || strings.Contains(text, "glob_there") || !strings.Contains(text, "PASSWORD (as it was)") {
		t.Errorf("%s", text)
	}
	made, warned, err := pg.ApplyGlobals(t.Context(), conn, plan)
	if err != nil || len(warned) != 0 || len(made) != 3 {
		t.Fatalf("%q, %q, %v", made, warned, err)
	}
	// Its membership in what was dropped is gone: an existing role is not changed.
	before.Memberships = slices.DeleteFunc(before.Memberships, func(m pg.Membership) bool { return m.Member == "glob_there" })
	if after := globalsOf(t); !reflect.DeepEqual(after, before) {
		t.Errorf("%+v\nwant %+v", after, before)
	}
}

// TestVerifierHidesItself, however it is printed.
func TestVerifierHidesItself(t *testing.T) {
	r := pg.GlobalRole{Verifier: "SCRAM-SHA-256$secret"}
	g := pg.Globals{Roles: []pg.GlobalRole{r}}
	js, err := json.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	own, err := json.Marshal(r.Verifier)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{r.Verifier.String(), fmt.Sprint(g), fmt.Sprintf("%v %+v %#v %v %q %x", g, r, g, r, r.Verifier, r.Verifier), string(js), string(own)} {
		if strings.Contains(text, "SCRAM") || strings.Contains(text, "secret") || strings.Contains(text, "534352") {
			t.Errorf("it shows: %s", text)
		}
	}
}

// TestGlobalsAreNotLogged: neither the log nor an error holds a verifier, and
// after an error no role is there.
func TestGlobalsAreNotLogged(t *testing.T) {
	conn := connectTo(t, "")
	const secret = "SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0c2FsdA==$8c4aJ0rBqP5gqG4zWj9wB5aAqY2S0y0w2P3FNqW4pZs=:1R1d2mG7z0C6b0Q6T4e9p4E8XQmV4qY6P2v5L1J3ZkE="
	exec(t, conn, "SET log_statement = 'all'")
	exec(t, conn, "SET log_min_duration_statement = 0")
	g := pg.Globals{Roles: []pg.GlobalRole{{Role: pg.Role{Name: "glob_log", Login: true}, ConnLimit: -1, Verifier: secret}, {Role: pg.Role{Name: "glob_bad"}, ConnLimit: -1, ValidUntil: "never ever", Verifier: secret}}}
	made, _, err := pg.ApplyGlobals(t.Context(), conn, g.PlanGlobals(nil, nil, true, 15))
	if err == nil || len(made) != 0 || strings.Contains(err.Error(), "SCRAM") {
		t.Errorf("%q, %v", made, err)
	}
	if names, err := pg.RoleNames(t.Context(), conn); err != nil || slices.Contains(names, "glob_log") {
		t.Errorf("%q, %v", names, err)
	}
	made, _, err = pg.ApplyGlobals(t.Context(), conn, g.PlanGlobals(nil, []string{"glob_log"}, true, 15))
	if err != nil || len(made) != 1 {
		t.Fatalf("%q, %v", made, err)
	}
	exec(t, conn, "DROP ROLE glob_log")
	log := ""
	for i := 0; i < 500 && !strings.Contains(log, "DROP ROLE glob_log"); i++ { // it comes through a pipe
		time.Sleep(10 * time.Millisecond)
		log = strings.Join(cluster.Log(500), "\n")
	}
	if strings.Contains(log, "SCRAM-SHA-256$4096:c2Fs") || !strings.Contains(log, "DROP ROLE glob_log") {
		t.Errorf("the log holds a verifier, or nothing")
	}
	// One who cannot silence the log makes the role without its password.
	newRole(t, "glob_maker", "CREATEROLE")
	s, err := overTCP(t, "glob_maker").Connect(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(t.Context())
	made, warned, err := pg.ApplyGlobals(t.Context(), s, g.PlanGlobals(nil, []string{"glob_log"}, true, 15))
	if err != nil && len(made) == 0 {
		// A newer server lets only superusers give NOREPLICATION and its like.
		if !strings.Contains(err.Error(), "glob_log") {
			t.Error(err)
		}
		return
	}
	exec(t, conn, "DROP ROLE glob_log")
	if len(warned) != 1 || !strings.Contains(warned[0], "password") {
		t.Errorf("%q", warned)
	}
}

// TestGlobalsOfAPlainRole: without the right to passwords they are left out,
// and that is known.
func TestGlobalsOfAPlainRole(t *testing.T) {
	newRole(t, "glob_plain", "")
	s, err := overTCP(t, "glob_plain").Connect(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(t.Context())
	g, err := pg.ReadGlobals(t.Context(), s)
	if err != nil || g.Verifiers || !slices.ContainsFunc(g.Roles, func(r pg.GlobalRole) bool { return r.Name == "glob_plain" && r.Login && r.Verifier == "" }) {
		t.Errorf("%+v, %v", g, err)
	}
}
