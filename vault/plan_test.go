package vault

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgvault/fault"
	"pgvault/pg"
)

// planCheck finds the one check whose text holds part.
func planCheck(t *testing.T, p *RestorePlan, part string) Check {
	t.Helper()
	var out []Check
	for _, c := range p.Checks {
		if strings.Contains(c.Text, part) {
			out = append(out, c)
		}
	}
	if len(out) != 1 {
		t.Fatalf("%d checks speak of %q: %+v", len(out), part, p.Checks)
	}
	if out[0].State != "ok" && out[0].State != "!" && out[0].Do == "" {
		t.Errorf("no remedy: %+v", out[0])
	}
	return out[0]
}

// TestPlanSaysWhoseCode: an archive that another host has signed, or that was
// imported, runs its code as the role that restores; the plan says so until a
// restore has proven it. One's own, or one whose signer was vouched for, not.
func TestPlanSaysWhoseCode(t *testing.T) {
	create(t, "plan_code", "")
	sql(t, "plan_code", "CREATE TABLE a AS SELECT generate_series(1, 10) AS i")
	w := newWorld(t)
	w.backup(BackupOptions{Database: "plan_code"}).ok(t)
	a := w.list()[0]
	says := func(w *world) int {
		t.Helper()
		p := w.plan(RestoreOptions{ID: a.ID, ToNew: "plan_code_new"})
		return len(slices.DeleteFunc(slices.Clone(p.Checks), func(c Check) bool {
			return !strings.Contains(c.Text, `while they are loaded (checks, defaults, indexes) runs as the role postgres, a superuser`) || c.State != "!" || !strings.Contains(c.Do, "--level restored")
		}))
	}
	other := drillMachine(t, w)
	other.conf.Server = w.conf.Server
	for name, c := range map[string]struct {
		w    *world
		want int
	}{"one's own": {w, 0}, "vouched for": {w.recoverBare(t), 0}, "another host's": {other, 1}} {
		if got := says(c.w); got != c.want {
			t.Errorf("%s: %d lines", name, got)
		}
	}
	w.verify(a.ID, ProofRestored).ok(t)
	if got := says(other); got != 0 {
		t.Errorf("proven: %d lines", got)
	}
}

// planState fails the test unless a check is in a state.
func planState(t *testing.T, p *RestorePlan, part, state string) Check {
	t.Helper()
	c := planCheck(t, p, part)
	if c.State != state {
		t.Errorf("%q is %q, not %q: %+v", part, c.State, state, c)
	}
	return c
}

// TestPlanIsWhole: each thing that can make a restore fail has its line, and
// where nothing can, no line says so.
func TestPlanIsWhole(t *testing.T) {
	create(t, "plan_whole", "")
	sql(t, "plan_whole", "CREATE EXTENSION hstore", "CREATE TABLE a AS SELECT generate_series(1, 10) AS i")
	w := newWorld(t)
	w.backup(BackupOptions{Database: "plan_whole"}).ok(t)
	sql(t, "plan_whole", "INSERT INTO a VALUES (11)")
	p := w.plan(RestoreOptions{ID: w.list()[0].ID, ToNew: "plan_new"})
	if p.Refused() || len(p.Statements) > 0 {
		t.Errorf("%+v", p)
	}
	for part, state := range map[string]string{"opens the archive": "ok", "read back whole": "ok", "dump from": "ok", "for the comparison": "ok", "plan_new is new": "ok", "extensions present": "ok",
		"every role": "ok", "every tablespace": "ok", "encoding UTF8": "ok", "collation": "ok", "are free in": "ok", "connections are free": "ok", "has a database plan_whole": "!"} {
		planState(t, p, part, state)
	}
	for _, c := range p.Checks {
		if strings.Contains(c.Text, "not recorded") && one[string](t, "", "SELECT datcollate FROM pg_database WHERE datname = 'plan_whole'") != "C" {
			t.Errorf("%+v", c)
		}
	}
	sql(t, "", "ALTER DATABASE plan_whole RENAME TO plan_gone")
	defer sql(t, "", "ALTER DATABASE plan_gone RENAME TO plan_whole")
	planState(t, w.plan(RestoreOptions{ID: w.list()[0].ID, ToNew: "plan_new"}), "no database plan_whole", "ok")
}

