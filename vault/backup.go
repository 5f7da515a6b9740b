package vault

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"

	"pgvault/fault"
	"pgvault/pg"
	"pgvault/pg/pgtest"
	"pgvault/vault/archive"
	"pgvault/vault/job"
)

// backup is the state of one backup run.
type backup struct {
	*run
	v        *Vault
	o        BackupOptions
	conf     Database
	id       string
	folder   string
	home     site // where the backup itself goes
	vf       *archive.VaultFile
	signer   *archive.Signer
	to       *archive.Recipients
	once     *archive.OneTime
	programs pg.Programs
	server   pg.Settings // what is dumped,
	source   string      // and which database there
	imported *importing  // of an import, nil for a backup
	before   *Archive    // the newest archive of this database, nil for the first
	listed   []Archive   // those of this database, as found before the backup
	like     *Archive    // the newest that is as whole as this one is to be, nil for none
	numbers  numbering
	reserved int64 // our sequence number, 0: none yet
	snapshot *pg.Snapshot
	catalog  *pg.Catalog
	pgDump   *pg.Dump // from the snapshot on
	globals  savedGlobals
	sealer   *archive.Sealer
	manifest archive.Manifest
	contents archive.Contents
}

// Backup makes one archive of one database. Whatever goes wrong, an archive
// exists afterwards only if it is whole.
func (v *Vault) Backup(ctx context.Context, o BackupOptions, sink Sink) error {
	id, err := archive.NewID(v.now(), v.random)
	if err != nil {
		return err
	}
	b := &backup{v: v, o: o, id: id, conf: v.c.Of(o.Database), server: v.c.Server, source: o.Database}
	stages := []Stage{StagePreflight, StageSnapshot, StageData, StageSeal}
	if v.c.SelfCheck {
		stages = append(stages, StageReadBack)
	}
	if v.copiesAfter(o) {
		stages = append(stages, StageCopies)
	}
	if b.provesByRestore() {
		stages = append(stages, restoreStages...)
	}
	b.run = newRun(sink, v.now, RunStarted{Kind: KindBackup, ID: id, Database: o.Database, Stages: stages})
	made := b.do(ctx)
	b.run.ending = func(err error) { // whoever is told of the end sees it remembered
		if b.vf == nil && o.Database != "" { // it failed before it came to the vault
			b.vf, _ = v.vaultFile(context.WithoutCancel(ctx), nil)
		}
		if made == nil {
			err = nil // an archive was made, whatever became of its copies
		}
		v.rememberEnd(b.vf, o.Database, err)
	}
	if made != nil {
		return b.finish(ctx, made)
	}
	v.rememberEnd(b.vf, o.Database, nil)
	if v.copiesAfter(o) { // the database's lock is free again
		err = b.copies(ctx)
	}
	if b.provesByRestore() && ctx.Err() == nil {
		proof := b.proveByRestore(ctx)
		if err = bothOf(err, proof); fault.CodeOf(proof) == fault.Differs {
			made = proof // retention waits until somebody has looked
			return b.finish(ctx, err)
		}
	}
	b.retain(ctx)
	return b.finish(ctx, err)
}

func (b *backup) do(ctx context.Context) error {
	b.enter(StagePreflight)
	if swept, err := pgtest.Sweep(); err == nil && len(swept) > 0 {
		b.info(fmt.Sprintf("removed what %d killed scratch servers had left", len(swept)))
	}
	if err := b.openKeys(ctx); err != nil {
		return err
	}
	unlock, err := job.Lock(b.v.lockDir(), lockName(b.vf, b.o.Database), "a backup of "+b.o.Database, b.o.job.id())
	if err != nil {
		return err
	}
	defer unlock()
	b.o.job.locked()
	if err := b.preflight(ctx); err != nil {
		return err
	}
	b.enter(StageSnapshot)
	if err := b.openSnapshot(ctx); err != nil {
		return err
	}
	defer func() { b.snapshot.Close(context.WithoutCancel(ctx)) }()
	b.enter(StageData)
	if err := b.dump(ctx); err != nil {
		return err
	}
	b.judge()
	b.enter(StageSeal)
	if err := b.seal(ctx); err != nil {
		b.discard(ctx)
		return err
	}
	b.done.Proof = ProofStored
	b.lookAhead(ctx)
	b.left = "archive " + b.id + " is there, whole as it was written; it is not yet proven readable"
	b.v.rememberRun(b.vf, b.o.Database, &b.contents, b.manifest.Finished)
	if !b.v.c.SelfCheck {
		return nil
	}
	return b.selfCheck(ctx)
}

