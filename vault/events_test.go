package vault

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgvault/fault"
	"pgvault/vault/archive"
	"pgvault/vault/retention"
)

// TestChainOfManifests: each archive names the one before.
func TestChainOfManifests(t *testing.T) {
	create(t, "origin", "")
	create(t, "other", "")
	w := newWorld(t)
	for range 3 {
		w.backup(BackupOptions{Database: "origin", Tags: []string{"nightly"}}).ok(t)
	}
	w.backup(BackupOptions{Database: "other"}).ok(t)
	var previous string
	list := w.list()
	slices.SortFunc(list, func(a, b Archive) int { return int(a.Seq - b.Seq) })
	n := int64(0)
	for _, a := range list {
		if a.Database != "origin" {
			if a.Seq != 1 {
				t.Errorf("%s has the number %d", a.Database, a.Seq)
			}
			continue
		}
		n++
		src, err := os.ReadFile(filepath.Join(w.path("place"), archive.Folder("main", "origin", a.ID), archive.ManifestName))
		if err != nil {
			t.Fatal(err)
		}
		var m archive.Manifest
		if err := json.Unmarshal(src, &m); err != nil {
			t.Fatal(err)
		}
		if m.Sequence != n || m.Previous != previous || !slices.Equal(m.Tags, []string{"nightly"}) {
			t.Errorf("number %d after %q, expected %d after %q; tags %q", m.Sequence, m.Previous, n, previous, m.Tags)
		}
		previous = archive.Digest(src)
	}
}

// TestProofsClimb: each proof raises the archive in the list, and a lower one
// later takes nothing away.
func TestProofsClimb(t *testing.T) {
	create(t, "origin", "")
	sql(t, "origin", "CREATE TABLE t AS SELECT 1 AS v")
	w := newWorld(t)
	w.conf.SelfCheck = false
	w.backup(BackupOptions{Database: "origin"}).ok(t)
	for i, step := range []struct{ do, then Proof }{{ProofNone, ProofStored}, {ProofIntact, ProofIntact}, {ProofReadable, ProofReadable}, {ProofRestored, ProofRestored}, {ProofIntact, ProofRestored}} {
		if step.do != ProofNone {
			p := w.verify("latest:origin", step.do).ok(t)
			if p.done.Proof != step.then {
				t.Errorf("RunDone says %s after %s", p.done.Proof, step.do)
			}
		}
		a := w.list()[0]
		if a.Proof != step.then || len(a.Proofs) != i || a.State != "good" {
			t.Errorf("after %q: proof %q, %d records", step.do, a.Proof, len(a.Proofs))
		}
	}
	a := w.list()[0]
	if last := a.Proofs[2]; last.Key == "" || last.By == "" || last.Note != "1 of 1 tables equal" {
		t.Errorf("%+v", last)
	}
	// A host without the signing key verifies, and says that it records nothing.
	os.Remove(w.path("signing"))
	p := w.verify(a.ID, ProofReadable).ok(t)
	if p.done.Warnings != 1 || len(w.list()[0].Proofs) != 4 {
		t.Errorf("%d warnings, %d records", p.done.Warnings, len(w.list()[0].Proofs))
	}
}

// TestBackupProvenAtOnce reaches the highest proof by itself.
func TestBackupProvenAtOnce(t *testing.T) {
	create(t, "origin", "")
	sql(t, "origin", "CREATE TABLE t AS SELECT 1 AS v")
	w := newWorld(t)
	w.db.Verify = ProofRestored
	p := w.backup(BackupOptions{Database: "origin"}).ok(t)
	if a := w.list()[0]; p.done.Proof != ProofRestored || a.Proof != ProofRestored || p.done.TablesEqual != 1 || p.done.TablesTotal != 1 {
		t.Errorf("%+v, %+v", p.done, a)
	}
}

// TestProgressOfABackup: an estimate says what it rests on, and never falls
// behind what has passed.
func TestProgressOfABackup(t *testing.T) {
	makeVictim(t, settings(), "victim")
	w := newWorld(t)
	first := w.backup(BackupOptions{Database: "victim"}).ok(t)
	sql(t, "victim", "DELETE FROM t7 WHERE id > 10")
	second := w.backup(BackupOptions{Database: "victim"}).ok(t)
	for p, basis := range map[*tape]string{first: "from table statistics", second: "from the run of "} {
		n := 0
		for _, e := range all[Progress](p) {
			if e.Stage == StageData {
				n++
				if !strings.HasPrefix(e.Estimate, basis) || e.RowsTotal == 0 || e.Rows > e.RowsTotal {
					t.Errorf("%+v", e)
				}
			}
			if e.Stage == StageReadBack && (e.Estimate != "" || e.RowsTotal != p.done.Rows) {
				t.Errorf("read back is exact, not %+v", e)
			}
		}
		if n == 0 {
			t.Error("no Progress")
		}
		for _, stage := range []Stage{StageData, StageReadBack} {
			var tables, rows int64
			for _, d := range all[TableDone](p) {
				if d.Stage == stage {
					tables++
					rows += d.Rows
				}
			}
			if tables != victimTables || rows != p.done.Rows {
				t.Errorf("%s: %d tables, %d rows of %d", stage, tables, rows, p.done.Rows)
			}
		}
	}
}

