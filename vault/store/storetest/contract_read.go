package storetest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"pgvault/vault/store"
)

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
