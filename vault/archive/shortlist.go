package archive

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"pgvault/vault/store"
)

// ListingFolder holds, in a vault's folder, signed listings of the place.
// No database's folder is named so: EncodeName writes a dot as %2E.
const ListingFolder = "listing.d"

// maxListing is room for some hundred thousand archives.
const maxListing = 64 << 20

// PublishListing leaves a listing in the place, signed, and takes away those
// that were there before it: they say less. An object that cannot be taken
// away (a lock, no right) stays; readers take the newest.
func PublishListing(ctx context.Context, place store.Store, vault string, now time.Time, listing []byte, signer *Signer, random io.Reader) error {
	prefix := vault + "/" + ListingFolder + "/"
	old, err := place.List(ctx, prefix)
	if err != nil {
		return err
	}
	sig, err := signer.Sign(listing, ListingNamespace)
	if err != nil {
		return err
	}
	id, err := NewID(now, random)
	if err != nil {
		return err
	}
	if err := Publish(ctx, place, prefix+id+".sig", sig); err != nil {
		return err
	}
	if err := Publish(ctx, place, prefix+id, listing); err != nil {
		return errors.Join(err, place.Remove(context.WithoutCancel(ctx), prefix+id+".sig"))
	}
	for _, o := range old {
		if isListing(strings.TrimPrefix(o.Name, prefix)) {
			_ = place.Remove(ctx, o.Name) // a later one tries again
		}
	}
	return nil
}

// isListing tells the names of listings and of their signatures.
func isListing(base string) bool { return ValidID(strings.TrimSuffix(base, ".sig")) }

// ReadListing gives the newest listing in the place that a trusted key has
// signed; nil without an error where there is none.
func ReadListing(ctx context.Context, place store.Store, vault string, trust *Trust) ([]byte, error) {
	prefix := vault + "/" + ListingFolder + "/"
	infos, err := place.List(ctx, prefix)
	if err != nil {
		return nil, err
	}
	for _, o := range slices.Backward(infos) { // ids sort by time
		base := strings.TrimPrefix(o.Name, prefix)
		if !ValidID(base) || o.Size > maxListing {
			continue
		}
		src, err := store.ReadAll(ctx, place, o.Name, maxListing)
		if err != nil {
			return nil, err
		}
		sig, err := store.ReadAll(ctx, place, o.Name+".sig", maxSignature)
		if err == nil && trust.Verify(src, sig, ListingNamespace) == nil {
			return src, nil
		}
		if err != nil && !errors.Is(err, store.ErrNotExist) {
			return nil, err
		}
	}
	return nil, nil
}
