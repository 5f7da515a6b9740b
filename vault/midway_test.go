package vault

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgvault/fault"
	"pgvault/pg"
)

// at calls f once, when the n-th event passes for which match holds.
func at(n int, match func(Event) bool, f func()) func(Event) {
	return func(e Event) {
		if match(e) {
			if n--; n == 0 {
				f()
			}
		}
	}
}

func tableOf(stage Stage) func(Event) bool {
	return func(e Event) bool { d, ok := e.(TableDone); return ok && d.Stage == stage }
}

func startOf(stage Stage) func(Event) bool {
	return func(e Event) bool { s, ok := e.(StageStarted); return ok && s.Stage == stage }
}

// TestDumpEndsEarly: a pg_dump that is killed leaves a stream that ends like
// any other. It must never become an archive.
func TestDumpEndsEarly(t *testing.T) {
	c := makeVictim(t, settings(), "victim")
	w := newWorld(t)
	admin := connect(t, "")
	for name, end := range map[string]struct {
		code fault.Code
		do   func(t *testing.T)
	}{
		"pg_dump killed": {fault.Failed, func(t *testing.T) {
			n := 0
			for pid, name := range children(t, os.Getpid()) {
				if name == "pg_dump" {
					n++
					syscall.Kill(pid, syscall.SIGKILL)
				}
			}
			if n != 1 {
				t.Errorf("%d pg_dump were killed", n)
			}
		}},
		"backend terminated": {fault.DBUnreachable, func(t *testing.T) {
			if _, err := admin.Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'victim' AND query LIKE 'COPY %'"); err != nil {
				t.Error(err)
			}
		}},
		"session of the snapshot terminated": {fault.DBUnreachable, func(t *testing.T) {
			if _, err := admin.Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'victim' AND query NOT LIKE 'COPY %' AND state = 'idle in transaction'"); err != nil {
				t.Error(err)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			for n := 1; n <= 6; n++ {
				p := w.backupCtx(t.Context(), BackupOptions{Database: "victim"}, at(n, tableOf(StageData), func() { end.do(t) }))
				p.failed(t, end.code)
				if done := all[TableDone](p); len(done) < n {
					t.Errorf("ended after %d tables, not %d", len(done), n)
				}
			}
			w.nothingMade(t, c, 0)
			quiet(t)
		})
	}
	if s := w.status(t, "victim"); s.State != "failed" || s.LastGood != nil {
		t.Errorf("status: %+v", s)
	}
	w.backup(BackupOptions{Database: "victim"}).ok(t)
	if s := w.status(t, "victim"); s.State != "ok" {
		t.Errorf("status: %+v", s)
	}
}

// TestDumpLies: programs that end well without a whole dump, and others.
func TestDumpLies(t *testing.T) {
	c := makeVictim(t, settings(), "victim")
	for script, says := range map[string]string{
		`REAL "$@" | head -c 5000000`:                           "ends within",
		`REAL "$@" | head -c 300`:                               "ends within",
		`true`:                                                  "ends within",
		`echo 'this is no dump at all'`:                         "not a dump",
		`yes 'this is no dump at all'`:                          "not a dump",
		`REAL "$@"; echo and something more`:                    "unknown block",
		`REAL "$@"; exit 1`:                                     "exit status 1",
		`REAL "$@"; echo 'pg_dump: error: oh dear' >&2; exit 1`: "oh dear",
		`REAL "$@"; kill -9 $$`:                                 "killed",
		`exec REAL "$@" --compress=1`:                           "compressed",
		`exec REAL "$@" --format=plain`:                         "not a dump",
	} {
		t.Run(script, func(t *testing.T) {
			w := newWorld(t)
			w.conf.Server.BinDir = programFolder(t, script)
			e := w.backup(BackupOptions{Database: "victim"}).failed(t, fault.Failed)
			if !strings.Contains(e.What+e.Why, says) {
				t.Errorf("no word of %q: %s: %s", says, e.What, e.Why)
			}
			w.nothingMade(t, c, 0)
			quiet(t)
		})
	}
}

