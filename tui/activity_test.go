package tui

import (
	"context"
	"strings"
	"testing"
	"time"

	"pgvault/fault"
	"pgvault/vault"
)

func onActivity(t *testing.T, d *fakeDesk) *rig {
	r := newRig(t, d, Options{}, 80, 24)
	r.keys("3")
	return r
}

func TestActivityListsWhoeverStartedIt(t *testing.T) {
	d := sampleDesk()
	d.setJobs(wikiJob())
	r := onActivity(t, d)
	r.wants("1 running, 4 in the last 7 days", "timer  ~ 42%", "21m 38s", "ok  48 210 114 rows", "x refused: no space", "- cancelled", "! missed: no good back", "dba-1", "shop .. > 7")
	lines := strings.Split(r.screen(), "\n")
	if !strings.Contains(lines[5], "wiki") || !strings.HasPrefix(lines[5], " >") {
		t.Errorf("the running job is not on top: %q", lines[5])
	}
	r.wants("now     data ~42%, 3 601 877 rows so far", "by      pgvault, by timer")
	r.keys("j", "j", "j")
	r.wants("by      dba-1 as pgvault from 192.0.2.7, by cli")
	r.keys("enter")
	r.wants("there is no job behind this line")
}

// TestActivitySeesRunsOthersStart: a look at the jobs is enough, and the
// activity is read again because of it.
func TestActivitySeesRunsOthersStart(t *testing.T) {
	d := sampleDesk()
	r := onActivity(t, d)
	r.lacks("wiki      timer")
	d.setJobs(wikiJob())
	r.poll()
	r.wants("1 running", "wiki", "~ 42%")
	ended := wikiJob()
	ended.State, ended.Ended = vault.JobDied, clockAt
	d.health.Databases = d.health.Databases[:1]
	d.setJobs(ended)
	r.poll()
	r.wants("0 running", "x died at ~42%")
	r.keys("1")
	r.wants("1 of 1 database could lose")
}

func TestActivityFourLinesOfAFailure(t *testing.T) {
	d := sampleDesk()
	j := vault.Job{ID: "20260903T230012Z-bbbb", State: vault.JobFailed, Order: vault.Order{Kind: vault.KindBackup, Database: "analytics"}, Started: clockAt.Add(-13 * time.Hour), Ended: clockAt.Add(-13*time.Hour + 3*time.Second),
		Done: &vault.RunDone{Exit: fault.NoSpace, Result: vault.ResultFailed, Err: &fault.Error{What: "refused before starting", Why: "212 GiB are needed", Left: "nothing was written", Do: "free space", Code: fault.NoSpace}}}
	d.setJobs(j)
	r := onActivity(t, d)
	r.keys("f")
	r.wants("failures only", "3 of 5 shown")
	r.lacks("48 210 114 rows")
	r.wants("exit code 16", "what  refused before starting", "why   212 GiB are needed", "left  nothing was written", "do    free space")
	r.keys("f")
	r.wants("48 210 114 rows")
}

func TestActivityFilterAndKeys(t *testing.T) {
	d := sampleDesk()
	d.setJobs(wikiJob())
	r := onActivity(t, d)
	r.keys("x")
	r.wants("cancel the wiki backup?", "[ Keep running ]", "Started by pgvault, by timer.")
	r.keys("esc", "/")
	r.typeText("backup !wiki")
	r.wants("2 of 6 shown")
	r.keys("enter", "x")
	r.wants("this job has ended; there is nothing to cancel")
	r.keys("y")
	r.until("a copy", func() bool { return r.copied == "20260904T000012Z-aaaa" })
	r.keys("Y")
	r.until("a command", func() bool { return r.copied == "pgvault job watch 20260904T000012Z-aaaa" })
	r.keys("esc", "esc")
	r.wants("nothing to go back to; q leaves")
}

func TestActivityReplaysAFinishedJob(t *testing.T) {
	d := sampleDesk()
	var asked string
	d.watch = func(_ context.Context, id string, s vault.Sink) error {
		asked = id
		opening(vault.KindBackup, s)
		s(vault.TableDone{Stage: vault.StageData, Name: "public.orders", State: vault.StateDone, Rows: 77, Bytes: 1 << 20})
		s(vault.RunDone{Kind: vault.KindBackup, Result: vault.ResultOK, Database: "shop", Tables: 1, Rows: 77, Bytes: 1 << 20, Seconds: 1298, Proof: vault.ProofReadable})
		return nil
	}
	r := onActivity(t, d)
	r.keys("enter")
	r.until("the end", func() bool { return r.m.job != nil && r.m.job.done != nil })
	r.settle()
	r.wants("took 21m 38s", "ok", "readable: decrypted", "public.orders")
	if asked != "20260904T000012Z-aaaa" {
		t.Errorf("watched %q", asked)
	}
	if r.m.View().ProgressBar != nil {
		t.Error("a progress bar after the end")
	}
}

func TestABrokenTrailIsTheHeadline(t *testing.T) {
	d := sampleDesk()
	d.trail = vault.Trail{Lines: 90, Broken: 41}
	r := newRig(t, d, Options{}, 80, 24)
	want := "x the audit trail is broken at line 41: it was changed, cut or reordered"
	r.wants(want)
	r.keys("3")
	r.wants(want)
}

func TestProgressBarWhileAJobRuns(t *testing.T) {
	d := sampleDesk()
	d.setJobs(wikiJob())
	r := newRig(t, d, Options{}, 80, 24)
	if b := r.m.View().ProgressBar; b == nil || b.Value != 42 {
		t.Errorf("%+v", b)
	}
	d.setJobs()
	r.poll()
	if r.m.View().ProgressBar != nil {
		t.Error("a progress bar without a job")
	}
}
