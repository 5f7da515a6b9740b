// Package retention decides which archives to keep. It is a pure function of
// the time, the policy and the archives: it reads no clock and touches
// nothing, so that a preview shows exactly what would be done.
//
// # Rules
//
// Each database is decided on its own, its archives from the newest to the
// oldest, by sequence number. Only good archives fill a rule. A rule such as
// daily = 7 keeps the newest good archive of each of the seven newest days
// that have one; days without a good archive do not count, so a time of
// failing backups uses up nothing. For the same reason "within" is measured
// from the newest good archive, not from now.
//
// An archive that was resealed (encrypted anew for other recipients) fills no
// rule while the good one made from it is there: that one stands for the same
// dump, at the same place in the order.
//
// # What is never given up
//
// The newest good archive, the newest one proven by a restore, the newest good
// copy in each place, and what is pinned, locked by its place or being read.
// A damaged or partial archive that is newer than every good one is kept: it
// may hold the last days. Where no archive is good, all are kept. A foreign
// archive is nobody's to delete.
//
// # Two steps
//
// [Decide] says what the rules make of each archive; [Plan] makes steps of
// that: an archive that no rule keeps is marked first, and removed by a later
// run, when its grace is over and no rule keeps it still.
package retention

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// MaxCount is the largest number a rule may have.
const MaxCount = 1_000_000

// Policy says how many archives of each database to keep. A number of 0
// leaves its rule out; at least one rule must be there.
type Policy struct {
	Last    int           `toml:"last"`    // the newest good ones
	Hourly  int           `toml:"hourly"`  // the newest good one of each hour
	Daily   int           `toml:"daily"`   // … of each day
	Weekly  int           `toml:"weekly"`  // … of each ISO week, from Monday
	Monthly int           `toml:"monthly"` // … of each month
	Yearly  int           `toml:"yearly"`  // … of each year
	Within  time.Duration `toml:"within"`  // all good ones this close to the newest good one
}

// Archive is what the policy wants to know of one archive.
type Archive struct {
	ID       string
	Database string
	Time     time.Time // when its snapshot was taken
	Seq      int64     // grows with each archive of the database; 0 unknown
	Good     bool      // whole, and nothing found wrong with it
	Proven   bool      // proven by a restore
	Pinned   bool      // kept until a person takes the pin out
	InUse    bool      // a job reads it now
	Locked   time.Time // before this moment its place lets nobody delete it; zero: not locked
	OnlyIn   string    // the places, in words, where it is the newest good copy of its database
	Imported bool      // made of a dump from elsewhere: its place is that of its date, whatever its Seq
	Partial  bool      // tables were left out on purpose: it is not good, and not damaged
	Foreign  bool      // signed by no trusted key, or of a format that is not known: not this vault's to delete
	Resealed string    // a good archive of the same dump that stands for it: it fills no rule

	Ref int // for who asks: the rules do not look at it

	Marked    bool      // an earlier run found that no rule keeps it
	NotBefore time.Time // and that it may be removed from then on
}

// Decision is what becomes of one archive, and why. Reasons is never empty.
type Decision struct {
	Archive
	Keep    bool
	Reasons []string // such as "daily 2 of 7", "newest good", "no rule keeps it"

	Step  Step      // what to do about it; only Plan fills it in
	Until time.Time // StepMark and StepWait: when it may be removed
}

// Skew is how far an archive may be dated after now; further is an error.
const Skew = 5 * time.Minute

// ErrEmpty refuses a policy without a rule: it would delete nearly all.
var ErrEmpty = errors.New("the policy has no rule: it would keep next to nothing")

// Validate tells whether the policy can be followed.
func (p Policy) Validate() error {
	for _, r := range p.rules(time.UTC) {
		if r.want < 0 || r.want > MaxCount {
			return fmt.Errorf("%s = %d: it must be from 0 to %d", r.name, r.want, MaxCount)
		}
	}
	if p.Within < 0 {
		return fmt.Errorf("within = %s: it is negative", p.Within)
	}
	if p == (Policy{}) {
		return ErrEmpty
	}
	return nil
}

// Decide gives a decision for every archive: by database, and in it from the
// newest to the oldest. Days, weeks and so on are those of loc; nil is UTC.
// It decides nothing and returns an error when the policy is empty or out of
// range, when an archive is dated later than now + Skew or not at all (then
// this clock or the other was wrong), or when an ID comes twice.
func Decide(now time.Time, loc *time.Location, p Policy, archives []Archive) ([]Decision, error) {
	all, err := sorted(now, archives)
	if err == nil {
		err = byDatabase(all, func(_ string, list []Decision) error { return decide(now, loc, p, list) })
	}
	if err == nil {
		err = p.Validate() // also where there is no archive
	}
	if err != nil {
		return nil, err
	}
	return all, nil
}

