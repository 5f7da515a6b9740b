package pg_test

import (
	"slices"
	"strings"
	"testing"

	"pgvault/pg"
)

// TestRestorer: the role owns the database that it fills, has no rights but
// that, and extensions are there before it comes.
func TestRestorer(t *testing.T) {
	newDatabase(t, "src")
	if err := pg.CreateRestorer(t.Context(), settings(), "load r"); err != nil {
		t.Fatal(err)
	}
	conn := connectTo(t, "")
	defer func() {
		exec(t, connectTo(t, "src"), `REASSIGN OWNED BY "load r" TO postgres`)
		exec(t, conn, `DROP ROLE "load r"`)
	}()
	languages, err := pg.PrepareRestorer(t.Context(), settings(), "src", "load r", []string{"ex t"}, []pg.Extension{{Name: "hstore", Schema: "ex t"}, {Name: "btree_gist"}})
	if err != nil || !slices.Contains(languages, "plpgsql") || slices.Contains(languages, "c") || slices.Contains(languages, "internal") {
		t.Fatalf("%q, %v", languages, err)
	}
	var super, login, program, database bool
	err = conn.QueryRow(t.Context(), `SELECT rolsuper OR rolcreaterole OR rolcreatedb, rolcanlogin, pg_has_role(oid, 'pg_execute_server_program', 'MEMBER'),
		oid = (SELECT datdba FROM pg_database WHERE datname = 'src') FROM pg_roles WHERE rolname = 'load r'`).Scan(&super, &login, &program, &database)
	if err != nil || super || !login || program || !database {
		t.Errorf("%t %t %t %t %v", super, login, program, database, err)
	}
	if e := catalogOf(t, settings(), "src").Extensions; !slices.ContainsFunc(e, func(e pg.Extension) bool { return e.Name == "hstore" && e.Schema == "ex t" }) || len(e) != 3 {
		t.Errorf("%+v", e)
	}
	if _, err := pg.PrepareRestorer(t.Context(), settings(), "src", "load r", nil, []pg.Extension{{Name: "no_such"}}); err == nil || !strings.Contains(err.Error(), "no_such") {
		t.Errorf("%v", err)
	}
}

// TestEachAlone: a text of two statements is none, one that fails does not
// keep the next back.
func TestEachAlone(t *testing.T) {
	newDatabase(t, "src")
	failed, err := pg.EachAlone(t.Context(), settings(), "src", "UTF8", []string{"CREATE TABLE public.a ()", "CREATE TABLE public.b (); CREATE TABLE public.c ()", "ALTER TABLE public.none OWNER TO postgres", "CREATE TABLE public.d ()"})
	if err != nil || len(failed) != 2 || !strings.Contains(failed[0], "multiple commands") || !strings.Contains(failed[1], `"public.none" does not exist (ALTER TABLE public.none`) {
		t.Errorf("%q, %v", failed, err)
	}
	var names []string
	for _, s := range catalogOf(t, settings(), "src").Tables {
		names = append(names, s.Name)
	}
	if !slices.Equal(names, []string{"a", "d"}) {
		t.Errorf("%q", names)
	}
	if _, err := pg.EachAlone(t.Context(), settings(), "src", "UTF8", []string{"SELECT pg_terminate_backend(pg_backend_pid())", "SELECT 1"}); err == nil {
		t.Error("a session that was ended went on")
	}
}
