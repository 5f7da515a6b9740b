// Package storetest is the contract of store.Store as tests: every kind of
// place runs [Run] against the real thing.
package storetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
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

func testEmpty(t *testing.T, s store.Store) {
	wantNames(t, s, "")
	wantNames(t, s, "main/")
	wantNames(t, s, "main/db/20261122T213000Z-7f3a/")
}

func testWriteThenRead(t *testing.T, s store.Store) {
	for i, n := range []int{0, 1, 4095, 64 << 10, 1<<20 - 1, 1 << 20, 1<<20 + 1, 3<<20 + 17} {
		name := fmt.Sprintf("main/db/a%d/part", i)
		data := Bytes(n, uint64(i))
		Put(t, s, name, data)
		if got := Get(t, s, name); !bytes.Equal(got, data) {
			t.Fatalf("%d bytes written, %d other bytes read", n, len(got))
		}
		info, err := s.Stat(t.Context(), name)
		if err != nil || info != (store.Info{Name: name, Size: int64(n)}) {
			t.Fatalf("Stat = %+v, %v", info, err)
		}
		list, err := s.List(t.Context(), fmt.Sprintf("main/db/a%d/", i))
		if err != nil || len(list) != 1 || list[0].Name != name || list[0].Size != int64(n) {
			t.Fatalf("List = %+v, %v", list, err)
		}
	}
}

func testInvisible(t *testing.T, s store.Store) {
	w := create(t, s, "main/db/a/part")
	wantAbsent(t, s, "main/db/a/part")
	for range 40 {
		if _, err := w.Write(Bytes(64<<10, 1)); err != nil {
			t.Fatal(err)
		}
	}
	wantAbsent(t, s, "main/db/a/part")
	wantNames(t, s, "")
	if err := w.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantNames(t, s, "", "main/db/a/part")
}

func testNoClobber(t *testing.T, s store.Store) {
	first := Bytes(100_000, 1)
	Put(t, s, "main/x", first)
	for _, other := range [][]byte{nil, Bytes(10, 2), Bytes(2<<20, 3)} {
		w := create(t, s, "main/x")
		if _, err := w.Write(other); err != nil {
			t.Fatal(err)
		}
		if err := w.Commit(t.Context()); !errors.Is(err, store.ErrExist) {
			t.Fatalf("second Commit: %v, want ErrExist", err)
		}
		if !bytes.Equal(Get(t, s, "main/x"), first) {
			t.Fatal("the first object's bytes were changed")
		}
	}
	wantNames(t, s, "", "main/x")
}

func testConcurrentCreate(t *testing.T, s store.Store) {
	const writers, rounds = 8, 10
	for round := range rounds {
		name := fmt.Sprintf("main/seq/%d", round)
		type result struct {
			id  int
			err error
		}
		start, results := make(chan struct{}), make(chan result)
		for id := range writers {
			w := create(t, s, name)
			if _, err := w.Write(Bytes(200_000, uint64(id))); err != nil {
				t.Fatal(err)
			}
			go func() {
				<-start
				results <- result{id, w.Commit(t.Context())}
			}()
		}
		close(start)
		winner := -1
		for range writers {
			r := <-results
			switch {
			case r.err == nil && winner >= 0:
				t.Errorf("round %d: both %d and %d won", round, winner, r.id)
			case r.err == nil:
				winner = r.id
			case !errors.Is(r.err, store.ErrExist):
				t.Errorf("round %d: a loser got %v, want ErrExist", round, r.err)
			}
		}
		if winner < 0 {
			t.Fatalf("round %d: nobody won", round)
		}
		if !bytes.Equal(Get(t, s, name), Bytes(200_000, uint64(winner))) {
			t.Fatalf("round %d: not the winner's bytes", round)
		}
	}
	if got := len(Names(t, s, "")); got != rounds {
		t.Fatalf("%d objects, want %d", got, rounds)
	}
}

func testAbort(t *testing.T, s store.Store) {
	for _, n := range []int{0, 10, 3 << 20} {
		w := create(t, s, "main/db/a/part")
		if _, err := w.Write(Bytes(n, 1)); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := w.Abort(); err != nil {
				t.Fatalf("Abort: %v", err)
			}
		}
		wantAbsent(t, s, "main/db/a/part")
	}
	Put(t, s, "main/db/a/part", []byte("after the aborts"))
	wantNames(t, s, "", "main/db/a/part")
}

