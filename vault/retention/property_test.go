package retention

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func policies(t *rapid.T) Policy {
	n := rapid.IntRange(0, 5)
	p := Policy{
		Last: n.Draw(t, "last"), Hourly: n.Draw(t, "hourly"), Daily: n.Draw(t, "daily"), Weekly: n.Draw(t, "weekly"),
		Monthly: n.Draw(t, "monthly"), Yearly: n.Draw(t, "yearly"),
		Within: time.Duration(rapid.IntRange(0, 60*24).Draw(t, "within")) * time.Hour,
	}
	if p == (Policy{}) {
		p.Last = 1
	}
	return p
}

func lists(t *rapid.T) []Archive {
	var list []Archive
	for i := range rapid.IntRange(0, 40).Draw(t, "archives") {
		list = append(list, Archive{
			ID: fmt.Sprint(i), Database: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "db"),
			// dates without order: the clock may have jumped
			Time: now.Add(-time.Duration(rapid.IntRange(0, 3*365*24*60).Draw(t, "ago")) * time.Minute),
			Seq:  int64(rapid.IntRange(0, 60).Draw(t, "seq")),
			Good: rapid.IntRange(0, 3).Draw(t, "good") > 0, Proven: rapid.Bool().Draw(t, "proven"),
			Pinned: rapid.IntRange(0, 9).Draw(t, "pinned") == 0,
		})
	}
	return list
}

func must(t *rapid.T, p Policy, list []Archive) []Decision {
	d, err := Decide(now, time.UTC, p, list)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func kept(ds []Decision) (list []Archive) {
	for _, d := range ds {
		if d.Keep {
			list = append(list, d.Archive)
		}
	}
	return list
}

func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, list := policies(t), lists(t)
		got := must(t, p, list)

		if len(got) != len(list) {
			t.Fatalf("%d decisions for %d archives", len(got), len(list))
		}
		newest, proven, anyGood := map[string]bool{}, map[string]bool{}, map[string]bool{}
		for _, a := range list {
			anyGood[a.Database] = anyGood[a.Database] || a.Good
		}
		for _, d := range got {
			if len(d.Reasons) == 0 {
				t.Fatalf("no reason: %+v", d)
			}
			must := d.Pinned || !anyGood[d.Database]
			if d.Good && !newest[d.Database] {
				newest[d.Database], must = true, true
			}
			if d.Good && d.Proven && !proven[d.Database] {
				proven[d.Database], must = true, true
			}
			if must && !d.Keep {
				t.Fatalf("given up: %+v", d)
			}
		}

		shuffled := slices.Clone(list)
		rand.New(rand.NewPCG(1, rapid.Uint64().Draw(t, "shuffle"))).Shuffle(len(shuffled), func(i, j int) {
			shuffled[i], shuffled[j] = shuffled[j], shuffled[i]
		})
		if again := must(t, p, shuffled); !reflect.DeepEqual(again, got) {
			t.Fatal("the order of the input matters")
		}
		if rest := kept(got); len(kept(must(t, p, rest))) != len(rest) {
			t.Fatal("a second run on what was kept gives up more")
		}
		later, err := Decide(now.AddDate(0, 0, 30), time.UTC, p, list)
		if err != nil || !reflect.DeepEqual(later, got) {
			t.Fatalf("30 days without a good backup change a decision (%v)", err)
		}

		more := p
		more.Last++
		more.Daily += 2
		more.Within += time.Hour
		for _, a := range kept(got) {
			if !slices.Contains(kept(must(t, more, list)), a) {
				t.Fatalf("a wider policy gives up %+v", a)
			}
		}
	})
}

// TestDamagedChangeNothing: adding damaged archives, in any number and of
// any date, changes no decision about a good one.
func TestDamagedChangeNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, list := policies(t), lists(t)
		before := must(t, p, list)
		extra := slices.Clone(list)
		for i := range rapid.IntRange(1, 20).Draw(t, "damaged") {
			a := back(time.Duration(rapid.IntRange(0, 1000).Draw(t, "days"))*day, "!")
			a.ID, a.Database, a.Seq = fmt.Sprint("damaged", i), "a", int64(rapid.IntRange(0, 100).Draw(t, "seq"))
			extra = append(extra, a)
		}
		after := map[string]Decision{}
		for _, d := range must(t, p, extra) {
			after[d.ID] = d
		}
		for _, d := range before {
			if d.Good && !reflect.DeepEqual(after[d.ID], d) {
				t.Fatalf("was %+v, is %+v", d, after[d.ID])
			}
		}
	})
}
