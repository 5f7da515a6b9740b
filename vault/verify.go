package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"pgvault/fault"
	"pgvault/pg"
	"pgvault/pg/pgtest"
	"pgvault/vault/archive"
)

// restoreStages are those of a proof by restore.
var restoreStages = []Stage{StageScratch, StageCreate, StageData, StageIndexes, StageSettings, StageCompare}

// Verify proves an archive up to a level and appends the proof, signed,
// where this host has a signing key. intact needs no identity.
func (v *Vault) Verify(ctx context.Context, o VerifyOptions, sink Sink) error {
	stages := []Stage{StageCheck}
	switch o.Level {
	case ProofReadable:
		stages = append(stages, StageDecrypt)
	case ProofRestored:
		stages = append(stages, restoreStages...)
	}
	f, err := v.locate(ctx, o.ID, o.Place)
	if err != nil {
		f = &found{}
	}
	r := newRun(sink, v.now, RunStarted{Kind: KindVerify, ID: orElse(f.ID, o.ID), Database: f.Database, Stages: stages})
	r.done.Proof = f.Proof
	if err == nil {
		if err = v.verify(ctx, r, f, o); err != nil {
			err = leaving(err, r.left)
		}
	}
	return r.finish(ctx, err)
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func (v *Vault) verify(ctx context.Context, r *run, f *found, opts VerifyOptions) error {
	l := &f.copies[0]
	if l.o == nil {
		return l.why
	}
	if err := v.writable(); err != nil {
		return err
	}
	if opts.Level.Rank() < ProofIntact.Rank() {
		return &fault.Error{What: fmt.Sprintf("%q is not a level of verification", opts.Level), Why: "there are three, each proving more than the one before", Left: "nothing was verified", Do: "use intact, readable or restored", Code: fault.Usage}
	}
	keys := &archive.Keys{}
	if opts.Level != ProofIntact {
		var err error
		if keys, err = v.keys(opts.Identities); err != nil {
			return err
		}
	}
	unlock, err := v.reading(l.o)
	if err != nil {
		return err
	}
	defer unlock()
	signer, err := archive.LoadSigner(v.c.SigningKey)
	if err != nil {
		r.warn("no proof is written: " + err.Error())
		signer = nil
	}
	m := l.o.Manifest
	r.done.Tables, r.done.Rows, r.done.Bytes, r.done.Stored = m.Tables, m.Rows, m.Bytes, m.Stored()
	if names := f.noAnswer(); names != "" && strings.HasPrefix(opts.ID, "latest:") {
		r.warn("no answer from " + names + ": a newer archive may lie there")
	}
	if len(v.c.Places) > 1 {
		r.info("the copy in " + l.Name + " is read")
	}
	p := &proving{v: v, run: r, l: l, o: l.o, signer: signer, level: opts.Level, keys: keys, asSuperuser: opts.AsSuperuser}
	return p.verify(ctx)
}

// proving is the verification of one copy up to a level.
type proving struct {
	*run
	v      *Vault
	l      *located
	o      *archive.Opened // where the bytes are read: the copy, or a spool of it
	signer *archive.Signer // nil: no proof is written
	level  Proof
	keys   *archive.Keys

	asSuperuser bool // see VerifyOptions
}

func (p *proving) verify(ctx context.Context) error {
	p.enter(StageCheck)
	spool := (*spool)(nil)
	if p.level != ProofIntact && !p.l.near() {
		spool = p.v.newSpool(p.run, p.o.Manifest.Stored())
		defer spool.Close()
	}
	if err := checkParts(ctx, p.run, p.o, spool); err != nil {
		return p.conclude(ctx, ProofIntact, err)
	}
	if spool != nil {
		p.o = p.o.In(spool)
	}
	switch p.level {
	case ProofReadable:
		p.enter(StageDecrypt)
		return p.conclude(ctx, p.level, p.diagnosed(ctx, twice(p.run, func() error { return readThrough(ctx, p.run, p.o, p.keys) })))
	case ProofRestored:
		return p.byRestore(ctx)
	}
	return p.conclude(ctx, p.level, nil)
}

// twice does once more what found damage: an error on the line must not
// condemn a copy.
func twice(r *run, do func() error) error {
	err := do()
	if fault.CodeOf(err) != fault.Differs {
		return err
	}
	r.info("read once more, because of this: " + oneLine(err))
	return do()
}

// diagnosed tells damage of this copy's bytes from damage that every copy
// has: in the first case the error is one of misread.
func (p *proving) diagnosed(ctx context.Context, err error) error {
	if fault.CodeOf(err) != fault.Differs {
		return err
	}
	for _, part := range p.l.o.Manifest.Parts {
		if cerr := p.l.o.CheckPart(ctx, part.Name, nil); cerr != nil {
			return &misread{cerr}
		}
	}
	return err
}

// misread is damage of the stored bytes of one copy.
type misread struct{ error }

func (m *misread) Unwrap() error { return m.error }

// conclude appends what a verification found. Only damage counts against
// a copy: a missing key or a full disk says nothing of it. reached is the
// level at which err was met.
func (p *proving) conclude(ctx context.Context, reached Proof, err error) error {
	var bytes *misread
	if errors.As(err, &bytes) {
		reached, err = ProofIntact, bytes.error
	}
	r := p.run
	f := archive.ProofFile{Level: string(reached), Result: "ok", Key: p.keys.Names(), Tables: r.done.TablesTotal, Equal: r.done.TablesEqual}
	switch {
	case err == nil:
		r.done.Proof = maxProof(r.done.Proof, reached)
		f.Note = "every part's size and SHA-256 as in the manifest"
		if reached == ProofReadable {
			n := p.o.Manifest.Tables
			f.Tables, f.Equal, r.done.TablesTotal, r.done.TablesEqual = n, n, n, n
		}
		if reached != ProofIntact {
			f.Note = fmt.Sprintf("%d of %d tables equal", f.Equal, f.Tables)
		}
	case fault.CodeOf(err) == fault.Differs:
		f.Result, f.Note = "failed", oneLine(err)
	default:
		return err
	}
	if p.signer == nil {
		return err
	}
	if perr := p.v.addProofEverywhere(ctx, p.run, p.l, p.signer, f); perr != nil && err == nil {
		return perr
	}
	return err
}

func maxProof(a, b Proof) Proof {
	if a.Rank() > b.Rank() {
		return a
	}
	return b
}

// addProof appends a proof beside the copy that it speaks of.
func (v *Vault) addProof(ctx context.Context, l *located, signer *archive.Signer, p archive.ProofFile) error {
	s, err := v.signProof(l, signer, p)
	if err != nil {
		return err
	}
	return l.o.PutProof(context.WithoutCancel(ctx), s)
}

func (v *Vault) signProof(l *located, signer *archive.Signer, p archive.ProofFile) (*archive.SignedProof, error) {
	p.At, p.By, p.Place = v.now().UTC(), who(), l.Name
	return l.o.SignProof(p, signer, v.random)
}

// byRestore restores into a private scratch server, made for this and
// removed afterwards, and compares every table there: one at a time on this
// host, and at low priority.
func (p *proving) byRestore(ctx context.Context) error {
	run, v := p.run, p.v
	run.enter(StageScratch)
	next, err := p.scratchTurn(ctx)
	if err != nil {
		return err
	}
	defer next()
	ctx = pg.AtLowPriority(ctx)
	r, err := openTwice(ctx, &located{site: p.l.site, o: p.o}, p.keys)
	if err != nil {
		return p.conclude(ctx, ProofRestored, p.diagnosed(ctx, err))
	}
	defer r.main.Close()
	if err := p.scratchRoom(r.scratchNeed()); err != nil {
		return err
	}
	all, searched, err := pg.FindPrograms(ctx, v.c.Server.BinDir)
	if err != nil {
		return err
	}
	dir, err := pg.ForScratch(all, searched, max(r.catalog.Server.Major(), pg.ArchiveReader(r.toc.Header.Version)))
	if err != nil {
		return err
	}
	super, login, err := scratchRoles(v.random)
	if err != nil {
		return err
	}
	if p.asSuperuser { // as whom most are dumped: owners that must be superusers are
		super = ""
	}
	cluster, err := pgtest.Start(ctx, pgtest.Options{BinDir: dir, Superuser: super, Conf: map[string]string{
		"max_wal_size": strconv.Itoa(scratchLog>>20) + "MB",
		// pg_dump locks every table at once; 64 for each of 50 connections is the default.
		"max_locks_per_transaction": strconv.Itoa(64 + len(r.toc.Entries)/40)}})
	if err != nil {
		return err
	}
	defer func() {
		if err := cluster.Stop(); err != nil {
			run.warn("the scratch server was not removed whole: " + err.Error())
		}
	}()
	r.run, r.server, r.bare = run, cluster.Settings(), true
	r.target, r.jobs = "pgvault_scratch", 2
	if err := r.scratchPrograms(ctx, all, searched); err != nil {
		return err
	}
	if !p.asSuperuser {
		if err := r.confineTo(ctx, cluster.SettingsFor(login), login); err != nil {
			return err
		}
	}
	if err := r.fill(ctx, true); err != nil {
		return p.conclude(ctx, ProofRestored, p.diagnosed(ctx, err))
	}
	run.enter(StageCompare)
	return p.conclude(ctx, ProofRestored, r.compare(ctx))
}

// scratchPrograms chooses client programs for the scratch server and makes
// there the roles that the archive's objects belong to.
func (r *restoration) scratchPrograms(ctx context.Context, all []pg.Programs, searched []string) error {
	conn, err := r.server.Connect(ctx, "")
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	info, err := pg.Server(ctx, conn)
	if err != nil {
		return err
	}
	if r.restore, err = pg.ForRestore(all, searched, info.Major(), r.toc.Header.Version); err != nil {
		return err
	}
	if r.dump, err = pg.ForDump(all, searched, info.Major()); err != nil {
		return err
	}
	r.logParents(info.Major())
	missing, err := pg.MissingExtensions(ctx, conn, r.catalog.Extensions)
	if err != nil {
		return err
	}
	missing = slices.DeleteFunc(missing, func(e pg.Extension) bool {
		left := r.leaveGone(e.Name, info.Major())
		if left {
			r.warn("extension " + e.Name + " is left out: PostgreSQL " + strconv.Itoa(info.Major()) + " comes without it")
		}
		return left
	})
	if len(missing) > 0 {
		var names []string
		for _, e := range missing {
			names = append(names, e.Name)
		}
		return scratchLacks("verify", names, info.Major(), "the archive is as it was; nothing was proven")
	}
	return r.makeRoles(ctx)
}
