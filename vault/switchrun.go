package vault

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"pgvault/fault"
)

// Order is the plan as an order for Launch: the job applies it where planning
// from scratch comes to the very same. How many sessions are ended is no part
// of that.
func (p *SwitchPlan) Order() Order {
	return Order{Kind: KindSwitch, Database: p.Database, ID: p.Archive, ToNew: p.restored(), Accept: p.o.Accept,
		Goal: p.Goal, Resumes: p.Resumes, Old: p.Old, Plan: p.digest()}
}

// restored is the name that the restored database has while it has not the
// live one's.
func (p *SwitchPlan) restored() string {
	if p.Goal == GoalOriginal && p.Other.After != "" {
		return p.Other.After
	}
	return p.Other.Name
}

// digest is a hash of which database gets which name, and of what was
// accepted for that: two plans that do the same have the same.
func (p *SwitchPlan) digest() string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %t %q %q\n", p.Goal, p.Resumes, p.Database, p.Archive)
	for _, s := range []SwitchSide{p.Live, p.Other} {
		fmt.Fprintf(h, "%d %q %q\n", s.OID, s.Name, s.After)
	}
	for _, d := range p.Differences {
		fmt.Fprintf(h, "%q %q %t\n", d.Name, d.Why, d.Accepted)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (v *Vault) switchWork(o Order) work {
	return func(ctx context.Context, r *recorder) error {
		p, err := v.planOrdered(ctx, o)
		if err != nil {
			return err
		}
		return v.Switch(ctx, p, r.tell)
	}
}

// planOrdered makes the plan of an order anew and refuses it when it is not
// the one that was confirmed. What a check forbids by now is Switch's to say.
func (v *Vault) planOrdered(ctx context.Context, o Order) (p *SwitchPlan, err error) {
	switch {
	case o.Resumes:
		j, jerr := v.lastSwitch(o.Database)
		if jerr != nil {
			return nil, jerr
		}
		p, err = v.planResume(ctx, o.Database, j.Goal != o.Goal, false)
	case o.Goal == GoalOriginal:
		p, err = v.PlanSwitchUndo(ctx, o.Database)
	default:
		p, err = v.PlanSwitch(ctx, SwitchOptions{Database: o.Database, With: o.ToNew, Accept: o.Accept})
	}
	if err == nil && !p.Refused() && p.digest() != o.Plan {
		err = &fault.Error{Op: "switch", What: "the databases are not as the plan found them", Why: "the plan made now is another one than was confirmed",
			Left: leftAtFirst(KindSwitch), Do: "look at the plan again", Code: fault.Refused}
	}
	return p, err
}
