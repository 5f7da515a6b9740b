package tui

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"pgvault/fault"
	"pgvault/vault"
)

// opening are the first events of a run of three stages.
func opening(kind vault.Kind, s vault.Sink) {
	s(vault.RunStarted{Kind: kind, ID: "20260904-new", Database: "shop", Stages: []vault.Stage{vault.StagePreflight, vault.StageData, vault.StageSeal}, At: clockAt.Add(-5 * time.Minute)})
	s(vault.StageStarted{Stage: vault.StagePreflight, At: clockAt.Add(-5 * time.Minute)})
	s(vault.StageDone{Stage: vault.StagePreflight, Seconds: 1})
	s(vault.StageStarted{Stage: vault.StageData, At: clockAt.Add(-299 * time.Second)})
}

// running is a backup that was launched here and stands at 43 % of an
// estimate.
func running(t *testing.T, w, h int, o Options) *rig {
	d := sampleDesk()
	d.watch = func(ctx context.Context, id string, s vault.Sink) error {
		opening(vault.KindBackup, s)
		for i := range 40 {
			s(vault.TableDone{Stage: vault.StageData, Name: fmt.Sprintf("public.t%02d", i), State: vault.StateDone, Rows: 1000, Bytes: 1 << 20})
		}
		p := vault.Progress{Stage: vault.StageData, Rows: 3500000, RowsTotal: 8390000, Bytes: 1 << 30, Stored: 300 << 20, Tables: 50, TablesDone: 40, Estimate: "from the run of 28 Aug", At: clockAt.Add(-8 * time.Second)}
		s(p)
		s(vault.Notice{Level: "warning", Text: "slow " + hostile, At: clockAt})
		s(vault.StageDone{Stage: "unknown to the list"})
		p.Rows, p.Bytes, p.At = 3601877, p.Bytes+100<<20, clockAt
		p.Active = []vault.Table{{Name: "public." + hostile, State: vault.StateRunning, Rows: 2900412, RowsTotal: 7000000, Bytes: 900 << 20}}
		s(p)
		return wait(ctx, id, s)
	}
	r := onBackups(t, d, o, w, h)
	r.keys("b")
	r.settle()
	r.keys("enter")
	r.until("progress", func() bool { return r.m.job != nil && r.m.job.progress.Rows == 3601877 })
	r.settle()
	return r
}

// compared is a restore that ended with one table that differs.
func compared(t *testing.T, w, h int, o Options) *rig {
	d := sampleDesk()
	d.watch = func(_ context.Context, _ string, s vault.Sink) error {
		s(vault.RunStarted{Kind: vault.KindRestore, ID: "20260904-7f30", Database: "shop", Target: "shop__r", Stages: []vault.Stage{vault.StageCreate, vault.StageCompare}})
		s(vault.StageStarted{Stage: vault.StageCompare})
		for i := range 30 {
			n := vault.TableDone{Stage: vault.StageCompare, Name: fmt.Sprintf("public.t%02d", i), State: vault.StateEqual, Rows: 1000, RowsExpected: 1000}
			if i == 20 {
				n.Name, n.State, n.Rows, n.Note = "public.sessions", vault.StateDiffers, 994, "unique index refused rows "+hostile
			}
			s(n)
		}
		err := &fault.Error{What: "1 of 30 tables differs", Why: hostile, Left: "shop__r is complete but for 6 rows", Do: "look at it", Code: fault.Differs}
		s(vault.RunDone{
			Kind: vault.KindRestore, Result: vault.ResultFailed, Exit: fault.Differs, TablesEqual: 29, TablesTotal: 30, Err: err,
			Differences: []vault.Difference{{Table: "public.sessions", RowsExpected: 1000, RowsFound: 994, Why: "6 rows fewer"}, {Table: "sequence public.s_seq", Why: "stands at 5, not 9"}},
		})
		return nil
	}
	r := planned(t, d, w, h, o)
	r.keys("enter")
	r.until("the report", func() bool { return r.m.job != nil && r.m.job.done != nil })
	r.settle()
	return r
}

