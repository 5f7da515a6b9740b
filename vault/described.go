package vault

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"pgvault/vault/archive"
	"pgvault/vault/store"
)

// atOnce is how many archives are described together on a disk: from a few
// hundred signatures on, a larger batch gains nothing. Over a network it is
// farAtOnce, by farWorkers: there the way to and fro counts.
const (
	atOnce     = 256
	farAtOnce  = 8
	farWorkers = 16
)

// describeAll describes the archives with these numbers; at gives a number's
// folder and where its description goes.
func (v *Vault) describeAll(ctx context.Context, s site, vf *archive.VaultFile, trust *archive.Trust, numbers []int, at func(i int) (*folder, *row)) error {
	if len(numbers) == 0 {
		return nil
	}
	place, size, width := s.Store, atOnce, store.Processors
	if !s.near() {
		size, width = farAtOnce, farWorkers
	}
	if !store.Offers[store.FolderReader](s.Store) {
		place = farReader{s.Store}
	}
	locks := locksOf(ctx, s.Store)
	some := slices.Collect(slices.Chunk(numbers, size))
	return parallel(ctx, width, len(some), func(ctx context.Context, n int) error {
		return v.describeSome(ctx, place, vf, trust, some[n], at, locks)
	})
}

// describeSome reads what is needed of all of them before it checks their
// signatures, which is faster done at once.
func (v *Vault) describeSome(ctx context.Context, place store.Store, vf *archive.VaultFile, trust *archive.Trust, numbers []int, at func(i int) (*folder, *row), locks locker) error {
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
			signed = append(signed, archive.SignedIn(ctx, read[n], where, f.names(v.c.Name))...)
		}
	}
	trust = trust.Knowing(signed, rand.Reader)
	for n, i := range numbers {
		f, r := at(i)
		a, _, err := v.describe(ctx, read[n], vf, trust, *f)
		if err != nil {
			return err
		}
		a.locked = locks(ctx, archive.Folder(v.c.Name, f.database, f.id)+archive.ManifestName)
		r.Archive, r.done = a, true
	}
	return nil
}

// locker tells before when an object cannot be removed; the zero time where
// it can be, or that is not known.
type locker func(ctx context.Context, name string) time.Time

// locksOf asks the place whether it locks objects at all, so that no object
// is asked for in vain.
func locksOf(ctx context.Context, place store.Store) locker {
	retained, ok := store.As[store.Retained](place)
	promising, tells := store.As[store.Promising](place)
	if ok && tells {
		p, err := promising.Promises(ctx)
		ok = err == nil && p.Lock != ""
	}
	if !ok {
		return func(context.Context, string) time.Time { return time.Time{} }
	}
	return func(ctx context.Context, name string) time.Time {
		until, err := retained.LockedUntil(ctx, name)
		if err != nil {
			return time.Time{}
		}
		return until
	}
}

// farReader reads the small objects of a folder over a network at once.
type farReader struct{ store.Store }

// Unwrap lets optional interfaces be found.
func (r farReader) Unwrap() store.Store { return r.Store }

// ReadFolder implements store.FolderReader.
func (r farReader) ReadFolder(ctx context.Context, folder string, want []store.Info) (map[string][]byte, error) {
	var mu sync.Mutex
	out := make(map[string][]byte, len(want))
	err := parallel(ctx, len(want), len(want), func(ctx context.Context, i int) error {
		o, err := r.Store.Open(ctx, folder+want[i].Name, 0, want[i].Size+1)
		if errors.Is(err, store.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		data, err := io.ReadAll(io.LimitReader(o, want[i].Size+1))
		if err = errors.Join(err, o.Close()); err != nil {
			return err
		}
		if int64(len(data)) == want[i].Size {
			mu.Lock()
			out[want[i].Name] = data
			mu.Unlock()
		}
		return nil
	})
	return out, err
}
