package vault

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"pgvault/fault"
	"pgvault/vault/archive"
	"pgvault/vault/job"
	"pgvault/vault/retention"
)

// ApplyRetention applies the plan it was given: takes marks away from what
// is kept now, marks what no rule keeps, and removes what was marked and
// whose grace is over. confirm is the number that a person typed, or the
// plan's own for who was not asked. All is decided from scratch first: where
// that comes to something else, nothing is done. tell is called after each
// step that was taken.
//
// A place that fails keeps its copy; the error is then fault.Partial, and the
// next deletion finishes it.
func (v *Vault) ApplyRetention(ctx context.Context, p *RetentionPlan, confirm int, tell func(Verdict)) error {
	if err := v.writable(); err != nil {
		return err
	}
	began := false
	done, kept, err := v.applyRetention(ctx, p.names, func(now *RetentionPlan) error {
		err := p.unfit(now, confirm)
		began = err == nil
		return err
	}, tell)
	if len(done) > 0 || began && err != nil {
		err = v.audited(ctx, "retention", retainedWhat(p.names), done.String()+fmt.Sprintf(", kept %d", kept), err)
	}
	return err
}

// retainedWhat names what retention was of, for the audit trail.
func retainedWhat(names []string) string {
	switch len(names) {
	case 0:
		return "all"
	case 1:
		return names[0]
	}
	return fmt.Sprint(len(names), " databases")
}

// applyRetention decides from scratch, under the lock, and takes the steps
// where unfit finds nothing against that plan. It gives how many archives are
// kept.
func (v *Vault) applyRetention(ctx context.Context, names []string, unfit func(now *RetentionPlan) error, tell func(Verdict)) (done taken, kept int, err error) {
	vf, err := v.vaultFile(ctx, nil)
	if err != nil {
		return nil, 0, err
	}
	unlock, err := job.Lock(v.lockDir(), vf.ID[:12]+"-retention", "retention", "")
	if err != nil {
		return nil, 0, err
	}
	defer unlock()
	now, err := v.planRetention(ctx, names, nil)
	if err == nil {
		err = unfit(now)
	}
	if err != nil {
		return nil, 0, err
	}
	// Before: a run that is killed while it removes must not leave behind a
	// memory of archives whose absence then looks like a listing cut short.
	v.rememberRetention(now)
	done, err = v.takeSteps(ctx, now, tell)
	if err == nil {
		v.finishKilled(ctx)
	}
	return done, len(now.Verdicts) - done[retention.StepRemove], err
}

// unfit is why the plan, which was confirmed with a number, is not applied.
func (p *RetentionPlan) unfit(now *RetentionPlan, confirm int) error {
	return now.unfitFor(p.digest(), confirm)
}

