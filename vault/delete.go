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

// PlanDelete tells what deleting an archive would do, and whether it is
// refused. id is an archive's id, or database/id. It reads the place, not
// what is remembered of it, and changes nothing; a place that cannot be read
// whole is an error.
func (v *Vault) PlanDelete(ctx context.Context, id string) (*DeletePlan, error) {
	place, err := v.place()
	if err != nil {
		return nil, err
	}
	f, err := v.folderOf(ctx, place, id)
	if err != nil {
		return nil, err
	}
	siblings, err := v.list(ctx, f.database)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(siblings, func(a Archive) bool { return a.ID == f.id })
	if i < 0 {
		return nil, changedMeanwhile(id)
	}
	p := &DeletePlan{Archive: siblings[i]}
	p.files(v.c.Name, f)
	p.Refused = refusedDeletion(siblings, i)
	p.notes(siblings, i)
	if err := v.writable(); err != nil {
		p.Refused = fault.As(err).Error()
	}
	return p, nil
}

// files names what goes, each by its exact name.
func (p *DeletePlan) files(vault string, f folder) {
	names := make([]string, 0, len(f.objects))
	for n := range f.objects {
		names = append(names, n)
	}
	slices.Sort(names)
	at := archive.Folder(vault, f.database, f.id)
	gone := archive.Removal(func(n string) bool { _, ok := f.objects[n]; return ok }, names)
	for _, n := range gone {
		p.Files = append(p.Files, at+n)
		p.Bytes += f.objects[n].Size
	}
	var other []string
	for _, n := range names {
		if !slices.Contains(gone, n) && n != archive.DeletedName {
			other = append(other, n)
		}
	}
	if len(other) > 0 {
		p.Notes = append(p.Notes, "not pgvault's, these stay: "+strings.Join(firstFew(other, 5), ", "))
	}
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
	if p.Refused == "" {
		good := 0
		for _, o := range list {
			if o.State == "good" && o.ID != a.ID {
				good++
			}
		}
		p.Notes = append(p.Notes, fmt.Sprintf("it is neither the newest good archive of %s nor the newest that a restore has proven", a.Database),
			fmt.Sprintf("%d other good archives of %s stay", good, a.Database))
	}
	if a.State != "good" {
		p.Notes = append(p.Notes, strings.TrimSuffix("it is "+a.State+": "+a.Reason, ": "))
	}
}

// Delete applies the plan it was given. It refuses when the plan says so,
// when the archives have changed since, and while a job of this host reads
// the archive. A mark is left first, then the manifest goes, with which the
// archive is gone, then the rest. Deletions that were killed before are
// finished first.
func (v *Vault) Delete(ctx context.Context, p *DeletePlan) error {
	if err := v.writable(); err != nil {
		return err
	}
	return v.audited(ctx, "delete", p.Archive.Database+" "+p.Archive.ID, fmt.Sprintf("%s in %d files", bytesText(p.Bytes), len(p.Files)), v.applyDelete(ctx, p))
}

func (v *Vault) applyDelete(ctx context.Context, p *DeletePlan) error {
	ref := p.Archive.Database + "/" + p.Archive.ID
	now, err := v.PlanDelete(ctx, ref)
	if err != nil {
		return err
	}
	if now.Refused != "" {
		return &fault.Error{Op: "delete", What: "archive " + p.Archive.ID + " is not deleted", Why: now.Refused, Left: "nothing was removed", Do: "choose another archive", Code: fault.Refused}
	}
	if now.Archive.digest != p.Archive.digest || !slices.Equal(now.Files, p.Files) {
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
	place, err := v.place()
	if err != nil {
		return err
	}
	if err := v.sweepDeleted(ctx, place); err != nil {
		return err
	}
	return v.remove(ctx, place, p)
}

// archiveLock names an archive for job.Read and job.Alone.
func archiveLock(id string) string { return "archive " + id }

func (v *Vault) remove(ctx context.Context, place store.Store, p *DeletePlan) error {
	at := archive.Folder(v.c.Name, p.Archive.Database, p.Archive.ID)
	f := folder{database: p.Archive.Database, id: p.Archive.ID}
	n, err := v.note(ctx, place, f)
	if err != nil {
		return err
	}
	if err := archive.MarkDeleted(ctx, place, at, n); err != nil {
		return err
	}
	for i, name := range append(slices.Clone(p.Files), at+archive.DeletedName) {
		if err := place.Remove(ctx, name); err != nil && !errors.Is(err, store.ErrNotExist) {
			left := "the archive is as it was"
			if i > 0 {
				left = "the archive is gone; some of its files are left, and the next deletion removes them"
			}
			return leaving(err, left)
		}
	}
	return nil
}

// sweepDeleted finishes deletions that were killed: folders without a
// manifest in which the mark of deletion lies. A folder with neither may be
// the backup that another host is just making, however old it is; nothing in
// it is touched.
func (v *Vault) sweepDeleted(ctx context.Context, place store.Store) error {
	all, err := v.allFolders(ctx, place, "")
	if err != nil {
		return err
	}
	for _, f := range all {
		_, whole := f.objects[archive.ManifestName]
		_, marked := f.objects[archive.DeletedName]
		if whole || !marked {
			continue
		}
		p := DeletePlan{}
		p.files(v.c.Name, f)
		at := archive.Folder(v.c.Name, f.database, f.id)
		for _, name := range append(p.Files, at+archive.DeletedName) {
			if err := place.Remove(ctx, name); err != nil && !errors.Is(err, store.ErrNotExist) {
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