// failed is a backup that was refused.
func failed(t *testing.T, w, h int, o Options) *rig {
	d := sampleDesk()
	d.dbs = []string{"shop"}
	d.watch = func(_ context.Context, _ string, s vault.Sink) error {
		opening(vault.KindBackup, s)
		err := &fault.Error{What: "refused: needs 212 GiB", Why: "188 GiB are free on " + hostile, Left: "nothing was written", Do: "free space", Code: fault.NoSpace}
		s(vault.RunDone{Kind: vault.KindBackup, Result: vault.ResultFailed, Exit: fault.NoSpace, Err: err})
		return nil
	}
	r := onBackups(t, d, o, w, h)
	r.keys("b")
	r.settle()
	r.keys("enter")
	r.until("the report", func() bool { return r.m.job != nil && r.m.job.done != nil })
	r.settle()
	return r
}

// planned stands on the plan of the restore guide.
func planned(t *testing.T, d *fakeDesk, w, h int, o Options) *rig {
	o.Identity = []string{"/root/key"}
	r := onBackups(t, d, o, w, h)
	r.keys("r")
	r.settle()
	for _, step := range []string{"where", "checks", "plan"} {
		r.keys("enter")
		r.settle()
		if p, ok := r.m.page().(*guidePage); !ok || p.s.Step().Key != step {
			break // what is refused stays on its step
		}
	}
	return r
}

// asked is a verify whose first identity is encrypted: the screen asks for
// its passphrase before it launches anything.
func asked(t *testing.T, w, h int, o Options) *rig {
	d := sampleDesk()
	d.try = func(ids vault.Identities) error {
		if ids.Files[0] != "/root/key" {
			return &fault.Error{What: "another key", Code: fault.NoKey}
		}
		got, err := ids.Passphrase("passphrase of " + hostile)
		if err == nil && got != "ge heim" {
			err = errors.New("wrong passphrase")
		}
		return err
	}
	o.Identity = []string{"/root/key", "/root/other"}
	r := onBackups(t, d, o, w, h)
	r.keys("v", "down", "enter")
	r.until("the question", func() bool { _, ok := r.m.top().(*passphrase); return ok })
	return r
}

func TestBackupIsShownLive(t *testing.T) {
	r := running(t, 80, 24, Options{})
	r.wants("BACKUP shop", "5m 00s so far", "1 preflight ok > 2 DATA > 3 seal", "~42%", "min left", "3 601 877 of ~8 390 000 rows",
		"40 of 50 tables", "12 734 rows/s", "12.5 MiB/s now", "~ estimated from the run of 28 Aug", "~7 000 000", "~41%", "! slow ev", "x cancel...")
	if o := r.d.orders; len(o) != 1 || o[0].Kind != vault.KindBackup || o[0].Database != "shop" {
		t.Errorf("%+v", o)
	}
	r.wants("[3 Activity]", "This job runs by itself: you may leave (q)", "by dba-1")
	lines := strings.Split(r.screen(), "\n")
	for i, l := range lines {
		if strings.Contains(l, "TABLE ") && !strings.HasPrefix(lines[i+1], " >") {
			t.Errorf("the running table is not on top: %q", lines[i+1])
		}
	}
	if v := r.m.View(); v.ProgressBar == nil || v.ProgressBar.Value != 42 {
		t.Errorf("taskbar: %+v", v.ProgressBar)
	}
	r.keys("l")
	r.wants("! slow ev")
	r.keys("esc")
	r.wants("STARTED", "1 running", "~ 42%")
	if r.m.job != nil {
		t.Error("the job is followed although its page is left")
	}
	r.keys("2", "b")
	r.settle()
	r.keys("enter")
	r.wants("already running: shop backup, started by dba-1; this is it", "BACKUP shop")
	if len(r.d.orders) != 1 {
		t.Errorf("launched twice: %+v", r.d.orders)
	}
}

