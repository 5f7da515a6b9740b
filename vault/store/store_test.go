package store_test

import (
	"context"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"pgvault/vault/store"
)

// endless is a place whose one object claims nothing and never ends.
type endless struct {
	store.Store
	given int
}

func (e *endless) Open(context.Context, string, int64, int64) (io.ReadCloser, error) {
	return io.NopCloser(e), nil
}
func (e *endless) String() string { return "test:endless" }
func (e *endless) Read(p []byte) (int, error) {
	e.given += len(p)
	return len(p), nil
}

func TestReadAllIsBounded(t *testing.T) {
	e := &endless{}
	if _, err := store.ReadAll(t.Context(), e, "x", 1000); !errors.Is(err, store.ErrTooBig) {
		t.Fatalf("got %v, want ErrTooBig", err)
	}
	if e.given > 1001 {
		t.Fatalf("%d bytes were taken", e.given)
	}
	for _, limit := range []int64{-1, math.MaxInt64} {
		if _, err := store.ReadAll(t.Context(), e, "x", limit); err == nil {
			t.Fatalf("the limit %d is accepted", limit)
		}
	}
}

// oneByOne gives ranges through Open only, as a place without RandomAccess.
type oneByOne struct {
	store.Store
	data string
	open int
}

func (o *oneByOne) Open(_ context.Context, _ string, offset, length int64) (io.ReadCloser, error) {
	o.open++
	return io.NopCloser(io.NewSectionReader(strings.NewReader(o.data), offset, length)), nil
}
func (o *oneByOne) String() string { return "test:one-by-one" }

func TestReaderAtThroughOpen(t *testing.T) {
	o := &oneByOne{data: "0123456789"}
	r := store.NewReaderAt(t.Context(), o, "x", 10)
	for _, c := range []struct {
		off  int64
		n    int
		want string
		err  error
	}{
		{0, 10, "0123456789", nil}, {3, 4, "3456", nil}, {8, 5, "89", io.EOF}, {10, 1, "", io.EOF}, {99, 1, "", io.EOF}, {0, 0, "", nil},
	} {
		p := make([]byte, c.n)
		n, err := r.ReadAt(p, c.off)
		if string(p[:n]) != c.want || err != c.err {
			t.Errorf("ReadAt(%d, %d) = %q, %v; want %q, %v", c.off, c.n, p[:n], err, c.want, c.err)
		}
	}
	if _, err := r.ReadAt(make([]byte, 1), -1); err == nil {
		t.Error("a negative offset is accepted")
	}
	o.data = "01234"
	if n, err := r.ReadAt(make([]byte, 4), 3); n != 2 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a shortened object: %d, %v", n, err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if _, err := r.ReadAt(make([]byte, 1), 0); !errors.Is(err, store.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func FuzzValidName(f *testing.F) {
	for _, s := range []string{"a/b", "../x", "/x", "a//b", "%2e%2e/x", "a\x00", ".partial-x", "ü"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if store.ValidName(s) != nil {
			return
		}
		for e := range strings.SplitSeq(s, "/") {
			if e == "" || e == "." || e == ".." || len(e) > 255 || strings.ContainsAny(e, "\\\x00\n\x1b") {
				t.Fatalf("%q is accepted", s)
			}
		}
		if store.ValidPrefix(s+"/") != nil {
			t.Fatalf("%q is a name, but no prefix with a slash", s)
		}
	})
}
