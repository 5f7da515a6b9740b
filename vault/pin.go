package vault

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"pgvault/fault"
	"pgvault/vault/archive"
	"pgvault/vault/store"
)

// pinned tells whether a pin lies in the archive's folder. One that nobody
// signed, or a stranger, counts as well: to keep is the safe side.
func (f folder) pinned() bool {
	_, ok := f.objects[archive.PinName]
	return ok
}

// Pin keeps an archive whatever the rules say, or with pinned false lets the
// rules decide again. What is so already stays so without an error. id is an
// archive's id, or database/id.
func (v *Vault) Pin(ctx context.Context, id string, pinned bool) error {
	if err := v.writable(); err != nil {
		return err
	}
	place, err := v.place()
	if err != nil {
		return err
	}
	f, err := v.folderOf(ctx, place, id)
	if err != nil {
		return err
	}
	kind := "pin"
	if !pinned {
		kind = "unpin"
	}
	return v.audited(ctx, kind, f.database+" "+f.id, "", v.pin(ctx, place, f, pinned))
}

func (v *Vault) pin(ctx context.Context, place store.Store, f folder, pinned bool) error {
	at := archive.Folder(v.c.Name, f.database, f.id)
	if !pinned {
		return archive.Unpin(ctx, place, at)
	}
	signer, err := archive.LoadSigner(v.c.SigningKey)
	if errors.Is(err, fs.ErrNotExist) {
		signer, err = nil, nil // a host without a signing key may keep, too
	}
	if err != nil {
		return err
	}
	n, err := v.note(ctx, place, f)
	if err != nil {
		return err
	}
	return archive.Pin(ctx, place, at, n, signer)
}

// note is what a pin and a mark of deletion say.
func (v *Vault) note(ctx context.Context, place store.Store, f folder) (archive.Note, error) {
	n := archive.Note{Archive: f.id, At: v.now().UTC(), By: who()}
	src, err := store.ReadAll(ctx, place, archive.Folder(v.c.Name, f.database, f.id)+archive.ManifestName, archive.MaxManifest)
	if errors.Is(err, store.ErrNotExist) || errors.Is(err, store.ErrTooBig) {
		return n, nil
	}
	if err == nil {
		n.Manifest = archive.Digest(src)
	}
	return n, err
}

// folderOf finds the folder of one archive by its id or database/id, in the
// place itself.
func (v *Vault) folderOf(ctx context.Context, place store.Store, id string) (folder, error) {
	if _, err := v.vaultFile(ctx, nil); err != nil {
		return folder{}, err
	}
	all, err := v.folders(ctx, place, "")
	if err != nil {
		return folder{}, err
	}
	var found []folder
	for _, f := range all {
		if f.id == id || f.database+"/"+f.id == id {
			found = append(found, f)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return folder{}, &fault.Error{Op: "find archive", What: fmt.Sprintf("there is no archive %q", id), Why: fmt.Sprintf("vault %q in %s has none with this id", v.c.Name, place),
			Left: "nothing was changed", Do: "give the whole id of one archive, as pgvault list shows it", Code: fault.Usage}
	}
	return folder{}, &fault.Error{Op: "find archive", What: fmt.Sprintf("more than one archive has the id %q", id), Why: "archives of several databases may share an id",
		Left: "nothing was changed", Do: "write it as " + found[0].database + "/" + id, Code: fault.Usage}
}