// openKeys refuses what can never become an archive, and opens the vault.
func (b *backup) openKeys(ctx context.Context) (err error) {
	c := b.v.c
	if err := b.v.writable(); err != nil {
		return err
	}
	if b.o.Database == "" || !utf8.ValidString(b.o.Database) {
		return &fault.Error{What: "no database was named, or its name is not UTF-8", Left: "nothing was started", Do: "name one, or add a [[database]] to the configuration", Code: fault.Usage}
	}
	if b.to, err = b.v.recipients(); err != nil {
		return err
	}
	if b.signer, err = archive.LoadSigner(c.SigningKey); err != nil {
		return err
	}
	b.vf, err = b.v.vaultFile(ctx, b.signer)
	return err
}

// preflight checks the rest of what can be known before the server is
// asked to work: the archive before this one, and free space.
func (b *backup) preflight(ctx context.Context) (err error) {
	if b.once, err = archive.NewOneTime(b.to); err != nil {
		return err
	}
	if err := b.findBefore(ctx); err != nil {
		return err
	}
	if err := b.chooseHome(ctx); err != nil {
		return err
	}
	b.folder = archive.Folder(b.v.c.Name, b.o.Database, b.id)
	b.sealer = archive.NewSealer(b.home.Store, b.folder, b.to, b.once)
	return nil
}

// findBefore finds the archive that this one follows: the highest sequence
// number whose signature counts, in any place, also as it is remembered of
// one that does not answer now.
func (b *backup) findBefore(ctx context.Context) error {
	list, silent, err := b.v.list(ctx, b.o.Database, true)
	if err != nil {
		return err
	}
	b.listed = list
	for _, s := range silent {
		if s.seen == nil {
			continue
		}
		for _, a := range s.seen.archives {
			if a.Database == b.o.Database {
				list = append(list, a)
			}
		}
	}
	for i := range list {
		if list[i].Seq > 0 && (b.before == nil || list[i].Seq > b.before.Seq) {
			b.before = &list[i]
		}
	}
	b.like = lastLike(list, len(b.conf.ExcludeTableData) > 0)
	return nil
}

// seal writes globals and contents, then the signed manifest, last of all.
func (b *backup) seal(ctx context.Context) error {
	parts := b.manifest.Parts
	if b.globals.saved {
		p, err := b.small(ctx, archive.GlobalsPart, b.globals.sql)
		if err != nil {
			return err
		}
		parts = append(parts, p)
	}
	catalog, err := json.Marshal(b.catalog)
	if err != nil {
		return err
	}
	b.contents.Format, b.contents.ID, b.contents.Catalog = archive.Format, b.id, catalog
	b.contents.Excluded = b.conf.ExcludeTableData
	src, err := json.Marshal(&b.contents)
	if err != nil {
		return err
	}
	p, err := b.small(ctx, archive.ContentsPart, src)
	if err != nil {
		return err
	}
	b.manifest.Parts = append(parts, p)
	b.fillManifest()
	if err := b.sealManifest(ctx); err != nil {
		return err
	}
	b.done.Tables, b.done.Rows, b.done.Bytes, b.done.Stored = b.manifest.Tables, b.manifest.Rows, b.manifest.Bytes, b.manifest.Stored()
	return nil
}

func (b *backup) fillManifest() {
	m := &b.manifest
	m.Format, m.Vault, m.ID, m.Database = archive.Format, b.vf.ID, b.id, b.o.Database
	m.Server, m.DumpVersion, m.Pgvault = b.catalog.Server.Version, b.programs.Version, b.v.c.Version
	m.Started, m.Finished = b.started.UTC().Truncate(time.Second), b.now().UTC().Truncate(time.Second)
	m.Scope = "whole"
	if len(b.conf.ExcludeTableData) > 0 {
		m.Scope = "partial"
	}
	m.Tags = append([]string{}, b.o.Tags...)
	m.Recipients = b.to.Public
	m.Warnings = len(b.contents.Warnings)
	if b.imported != nil {
		b.imported.mark(m)
	}
}

func (b *backup) small(ctx context.Context, name string, data []byte) (archive.Part, error) {
	w, err := b.sealer.Part(ctx, name)
	if err != nil {
		return archive.Part{}, err
	}
	if _, err := w.Write(data); err != nil {
		w.Abort()
		return archive.Part{}, err
	}
	return w.Close(ctx)
}
