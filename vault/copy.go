package vault

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"pgvault/fault"
	"pgvault/vault/archive"
)

// Copy brings archives to places that lack them, and heals damaged copies. A
// place that fails does not fail the others: the result is then partial.
func (v *Vault) Copy(ctx context.Context, o CopyOptions, sink Sink) error {
	return v.copyPatiently(ctx, o, 0, sink)
}

func (v *Vault) copyPatiently(ctx context.Context, o CopyOptions, patience time.Duration, sink Sink) error {
	var plan *CopyPlan
	var err error
	if !o.Missing {
		plan, err = v.PlanCopy(ctx, o)
	}
	started := RunStarted{Kind: KindCopy, ID: o.ID, Stages: []Stage{StagePreflight, StageCopies}}
	if plan != nil {
		started.ID, started.Database = plan.ID, plan.Database
	}
	c := &copying{v: v, named: !o.Missing, patience: patience, run: newRun(sink, v.now, started)}
	if err == nil {
		err = c.do(ctx, o, plan)
	}
	return c.finish(ctx, err)
}

func (c *copying) do(ctx context.Context, o CopyOptions, plan *CopyPlan) (err error) {
	c.enter(StagePreflight)
	if err := c.v.writable(); err != nil {
		return err
	}
	if plan == nil {
		if plan, err = c.v.PlanCopy(ctx, o); err != nil {
			return err
		}
	}
	if err := c.begin(ctx); err != nil {
		return err
	}
	c.enter(StageCopies)
	return c.apply(ctx, plan)
}

// begin gathers what every copy needs.
func (c *copying) begin(ctx context.Context) (err error) {
	if c.vf, c.trust, err = c.v.identity(ctx); err != nil {
		return err
	}
	if c.signer, err = archive.LoadSigner(c.v.c.SigningKey); err != nil {
		c.warn("no proof is written: " + err.Error())
		c.signer = nil
	}
	return nil
}

// apply does the plan and gives the error of what could not be done.
func (c *copying) apply(ctx context.Context, plan *CopyPlan) error {
	for _, l := range plan.Left {
		c.info(l)
	}
	c.take(plan)
	if len(c.work) == 0 && len(plan.Silent) == 0 && len(plan.untold) == 0 {
		c.info("every place has what it should")
	}
	for _, t := range c.targets {
		if t.err == nil {
			c.info(fmt.Sprintf("%s gets %s, %s at most", t.Name, plural(int64(t.archives), "archive"), bytesText(t.total)))
			c.discardUnfinished(ctx, t)
		}
	}
	c.schedule(ctx)
	c.tellProofs(ctx, plan.untold)
	if ctx.Err() == nil {
		c.readBackWeekly(ctx)
	}
	return c.verdict(ctx)
}

// verdict fills in the run's end and gives its error: nil when every place
// has what it was to get.
func (c *copying) verdict(ctx context.Context) error {
	var errs []error
	have, lack := 0, 0
	for _, t := range c.targets {
		r := t.result()
		c.done.Places = append(c.done.Places, r)
		if c.done.Kind == KindCopy {
			c.done.Stored += r.Bytes
		}
		have, lack = have+r.Archives, lack+r.Missing
		if r.Err != nil {
			errs = append(errs, r.Err)
		}
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case len(errs) == 0:
		return nil
	case len(errs) == 1 && have == 0 && len(c.targets) == 1:
		return errs[0]
	}
	what := fmt.Sprintf("%d copies could not be made", lack)
	switch lack {
	case 0:
		what = "a copy that was read back is damaged"
	case 1:
		what = "a copy could not be made"
	}
	e := &fault.Error{Op: "copy", What: what, Why: c.lacking(),
		Left: "every copy that was there or was made is whole; the archives themselves are as they were", Code: fault.Partial, Err: errors.Join(errs...),
		Do: "mend the cause; the next backup sends what is missing, or pgvault copy --missing"}
	if have == 0 {
		e.Code = fault.CodeOf(errs[0])
		for _, err := range errs {
			if fault.CodeOf(err) != e.Code {
				e.Code = fault.Failed
			}
		}
	}
	return e
}

// lacking says of each place that lacks something why it does.
func (c *copying) lacking() string {
	var why []string
	for _, t := range c.targets {
		if r := t.result(); r.Err != nil {
			why = append(why, r.Place+": "+oneLine(r.Err))
		}
	}
	return strings.Join(why, "; ")
}
