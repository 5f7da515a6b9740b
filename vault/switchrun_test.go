package vault

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"pgvault/fault"
)

// orderedSwitch does an order as a runner does, after it lay in a job's
// folder as JSON.
func (w *switchWorld) orderedSwitch(o Order) *tape {
	w.t.Helper()
	var read Order
	if err := json.Unmarshal([]byte(jsonText(o)), &read); err != nil {
		w.t.Fatal(err)
	}
	v, tp := w.vault(), &tape{}
	tp.err = v.runJob(w.t.Context(), read, v.actor(), nil, tp.sink, v.switchWork(read))
	return tp
}

// TestSwitchOrdered goes there and back by orders, each of the plan that a
// person saw, and finds both in the list of jobs.
func TestSwitchOrdered(t *testing.T) {
	w := newSwitchWorld(t, "sw_order")
	p := w.planSwitch()
	w.orderedSwitch(p.Order()).ok(t)
	w.stands(GoalSwitched)
	if p.Order().Old != p.Old || p.Old == "" {
		t.Errorf("the order says of the old name %q", p.Order().Old)
	}
	back, err := w.vault().PlanSwitchUndo(t.Context(), w.name)
	if err != nil {
		t.Fatal(err)
	}
	w.orderedSwitch(back.Order()).ok(t)
	w.stands(GoalOriginal)
	jobs, err := w.vault().Jobs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var goals []SwitchGoal
	for _, j := range jobs {
		if j.Order.Kind == KindSwitch && j.State == JobOK {
			goals = append(goals, j.Order.Goal)
		}
	}
	if !slices.Equal(goals, []SwitchGoal{GoalOriginal, GoalSwitched}) {
		t.Errorf("the jobs are %v", goals)
	}
}

// TestSwitchOrderedOther changes something between the plan and its job: a
// plan that was not confirmed is not applied.
func TestSwitchOrderedOther(t *testing.T) {
	w := newSwitchWorld(t, "sw_other")
	p := w.planSwitch()
	for name, change := range map[string]func(o *Order){
		"another digest": func(o *Order) { o.Plan = strings.Repeat("0", 64) },
		"no digest":      func(o *Order) { o.Plan = "" },
		"a name taken":   func(*Order) { w.sql("", "CREATE DATABASE "+p.Old) },
		"another goal":   func(o *Order) { o.Goal = GoalOriginal },
		"resumes":        func(o *Order) { o.Resumes = true },
		"more accepted":  func(o *Order) { o.Accept = []string{"public.a"} },
	} {
		o := p.Order()
		change(&o)
		if err := w.orderedSwitch(o).err; fault.CodeOf(err) != fault.Refused {
			t.Errorf("%s: %v", name, err)
		}
		w.stands(GoalOriginal)
	}
}
