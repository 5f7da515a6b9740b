package vault

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgvault/fault"
	"pgvault/vault/archive"
	"pgvault/vault/job"
	"pgvault/vault/store/disk"
)

// provingWorld is a world whose backups are proven by a restore, with one
// database.
func provingWorld(t *testing.T, database string) *world {
	t.Helper()
	create(t, database, "")
	sql(t, database, "CREATE TABLE t AS SELECT g AS v FROM generate_series(1, 100) g")
	w := newWorld(t)
	w.db.Verify = ProofRestored
	return w
}

// TestBackupProvesByRestore: with the one-time key, signed, after the copies,
// at low priority, and nothing is left of it.
func TestBackupProvesByRestore(t *testing.T) {
	w := provingWorld(t, "proof_once")
	if err := os.Mkdir(w.path("second"), 0o700); err != nil {
		t.Fatal(err)
	}
	far, err := disk.Open(w.path("second"))
	if err != nil {
		t.Fatal(err)
	}
	w.conf.Places = append(w.conf.Places, Place{Name: "second", Store: far})
	var niced []string
	p := w.backupCtx(t.Context(), BackupOptions{Database: "proof_once"}, func(e Event) {
		if s, ok := e.(StageStarted); ok && s.Stage == StageCompare {
			niced = scratchNice(t)
		}
	}).ok(t)
	stages := p.events[0].(RunStarted).Stages
	if slices.Index(stages, StageCopies) > slices.Index(stages, StageScratch) {
		t.Errorf("copies wait for the proof: %v", stages)
	}
	if len(niced) == 0 || slices.ContainsFunc(niced, func(n string) bool { return len(n) < 2 }) {
		t.Errorf("the scratch server's processes run with nice %v", niced)
	}
	a := w.list()[0]
	i := slices.IndexFunc(a.Proofs, func(p ProofRecord) bool { return p.Level == ProofRestored })
	if p.done.Proof != ProofRestored || a.Proof != ProofRestored || i < 0 || a.Proofs[i].Key != archive.OneTimeName || a.Proofs[i].Result != "ok" {
		t.Errorf("%+v, %+v", p.done, a.Proofs)
	}
	said := all[Notice](p)
	if !slices.ContainsFunc(said, func(n Notice) bool { return strings.Contains(n.Text, "the restored database needs about") }) {
		t.Errorf("nothing of the room it takes: %+v", said)
	}
	if left := scratches(t); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	quiet(t)
}

// scratches are the clusters that lie in the temporary folder, but for the
// test server's own.
func scratches(t *testing.T) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(os.Getenv("TMPDIR"), "pgvault-*"))
	if err != nil {
		t.Fatal(err)
	}
	own := settings().Conninfo
	return slices.DeleteFunc(list, func(d string) bool { return strings.Contains(own, d) })
}

// scratchNice gives the nice values of the PostgreSQL processes below scratches.
func scratchNice(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, dir := range scratches(t) {
		src, err := os.ReadFile(filepath.Join(dir, "data", "postmaster.pid"))
		if err != nil {
			continue // another file of pgvault's
		}
		pid, _, _ := strings.Cut(string(src), "\n")
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil {
			t.Fatal(err)
		}
		f := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		out = append(out, f[16])
	}
	return out
}