func TestCancelAsksWithTheFocusOnKeeping(t *testing.T) {
	r := running(t, 80, 24, Options{})
	before := len(r.d.calls())
	r.keys("x", "enter", "x", "tab", "esc")
	r.settle()
	if len(r.d.calls()) != before || len(r.m.dialogs) > 0 {
		t.Fatalf("%v", r.d.calls())
	}
	r.keys("x", "tab", "enter")
	r.settle()
	if got := r.d.calls(); got[len(got)-1] != "cancel "+r.m.job.ref {
		t.Fatalf("%v", got)
	}
	r.wants("cancelling: the job ends its work", "it was told to end")
	r.keys("x")
	r.wants("it is being cancelled already")
}

func TestAQuestionAboutAJobThatEndsGoesAway(t *testing.T) {
	r := running(t, 80, 24, Options{})
	r.keys("x")
	r.update(eventsMsg{r.m.job, []vault.Event{vault.RunDone{Kind: vault.KindBackup, Result: vault.ResultOK}}})
	r.lacks("Keep running")
	r.keys("x")
	r.wants("the job has ended")
}

func TestLeavingAsksNothingAndSaysWhatGoesOn(t *testing.T) {
	d := sampleDesk()
	d.setJobs(wikiJob())
	for _, key := range []string{"q", "ctrl+c"} {
		r := newRig(t, d, Options{}, 80, 24)
		r.keys(key)
		r.until("the end", func() bool { return r.quit })
		want := "wiki backup goes on (~42%). Look again: pgvault   Stop: pgvault job cancel 7f3a"
		if got := farewell(r.m.th, r.m.know, r.m.o.Command); got != want {
			t.Errorf("%q", got)
		}
	}
	if len(d.calls()) > 0 {
		t.Errorf("leaving did %v", d.calls())
	}
}

func TestLeavingWithoutARun(t *testing.T) {
	r := newRig(t, sampleDesk(), Options{}, 80, 24)
	for range 5 {
		r.keys("esc")
	}
	if r.quit {
		t.Fatal("Esc left")
	}
	r.keys("q")
	r.until("the end", func() bool { return r.quit })
}

func TestFailureHasFourLines(t *testing.T) {
	r := failed(t, 80, 24, Options{})
	r.wants("x failed", "exit code 16", "what  refused: needs 212 GiB", "why   188 GiB are free on", "ev\\x1b[2Jil\\u{202e}", "left  nothing was written", "do    free space", "2 data x")
	if r.m.View().ProgressBar != nil {
		t.Error("a progress bar after the end")
	}
}

func TestVerifyAsksForThePassphrase(t *testing.T) {
	r := asked(t, 80, 24, Options{})
	r.keys("?", "q", "ctrl+u")
	r.typeText("ge ")
	r.update(tea.PasteMsg{Content: "heim\n"})
	r.wants("*******")
	r.lacks("heim")
	r.keys("enter")
	r.until("the job", func() bool { return r.m.job != nil })
	r.lacks("heim")
	o, s := r.d.orders[0], r.d.secrets[0]
	if o.Kind != vault.KindVerify || o.ID != r.d.list[0].ID || o.Level != vault.ProofReadable {
		t.Errorf("%+v", o)
	}
	if fmt.Sprint(s.Files) != "[/root/key]" || s.Passphrases["/root/key"] != "ge heim" {
		t.Errorf("%+v", s)
	}
	r.keys("Y")
	r.until("a copy", func() bool { return r.copied != "" })
	if want := "pgvault verify " + r.d.list[0].ID + " --level readable"; r.copied != want {
		t.Errorf("%q", r.copied)
	}
}

func TestPassphraseCanBeRefused(t *testing.T) {
	r := asked(t, 80, 24, Options{})
	r.keys("esc")
	r.settle()
	r.wants("no identity opens this archive", "what  another key")
	if len(r.d.orders) > 0 {
		t.Errorf("launched: %+v", r.d.orders)
	}
}

