package vault

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// TestChainRecover: a vault whose databases are all of the oldest version is
// brought back on the newest, from the place and a key alone.
func TestChainRecover(t *testing.T) {
	servers, err := chainServers()
	if err != nil {
		t.Fatal(err)
	}
	oldest, newest := servers[0], servers[len(servers)-1]
	for _, s := range servers {
		t.Cleanup(func() { s.chainClear(t) })
	}
	oldest.chainMake(t)
	oldest.chainSQL(t, "postgres", "CREATE DATABASE chain_two TEMPLATE template0")
	oldest.chainSQL(t, "chain_two", "CREATE TABLE two AS SELECT i FROM generate_series(1, 50) i", "ALTER TABLE two OWNER TO chain_scram")
	want := oldest.chainFacts(t, "chain", true)
	w := newWorld(t)
	w.conf.Server = oldest.settings
	w.backup(BackupOptions{Database: "chain"}).ok(t)
	w.backup(BackupOptions{Database: "chain_two"}).ok(t)
	b := w.recoverBare(t)
	b.conf.Server = newest.settings
	newest.chainClear(t)
	p := b.recoverPlan(t, RecoverOptions{Roles: RolesCreate})
	if p.Refused() || p.Roles == nil || !p.Roles.Passwords || len(p.Databases) != 2 {
		t.Fatalf("%+v", p)
	}
	if newest.major >= 16 && strings.Contains(strings.Join(p.Roles.Statements, "\n"), "force_parallel_mode") {
		t.Error("a statement sets what the server does not know")
	}
	if newest.major >= 14 {
		recoverSays(t, p.Checks, "!", "passwords kept as MD5: chain_md5")
	}
	rows := 0
	r, err := b.vault().Recover(t.Context(), p, func(Event) {}, func(RecoverRow) { rows++ })
	if err != nil || rows != 2 || !slices.Contains(r.Roles, "chain_md5") {
		t.Fatalf("%+v, %v", r, err)
	}
	for _, d := range r.Databases {
		if d.Result != "ok" || d.TablesEqual != d.TablesTotal || d.TablesTotal == 0 {
			t.Errorf("%+v", d)
		}
	}
	if got := newest.chainFacts(t, "chain", true); !maps.Equal(got, want) {
		t.Errorf("%v\nwant %v", got, want)
	}
	if len(r.Warnings) > 0 {
		t.Errorf("%q", r.Warnings)
	}
	newest.chainLogin(t)
}

// TestChainLocale: databases of the providers that versions have are made
// anew with them, and a plan tells where the collation is of another version.
func TestChainLocale(t *testing.T) {
	servers, err := chainServers()
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	for i, from := range servers {
		t.Cleanup(func() { from.chainClear(t) })
		for name, how := range map[string]struct {
			since, provider int // the first version that has it, and its provider
			sql             string
		}{
			"chain_icu":     {15, 15, "LOCALE_PROVIDER icu ICU_LOCALE 'de-AT-u-ks-level2' LC_COLLATE 'C' LC_CTYPE 'C'"},
			"chain_rules":   {16, 15, "LOCALE_PROVIDER icu ICU_LOCALE 'en' ICU_RULES '&V << w <<< W' LC_COLLATE 'C' LC_CTYPE 'C'"},
			"chain_builtin": {17, 17, "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LC_COLLATE 'C' LC_CTYPE 'C'"},
			"chain_latin":   {0, 0, "ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'"},
		} {
			if from.major < how.since {
				continue
			}
			from.chainSQL(t, "postgres", "CREATE DATABASE "+name+" TEMPLATE template0 "+how.sql)
			from.chainSQL(t, name, "CREATE TABLE a (t text PRIMARY KEY, n text COLLATE \"C\")", "INSERT INTO a VALUES ('Äpfel', 'x'), ('apfel', 'y'), ('wald', 'z'), ('Vogel', '')")
			w := w.of(t)
			w.conf.Server = from.settings
			id := w.backup(BackupOptions{Database: name}).ok(t).done.ID
			for _, to := range servers[i+1:] {
				w.conf.Server = to.settings
				plan := w.plan(RestoreOptions{ID: id, ToNew: name + "_r"})
				if plan.Refused() {
					t.Errorf("%s of %d into %d: %+v", name, from.major, to.major, plan.Checks)
					continue
				}
				there := chainCollation(t, from, name)
				p := w.apply(t.Context(), plan, nil).ok(t)
				if p.done.TablesEqual != 1 {
					t.Errorf("%s of %d into %d: %+v", name, from.major, to.major, p.done)
				}
				state := "ok"
				if here := chainCollation(t, to, name+"_r"); there != "" && here != "" && here != there {
					state = "!"
				}
				if !slices.ContainsFunc(plan.Checks, func(c Check) bool { return c.State == state && strings.Contains(c.Text, "collation") }) {
					t.Errorf("%s of %d into %d: no line %q of the collation: %+v", name, from.major, to.major, state, plan.Checks)
				}
				order := "SELECT concat_ws(' | ', (SELECT string_agg(t, ',' ORDER BY t) FROM public.a), pg_encoding_to_char(encoding)) FROM pg_database WHERE datname = current_database()"
				if a, b := from.ask(t, name, order), to.ask(t, name+"_r", order); a != b {
					t.Errorf("%s of %d into %d: %s, not %s", name, from.major, to.major, b, a)
				}
				to.chainSQL(t, "postgres", "DROP DATABASE "+name+"_r")
			}
			for _, to := range servers[:i] {
				w.conf.Server = to.settings
				plan := w.plan(RestoreOptions{ID: id, ToNew: name + "_r"})
				says := slices.ContainsFunc(plan.Checks, func(c Check) bool { return c.State == "x" && strings.Contains(c.Text, "locale provider") })
				if to.major < from.major && !plan.Refused() || says != (to.major < how.provider) {
					t.Errorf("%s of %d into %d: %+v", name, from.major, to.major, plan.Checks)
				}
			}
			from.chainSQL(t, "postgres", "DROP DATABASE "+name)
		}
	}
}

// chainCollation is the version of a database's collation, "" where the
// server does not know it.
func chainCollation(t *testing.T, s *chainServer, database string) string {
	t.Helper()
	if s.major < 15 {
		return ""
	}
	return s.ask(t, "postgres", "SELECT datcollversion FROM pg_database WHERE datname = '"+database+"'")
}
