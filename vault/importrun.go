package vault

import (
	"context"
	"fmt"
	"time"

	"pgvault/fault"
	"pgvault/pg"
	"pgvault/pg/pgtest"
	"pgvault/vault/archive"
	"pgvault/vault/job"
)

// RunImport is Import as a job in this process.
func (v *Vault) RunImport(ctx context.Context, p *ImportPlan, f *ImportFile, sink Sink) error {
	return v.runJob(ctx, Order{Kind: KindImport, Database: p.Database}, v.actor(), nil, sink, func(ctx context.Context, r *recorder) error {
		err := v.Import(ctx, p, f, r.tell)
		if err == nil || fault.CodeOf(err) == fault.Partial {
			_, _ = v.look(ctx, screenWait)
		}
		return err
	})
}

// importing is what an import is beyond a backup: what is dumped is a scratch
// server, into which the original was restored.
type importing struct {
	*backup
	plan    *ImportPlan
	file    *ImportFile
	in      *inspector
	keys    *archive.Keys
	use     chosen
	cluster *pgtest.Cluster
	guest   *pg.Guest
	want    wanted
	equal   int
	total   int
}

// Import makes one archive of one file of a plan: the original is restored
// into a scratch server of this run, dumped from there as a backup is, and
// every table compared with what the original holds. It never writes to the
// original. RunDone tells how many tables are equal: if all are, the archive
// holds what the original does. Where rows differ there is no archive, and
// the error has the code Differs.
func (v *Vault) Import(ctx context.Context, p *ImportPlan, f *ImportFile, sink Sink) error {
	id, err := archive.NewID(f.At, v.random)
	if err != nil {
		return err
	}
	o := BackupOptions{Database: p.Database, NoCopy: p.o.NoCopy}
	b := &backup{v: v, o: o, id: id, conf: v.c.Of(p.Database)}
	b.conf.ExcludeTableData, b.conf.Verify = nil, ProofReadable
	stages := []Stage{StagePreflight, StageCheck, StageScratch, StageCreate, StageSnapshot, StageData, StageSeal}
	if v.c.SelfCheck {
		stages = append(stages, StageReadBack)
	}
	if v.copiesAfter(o) {
		stages = append(stages, StageCopies)
	}
	b.run = newRun(sink, v.now, RunStarted{Kind: KindImport, ID: id, Database: p.Database, Stages: stages})
	i := &importing{backup: b, plan: p, file: f}
	b.imported = i
	if err := i.do(ctx); err != nil {
		return b.finish(ctx, err)
	}
	if v.copiesAfter(o) {
		err = b.copies(ctx)
	}
	return b.finish(ctx, err)
}

func (i *importing) do(ctx context.Context) error {
	i.enter(StagePreflight)
	if swept, err := pgtest.Sweep(); err == nil && len(swept) > 0 {
		i.info(fmt.Sprintf("removed what %d killed scratch servers had left", len(swept)))
	}
	if i.file.State != ImportReady {
		return &fault.Error{Op: "import", What: i.file.Name + " cannot be imported", Why: i.file.Why, Left: i.left, Do: i.file.Do, Code: i.file.code}
	}
	if err := i.openKeys(ctx); err != nil {
		return err
	}
	unlock, err := job.Lock(i.v.lockDir(), lockName(i.vf, i.o.Database), "an import into "+i.o.Database, i.o.job.id())
	if err != nil {
		return err
	}
	defer unlock()
	if err := i.prepare(ctx); err != nil {
		return err
	}
	defer i.keys.Wipe()
	i.enter(StageCheck)
	if err := i.readOriginal(ctx); err != nil {
		return err
	}
	if err := i.throughScratch(ctx); err != nil {
		i.discard(ctx)
		return err
	}
	i.enter(StageSeal)
	if err := i.seal(ctx); err != nil {
		i.discard(ctx)
		return err
	}
	i.done.Proof, i.done.TablesEqual, i.done.TablesTotal = ProofStored, i.equal, i.total
	i.left = "archive " + i.id + " is there, whole as it was written; it is not yet proven readable"
	if !i.v.c.SelfCheck {
		return nil
	}
	return i.selfCheck(ctx)
}

// prepare is what a backup's preflight is, and refuses what was imported
// since the plan was made.
func (i *importing) prepare(ctx context.Context) (err error) {
	if err := i.preflight(ctx); err != nil {
		return err
	}
	mark := archive.ImportMark(i.vf.ID, i.file.SHA256)
	for _, a := range i.listed {
		if a.mark == mark && (a.State == "good" || a.State == "partial") {
			return &fault.Error{Op: "import", What: i.file.Name + " was imported meanwhile", Why: "archive " + a.ID + " was made of it", Left: "nothing was changed", Do: "pgvault show " + a.ID, Code: fault.Refused}
		}
		if a.ID == i.id {
			return &fault.Error{Op: "import", What: "an archive has the id " + i.id + " already", Why: "an id ends with a random number of four digits", Left: "nothing was changed", Do: "import it again", Code: fault.Refused}
		}
	}
	i.keys = &archive.Keys{}
	if !i.plan.o.Identities.None() {
		if i.keys, err = i.v.keys(i.plan.o.Identities); err != nil {
			return err
		}
	}
	i.in = &inspector{v: i.v, o: i.plan.o}
	if i.in.programs, i.in.searched, err = i.v.importPrograms(ctx); err == nil {
		i.use, err = i.in.choose(i.file)
	}
	return err
}

// mark makes the manifest that of an import.
func (i *importing) mark(m *archive.Manifest) {
	m.Imported = &archive.Imported{At: i.started.UTC().Truncate(time.Second), Mark: archive.ImportMark(i.vf.ID, i.file.SHA256)}
	m.Started, m.Finished = i.file.At, i.file.At
}

// open opens the original, which must still be the one that was planned:
// whoever reads it to its end asks same.
func (i *importing) open(ctx context.Context) (*original, error) {
	o, err := openOriginal(ctx, i.file.Path, i.keys, freeForScratch())
	if err != nil {
		return nil, damagedOriginal(err)
	}
	return o, nil
}

// same reads what is left of the original and compares its digest.
func (i *importing) same(ctx context.Context, o *original) error {
	var sum string
	var err error
	if o == nil {
		sum, _, err = digestFolder(ctx, i.file.Path)
	} else {
		sum, err = o.rest()
	}
	if err != nil {
		return err
	}
	if sum != i.file.SHA256 {
		return &fault.Error{Op: "import", What: i.file.Name + " was changed while it was read", Why: "its SHA-256 is another one than before", Left: i.left, Do: "import it again when nobody writes it", Code: fault.Differs}
	}
	return nil
}
