package vault

import (
	"context"
	"crypto/sha256"
	varint "encoding/binary"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"time"

	"pgvault/fault"
	"pgvault/vault/archive"
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
	rows    []row  // as listed, newest first
}

// row is an archive with the print of its folder when it was described;
// empty: describe it again.
type row struct {
	Archive
	print string
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
	l := Listing{At: r.at, Cached: cached, Archives: make([]Archive, len(r.rows))}
	for i := range r.rows {
		l.Archives[i] = r.rows[i].Archive
	}
	return l
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
	now := &remembered{at: v.now(), vaultID: vf.ID, trust: trust.Digest(), rows: make([]row, len(folders))}
	known := map[string]*row{}
	if old != nil && old.vaultID == now.vaultID && old.trust == now.trust {
		for i := range old.rows {
			known[old.rows[i].Database+"/"+old.rows[i].ID] = &old.rows[i]
		}
	}
	fresh := make([]bool, len(folders)) // described now
	err = parallel(ctx, len(folders), func(ctx context.Context, i int) error {
		f := folders[i]
		now.rows[i].print = f.print()
		if was := known[f.database+"/"+f.id]; was != nil && was.print != "" && was.print == now.rows[i].print {
			now.rows[i] = *was
			return nil
		}
		fresh[i] = true
		a, _, err := v.describe(ctx, place, vf, trust, f)
		now.rows[i].Archive = a
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(now.rows, func(a, b row) int {
		switch {
		case newer(a.Archive, b.Archive):
			return -1
		case newer(b.Archive, a.Archive):
			return 1
		}
		return 0
	})
	changed := old == nil || len(old.rows) != len(now.rows) || slices.Contains(fresh, true)
	v.remember(now, changed)
	return now, nil
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
	where := v.c.PlaceName
	if v.c.Place != nil {
		where = v.c.Place.String()
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