// TestGlobalsFail: the dump is given up as soon as roles and settings cannot
// be read, and thrown away when that turns out after it.
func TestGlobalsFail(t *testing.T) {
	c := makeVictim(t, settings(), "victim")
	for dump, all := range map[string]string{
		`REAL "$@"; exec sleep 600`: "exit 1",
		`exec REAL "$@"`:            "sleep 2; exit 1",
	} {
		w := newWorld(t)
		w.conf.Server.BinDir = programFolder(t, dump)
		script := "#!/bin/sh\necho 'pg_dumpall: error: oh dear' >&2\n" + all + "\n"
		if err := os.WriteFile(filepath.Join(w.conf.Server.BinDir, "pg_dumpall"), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		e := w.backup(BackupOptions{Database: "victim"}).failed(t, fault.Failed)
		if !strings.Contains(e.What, "roles and settings") || !strings.Contains(e.Why, "oh dear") || time.Since(begun) > time.Minute {
			t.Errorf("%s: %s: %s, after %v", dump, e.What, e.Why, time.Since(begun))
		}
		w.nothingMade(t, c, 0)
		quiet(t)
	}
}

// TestWarningsOfTheDump are kept with the archive.
func TestWarningsOfTheDump(t *testing.T) {
	create(t, "origin", "")
	sql(t, "origin", "CREATE TABLE a AS SELECT 1 AS i")
	w := newWorld(t)
	w.conf.Server.BinDir = programFolder(t, `REAL "$@" && printf 'pg_dump: warning: there are \033[2J circles\n' >&2`)
	p := w.backup(BackupOptions{Database: "origin"}).ok(t)
	a, contents, err := w.vault().Show(t.Context(), w.list()[0].ID, w.ids)
	if err != nil || p.done.Warnings != 1 || a.Warnings != 1 || len(contents.Warnings) != 1 || contents.Warnings[0] != `there are \x1b[2J circles` {
		t.Errorf("%v, %d, %d, %q", err, p.done.Warnings, a.Warnings, contents.Warnings)
	}
}

// TestServerStops: immediate stops in the middle of a backup and of a
// restore, on a server of their own.
func TestServerStops(t *testing.T) {
	c, err := startServer(filepath.Join(filepath.Dir(cluster.Dir), "other"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Stop() })
	can := makeVictim(t, settingsOf(c), "victim")
	w := newWorld(t)
	w.conf.Server = settingsOf(c)
	again := func() {
		t.Helper()
		if err := c.StartAgain(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range []int{1, 5} {
		w.backupCtx(t.Context(), BackupOptions{Database: "victim"}, at(n, tableOf(StageData), c.StopImmediate)).failed(t, fault.DBUnreachable)
		w.nothingMade(t, can, 0)
		again()
	}
	// Once the dump is there the server is no longer needed.
	w.backupCtx(t.Context(), BackupOptions{Database: "victim"}, at(1, startOf(StageSeal), c.StopImmediate)).ok(t)
	if s, err := w.vault().Status(t.Context()); err != nil || len(s) != 1 || s[0].Database != "victim" || s[0].State != "ok" {
		t.Errorf("status while the server is down: %+v, %v", s, err)
	}
	again()
	for stage, code := range map[Stage]fault.Code{StageData: fault.DBUnreachable, StageIndexes: fault.DBUnreachable, StageCompare: fault.DBUnreachable} {
		plan := w.plan(RestoreOptions{ID: "latest:victim", ToNew: "new " + string(stage)})
		e := w.apply(t.Context(), plan, at(1, startOf(stage), c.StopImmediate)).failed(t, code)
		if !strings.Contains(e.Left, plan.Target) {
			t.Errorf("the server is down, so %s is there; but left: %s", plan.Target, e.Left)
		}
		again()
	}
	if left := children(t, os.Getpid()); len(left) > 0 {
		t.Errorf("programs still run: %v", left)
	}
}

func (w *world) status(t *testing.T, database string) DatabaseStatus {
	t.Helper()
	all, err := w.vault().Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(s DatabaseStatus) bool { return s.Database == database })
	if i < 0 {
		t.Fatalf("no status of %s: %+v", database, all)
	}
	return all[i]
}

// TestPlaceFillsUp in the middle of the dump, with an older archive there.
func TestPlaceFillsUp(t *testing.T) {
	c := makeVictim(t, settings(), "victim")
	create(t, "origin", "")
	w := newWorld(t)
	w.setPlace(w.small(t, 2<<20))
	w.backup(BackupOptions{Database: "origin"}).ok(t)
	e := w.backup(BackupOptions{Database: "victim"}).failed(t, fault.NoSpace)
	if !strings.Contains(e.Left, "unchanged") && !strings.Contains(e.Left, "no archive") && !strings.Contains(e.Left, "nothing") {
		t.Errorf("left: %s", e.Left)
	}
	w.nothingMade(t, c, 1)
	quiet(t)
	w.verify(w.list()[0].ID, ProofReadable).ok(t)
	w.backup(BackupOptions{Database: "origin"}).ok(t)
}

// TestCancelledBackup: at the start of each stage and after some tables.
func TestCancelledBackup(t *testing.T) {
	c := makeVictim(t, settings(), "victim")
	points := map[string]func(Event) bool{}
	for _, s := range []Stage{StagePreflight, StageSnapshot, StageData, StageSeal, StageReadBack} {
		points[string(s)] = startOf(s)
	}
	points["a table"] = tableOf(StageData)
	points["a table read back"] = tableOf(StageReadBack)
	for name, match := range points {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			p := w.backupCtx(ctx, BackupOptions{Database: "victim"}, at(1, match, cancel))
			e := p.failed(t, fault.Cancelled)
			if p.done.Result != ResultCancelled {
				t.Errorf("result %s", p.done.Result)
			}
			// What it says is left must be so.
			made := len(w.list())
			if strings.Contains(name, "read") != (made == 1) || strings.Contains(e.Left, "no archive was made") != (made == 0) {
				t.Errorf("%d archives; left: %s", made, e.Left)
			}
			w.nothingMade(t, c, made)
			quiet(t)
			if s := w.status(t, "victim"); s.State == "failed" {
				t.Error("a cancelled run counts as failed")
			}
		})
	}
}

