package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pgvault/fault"
	"pgvault/vault/archive"
	"pgvault/vault/job"
	"pgvault/vault/store"
)

// resealing is a run that encrypts archives anew, one after another.
type resealing struct {
	*run
	v      *Vault
	plan   *ResealPlan
	vf     *archive.VaultFile
	trust  *archive.Trust
	signer *archive.Signer
	to     *archive.Recipients
	keys   *archive.Keys
	home   map[string]site // by database

	before, total int64 // stored bytes read and written so far, and in all
	made, closed  int
	failed        []error
}

// Reseal applies the plan it was given: each archive is decrypted and
// encrypted anew to the present recipients, in memory, into a new archive of
// the same moment in its database's first place. What was made is read back
// to its last byte before its manifest is published; only then it exists. The
// old archives stay: retention counts the new ones instead of them. Archives
// that the identities do not open are left out, and when they open none, the
// error has the code NoKey and nothing was written. What was done when a run
// ends stays done: the next plan holds the rest.
func (v *Vault) Reseal(ctx context.Context, p *ResealPlan, sink Sink) error {
	started := RunStarted{Kind: KindReseal, Stages: []Stage{StagePreflight, StageReseal}}
	if len(p.Archives) == 1 {
		started.ID, started.Database = p.Archives[0].ID, p.Archives[0].Database
	}
	r := &resealing{v: v, plan: p, run: newRun(sink, v.now, started), home: map[string]site{}}
	return r.finish(ctx, r.do(ctx))
}

const resealLeft = "the archives are as they were; what was resealed before stays"

// RunReseal is Reseal as a job in this process.
func (v *Vault) RunReseal(ctx context.Context, p *ResealPlan, sink Sink) error {
	o := Order{Kind: KindReseal}
	if len(p.Archives) == 1 {
		o.ID, o.Database = p.Archives[0].ID, p.Archives[0].Database
	}
	return v.runJob(ctx, o, v.actor(), nil, sink, func(ctx context.Context, r *recorder) error {
		err := v.Reseal(ctx, p, r.tell)
		_, _ = v.look(ctx, screenWait) // whoever looks next finds it remembered
		return err
	})
}

