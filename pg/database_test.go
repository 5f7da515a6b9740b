package pg_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgvault/fault"
	"pgvault/pg"
)

func TestDatabases(t *testing.T) {
	newDatabase(t, "zzz")
	newDatabase(t, "ÄÄÄ")
	newDatabase(t, "closed")
	conn := connectTo(t, "")
	exec(t, conn, "ALTER DATABASE closed ALLOW_CONNECTIONS false")
	got, err := pg.Databases(t.Context(), conn)
	if want := []string{"postgres", "zzz", "ÄÄÄ"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v", got, err)
	}
}

func TestCreateDropDatabase(t *testing.T) {
	like := pg.DatabaseInfo{Encoding: "LATIN1", Provider: "c", Collate: "C", CType: "C"}
	if err := pg.CreateDatabase(t.Context(), settings(), `new "one"`, like); err != nil {
		t.Fatal(err)
	}
	if d := catalogOf(t, settings(), `new "one"`).Database; d.Encoding != "LATIN1" || d.Collate != "C" {
		t.Errorf("%+v", d)
	}
	err := pg.CreateDatabase(t.Context(), settings(), `new "one"`, like)
	wantFault(t, err, fault.Refused, "already exists", `new "one"`)
	like.Collate = "xx_YY.nowhere"
	err = pg.CreateDatabase(t.Context(), settings(), "another", like)
	wantFault(t, err, fault.Refused, "xx_YY.nowhere", "dpkg-reconfigure")
	busy := connectTo(t, `new "one"`)
	for range 2 { // a second time there is nothing to drop
		if err := pg.DropDatabase(t.Context(), settings(), `new "one"`); err != nil {
			t.Fatal(err)
		}
	}
	if err := busy.Ping(t.Context()); err == nil {
		t.Error("a session lives on in a dropped database")
	}
}

func TestCreateDatabaseNeedsTheRight(t *testing.T) {
	newRole(t, "modest_r", "")
	err := pg.CreateDatabase(t.Context(), overTCP(t, "modest_r"), "mine", pg.DatabaseInfo{})
	wantFault(t, err, fault.Failed, "permission denied", "CREATEDB")
}

func TestDatabaseEmpty(t *testing.T) {
	newDatabase(t, "e")
	conn := connectTo(t, "e")
	exec(t, conn, "SET search_path = public")
	check := func(after string, want bool) {
		t.Helper()
		exists, empty, err := pg.DatabaseEmpty(t.Context(), settings(), "e")
		if err != nil || !exists || empty != want {
			t.Errorf("after %s: %t %t %v", after, exists, empty, err)
		}
	}
	check("CREATE DATABASE", true)
	for _, c := range [][2]string{
		{"CREATE TABLE x (i int)", "DROP TABLE x"}, {"CREATE SCHEMA x", "DROP SCHEMA x"}, {"CREATE TYPE x AS ENUM ()", "DROP TYPE x"},
		{"CREATE FUNCTION x() RETURNS int LANGUAGE sql AS 'SELECT 1'", "DROP FUNCTION x"}, {"CREATE EXTENSION pgcrypto", "DROP EXTENSION pgcrypto"},
		{"SELECT lo_create(77)", "SELECT lo_unlink(77)"}, {"CREATE PUBLICATION x", "DROP PUBLICATION x"},
		{"CREATE VIEW x AS SELECT 1", "DROP VIEW x"}, {"CREATE SEQUENCE x", "DROP SEQUENCE x"},
	} {
		exec(t, conn, c[0])
		check(c[0], false)
		exec(t, conn, c[1])
		check(c[1], true)
	}
	if exists, empty, err := pg.DatabaseEmpty(t.Context(), settings(), "nowhere"); exists || empty || err != nil {
		t.Errorf("%t %t %v", exists, empty, err)
	}
}