// TestPlanFindsWhatIsMissing changes what the archive asks for, one thing at
// a time: a server without it need not be built for each.
func TestPlanFindsWhatIsMissing(t *testing.T) {
	create(t, "plan_lacks", "")
	sql(t, "plan_lacks", "CREATE EXTENSION hstore", "CREATE TABLE a AS SELECT 1 AS i")
	w := newWorld(t)
	w.backup(BackupOptions{Database: "plan_lacks"}).ok(t)
	id := w.list()[0].ID
	collation := []string{"here and was 1.1", "!", "no REINDEX"}
	if one[int](t, "", "SELECT current_setting('server_version_num')::int") < 150000 {
		collation = []string{"has no databases of the locale provider icu", "x", "--to-empty"}
	}
	for _, c := range []struct {
		name, part, state, do string
		change                func(*pg.Catalog)
	}{
		{"extension", "extension none 1.0 is not installed", "x", "package", func(c *pg.Catalog) { c.Extensions = append(c.Extensions, pg.Extension{Name: "none", Version: "1.0"}) }},
		{"older extension", "extension hstore was 1.4; the server installs", "!", "UPDATE TO '1.4'", func(c *pg.Catalog) {
			c.Extensions[slices.IndexFunc(c.Extensions, func(e pg.Extension) bool { return e.Name == "hstore" })].Version = "1.4"
		}},
		{"newer extension", "extension hstore was 99; ", "!", "read what changed", func(c *pg.Catalog) {
			c.Extensions[slices.IndexFunc(c.Extensions, func(e pg.Extension) bool { return e.Name == "hstore" })].Version = "99"
		}},
		{"locale", "xx_YY.UTF-8: the server cannot use it", "x", "dpkg-reconfigure locales", func(c *pg.Catalog) { c.Database.Collate = "xx_YY.UTF-8" }},
		{"collation", collation[0], collation[1], collation[2], func(c *pg.Catalog) {
			c.Database.Provider, c.Database.ICULocale, c.Database.CollationVersion = "i", "de-AT", "1.1"
		}},
		{"space", "are free in", "x", "make room", func(c *pg.Catalog) { c.Database.Size = 1 << 60 }},
		{"role", "roles are missing: plan_nobody", "x", "--create-roles", func(c *pg.Catalog) { c.Roles = append(c.Roles, pg.Role{Name: "plan_nobody"}) }},
		{"limit", "connection limit of 0", "!", "LIMIT -1", func(c *pg.Catalog) { c.Database.ConnLimit = 0 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := w.plan(RestoreOptions{ID: id, ToNew: "plan_new"})
			c.change(p.prep.r.catalog)
			p.Checks = nil
			if err := p.checkServer(t.Context(), w.vault()); err != nil {
				t.Fatal(err)
			}
			if got := planState(t, p, c.part, c.state); !strings.Contains(got.Do, c.do) {
				t.Errorf("%+v", got)
			}
			if p.Refused() != (c.state == "x") {
				t.Errorf("refused: %t", p.Refused())
			}
		})
	}
	t.Run("connections", func(t *testing.T) {
		p := w.plan(RestoreOptions{ID: id, ToNew: "plan_new", Jobs: 59})
		if c := planState(t, p, "connections are free", "!"); !strings.HasPrefix(c.Do, "--jobs ") {
			t.Errorf("%+v", c)
		}
	})
	t.Run("empty target of another encoding", func(t *testing.T) {
		create(t, "plan_latin", "ENCODING 'LATIN1'")
		planState(t, w.plan(RestoreOptions{ID: id, ToEmpty: "plan_latin"}), "plan_latin has encoding LATIN1", "!")
	})
}

// TestPlanTablespace: objects of a tablespace that is not here are refused,
// with the statement that makes it, or go into the default one when asked.
func TestPlanTablespace(t *testing.T) {
	create(t, "plan_space", "")
	sql(t, "", "SET allow_in_place_tablespaces = on", `CREATE TABLESPACE "plan sp" LOCATION ''`)
	sql(t, "plan_space", `CREATE TABLE a (i int) TABLESPACE "plan sp"`, "INSERT INTO a VALUES (1)", "CREATE TABLE b AS SELECT 1 AS i")
	w := newWorld(t)
	w.backup(BackupOptions{Database: "plan_space"}).ok(t)
	sql(t, "plan_space", "DROP TABLE a")
	sql(t, "", `DROP TABLESPACE "plan sp"`)
	id := w.list()[0].ID
	p := w.plan(RestoreOptions{ID: id, ToNew: "plan_new"})
	if c := planState(t, p, "tablespaces are missing: plan sp", "x"); !strings.Contains(c.Do, "--no-tablespaces") || len(p.Statements) != 1 || !strings.HasPrefix(p.Statements[0], `CREATE TABLESPACE "plan sp" LOCATION`) {
		t.Errorf("%+v, %q", c, p.Statements)
	}
	if err := p.refusal(); fault.CodeOf(err) != fault.Refused {
		t.Errorf("%v", err)
	}
	if p := w.plan(RestoreOptions{ID: id, ToNew: "plan_new", Tables: []string{"b"}}); p.Refused() {
		t.Errorf("a tablespace that no chosen table lies in: %+v", p.Checks)
	}
	o := RestoreOptions{ID: id, ToNew: "plan_new", NoTablespaces: true}
	if p := w.plan(o); !strings.Contains(p.Same, "--no-tablespaces") || !p.Order().NoTablespaces {
		t.Errorf("%q, %+v", p.Same, p.Order())
	}
	p2 := w.restore(o).ok(t)
	if p2.done.TablesEqual != 2 {
		t.Error(fmt.Sprint(p2.done))
	}
}
