package vault

import (
	"bufio"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"pgvault/fault"
	"pgvault/vault/archive"
)

// jobWorld is a world whose vault can launch jobs with the real program.
func jobWorld(t *testing.T) (*world, *Vault) {
	t.Helper()
	w := newWorld(t)
	for _, e := range w.setUp(t) { // the runner inherits what this process has
		if k, v, _ := strings.Cut(e, "="); k == "XDG_STATE_HOME" || k == "HOME" {
			t.Setenv(k, v)
		}
	}
	state := w.path("state")
	t.Setenv("STATE_DIRECTORY", state)
	w.conf.Runner = []string{binary, "-c", w.path("config.toml")}
	t.Cleanup(func() { endJobs(t, w.vault()) })
	return w, w.vault()
}

// endJobs kills what a test left running, and waits for it: the test's
// folder is removed next.
func endJobs(t *testing.T, v *Vault) {
	jobs, err := v.Jobs(context.Background())
	if err != nil {
		t.Error(err)
	}
	for _, j := range jobs {
		if j.State == JobRunning {
			_ = syscall.Kill(j.PID, syscall.SIGKILL)
			until(t, "a runner that was killed has died", func() bool { return state(t, v, j.ID) != JobRunning })
		}
	}
}

func state(t *testing.T, v *Vault, id string) JobState {
	t.Helper()
	j, err := v.Job(id)
	if err != nil {
		t.Error(err)
	}
	return j.State
}

// watch follows a job to its end; hook sees each event first.
func watch(t *testing.T, v *Vault, id string, hook func(Event)) *tape {
	t.Helper()
	p := &tape{hook: hook}
	if err := v.Watch(t.Context(), id, p.sink); err != nil {
		t.Fatal(err)
	}
	dones := all[RunDone](p)
	if len(dones) != 1 {
		t.Fatalf("%d RunDone were watched", len(dones))
	}
	p.done, p.err = dones[0], dones[0].Err
	return p
}

// TestLaunchedBackup: a job of its own does what a run here does, and tells
// the same.
func TestLaunchedBackup(t *testing.T) {
	makeVictim(t, settings(), "victim")
	w, v := jobWorld(t)
	j, err := v.Launch(t.Context(), Order{Kind: KindBackup, Database: "victim", Tags: []string{"nightly"}}, Secrets{})
	if err != nil {
		t.Fatal(err)
	}
	if j.State != JobRunning && j.State != JobOK || j.Order.Database != "victim" || j.Archive == "" || j.Actor.By == "" {
		t.Errorf("%+v", j)
	}
	p := watch(t, v, j.ID, nil).ok(t)
	p.check(t)
	if n := len(all[TableDone](p)); n != 2*victimTables {
		t.Errorf("%d tables were told of", n)
	}
	until(t, "the job has ended", func() bool { return state(t, v, j.ID) == JobOK })
	if a := w.list()[0]; a.ID != p.done.ID || !slices.Equal(a.Tags, []string{"nightly"}) || a.Proof != ProofReadable {
		t.Errorf("%+v", a)
	}
	again := watch(t, v, j.ID[len(j.ID)-4:], nil)
	if len(all[TableDone](again)) != 2*victimTables || again.done.ID != p.done.ID {
		t.Errorf("the journal tells something else: %+v", again.done)
	}
}