func TestVerifyNeedsAnIdentity(t *testing.T) {
	r := onBackups(t, sampleDesk(), Options{}, 80, 24)
	r.keys("v", "down", "enter")
	r.wants("readable needs an identity")
	r.keys("up", "enter")
	r.settle()
	r.until("the job", func() bool { return r.m.job != nil })
	if o := r.d.orders[0]; o.Level != vault.ProofIntact || len(r.d.secrets[0].Files) > 0 {
		t.Errorf("%+v", o)
	}
}

func TestAJobThatCannotBeFollowedSaysSo(t *testing.T) {
	d := sampleDesk()
	d.setJobs(wikiJob())
	d.watch = func(_ context.Context, _ string, s vault.Sink) error {
		opening(vault.KindBackup, s)
		return errors.New("the journal is gone")
	}
	r := newRig(t, d, Options{}, 80, 24)
	r.keys("3", "enter")
	r.until("the loss", func() bool { return r.m.job.lost != nil })
	r.wants("it can no longer be followed: the journal is gone", "The job itself may go on")
}

func TestLaunchThatFailsHasFourLines(t *testing.T) {
	d := sampleDesk()
	d.start = &fault.Error{What: "the runner did not start", Why: "no space", Left: "nothing", Do: "free some", Code: fault.NoSpace}
	r := onBackups(t, d, Options{}, 80, 24)
	r.keys("b")
	r.settle()
	r.keys("enter")
	r.settle()
	r.wants("the backup was not started", "exit code 16", "what  the runner did not start", "do    free some")
}

// TestTheSecondStartJoinsTheFirst: somebody else was faster, and the screen
// learns it from the refusal.
func TestTheSecondStartJoinsTheFirst(t *testing.T) {
	d := sampleDesk()
	d.dbs = []string{"wiki"}
	d.start = &fault.Error{What: "already running", Code: fault.Running}
	r := onBackups(t, d, Options{}, 80, 24)
	r.keys("b")
	r.settle()
	d.setJobs(wikiJob())
	r.poll()
	r.keys("enter")
	r.wants("already running: wiki backup, started by timer", "BACKUP wiki")
}

func TestComparisonTable(t *testing.T) {
	r := compared(t, 80, 30, Options{})
	r.wants("IN BACKUP", "RESTORED", "DIGEST", "29 of 30 tables equal, 1 not", "exit code 5", "x 6 rows fewer", "unique index refused rows", "public.t00")
	s := r.screen()
	if strings.Index(s, "public.sessions") > strings.Index(s, "public.t00") || strings.Index(s, "sequence public.s_seq") > strings.Index(s, "public.t00") {
		t.Error("differences are not first")
	}
	r.wants("stands at 5, not 9")
	r.keys("d")
	r.wants("public.sessions")
	r.lacks("public.t00")
	r.keys("a")
	r.wants("public.t00")
	r.keys("G")
	r.wants("public.t29")
}

func TestKeysThatCannotActSayWhy(t *testing.T) {
	r := onBackups(t, sampleDesk(), Options{}, 80, 24)
	r.keys("G", "r")
	r.wants("x damaged", "damaged, so nothing is restored from it: part 2 on disk")
	r.keys("%")
	r.wants("% does nothing here; ? lists the keys")
	ro := onBackups(t, sampleDesk(), Options{ReadOnly: true}, 80, 24)
	for _, k := range []string{"b", "v", "r", "m", "D"} {
		ro.keys(k)
		ro.wants("read only (--read-only): nothing is started")
	}
	if len(ro.m.dialogs) > 0 {
		t.Error("read only opened a dialog")
	}
}

