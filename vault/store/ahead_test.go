package store_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"pgvault/vault/store"
)

// one is a store of one object that counts what is asked of it.
type one struct {
	store.Store
	data   []byte
	opens  atomic.Int64
	read   atomic.Int64
	open   atomic.Int64 // readers that are not closed
	broken atomic.Bool  // readers fail after 1000 bytes
}

var errBroken = errors.New("broken")

func (o *one) String() string { return "one" }

func (o *one) Open(_ context.Context, _ string, offset, length int64) (io.ReadCloser, error) {
	o.opens.Add(1)
	o.open.Add(1)
	var r io.Reader = bytes.NewReader(o.data[offset : offset+length])
	if o.broken.Load() {
		r = io.MultiReader(io.LimitReader(r, 1000), failing{})
	}
	return &oneReader{r, o}, nil
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errBroken }

type oneReader struct {
	io.Reader
	o *one
}

func (r *oneReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.o.read.Add(int64(n))
	return n, err
}

func (r *oneReader) Close() error { r.o.open.Add(-1); return nil }

func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// TestExpect: pieces of a range that is read in order come from one Open, also
// where the reader comes back a little, and nothing beyond the range is read.
func TestExpect(t *testing.T) {
	o := &one{data: noise(3 << 20)}
	r := store.NewReaderAt(t.Context(), o, "x", int64(len(o.data)))
	defer r.Close()
	const from, to, piece = 100_000, 2_900_000, 65552
	forget := r.Expect(from, to)
	p := make([]byte, piece)
	for off := int64(from); off < to; off += piece - 7 { // each piece begins with the end of the one before
		want := o.data[off:min(off+piece, to)]
		if n, err := r.ReadAt(p[:len(want)], off); err != nil || !bytes.Equal(p[:n], want) {
			t.Fatalf("at %d: %d bytes, %v", off, n, err)
		}
	}
	forget()
	if o.opens.Load() != 1 || o.read.Load() != to-from || o.open.Load() != 0 {
		t.Errorf("%d times opened, %d bytes of %d read, %d left open", o.opens.Load(), o.read.Load(), to-from, o.open.Load())
	}
	if n, err := r.ReadAt(p, from); n != piece || err != nil || !bytes.Equal(p, o.data[from:from+piece]) {
		t.Errorf("after it was forgotten: %d, %v", n, err)
	}
}

// TestExpectSeveral: readers of ranges beside each other do not disturb each
// other, and what no range has is read all the same.
func TestExpectSeveral(t *testing.T) {
	o := &one{data: noise(4 << 20)}
	r := store.NewReaderAt(t.Context(), o, "x", int64(len(o.data)))
	var wg sync.WaitGroup
	const each = 1 << 20
	for i := range int64(4) {
		wg.Go(func() {
			forget := r.Expect(i*each, min((i+1)*each+5000, 4*each)) // they overlap a little
			defer forget()
			p := make([]byte, 10_000)
			for off := i * each; off < (i+1)*each; off += int64(len(p)) {
				n := min(int64(len(p)), (i+1)*each-off)
				if _, err := r.ReadAt(p[:n], off); err != nil || !bytes.Equal(p[:n], o.data[off:off+n]) {
					t.Errorf("at %d: %v", off, err)
					return
				}
				if _, err := r.ReadAt(p[:100], 4*each-100); err != nil || !bytes.Equal(p[:100], o.data[4*each-100:]) {
					t.Errorf("the end: %v", err)
				}
			}
		})
	}
	wg.Wait()
	if err := r.Close(); err != nil || o.open.Load() != 0 {
		t.Errorf("%v, %d readers left open", err, o.open.Load())
	}
}

// TestExpectFails: an error comes through, and the next read begins anew.
func TestExpectFails(t *testing.T) {
	o := &one{data: noise(100_000)}
	r := store.NewReaderAt(t.Context(), o, "x", int64(len(o.data)))
	defer r.Close()
	defer r.Expect(0, 100_000)()
	p := make([]byte, 5000)
	o.broken.Store(true)
	if n, err := r.ReadAt(p, 0); !errors.Is(err, errBroken) || n != 1000 {
		t.Fatalf("%d, %v", n, err)
	}
	o.broken.Store(false)
	var got []byte
	for off := int64(0); off < 100_000; off += 5000 {
		if _, err := r.ReadAt(p, off); err != nil {
			t.Fatal(err)
		}
		got = append(got, p...)
	}
	if !slices.Equal(got, o.data) || o.opens.Load() > 3 {
		t.Errorf("other bytes, or %d times opened", o.opens.Load())
	}
}