func testAfterTheEnd(t *testing.T, s store.Store) {
	w := create(t, s, "main/x")
	if _, err := w.Write([]byte("one")); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.Abort(); err != nil {
		t.Fatalf("Abort after Commit: %v", err)
	}
	if _, err := w.Write([]byte("two")); !errors.Is(err, store.ErrClosed) {
		t.Fatalf("Write after Commit: %v, want ErrClosed", err)
	}
	if err := w.Commit(t.Context()); !errors.Is(err, store.ErrClosed) {
		t.Fatalf("second Commit: %v, want ErrClosed", err)
	}
	if got := string(Get(t, s, "main/x")); got != "one" {
		t.Fatalf("the object became %q", got)
	}
	w = create(t, s, "main/y")
	if err := w.Abort(); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(t.Context()); !errors.Is(err, store.ErrClosed) {
		t.Fatalf("Commit after Abort: %v, want ErrClosed", err)
	}
	wantAbsent(t, s, "main/y")
}

func testCancel(t *testing.T, s store.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w, err := s.Create(ctx, "main/x")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for i := range 100 {
		if i == 50 {
			cancel()
		}
		_, err = w.Write(Bytes(64<<10, 1))
		if (err != nil) != (i >= 50) {
			t.Fatalf("piece %d, cancelled before piece 50: %v", i, err)
		}
	}
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("Write: %v, want context.Canceled", err)
	}
	if err := w.Commit(context.WithoutCancel(ctx)); !errors.Is(err, context.Canceled) {
		t.Fatalf("Commit: %v, want context.Canceled", err)
	}
	wantAbsent(t, s, "main/x")

	w = create(t, s, "main/y") // cancelled at Commit only
	if _, err := w.Write([]byte("y")); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("Commit with a cancelled context: %v", err)
	}
	wantAbsent(t, s, "main/y")
}

