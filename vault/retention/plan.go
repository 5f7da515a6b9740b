package retention

import (
	"fmt"
	"time"
)

// Step is what a run of retention does with one archive.
type Step string

// The steps. Only StepRemove takes anything away.
const (
	StepKeep   Step = "keep"
	StepMark   Step = "mark"   // no rule keeps it: from now its grace runs
	StepWait   Step = "wait"   // marked, and its grace goes on
	StepRemove Step = "remove" // marked, its grace is over, and still no rule keeps it
	StepUnmark Step = "unmark" // marked, but a rule or a person keeps it now
)

// MaxGrace bounds the time between marked and removed.
const MaxGrace = 366 * 24 * time.Hour

// Rules are what holds for one database.
type Rules struct {
	Policy Policy
	Grace  time.Duration // from marked to removed
	// Failing is why no backup of it can be relied on now: its newest run
	// failed, or it is late. Then nothing of it is marked or removed.
	Failing string
}

// Plan gives a decision with its step for every archive, in the order of
// Decide. rules is asked once for each database. Its errors are those of
// Decide, for the whole plan: where one database cannot be decided, none is.
func Plan(now time.Time, loc *time.Location, rules func(database string) Rules, archives []Archive) ([]Decision, error) {
	all, err := sorted(now, archives)
	if err == nil {
		err = byDatabase(all, func(database string, list []Decision) error {
			if err := rules(database).plan(now, loc, list); err != nil {
				return fmt.Errorf("database %q: %w", database, err)
			}
			return nil
		})
	}
	if err != nil {
		return nil, err
	}
	return all, nil
}

func (r Rules) plan(now time.Time, loc *time.Location, list []Decision) error {
	if r.Grace < 0 || r.Grace > MaxGrace {
		return fmt.Errorf("grace = %s: it must be from 0 to %d days", r.Grace, MaxGrace/(24*time.Hour))
	}
	if err := decide(now, loc, r.Policy, list); err != nil {
		return err
	}
	for i := range list {
		list[i].Step, list[i].Until = r.step(now, &list[i])
	}
	return nil
}

// step says what to do about a decision. A grace that has begun is not begun
// anew by a time of failing backups.
func (r Rules) step(now time.Time, d *Decision) (Step, time.Time) {
	held := !d.Keep && r.Failing != ""
	if held {
		d.Keep, d.Reasons = true, append(d.Reasons, "but nothing of this database goes while "+r.Failing)
	}
	switch {
	case d.Marked && !held && d.Keep:
		return StepUnmark, time.Time{}
	case d.Keep && !d.Marked:
		return StepKeep, time.Time{}
	case !d.Marked:
		return StepMark, now.Add(r.Grace)
	case held || now.Before(d.NotBefore):
		return StepWait, d.NotBefore
	}
	return StepRemove, time.Time{}
}

// Share is the part of a database's archives that a run may mark or remove
// without being asked for their number.
const Share = 0.34

// Few is how many may go without that whatever their share.
const Few = 3

// Excess names the databases of which a plan would mark or remove more than
// Share at once: a policy that was mistyped looks like that. Their number of
// archives to go comes with each.
func Excess(plan []Decision) map[string]int {
	all, gone := map[string]int{}, map[string]int{}
	for i := range plan {
		a := &plan[i]
		all[a.Database]++
		if a.Step == StepMark || a.Step == StepRemove {
			gone[a.Database]++
		}
	}
	out := map[string]int{}
	for name, n := range gone {
		if n > Few && float64(n) > Share*float64(all[name]) {
			out[name] = n
		}
	}
	return out
}
