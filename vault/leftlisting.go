package vault

import (
	"context"
	"time"

	"pgvault/vault/archive"
)

// A place with many archives also holds a signed listing of itself, for who
// comes with nothing remembered: another host, a machine set up anew. It is
// what is remembered in the state folder, byte for byte, and is believed
// in the same way, an archive at a time and only where every object of its
// folder still has the same name, size and stamp; and only with the signature
// of a trusted key. A copy of the place's files on another disk has other
// stamps: then all of it is read and checked, as without a listing.

const (
	leaveFrom  = 64 // archives in a place, before a listing in it pays
	leaveShare = 8  // a new one is left when this part of the archives is not in the last
)

// leftIn is the listing that lies in the place; nil where there is none of
// use. That it cannot be read is no error: it only saves work.
func (v *Vault) leftIn(ctx context.Context, s site, trust *archive.Trust) *remembered {
	src, err := archive.ReadListing(ctx, s.Store, v.c.Name, trust)
	if err != nil || src == nil {
		return nil
	}
	r, err := decodeListing(src)
	if err != nil {
		return nil
	}
	r.at, r.left = time.Time{}, len(r.archives)
	return r
}

// leaveListings leaves a listing in each place that answered and holds many
// archives of which the last one does not tell. What cannot be done is left
// for the next run: a listing is a convenience.
func (v *Vault) leaveListings(ctx context.Context, w *view) {
	for i := range w.sights {
		s := &w.sights[i]
		if s.err != nil || s.seen == nil || !worthLeaving(len(s.seen.archives), s.seen.left) {
			continue
		}
		signer, err := archive.LoadSigner(v.c.SigningKey)
		if err != nil || v.writable() != nil {
			return
		}
		if archive.PublishListing(ctx, s.Store, v.c.Name, v.now(), encodeListing(s.seen), signer, v.random) == nil {
			now := *s.seen
			now.left = len(now.archives)
			v.remember(s.site, &now, true)
		}
	}
}

// worthLeaving tells whether a place of n archives wants a new listing, the
// last one having told of left.
func worthLeaving(n, left int) bool {
	return n >= leaveFrom && max(n-left, left-n) >= max(leaveFrom, n/leaveShare)
}
