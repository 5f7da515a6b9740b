package vault

import (
	"context"
	"crypto/sha256"
	varint "encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"time"

	"pgvault/vault/archive"
	"pgvault/vault/store"
)

// The listing of each place is remembered in the state folder, so that a
// screen has its first frame before the place was asked, and so that the next
// listing does not check again what has not changed.
//
// What is remembered of an archive is taken over by a fresh listing only
// when the same keys are trusted, the vault has the same id, and every
// object of the archive's folder (manifest, signature, parts, proofs, pin)
// has the same name, size and store.Info.Stamp as when all of it was read
// and checked. On disk a stamp holds the time of the last change of any kind,
// which a program cannot set, so that bytes that were written over, also
// with their old length and time, are read and checked again: a damaged or
// forged archive is never shown as good longer than until the next fresh
// listing. What a disk forgets by itself (bit rot) changes no stamp; finding
// that is what verify is for. Verify, restore, delete and backup never use
// what is remembered.
//
// The file is as private as the state folder. Whoever can change it can
// change what a list shows, never what is done.
type remembered struct {
	at      time.Time // of the last whole listing; zero: there was none yet
	vaultID string
	trust   string // digest of the trusted keys
	empty   bool   // there is no vault in the place yet

	archives []Archive // newest first, as this place has them: without Copies
	prints   []string  // of each archive's folder when it was described; empty: describe it again
	rest     []string  // database/id of folders without a manifest, sorted
	left     int       // of how many archives the listing tells that lies in the place itself
}

// Listing gives the archives, newest first: with fresh false at once, as
// they were when last listed, where that is remembered. A place that does
// not answer in time is told of as it is remembered. Errors are those of
// List.
func (v *Vault) Listing(ctx context.Context, fresh bool) (Listing, error) {
	if !fresh {
		if w := v.recallAll(nil); w != nil {
			return w.listing(true), nil
		}
	}
	w, err := v.look(ctx, screenWait)
	if err != nil {
		return Listing{}, err
	}
	return w.listing(false), nil
}

func (w *view) listing(cached bool) Listing {
	return Listing{At: w.at, Cached: cached, Archives: w.archives}
}

// small is what describing the archive reads.
func (f folder) small() []store.Info {
	out := make([]store.Info, 0, len(f.objects))
	for _, o := range f.objects {
		if n := o.Name; n == archive.ManifestName || n == archive.SignatureName || n == archive.ExpiresName || archive.IsProof(strings.TrimSuffix(n, ".sig")) {
			out = append(out, store.Info{Name: n, Size: o.Size})
		}
	}
	return out
}

// print is one short word for names, sizes and stamps of all objects in the
// folder; empty where one has no stamp.
func (f folder) print() string {
	b := make([]byte, 0, 64*len(f.objects))
	for _, o := range f.objects {
		if o.Stamp == "" {
			return ""
		}
		for _, s := range []string{o.Name, o.Stamp} {
			b = append(varint.AppendUvarint(b, uint64(len(s))), s...)
		}
		b = varint.AppendVarint(b, o.Size)
	}
	sum := sha256.Sum256(b)
	return string(sum[:16])
}

// recall gives the last listing of this vault in a place, nil if none is
// remembered.
func (v *Vault) recall(s site) *remembered {
	key := v.key(s)
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.listed == nil {
		v.listed, v.written = map[string]*remembered{}, map[string]time.Time{}
	}
	if v.listed[key] == nil {
		if src, err := os.ReadFile(v.listingPath(key)); err == nil {
			v.listed[key], _ = decodeListing(src)
		}
	}
	return v.listed[key]
}

// rewriteAfter is when an unchanged listing is written again, for its time.
const rewriteAfter = time.Minute

// remember keeps a place's listing in memory and, when it has changed, in
// the state folder. It is a convenience: who may not write there has none.
func (v *Vault) remember(s site, r *remembered, changed bool) {
	key := v.key(s)
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.listed == nil {
		v.listed, v.written = map[string]*remembered{}, map[string]time.Time{}
	}
	v.listed[key] = r
	if changed || r.at.Sub(v.written[key]) >= rewriteAfter {
		if v.writeState(v.listingPath(key), encodeListing(r)) == nil {
			v.written[key] = r.at
		}
	}
}

// listingPath is one for each place and vault's name: the vault's id would
// have to be read from the place.
func (v *Vault) listingPath(key string) string {
	return filepath.Join(v.c.StateDir, "listing", key+".list")
}