// TestNoRoomToProve: the backup is good, and says what it lacks; a
// verification is refused.
func TestNoRoomToProve(t *testing.T) {
	w := provingWorld(t, "proof_room")
	v := w.vault()
	v.free = func(string) (int64, error) { return 50 << 20, nil }
	p := &tape{}
	p.err = v.Backup(t.Context(), BackupOptions{Database: "proof_room"}, p.sink)
	p.check(t)
	e := p.failed(t, fault.Partial)
	if !strings.Contains(e.Why, "no room") || !strings.Contains(e.Do, "TMPDIR") || !strings.Contains(e.Left, "proven readable") {
		t.Errorf("%+v", e)
	}
	a := w.list()[0]
	if a.State != "good" || a.Proof != ProofReadable || p.done.Proof != ProofReadable || p.done.Result != ResultPartial {
		t.Errorf("%+v, %+v", a, p.done)
	}
	if s := w.status(t, "proof_room"); s.State != "ok" || s.ProvenAt != nil {
		t.Errorf("status: %+v", s)
	}
	p = &tape{}
	p.err = v.Verify(t.Context(), VerifyOptions{ID: a.ID, Level: ProofRestored, Identities: w.ids}, p.sink)
	p.check(t)
	p.failed(t, fault.NoSpace)
	v.free = func(string) (int64, error) { return 0, errors.New("stale handle") }
	p = &tape{}
	p.err = v.Verify(t.Context(), VerifyOptions{ID: a.ID, Level: ProofRestored, Identities: w.ids}, p.sink)
	p.check(t)
	if len(w.list()[0].Proofs) != 1 {
		t.Errorf("what could not be tried was recorded: %+v", w.list()[0].Proofs)
	}
}

// TestBackupThatDoesNotComeBack: exit 5 and a failed proof, the archive stays.
// The pg_restore of this host loses a row.
func TestBackupThatDoesNotComeBack(t *testing.T) {
	w := provingWorld(t, "proof_bad")
	sql(t, "proof_bad", "ALTER TABLE t ADD PRIMARY KEY (v)")
	w.conf.Server.BinDir = programFolder(t, `exec REAL "$@"`)
	path := filepath.Join(cluster.BinDir, "pg_restore")
	script := "#!/bin/sh\n'" + path + "' \"$@\" || exit\n[ \"$1\" = --version ] || '" + filepath.Join(cluster.BinDir, "psql") + "' -qXd pgvault_scratch -c 'DELETE FROM t WHERE v = 7' >/dev/null 2>&1\nexit 0\n"
	for _, dir := range []string{w.conf.Server.BinDir, filepath.Dir(w.conf.Server.BinDir)} { // the server's user enters them
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"initdb", "postgres"} {
		if err := os.Symlink(filepath.Join(cluster.BinDir, name), filepath.Join(w.conf.Server.BinDir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(w.conf.Server.BinDir, "pg_restore"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	p := w.backup(BackupOptions{Database: "proof_bad"})
	p.failed(t, fault.Differs)
	a := w.list()[0]
	last := a.Proofs[len(a.Proofs)-1]
	if last.Level != ProofRestored || last.Result != "failed" || last.Key != archive.OneTimeName || len(p.done.Differences) != 1 || p.done.Differences[0].RowsFound != 99 {
		t.Errorf("%+v, %+v", a.Proofs, p.done.Differences)
	}
	if s := w.status(t, "proof_bad"); s.State != "failed" || s.ProvenAt != nil {
		t.Errorf("status: %+v", s)
	}
}

// TestOneProofAtATime: the second waits for its turn, and can be cancelled
// while it does.
func TestOneProofAtATime(t *testing.T) {
	w := provingWorld(t, "proof_turn")
	unlock, err := job.Lock(w.vault().lockDir(), scratchLock, "a test", "")
	if err != nil {
		t.Fatal(err)
	}
	waiting := make(chan struct{})
	ended := make(chan *tape)
	p := &tape{hook: func(e Event) {
		if n, ok := e.(Notice); ok && strings.Contains(n.Text, "waits for its end") {
			close(waiting)
		}
	}}
	go func() {
		p.err = w.vault().Backup(t.Context(), BackupOptions{Database: "proof_turn"}, p.sink)
		ended <- p
	}()
	<-waiting
	if got := w.status(t, "proof_turn"); got.State != "ok" {
		t.Errorf("while it waits, the database's lock is held: %+v", got)
	}
	unlock()
	p = <-ended
	p.check(t)
	p.ok(t)
}