func (r *resealing) do(ctx context.Context) error {
	r.enter(StagePreflight)
	unlock, err := r.begin(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	defer r.keys.Wipe()
	r.discardKilled(ctx)
	work, err := r.opened(ctx)
	if err != nil {
		return err
	}
	r.enter(StageReseal)
	for _, w := range work {
		r.total += 2 * w.Stored
	}
	for _, w := range work {
		if err := r.one(ctx, w); ctx.Err() != nil {
			return context.Cause(ctx)
		} else if err != nil {
			r.failed = append(r.failed, err)
			r.warn(w.ID + " of " + w.Database + " was not resealed: " + oneLine(err))
			if code := fault.CodeOf(err); code == fault.NoSpace || code == fault.PlaceUnreachable {
				break // the others would fare alike
			}
		}
		r.before += 2 * w.Stored
	}
	return r.verdict(len(work))
}

// begin gathers what every archive needs, and keeps others of this host from
// doing the same.
func (r *resealing) begin(ctx context.Context) (unlock func(), err error) {
	v := r.v
	if err := v.writable(); err != nil {
		return nil, err
	}
	if r.to, err = v.recipients(); err != nil {
		return nil, err
	}
	if r.signer, err = archive.LoadSigner(v.c.SigningKey); err != nil {
		return nil, err
	}
	if r.vf, r.trust, err = v.identity(ctx); err != nil {
		return nil, err
	}
	if r.keys, err = v.keys(r.plan.o.Identities); err != nil {
		return nil, err
	}
	return job.Lock(v.lockDir(), r.vf.ID[:12]+".reseal", "a resealing of vault "+v.c.Name, "")
}

// opened gives the archives of the plan that are still to be resealed and
// that the identities open, by their headers.
func (r *resealing) opened(ctx context.Context) ([]*found, error) {
	now, err := r.v.PlanReseal(ctx, r.plan.o)
	if err != nil {
		return nil, err
	}
	var work []*found
	var last error
	tried := 0
	for i, a := range r.plan.Archives {
		if !slices.ContainsFunc(now.rows, func(b Archive) bool {
			return b.ID == a.ID && b.Database == a.Database && b.digest == r.plan.rows[i].digest
		}) {
			r.info(a.ID + " of " + a.Database + " is gone or was resealed meanwhile")
			continue
		}
		tried++
		f, err := r.v.locate(ctx, a.Database+"/"+a.ID, "")
		if err != nil {
			return nil, err
		}
		err = f.read(ctx, func(l *located) error {
			h, err := l.o.Headers(ctx)
			if err == nil {
				_, err = h.Try(r.keys)
			}
			return err
		})
		switch {
		case err == nil:
			work = append(work, f)
		case fault.CodeOf(err) == fault.NoKey:
			r.closed++
			last = err
			r.warn(a.ID + " of " + a.Database + " is left out: no given identity opens it")
		default:
			return nil, err
		}
	}
	if tried > 0 && r.closed == tried {
		return nil, &fault.Error{Op: "key reseal", What: "the identity opens none of " + plural(int64(tried), "archive"), Why: "it is none of their recipients'", Left: "nothing was written; the archives are as they were",
			Do: "give the secret key of one of their recipients with -i: pgvault key list tells who opens how many", Code: fault.NoKey, Err: last}
	}
	return work, nil
}

// one reseals one archive, from the first of its copies that serves.
func (r *resealing) one(ctx context.Context, f *found) error {
	unlock, err := r.v.reading(f.copies[0].o)
	if err != nil {
		return err
	}
	defer unlock()
	home, err := r.homeOf(ctx, f)
	if err != nil {
		return err
	}
	return f.read(ctx, func(l *located) error { return r.seal(ctx, home, l, f.Pinned) })
}

// homeOf is the first place of a database that can take what is resealed.
func (r *resealing) homeOf(ctx context.Context, f *found) (site, error) {
	sites, err := r.v.homes(f.Database)
	if err != nil {
		return site{}, err
	}
	b := &backup{run: r.run, v: r.v, vf: r.vf, o: BackupOptions{Database: f.Database}, before: &Archive{Stored: f.Stored}}
	var first error
	for _, s := range sites {
		a := askEach(ctx, r.v, []site{s}, verbWait, func(ctx context.Context, s site) (struct{}, error) { return struct{}{}, b.fits(ctx, s) })[0]
		if a.err == nil {
			return s, nil
		}
		if first == nil {
			first = a.err
		}
	}
	return site{}, first
}

// seal makes the new archive. Whatever goes wrong before its manifest, what
// was written is taken away again.
func (r *resealing) seal(ctx context.Context, home site, l *located, pinned bool) error {
	id, err := r.freshID(ctx, home, l.o.Manifest)
	if err != nil {
		return err
	}
	w := &resealed{resealing: r, home: home, l: l, m: l.o.ResealedManifest(id, r.v.c.Version, r.now())}
	w.folder = archive.Folder(r.v.c.Name, w.m.Database, id)
	r.noteBegun(w)
	if err := w.make(ctx); err != nil {
		r.discard(ctx, home, w.folder)
		r.noteEnded()
		return err
	}
	r.noteEnded()
	r.made++
	r.done.Proof = ProofIntact
	if w.once != nil {
		r.done.Proof = ProofReadable
	}
	r.done.Stored += w.m.Stored()
	r.done.Tables, r.done.Rows, r.done.Bytes = r.done.Tables+w.m.Tables, r.done.Rows+w.m.Rows, r.done.Bytes+w.m.Bytes
	r.info(fmt.Sprintf("%s of %s is resealed as %s, %s in %s; every table read back equal", l.o.Manifest.ID, w.m.Database, id, bytesText(w.m.Stored()), home.Name))
	if err := w.prove(ctx, pinned); err != nil {
		r.warn("no proof was written beside " + id + ": " + oneLine(err))
	}
	return nil
}

// freshID is an id that no folder of the place has.
func (r *resealing) freshID(ctx context.Context, home site, m *archive.Manifest) (string, error) {
	for range 100 {
		id, err := archive.ResealID(m.ID, r.v.random)
		if err != nil || id == m.ID {
			continue
		}
		there, err := home.Store.List(ctx, archive.Folder(r.v.c.Name, m.Database, id))
		if err != nil {
			return "", err
		}
		if len(there) == 0 {
			return id, nil
		}
	}
	return "", errors.New("no id is free for what is resealed")
}

// verdict is the error of a run that did not do all.
func (r *resealing) verdict(work int) error {
	if r.closed == 0 && len(r.failed) == 0 {
		r.info(plural(int64(r.made), "archive") + " resealed; the old ones are still there, and open with the old keys")
		return nil
	}
	if r.made == 0 && len(r.failed) > 0 && r.closed == 0 {
		return r.failed[0]
	}
	var why []string
	if r.closed > 0 {
		why = append(why, fmt.Sprintf("no given identity opens %d of them", r.closed))
	}
	if len(r.failed) > 0 {
		why = append(why, fmt.Sprintf("%d failed: %s", len(r.failed), oneLine(r.failed[0])))
	}
	return &fault.Error{Op: "key reseal", What: fmt.Sprintf("%d of %s resealed", r.made, plural(int64(len(r.plan.Archives)), "archive")), Why: strings.Join(why, "; "),
		Left: resealLeft, Do: "mend the cause or give the other keys with -i, and run it again: it goes on with what is left", Code: fault.Partial, Err: errors.Join(r.failed...)}
}

// begun is the archive that a run is making, as the state folder remembers it:
// a run that was killed leaves parts without a manifest, and the next one
// knows that they are its own.
type begun struct {
	Vault string `json:"vault"`
	Place string `json:"place"`
	At    string `json:"folder"`
}

func (r *resealing) begunPath() string {
	return filepath.Join(r.v.c.StateDir, "reseal", r.v.c.Name+".json")
}

func (r *resealing) noteBegun(w *resealed) {
	if src, err := json.Marshal(begun{r.vf.ID, w.home.Name, w.folder}); err == nil && r.v.c.StateDir != "" {
		_ = r.v.writeState(r.begunPath(), append(src, '\n')) // at worst a killed run's parts stay
	}
}

func (r *resealing) noteEnded() { _ = os.Remove(r.begunPath()) }

// discardKilled takes away what a killed run had begun. The lock says that no
// other is at it.
func (r *resealing) discardKilled(ctx context.Context) {
	var b begun
	src, err := os.ReadFile(r.begunPath())
	if err != nil || json.Unmarshal(src, &b) != nil || b.Vault != r.vf.ID {
		return
	}
	sites, err := r.v.sitesOf(b.Place)
	database, id, ok := r.v.folderOf(b.At)
	if err != nil || len(sites) != 1 || sites[0].ready() != nil || !ok {
		return
	}
	r.discard(ctx, sites[0], archive.Folder(r.v.c.Name, database, id))
	r.noteEnded()
}

// folderOf takes an archive's folder apart.
func (v *Vault) folderOf(folder string) (database, id string, ok bool) {
	e := strings.Split(strings.TrimSuffix(folder, "/"), "/")
	if len(e) != 3 || e[0] != v.c.Name || !archive.ValidID(e[2]) {
		return "", "", false
	}
	database, err := archive.DecodeName(e[1])
	return database, e[2], err == nil
}

// discard removes the objects of an archive that never came to be. Where its
// manifest is there after all, nothing is touched.
func (r *resealing) discard(ctx context.Context, home site, folder string) {
	ctx = context.WithoutCancel(ctx)
	if _, err := home.Store.Stat(ctx, folder+archive.ManifestName); !errors.Is(err, store.ErrNotExist) {
		return
	}
	for _, name := range []string{archive.SignatureName, archive.ContentsPart, archive.GlobalsPart, archive.MainPart} {
		if err := home.Store.Remove(ctx, folder+name); err != nil && !errors.Is(err, store.ErrNotExist) {
			r.warn("part " + name + " of what was not resealed could not be removed: " + err.Error())
		}
	}
}
