package vault

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"pgvault/fault"
	"pgvault/vault/retention"
	"pgvault/vault/store"
)

// PlaceBytes is how many bytes something takes in one place.
type PlaceBytes struct {
	Place string `json:"place"`
	Bytes int64  `json:"bytes"`
}

// RetentionRules are what holds for one database.
type RetentionRules struct {
	retention.Rules
	// From is where in the configuration the policy stands: the name of a
	// database's own entry, "*", or empty for the defaults.
	From string
	// Chosen tells that somebody chose it: backups apply it by themselves.
	Chosen bool
}

// RetentionLook is what the places showed once: all that a plan is made of.
// A face plans with it again and again, for one policy after the other,
// without asking anything. It is not changed by planning.
type RetentionLook struct {
	At       time.Time
	Zone     *time.Location      // days are counted in it; nil: UTC
	Archives []retention.Archive // of all databases
	Places   [][]PlaceBytes      // by Archive.Ref: the bytes of each copy, whole or not
	Rules    map[string]RetentionRules
	Refused  string // why nothing may be marked or removed now, whatever the policy
	Do       string // what to do about that

	lost  bool     // Refused is about a listing that a person may confirm
	known retained // the archives that were listed
}

// LookRetention asks the places for all archives, once, and finds out what
// holds for their databases. It changes nothing.
func (v *Vault) LookRetention(ctx context.Context) (*RetentionLook, error) {
	w, err := v.look(ctx, verbWait)
	if err != nil {
		return nil, err
	}
	status, _ := v.statusFrom(ctx, w.archives) // of a server that is down, those in the vault
	l, err := v.retentionLook(ctx, w, status)
	if err == nil {
		v.refuseRetention(ctx, w, l)
	}
	return l, err
}

// retentionLook is LookRetention of a view that is there, without what makes
// retention refuse.
func (v *Vault) retentionLook(ctx context.Context, w *view, status []DatabaseStatus) (*RetentionLook, error) {
	l := &RetentionLook{At: v.now(), Zone: v.c.Zone, Rules: map[string]RetentionRules{}, known: retained{}}
	if l.Zone == nil {
		l.Zone = time.Local
	}
	var err error
	if l.Archives, err = v.retentionFacts(ctx, w); err != nil {
		return nil, err
	}
	failing := v.failingOf(status)
	l.Places = make([][]PlaceBytes, len(l.Archives))
	for i := range l.Archives {
		a := &l.Archives[i]
		a.Ref, l.Places[i] = i, w.archives[i].takes()
		if _, known := l.Rules[a.Database]; !known {
			d := v.c.Of(a.Database)
			l.Rules[a.Database] = RetentionRules{retention.Rules{Policy: d.Keep, Grace: d.Grace, Failing: failing[a.Database]}, d.KeepFrom, d.Removes}
		}
	}
	return l, nil
}

// Plan decides about the archives of the named databases, or of all. keep
// gives the policy of a database; nil: those that hold. It does no input or
// output, and may be called at every key.
func (l *RetentionLook) Plan(names []string, keep func(database string) retention.Policy) (*RetentionPlan, error) {
	p := &RetentionPlan{At: l.At, Verdicts: []Verdict{}, Refused: l.Refused, Do: l.Do, names: names, lost: l.lost, known: l.known}
	list := l.Archives
	if len(names) > 0 {
		list = slices.DeleteFunc(slices.Clone(list), func(a retention.Archive) bool { return !slices.Contains(names, a.Database) })
	}
	decided, err := retention.Plan(l.At, l.Zone, func(name string) retention.Rules {
		r := l.Rules[name].Rules
		if keep != nil {
			r.Policy = keep(name)
		}
		return r
	}, list)
	if err != nil {
		return nil, &fault.Error{Op: "retention", What: "retention decides nothing", Why: err.Error(), Left: "nothing was marked or removed",
			Do: "mend the policy (keep, grace) in the configuration, or the clock that is wrong", Code: fault.Refused, Err: err}
	}
	p.Excess = retention.Excess(decided)
	p.Verdicts = make([]Verdict, 0, len(decided))
	for i := range decided {
		d := &decided[i]
		one := Verdict{ID: d.ID, Database: d.Database, Time: d.Time, Places: l.Places[d.Ref], Keep: d.Keep, Reasons: d.Reasons, Step: d.Step}
		for _, at := range one.Places {
			one.Stored += at.Bytes
		}
		if !d.Until.IsZero() {
			until := d.Until // else all decisions would stay with the plan
			one.Until = &until
		}
		p.Verdicts = append(p.Verdicts, one)
	}
	if p.lost {
		p.Do = fmt.Sprintf("find out where they are; if they are gone for good: pgvault retention --apply --confirm %d", p.Confirm())
	}
	return p, nil
}

// aheadMonths is how far Ahead looks.
const aheadMonths = 6

