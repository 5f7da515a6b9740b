package vault

import (
	"context"
	"fmt"
	"strconv"

	"pgvault/fault"
	"pgvault/pg"
	"pgvault/pg/pgtest"
	"pgvault/vault/archive"
)

// Verify proves an archive up to a level and appends the proof, signed,
// where this host has a signing key. intact needs no identity.
func (v *Vault) Verify(ctx context.Context, o VerifyOptions, sink Sink) error {
	stages := []Stage{StageCheck}
	switch o.Level {
	case ProofReadable:
		stages = append(stages, StageDecrypt)
	case ProofRestored:
		stages = append(stages, StageScratch, StageCreate, StageData, StageIndexes, StageSettings, StageCompare)
	}
	a, opened, err := v.find(ctx, o.ID)
	r := newRun(sink, v.now, RunStarted{Kind: KindVerify, ID: orElse(a.ID, o.ID), Database: a.Database, Stages: stages})
	r.done.Proof = a.Proof
	if err == nil {
		if err = v.verify(ctx, r, opened, o); err != nil {
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

func (v *Vault) verify(ctx context.Context, r *run, o *archive.Opened, opts VerifyOptions) error {
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
	unlock, err := v.reading(o)
	if err != nil {
		return err
	}
	defer unlock()
	signer, err := archive.LoadSigner(v.c.SigningKey)
	if err != nil {
		r.warn("no proof is written: " + err.Error())
		signer = nil
	}
	m := o.Manifest
	r.done.Tables, r.done.Rows, r.done.Bytes, r.done.Stored = m.Tables, m.Rows, m.Bytes, m.Stored()
	r.enter(StageCheck)
	err = checkParts(ctx, r, o)
	if err == nil && opts.Level == ProofReadable {
		r.enter(StageDecrypt)
		err = readThrough(ctx, r, o, keys)
	}
	if err == nil && opts.Level == ProofRestored {
		return v.proveByRestore(ctx, r, o, keys, signer)
	}
	return v.conclude(ctx, r, o, signer, opts.Level, keys, err)
}

// conclude appends what a verification found. Only damage counts against
// an archive: a missing key or a full disk says nothing of it.
func (v *Vault) conclude(ctx context.Context, r *run, o *archive.Opened, signer *archive.Signer, level Proof, keys *archive.Keys, err error) error {
	p := archive.ProofFile{Level: string(level), Result: "ok", Key: keys.Names(), Tables: r.done.TablesTotal, Equal: r.done.TablesEqual}
	switch {
	case err == nil:
		r.done.Proof = maxProof(r.done.Proof, level)
		p.Note = "every part's size and SHA-256 as in the manifest"
		if level == ProofReadable {
			n := o.Manifest.Tables
			p.Tables, p.Equal, r.done.TablesTotal, r.done.TablesEqual = n, n, n, n
		}
		if level != ProofIntact {
			p.Note = fmt.Sprintf("%d of %d tables equal", p.Equal, p.Tables)
		}
	case fault.CodeOf(err) == fault.Differs:
		p.Result, p.Note = "failed", oneLine(err)
	default:
		return err
	}
	if signer == nil {
		return err
	}
	if perr := v.addProof(ctx, o, signer, p); perr != nil && err == nil {
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

func (v *Vault) addProof(ctx context.Context, o *archive.Opened, signer *archive.Signer, p archive.ProofFile) error {
	p.At, p.By = v.now().UTC(), who()
	return o.AddProof(context.WithoutCancel(ctx), p, signer, v.random)
}

// proveByRestore restores into a private scratch server, made for this and
// removed afterwards, and compares every table there.
func (v *Vault) proveByRestore(ctx context.Context, run *run, o *archive.Opened, keys *archive.Keys, signer *archive.Signer) error {
	run.enter(StageScratch)
	r, err := openRestoration(ctx, o, keys)
	if err != nil {
		return v.conclude(ctx, run, o, signer, ProofRestored, keys, err)
	}
	defer r.main.Close()
	all, searched, err := pg.FindPrograms(ctx, v.c.Server.BinDir)
	if err != nil {
		return err
	}
	dir, err := pg.ForScratch(all, searched, r.catalog.Server.Major())
	if err != nil {
		return err
	}
	cluster, err := pgtest.Start(ctx, pgtest.Options{BinDir: dir, Conf: map[string]string{
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
	if err := r.fill(ctx, true); err != nil {
		return v.conclude(ctx, run, o, signer, ProofRestored, keys, err)
	}
	run.enter(StageCompare)
	return v.conclude(ctx, run, o, signer, ProofRestored, keys, r.compare(ctx))
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
	missing, err := pg.MissingExtensions(ctx, conn, r.catalog.Extensions)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		return &fault.Error{What: "extension " + missing[0].Name + " is not installed for the scratch server", Left: "the archive is as it was; nothing was proven",
			Do: "install its package on this host", Code: fault.Refused}
	}
	return r.makeRoles(ctx)
}
