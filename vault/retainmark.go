package vault

import (
	"context"
	"errors"
	"strings"

	"pgvault/fault"
	"pgvault/vault/archive"
	"pgvault/vault/job"
)

// expire marks an archive in every place that has it, or with nil takes the
// marks away. done counts the places in which it is so now, err joins what
// failed in the others. An archive is marked where all its copies are: one
// mark that is gone undoes them all.
func (v *Vault) expire(ctx context.Context, there *whereabouts, e *archive.Expiry) (done int, err error) {
	at := archive.Folder(v.c.Name, there.database, there.id)
	var errs []error
	for _, r := range there.replies {
		var err error
		switch {
		case r.err != nil && !v.mayHold(r.site, Archive{ID: there.id, Database: there.database}), r.err == nil && !r.value.whole():
			continue
		case r.err != nil:
			err = r.err
		case e == nil:
			err = archive.Unexpire(ctx, r.Store, at)
		default:
			var n archive.Note
			if n, err = v.note(ctx, r.Store, r.value); err == nil {
				e.Manifest = n.Manifest
				err = archive.MarkExpiry(ctx, r.Store, at, *e)
			}
		}
		if err == nil {
			done++
		}
		errs = append(errs, err)
	}
	return done, errors.Join(errs...)
}

// unexpire takes the mark of an archive away, also where only some of its
// places can be asked.
func (v *Vault) unexpire(ctx context.Context, key string) error {
	there, err := v.whereabouts(ctx, key)
	if err != nil {
		return err
	}
	_, err = v.expire(ctx, there, nil)
	return err
}

// KeepMarked takes the mark of an archive away: its grace begins anew if no
// rule keeps it at the next run; a pin keeps it for good. id is an archive's
// id, or database/id. One that this host is just removing is fault.Running.
// Where a place did not answer, the error is fault.Partial: the archive is not
// marked any more, but that place still has its mark.
func (v *Vault) KeepMarked(ctx context.Context, id string) error {
	if err := v.writable(); err != nil {
		return err
	}
	there, err := v.whereabouts(ctx, id)
	if err != nil {
		return err
	}
	vf, err := v.vaultFile(ctx, nil)
	if err != nil {
		return err
	}
	unlock, err := job.Read(v.lockDir(), lockName(vf, there.database), archiveLock(there.id))
	switch {
	case err == nil:
		defer unlock()
	case fault.CodeOf(err) == fault.Running:
		e := fault.As(err)
		e.Left, e.Do = "it goes on; nothing else was changed", "choose another archive: pgvault list"
		return e
	}
	done, err := v.expire(ctx, there, nil)
	if err != nil && done > 0 {
		err = &fault.Error{Op: "retention", What: "the mark of " + there.id + " could not be taken away everywhere", Why: strings.ReplaceAll(oneLine(err), "\n", "; "),
			Left: "the archive is not marked any more: only one that is marked in all its places goes", Do: "nothing; or run it again when the place answers", Code: fault.Partial, Err: err}
	}
	return v.audited(ctx, "retention", there.database+" "+there.id, "the mark was taken away", err)
}
