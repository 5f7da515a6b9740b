package vault

import (
	"context"
	"fmt"
	"slices"
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
	if err := v.forgetRestored(p.Target); err != nil {
		return err
	}
	if r.only == nil {
		r.enter(StageCheck)
		spool, err := v.checkCopies(ctx, r, p.prep)
		if err != nil {
			return err
		}
		defer spool.Close()
	}
	for _, b := range p.prep.bad { // the other copy opened with the same keys: it is the bytes
		v.nameDamage(ctx, r.run, b.l, b.err, true)
	}
	p.prep.bad = nil
	r.from.next = func(ctx context.Context, err error) bool { return v.nextCopy(ctx, r, p.prep, err) }
	if p.o.CreateRoles || p.o.FullRoles {
		r.left = "no database was made or changed; roles that were made stay"
		make := r.makeRoles
		if p.o.FullRoles {
			make = p.makeFullRoles
		}
		if err := make(ctx); err != nil {
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
	err = r.compare(ctx)
	v.noteRestored(ctx, r, p, err)
	if err != nil {
		return r.unproven(ctx, p, err)
	}
	if p.o.IntoSchema != "" {
		return v.copyInto(ctx, r, p)
	}
	return v.recordRestore(ctx, r, p)
}

// checkCopies reads every stored byte of the copy that was planned, before one
// of them is used; of a place over a network, into a spool. A copy that is
// damaged is named, and the next one taken: what was opened of the first is
// the same in all of them.
func (v *Vault) checkCopies(ctx context.Context, r *restoration, p *restorePrep) (*spool, error) {
	from := slices.IndexFunc(p.f.copies, func(l located) bool { return l.n == p.l.n })
	var first error
	for i := from; i < len(p.f.copies); i++ {
		l := &p.f.copies[i]
		if l.o == nil || l.o.Digest != r.o.Digest {
			continue
		}
		s, err := v.checkCopy(ctx, r, l)
		if err == nil {
			if first != nil {
				r.info("the copy in " + l.Name + " is whole; it is read instead")
			}
			p.l = l
			return s, nil
		}
		if first == nil {
			first = err
		}
		if !anotherCopy(ctx, err) {
			return nil, err
		}
		v.nameDamage(ctx, r.run, l, err, true)
	}
	return nil, first
}

func (v *Vault) checkCopy(ctx context.Context, r *restoration, l *located) (*spool, error) {
	var s *spool
	if !l.near() {
		s = v.newSpool(r.run, l.o.Manifest.Stored())
	}
	err := checkParts(ctx, r.run, l.o, s)
	if err != nil {
		_ = s.Close()
		return nil, err
	}
	read := l.o
	if s != nil {
		read = l.o.In(s)
	}
	if read != r.o {
		// Not bound to ctx: see openRestoration.
		if err := r.main.Use(context.WithoutCancel(ctx), read); err != nil {
			_ = s.Close()
			return nil, err
		}
	}
	return s, nil
}

// nextCopy lets the blocks that are still to come be read from the next copy,
// after err was met in this one. Its parts are not checked as a whole: the key
// that decrypts them is the one of the archive that was opened, so that each
// chunk is one that was sealed with it, and every table's digest is compared
// before its rows are there.
func (v *Vault) nextCopy(ctx context.Context, r *restoration, p *restorePrep, err error) bool {
	v.nameDamage(ctx, r.run, p.l, err, false)
	at := slices.IndexFunc(p.f.copies, func(l located) bool { return l.n == p.l.n })
	for i := at + 1; i < len(p.f.copies); i++ {
		l := &p.f.copies[i]
		if l.o == nil || l.o.Digest != r.o.Digest {
			continue
		}
		if err := r.main.Use(context.WithoutCancel(ctx), l.o); err != nil {
			v.nameDamage(ctx, r.run, l, err, true)
			continue
		}
		p.l = l
		r.info("the copy in " + l.Name + " is read instead")
		return true
	}
	return false
}

// nameDamage tells that a copy cannot be used, and where its bytes are known
// to be wrong, records it beside it: it is a copy no longer.
func (v *Vault) nameDamage(ctx context.Context, r *run, l *located, err error, known bool) {
	r.warn("the copy in " + l.Name + " cannot be used: " + oneLine(err))
	if fault.CodeOf(err) != fault.Differs {
		return
	}
	if !known {
		r.info("pgvault verify " + l.o.Manifest.ID + " --place " + l.Name + " tells whether its bytes are wrong")
		return
	}
	signer, serr := archive.LoadSigner(v.c.SigningKey)
	if serr != nil {
		return
	}
	perr := v.addProof(ctx, l, signer, archive.ProofFile{Level: string(ProofIntact), Result: "failed", Note: oneLine(err)})
	if perr != nil {
		r.warn("that could not be recorded there: " + oneLine(perr))
	}
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
	err = v.addProofEverywhere(ctx, r.run, p.prep.l, signer, archive.ProofFile{Level: string(ProofRestored), Result: "ok", Key: p.prep.keys,
		Tables: r.done.TablesTotal, Equal: r.done.TablesEqual, Note: fmt.Sprintf("restored into %s: %d of %d tables equal", p.Target, r.done.TablesEqual, r.done.TablesTotal)})
	if fault.CodeOf(err) == fault.PlaceUnreachable { // what was asked for is done
		r.warn("that it is proven could not be recorded: " + oneLine(err))
		return nil
	}
	return err
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
	if p.o.CreateRoles || p.o.FullRoles {
		r.left += "; roles that were made stay"
	}
	return leaving(cause, r.left)
}