// holdTable locks a table until the function it gives is called: no dump of
// the database gets beyond it.
func holdTable(t *testing.T, database string) func() {
	t.Helper()
	conn := connect(t, database)
	if _, err := conn.Exec(t.Context(), "BEGIN; LOCK TABLE public.t0 IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	return func() { conn.Close(context.Background()) }
}

// TestTwoLaunchesAtOnce: exactly one runs, and the other is told which.
func TestTwoLaunchesAtOnce(t *testing.T) {
	makeVictim(t, settings(), "victim")
	w, v := jobWorld(t)
	if err := v.Init(t.Context()); err != nil { // this is about databases, not about who makes the vault
		t.Fatal(err)
	}
	letGo := holdTable(t, "victim") // so that the first cannot end before the last was started
	const n = 4
	var wg sync.WaitGroup
	ids, errs := make([]string, n), make([]error, n)
	for i := range n {
		wg.Add(1)
		go func() {
			defer wg.Done()
			j, err := v.Launch(t.Context(), Order{Kind: KindBackup, Database: "victim"}, Secrets{})
			ids[i], errs[i] = j.ID, err
		}()
	}
	wg.Wait()
	running := ""
	for i, err := range errs {
		if err == nil {
			if running != "" {
				t.Fatal("two were started")
			}
			running = ids[i]
		}
	}
	for _, err := range errs {
		if err == nil {
			continue
		}
		if e := fault.As(err); e.Code != fault.Running || !strings.Contains(e.Why, running) {
			t.Errorf("%+v does not name %s", e, running)
		}
	}
	letGo()
	watch(t, v, running, nil).ok(t)
	if jobs, err := v.Jobs(t.Context()); err != nil || len(jobs) != 1 || len(w.list()) != 1 {
		t.Errorf("%d jobs, %d archives, %v", len(jobs), len(w.list()), err)
	}
}

// TestCancelledFromElsewhere: by another process than the runner.
func TestCancelledFromElsewhere(t *testing.T) {
	c := makeVictim(t, settings(), "victim")
	w, v := jobWorld(t)
	j, err := v.Launch(t.Context(), Order{Kind: KindBackup, Database: "victim"}, Secrets{})
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Cancel(t.Context(), j.ID); err != nil {
		t.Fatal(err)
	}
	p := watch(t, v, j.ID, nil)
	if p.done.Result != ResultCancelled || p.done.Exit != fault.Cancelled {
		t.Errorf("%+v", p.done)
	}
	fourLines(t, p.err)
	until(t, "the job has ended", func() bool { return state(t, v, j.ID) == JobCancelled })
	w.nothingMade(t, c, 0)
	if err := v.Cancel(t.Context(), j.ID); fault.CodeOf(err) != fault.Refused {
		t.Errorf("cancelled twice: %v", err)
	}
}

// TestStartThatFails: the runner's own error, in four lines.
func TestStartThatFails(t *testing.T) {
	_, v := jobWorld(t)
	_, err := v.Launch(t.Context(), Order{Kind: KindRestore, ID: "latest:origin", ToNew: "new"}, Secrets{})
	if fault.CodeOf(err) != fault.NoKey {
		t.Errorf("a restore without a key: %v", err)
	}
	fourLines(t, err)
	j, err := v.Launch(t.Context(), Order{Kind: KindBackup, Database: "absent"}, Secrets{})
	if err != nil {
		t.Fatal(err) // it had its lock; that the database is not there is found later
	}
	if p := watch(t, v, j.ID, nil); p.done.Result != ResultFailed {
		t.Errorf("%+v", p.done)
	}
	v.c.Runner = []string{filepath.Join(t.TempDir(), "absent")}
	if _, err := v.Launch(t.Context(), Order{Kind: KindBackup, Database: "x"}, Secrets{}); err == nil {
		t.Error("a program that is not there was started")
	} else {
		fourLines(t, err)
	}
	v.c.Runner = []string{binary, "-c", filepath.Join(t.TempDir(), "absent.toml")}
	_, err = v.Launch(t.Context(), Order{Kind: KindBackup, Database: "x"}, Secrets{})
	if err == nil {
		t.Fatal("a configuration that is not there was read")
	}
	fourLines(t, err)
}

// TestKilledRunner kills a runner with SIGKILL at several moments: it is
// shown as died, with where it was and what is left; nothing of it goes on.
func TestKilledRunner(t *testing.T) {
	c := makeVictim(t, settings(), "victim")
	// What follows the first table takes longer than its journal needs to tell of it.
	sqlAs(t, settings(), "victim", "CREATE TABLE z AS SELECT i AS id, md5(i::text) AS v FROM generate_series(1, 1000000) i")
	w, v := jobWorld(t)
	moments := []struct {
		name string
		at   func(Event) bool
		left string
	}{
		{"at once", func(Event) bool { return true }, "no archive was made"},
		{"in the data", func(e Event) bool { d, ok := e.(TableDone); return ok && d.Stage == StageData }, "no archive was made"},
		{"in the read back", func(e Event) bool { s, ok := e.(StageStarted); return ok && s.Stage == StageReadBack }, "is there, whole"},
	}
	for _, m := range moments {
		j, err := v.Launch(t.Context(), Order{Kind: KindBackup, Database: "victim"}, Secrets{})
		if err != nil {
			t.Fatalf("%s: %v", m.name, err)
		}
		killed := false
		p := watch(t, v, j.ID, func(e Event) {
			if !killed && m.at(e) {
				killed = true
				_ = syscall.Kill(j.PID, syscall.SIGKILL)
			}
		})
		dead, err := v.Job(j.ID)
		if err != nil || dead.State == JobRunning {
			t.Errorf("%s: %+v, %v", m.name, dead, err)
		}
		if dead.State == JobDied && (p.done.Result != ResultFailed || dead.Ended.Before(dead.Started)) {
			t.Errorf("%s: %+v, ended %v", m.name, p.done, dead.Ended)
		}
		if dead.State == JobDied {
			fourLines(t, p.err)
			if e := fault.As(p.err); !strings.Contains(e.What, "died") || !strings.Contains(e.Left, m.left) {
				t.Errorf("%s: %+v", m.name, e)
			}
		} else if m.name != "in the read back" {
			t.Errorf("%s: it ended before it was killed", m.name)
		}
		until(t, "pg_dump has gone with its runner", func() bool { return len(children(t, j.PID)) == 0 && len(orphans(t, w)) == 0 })
		noSessions(t)
	}
	c.absent(t, w.dir)
	j, err := v.Launch(t.Context(), Order{Kind: KindBackup, Database: "victim"}, Secrets{})
	if err != nil {
		t.Fatal(err)
	}
	watch(t, v, j.ID, nil).ok(t)
}

// TestKilledRestore: what a dead restore leaves is named, and holds nothing
// in the server.
func TestKilledRestore(t *testing.T) {
	makeVictim(t, settings(), "victim")
	w, v := jobWorld(t)
	w.backup(BackupOptions{Database: "victim"}).ok(t)
	dropAfter(t, "new")
	j, err := v.Launch(t.Context(), Order{Kind: KindRestore, ID: "latest:victim", ToNew: "new"}, Secrets{Files: w.ids.Files})
	if err != nil {
		t.Fatal(err)
	}
	p := watch(t, v, j.ID, func(e Event) {
		if s, ok := e.(StageStarted); ok && s.Stage == StageCreate {
			_ = syscall.Kill(j.PID, syscall.SIGKILL)
		}
	})
	fourLines(t, p.err)
	if e := fault.As(p.err); state(t, v, j.ID) != JobDied || !strings.Contains(e.Left, "database new") {
		t.Errorf("%+v", e)
	}
	until(t, "its programs have gone", func() bool { return len(children(t, j.PID)) == 0 && len(orphans(t, w)) == 0 })
	noSessions(t)
	list, tr, err := v.Activity(t.Context(), 1)
	if err != nil || tr.Broken != 0 || len(list) != 1 || list[0].Result != string(JobDied) || list[0].What != "victim > new" || list[0].Job != j.ID {
		t.Errorf("%+v, %+v, %v", list, tr, err)
	}
}

// TestForegroundIsAJob: what runs in a terminal, or from cron, can be seen
// and cancelled like any other.
func TestForegroundIsAJob(t *testing.T) {
	makeVictim(t, settings(), "victim")
	w, other := jobWorld(t)
	p := &tape{}
	var seen []Job
	p.hook = func(e Event) {
		if d, ok := e.(TableDone); ok && d.Stage == StageData && seen == nil {
			seen, _ = other.Jobs(t.Context())
			if err := other.Cancel(t.Context(), seen[0].ID); err != nil {
				t.Error(err)
			}
		}
	}
	p.err = w.vault().RunBackup(t.Context(), BackupOptions{Database: "victim"}, p.sink)
	p.check(t)
	if len(seen) != 1 || seen[0].State != JobRunning || seen[0].PID != os.Getpid() || p.done.Result != ResultCancelled {
		t.Errorf("%+v, %+v", seen, p.done)
	}
	if got := watch(t, other, seen[0].ID, nil); got.done.Result != ResultCancelled || len(all[TableDone](got)) == 0 {
		t.Errorf("%+v", got.done)
	}
}

// TestAdviceIsInTheJournal: what the launcher knows of this host is told
// after the run's first event, once.
func TestAdviceIsInTheJournal(t *testing.T) {
	create(t, "origin", "")
	w := newWorld(t)
	v := w.vault()
	advice := Notice{Level: "info", Text: "loginctl enable-linger", At: time.Now()}
	do := advised(v.backupWork(BackupOptions{Database: "origin"}), advice)
	if err := v.runJob(t.Context(), Order{Kind: KindBackup, Database: "origin"}, Actor{}, nil, nil, do); err != nil {
		t.Fatal(err)
	}
	jobs, err := v.Jobs(t.Context())
	if err != nil || len(jobs) != 1 {
		t.Fatalf("%+v, %v", jobs, err)
	}
	p := &tape{}
	if err := v.Log(t.Context(), jobs[0].ID, p.sink); err != nil {
		t.Fatal(err)
	}
	if n, ok := p.events[1].(Notice); !ok || n.Text != advice.Text {
		t.Errorf("the second event is %+v", p.events[1])
	}
	if n := slices.IndexFunc(p.events[2:], func(e Event) bool { n, ok := e.(Notice); return ok && n.Text == advice.Text }); n >= 0 {
		t.Error("it was told twice")
	}
}

// TestRunWithoutAFolder: a verification goes on where no state can be
// written, and says that it has no journal.
func TestRunWithoutAFolder(t *testing.T) {
	create(t, "origin", "")
	w := newWorld(t)
	w.backup(BackupOptions{Database: "origin"}).ok(t)
	w.write("file", "")
	w.conf.StateDir = w.path("file")
	p := &tape{}
	p.err = w.vault().RunVerify(t.Context(), VerifyOptions{ID: "latest:origin", Level: ProofIntact}, p.sink)
	p.check(t)
	p.ok(t)
	if !slices.ContainsFunc(all[Notice](p), func(n Notice) bool { return strings.Contains(n.Text, "no journal") }) {
		t.Error("nobody was told")
	}

	// The trail is told where only the folders of jobs cannot be made.
	w.write("state/jobs", "")
	w.conf.StateDir = w.path("state")
	v := w.vault()
	if err := v.RunVerify(t.Context(), VerifyOptions{ID: "latest:origin", Level: ProofIntact}, nil); err != nil {
		t.Fatal(err)
	}
	c, err := v.trail().check()
	if err != nil || len(c.entries) != 1 || c.entries[0].Kind != "verify" || c.entries[0].Result != "ok" || c.entries[0].Job != "" {
		t.Errorf("%v, %v", c, err)
	}
}

// TestSecretsOfAJob: a passphrase reaches the runner, and is found nowhere
// else: in no argument, no environment, no file.
func TestSecretsOfAJob(t *testing.T) {
	makeVictim(t, settings(), "victim")
	w, v := jobWorld(t)
	w.backup(BackupOptions{Database: "victim"}).ok(t)
	const passphrase = "PASS-tamarind-orbit-89"
	pasted, err := archive.MakeIdentity(false)
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(strings.TrimSpace(pasted.Secret()), "\n")
	secret := regexp.MustCompile(regexp.QuoteMeta(passphrase) + "|" + regexp.QuoteMeta(line))
	looked := 0
	look := func(pid int) {
		for _, name := range []string{"cmdline", "environ"} {
			src, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), name))
			if err == nil && len(src) > 0 {
				looked++
			}
			if secret.Match(src) {
				t.Errorf("%s of the runner holds the secret", name)
			}
		}
	}
	j, err := v.Launch(t.Context(), Order{Kind: KindVerify, ID: "latest:victim", Level: ProofReadable},
		Secrets{Files: []string{w.path("duty")}, Passphrases: map[string]string{w.path("duty"): passphrase}, Texts: []string{pasted.Secret()}})
	if err != nil {
		t.Fatal(err)
	}
	look(j.PID)
	watch(t, v, j.ID, func(Event) { look(j.PID) }).ok(t)
	if looked == 0 {
		t.Error("the runner was never seen")
	}
	err = filepath.WalkDir(w.dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		for s := bufio.NewScanner(f); s.Scan(); {
			if secret.Match(s.Bytes()) {
				t.Errorf("%s holds the secret", path)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
