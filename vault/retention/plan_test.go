package retention

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const grace = 48 * time.Hour

func rules(p Policy, failing string) func(string) Rules {
	return func(string) Rules { return Rules{Policy: p, Grace: grace, Failing: failing} }
}

// daily gives n good archives, one a day, the newest an hour old.
func daily(n int) []Archive {
	var out []Archive
	for i := range n {
		out = append(out, Archive{ID: fmt.Sprintf("a%03d", i), Database: "shop", Time: now.Add(-time.Hour - time.Duration(i)*day), Seq: int64(n - i), Good: true})
	}
	return out
}

func steps(t *testing.T, plan []Decision) string {
	t.Helper()
	var out []string
	for _, a := range plan {
		if len(a.Reasons) == 0 {
			t.Errorf("%s %s without a reason", a.ID, a.Step)
		}
		out = append(out, string(a.Step))
	}
	return strings.Join(out, " ")
}

func TestPlanTakesTwoSteps(t *testing.T) {
	list := daily(4)
	p := Policy{Last: 2}
	plan, err := Plan(now, time.UTC, rules(p, ""), list)
	if err != nil || steps(t, plan) != "keep keep mark mark" || !plan[2].Until.Equal(now.Add(grace)) {
		t.Fatalf("%v, %v", plan, err)
	}
	for i := range list[2:] {
		list[2+i].Marked, list[2+i].NotBefore = true, now.Add(grace)
	}
	later := now.Add(grace - time.Second)
	if plan, _ = Plan(later, time.UTC, rules(p, ""), list); steps(t, plan) != "keep keep wait wait" {
		t.Fatal(steps(t, plan))
	}
	later = now.Add(grace)
	if plan, _ = Plan(later, time.UTC, rules(p, ""), list); steps(t, plan) != "keep keep remove remove" {
		t.Fatal(steps(t, plan))
	}
	// Decided from scratch: a wider policy, a pin or a lock since then counts.
	if plan, _ = Plan(later, time.UTC, rules(Policy{Last: 3}, ""), list); steps(t, plan) != "keep keep unmark remove" {
		t.Fatal(steps(t, plan))
	}
	list[2].Pinned, list[3].Locked = true, later.Add(time.Hour)
	if plan, _ = Plan(later, time.UTC, rules(p, ""), list); steps(t, plan) != "keep keep unmark unmark" {
		t.Fatal(steps(t, plan))
	}
}

func TestPlanHoldsAllOfADatabaseThatFails(t *testing.T) {
	list := daily(5)
	list[4].Marked, list[4].NotBefore = true, now.Add(-time.Hour)
	plan, err := Plan(now, time.UTC, rules(Policy{Last: 1}, "its newest backup failed"), list)
	if err != nil || steps(t, plan) != "keep keep keep keep wait" {
		t.Fatalf("%s, %v", steps(t, plan), err)
	}
	if last := plan[3].Reasons; !strings.Contains(last[len(last)-1], "its newest backup failed") {
		t.Fatal(last)
	}
}

func TestGuards(t *testing.T) {
	for name, set := range map[string]func(*Archive){
		"pinned":                   func(a *Archive) { a.Pinned = true },
		"a job reads it now":       func(a *Archive) { a.InUse = true },
		"locked by its place":      func(a *Archive) { a.Locked = now.Add(time.Minute) },
		"newest good copy in nas":  func(a *Archive) { a.OnlyIn = "nas" },
		"foreign: it cannot be":    func(a *Archive) { a.Good, a.Foreign = false, true },
		"newest proven by restore": func(a *Archive) { a.Proven = true },
	} {
		list := daily(9)
		set(&list[8])
		plan, err := Plan(now, time.UTC, rules(Policy{Last: 1}, ""), list)
		if err != nil || plan[8].Step != StepKeep || !strings.Contains(strings.Join(plan[8].Reasons, "; "), name) {
			t.Errorf("%s: %+v, %v", name, plan[8], err)
		}
	}
	list := daily(9)
	list[8].Locked, list[8].Good, list[8].OnlyIn = now, false, "nas"
	if plan, _ := Plan(now, time.UTC, rules(Policy{Last: 1}, ""), list); plan[8].Step != StepMark {
		t.Errorf("a lock that has ended, and a damaged copy, hold it: %+v", plan[8])
	}
}