// TestWhoMayNotActIsTold: a member of the group sees all, and each key that
// changes something says whose vault it is.
func TestWhoMayNotActIsTold(t *testing.T) {
	d := sampleDesk()
	why := "You are dba-2; the vault belongs to pgvault. sudo -u pgvault pgvault"
	d.access = &vault.Access{User: "dba-2", Owner: "pgvault", System: true, Why: why}
	d.setJobs(wikiJob())
	r := newRig(t, d, Options{}, 80, 24)
	for _, k := range []string{"b", "r", "v", "2", "b", "v", "r", "m", "D", "3", "x", "b"} {
		r.keys(k)
		if k != "2" && k != "3" {
			r.wants("read only", why[:60])
		}
	}
	r.keys("enter")
	r.until("the view", func() bool { return r.m.job != nil })
	r.keys("x")
	r.wants(why[:60])
	if len(d.calls()) > 0 {
		t.Errorf("%v", d.calls())
	}
}

func TestFilterLive(t *testing.T) {
	r := onBackups(t, sampleDesk(), Options{}, 80, 24)
	r.keys("/")
	r.typeText("is:dam")
	r.wants("1 of 6 shown", "x damaged")
	r.keys("enter", "esc")
	r.wants("6 archives", "all 6 shown")
	r.keys("/")
	r.typeText("proof:none db:shop")
	r.wants(`nothing matches "proof:none db:shop". Esc shows all 6.`)
	r.keys("esc", "/")
	r.typeText("age:x")
	r.wants("! age:x: say age:>7d")
}

func TestHelpSearchesAndRuns(t *testing.T) {
	r := onBackups(t, sampleDesk(), Options{}, 80, 24)
	r.keys("?")
	r.wants("Keys here", "type to search")
	r.typeText("utc")
	r.keys("enter")
	r.wants("12:07 UTC")
	r.keys("?")
	r.typeText("no such thing")
	r.wants("no key does that here")
	r.keys("enter")
	r.wants("no line is left")
}

func TestEmptyAndUnreadable(t *testing.T) {
	newRig(t, &fakeDesk{}, Options{}, 80, 24).wants("No backups yet. b makes the first one")
	onBackups(t, &fakeDesk{}, Options{}, 80, 24).wants("No backups yet. b makes the first one")
	r := everyScreen["unreadable"](t, 80, 24, Options{})
	r.wants("the vault could not be read", "what  no vault", "do    init")
	r.d.listErr, r.d.list = nil, sampleDesk().list
	r.keys("R")
	r.settle()
	r.wants("6 archives")
	r.d.listErr = errors.New("gone")
	r.keys("R")
	r.settle()
	r.wants("! the list could not be read again: gone", "6 archives, newest first, as of just now")
}

func TestMouse(t *testing.T) {
	r := onBackups(t, sampleDesk(), Options{Mouse: true}, 80, 24)
	r.update(tea.MouseClickMsg{X: 10, Y: 7, Button: tea.MouseLeft})
	if r.m.archives.sel != 2 {
		t.Errorf("click chose row %d:\n%s", r.m.archives.sel, r.screen())
	}
	r.update(tea.MouseWheelMsg{Button: tea.MouseWheelUp})
	if r.m.archives.sel != 1 {
		t.Errorf("wheel went to %d", r.m.archives.sel)
	}
	line := strings.Split(r.screen(), "\n")[23]
	r.update(tea.MouseClickMsg{X: strings.Index(line, "? help") + 1, Y: 23, Button: tea.MouseLeft})
	r.wants("Keys here")
	r.update(tea.MouseClickMsg{X: 5, Y: 7, Button: tea.MouseLeft})
	if got := r.m.top().(*help).sel; got != 3 {
		t.Errorf("line %d of the help", got)
	}
	r.keys("esc", "M")
	if r.m.View().MouseMode != tea.MouseModeNone {
		t.Error("M leaves the mouse on")
	}
}