// TestCancelledRestore: the new database goes, whatever the stage; one that
// was there stays, and the error says how it is left.
func TestCancelledRestore(t *testing.T) {
	c := makeVictim(t, settings(), "victim")
	w := newWorld(t)
	w.backup(BackupOptions{Database: "victim"}).ok(t)
	points := map[string]func(Event) bool{"a table": tableOf(StageData), "a table compared": tableOf(StageCompare)}
	for _, s := range []Stage{StageCheck, StageCreate, StageData, StageIndexes, StageSettings, StageCompare} {
		points[string(s)] = startOf(s)
	}
	for name, match := range points {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			plan := w.plan(RestoreOptions{ID: "latest:victim", ToNew: "new"})
			dropAfter(t, "new")
			w.apply(ctx, plan, at(1, match, cancel)).failed(t, fault.Cancelled)
			if exists(t, "new") {
				t.Error("the database is still there")
			}
			quiet(t)
		})
	}
	create(t, "hollow", "")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	e := w.apply(ctx, w.plan(RestoreOptions{ID: "latest:victim", ToEmpty: "hollow"}), at(2, tableOf(StageData), cancel)).failed(t, fault.Cancelled)
	if !exists(t, "hollow") || !strings.Contains(e.Left, "hollow is half filled") {
		t.Errorf("left: %s", e.Left)
	}
	c.absent(t, w.dir)
	quiet(t)
}

// TestCancelledVerify leaves no scratch server behind, and no proof.
func TestCancelledVerify(t *testing.T) {
	c := makeVictim(t, settings(), "victim")
	w := newWorld(t)
	w.backup(BackupOptions{Database: "victim"}).ok(t)
	id := w.list()[0].ID
	for _, s := range []Stage{StageCheck, StageScratch, StageCreate, StageData, StageIndexes, StageCompare} {
		t.Run(string(s), func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			p := &tape{hook: at(1, startOf(s), cancel)}
			p.err = w.vault().Verify(ctx, VerifyOptions{ID: id, Level: ProofRestored, Identities: w.ids}, p.sink)
			p.check(t)
			p.failed(t, fault.Cancelled)
			if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "pgvault-pg-*")); len(left) > 0 {
				t.Errorf("left: %q", left)
			}
			quiet(t)
		})
	}
	if a := w.list()[0]; a.State != "good" || len(a.Proofs) != 1 {
		t.Errorf("%+v", a)
	}
	c.absent(t, w.dir)
}

// TestTwoBackupsAtOnce: the second is told at once that another one runs;
// of another database it is none of its business.
func TestTwoBackupsAtOnce(t *testing.T) {
	makeVictim(t, settings(), "victim")
	create(t, "origin", "")
	w := newWorld(t)
	var second, other *tape
	w.backupCtx(t.Context(), BackupOptions{Database: "victim"}, at(1, startOf(StageData), func() {
		second = w.backup(BackupOptions{Database: "victim"})
		other = w.backup(BackupOptions{Database: "origin"})
		if s := w.status(t, "victim"); s.State != "running" {
			t.Errorf("status: %+v", s)
		}
	})).ok(t)
	second.failed(t, fault.Running)
	other.ok(t)
	if len(w.list()) != 2 || w.status(t, "victim").State != "ok" {
		t.Errorf("%+v", w.list())
	}
}

// TestCancelledCreate: a CREATE DATABASE that was given up must not succeed
// on the server afterwards, when nobody is there any more to drop it.
func TestCancelledCreate(t *testing.T) {
	watch := connect(t, "")
	for i := range 16 { // cancelled ever later, until it has succeeded
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- pg.CreateDatabase(ctx, settings(), "given up", pg.DatabaseInfo{}) }()
		until(t, "CREATE DATABASE runs", func() bool {
			var n int
			err := watch.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CREATE DATABASE \"given up\"%' AND state = 'active'").Scan(&n)
			return err == nil && n == 1 || len(ended) == 1
		})
		for range i * i {
			if _, err := watch.Exec(t.Context(), "SELECT 1"); err != nil {
				t.Fatal(err)
			}
		}
		cancel()
		err := <-ended
		noSessions(t)
		if there := exists(t, "given up"); there != (err == nil) {
			t.Errorf("error %v, and the database is there: %v", err, there)
		}
		if err := pg.DropDatabase(t.Context(), settings(), "given up"); err != nil {
			t.Error(err)
		}
	}
}