func testCancelledContext(t *testing.T, s store.Store) {
	Put(t, s, "main/x", Bytes(5<<20, 1))
	ctx, cancel := context.WithCancel(t.Context())
	r, err := s.Open(ctx, "main/x", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.ReadFull(r, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if n, err := io.Copy(io.Discard, r); !errors.Is(err, context.Canceled) {
		t.Errorf("reading on after cancel: %d bytes, %v", n, err)
	}
	for what, call := range map[string]func() error{
		"List":   func() error { _, err := s.List(ctx, ""); return err },
		"Open":   func() error { _, err := s.Open(ctx, "main/x", 0, -1); return err },
		"Create": func() error { _, err := s.Create(ctx, "main/y"); return err },
		"Stat":   func() error { _, err := s.Stat(ctx, "main/x"); return err },
		"Remove": func() error { return s.Remove(ctx, "main/x") },
		"Free":   func() error { _, err := s.Free(ctx); return err },
	} {
		if err := call(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s with a cancelled context: %v", what, err)
		}
	}
	wantNames(t, s, "", "main/x")
}

func testRanges(t *testing.T, s store.Store) {
	data := Bytes(300_000, 1)
	Put(t, s, "main/x", data)
	size := int64(len(data))
	for _, c := range []struct{ offset, length int64 }{
		{0, -1}, {0, 0}, {0, 1}, {0, size}, {0, size + 1}, {1, -1}, {1, 1}, {65535, 65538},
		{size - 1, 1}, {size - 1, -1}, {size - 1, 100}, {size, -1}, {size, 10}, {size + 1, -1}, {size + 1<<40, 1},
		{0, 1<<63 - 1}, {size - 5, 1<<63 - 1}, {1<<63 - 1, 1<<63 - 1},
	} {
		from := min(c.offset, size)
		to := size
		if c.length >= 0 && c.length < size-from {
			to = from + c.length
		}
		if got := getRange(t, s, "main/x", c.offset, c.length); !bytes.Equal(got, data[from:to]) {
			t.Errorf("offset %d length %d: %d bytes, want %d (or other bytes)", c.offset, c.length, len(got), to-from)
		}
	}
	if r, err := s.Open(t.Context(), "main/x", -1, 5); err == nil {
		t.Errorf("a negative offset is accepted: %v", r.Close())
	}
}

func testReaderAt(t *testing.T, s store.Store) {
	data := Bytes(1_000_000, 1)
	Put(t, s, "main/x", data)
	r := store.NewReaderAt(t.Context(), s, "main/x", int64(len(data)))
	done := make(chan error)
	for worker := range 4 {
		go func() {
			rnd := rand.New(rand.NewPCG(7, uint64(worker)))
			for range 50 {
				off, n := rnd.IntN(len(data)+10), rnd.IntN(100_000)
				p := make([]byte, n)
				got, err := r.ReadAt(p, int64(off))
				want := data[min(off, len(data)):min(off+n, len(data))]
				if !bytes.Equal(p[:got], want) || (got < n) != errors.Is(err, io.EOF) {
					done <- fmt.Errorf("ReadAt(%d bytes, %d) = %d, %v", n, off, got, err)
					return
				}
			}
			done <- nil
		}()
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	long := store.NewReaderAt(t.Context(), s, "main/x", int64(len(data))+10)
	if n, err := long.ReadAt(make([]byte, 20), int64(len(data))-5); n != 5 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("an object shorter than told: %d, %v", n, err)
	}
	if err := long.Close(); err != nil {
		t.Error(err)
	}
	gone := store.NewReaderAt(t.Context(), s, "main/y", 10)
	if _, err := gone.ReadAt(make([]byte, 1), 0); !errors.Is(err, store.ErrNotExist) {
		t.Errorf("a missing object: %v", err)
	}
}

func testBig(t *testing.T, s store.Store) {
	data := Bytes(20<<20+123, 1)
	Put(t, s, "main/db/a/main.dump.zst.age", data)
	r, err := s.Open(t.Context(), "main/db/a/main.dump.zst.age", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		t.Fatal(err)
	}
	if want := sha256.Sum256(data); !bytes.Equal(h.Sum(nil), want[:]) {
		t.Fatal("20 MB came back changed")
	}
	if got := getRange(t, s, "main/db/a/main.dump.zst.age", 17<<20, 1<<20); !bytes.Equal(got, data[17<<20:18<<20]) {
		t.Fatal("a range of 1 MB came back changed")
	}
}

func testNames(t *testing.T, s store.Store) {
	names := []string{
		"x", "a.b", "-rf", "main/" + strings.Repeat("%2F", 66) + "xx/id/part", // an element of 200 bytes
		"main/" + strings.Repeat("n", 255) + "/part", "main/db/.hidden", "main/db/...", "main/a b/c+d&e=f?g#h",
		"main/$(reboot)`x`;'\"*", "main/ümlaut/日本語/🐘", "main/db/partial-x", "main/CASE", "main/case", "main/100%",
	}
	for i, n := range names {
		Put(t, s, n, Bytes(100, uint64(i)))
	}
	for i, n := range names {
		if !bytes.Equal(Get(t, s, n), Bytes(100, uint64(i))) {
			t.Errorf("%q came back changed", n)
		}
	}
	slices.Sort(names)
	wantNames(t, s, "", names...)
}

func testBadNames(t *testing.T, s store.Store) {
	for _, n := range []string{
		"", "/", "/etc/passwd", "a/", "a//b", "..", "../x", "a/../b", "a/..", ".", "./a", "a/./b", "a\x00b", "a\nb",
		"a\x1bb", "a\x7fb", "a\u0085b", `a\b`, "a\xffb", strings.Repeat("n", 256), strings.Repeat("n/", 512) + "n",
		store.TempPrefix + "x", "a/" + store.TempPrefix, "a/" + store.TempPrefix + "x/b",
	} {
		if store.ValidName(n) == nil {
			t.Errorf("ValidName(%q) = nil", n)
		}
		if _, err := s.Open(t.Context(), n, 0, -1); err == nil {
			t.Errorf("Open(%q) is accepted", n)
		}
		if _, err := s.Stat(t.Context(), n); err == nil {
			t.Errorf("Stat(%q) is accepted", n)
		}
		if err := s.Remove(t.Context(), n); err == nil {
			t.Errorf("Remove(%q) is accepted", n)
		}
		if w, err := s.Create(t.Context(), n); err == nil {
			t.Errorf("Create(%q) is accepted; %v", n, w.Abort())
		}
	}
	for _, p := range []string{"a", "/", "../", "a//", "/a/", "a/../", "\x00/"} {
		if _, err := s.List(t.Context(), p); err == nil {
			t.Errorf("List(%q) is accepted", p)
		}
	}
	wantNames(t, s, "")
}

func testListingOrder(t *testing.T, s store.Store) {
	names := []string{"a-b/c", "a.b", "a/b", "a/b-c", "a/ba/x", "a0", "ab", "b/1/x", "b/10/x", "b/2/x", "Z", "a/B"}
	for _, n := range names {
		Put(t, s, n, []byte(n))
	}
	sorted := slices.Sorted(slices.Values(names))
	wantNames(t, s, "", sorted...)
	wantNames(t, s, "a/", "a/B", "a/b", "a/b-c", "a/ba/x")
	wantNames(t, s, "b/1/", "b/1/x")
	wantNames(t, s, "a/b/") // the name of an object, not of a folder
	wantNames(t, s, "c/")
	list, err := s.List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range list {
		if i.Size != int64(len(i.Name)) {
			t.Errorf("%s: size %d, want %d", i.Name, i.Size, len(i.Name))
		}
	}
}

func testThousand(t *testing.T, s store.Store) {
	want := make([]string, 1001) // one more than a page of S3 holds
	todo, done := make(chan string), make(chan error)
	for range 8 {
		go func() {
			for n := range todo {
				w, err := s.Create(t.Context(), n)
				if err == nil {
					_, err = w.Write([]byte(n))
					err = errors.Join(err, w.Commit(t.Context()), w.Abort())
				}
				if err != nil {
					done <- fmt.Errorf("%s: %w", n, err)
					return
				}
			}
			done <- nil
		}()
	}
	go func() {
		defer close(todo)
		for i := range want {
			select {
			case todo <- fmt.Sprintf("main/db%d/%04d/part", i%3, i):
			case <-t.Context().Done():
				return
			}
		}
	}()
	for range 8 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	for i := range want {
		want[i] = fmt.Sprintf("main/db%d/%04d/part", i%3, i)
	}
	slices.Sort(want)
	wantNames(t, s, "", want...)
}

func testMissing(t *testing.T, s store.Store) {
	Put(t, s, "main/x", nil)
	for _, n := range []string{"y", "main", "main/y", "main/x/y", "other/x"} {
		wantAbsent(t, s, n)
		if err := s.Remove(t.Context(), n); !errors.Is(err, store.ErrNotExist) {
			t.Errorf("Remove(%q): %v, want ErrNotExist", n, err)
		}
	}
	wantNames(t, s, "", "main/x")
}

func testRemove(t *testing.T, s store.Store) {
	for _, n := range []string{"main/db/a/1", "main/db/a/2", "main/db/b/1", "main/vault.json"} {
		Put(t, s, n, []byte(n))
	}
	for _, n := range []string{"main/db/a/1", "main/db/a/2"} {
		if err := s.Remove(t.Context(), n); err != nil {
			t.Fatal(err)
		}
		wantAbsent(t, s, n)
	}
	wantNames(t, s, "", "main/db/b/1", "main/vault.json")
	Put(t, s, "main/db/a/1", []byte("again"))
	if got := string(Get(t, s, "main/db/a/1")); got != "again" {
		t.Fatalf("after Remove and Create: %q", got)
	}

	w := create(t, s, "main/db/c/2") // its folder may become empty meanwhile
	Put(t, s, "main/db/c/1", nil)
	if err := s.Remove(t.Context(), "main/db/c/1"); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(t.Context()); err != nil {
		t.Fatalf("Commit after the last neighbour was removed: %v", err)
	}
	wantNames(t, s, "main/db/c/", "main/db/c/2")
}

func testReadAllLimit(t *testing.T, s store.Store) {
	data := Bytes(1000, 1)
	Put(t, s, "main/x", data)
	for _, limit := range []int64{1000, 1001, 1 << 40} {
		if got, err := store.ReadAll(t.Context(), s, "main/x", limit); err != nil || !bytes.Equal(got, data) {
			t.Errorf("limit %d: %d bytes, %v", limit, len(got), err)
		}
	}
	for _, limit := range []int64{0, 1, 999} {
		if _, err := store.ReadAll(t.Context(), s, "main/x", limit); !errors.Is(err, store.ErrTooBig) {
			t.Errorf("limit %d: %v, want ErrTooBig", limit, err)
		}
	}
	if _, err := store.ReadAll(t.Context(), s, "main/y", 10); !errors.Is(err, store.ErrNotExist) {
		t.Errorf("a missing object: %v", err)
	}
}

func testFreeAndString(t *testing.T, s store.Store) {
	if n, err := s.Free(t.Context()); err != nil || n < -1 || n == 0 {
		t.Errorf("Free = %d, %v", n, err)
	}
	if !strings.Contains(s.String(), ":") {
		t.Errorf("String() = %q is no URL", s.String())
	}
}

// testStamps: a listing again gives the same stamps, and an object that was
// replaced, be it by the same bytes, has another one or none.
func testStamps(t *testing.T, s store.Store) {
	Put(t, s, "main/a", []byte("one"))
	Put(t, s, "main/b", []byte("two"))
	stamps := func() map[string]string {
		t.Helper()
		list, err := s.List(t.Context(), "")
		if err != nil || len(list) != 2 {
			t.Fatalf("%v, %v", list, err)
		}
		return map[string]string{list[0].Name: list[0].Stamp, list[1].Name: list[1].Stamp}
	}
	before := stamps()
	if err := s.Remove(t.Context(), "main/a"); err != nil {
		t.Fatal(err)
	}
	Put(t, s, "main/a", []byte("one"))
	after := stamps()
	if after["main/a"] != "" && after["main/a"] == before["main/a"] {
		t.Error("another object of the same name has the same stamp")
	}
	if before["main/b"] != "" && after["main/b"] != "" && after["main/b"] != before["main/b"] {
		t.Error("an object that nobody touched has another stamp")
	}
}