func TestCopyAndTitle(t *testing.T) {
	r := onBackups(t, sampleDesk(), Options{}, 80, 24)
	r.keys("y")
	r.until("a copy", func() bool { return r.copied != "" })
	if r.copied != r.d.list[0].ID {
		t.Errorf("%q", r.copied)
	}
	r.wants("copied " + r.d.list[0].ID)
	if got := r.m.View().WindowTitle; got != "pgvault db1.example.org vault main [PROD]" {
		t.Errorf("%q", got)
	}
}

func TestLateAnswersAreDropped(t *testing.T) {
	r := onBackups(t, sampleDesk(), Options{}, 80, 24)
	old := r.m.op + 1
	r.m.newOp("asking")
	r.keys("esc")
	r.wants("stopped asking")
	r.update(databasesMsg{op: old, names: []string{"shop"}})
	r.update(databasesMsg{op: old, err: errors.New("late")})
	if len(r.m.dialogs) > 0 {
		t.Error("an answer nobody waits for opened a dialog")
	}
}

// TestResizeWhileItRuns: the page of a run goes through every size and comes
// back as it was.
func TestResizeWhileItRuns(t *testing.T) {
	r := running(t, 80, 24, Options{})
	want := r.screen()
	for w := 1; w <= 120; w += 7 {
		for h := 1; h <= 40; h += 3 {
			r.update(tea.WindowSizeMsg{Width: w, Height: h})
		}
	}
	r.update(tea.WindowSizeMsg{Width: 30, Height: 8})
	r.wants("BACKUP shop", "2/3 DATA", "~42%")
	r.update(tea.WindowSizeMsg{Width: 80, Height: 24})
	if got := r.screen(); got != want {
		t.Errorf("after resizing:\n%s\nbefore:\n%s", got, want)
	}
}

func TestUnknownTotalShowsNoPercentage(t *testing.T) {
	j := newJob(vault.Order{Kind: vault.KindBackup, Database: "shop"}, clockAt)
	opening(vault.KindBackup, func(e vault.Event) { j.apply(e, clockAt) })
	for i := range 5 {
		j.apply(vault.Progress{Stage: vault.StageData, Rows: int64(i) * 1000, Bytes: int64(i) << 20, At: clockAt.Add(time.Duration(i) * time.Second)}, clockAt)
	}
	e := env{th: theme{}, now: clockAt, loc: time.UTC, know: &known{}, w: 80, h: 20}
	s := strings.Join(newJobPage(j).view(e).lines, "\n")
	if strings.Contains(s, "%") || strings.Contains(s, "left") || strings.Contains(s, "█") {
		t.Errorf("a percentage out of nothing:\n%s", s)
	}
	if !strings.Contains(s, "4m 59s, total not known") || !strings.Contains(s, "4 000 rows   4.0 MiB passed   1 000 rows/s   1.0 MiB/s now") {
		t.Errorf("the counters are missing:\n%s", s)
	}
}

func TestLateProgressOfAnOlderStageIsIgnored(t *testing.T) {
	j := newJob(vault.Order{Kind: vault.KindBackup, Database: "shop"}, clockAt)
	opening(vault.KindBackup, func(e vault.Event) { j.apply(e, clockAt) })
	j.apply(vault.TableDone{Stage: vault.StageData, Name: "t", State: vault.StateDone, Rows: 7}, clockAt)
	j.apply(vault.Progress{Stage: vault.StageData, Active: []vault.Table{{Name: "t", State: vault.StateRunning, Rows: 3}}}, clockAt)
	if s := j.tables["t"]; s.State != vault.StateDone || s.Rows != 7 {
		t.Errorf("a table that ended runs again: %+v", s)
	}
	j.apply(vault.StageStarted{Stage: vault.StageSeal}, clockAt)
	j.apply(vault.Progress{Stage: vault.StageData, Rows: 99, RowsTotal: 100}, clockAt)
	if j.progress.Rows != 0 || len(j.order) != 1 {
		t.Errorf("%+v, %d tables", j.progress, len(j.order))
	}
}
