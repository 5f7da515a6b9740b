package retention

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// history is a vault of one database that time goes by for: what a run of
// retention removes is gone for the next.
type history struct {
	now     time.Time
	zone    *time.Location
	policy  Policy
	failing string
	list    []Archive
	made    int
	marked  map[string]time.Time // when it was marked
}

var zones = []string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"}

// TestHistories: whatever happens to a vault (backups that are good, damaged
// or partial, imports, copies that are resealed, proofs, pins, locks, readers,
// clocks that go back, other policies and zones), no run of retention takes
// what must not go, and every one that it takes was marked for its grace.
func TestHistories(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := &history{now: now, zone: time.UTC, policy: policies(t), marked: map[string]time.Time{}}
		t.Repeat(map[string]func(*rapid.T){
			"backups": func(t *rapid.T) {
				for range rapid.IntRange(1, 8).Draw(t, "backups") {
					h.now = h.now.Add(time.Duration(rapid.IntRange(1, 60*30).Draw(t, "minutes")) * time.Minute)
					h.backup(t)
				}
			},
			"time": func(t *rapid.T) {
				h.now = h.now.Add(time.Duration(rapid.IntRange(1, 60*24*20).Draw(t, "minutes")) * time.Minute)
			},
			"happen": h.happen,
			"zone": func(t *rapid.T) {
				h.zone, _ = time.LoadLocation(rapid.SampledFrom(zones).Draw(t, "zone"))
			},
			"policy":  func(t *rapid.T) { h.policy = policies(t) },
			"failing": func(t *rapid.T) { h.failing = rapid.SampledFrom([]string{"", "", "it is late"}).Draw(t, "why") },
			"retain":  h.retain,
		})
	})
}

func (h *history) backup(t *rapid.T) {
	h.made++
	a := Archive{ID: fmt.Sprintf("%04d", h.made), Database: "shop", Time: h.now, Seq: int64(h.made), Good: true}
	switch rapid.IntRange(0, 11).Draw(t, "kind") {
	case 0:
		a.Good = false
	case 1:
		a.Good, a.Partial = false, true
	case 2:
		a.Good, a.Foreign = false, true
	case 3:
		a.Imported, a.Time = true, h.now.Add(-time.Duration(rapid.SampledFrom([]int{0, 0, 1, 30, 700}).Draw(t, "days"))*day)
	case 4: // the host's clock was behind
		a.Time = h.now.Add(-time.Duration(rapid.IntRange(0, 400).Draw(t, "behind")) * day)
	case 5:
		if len(h.list) > 0 { // made of an older one
			from := &h.list[rapid.IntRange(0, len(h.list)-1).Draw(t, "from")]
			if from.Good && from.Resealed == "" {
				a.Time, a.Seq, a.Imported, from.Resealed = from.Time, from.Seq, from.Imported, a.ID
			}
		}
	}
	h.list = append(h.list, a)
}

// happen changes something about one archive.
func (h *history) happen(t *rapid.T) {
	if len(h.list) == 0 {
		return
	}
	a := &h.list[rapid.IntRange(0, len(h.list)-1).Draw(t, "which")]
	switch rapid.IntRange(0, 6).Draw(t, "what") {
	case 0:
		a.Pinned = !a.Pinned
	case 1:
		a.InUse = !a.InUse
	case 2:
		a.Locked = h.now.Add(time.Duration(rapid.IntRange(-1, 90).Draw(t, "locked")) * day)
	case 3:
		a.Proven = true
	case 4:
		a.Good = false
	case 5:
		a.OnlyIn = rapid.SampledFrom([]string{"", "nas"}).Draw(t, "only in")
	case 6: // a person takes the mark away
		a.Marked = false
		delete(h.marked, a.ID)
	}
}

// retain is a run of retention: it decides, marks and removes.
func (h *history) retain(t *rapid.T) {
	plan, err := Plan(h.now, h.zone, func(string) Rules { return Rules{h.policy, grace, h.failing} }, h.list)
	if err != nil {
		t.Fatal(err)
	}
	if len(plan) != len(h.list) {
		t.Fatalf("%d decisions on %d archives", len(plan), len(h.list))
	}
	good := func(d Decision) bool { return d.Good }
	newest := slices.IndexFunc(plan, func(d Decision) bool { return d.Good && (d.Resealed == "" || !h.there(d.Resealed)) })
	backup := slices.IndexFunc(plan, func(d Decision) bool { return d.Good && !d.Imported && (d.Resealed == "" || !h.there(d.Resealed)) })
	proven := slices.IndexFunc(plan, func(d Decision) bool { return d.Good && d.Proven })
	h.list = h.list[:0]
	for i, d := range plan {
		goes := d.Step == StepMark || d.Step == StepRemove
		held := i == newest || i == backup || i == proven || d.Pinned || d.InUse || d.Foreign || d.Locked.After(h.now) || d.Good && d.OnlyIn != "" || h.failing != "" || newest < 0
		switch {
		case len(d.Reasons) == 0:
			t.Fatalf("no reason: %+v", d)
		case goes && held:
			t.Fatalf("%s: %+v", d.Step, d)
		case goes && d.Keep, !d.Keep && !goes && d.Step != StepWait:
			t.Fatalf("keep %v and %s", d.Keep, d.Step)
		case d.Step == StepRemove && (h.marked[d.ID].IsZero() || h.now.Sub(h.marked[d.ID]) < grace):
			t.Fatalf("removed after %s of grace: %+v", h.now.Sub(h.marked[d.ID]), d)
		}
		switch d.Step {
		case StepRemove:
			delete(h.marked, d.ID)
			continue
		case StepMark:
			d.Marked, d.NotBefore, h.marked[d.ID] = true, d.Until, h.now
		case StepUnmark:
			d.Marked = false
			delete(h.marked, d.ID)
		}
		h.list = append(h.list, d.Archive)
	}
	if slices.ContainsFunc(plan, good) && !slices.ContainsFunc(h.list, func(a Archive) bool { return a.Good }) {
		t.Fatal("no good archive is left")
	}
	if slices.ContainsFunc(plan, func(d Decision) bool { return d.Imported }) {
		return // where a clock went back, the place of an import depends on what is beside it
	}
	again, err := Plan(h.now, h.zone, func(string) Rules { return Rules{h.policy, grace, h.failing} }, h.list)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range again {
		if d.Step != StepKeep && d.Step != StepWait {
			t.Fatalf("a second run at once would still %s %+v", d.Step, d)
		}
	}
}

func (h *history) there(id string) bool {
	return slices.ContainsFunc(h.list, func(a Archive) bool { return a.ID == id && a.Good })
}