// digest is a hash of what the plan does with each archive: two plans that
// do the same have the same.
func (p *RetentionPlan) digest() string {
	h := sha256.New()
	for _, v := range p.Verdicts {
		fmt.Fprintf(h, "%q %q %s\n", v.Database, v.ID, v.Step)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// unfitFor is why the plan is not applied for who confirmed, with a number,
// one with this digest.
func (p *RetentionPlan) unfitFor(digest string, confirm int) error {
	refused := func(what, why, do string) error {
		return &fault.Error{Op: "retention", What: what, Why: why, Left: "nothing was marked or removed", Do: do, Code: fault.Refused}
	}
	switch {
	case p.Refused != "" && !p.lost:
		return refused("retention does nothing now", p.Refused, p.Do)
	case digest != p.digest():
		return refused("the archives are not as the plan found them", "some were added, removed or pinned meanwhile", "look again: pgvault retention")
	case confirm != p.Confirm():
		return refused("the number does not confirm the plan", fmt.Sprintf("%d archives would be marked or removed, %d was typed", p.Confirm(), confirm),
			fmt.Sprintf("pgvault retention --apply --confirm %d", p.Confirm()))
	}
	return nil
}

// finishKilled removes what runs that were killed left of archives that are
// gone. What cannot be removed now is left to the next run.
func (v *Vault) finishKilled(ctx context.Context) {
	v.finishPending(ctx, "")
	sites, err := v.sites()
	if err != nil {
		return
	}
	askEach(ctx, v, sites, verbWait, func(ctx context.Context, s site) (struct{}, error) {
		return struct{}{}, v.sweepDeleted(ctx, s)
	})
}

// taken counts the steps that were taken.
type taken map[retention.Step]int

func (t taken) String() string {
	return fmt.Sprintf("marked %d, unmarked %d, gone %d", t[retention.StepMark], t[retention.StepUnmark], t[retention.StepRemove])
}

// takeSteps unmarks before it marks and removes, so that what is to stay is
// safe first.
func (v *Vault) takeSteps(ctx context.Context, p *RetentionPlan, tell func(Verdict)) (taken, error) {
	done := taken{}
	var failed []error
	for _, step := range []retention.Step{retention.StepUnmark, retention.StepMark, retention.StepRemove} {
		for _, one := range p.Verdicts {
			if one.Step != step {
				continue
			}
			if err := ctx.Err(); err != nil {
				return done, err
			}
			err := v.takeStep(ctx, one)
			if errors.Is(err, errKeptMeanwhile) { // a person undid it while others went
				continue
			}
			if err != nil {
				failed = append(failed, err)
				continue
			}
			done[step]++
			if tell != nil {
				tell(one)
			}
		}
	}
	if len(failed) == 0 {
		return done, nil
	}
	first := fault.As(failed[0])
	return done, &fault.Error{Op: "retention", What: fmt.Sprintf("%d archives could not be dealt with", len(failed)), Why: first.Error(), Left: "these are as they were; " + done.String(),
		Do: orElse(first.Do, "run it again"), Code: fault.Partial, Err: errors.Join(failed...)}
}

func (v *Vault) takeStep(ctx context.Context, one Verdict) error {
	key := one.Database + "/" + one.ID
	switch one.Step {
	case retention.StepRemove:
		plan, err := v.PlanDelete(ctx, key)
		if err != nil {
			return err
		}
		plan.expired = true
		return v.Delete(ctx, plan)
	case retention.StepUnmark:
		return v.unexpire(ctx, key)
	}
	now := v.now().UTC()
	until := one.Until.UTC()
	if until.Before(now) { // no grace at all
		until = now
	}
	there, err := v.whereabouts(ctx, key)
	if err != nil {
		return err
	}
	_, err = v.expire(ctx, there, &archive.Expiry{Archive: one.ID, At: now, By: who(), NotBefore: until, Reasons: one.Reasons})
	return err
}

// errKeptMeanwhile marks a removal that was called off because the mark is
// gone; errors.Is finds it.
var errKeptMeanwhile = errors.New("kept meanwhile")

// retained is what the last run of retention saw in each place, so that a
// listing that was cut short is noticed.
type retained map[string][]string // by the place's key: archives, sorted

func (v *Vault) retainedPath() string {
	return filepath.Join(v.c.StateDir, "retention", v.c.Name+".json")
}

// lastRetention is nil where nothing is remembered.
func (v *Vault) lastRetention() retained {
	src, err := os.ReadFile(v.retainedPath())
	var r retained
	if err != nil || json.Unmarshal(src, &r) != nil {
		return nil
	}
	return r
}

// lost counts the archives that were in a place at the last run and are not
// listed now, if they are too many to have been deleted by hand, if nothing is
// listed at all, or if the end of the listing is missing: a page that never
// came.
func (r retained) lost(place string, keys []string) int {
	var missing []int
	for i, k := range r[place] {
		if _, there := slices.BinarySearch(keys, k); !there {
			missing = append(missing, i)
		}
	}
	n, had := len(missing), len(r[place])
	end := n > 0 && missing[0] == had-n && (len(keys) == 0 || keys[len(keys)-1] < r[place][missing[0]])
	switch {
	case n > 0 && len(keys) == 0, n > retention.Few && (end || float64(n) > retention.Share*float64(had)):
		return n
	}
	return 0
}

// rememberRetention keeps what is left. Where it cannot be written, the next
// run has less to compare with.
func (v *Vault) rememberRetention(p *RetentionPlan) {
	gone := map[string]bool{}
	for _, one := range p.Verdicts {
		if one.Step == retention.StepRemove {
			gone[one.Database+"/"+one.ID] = true
		}
	}
	r := retained{}
	for place, keys := range p.known {
		r[place] = slices.DeleteFunc(slices.Clone(keys), func(k string) bool { return gone[k] })
	}
	if src, err := json.Marshal(r); err == nil {
		_ = v.writeState(v.retainedPath(), src)
	}
}
