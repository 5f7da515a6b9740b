package tell

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func conditions(keys ...string) []Condition {
	var out []Condition
	for _, k := range keys {
		out = append(out, Condition{Key: k, Title: k, Lines: Lines{What: k}})
	}
	return out
}

// words says what a piece of news holds: "+a -b *".
func words(n News) string { return strings.Join(n.keys(), " ") }

// TestDecide tells a story of a day.
func TestDecide(t *testing.T) {
	const remind = 24 * time.Hour
	s := State{}
	at := noon
	for i, step := range []struct {
		after  time.Duration
		now    []Condition
		unsure string
		want   string
	}{
		{0, nil, "", ""},
		{0, conditions("late/shop"), "", "+late/shop"},
		{time.Minute, conditions("late/shop"), "", ""},
		{time.Hour, conditions("late/shop", "failed/shop", "late/crm"), "", "+failed/shop +late/crm"},
		{23 * time.Hour, conditions("late/shop", "failed/shop", "late/crm"), "", ""},
		{2 * time.Hour, conditions("late/shop", "late/crm"), "", "* -failed/shop"}, // a day after the last message
		{time.Hour, conditions("place/disk"), "late/", "+place/disk"},              // unsure: nothing is over
		{time.Hour, conditions("late/shop"), "", "-late/crm -place/disk"},
		{time.Hour, nil, "", "-late/shop"},
		{72 * time.Hour, nil, "", ""},
		{0, conditions("late/shop"), "", "+late/shop"}, // again
	} {
		at = at.Add(step.after)
		n := Decide(s, at, step.now, func(k string) bool { return step.unsure != "" && strings.HasPrefix(k, step.unsure) }, remind)
		if got := words(n); got != step.want {
			t.Fatalf("step %d: %q, not %q", i, got, step.want)
		}
		if !n.Empty() {
			s = s.Told(n, at)
		}
		src, err := json.Marshal(s) // it is kept in a file between two looks
		if s = (State{}); err != nil || json.Unmarshal(src, &s) != nil {
			t.Fatal(err)
		}
	}
}

// TestNoFlood: 300 runs in a day that all fail are one message and one
// reminder; without a sink that takes it, a handful of tries.
func TestNoFlood(t *testing.T) {
	for name, c := range map[string]struct {
		arrives bool
		most    int
		least   int
	}{"it arrives": {true, 2, 2}, "no sink takes it": {false, 9, 5}} {
		s, messages := State{}, 0
		for i := range 301 {
			at := noon.Add(time.Duration(i) * 24 * time.Hour / 300)
			n := Decide(s, at, conditions("failed/shop", "failed/crm"), nil, 24*time.Hour)
			if n.Empty() {
				continue
			}
			if messages++; c.arrives {
				s = s.Told(n, at)
			} else {
				s = s.NotTold(n, at)
			}
		}
		if messages > c.most || messages < c.least {
			t.Errorf("%s: %d messages", name, messages)
		}
	}
}

// TestNewsIsNotHeldBack: after tries that failed, other news is tried at
// once.
func TestNewsIsNotHeldBack(t *testing.T) {
	s := State{}
	n := Decide(s, noon, conditions("late/shop"), nil, 0)
	s = s.NotTold(n, noon)
	if n = Decide(s, noon.Add(time.Second), conditions("late/shop"), nil, 0); !n.Empty() {
		t.Errorf("tried again at once: %s", words(n))
	}
	if n = Decide(s, noon.Add(time.Second), conditions("late/shop", "late/crm"), nil, 0); words(n) != "+late/crm +late/shop" {
		t.Errorf("%s", words(n))
	}
	if n = Decide(s, noon.Add(6*time.Minute), conditions("late/shop"), nil, 0); words(n) != "+late/shop" {
		t.Errorf("%s", words(n))
	}
}

// TestEveryChangeIsToldOnce: whatever comes and goes, each beginning and
// each end is told exactly once, and reminders are a day apart.
func TestEveryChangeIsToldOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := []string{"a", "b", "c"}
		s, at, last := State{}, noon, noon
		open := map[string]bool{}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			at = at.Add(time.Duration(rapid.IntRange(1, 40).Draw(t, "hours")) * time.Hour)
			now := rapid.SliceOfDistinct(rapid.SampledFrom(keys), rapid.ID).Draw(t, "now")
			n := Decide(s, at, conditions(now...), nil, 24*time.Hour)
			var want []string
			for _, k := range keys {
				if is := slices.Contains(now, k); is && !open[k] {
					want = append(want, "+"+k)
				} else if !is && open[k] {
					want = append(want, "-"+k)
				}
			}
			if got := slices.DeleteFunc(n.keys(), func(k string) bool { return k == "*" }); !slices.Equal(got, sorted(want)) {
				t.Fatalf("%v, not %v", got, want)
			}
			if n.Remind && at.Sub(last) < 24*time.Hour {
				t.Fatalf("reminded after %s", at.Sub(last))
			}
			if !n.Empty() {
				s, last = s.Told(n, at), at
			}
			clear(open)
			for _, k := range now {
				open[k] = true
			}
		}
	})
}

func sorted(s []string) []string {
	slices.Sort(s)
	return s
}

func TestHeard(t *testing.T) {
	s := State{}.Heard([]Result{{"a", errors.New("no")}, {"b", nil}, {"gone", errors.New("no")}}, []string{"a", "b", "gone"}, noon)
	s = s.Heard([]Result{{"a", errors.New("still no")}}, []string{"a", "b"}, noon.Add(time.Hour))
	if len(s.Failing) != 1 || s.Failing["a"] != (Broken{noon, "still no"}) {
		t.Errorf("%+v", s.Failing)
	}
	if s = s.Heard([]Result{{"a", nil}}, []string{"a", "b"}, noon); len(s.Failing) != 0 {
		t.Errorf("%+v", s.Failing)
	}
}
