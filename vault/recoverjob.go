package vault

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"pgvault/fault"
)

// RunRecover is Recover as a job in this process. Its events are a RunStarted
// of its own, those of each restore with a DatabaseDone for its RunDone, and a
// RunDone of all with the report.
func (v *Vault) RunRecover(ctx context.Context, p *RecoverPlan, from RecoverOrder, sink Sink) error {
	return v.runJob(ctx, p.Order(from), v.actor(), nil, sink, func(ctx context.Context, r *recorder) error {
		return v.recoverTold(ctx, p, r.tell)
	})
}

// Order is the plan as an order for Launch: from says where the vault lies,
// whose signatures count, and which server it goes to.
func (p *RecoverPlan) Order(from RecoverOrder) Order {
	from.Vault, from.Databases, from.As = p.Vault, slices.Clone(p.o.Databases), maps.Clone(p.o.As)
	from.Latest, from.Roles, from.Archives = p.o.Latest, p.o.Roles, p.archives()
	return Order{Kind: KindRecover, Workers: p.o.Jobs, NoTablespaces: p.o.NoTablespace, Recover: &from}
}

// archives are those that were chosen, by database.
func (p *RecoverPlan) archives() map[string]string {
	out := map[string]string{}
	for i := range p.Databases {
		if d := &p.Databases[i]; d.Chosen != nil {
			out[d.Database] = d.Chosen.ID
		}
	}
	return out
}

// recoverSpare is how many archives of each database a job can open beside
// the one chosen, where that turns out to be damaged.
const recoverSpare = 2

// UnlockRecover gives for Secrets.Unlocked what opens the archives of the plan,
// and of each database the next two: a line an archive, each a secret. With
// them a job needs neither an identity nor a person.
func (v *Vault) UnlockRecover(ctx context.Context, p *RecoverPlan) ([]string, error) {
	keys, err := v.keys(p.o.Identities)
	if err != nil {
		return nil, err
	}
	defer keys.Wipe()
	var out []string
	for i := range p.Databases {
		d := &p.Databases[i]
		if d.Chosen == nil {
			continue
		}
		for n, a := range append([]Archive{*d.Chosen}, d.next[:min(len(d.next), recoverSpare)]...) {
			line, _, err := v.unlockWith(ctx, a.Database+"/"+a.ID, keys)
			switch {
			case err == nil:
				out = append(out, line)
			case n == 0 || ctx.Err() != nil:
				return nil, err
			}
		}
	}
	return out, nil
}

// recoverWork plans anew what was ordered, and refuses where that is no
// longer what was shown.
func (v *Vault) recoverWork(o Order, ids Identities) work {
	return func(ctx context.Context, r *recorder) error {
		w := o.Recover
		if w == nil {
			return &fault.Error{Op: "recover", What: "a recovery was ordered that says nothing of what", Why: "its launcher is another version of pgvault", Left: "no role and no database was made", Do: "start it with the same version of pgvault", Code: fault.Usage}
		}
		p, err := v.PlanRecover(ctx, RecoverOptions{Databases: w.Databases, As: w.As, Latest: w.Latest, Jobs: o.Workers, Roles: w.Roles, NoTablespace: o.NoTablespaces, Identities: ids})
		if err != nil {
			return err
		}
		if now := p.archives(); !maps.Equal(now, w.Archives) {
			return &fault.Error{Op: "recover", What: "the plan is no longer what was shown", Why: fmt.Sprintf("archives came or went in the place, or databases on the server: %v was shown, %v is now", w.Archives, now),
				Left: "no role and no database was made", Do: "plan it once more", Code: fault.Refused}
		}
		v.ActAs(r.actor.By) // each restore was started by who started all
		return v.recoverTold(ctx, p, r.tell)
	}
}

// recoverTold is Recover with the events of a run.
func (v *Vault) recoverTold(ctx context.Context, p *RecoverPlan, sink Sink) error {
	started, n := v.now(), 0
	sink(RunStarted{Kind: KindRecover, Stages: []Stage{}, At: started})
	report, err := v.Recover(ctx, p, func(e Event) {
		if _, done := e.(RunDone); !done {
			sink(e)
		}
	}, func(r RecoverRow) {
		n++
		sink(DatabaseDone{N: n, Of: len(p.Databases), Row: r})
	})
	done := RunDone{Kind: KindRecover, Result: ResultOK, Exit: fault.CodeOf(err), Err: err, Seconds: v.now().Sub(started).Seconds(), Recovered: report}
	switch {
	case done.Exit == fault.Cancelled:
		done.Result = ResultCancelled
	case done.Exit == fault.Partial:
		done.Result = ResultPartial
	case err != nil:
		done.Result = ResultFailed
	}
	if report == nil {
		done.Recovered = &RecoverReport{Roles: []string{}, Warnings: []string{}, Databases: []RecoverRow{}}
	}
	for _, d := range done.Recovered.Databases {
		done.TablesEqual += d.TablesEqual
		done.TablesTotal += d.TablesTotal
		done.Tables += d.TablesTotal
		done.Rows += d.Rows
		done.Differences = append(done.Differences, d.Differences...)
	}
	done.Warnings = len(done.Recovered.Warnings)
	sink(done)
	return err
}
