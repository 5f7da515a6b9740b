package guide

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgvault/vault"
)

// fakeRuns is one job whose events the test gives.
type fakeRuns struct {
	vault.Runs
	launched []vault.Order
	secrets  vault.Secrets
	err      error
	events   chan vault.Event
	jobs     []vault.Job
}

func (f *fakeRuns) Launch(_ context.Context, o vault.Order, s vault.Secrets) (vault.Job, error) {
	f.launched, f.secrets = append(f.launched, o), s
	return vault.Job{ID: fmt.Sprint("job", len(f.launched)), Order: o}, f.err
}

func (f *fakeRuns) Jobs(context.Context) ([]vault.Job, error) { return f.jobs, nil }

func (f *fakeRuns) Watch(ctx context.Context, _ string, sink vault.Sink) error {
	for {
		select {
		case e := <-f.events:
			sink(e)
			if _, done := e.(vault.RunDone); done {
				return nil
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// sample asks for a fruit, a name and a secret, then runs a job.
func sample(runs vault.Runs) *Guide {
	return &Guide{Name: "sample", Title: "SAMPLE", Runs: runs, Steps: []Step{
		{
			Key: "fruit", Name: "Fruit", Question: "Which fruit?", Why: "because",
			Load: func(_ context.Context, v *Values, _ Talk) error {
				if v.Fact("fruits") == nil {
					v.Put("fruits", []string{"apple", "pear"})
				}
				return nil
			},
			Fields: []Field{{Key: "fruit", Label: "fruit", Kind: Choice, Options: func(v *Values) []Option {
				out := []Option{{Value: "none", Off: "there is none"}}
				for _, f := range FactOf[[]string](v, "fruits") {
					out = append(out, Option{Value: f})
				}
				return out
			}}},
		},
		{Key: "pips", Name: "Pips", Skip: func(v *Values) bool { return v.Get("fruit") != "pear" }},
		{
			Key: "name", Name: "Name", Question: "Its name?",
			Fields: []Field{
				{Key: "name", Label: "name", Valid: func(_ *Values, b []byte) Line {
					if strings.Contains(string(b), " ") {
						return Line{State: "x", Text: "no spaces"}
					}
					return Line{State: "ok", Text: "fine"}
				}},
				{Key: "many", Label: "many", Kind: Number, Default: "3"},
				{Key: "key", Label: "key", Kind: Secret, Optional: true},
			},
			Load: func(_ context.Context, v *Values, _ Talk) error {
				v.Propose("name", v.Get("fruit")+"1")
				return nil
			},
			Check: func(_ context.Context, v *Values) []Line {
				return []Line{{State: "ok", Text: "named " + v.Get("name")}}
			},
			Do: func(_ context.Context, v *Values, _ Talk) error {
				if v.Get("name") == "bad" {
					return errors.New("it is bad")
				}
				v.Put("made", v.Get("name"))
				return nil
			},
			Actions: []Action{{Key: "Y", Name: "copy", Off: func(v *Values) string {
				if v.Get("name") == "secret" {
					return "not that one"
				}
				return ""
			}, Do: func(_ context.Context, v *Values, _ Talk) (Effect, error) {
				return Copied(v.Get("name"), "the name"), nil
			}}},
		},
		{Key: "run", Name: "Run", Job: func(_ context.Context, v *Values, _ Talk) (vault.Order, vault.Secrets, error) {
			return vault.Order{Kind: vault.KindBackup, Database: v.Get("name")}, vault.Secrets{Texts: []string{v.SecretOf("key").Text()}}, nil
		}},
		{Key: "report", Name: "Report"},
	}}
}

// settle runs all that is pending, in order, but for what follows a job.
func settle(t *testing.T, s *Session) (last Effect) {
	t.Helper()
	for w := s.Pending(); w != nil; w = s.Pending() {
		if w.Follows() {
			t.Fatal("a job is followed here")
		}
		w.Run(t.Context(), Talk{}, nil)
		if e := s.Done(w); e != (Effect{}) {
			last = e
		}
	}
	return last
}

func trail(s *Session) string {
	var b strings.Builder
	crumbs, place := s.Trail()
	for _, c := range crumbs {
		b.WriteString(c.Name + ":" + c.State + " ")
	}
	return fmt.Sprintf("%s%d/%d", b.String(), place, len(crumbs))
}

func wants(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestWalk(t *testing.T) {
	runs := &fakeRuns{events: make(chan vault.Event, 9)}
	s := New(sample(runs), nil)
	wants(t, s.Problem(), "fruit: nothing is given yet")
	wants(t, s.Next(), "wait: looking")
	settle(t, s)
	wants(t, s.Values().Get("fruit"), "apple")
	wants(t, trail(s), "Fruit:now Name: Run: Report: 1/4")
	s.Values().Set("fruit", "pear")
	s.Edited("fruit")
	wants(t, trail(s), "Fruit:now Pips: Name: Run: Report: 1/5")
	s.Values().Set("fruit", "none")
	s.Edited("fruit")
	wants(t, s.Next(), "there is none")
	s.Values().Set("fruit", "apple")
	s.Edited("fruit")
	wants(t, s.Next(), "")
	settle(t, s)
	wants(t, trail(s), "Fruit:ok Name:now Run: Report: 2/4")
	wants(t, s.Values().Get("name")+s.Values().Get("many"), "apple13")
	wants(t, fmt.Sprint(s.Lines()), "[{ok named apple1 }]")

	s.Values().Set("many", "x3")
	s.Edited("many")
	wants(t, s.Next(), "many: a whole number is needed")
	s.Values().Set("many", "4")
	s.Values().Set("name", "a b")
	s.Edited("name")
	wants(t, s.Next(), "no spaces")
	s.Values().Set("name", "bad")
	s.Edited("name")
	wants(t, s.Next(), "")
	settle(t, s)
	if s.Err() == nil || s.Step().Key != "name" || s.Values().Fact("made") != nil {
		t.Errorf("after a Do that failed: %v at %s", s.Err(), s.Step().Key)
	}
	s.Values().Set("name", "secret")
	s.Edited("name")
	if s.Err() != nil {
		t.Error("an edit keeps the error")
	}
	wants(t, s.Act("Y"), "not that one")
	wants(t, s.Act("Z"), "Z does nothing here")
	s.Values().Set("name", "good")
	s.Edited("name")
	wants(t, s.Act("Y"), "")
	wants(t, settle(t, s).Copy, "good")

	// There and back: what was typed stays, also what the person typed over
	// a proposal.
	say, ok := s.Back()
	wants(t, fmt.Sprintf("%s %t %s", say, ok, s.Step().Key), " true fruit")
	settle(t, s)
	wants(t, s.Next(), "")
	settle(t, s)
	wants(t, s.Values().Get("name"), "good")
	s.Values().SecretOf("key").Insert(0, []byte("sesame\r\n"))
	s.Edited("key")
	wants(t, s.Next(), "")

	// Do, then the launch, then the job is followed.
	for w := s.Pending(); w != nil; w = s.Pending() {
		if w.Follows() {
			follow(t, s, w, runs)
			break
		}
		w.Run(t.Context(), Talk{}, nil)
		s.Done(w)
	}
	if o := runs.launched[0]; o.Kind != vault.KindBackup || o.Database != "good" || len(runs.launched) != 1 {
		t.Errorf("launched %+v", runs.launched)
	}
	wants(t, fmt.Sprint(runs.secrets.Texts), "[sesame]")
	wants(t, s.Next(), "")
	wants(t, trail(s), "Fruit:ok Name:ok Run:ok Report:now 4/4")
	say, ok = s.Back()
	wants(t, fmt.Sprintf("%s %t", say, ok), "what is done cannot be taken back from here true")
	wants(t, s.Next(), "")
	if !s.Finished() {
		t.Error("not finished after the last step")
	}
	s.Close()
	if n := s.Values().SecretOf("key").Len(); n != 0 {
		t.Errorf("%d bytes of the secret stay", n)
	}
}

// follow lets the job tell its events, and looks at the session meanwhile.
func follow(t *testing.T, s *Session, w *Work, runs *fakeRuns) {
	t.Helper()
	got := make(chan vault.Event)
	go func() {
		w.Run(t.Context(), Talk{}, func(e vault.Event) { got <- e })
		close(got)
	}()
	give := func(e vault.Event) {
		runs.events <- e
		s.Event(w, <-got)
	}
	give(vault.RunStarted{Stages: []vault.Stage{vault.StageSnapshot, vault.StageData}})
	give(vault.StageStarted{Stage: vault.StageData})
	give(vault.Progress{Rows: 200, RowsTotal: 100, Estimate: "a guess"})
	wants(t, s.Values().Run("run").Doing(), "data, 2 of 2, ~99%")
	wants(t, s.Next(), "the job still runs")
	if say, ok := s.Back(); !ok || s.Step().Key != "run" {
		t.Errorf("back out of a job: %q", say)
	}
	give(vault.RunDone{Result: vault.ResultOK})
	if _, more := <-got; more {
		t.Error("an event after the end")
	}
	s.Done(w)
	if Ended(s.Values().Ended("run")) != nil || s.Running() {
		t.Errorf("the job ended as %+v", s.Values().Ended("run"))
	}
}

// TestLate: an answer that comes after it is wanted changes nothing.
func TestLate(t *testing.T) {
	s := New(sample(nil), nil)
	settle(t, s)
	s.Next()
	load := s.Pending()
	s.Back()
	if !load.Void() {
		t.Error("the load of a step that was left is still wanted")
	}
	load.Run(t.Context(), Talk{}, nil)
	s.Done(load)
	wants(t, s.Values().Get("name"), "")
	settle(t, s)
	s.Next()
	settle(t, s)
	s.Values().Set("name", "a")
	s.Edited("name")
	old := s.Pending()
	s.Values().Set("name", "ab")
	s.Edited("name")
	old.Run(t.Context(), Talk{}, nil)
	s.Done(old)
	settle(t, s)
	wants(t, fmt.Sprint(s.Lines()), "[{ok named ab }]")
}

func TestLoadFails(t *testing.T) {
	tries := 0
	g := &Guide{Name: "x", Steps: []Step{{Key: "a", Load: func(context.Context, *Values, Talk) error {
		if tries++; tries == 1 {
			return errors.New("no server")
		}
		return nil
	}}, {Key: "b"}}}
	s := New(g, nil)
	settle(t, s)
	if s.Err() == nil {
		t.Fatal("no error")
	}
	s.Next()
	settle(t, s)
	if s.Err() != nil || s.Step().Key != "a" || tries != 2 {
		t.Fatalf("after the second try: %v at %s, %d tries", s.Err(), s.Step().Key, tries)
	}
	s.Next()
	wants(t, s.Step().Key, "b")
}

func TestDraft(t *testing.T) {
	var kept []Draft
	runs := &fakeRuns{err: errors.New("no runner")}
	g := sample(runs)
	g.Save = func(d Draft) error { kept = append(kept, d); return nil }
	s := New(g, nil)
	settle(t, s)
	s.Values().Set("fruit", "pear")
	s.Edited("fruit")
	s.Next()
	settle(t, s)
	s.Next()
	settle(t, s)
	s.Values().Set("name", "long")
	s.Edited("name")
	s.Values().SecretOf("key").Insert(0, []byte("sesame"))
	s.Leave()
	settle(t, s)
	d := kept[len(kept)-1]
	src, err := json.Marshal(d)
	if err != nil || strings.Contains(string(src), "sesame") {
		t.Fatalf("%s %v", src, err)
	}
	wants(t, string(src), `{"guide":"sample","step":"name","texts":{"fruit":"pear","name":"long"}}`)
	again := Resume(g, d)
	settle(t, again)
	wants(t, trail(again), "Fruit:ok Pips:ok Name:now Run: Report: 3/5")
	wants(t, again.Values().Get("name")+again.Values().Get("many"), "long3")

	// A launch that fails shows why, and Enter tries again.
	again.Next()
	settle(t, again)
	if again.Err() == nil || again.Step().Key != "run" {
		t.Fatalf("%v at %s", again.Err(), again.Step().Key)
	}
	runs.err = nil
	wants(t, again.Next(), "")
	w := again.Pending()
	w.Run(t.Context(), Talk{}, nil)
	again.Done(w)
	wants(t, again.Draft().Jobs["run"], "job2")
	third := Resume(g, again.Draft())
	if w := third.Pending(); w == nil || !w.Follows() || third.Step().Key != "run" {
		t.Errorf("a job that was started is not followed again: %+v at %s", w, third.Step().Key)
	}
	// What was only proposed in a step that is behind is an answer; in one that
	// was not left yet, it is not.
	wants(t, third.Draft().Texts["many"], "3")
	if _, kept := d.Texts["many"]; kept {
		t.Error("a proposal that nobody has accepted is kept")
	}

	// Cut off between the launch and the draft: the job is found, and none is
	// launched again.
	lost := again.Draft()
	lost.Jobs = nil
	runs.jobs = []vault.Job{{ID: "another", Order: vault.Order{Database: "x"}}, {ID: "job2", Order: vault.Order{Database: "long"}}}
	g.Steps[3].Launched = func(v *Values, j vault.Job) bool { return j.Order.Database == v.Get("name") }
	launched := len(runs.launched)
	fourth := Resume(g, lost)
	w = fourth.Pending()
	w.Run(t.Context(), Talk{}, nil)
	fourth.Done(w)
	wants(t, fourth.Draft().Jobs["run"], "job2")
	if len(runs.launched) != launched {
		t.Error("it was launched again")
	}
	if other := Resume(&Guide{Name: "other", Steps: g.Steps}, d); other.Step().Key != "fruit" {
		t.Error("a draft of another guide counts")
	}
}

func TestSecretValue(t *testing.T) {
	var s SecretValue
	if !s.Insert(0, []byte("ac")) || !s.Insert(1, []byte("b\r")) || s.Insert(9, []byte("x")) || s.Insert(0, make([]byte, maxSecret)) {
		t.Error("what fits and what does not")
	}
	var kept []byte
	s.Use(func(b []byte) { wants(t, string(b), "ab\nc"); kept = b })
	s.Cut(1, 3)
	wants(t, s.Text(), "ac")
	if kept[2] != 0 || kept[3] != 0 {
		t.Error("what was cut is still there")
	}
	for _, f := range []string{"%v", "%s", "%+v", "%#v", "%q"} {
		if out := fmt.Sprintf(f, &s); strings.Contains(out, "ac") {
			t.Errorf("%s shows it: %s", f, out)
		}
	}
	s.Wipe()
	if s.Len() != 0 || s.Text() != "" {
		t.Error("something stays")
	}
	s.Insert(0, []byte("again"))
	wants(t, s.Text(), "again")
	s.Wipe()
}

func TestTrailOfFurtherPage(t *testing.T) {
	s := New(&Guide{Steps: []Step{{Key: "a", Name: "A"}, {Key: "b", Name: "B"}, {Key: "c"}, {Key: "d", Name: "D"}}}, nil)
	wants(t, trail(s), "A:now B: D: 1/3")
	for key, want := range map[string]string{"b": "A:ok B:now D: 2/3", "c": "A:ok B:now D: 2/3", "d": "A:ok B:ok D:now 3/3"} {
		s.GoTo(key)
		wants(t, trail(s), want)
	}
}
