// Package storetest is the contract of store.Store as tests: every kind of
// place runs [Run] against the real thing.
package storetest

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"pgvault/vault/store"
)

// Run runs the suite. open gives a place that holds nothing; it is called
// once per test and cleans up through t.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, s store.Store)
	}{
		{"Empty", testEmpty},
		{"WriteThenRead", testWriteThenRead},
		{"InvisibleBeforeCommit", testInvisible},
		{"NoClobber", testNoClobber},
		{"ConcurrentCreate", testConcurrentCreate},
		{"Abort", testAbort},
		{"AfterTheEnd", testAfterTheEnd},
		{"Cancel", testCancel},
		{"CancelledContext", testCancelledContext},
		{"Ranges", testRanges},
		{"ReaderAt", testReaderAt},
		{"Big", testBig},
		{"Names", testNames},
		{"BadNames", testBadNames},
		{"ListingOrder", testListingOrder},
		{"Thousand", testThousand},
		{"Missing", testMissing},
		{"Remove", testRemove},
		{"ReadAllLimit", testReadAllLimit},
		{"FreeAndString", testFreeAndString},
		{"Stamps", testStamps},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
}

// Bytes gives n bytes that depend on seed alone.
func Bytes(n int, seed uint64) []byte {
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(b) // never fails
	return b
}

// Put publishes data under name, in pieces of 64 KiB as a backup does.
func Put(t *testing.T, s store.Store, name string, data []byte) {
	t.Helper()
	w := create(t, s, name)
	for piece := range slices.Chunk(data, 64<<10) {
		if n, err := w.Write(piece); err != nil || n != len(piece) {
			t.Fatalf("writing %s: %d of %d bytes, %v", name, n, len(piece), err)
		}
	}
	if err := w.Commit(t.Context()); err != nil {
		t.Fatalf("committing %s: %v", name, err)
	}
}

// Get reads a whole object.
func Get(t *testing.T, s store.Store, name string) []byte {
	t.Helper()
	return getRange(t, s, name, 0, -1)
}

// Names gives the names in a listing.
func Names(t *testing.T, s store.Store, prefix string) []string {
	t.Helper()
	list, err := s.List(t.Context(), prefix)
	if err != nil {
		t.Fatalf("listing %q: %v", prefix, err)
	}
	names := []string{}
	for _, i := range list {
		names = append(names, i.Name)
	}
	return names
}

func create(t *testing.T, s store.Store, name string) store.Writer {
	t.Helper()
	w, err := s.Create(t.Context(), name)
	if err != nil {
		t.Fatalf("creating %s: %v", name, err)
	}
	t.Cleanup(func() {
		if err := w.Abort(); err != nil {
			t.Errorf("abort after %s: %v", name, err)
		}
	})
	return w
}

func getRange(t *testing.T, s store.Store, name string, offset, length int64) []byte {
	t.Helper()
	r, err := s.Open(t.Context(), name, offset, length)
	if err != nil {
		t.Fatalf("opening %s at %d: %v", name, offset, err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("reading %s at %d: %v", name, offset, err)
	}
	if err := r.Close(); err != nil {
		t.Fatalf("closing %s: %v", name, err)
	}
	return b
}

func wantNames(t *testing.T, s store.Store, prefix string, want ...string) {
	t.Helper()
	if want == nil {
		want = []string{}
	}
	if got := Names(t, s, prefix); !slices.Equal(got, want) {
		t.Fatalf("List(%q) = %q, want %q", prefix, got, want)
	}
}

// wantAbsent checks that nothing is published under name.
func wantAbsent(t *testing.T, s store.Store, name string) {
	t.Helper()
	if _, err := s.Stat(context.Background(), name); !errors.Is(err, store.ErrNotExist) {
		t.Fatalf("Stat(%q): %v, want ErrNotExist", name, err)
	}
	if r, err := s.Open(context.Background(), name, 0, -1); !errors.Is(err, store.ErrNotExist) {
		if err == nil {
			_ = r.Close() // the test has failed already
		}
		t.Fatalf("Open(%q): %v, want ErrNotExist", name, err)
	}
	if slices.Contains(Names(t, s, ""), name) {
		t.Fatalf("%q is listed", name)
	}
}