func TestPlanRefusesAsAWhole(t *testing.T) {
	list := append(daily(3), Archive{ID: "b", Database: "other", Time: now.Add(-time.Hour), Good: true})
	for name, r := range map[string]Rules{
		"no rule":     {Grace: grace},
		"negative":    {Policy: Policy{Last: -1}, Grace: grace},
		"absurd":      {Policy: Policy{Daily: MaxCount + 1}, Grace: grace},
		"grace":       {Policy: Policy{Last: 1}, Grace: -1},
		"grace ages":  {Policy: Policy{Last: 1}, Grace: MaxGrace + 1},
		"within less": {Policy: Policy{Within: -day}, Grace: grace},
	} {
		plan, err := Plan(now, time.UTC, func(db string) Rules {
			if db == "other" {
				return r
			}
			return Rules{Policy: Policy{Last: 1}}
		}, list)
		if err == nil || plan != nil || !strings.Contains(err.Error(), `"other"`) {
			t.Errorf("%s: %v, %v", name, plan, err)
		}
	}
	list[0].Time = now.Add(Skew + time.Second)
	if plan, err := Plan(now, time.UTC, rules(Policy{Last: 1}, ""), list); err == nil || plan != nil {
		t.Errorf("an archive from the future: %v, %v", plan, err)
	}
}

func TestExcess(t *testing.T) {
	for _, c := range []struct{ all, keep, want int }{{4, 1, 0}, {5, 1, 4}, {12, 8, 0}, {11, 7, 4}, {100, 66, 0}, {100, 65, 35}, {100, 0, 99}} {
		p := Policy{Last: max(c.keep, 1)}
		plan, err := Plan(now, time.UTC, rules(p, ""), daily(c.all))
		if err != nil || Excess(plan)["shop"] != c.want {
			t.Errorf("%d of %d kept: %v, %v; want %d", c.keep, c.all, Excess(plan), err, c.want)
		}
	}
}

// TestPlanProperties: for any history and policy, whatever was marked.
func TestPlanProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, list := policies(t), lists(t)
		for i := range list {
			a := &list[i]
			a.InUse = rapid.IntRange(0, 9).Draw(t, "in use") == 0
			if rapid.IntRange(0, 9).Draw(t, "locked") == 0 {
				a.Locked = now.Add(time.Duration(rapid.IntRange(-5, 5).Draw(t, "hours")) * time.Hour)
			}
			if !a.Good {
				a.Foreign = rapid.Bool().Draw(t, "foreign")
			}
			if a.Marked = rapid.Bool().Draw(t, "marked"); a.Marked {
				a.NotBefore = now.Add(time.Duration(rapid.IntRange(-50, 50).Draw(t, "due")) * time.Hour)
			}
		}
		failing := rapid.SampledFrom([]string{"", "it is late"}).Draw(t, "failing")
		plan, err := Plan(now, time.UTC, rules(p, failing), list)
		if err != nil || len(plan) != len(list) {
			t.Fatalf("%d actions for %d archives, %v", len(plan), len(list), err)
		}
		decided := map[string]Decision{}
		for _, d := range must(t, p, list) {
			decided[d.ID] = d
		}
		good := map[string]bool{}
		for _, a := range plan {
			if a.Step != StepRemove && a.Good {
				good[a.Database] = true
			}
		}
		for _, a := range plan {
			held := a.Pinned || a.InUse || a.Foreign || a.Locked.After(now)
			switch {
			case a.Step == StepRemove && (held || failing != "" || decided[a.ID].Keep || !a.Marked || now.Before(a.NotBefore)):
				t.Fatalf("removed: %+v", a)
			case a.Step == StepMark && (held || failing != "" || a.Marked || decided[a.ID].Keep):
				t.Fatalf("marked: %+v", a)
			case a.Step == StepUnmark && !a.Marked:
				t.Fatalf("unmarked: %+v", a)
			case a.Step == StepRemove && !good[a.Database]:
				t.Fatalf("%q has no good archive left", a.Database)
			}
		}
	})
}

// BenchmarkPlan plans ten thousand archives of each of ten databases.
func BenchmarkPlan(b *testing.B) {
	var list []Archive
	for db := range 10 {
		for i := range 10_000 {
			list = append(list, Archive{ID: fmt.Sprintf("%d-%d", db, i), Database: fmt.Sprint("db", db), Seq: int64(10_000 - i), Good: true,
				Time: now.Add(-time.Hour - time.Duration(i)*time.Hour)})
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Plan(now, time.UTC, rules(Policy{Last: 3, Hourly: 48, Daily: 30, Weekly: 8, Monthly: 24, Yearly: 5}, ""), list); err != nil {
			b.Fatal(err)
		}
	}
}
