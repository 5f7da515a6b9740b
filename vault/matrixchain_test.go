package vault

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgvault/fault"
	"pgvault/pg"
	"pgvault/vault/archive"
)

// chainStory is one vault whose database moves from each server to the next.
type chainStory struct {
	*world
	servers []*chainServer
	ids     []string // the archive of each server
	first   map[string]string
	tables  []archive.Table // of the first archive
}

// at is the world with one of the servers, and its programs alone.
func (c *chainStory) at(t testing.TB, i int) *world {
	w := c.world.of(t)
	w.conf.Server = c.servers[i].settings
	return w
}

// TestChainOfVersions: a database of the oldest version goes from each version to
// the next, and from each to every newer one, with its roles or without, and
// its rows, digests and properties are the same everywhere.
func TestChainOfVersions(t *testing.T) {
	servers, err := chainServers()
	if err != nil {
		t.Fatal(err)
	}
	c := &chainStory{world: newWorld(t), servers: servers}
	for _, s := range servers {
		t.Cleanup(func() { s.chainClear(t) })
	}
	servers[0].chainMake(t)
	c.first = servers[0].chainFacts(t, "chain", true)
	for _, s := range servers[:1] {
		s.chainLogin(t)
	}
	c.backUp(t, 0)
	for i := 1; i < len(servers); i++ {
		if !t.Run(fmt.Sprintf("%d to %d", servers[i-1].major, servers[i].major), func(t *testing.T) { c.hop(t, i) }) {
			return
		}
	}
	for i, s := range servers {
		if chainAgain(servers, i+1) {
			continue // of one version, once is enough
		}
		t.Run(fmt.Sprintf("switch on %d", s.major), func(t *testing.T) { c.switchThere(t, i) })
		t.Run(fmt.Sprintf("tables on %d", s.major), func(t *testing.T) { c.tablesInto(t, i) })
		t.Run(fmt.Sprintf("proof on %d", s.major), func(t *testing.T) { c.proofs(t, i) })
		t.Run(fmt.Sprintf("older on %d", s.major), func(t *testing.T) { c.refusesNewer(t, i) })
	}
	for i := range servers {
		for j := i + 1; j < len(servers); j++ {
			t.Run(fmt.Sprintf("%d straight to %d", servers[i].major, servers[j].major), func(t *testing.T) { c.straight(t, i, j) })
		}
	}
}

// backUp makes the archive of server i, and holds its tables against those of
// the first.
func (c *chainStory) backUp(t *testing.T, i int) {
	w := c.at(t, i)
	id := w.backup(BackupOptions{Database: "chain"}).ok(t).done.ID
	c.ids = append(c.ids, id)
	_, contents, err := w.vault().Show(t.Context(), id, w.ids)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(contents.Tables, func(a, b archive.Table) int { return strings.Compare(a.Schema+"."+a.Name, b.Schema+"."+b.Name) })
	if i == 0 {
		c.tables = contents.Tables
		if len(c.tables) < 50 {
			t.Fatalf("%d tables", len(c.tables))
		}
		return
	}
	if len(contents.Tables) != len(c.tables) {
		t.Fatalf("%d tables, %d in the first", len(contents.Tables), len(c.tables))
	}
	for n, a := range contents.Tables {
		if b := c.tables[n]; a.Schema != b.Schema || a.Name != b.Name || a.Rows != b.Rows || a.SHA256 != b.SHA256 {
			t.Errorf("%s.%s: %d rows %s; the first has %s.%s: %d rows %s", a.Schema, a.Name, a.Rows, a.SHA256, b.Schema, b.Name, b.Rows, b.SHA256)
		}
	}
}

// notes are the warnings that a run gave.
func chainWarnings(p *tape) []string {
	var out []string
	for _, n := range all[Notice](p) {
		if n.Level == "warning" {
			out = append(out, n.Text)
		}
	}
	return out
}

// proven fails the test unless all tables were equal, and no warning was given
// but those of settings and extensions that the version does not have.
func (c *chainStory) proven(t *testing.T, p *tape) {
	t.Helper()
	p.ok(t)
	if p.done.TablesEqual != len(c.tables) || p.done.TablesTotal != len(c.tables) || len(p.done.Differences) > 0 {
		t.Errorf("%d of %d tables equal, %d in the archive", p.done.TablesEqual, p.done.TablesTotal, len(c.tables))
	}
	for _, w := range chainWarnings(p) {
		if !strings.Contains(w, "setting ") && !strings.Contains(w, "extension ") && !strings.Contains(w, "read differently") {
			t.Errorf("warning: %s", w)
		}
	}
}

