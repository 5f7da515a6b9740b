package vault

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"pgvault/fault"
	"pgvault/vault/archive"
)

// pinned tells whether a pin lies in the archive's folder. One that nobody
// signed, or a stranger, counts as well: to keep is the safe side.
func (f folder) pinned() bool { return f.has(archive.PinName) }

// Pin keeps an archive whatever the rules say, or with pinned false lets the
// rules decide again, in every place that has a copy. What is so already
// stays so without an error. id is an archive's id, or database/id. Where a
// place could not be asked, it is done at the next pin or deletion; the error
// then has the code fault.Partial.
func (v *Vault) Pin(ctx context.Context, id string, pinned bool) error {
	if err := v.writable(); err != nil {
		return err
	}
	there, err := v.whereabouts(ctx, id)
	if err != nil {
		return err
	}
	kind := pendingPin
	if !pinned {
		kind = pendingUnpin
	}
	v.finishPending(ctx, there.key())
	return v.audited(ctx, string(kind), there.database+" "+there.id, "", v.pin(ctx, there, kind))
}

func (v *Vault) pin(ctx context.Context, there *whereabouts, kind pendingKind) error {
	done, late, failed := v.pinEach(ctx, there, kind == pendingPin)
	w := &pending{Kind: kind, Vault: "", Database: there.database, ID: there.id, At: v.now().UTC(), By: who(), Places: late}
	vf, err := v.vaultFile(ctx, nil)
	if err != nil {
		return err
	}
	w.Vault = vf.ID
	if len(late) == 0 {
		v.dropPending(w)
		return nil
	}
	if done == 0 {
		return failed
	}
	if err := v.writePending(w); err != nil {
		return err
	}
	return &fault.Error{Op: string(kind), What: "archive " + there.id + " is not " + string(kind) + "ned everywhere", Why: strings.Join(late, ", ") + ": " + oneLine(failed),
		Left: "it is so in the other places", Do: "the next pgvault pin, unpin or delete tries again", Code: fault.Partial, Err: failed}
}

// pinEach sets or takes away the pin in each place that has the archive. late
// names the places that have not taken it, failed is the first reason.
func (v *Vault) pinEach(ctx context.Context, there *whereabouts, pinned bool) (done int, late []string, failed error) {
	add := func(name string, err error) {
		late = append(late, name)
		if failed == nil {
			failed = err
		}
	}
	var sites []site
	for _, r := range there.replies {
		switch {
		case r.err != nil && v.mayHold(r.site, Archive{ID: there.id, Database: there.database}):
			add(r.Name, r.err)
		case r.err == nil && r.value.whole():
			sites = append(sites, r.site)
		}
	}
	signer, err := archive.LoadSigner(v.c.SigningKey)
	if errors.Is(err, fs.ErrNotExist) {
		signer, err = nil, nil // a host without a signing key may keep, too
	}
	for _, r := range askEach(ctx, v, sites, verbWait, func(ctx context.Context, s site) (struct{}, error) {
		return struct{}{}, v.pinIn(ctx, s, there.folder, pinned, signer, err)
	}) {
		if r.err != nil {
			add(r.Name, r.err)
		} else {
			done++
		}
	}
	slices.Sort(late)
	return done, late, failed
}

func (v *Vault) pinIn(ctx context.Context, s site, f folder, pinned bool, signer *archive.Signer, noSigner error) error {
	at := archive.Folder(v.c.Name, f.database, f.id)
	if !pinned {
		return archive.Unpin(ctx, s.Store, at)
	}
	if noSigner != nil {
		return noSigner
	}
	n, err := v.note(ctx, s.Store, f)
	if err != nil {
		return err
	}
	return archive.Pin(ctx, s.Store, at, n, signer)
}
