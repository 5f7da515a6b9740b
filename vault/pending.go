package vault

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"pgvault/fault"
	"pgvault/vault/archive"
	"pgvault/vault/job"
	"pgvault/vault/store"
)

// pending is a deletion or a pin that some place has not taken yet. It lies
// in the state folder: only who was told to delete goes on deleting. What
// lies in a place, signed by nobody, never makes anything be removed from
// another one.
type pending struct {
	Kind     pendingKind `json:"kind"`
	Vault    string      `json:"vault_id"`
	Database string      `json:"database"`
	ID       string      `json:"id"`
	Digest   string      `json:"manifest"` // SHA-256 of the manifest of the archive that is meant
	Places   []string    `json:"places"`   // that have not taken it
	At       time.Time   `json:"at"`
	By       string      `json:"by"`
	Expired  bool        `json:"expired,omitempty"` // retention's: it goes on only while the mark is there
}

func (v *Vault) pendingDir() string { return filepath.Join(v.c.StateDir, "pending") }

func (v *Vault) writePending(w *pending) error {
	src, err := json.Marshal(w)
	if err != nil {
		return err
	}
	if err := v.writeState(filepath.Join(v.pendingDir(), w.name()), src); err != nil {
		return &fault.Error{Op: string(w.Kind), What: "what is to be done could not be written down", Why: err.Error(), Left: "see the places above", Do: "see that the state folder " + v.c.StateDir + " can be written to", Err: err}
	}
	return nil
}

func (v *Vault) dropPending(w *pending) { _ = os.Remove(filepath.Join(v.pendingDir(), w.name())) }

// pendings gives what waits, oldest first. A file that cannot be read is
// passed over.
func (v *Vault) pendings() []*pending {
	files, _ := filepath.Glob(filepath.Join(v.pendingDir(), "*.json"))
	var out []*pending
	for _, f := range files {
		src, err := os.ReadFile(f)
		var w pending
		if err != nil || json.Unmarshal(src, &w) != nil || w.name() != filepath.Base(f) || !archive.ValidID(w.ID) {
			continue
		}
		out = append(out, &w)
	}
	slices.SortFunc(out, func(a, b *pending) int { return a.At.Compare(b.At) })
	return out
}

// condemned tells whether an archive is being deleted in all places, and some
// place has not taken it yet: no copies are made of it.
func (v *Vault) condemned(database, id string) bool {
	return slices.ContainsFunc(v.pendings(), func(w *pending) bool {
		return w.Kind == pendingDelete && w.Database == database && w.ID == id
	})
}

// finishPending tries again what places have not taken, but for the archive
// with this key, which is dealt with by who calls. Nothing of it is an error:
// what cannot be done now still waits.
func (v *Vault) finishPending(ctx context.Context, but string) {
	vf, err := v.vaultFile(ctx, nil)
	if err != nil {
		return
	}
	for _, w := range v.pendings() {
		if w.Vault == vf.ID && w.Database+"/"+w.ID != but && ctx.Err() == nil {
			v.finish(ctx, vf, w)
		}
	}
}

func (v *Vault) finish(ctx context.Context, vf *archive.VaultFile, w *pending) {
	there, err := v.whereabouts(ctx, w.Database+"/"+w.ID)
	if err != nil {
		if fault.CodeOf(err) == fault.Usage { // every place answers, and none has it
			v.dropPending(w)
			_ = v.unmark(ctx, w.Database, w.ID)
		}
		return
	}
	if w.Kind != pendingDelete {
		if _, late, _ := v.pinEach(ctx, there, w.Kind == pendingPin); len(late) == 0 {
			v.dropPending(w)
		}
		return
	}
	unlock, err := job.Alone(v.lockDir(), lockName(vf, w.Database), archiveLock(w.ID))
	if err != nil {
		return
	}
	defer unlock()
	p, err := v.planDelete(ctx, w.Database+"/"+w.ID, "")
	if err != nil || p.Archive.digest != w.Digest {
		return
	}
	p.expired = w.Expired
	if p.Archive.Pinned || p.unmarked(v.now()) { // somebody wants to keep it after all
		v.dropPending(w)
		return
	}
	if p.Refused != "" {
		return
	}
	_ = v.deleteCopies(ctx, vf, p)
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
