package vault

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	varint "encoding/binary"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"

	"pgvault/fault"
	"pgvault/vault/archive"
	"pgvault/vault/store"
)

// A listing is remembered in the state folder, so that a screen has its
// first frame before the place was asked, and so that the next listing does
// not check again what has not changed.
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
	at      time.Time
	vaultID string
	trust   string // digest of the trusted keys

	archives []Archive // newest first
	prints   []string  // of each archive's folder when it was described; empty: describe it again
}

// Listing gives the archives, newest first: with fresh false at once, as
// they were when last listed, where that is remembered. Errors are those of
// List.
func (v *Vault) Listing(ctx context.Context, fresh bool) (Listing, error) {
	if !fresh {
		if r := v.recall(); r != nil {
			return r.listing(true), nil
		}
	}
	r, err := v.refresh(ctx)
	if err != nil {
		return Listing{}, err
	}
	return r.listing(false), nil
}

func (r *remembered) listing(cached bool) Listing {
	return Listing{At: r.at, Cached: cached, Archives: slices.Clone(r.archives)}
}

// refresh lists the place, describes what is new or has changed, and
// remembers the result.
func (v *Vault) refresh(ctx context.Context) (*remembered, error) {
	place, vf, trust, err := v.open(ctx)
	if err != nil {
		return nil, err
	}
	folders, err := v.folders(ctx, place, "")
	if err != nil {
		return nil, err
	}
	old := v.recall()
	now := &remembered{at: v.now(), vaultID: vf.ID, trust: trust.Digest()}
	known := map[string]int{} // where an archive stands in old
	if old != nil && old.vaultID == now.vaultID && old.trust == now.trust {
		for i := range old.archives {
			known[old.archives[i].Database+"/"+old.archives[i].ID] = i
		}
	}
	rows := make([]row, len(folders))
	var unknown []int
	for i, f := range folders {
		rows[i].print = f.print()
		if was, ok := known[f.database+"/"+f.id]; ok && rows[i].print != "" && old.prints[was] == rows[i].print {
			rows[i].Archive = old.archives[was]
			continue
		}
		rows[i].fresh = true
		unknown = append(unknown, i)
	}
	some := slices.Collect(slices.Chunk(unknown, atOnce))
	err = parallel(ctx, len(some), func(ctx context.Context, n int) error {
		return v.describeSome(ctx, place, vf, trust, some[n], func(i int) (*folder, *Archive) { return &folders[i], &rows[i].Archive })
	})
	if err != nil {
		return nil, err
	}
	sort.SliceStable(rows, func(i, j int) bool { return newer(rows[i].Archive, rows[j].Archive) })
	changed := old == nil || len(old.archives) != len(rows)
	for _, r := range rows {
		now.archives, now.prints = append(now.archives, r.Archive), append(now.prints, r.print)
		changed = changed || r.fresh
	}
	v.remember(now, changed)
	return now, nil
}

// atOnce is how many archives are described together: from a few hundred
// signatures on, a larger batch gains nothing.
const atOnce = 256

// describeSome describes the archives with these numbers; at gives a number's
// folder and where its description goes. It reads what is needed of all of
// them before it checks their signatures, which is faster done at once.
func (v *Vault) describeSome(ctx context.Context, place store.Store, vf *archive.VaultFile, trust *archive.Trust, numbers []int, at func(i int) (*folder, *Archive)) error {
	read := make([]store.Store, len(numbers))
	var signed []archive.Signed
	for n, i := range numbers {
		f, _ := at(i)
		var err error
		where := archive.Folder(v.c.Name, f.database, f.id)
		if read[n], err = store.WithFolder(ctx, place, where, f.small(), archive.MaxManifest+1); err != nil {
			return err
		}
		if read[n] != place { // else it would be read twice
			signed = append(signed, archive.SignedIn(ctx, read[n], where, f.names)...)
		}
	}
	trust = trust.Knowing(signed, rand.Reader)
	for n, i := range numbers {
		f, a := at(i)
		var err error
		if *a, _, err = v.describe(ctx, read[n], vf, trust, *f); err != nil {
			return err
		}
	}
	return nil
}

// row is one archive of a listing that is being made.
type row struct {
	Archive
	print string
	fresh bool // described now
}

// small is what describing the archive reads.
func (f folder) small() []store.Info {
	out := make([]store.Info, 0, len(f.objects))
	for n, o := range f.objects {
		if n == archive.ManifestName || n == archive.SignatureName || archive.IsProof(strings.TrimSuffix(n, ".sig")) {
			out = append(out, store.Info{Name: n, Size: o.Size})
		}
	}
	return out
}

// print is one short word for names, sizes and stamps of all objects in the
// folder; empty where one has no stamp.
func (f folder) print() string {
	names := make([]string, 0, len(f.objects))
	for n := range f.objects {
		names = append(names, n)
	}
	slices.Sort(names)
	b := make([]byte, 0, 64*len(names))
	for _, n := range names {
		o := f.objects[n]
		if o.Stamp == "" {
			return ""
		}
		for _, s := range []string{n, o.Stamp} {
			b = append(varint.AppendUvarint(b, uint64(len(s))), s...)
		}
		b = varint.AppendVarint(b, o.Size)
	}
	sum := sha256.Sum256(b)
	return string(sum[:16])
}

// recall gives the last listing of this vault in this place, nil if none is
// remembered.
func (v *Vault) recall() *remembered {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.listed == nil {
		if src, err := os.ReadFile(v.listingPath()); err == nil {
			v.listed, _ = decodeListing(src)
		}
	}
	return v.listed
}

// rewriteAfter is when an unchanged listing is written again, for its time.
const rewriteAfter = time.Minute

// remember keeps a listing in memory and, when it has changed, in the state
// folder. It is a convenience: who may not write there has none.
func (v *Vault) remember(r *remembered, changed bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.listed = r
	if changed || r.at.Sub(v.written) >= rewriteAfter {
		if v.writeState(v.listingPath(), encodeListing(r)) == nil {
			v.written = r.at
		}
	}
}

// listingPath is one for each place and vault's name: the vault's id would
// have to be read from the place.
func (v *Vault) listingPath() string {
	where := v.homeName()
	if place, err := v.place(); err == nil {
		where = place.String()
	}
	sum := sha256.Sum256([]byte(where + "\n" + v.c.Name))
	return filepath.Join(v.c.StateDir, "listing", hex.EncodeToString(sum[:8])+".list")
}

// knownVault is the vault file, or where the place does not answer, what is
// remembered of it; nil when nothing is known.
func (v *Vault) knownVault(ctx context.Context) *archive.VaultFile {
	vf, err := v.vaultFile(ctx, nil)
	if err == nil {
		return vf
	}
	if r := v.recall(); r != nil && fault.CodeOf(err) != fault.NoVault {
		return &archive.VaultFile{ID: r.vaultID, Name: v.c.Name}
	}
	return nil
}
