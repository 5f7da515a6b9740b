package vault

import (
	"context"
	"fmt"
	"strings"

	"pgvault/fault"
	"pgvault/pg"
	"pgvault/vault/archive"
)

// Restore applies a plan. When it fails before the comparison, a database
// that it made is dropped again; one whose comparison found differences is
// kept for a look, and the run says so with exit code 5.
func (v *Vault) Restore(ctx context.Context, p *RestorePlan, sink Sink) error {
	r := p.prep.r
	stages := []Stage{StageCheck, StageCreate, StageData, StageIndexes, StageSettings}
	if !p.o.SkipCompare {
		stages = append(stages, StageCompare)
	}
	if r.only != nil {
		stages = stages[1:]
	}
	r.run = newRun(sink, v.now, RunStarted{Kind: KindRestore, ID: p.Archive.ID, Database: p.Archive.Database, Target: p.Target, Stages: stages})
	r.done.Proof = p.Archive.Proof
	defer r.main.Close()
	return r.finish(ctx, v.apply(ctx, r, p))
}

func (v *Vault) apply(ctx context.Context, r *restoration, p *RestorePlan) error {
	if err := p.refusal(); err != nil {
		return err
	}
	if err := v.writable(); err != nil {
		return err
	}
	unlock, err := v.reading(r.o)
	if err != nil {
		return err
	}
	defer unlock()
	if r.only == nil {
		r.enter(StageCheck)
		if err := r.check(ctx); err != nil {
			return err
		}
	}
	if p.o.CreateRoles {
		r.left = "no database was made or changed; roles that were made stay"
		if err := r.makeRoles(ctx); err != nil {
			return err
		}
	}
	if err := r.fill(ctx, !p.Empty); err != nil {
		return r.undo(ctx, p, err)
	}
	if p.o.SkipCompare {
		r.warn("the comparison was skipped: this restore is not proven")
		return r.partial()
	}
	r.enter(StageCompare)
	if err := r.compare(ctx); err != nil {
		return r.unproven(ctx, p, err)
	}
	return v.recordRestore(ctx, r, p)
}

// unproven ends a restore whose comparison found something, or came to no
// end. Only a restore that was cancelled takes its database away again: to
// make it may have taken hours.
func (r *restoration) unproven(ctx context.Context, p *RestorePlan, err error) error {
	switch {
	case fault.CodeOf(err) == fault.Differs, fault.CodeOf(err) == fault.Partial:
		return err
	case ctx.Err() != nil:
		return r.undo(ctx, p, err)
	}
	return leaving(err, "database "+p.Target+" is there with all its rows, but is not proven equal; no other was touched")
}

// recordRestore appends the proof that a whole restore has just given, on a
// host that has the signing key; elsewhere there is nobody to sign it.
func (v *Vault) recordRestore(ctx context.Context, r *restoration, p *RestorePlan) error {
	if r.only != nil || r.noOwner {
		return nil
	}
	signer, err := archive.LoadSigner(v.c.SigningKey)
	if err != nil {
		return nil
	}
	r.done.Proof = ProofRestored
	return v.addProof(ctx, r.o, signer, archive.ProofFile{Level: string(ProofRestored), Result: "ok", Key: p.prep.keys,
		Tables: r.done.TablesTotal, Equal: r.done.TablesEqual, Note: fmt.Sprintf("restored into %s: %d of %d tables equal", p.Target, r.done.TablesEqual, r.done.TablesTotal)})
}

// refusal turns the plan's x checks into an error, before anything is done.
func (p *RestorePlan) refusal() error {
	if !p.Refused() {
		return nil
	}
	var why, do []string
	for _, c := range p.Checks {
		if c.State == "x" {
			why, do = append(why, c.Text), append(do, c.Do)
		}
	}
	return &fault.Error{Op: "restore", What: "the restore was refused before it began", Why: strings.Join(why, "; "),
		Left: "nothing was made or changed", Do: strings.Join(do, "; "), Code: fault.Refused}
}

// fill makes the schema, loads the rows and finishes the schema.
func (r *restoration) fill(ctx context.Context, makeDatabase bool) error {
	r.enter(StageCreate)
	if err := r.createSchema(ctx, makeDatabase); err != nil {
		return err
	}
	r.enter(StageData)
	if err := r.load(ctx); err != nil {
		return err
	}
	r.enter(StageIndexes)
	if err := r.finishSchema(ctx); err != nil {
		return err
	}
	r.enter(StageSettings)
	return r.settings(ctx)
}

// undo removes the database that this run made. One that was there before
// is left as it is now, and the error says so.
func (r *restoration) undo(ctx context.Context, p *RestorePlan, cause error) error {
	if p.Empty {
		r.left = "database " + p.Target + " is half filled; no other was touched"
		e := fault.As(leaving(cause, r.left))
		e.Do = strings.TrimPrefix(e.Do+"; empty "+p.Target+" before the next try", "; ")
		return e
	}
	if !r.made { // it may be that somebody else made it meanwhile: not ours to drop
		return leaving(cause, r.left)
	}
	r.left = "the database that was being made is removed; no other was touched"
	if err := pg.DropDatabase(context.WithoutCancel(ctx), r.server, p.Target); err != nil {
		r.left = "the half-made database " + p.Target + " is there, it could not be dropped; no other was touched"
		r.warn("the half-made database " + p.Target + " could not be dropped: " + err.Error())
	}
	if p.o.CreateRoles {
		r.left += "; roles that were made stay"
	}
	return leaving(cause, r.left)
}
