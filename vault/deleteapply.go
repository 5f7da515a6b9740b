package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"pgvault/fault"
	"pgvault/vault/archive"
	"pgvault/vault/job"
	"pgvault/vault/store"
)

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
	vf, err := v.vaultFile(ctx, nil)
	if err != nil {
		return err
	}
	unlock, err := job.Alone(v.lockDir(), lockName(vf, p.Archive.Database), archiveLock(p.Archive.ID))
	if err != nil {
		return err
	}
	defer unlock()
	now, err := v.planDelete(ctx, p.Archive.Database+"/"+p.Archive.ID, p.Place)
	if err != nil {
		return err
	}
	if now.expired = p.expired; now.unmarked(v.now()) {
		return &fault.Error{Op: "delete", What: "archive " + p.Archive.ID + " stays", Why: "its mark was taken away meanwhile, or its grace begun anew", Left: "nothing was removed",
			Do: "nothing", Code: fault.Refused, Err: errKeptMeanwhile}
	}
	if now.Refused != "" {
		return &fault.Error{Op: "delete", What: "archive " + p.Archive.ID + " is not deleted", Why: now.Refused, Left: "nothing was removed", Do: "choose another archive", Code: fault.Refused}
	}
	if now.Archive.digest != p.Archive.digest || !slices.EqualFunc(now.Copies, p.Copies, func(a, b CopyDeletion) bool {
		return a.Place == b.Place && slices.Equal(a.Files, b.Files)
	}) {
		return changedMeanwhile(p.Archive.ID)
	}
	return v.deleteCopies(ctx, vf, now)
}

// unmarked tells that the archive is not retention's to remove any more: a
// mark is gone, or its grace begun anew.
func (p *DeletePlan) unmarked(now time.Time) bool {
	return p.expired && (p.Archive.Expires == nil || p.Archive.Expires.After(now))
}

// deleteCopies removes the copies of a plan. What is meant for all places is
// written down before, so that the rest is done later by whoever comes next.
func (v *Vault) deleteCopies(ctx context.Context, vf *archive.VaultFile, p *DeletePlan) error {
	whole := p.Place == ""
	w := &pending{Kind: pendingDelete, Vault: vf.ID, Database: p.Archive.Database, ID: p.Archive.ID, Digest: p.Archive.digest, At: v.now().UTC(), By: who(), Expired: p.expired}
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
