package vault

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgvault/fault"
	"pgvault/pg"
)

// chainForeign makes a database as dumps from elsewhere are of.
func (s *chainServer) chainForeign(t *testing.T, name string) {
	t.Helper()
	for _, r := range []string{"chain_owner", "chain_reader"} {
		s.chainSQL(t, "postgres", "CREATE ROLE "+r)
	}
	s.chainSQL(t, "postgres", "CREATE DATABASE "+name+" TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' OWNER chain_owner")
	s.chainSQL(t, name, `CREATE EXTENSION hstore`, `CREATE SCHEMA "Sales ""x" AUTHORIZATION chain_owner`, `CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text, f float8, h hstore)`,
		`INSERT INTO t (v, f, h) SELECT E'row\t' || i || E'\n\\.', i / 3.0, 'k=>v' FROM generate_series(1, 500) i`, `CREATE TABLE "Sales ""x"."o t" (id int REFERENCES t)`,
		`INSERT INTO "Sales ""x"."o t" VALUES (1), (NULL)`, `ALTER TABLE "Sales ""x"."o t" OWNER TO chain_owner`, `GRANT SELECT ON t TO chain_reader`, `CREATE TABLE part (k int) PARTITION BY RANGE (k)`,
		`CREATE TABLE part_1 PARTITION OF part DEFAULT`, `INSERT INTO part SELECT generate_series(1, 9)`, `CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1; -- \! x'`, `CREATE VIEW w AS SELECT * FROM t`,
		`CREATE MATERIALIZED VIEW m AS SELECT count(*) FROM t`, `SELECT lo_from_bytea(1001, 'hello')`)
}

// TestChainImport: dumps by pg_dump of each version, of the oldest server and
// of each one's own, become archives on hosts that have only the programs of
// one version; what a host is too old for is refused before anything is run.
func TestChainImport(t *testing.T) {
	servers, err := chainServers()
	if err != nil {
		t.Fatal(err)
	}
	dumps := t.TempDir()
	for i, s := range servers {
		if chainAgain(servers, i) {
			continue
		}
		t.Cleanup(func() { s.chainClear(t) })
		s.chainForeign(t, "chain_foreign")
		formats := []string{"-Fc", "-Fp", "-Ft", "-Fd"}
		if i > 0 {
			formats = formats[:2]
		}
		for _, format := range formats {
			s.run(t, s, "pg_dump", "chain_foreign", format, "-f", filepath.Join(dumps, fmt.Sprintf("%d of itself %s", i, format)))
		}
		if i > 0 { // a newer pg_dump of the oldest server
			servers[0].run(t, s, "pg_dump", "chain_foreign", "-Fp", "-f", filepath.Join(dumps, fmt.Sprintf("%d of the oldest -Fp", i)))
			servers[0].run(t, s, "pg_dump", "chain_foreign", "-Fc", "-f", filepath.Join(dumps, fmt.Sprintf("%d of the oldest -Fc", i)))
		}
	}
	for j, host := range servers {
		if chainAgain(servers, j) {
			continue
		}
		t.Run(fmt.Sprintf("on %d", host.major), func(t *testing.T) { importEach(t, servers, j, dumps) })
	}
}

// importEach imports every dump on a host that has the programs of server j.
func importEach(t *testing.T, servers []*chainServer, j int, dumps string) {
	w := newWorld(t)
	w.conf.Server = servers[j].settings
	found, _, err := pg.FindPrograms(t.Context(), servers[j].BinDir)
	if err != nil || len(found) != 1 {
		t.Fatalf("%+v, %v", found, err)
	}
	host := found[0]
	files, err := os.ReadDir(dumps)
	if err != nil {
		t.Fatal(err)
	}
	for n, f := range files {
		var by int
		if _, err := fmt.Sscanf(f.Name(), "%d of", &by); err != nil {
			t.Fatal(err)
		}
		script, own := strings.HasSuffix(f.Name(), "-Fp"), strings.Contains(f.Name(), "of itself")
		from := servers[0].major
		if own {
			from = servers[by].major
		}
		t.Run(f.Name(), func(t *testing.T) {
			w := w.of(t)
			o := ImportOptions{Paths: []string{filepath.Join(dumps, f.Name())}, Database: fmt.Sprintf("shop %d", n), At: importDay, RunSQL: true}
			plan := w.planImport(o)
			file := plan.Files[0]
			why := ""
			switch {
			case from > host.Major:
				why = fmt.Sprintf("version %d or newer, is installed", from)
			case !script && chainReader(servers[by].major) > host.Major:
				why = "version 17 or newer, is installed"
			case script && !host.Restricts():
				why = `\restrict`
			}
			if why != "" {
				if file.State != ImportRefused || !strings.Contains(file.Why, why) || file.Do == "" || file.Code() != fault.Refused {
					t.Errorf("%s: %s; do: %s", file.State, file.Why, file.Do)
				}
				return
			}
			p := w.importFile(t.Context(), plan, file, nil).ok(t)
			if p.done.TablesEqual != 3 || p.done.TablesTotal != 3 || p.done.Rows != 511 {
				t.Errorf("%+v", p.done)
			}
			a, c, err := w.vault().Show(t.Context(), "latest:"+o.Database, w.ids)
			if err != nil || c.Original.Equal != 3 || !strings.HasPrefix(c.Original.Server, fmt.Sprint(from)) || !strings.HasPrefix(a.ServerVersion, fmt.Sprint(host.Major)) {
				t.Errorf("%+v, %+v, %v", a, c.Original, err)
			}
			if warned := chainWarnings(p); !script && len(warned) > 1 || slices.ContainsFunc(warned, func(w string) bool { return strings.Contains(w, "not compared") }) {
				t.Errorf("%q", warned)
			}
		})
	}
}

// chainReader is the oldest version that reads what pg_dump of a version
// writes in a format of its own.
func chainReader(major int) int {
	switch {
	case major >= 17:
		return 17
	case major == 16:
		return 16
	}
	return 12
}
