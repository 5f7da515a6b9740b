package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"pgvault/fault"
	"pgvault/vault/archive"
	"pgvault/vault/job"
	"pgvault/vault/store"
)

// PlanDelete tells what deleting an archive in all its places would do, and
// whether it is refused. id is an archive's id, or database/id. It reads the
// places, not what is remembered of them, and changes nothing. A place that
// does not answer, or whose copy is locked, is told of: its copy goes later.
func (v *Vault) PlanDelete(ctx context.Context, id string) (*DeletePlan, error) {
	return v.planDelete(ctx, id, "")
}

// PlanDeleteCopy is PlanDelete for the copy in one place alone. The last good
// copy of an archive goes only where the whole archive could.
func (v *Vault) PlanDeleteCopy(ctx context.Context, id, place string) (*DeletePlan, error) {
	if _, err := v.sitesOf(place); err != nil {
		return nil, err
	}
	return v.planDelete(ctx, id, place)
}

func (v *Vault) planDelete(ctx context.Context, id, place string) (*DeletePlan, error) {
	there, err := v.whereabouts(ctx, id)
	if err != nil {
		return nil, err
	}
	siblings, _, err := v.list(ctx, there.database, false)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(siblings, func(a Archive) bool { return a.ID == there.id })
	if i < 0 {
		return nil, changedMeanwhile(id)
	}
	p := &DeletePlan{Archive: siblings[i], Place: place, Confirm: there.id}
	v.copiesThatGo(p, there)
	if place == "" {
		p.Refused = refusedDeletion(siblings, i)
	} else if p.Refused, err = p.refusedCopy(there, siblings, i); err != nil {
		return nil, err
	}
	if p.Refused == "" && len(p.Files) == 0 {
		p.Refused = "none of its copies can go now: " + p.Copies[0].Place + ": " + p.Copies[0].Later
	}
	p.notes(siblings, i)
	if err := v.writable(); err != nil {
		p.Refused = fault.As(err).Error()
	}
	return p, nil
}

// copiesThatGo names what goes in each place.
func (v *Vault) copiesThatGo(p *DeletePlan, there *whereabouts) {
	for _, r := range there.replies {
		if p.Place != "" && r.Name != p.Place {
			continue
		}
		c := CopyDeletion{Place: r.Name, Files: []string{}}
		switch {
		case r.err != nil && v.mayHold(r.site, p.Archive):
			c.Later = "the place does not answer"
		case r.err != nil || !r.value.whole():
			continue
		default:
			gone, bytes, other := removal(v.c.Name, r.value)
			c.Files, c.Bytes = gone, bytes
			if len(other) > 0 {
				p.Notes = append(p.Notes, "not pgvault's, these stay: "+strings.Join(firstFew(other, 5), ", "))
			}
			for _, have := range p.Archive.Copies {
				if have.Place == r.Name && have.LockedUntil != nil {
					c.Later = "it is locked until " + stampOf(*have.LockedUntil)
				}
			}
		}
		p.Copies = append(p.Copies, c)
		if c.Later == "" {
			if len(p.Files) == 0 {
				p.Files = c.Files
			}
			p.Bytes += c.Bytes
		}
	}
	p.Notes = slices.Compact(p.Notes)
}

// removal names what of a folder goes, each by its exact name, and what is
// not pgvault's.
func removal(vault string, f folder) (gone []string, bytes int64, other []string) {
	names := make([]string, 0, len(f.objects))
	for n := range f.objects {
		names = append(names, n)
	}
	slices.Sort(names)
	at := archive.Folder(vault, f.database, f.id)
	parts := archive.Removal(func(n string) bool { _, ok := f.objects[n]; return ok }, names)
	for _, n := range parts {
		gone = append(gone, at+n)
		bytes += f.objects[n].Size
	}
	for _, n := range names {
		if !slices.Contains(parts, n) && n != archive.DeletedName {
			other = append(other, n)
		}
	}
	return gone, bytes, other
}

// refusedCopy is the reason why the copy in one place must stay, if any. It
// is an error when there is none, or that cannot be known.
func (p *DeletePlan) refusedCopy(there *whereabouts, siblings []Archive, i int) (string, error) {
	if len(p.Copies) == 0 {
		return "", &fault.Error{Op: "delete", What: fmt.Sprintf("there is no copy of %s in %s", p.Archive.ID, p.Place), Why: "the place answers and has none", Left: "nothing was removed",
			Do: "pgvault show " + p.Archive.ID + " tells in which places it lies", Code: fault.Usage}
	}
	for _, r := range there.replies {
		if r.Name == p.Place && r.err != nil {
			return "", r.err
		}
	}
	if later := p.Copies[0].Later; later != "" {
		return later, nil
	}
	if p.Archive.Pinned {
		return refusedDeletion(siblings, i), nil
	}
	for _, c := range p.Archive.Copies {
		if c.Place != p.Place && c.State == CopyGood && c.Known == nil {
			return "", nil
		}
	}
	p.Confirm = p.Archive.Database + "/" + p.Archive.ID
	p.Notes = append(p.Notes, "no other place has a good copy: the archive goes with it")
	return refusedDeletion(siblings, i), nil
}

