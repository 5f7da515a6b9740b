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

// TestBackupThatDoesNotComeBack: exit 5 and a failed proof; the archive stays,
// and Health says so.
func TestBackupThatDoesNotComeBack(t *testing.T) {
	w := provingWorld(t, "proof_bad")
	// What the dump holds is not what a server makes of it: a trigger on the
	// way in changes rows, which pg_dump's order does not let happen, but a
	// default operator of a changed type would. Here the search path does: the
	// check function is replaced by the restore's own session.
	sql(t, "proof_bad", "CREATE TABLE s (v float8)", "INSERT INTO s VALUES (0.1::float8 + 0.2::float8)",
		"ALTER DATABASE proof_bad SET extra_float_digits = -10")
	p := w.backup(BackupOptions{Database: "proof_bad"})
	t.Logf("%v %+v", p.err, p.done.Differences)
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
