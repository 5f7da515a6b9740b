package vault

import (
	"path/filepath"
	"strings"
	"testing"

	"pgvault/pg"
	"pgvault/pg/pgtest"
)

// The tests named Matrix run against the server in PGVAULT_TEST_BINDIR, as
// all of this package do (scripts/test-matrix.sh); without it, against the
// newest installed one.

// TestMatrixWholeStory backs up, verifies by restore, and restores.
func TestMatrixWholeStory(t *testing.T) {
	const name = `matrix "x" %`
	makeNasty(t, name)
	a := proven(t, newWorld(t), name, []Proof{ProofRestored}, 2)
	if major := strings.Split(a.ServerVersion, ".")[0]; !strings.HasPrefix(a.DumpVersion, major) {
		t.Errorf("server %s, pg_dump %s", a.ServerVersion, a.DumpVersion)
	}
}

// TestMatrixOtherVersion restores into every other version that is
// installed: into a newer one it works and is proven equal, into an older
// one it is refused before anything is made.
func TestMatrixOtherVersion(t *testing.T) {
	const name = "moved"
	create(t, name, "")
	sql(t, name, "CREATE TYPE mood AS ENUM ('sad', 'ok')", "CREATE TABLE parent (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, m mood, at timestamptz, f float8, b bytea, j jsonb) ",
		`INSERT INTO parent (m, at, f, b, j) SELECT 'ok', 'epoch', 1.0 / i, '\x00ff', '{"a": 1}' FROM generate_series(1, 100) i`, "CREATE TABLE part (k int) PARTITION BY RANGE (k)", "CREATE TABLE part_1 PARTITION OF part DEFAULT",
		"INSERT INTO part SELECT generate_series(1, 10)", "CREATE VIEW v AS SELECT m, count(*) AS n FROM parent GROUP BY m", "SELECT lo_from_bytea(1000, '\\x00ff')", "CREATE MATERIALIZED VIEW mv AS SELECT * FROM v")
	w := newWorld(t)
	w.backup(BackupOptions{Database: name}).ok(t)
	id := w.list()[0].ID
	source, err := pg.Server(t.Context(), connect(t, ""))
	if err != nil {
		t.Fatal(err)
	}
	installed, _, err := pg.FindPrograms(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range installed {
		if !p.Server {
			continue
		}
		t.Run("into "+p.Version, func(t *testing.T) {
			c, err := pgtest.Start(t.Context(), pgtest.Options{BinDir: p.Dir, Dir: filepath.Join(filepath.Dir(cluster.Dir), "to"+p.Version)})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Stop()
			w := *w
			w.t, w.conf.Server = t, settingsOf(c)
			plan := w.plan(RestoreOptions{ID: id, ToNew: "new"})
			if p.Major < source.Major() {
				if !plan.Refused() {
					t.Errorf("a restore from %d into %d is not refused: %+v", source.Major(), p.Major, plan.Checks)
				}
				return
			}
			done := w.apply(t.Context(), plan, nil).ok(t).done
			if done.TablesEqual != 2 || done.TablesTotal != 2 {
				t.Errorf("%d of %d tables equal", done.TablesEqual, done.TablesTotal)
			}
		})
	}
}