// hop restores into server i what the one before it was backed up to, under
// its own name and with its roles, and backs it up there.
func (c *chainStory) hop(t *testing.T, i int) {
	w, from, to := c.at(t, i), c.servers[i-1], c.servers[i]
	plan := w.plan(RestoreOptions{ID: c.ids[i-1], ToNew: "chain", FullRoles: true})
	if plan.Refused() {
		t.Fatalf("%+v", plan.Checks)
	}
	c.checks(t, plan, from.major, to.major, i == 1)
	p := w.apply(t.Context(), plan, nil)
	c.proven(t, p)
	large := all[TableDone](p)
	if n := slices.IndexFunc(large, func(d TableDone) bool { return d.Stage == StageCompare && d.Name == "large objects" }); n < 0 || large[n].State != StateEqual || large[n].Rows != 2503 {
		t.Errorf("%d: the large objects are not equal", n)
	}
	if got := to.chainFacts(t, "chain", true); !maps.Equal(got, c.first) {
		for name := range got {
			if got[name] != c.first[name] {
				t.Errorf("%s:\n%s\n%s", name, got[name], c.first[name])
			}
		}
	}
	to.chainLogin(t)
	c.backUp(t, i)
}

// checks holds the plan's lines against what changed between two versions.
// first says that the source is the database as it was made.
func (c *chainStory) checks(t *testing.T, plan *RestorePlan, from, to int, first bool) {
	t.Helper()
	says := func(part string, want bool) {
		t.Helper()
		has := slices.ContainsFunc(plan.Checks, func(c Check) bool { return c.State == "!" && strings.Contains(c.Text, part) })
		if has != want {
			t.Errorf("a line with %q: %t, not %t", part, has, want)
		}
	}
	says("passwords kept as MD5: chain_md5", to >= 14)
	says("a later PostgreSQL than", to >= 18)
	says("every role could make objects in the schema public", from < 15 && to >= 15)
	says("extension adminpack is left out", from < 17 && to >= 17)
	says("operator_precedence_warning", first && from < 14 && to >= 14)
	says("force_parallel_mode", first && from < 16 && to >= 16 || !first && from == 15 && to > 15)
	if strings.Contains(strings.Join(plan.Steps, "\n"), "force_parallel_mode") && to >= 16 {
		t.Error("a step sets what the server does not know")
	}
}

// straight restores the archive of server i into server j, in each way that
// roles can be treated.
func (c *chainStory) straight(t *testing.T, i, j int) {
	w, to := c.at(t, j), c.servers[j]
	for roles, o := range map[string]RestoreOptions{"create": {FullRoles: true}, "bare": {CreateRoles: true}, "leave": {NoOwner: true}} {
		if roles == "create" && j == i+1 || roles == "bare" && chainAgain(c.servers, j) {
			continue // that was the hop; and once is enough
		}
		t.Run(roles, func(t *testing.T) {
			w := w.of(t)
			to.chainClear(t)
			o.ID, o.ToNew = c.ids[i], "chain"
			plan := w.plan(RestoreOptions{ID: o.ID, ToNew: "chain"})
			if !plan.Refused() || len(plan.Statements) == 0 || strings.Contains(strings.Join(plan.Statements, " "), "SCRAM") {
				t.Errorf("missing roles are not refused: %+v", plan.Checks)
			}
			plan = w.plan(o)
			c.proven(t, w.apply(t.Context(), plan, nil))
			got := to.chainFacts(t, "chain", roles == "create")
			for name, is := range got {
				if want := c.first[name]; roles != "leave" && is != want || roles == "leave" && name != "database" && strings.Contains(is, "chain_") {
					t.Errorf("%s:\n%s\n%s", name, is, want)
				}
			}
			if n := to.ask(t, "chain", "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'chain%' AND (rolcanlogin OR rolcreaterole)"); roles == "bare" && n != "0" {
				t.Errorf("%s roles may log in or make roles", n)
			}
			if n := to.ask(t, "chain", "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'chain%'"); roles == "leave" && n != "0" {
				t.Errorf("%s roles were made", n)
			}
		})
	}
}

