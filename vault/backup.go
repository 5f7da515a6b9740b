package vault

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
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

func (b *backup) openSnapshot(ctx context.Context) error {
	all, searched, err := pg.FindPrograms(ctx, b.v.c.Server.BinDir)
	if err != nil {
		return err
	}
	if b.snapshot, err = pg.OpenSnapshot(ctx, b.server, b.source); err != nil {
		return err
	}
	if b.catalog, err = b.snapshot.Catalog(ctx); err == nil {
		b.programs, err = pg.ForDump(all, searched, b.catalog.Server.Major())
	}
	if err == nil {
		err = b.refuseHiddenRows()
	}
	if err != nil {
		b.snapshot.Close(context.WithoutCancel(ctx))
		return err
	}
	if fixed := b.programs.Outdated(); fixed != "" {
		b.info("pg_dump " + b.programs.Version + " has known flaws against a hostile server; " + fixed + " repairs them")
	}
	b.info(fmt.Sprintf("snapshot %s of PostgreSQL %s, pg_dump %s", b.snapshot.ID, b.catalog.Server.Version, b.programs.Version))
	return nil
}

// refuseHiddenRows: what this role cannot see would silently be missing
// from the archive, so it is an error, never a partial dump.
func (b *backup) refuseHiddenRows() error {
	c := b.catalog
	if len(c.RowSecurity) > 0 {
		return &fault.Error{What: "row-level security would hide rows of " + strings.Join(c.RowSecurity, ", "),
			Why:  "role " + c.Server.User + " neither owns the table nor has BYPASSRLS",
			Left: "nothing was dumped or written", Do: "ALTER ROLE " + pg.QuoteIdent(c.Server.User) + " BYPASSRLS, or dump with a role that has it", Code: fault.Refused}
	}
	if len(c.Unreadable) > 0 {
		return &fault.Error{What: "role " + c.Server.User + " may not read " + strings.Join(firstFew(c.Unreadable, 5), ", "), Why: "it has no SELECT on them",
			Left: "nothing was dumped or written", Do: "GRANT pg_read_all_data TO " + pg.QuoteIdent(c.Server.User), Code: fault.Refused}
	}
	if c.UnreadableLargeObjects > 0 {
		return &fault.Error{What: fmt.Sprintf("%d large objects cannot be read", c.UnreadableLargeObjects),
			Why:  "role " + c.Server.User + " has no SELECT on them; pg_read_all_data does not cover large objects",
			Left: "nothing was dumped or written", Do: fmt.Sprintf("GRANT SELECT ON LARGE OBJECT %s TO ", joinOIDs(c.UnreadableSample)) + pg.QuoteIdent(c.Server.User) + ", or set lo_compat_privileges = on for the role", Code: fault.Refused}
	}
	return nil
}

// joinOIDs lists some large objects as GRANT takes them.
func joinOIDs(oids []uint32) string {
	var out []string
	for _, o := range oids {
		out = append(out, strconv.FormatUint(uint64(o), 10))
	}
	return strings.Join(out, ", ")
}

// seal writes globals and contents, then the signed manifest, last of all.
func (b *backup) seal(ctx context.Context) error {
	var parts []archive.Part
	if g := b.v.c.Server.Globals; b.imported == nil && (g == nil || *g) { // a scratch server has no roles to tell of
		p, err := b.globals(ctx)
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
	main := b.manifest.Parts
	b.manifest.Parts = append(append(main, parts...), p)
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

func (b *backup) globals(ctx context.Context) (archive.Part, error) {
	sql, warnings, err := pg.DumpGlobals(ctx, b.v.c.Server, b.programs)
	if err != nil {
		return archive.Part{}, err
	}
	for _, w := range warnings {
		b.contents.Warnings = append(b.contents.Warnings, w)
		b.warn(w)
	}
	if err := b.globalsAsData(ctx); err != nil {
		return archive.Part{}, err
	}
	return b.small(ctx, archive.GlobalsPart, sql)
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