// refusedDeletion is the reason why the archive at i must stay, if any. list
// is all archives of one database, newest first.
func refusedDeletion(list []Archive, i int) string {
	newest := func(holds func(Archive) bool) bool {
		first := slices.IndexFunc(list, func(a Archive) bool { return a.State == "good" && holds(a) })
		return first == i
	}
	switch {
	case list[i].Pinned:
		return "it is pinned; pgvault unpin " + list[i].ID + " lets it go"
	case newest(func(Archive) bool { return true }):
		return "it is the newest good archive of " + list[i].Database
	case newest(func(a Archive) bool { return a.Proof == ProofRestored }):
		return "it is the newest archive of " + list[i].Database + " that a restore has proven"
	}
	return ""
}

func (p *DeletePlan) notes(list []Archive, i int) {
	a := list[i]
	for _, c := range p.Copies {
		if c.Later != "" && p.Place == "" {
			p.Notes = append(p.Notes, fmt.Sprintf("the copy in %s stays for now: %s", c.Place, c.Later))
		}
	}
	if p.Refused == "" && p.Place == "" {
		good := 0
		for _, o := range list {
			if o.State == "good" && o.ID != a.ID {
				good++
			}
		}
		p.Notes = append(p.Notes, fmt.Sprintf("it is neither the newest good archive of %s nor the newest that a restore has proven", a.Database),
			fmt.Sprintf("%d other good archives of %s stay", good, a.Database))
	}
	if p.Refused == "" && p.Place != "" && p.Confirm == a.ID {
		p.Notes = append(p.Notes, fmt.Sprintf("%d good copies in other places stay", a.GoodCopies()-goodIn(a, p.Place)))
	}
	if a.State != "good" {
		p.Notes = append(p.Notes, strings.TrimSuffix("it is "+a.State+": "+a.Reason, ": "))
	}
}

func goodIn(a Archive, place string) int {
	for _, c := range a.Copies {
		if c.Place == place && c.State == CopyGood {
			return 1
		}
	}
	return 0
}

// Delete applies the plan it was given. It refuses when the plan says so,
// when the archives have changed since, and while a job of this host reads
// the archive. In each place a mark is left first, then the manifest goes,
// with which the archive is gone there, then the rest. Deletions that were
// killed before, or that a place did not take, are finished first. Where a
// copy stays for now, the error has the code fault.Partial.
func (v *Vault) Delete(ctx context.Context, p *DeletePlan) error {
	if err := v.writable(); err != nil {
		return err
	}
	text := fmt.Sprintf("%s in %d files", bytesText(p.Bytes), len(p.Files))
	if p.Place != "" {
		text = "the copy in " + p.Place + ", " + text
	}
	return v.audited(ctx, "delete", p.Archive.Database+" "+p.Archive.ID, text, v.applyDelete(ctx, p))
}

func (v *Vault) applyDelete(ctx context.Context, p *DeletePlan) error {
	v.finishPending(ctx, p.Archive.Database+"/"+p.Archive.ID)
	now, err := v.planDelete(ctx, p.Archive.Database+"/"+p.Archive.ID, p.Place)
	if err != nil {
		return err
	}
	if now.Refused != "" {
		return &fault.Error{Op: "delete", What: "archive " + p.Archive.ID + " is not deleted", Why: now.Refused, Left: "nothing was removed", Do: "choose another archive", Code: fault.Refused}
	}
	if now.Archive.digest != p.Archive.digest || !slices.EqualFunc(now.Copies, p.Copies, func(a, b CopyDeletion) bool {
		return a.Place == b.Place && slices.Equal(a.Files, b.Files)
	}) {
		return changedMeanwhile(p.Archive.ID)
	}
	vf, err := v.vaultFile(ctx, nil)
	if err != nil {
		return err
	}
	unlock, err := job.Alone(v.lockDir(), lockName(vf, p.Archive.Database), archiveLock(p.Archive.ID))
	if err != nil {
		return err
	}
	defer unlock()
	return v.deleteCopies(ctx, vf, now)
}

// deleteCopies removes the copies of a plan. What is meant for all places is
// written down before, so that the rest is done later by whoever comes next.
func (v *Vault) deleteCopies(ctx context.Context, vf *archive.VaultFile, p *DeletePlan) error {
	whole := p.Place == ""
	w := &pending{Kind: pendingDelete, Vault: vf.ID, Database: p.Archive.Database, ID: p.Archive.ID, Digest: p.Archive.digest, At: v.now().UTC(), By: who()}
	if whole {
		for _, c := range p.Copies {
			w.Places = append(w.Places, c.Place)
		}
		if err := v.writePending(w); err != nil {
			return err
		}
	}
	sites, err := v.sites()
	if err != nil {
		return err
	}
	var failed []error
	var late []string
	w.Places = nil
	gone := 0
	for _, c := range p.Copies {
		if c.Later != "" {
			late = append(late, c.Place+": "+c.Later)
			w.Places = append(w.Places, c.Place)
			continue
		}
		s := sites[slices.IndexFunc(sites, func(s site) bool { return s.Name == c.Place })]
		manifest, err := v.deleteCopy(ctx, s, p.Archive, c.Files)
		if manifest {
			gone++
		}
		if err != nil {
			failed = append(failed, err)
			late = append(late, c.Place+": "+oneLine(err))
			w.Places = append(w.Places, c.Place)
		}
	}
	return v.deleted(ctx, w, whole, gone, failed, late)
}

