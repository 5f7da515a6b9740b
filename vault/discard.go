package vault

import (
	"context"
	"errors"

	"pgvault/vault/archive"
	"pgvault/vault/store"
)

// discard takes away the parts of a backup that failed before its manifest
// was written: they never became an archive. Only objects that this run
// wrote are named, and none if the manifest is there after all. What cannot
// be removed stays as an orphan that no listing shows.
func (b *backup) discard(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	if _, err := b.home.Store.Stat(ctx, b.folder+archive.ManifestName); !errors.Is(err, store.ErrNotExist) {
		return
	}
	b.unreserve(ctx)
	for _, name := range []string{archive.SignatureName, archive.ContentsPart, archive.GlobalsPart, archive.MainPart} {
		if err := b.home.Store.Remove(ctx, b.folder+name); err != nil && !errors.Is(err, store.ErrNotExist) {
			b.warn("part " + name + " of the failed backup could not be removed: " + err.Error())
		}
	}
}
