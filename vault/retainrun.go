package vault

import (
	"context"
	"fmt"
	"strings"

	"pgvault/vault/retention"
)

// Order is the plan as an order for Launch: the job applies it where deciding
// from scratch comes to the very same, and confirm is its number.
func (p *RetentionPlan) Order(confirm int) Order {
	o := Order{Kind: KindRetention, Names: p.names, Confirm: confirm, Plan: p.digest()}
	if len(p.names) == 1 {
		o.Database = p.names[0]
	}
	return o
}

func (v *Vault) retentionWork(o Order) work {
	return func(ctx context.Context, r *recorder) error {
		err := v.retainOrdered(ctx, o, r.tell)
		_, _ = v.look(ctx, screenWait) // whoever looks next finds it remembered; without that they look themselves
		return err
	}
}

// retainOrdered is ApplyRetention with events, of a plan of which only the
// digest is known. The job that it is of writes the audit trail.
func (v *Vault) retainOrdered(ctx context.Context, o Order, sink Sink) error {
	r := newRun(sink, v.now, RunStarted{Kind: KindRetention, Database: o.Database, Stages: []Stage{StagePreflight, StageRetention}})
	if err := v.writable(); err != nil {
		return r.finish(ctx, err)
	}
	r.enter(StagePreflight)
	did := &Retained{}
	done, kept, err := v.applyRetention(ctx, o.Names, func(now *RetentionPlan) error {
		err := now.unfitFor(o.Plan, o.Confirm)
		if err == nil {
			r.enter(StageRetention)
		}
		return err
	}, func(one Verdict) {
		if one.Step == retention.StepRemove {
			did.Freed += one.Stored
		}
		r.info(stepWords[one.Step] + " " + one.Database + " " + one.ID + ": " + strings.Join(one.Reasons, "; "))
	})
	if done != nil {
		did.Kept, did.Marked, did.Unmarked, did.Gone = kept, done[retention.StepMark], done[retention.StepUnmark], done[retention.StepRemove]
		r.done.Retained = did
		r.left = fmt.Sprintf("each archive is whole or gone; %s before it ended", done)
	}
	return r.finish(ctx, err)
}

// stepWords says what was done to an archive.
var stepWords = map[retention.Step]string{retention.StepMark: "marked", retention.StepUnmark: "kept again", retention.StepRemove: "removed"}
