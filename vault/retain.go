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

// Verdict is what the retention policy says of one archive.
type Verdict struct {
	ID       string    `json:"id"`
	Database string    `json:"database"`
	Time     time.Time `json:"time"`
	Stored   int64     `json:"stored"` // bytes of all its copies
	Keep     bool      `json:"keep"`
	Reasons  []string  `json:"reasons"`

	Step  retention.Step `json:"step"`            // what a run would do now
	Until *time.Time     `json:"until,omitempty"` // mark and wait: when it may be removed
}

// RetentionPlan is what a run of retention would do now, as data. It changes
// nothing.
type RetentionPlan struct {
	At       time.Time      `json:"at"`
	Verdicts []Verdict      `json:"verdicts"` // by database, newest first
	Refused  string         `json:"refused"`  // why nothing may be marked or removed now; empty when it may
	Do       string         `json:"do"`       // what to do about that
	Excess   map[string]int `json:"excess"`   // databases of which more goes at once than without being asked

	names []string
	lost  bool     // Refused is about a listing that a person may confirm
	known retained // the archives that were listed
}

// Count gives how many archives have this step.
func (p *RetentionPlan) Count(step retention.Step) int {
	n := 0
	for _, v := range p.Verdicts {
		if v.Step == step {
			n++
		}
	}
	return n
}

// Confirm is the number that a person types to have the plan applied: of the
// archives that it would mark or remove.
func (p *RetentionPlan) Confirm() int {
	return p.Count(retention.StepMark) + p.Count(retention.StepRemove)
}

// Frees is how many bytes removing gives back now, in all places.
func (p *RetentionPlan) Frees() (bytes int64) {
	for _, v := range p.Verdicts {
		if v.Step == retention.StepRemove {
			bytes += v.Stored
		}
	}
	return bytes
}

// RetentionPreview gives the verdicts of the policies that hold, of the named
// databases, or of all. It deletes nothing.
func (v *Vault) RetentionPreview(ctx context.Context, names []string) ([]Verdict, error) {
	return v.PreviewPolicy(ctx, names, nil)
}

// PreviewPolicy is RetentionPreview with other policies than those that
// hold: keep gives the one of a database; nil: those that hold.
func (v *Vault) PreviewPolicy(ctx context.Context, names []string, keep func(database string) retention.Policy) ([]Verdict, error) {
	p, err := v.planRetention(ctx, names, keep)
	if err != nil {
		return nil, err
	}
	return p.Verdicts, nil
}

// PlanRetention decides about all archives of the named databases, or of all
// of them, as the places show them now.
func (v *Vault) PlanRetention(ctx context.Context, names []string) (*RetentionPlan, error) {
	return v.planRetention(ctx, names, nil)
}

func (v *Vault) planRetention(ctx context.Context, names []string, keep func(string) retention.Policy) (*RetentionPlan, error) {
	w, err := v.look(ctx, verbWait)
	if err != nil {
		return nil, err
	}
	p := &RetentionPlan{At: v.now(), Verdicts: []Verdict{}, names: names, known: retained{}}
	facts, err := v.retentionFacts(ctx, w)
	if err != nil {
		return nil, err
	}
	failing := v.failingOf(ctx, w.archives)
	rules := func(name string) retention.Rules {
		d := v.c.Of(name)
		r := retention.Rules{Policy: d.Keep, Grace: d.Grace, Failing: failing[name]}
		if keep != nil {
			r.Policy = keep(name)
		}
		return r
	}
	var list []retention.Archive
	for _, a := range facts {
		if len(names) == 0 || slices.Contains(names, a.Database) {
			list = append(list, a)
		}
	}
	zone := v.c.Zone
	if zone == nil {
		zone = time.Local
	}
	decided, err := retention.Plan(p.At, zone, rules, list)
	if err != nil {
		return nil, &fault.Error{Op: "retention", What: "retention decides nothing", Why: err.Error(), Left: "nothing was marked or removed",
			Do: "mend the policy (keep, grace) in the configuration, or the clock that is wrong", Code: fault.Refused, Err: err}
	}
	p.Excess = retention.Excess(decided)
	stored := map[string]int64{}
	for _, a := range w.archives {
		stored[a.Database+"/"+a.ID] = a.Stored * int64(max(a.present(), 1))
	}
	for _, d := range decided {
		one := Verdict{ID: d.ID, Database: d.Database, Time: d.Time, Stored: stored[d.Database+"/"+d.ID], Keep: d.Keep, Reasons: d.Reasons, Step: d.Step}
		if !d.Until.IsZero() {
			until := d.Until
			one.Until = &until
		}
		p.Verdicts = append(p.Verdicts, one)
	}
	v.refuseRetention(ctx, w, p)
	return p, nil
}

// present counts the copies that lie somewhere, good or not.
func (a *Archive) present() int {
	n := 0
	for _, c := range a.Copies {
		if c.State == CopyGood || c.State == CopyDamaged {
			n++
		}
	}
	return n
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
			Pinned: a.Pinned, InUse: used[a.ID], Foreign: a.State == "foreign", Imported: a.Imported != nil, Resealed: a.ResealedAs}
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
	return out, nil
}

// failingOf says of each database why nothing of it may go now.
func (v *Vault) failingOf(ctx context.Context, list []Archive) map[string]string {
	out := map[string]string{}
	status, _ := v.statusFrom(ctx, list) // of a server that is down, those in the vault
	for _, s := range status {
		switch s.State {
		case "failed":
			out[s.Database] = "its newest backup failed"
		case "late":
			out[s.Database] = "its newest good archive is too old"
		case "running":
			if s.LastGood != nil && s.MaxAgeSeconds > 0 && v.now().Sub(*s.LastGood) > time.Duration(s.MaxAgeSeconds)*time.Second {
				out[s.Database] = "its newest good archive is too old"
			}
		}
	}
	return out
}

// refuseRetention says why nothing may be marked or removed now: a place
// that does not tell all it has, or clocks that differ.
func (v *Vault) refuseRetention(ctx context.Context, w *view, p *RetentionPlan) {
	before := v.lastRetention()
	for _, s := range w.sights {
		if s.err != nil {
			p.Refused = fmt.Sprintf("the place %s could not be listed: %s", s.Name, oneLine(s.err))
			p.Do, p.lost = "see that it answers (pgvault place test "+s.Name+"), then run again", false
			return
		}
		keys := make([]string, len(s.seen.archives))
		for i := range s.seen.archives {
			keys[i] = s.seen.archives[i].Database + "/" + s.seen.archives[i].ID
		}
		slices.Sort(keys)
		p.known[v.key(s.site)] = keys
		if clock, ok := store.As[store.Clock](s.Store); ok {
			there, err := clock.ServerTime(ctx)
			if off := there.Sub(v.now()).Abs(); err == nil && off > retention.Skew {
				p.Refused = fmt.Sprintf("the clocks of this host and of %s differ by %s", s.Name, off.Round(time.Second))
				p.Do, p.lost = "set this host's clock, then run again", false
				return
			}
		}
		if lost := before.lost(v.key(s.site), keys); lost > 0 && p.Refused == "" {
			p.Refused = fmt.Sprintf("the listing of %s lacks %d archives that were there at the last run: it looks cut short", s.Name, lost)
			p.Do, p.lost = fmt.Sprintf("find out where they are; if they are gone for good: pgvault retention --apply --confirm %d", p.Confirm()), true
		}
	}
}
