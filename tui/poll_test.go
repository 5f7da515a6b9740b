package tui

import (
	"testing"
	"time"

	"pgvault/vault"
)

func TestJobChanges(t *testing.T) {
	job := func(id string, s vault.JobState) vault.Job { return vault.Job{ID: id, State: s} }
	run, ok := job("a", vault.JobRunning), job("a", vault.JobOK)
	for _, c := range []struct {
		name          string
		before, after []vault.Job
		began, ended  bool
	}{
		{"nothing", []vault.Job{run}, []vault.Job{run}, false, false},
		{"began", nil, []vault.Job{run}, true, false},
		{"ended", []vault.Job{run}, []vault.Job{ok}, false, true},
		{"began and ended between two looks", nil, []vault.Job{ok}, true, true},
		{"an old one is forgotten", []vault.Job{ok}, nil, false, false},
		{"ended long ago", []vault.Job{ok}, []vault.Job{ok}, false, false},
	} {
		if began, ended := jobChanges(c.before, c.after); began != c.began || ended != c.ended {
			t.Errorf("%s: began %v, ended %v", c.name, began, ended)
		}
	}
}

func TestReadingNeverOverlapsAndNeverForgets(t *testing.T) {
	var r reading
	if !r.begin() || r.begin() || r.begin() {
		t.Error("two at once")
	}
	if !r.end() {
		t.Error("what was wanted meanwhile is forgotten")
	}
	if r.end() || !r.begin() {
		t.Error("it does not come to rest")
	}
}

// TestIdleSignal: a byte when all is answered and drawn, none for a look at
// the jobs that brought nothing new.
func TestIdleSignal(t *testing.T) {
	told := 0
	r := newRig(t, sampleDesk(), Options{idle: func() { told++ }}, 80, 24)
	r.until("the start's signal", func() bool { return told == 1 })
	r.keys("2")
	r.until("the key's signal", func() bool { return told == 2 })
	changes := r.m.changes
	r.poll()
	if r.m.changes != changes {
		t.Error("a look at the jobs counts as a change")
	}
	r.d.setJobs(wikiJob())
	r.poll()
	r.until("the new job's signal", func() bool { return told == 3 })
}

// TestNothingChangesWhenNothingHappens: polling a vault at rest draws the
// same frame, so that nothing is written.
func TestNothingChangesWhenNothingHappens(t *testing.T) {
	r := newRig(t, sampleDesk(), Options{}, 80, 24)
	clock := clockAt
	r.m.o.Now = func() time.Time { return clock }
	for _, place := range []string{"1", "2", "3"} {
		r.keys(place)
		before := r.m.View().Content
		for range 20 {
			clock = clock.Add(time.Second)
			r.poll()
		}
		if got := r.m.View().Content; got != before {
			t.Errorf("place %s is drawn anew after 20 s:\n%s", place, got)
		}
		clock = clockAt
	}
}

// TestPollingIsOneChain: an extra look, after a job ended, does not begin a
// second one.
func TestPollingIsOneChain(t *testing.T) {
	r := newRig(t, sampleDesk(), Options{}, 80, 24)
	if r.m.gotJobs(jobsMsg{jobs: r.m.know.jobs}) != nil {
		t.Error("an extra look is followed by another")
	}
	if r.m.gotJobs(jobsMsg{jobs: r.m.know.jobs, next: true}) == nil {
		t.Error("the chain ends")
	}
}

func TestFarewellNamesThePhase(t *testing.T) {
	j := wikiJob()
	j.Stage, j.Progress.Estimate = vault.StageReadBack, ""
	as := func(s string) string { return s }
	got := farewell(theme{}, &known{jobs: []vault.Job{j}}, as)
	if got != "wiki backup goes on (read back 42%). Look again: pgvault   Stop: pgvault job cancel 7f3a" {
		t.Errorf("%q", got)
	}
	if got := farewell(theme{}, &known{}, as); got != "" {
		t.Errorf("%q", got)
	}
}