// sorted gives the archives by database and from the newest to the oldest,
// nothing decided yet.
func sorted(now time.Time, archives []Archive) ([]Decision, error) {
	all := make([]Decision, len(archives))
	for i, a := range archives {
		all[i].Archive = a
	}
	slices.SortFunc(all, func(a, b Decision) int {
		if c := cmp.Or(cmp.Compare(a.Database, b.Database), compareBool(a.Imported, b.Imported)); c != 0 {
			return c
		}
		if a.Imported {
			return cmp.Or(b.Time.Compare(a.Time), cmp.Compare(min(len(a.Resealed), 1), min(len(b.Resealed), 1)), cmp.Compare(b.ID, a.ID))
		}
		return cmp.Or(cmp.Compare(b.Seq, a.Seq), b.Time.Compare(a.Time), cmp.Compare(min(len(a.Resealed), 1), min(len(b.Resealed), 1)), cmp.Compare(b.ID, a.ID))
	})
	_ = byDatabase(all, func(_ string, list []Decision) error {
		placeImports(list)
		return nil
	})
	return all, plausible(now, all)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// placeImports puts the imported archives of one database, which follow its
// backups, among those: each before the first backup that is older than it.
func placeImports(list []Decision) {
	n := slices.IndexFunc(list, func(d Decision) bool { return d.Imported })
	if n <= 0 {
		return
	}
	backups, imports := slices.Clone(list[:n]), slices.Clone(list[n:])
	for i := range list {
		if len(backups) == 0 || len(imports) > 0 && imports[0].Time.After(backups[0].Time) {
			list[i], imports = imports[0], imports[1:]
		} else {
			list[i], backups = backups[0], backups[1:]
		}
	}
}

// byDatabase calls do with the decisions of each database, and joins what
// fails.
func byDatabase(all []Decision, do func(database string, list []Decision) error) error {
	var errs []error
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].Database == all[0].Database {
			n++
		}
		errs = append(errs, do(all[0].Database, all[:n:n]))
		all = all[n:]
	}
	return errors.Join(errs...)
}

// plausible refuses dates that cannot be, and an archive that comes twice.
func plausible(now time.Time, sorted []Decision) error {
	seen := make(map[string]bool, len(sorted))
	for i := range sorted {
		a := &sorted[i]
		if i > 0 && a.Database != sorted[i-1].Database {
			clear(seen)
		}
		switch {
		case a.Time.IsZero():
			return fmt.Errorf("archive %s of %q has no date", a.ID, a.Database)
		case a.Time.After(now.Add(Skew)):
			return fmt.Errorf("archive %s of %q is dated %s, it is only %s: one of the clocks is wrong",
				a.ID, a.Database, a.Time.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
		case seen[a.ID]:
			return fmt.Errorf("archive %s of %q is listed twice", a.ID, a.Database)
		}
		seen[a.ID] = true
	}
	return nil
}

// decide fills in the decisions of one database, newest first.
func decide(now time.Time, loc *time.Location, p Policy, list []Decision) error {
	if err := p.Validate(); err != nil {
		return err
	}
	if loc == nil {
		loc = time.UTC
	}
	double := doubles(list)
	first := slices.IndexFunc(list, func(d Decision) bool { return d.Good && !double[d.ID] })
	newest := slices.IndexFunc(list, func(d Decision) bool { return d.Good && !double[d.ID] && !d.Imported })
	if newest < 0 {
		newest = first
	}
	proven := slices.IndexFunc(list, func(d Decision) bool { return d.Good && d.Proven })
	rules := p.rules(loc)
	for i := range list {
		d := &list[i]
		keep := func(why string) { d.Keep, d.Reasons = true, append(d.Reasons, why) }
		if d.Good && !double[d.ID] {
			for r := range rules {
				if nth := rules[r].take(d.Time); nth > 0 {
					keep(fmt.Sprintf("%s %d of %d", rules[r].name, nth, rules[r].want))
				}
			}
			if p.Within > 0 && !d.Time.Before(list[first].Time.Add(-p.Within)) {
				keep("within " + span(p.Within))
			}
		}
		if i == newest || i == first {
			keep("newest good")
		}
		if i == proven {
			keep("newest proven by restore")
		}
		guard(now, d, keep)
		switch {
		case double[d.ID]:
			d.Reasons = append(d.Reasons, "resealed as "+d.Resealed)
		case d.Good && !d.Keep:
			d.Reasons = append(d.Reasons, "no rule keeps it")
		case d.Good:
		case d.Foreign:
			keep("foreign: it cannot be judged here, so it is not this vault's to delete")
		case newest < 0:
			keep(d.lacks() + ", but no archive is good")
		case i < newest:
			keep(d.lacks() + ", but newer than the newest good")
		default:
			d.Reasons = append(d.Reasons, d.lacks())
		}
	}
	return nil
}

// lacks says why an archive that is not good fills no rule.
func (d *Decision) lacks() string {
	if d.Partial {
		return "partial: does not count"
	}
	return "damaged: does not count"
}

// doubles are the good archives for which another one stands that is good
// itself and for which none stands.
func doubles(list []Decision) map[string]bool {
	var out, good map[string]bool
	var as map[string]string
	for _, d := range list {
		if d.Good && d.Resealed != "" {
			if as == nil {
				as, out, good = map[string]string{}, map[string]bool{}, map[string]bool{}
			}
			as[d.ID] = d.Resealed
		}
	}
	if as == nil {
		return nil
	}
	for _, d := range list {
		good[d.ID] = d.Good
	}
	for id, next := range as {
		for range as { // no more steps than there are, were it a circle
			if good[next] && as[next] != "" {
				next = as[next]
			}
		}
		if good[next] && as[next] == "" {
			out[id] = true
		}
	}
	return out
}

// guard keeps what no policy may give up, whatever it says.
func guard(now time.Time, d *Decision, keep func(why string)) {
	if d.Good && d.OnlyIn != "" {
		keep("newest good copy in " + d.OnlyIn)
	}
	if d.Pinned {
		keep("pinned")
	}
	if d.InUse {
		keep("a job reads it now")
	}
	if d.Locked.After(now) {
		keep("locked by its place until " + d.Locked.UTC().Format("2006-01-02 15:04 UTC"))
	}
}