func TestStatusOfDatabases(t *testing.T) {
	create(t, "origin", "")
	create(t, "never backed up", "")
	w := newWorld(t)
	w.db.MaxAge = time.Hour
	if s := w.status(t, "origin"); s.State != "never" || s.MaxAgeSeconds != 3600 {
		t.Errorf("%+v", s)
	}
	w.backup(BackupOptions{Database: "origin"}).ok(t)
	if s := w.status(t, "origin"); s.State != "ok" || s.Proof != ProofReadable || s.LastGood == nil || s.ProvenAt != nil {
		t.Errorf("%+v", s)
	}
	v := w.vault()
	v.now = func() time.Time { return time.Now().Add(61 * time.Minute) }
	late, err := v.Status(t.Context())
	if i := slices.IndexFunc(late, func(s DatabaseStatus) bool { return s.Database == "origin" }); err != nil || late[i].State != "late" {
		t.Errorf("%+v, %v", late, err)
	}
	if s := w.status(t, "never backed up"); s.State != "never" {
		t.Errorf("%+v", s)
	}
	w.restore(RestoreOptions{ID: "latest:origin", ToNew: "new"}).ok(t)
	if s := w.status(t, "origin"); s.ProvenAt == nil || s.Proof != ProofRestored {
		t.Errorf("%+v", s)
	}
	// A failure shows although the older archive is still young enough.
	w.write("recipients", "")
	w.backup(BackupOptions{Database: "origin"}).failed(t, fault.Usage)
	if s := w.status(t, "origin"); s.State != "failed" {
		t.Errorf("after a backup that never came to the vault: %+v", s)
	}
	w.write("recipients", w.read("duty.pub")+w.read("safe.pub"))
	bin := w.conf.Server.BinDir
	w.conf.Server.BinDir = t.TempDir()
	w.backup(BackupOptions{Database: "origin"}).failed(t, fault.Refused)
	if s := w.status(t, "origin"); s.State != "failed" || s.LastGood == nil {
		t.Errorf("%+v", s)
	}
	w.conf.Server.BinDir = bin
	w.backup(BackupOptions{Database: "origin"}).ok(t)
	if s := w.status(t, "origin"); s.State != "ok" {
		t.Errorf("%+v", s)
	}
}

func TestRetentionPreview(t *testing.T) {
	create(t, "origin", "")
	create(t, "other", "")
	w := newWorld(t)
	w.db.Keep = retention.Policy{Last: 2}
	for range 4 {
		w.backup(BackupOptions{Database: "origin"}).ok(t)
	}
	w.backup(BackupOptions{Database: "other"}).ok(t)
	list := w.list()
	oldest := slices.MinFunc(slices.DeleteFunc(slices.Clone(list), func(a Archive) bool { return a.Database != "origin" }), func(a, b Archive) int { return int(a.Seq - b.Seq) })
	w.verify(oldest.ID, ProofRestored).ok(t)
	verdicts, err := w.vault().RetentionPreview(t.Context(), []string{"origin"})
	if err != nil || len(verdicts) != 4 {
		t.Fatalf("%+v, %v", verdicts, err)
	}
	kept := 0
	for _, v := range verdicts {
		if v.Keep {
			kept++
		}
		if len(v.Reasons) == 0 || v.Stored <= 0 || v.Database != "origin" || v.ID == oldest.ID && !v.Keep {
			t.Errorf("%+v", v)
		}
	}
	if kept != 3 { // two, and the one proven by a restore
		t.Errorf("%d kept: %+v", kept, verdicts)
	}
	if everything, err := w.vault().RetentionPreview(t.Context(), nil); err != nil || len(everything) != 5 || len(w.list()) != 5 {
		t.Errorf("%d verdicts, %d archives, %v", len(everything), len(w.list()), err)
	}
}

// TestRowsLeftOutOnPurpose: such an archive says that it is partial.
func TestRowsLeftOutOnPurpose(t *testing.T) {
	create(t, "origin", "")
	sql(t, "origin", "CREATE TABLE sessions AS SELECT 1 AS v", "CREATE TABLE kept AS SELECT 1 AS v")
	w := newWorld(t)
	w.db.ExcludeTableData = []string{"public.sess*"}
	w.backup(BackupOptions{Database: "origin"}).ok(t)
	a := w.list()[0]
	if a.State != "partial" || a.Rows != 1 || w.status(t, "origin").State != "never" {
		t.Errorf("%+v", a)
	}
	w.restore(RestoreOptions{ID: "latest:origin", ToNew: "new"}).ok(t)
	if n := one[int](t, "new", "SELECT count(*) FROM public.sessions"); n != 0 {
		t.Errorf("%d rows", n)
	}
}
