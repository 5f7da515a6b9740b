package vault

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgvault/fault"
)

// TestChainUnfit: what newer versions refuse of what the oldest one wrote is
// said by the plan, is in the report, and keeps nothing else from coming back.
func TestChainUnfit(t *testing.T) {
	servers, err := chainServers()
	if err != nil {
		t.Fatal(err)
	}
	oldest := servers[0]
	for _, s := range servers {
		t.Cleanup(func() { s.chainClear(t) })
	}
	oldest.chainSQL(t, "postgres", "CREATE DATABASE chain_unfit TEMPLATE template0")
	oldest.chainSQL(t, "chain_unfit", "CREATE TABLE a AS SELECT i FROM generate_series(1, 100) i")
	unfit := map[string]int{} // differences, by the first version that refuses it
	if oldest.major < 14 {
		oldest.chainSQL(t, "chain_unfit", "CREATE AGGREGATE collect(anyelement) (SFUNC = array_append, STYPE = anyarray, INITCOND = '{}')",
			"CREATE FUNCTION half(int) RETURNS int LANGUAGE sql AS 'SELECT $1 / 2'", "CREATE OPERATOR !/ (LEFTARG = int, FUNCTION = half)")
		unfit["aggregate public.collect(anyelement)"], unfit["operator public.!/"] = 14, 14
	}
	if oldest.major < 18 {
		oldest.chainSQL(t, "chain_unfit", "CREATE UNLOGGED TABLE parent (k int) PARTITION BY RANGE (k)", "CREATE UNLOGGED TABLE child PARTITION OF parent DEFAULT", "INSERT INTO parent SELECT generate_series(1, 50)")
	}
	if oldest.major < 17 {
		oldest.chainSQL(t, "chain_unfit", "CREATE EXTENSION adminpack", "CREATE VIEW logs AS SELECT * FROM pg_catalog.pg_logdir_ls() AS (at timestamp, file text)")
		unfit["view public.logs"] = 17
	}
	w := newWorld(t)
	w.conf.Server = oldest.settings
	id := w.backup(BackupOptions{Database: "chain_unfit"}).ok(t).done.ID
	for _, to := range servers[1:] {
		t.Run(fmt.Sprintf("%d to %d", oldest.major, to.major), func(t *testing.T) {
			w := w.of(t)
			w.conf.Server = to.settings
			plan := w.plan(RestoreOptions{ID: id, ToNew: "chain_unfit"})
			if plan.Refused() {
				t.Fatalf("%+v", plan.Checks)
			}
			if oldest.major < 18 && slices.ContainsFunc(plan.Checks, func(c Check) bool {
				return strings.Contains(c.Text, "without that word") && strings.Contains(c.Text, "public.parent")
			}) != (to.major >= 18) {
				t.Errorf("UNLOGGED: %+v", plan.Checks)
			}
			p := w.apply(t.Context(), plan, nil)
			var want []string
			for name, since := range unfit {
				if to.major < since {
					continue
				}
				want = append(want, name)
				word := strings.TrimPrefix(name[strings.Index(name, " ")+1:], "public.")
				word, _, _ = strings.Cut(word, "(")
				if word == "logs" {
					word = "extension adminpack is left out"
				}
				if !slices.ContainsFunc(plan.Checks, func(c Check) bool { return c.State == "!" && strings.Contains(c.Text, word) && c.Do != "" }) {
					t.Errorf("the plan does not speak of %s", word)
				}
			}
			if len(want) == 0 {
				p.ok(t)
				return
			}
			p.failed(t, fault.Differs)
			for _, name := range want {
				if !slices.ContainsFunc(p.done.Differences, func(d Difference) bool { return d.Table == name || strings.HasPrefix(d.Table, name+"(") }) {
					t.Errorf("the report does not name %s: %+v", name, p.done.Differences)
				}
			}
			if p.done.TablesEqual != 2 || p.done.TablesTotal != 2 {
				t.Errorf("%d of %d tables equal", p.done.TablesEqual, p.done.TablesTotal)
			}
			if got := to.ask(t, "chain_unfit", "SELECT concat_ws(' ', (SELECT count(*) FROM public.a), (SELECT count(*) FROM public.child))"); got != "100 50" {
				t.Error(got)
			}
		})
	}
}