// Ahead tells how many archives of a database a policy holds in half a year,
// at the pace of its newest ones, and how many bytes they take in all places if
// each is as large as the newest good one. ok is false where that cannot be
// told. It does no input or output, as Plan.
func (l *RetentionLook) Ahead(database string, p retention.Policy) (n int, bytes int64, ok bool) {
	var list []retention.Archive
	newest := -1
	for i, a := range l.Archives {
		if a.Database != database {
			continue
		}
		if list = append(list, a); a.Good && !a.Imported && (newest < 0 || a.Seq > l.Archives[newest].Seq) {
			newest = i
		}
	}
	if n, ok = retention.Ahead(l.At, l.At.AddDate(0, aheadMonths, 0), l.Zone, p, list); !ok {
		return 0, 0, false
	}
	for _, at := range l.Places[l.Archives[newest].Ref] {
		bytes += at.Bytes
	}
	return n, bytes * int64(n), true
}

// takes is how many bytes each copy takes that lies somewhere, good or not.
func (a *Archive) takes() (out []PlaceBytes) {
	for _, c := range a.Copies {
		if c.State == CopyGood || c.State == CopyDamaged {
			out = append(out, PlaceBytes{c.Place, a.Stored})
		}
	}
	return out
}

// retentionFacts is what the policy wants to know of each archive.
func (v *Vault) retentionFacts(ctx context.Context, w *view) ([]retention.Archive, error) {
	jobs, err := v.Jobs(ctx)
	if err != nil {
		return nil, err
	}
	used := map[string]bool{}
	for _, j := range jobs {
		if j.State == JobRunning {
			used[j.Archive], used[j.Order.ID] = true, true
		}
	}
	newest := map[[2]string]bool{} // database and place that have their newest good copy
	out := make([]retention.Archive, 0, len(w.archives))
	for i := range w.archives { // newest first
		a := &w.archives[i]
		r := retention.Archive{ID: a.ID, Database: a.Database, Time: a.Started, Seq: a.Seq, Good: a.State == "good", Proven: a.Proof == ProofRestored,
			Pinned: a.Pinned, InUse: used[a.ID], Partial: a.State == "partial", Foreign: a.State == "foreign", Imported: a.Imported != nil, Resealed: a.ResealedAs}
		if r.Time.IsZero() { // no manifest can be read: its name tells when
			r.Time, _ = time.Parse("20060102T150405Z", a.ID[:idSecond])
		}
		if a.Expires != nil {
			r.Marked, r.NotBefore = true, *a.Expires
		}
		var only []string
		for _, c := range a.Copies {
			if c.LockedUntil != nil && c.LockedUntil.After(r.Locked) {
				r.Locked = *c.LockedUntil
			}
			if len(w.sights) > 1 && c.State == CopyGood && r.Good && !newest[[2]string{a.Database, c.Place}] {
				newest[[2]string{a.Database, c.Place}] = true
				only = append(only, c.Place)
			}
		}
		r.OnlyIn = strings.Join(only, ", ")
		out = append(out, r)
	}
	number(out)
	return out, nil
}

// number gives those that cannot be read, newest first among the others, the
// highest number of what is dated before them: so that one that is newer than
// every good archive is known for that.
func number(list []retention.Archive) {
	top := map[string]int64{}
	for i := range slices.Backward(list) {
		a := &list[i]
		if a.Seq == 0 && !a.Good {
			a.Seq = top[a.Database]
		}
		top[a.Database] = max(top[a.Database], a.Seq)
	}
}

// failingOf says of each database why nothing of it may go now.
func (v *Vault) failingOf(status []DatabaseStatus) map[string]string {
	out := map[string]string{}
	for _, s := range status {
		switch s.State {
		case "failed":
			out[s.Database] = "its newest backup failed"
		case "late":
			out[s.Database] = "its newest good archive is too old"
		case "running":
			if s.LastGood != nil && s.Late(v.now()) {
				out[s.Database] = "its newest good archive is too old"
			}
		}
	}
	return out
}

// refuseRetention says why nothing may be marked or removed now: a place
// that does not tell all it has, or clocks that differ.
func (v *Vault) refuseRetention(ctx context.Context, w *view, l *RetentionLook) {
	before := v.lastRetention()
	for _, s := range w.sights {
		if s.err != nil {
			l.Refused = fmt.Sprintf("the place %s could not be listed: %s", s.Name, oneLine(s.err))
			l.Do, l.lost = "see that it answers (pgvault place test "+s.Name+"), then run again", false
			return
		}
		keys := make([]string, len(s.seen.archives))
		for i := range s.seen.archives {
			keys[i] = s.seen.archives[i].Database + "/" + s.seen.archives[i].ID
		}
		slices.Sort(keys)
		l.known[v.key(s.site)] = keys
		if clock, ok := store.As[store.Clock](s.Store); ok {
			there, err := clock.ServerTime(ctx)
			if err != nil {
				l.Refused = fmt.Sprintf("the place %s does not tell its time, so this host's clock cannot be compared: %s", s.Name, oneLine(err))
				l.Do, l.lost = "see that it answers (pgvault place test "+s.Name+"), then run again", false
				return
			}
			if off := there.Sub(v.now()).Abs(); off > retention.Skew {
				l.Refused = fmt.Sprintf("the clocks of this host and of %s differ by %s", s.Name, off.Round(time.Second))
				l.Do, l.lost = "set this host's clock, then run again", false
				return
			}
		}
		if lost := before.lost(v.key(s.site), keys); lost > 0 && l.Refused == "" {
			l.Refused = fmt.Sprintf("the listing of %s lacks %d archives that were there at the last run: it looks cut short", s.Name, lost)
			l.lost = true // what to do names the number of a plan: see Plan
		}
	}
}