// deleted ends a deletion: all is gone, a part of it, or nothing.
func (v *Vault) deleted(ctx context.Context, w *pending, whole bool, gone int, failed []error, late []string) error {
	switch {
	case len(late) == 0:
		if whole {
			v.dropPending(w)
		}
		return v.unmark(ctx, w.Database, w.ID)
	case gone == 0 && len(failed) > 0:
		if whole {
			v.dropPending(w)
		}
		return failed[0]
	case len(w.Places) == 1 && len(v.c.Places) == 1: // one place: what is left there is swept by the next deletion
		v.dropPending(w)
		return failed[0]
	}
	if whole {
		if err := v.writePending(w); err != nil {
			return err
		}
	}
	return &fault.Error{Op: "delete", What: "archive " + w.ID + " is not gone everywhere", Why: strings.Join(late, "; "),
		Left: "what is told above is left there; all other copies are gone", Do: "the next pgvault delete, pin or unpin tries again; or run this again", Code: fault.Partial, Err: errors.Join(failed...)}
}

// archiveLock names an archive for job.Read and job.Alone.
func archiveLock(id string) string { return "archive " + id }

// deleteCopy removes the copy of one place. The mark stays: while it is
// there, nobody makes a copy of the archive in this place again. gone says
// that the manifest was removed.
func (v *Vault) deleteCopy(ctx context.Context, s site, a Archive, files []string) (gone bool, err error) {
	if err := v.sweepDeleted(ctx, s); err != nil {
		return false, err
	}
	at := archive.Folder(v.c.Name, a.Database, a.ID)
	n, err := v.note(ctx, s.Store, folder{database: a.Database, id: a.ID})
	if err != nil {
		return false, err
	}
	if err := archive.MarkDeleted(ctx, s.Store, at, n); err != nil {
		return false, err
	}
	for _, name := range files {
		if err := s.Store.Remove(ctx, name); err != nil && !errors.Is(err, store.ErrNotExist) {
			left := "the archive is as it was"
			if gone {
				left = "the archive is gone there; some of its files are left, and the next deletion removes them"
			}
			return gone, leaving(err, left)
		}
		gone = true
	}
	return gone, nil
}

// unmark takes away what is left of one archive that is gone, the marks of
// its deletion last.
func (v *Vault) unmark(ctx context.Context, database, id string) error {
	sites, err := v.sites()
	if err != nil {
		return err
	}
	replies := askEach(ctx, v, sites, verbWait, func(ctx context.Context, s site) (struct{}, error) {
		return struct{}{}, v.sweepBelow(ctx, s, archive.Folder(v.c.Name, database, id))
	})
	if err := firstError(replies); err != nil && len(sites) == 1 {
		return leaving(err, "the archive is gone; some of its files are left, and the next deletion removes them")
	}
	return nil // the next deletion removes what is left
}

// sweepDeleted finishes deletions that were killed: folders without a
// manifest in which the mark of deletion lies. A folder with neither may be
// the backup that another host is just making, however old it is; nothing in
// it is touched. The mark stays while another place still has the archive
// that is to go.
func (v *Vault) sweepDeleted(ctx context.Context, s site) error {
	return v.sweepBelow(ctx, s, v.c.Name+"/")
}

func (v *Vault) sweepBelow(ctx context.Context, s site, prefix string) error {
	all, err := v.foldersIn(ctx, s.Store, prefix)
	if err != nil {
		return err
	}
	for _, f := range all {
		if f.whole() || !f.deleted() {
			continue
		}
		files, _, _ := removal(v.c.Name, f)
		if !v.condemned(f.database, f.id) {
			files = append(files, archive.Folder(v.c.Name, f.database, f.id)+archive.DeletedName)
		}
		for _, name := range files {
			if err := s.Store.Remove(ctx, name); err != nil && !errors.Is(err, store.ErrNotExist) {
				return leaving(err, "what an earlier deletion left is still there; nothing else was removed")
			}
		}
	}
	return nil
}

func changedMeanwhile(id string) error {
	return &fault.Error{Op: "delete", What: "archive " + id + " is not as the plan found it", Why: "its files have changed since, or it is gone",
		Left: "nothing was removed", Do: "look at it again: pgvault delete " + id, Code: fault.Refused}
}

// reading keeps an archive from being deleted by this host until the
// function returned is called. A state folder that takes no lock is no
// reason not to read.
func (v *Vault) reading(o *archive.Opened) (func(), error) {
	unlock, err := job.Read(v.lockDir(), o.Manifest.Vault[:12]+"-"+archive.EncodeName(o.Manifest.Database), archiveLock(o.Manifest.ID))
	switch {
	case err == nil:
		return unlock, nil
	case fault.CodeOf(err) == fault.Running:
		return nil, err
	}
	return func() {}, nil
}