// switchThere restores the oldest archive beside the database, and lets it
// take the name, and give it back.
func (c *chainStory) switchThere(t *testing.T, i int) {
	w, s := c.at(t, i), c.servers[i]
	c.proven(t, w.apply(t.Context(), w.plan(RestoreOptions{ID: c.ids[0], ToNew: "chain_r"}), nil))
	s.chainSQL(t, "chain", "UPDATE app.bill SET amount = -1 WHERE id = 1", "ALTER DATABASE chain SET lock_timeout = '3s'", "GRANT TEMPORARY ON DATABASE chain TO chain_group")
	defer s.chainSQL(t, "postgres", "ALTER DATABASE chain RESET lock_timeout", "REVOKE TEMPORARY ON DATABASE chain FROM chain_group")
	before := s.chainFacts(t, "chain", true)
	amount := "SELECT amount FROM app.bill WHERE id = 1"
	do := func(p *SwitchPlan, err error) {
		t.Helper()
		if err != nil || p.Refused() {
			t.Fatalf("%+v, %v", p, err)
		}
		tp := &tape{}
		tp.err = w.vault().Switch(t.Context(), p, tp.sink)
		tp.check(t)
		tp.ok(t)
	}
	do(w.vault().PlanSwitch(t.Context(), SwitchOptions{Database: "chain", With: "chain_r"}))
	if got := s.chainFacts(t, "chain", true); !maps.Equal(got, before) || s.ask(t, "chain", amount) == "-1" {
		t.Errorf("%v\nbefore %v", got, before)
	}
	do(w.vault().PlanSwitchUndo(t.Context(), "chain"))
	if got := s.chainFacts(t, "chain", true); !maps.Equal(got, before) || s.ask(t, "chain", amount) != "-1" {
		t.Errorf("after the undo %v\nbefore %v", got, before)
	}
	// Killed between two statements, then resumed.
	if at := c.killSwitch(t, i, 9); at == "" {
		t.Error("it came to its end before it was killed")
	}
	do(w.vault().PlanSwitchResume(t.Context(), "chain", false))
	if got := s.chainFacts(t, "chain", true); !maps.Equal(got, before) || s.ask(t, "chain", amount) == "-1" {
		t.Errorf("resumed: %v\nbefore %v", got, before)
	}
	do(w.vault().PlanSwitchUndo(t.Context(), "chain"))
	s.chainSQL(t, "postgres", "DROP DATABASE chain_r")
}

// killSwitch has another process switch, which is killed at its nth statement.
func (c *chainStory) killSwitch(t *testing.T, i, n int) string {
	t.Helper()
	s := c.servers[i]
	return killedSwitch(t, switchOrder{Config: c.conf.StateDir, Conninfo: fmt.Sprintf("host=%s port=%d user=%s", s.SocketDir, s.Port, s.Superuser),
		Options: SwitchOptions{Database: "chain", With: "chain_r"}, At: n})
}

// tablesInto copies tables of the oldest archive into a schema of the live
// database, and merges what was lost there with the server's own psql.
func (c *chainStory) tablesInto(t *testing.T, i int) {
	w, s := c.at(t, i), c.servers[i]
	s.chainSQL(t, "chain", "DELETE FROM app.bill WHERE id % 3 = 0", "UPDATE app.bill SET owner = 'newer' WHERE id = 2", "DELETE FROM part WHERE k > 450")
	o := RestoreOptions{ID: c.ids[0], ToNew: "chain_t", Tables: []string{"app.bill", "part", "values_of_all"}, IntoSchema: "back here"}
	plan := w.plan(o)
	w.apply(t.Context(), plan, nil).ok(t)
	merge, err := w.vault().MergeSQL(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	w.write("merge.sql", merge)
	for range 2 { // the second time it adds nothing
		s.run(t, s, "psql", "chain", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", w.path("merge.sql"))
		if got := s.ask(t, "chain", "SELECT concat_ws(' ', count(*), count(*) FILTER (WHERE owner = 'newer'), (SELECT count(*) FROM public.part), (SELECT count(*) FROM public.values_of_all)) FROM app.bill"); got != "1000 1 500 5" {
			t.Errorf("merged: %s\n%s", got, merge)
		}
	}
	s.chainSQL(t, "chain", "DROP SCHEMA \"back here\" CASCADE")
	s.chainSQL(t, "postgres", "DROP DATABASE chain_t")
}

// proofs restores the oldest server's archive, and this one's, into a scratch server of this
// version, as a role without superuser.
func (c *chainStory) proofs(t *testing.T, i int) {
	w := c.at(t, i)
	for _, id := range slices.Compact([]string{c.ids[0], c.ids[i]}) {
		c.proven(t, w.verify(id, ProofRestored))
	}
}

// refusesNewer: what a newer server wrote is refused by the plan.
func (c *chainStory) refusesNewer(t *testing.T, i int) {
	w := c.at(t, i)
	for j := i + 1; j < len(c.servers); j++ {
		if c.servers[j].major == c.servers[i].major {
			continue
		}
		plan := w.plan(RestoreOptions{ID: c.ids[j], ToNew: "chain_old", NoOwner: true})
		if !plan.Refused() {
			t.Errorf("%d into %d is not refused: %+v", c.servers[j].major, c.servers[i].major, plan.Checks)
		}
		e := w.apply(t.Context(), plan, nil).failed(t, fault.Refused)
		if !strings.Contains(e.Why, fmt.Sprintf("the dump came from the newer %d", c.servers[j].major)) {
			t.Errorf("%s: %s", e.What, e.Why)
		}
	}
	if exists, _, err := pg.DatabaseEmpty(t.Context(), c.servers[i].settings, "chain_old"); exists || err != nil {
		t.Error("a database was made")
	}
}