// TestApplyDatabase: what belongs to the database itself is the same after
// it was applied to another one.
func TestApplyDatabase(t *testing.T) {
	conn := connectTo(t, "")
	newPlainRole(t, "Owner r", "")
	newPlainRole(t, "grantee_r", "")
	newDatabase(t, "from",
		`ALTER DATABASE "from" SET search_path = '$user', "a,b", public`, `ALTER DATABASE "from" SET plpgsql.extra_warnings = 'all'`,
		`ALTER DATABASE "from" SET DateStyle = 'German, DMY'`, `ALTER DATABASE "from" SET application_name = 'it''s \ here'`,
		`ALTER ROLE "Owner r" IN DATABASE "from" SET temp_tablespaces = ''`, `ALTER ROLE grantee_r IN DATABASE "from" SET work_mem = '5MB'`,
		`COMMENT ON DATABASE "from" IS 'it''s \ mine'`, `ALTER DATABASE "from" CONNECTION LIMIT 7`, `ALTER DATABASE "from" OWNER TO "Owner r"`,
		`REVOKE ALL ON DATABASE "from" FROM PUBLIC`, `GRANT CONNECT ON DATABASE "from" TO grantee_r WITH GRANT OPTION`, `REVOKE TEMPORARY ON DATABASE "from" FROM "Owner r"`)
	newDatabase(t, "to")
	want := catalogOf(t, settings(), "from").Database
	have, err := pg.RoleNames(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	unfit, warned, err := pg.ApplyDatabase(t.Context(), settings(), "to", want, have)
	if err != nil || len(warned) != 0 || len(unfit) != 0 {
		t.Fatalf("%q, %+v, %v", warned, unfit, err)
	}
	got := catalogOf(t, settings(), "to").Database
	got.Name, got.Size, want.Size = want.Name, 0, 0
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	// Roles that are not here, and settings that the server does not know.
	newDatabase(t, "to2")
	strange := []pg.Setting{{Name: "no_such_setting", Value: "1"}, {Name: "password_encryption", Value: "on it"}}
	info := pg.DatabaseInfo{Owner: "nobody_r", ConnLimit: -1, Comment: "kept", Grants: []pg.Grant{{Grantee: "nobody_r", Privilege: "CONNECT"}, {Privilege: "CONNECT"}},
		Settings: []pg.Setting{{Role: "nobody_r", Name: "work_mem", Value: "1MB"}, strange[0], strange[1]}}
	unfit, warned, err = pg.ApplyDatabase(t.Context(), settings(), "to2", info, have)
	if err != nil || len(warned) != 5 || !slices.Equal(unfit, strange) || strings.Count(strings.Join(warned, "\n"), "»nobody_r« does not exist here") != 3 || !strings.Contains(strings.Join(warned, "\n"), "no_such_setting") {
		t.Errorf("%q, %+v, %v", warned, unfit, err)
	}
	if d := catalogOf(t, settings(), "to2").Database; d.Comment != "kept" || !slices.Contains(d.Grants, pg.Grant{Privilege: "CONNECT"}) || slices.Contains(d.Grants, pg.Grant{Privilege: "TEMPORARY"}) {
		t.Errorf("%+v", d)
	}
}

func TestRolesAndExtensions(t *testing.T) {
	conn := connectTo(t, "")
	want := []pg.Role{{Name: "postgres"}, {Name: `new "r"`, Super: true, Login: true, CreateDB: true, Inherit: true}, {Name: "pg_from_the_future"}}
	missing, err := pg.MissingRoles(t.Context(), conn, want)
	if err != nil || len(missing) != 2 || missing[0].Name != `new "r"` {
		t.Errorf("%+v, %v", missing, err)
	}
	made, err := pg.CreateRoles(t.Context(), conn, want)
	if err != nil || !slices.Equal(made, []string{`new "r"`}) {
		t.Fatal(made, err)
	}
	defer exec(t, conn, `DROP ROLE "new ""r"""`)
	var super, login, password bool
	err = conn.QueryRow(t.Context(), `SELECT rolsuper, rolcanlogin, rolpassword IS NOT NULL FROM pg_authid WHERE rolname = 'new "r"'`).Scan(&super, &login, &password)
	if err != nil || super || login || password {
		t.Errorf("%t %t %t %v", super, login, password, err)
	}
	ext, err := pg.MissingExtensions(t.Context(), conn, []pg.Extension{{Name: "pgcrypto", Version: "0.1"}, {Name: "no_such_extension"}})
	if err != nil || len(ext) != 1 || ext[0].Name != "no_such_extension" {
		t.Errorf("%+v, %v", ext, err)
	}
}

func TestAnalyze(t *testing.T) {
	newDatabase(t, "src", "CREATE TABLE a (i int)", "INSERT INTO a SELECT generate_series(1, 77)")
	if err := pg.Analyze(t.Context(), settings(), "src"); err != nil {
		t.Fatal(err)
	}
	if c := catalogOf(t, settings(), "src"); c.Tables[0].EstRows != 77 {
		t.Errorf("%+v", c.Tables)
	}
}

// TestCreateDatabaseOfEveryProvider: the copy has the locale of its source,
// whoever provides it.
func TestCreateDatabaseOfEveryProvider(t *testing.T) {
	likes := []pg.DatabaseInfo{{Encoding: "UTF8", Provider: "c", Collate: "C.UTF-8", CType: "C"}}
	major := catalogOf(t, settings(), "postgres").Server.Major()
	if major >= 15 {
		likes = append(likes, pg.DatabaseInfo{Encoding: "UTF8", Provider: "i", Collate: "C", CType: "C.UTF-8", ICULocale: "de-AT"})
	}
	if major >= 16 {
		likes = append(likes, pg.DatabaseInfo{Encoding: "UTF8", Provider: "i", Collate: "C", CType: "C", ICULocale: "en", ICURules: "&V << w <<< W"})
	}
	if major >= 17 {
		likes = append(likes, pg.DatabaseInfo{Encoding: "UTF8", Provider: "b", Collate: "C", CType: "C", ICULocale: "C.UTF-8"})
	}
	for _, like := range likes {
		for _, name := range []string{"first", "copy"} {
			if err := pg.CreateDatabase(t.Context(), settings(), name, like); err != nil {
				t.Fatalf("%+v: %v", like, err)
			}
			got := catalogOf(t, settings(), name).Database
			got = pg.DatabaseInfo{Encoding: got.Encoding, Provider: got.Provider, Collate: got.Collate, CType: got.CType, ICULocale: got.ICULocale, ICURules: got.ICURules}
			if !reflect.DeepEqual(got, like) {
				t.Errorf("%+v\nwant %+v", got, like)
			}
			like = got
		}
		for _, name := range []string{"first", "copy"} {
			if err := pg.DropDatabase(t.Context(), settings(), name); err != nil {
				t.Error(err)
			}
		}
	}
}
