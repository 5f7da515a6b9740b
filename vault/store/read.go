package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"sync"
)

// ErrTooBig is what ReadAll gives for an object over the limit.
var ErrTooBig = errors.New("larger than allowed")

// ReadAll gives the whole of a small object, of at most max bytes; ErrTooBig
// for a larger one. It never holds more than max+1 bytes, whatever size the
// place claims. The bytes are not to be changed: a Store of WithFolder gives
// the same ones again.
func ReadAll(ctx context.Context, s Store, name string, max int64) (data []byte, err error) {
	if max < 0 || max == math.MaxInt64 {
		return nil, fmt.Errorf("%s: reading %s: no limit of %d bytes", s, name, max)
	}
	if w, ok := s.(*withFolder); ok {
		if data, read := w.read(name); read && int64(len(data)) <= max {
			return data, nil
		}
	}
	r, err := s.Open(ctx, name, 0, max+1)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	data, err = io.ReadAll(io.LimitReader(r, max+1))
	if err != nil {
		return nil, fmt.Errorf("%s: reading %s: %w", s, name, err)
	}
	if int64(len(data)) > max {
		return nil, fmt.Errorf("%s: %s: %w (%d bytes)", s, name, ErrTooBig, max)
	}
	return data, nil
}

// FolderReader is what a Store may offer beside Open when several small
// objects of one folder are read faster together. folder is a prefix as List
// takes it; want names objects within it, with the sizes that List gave. An
// object that is not there, or has another size, is left out of the result:
// Open tells why.
type FolderReader interface {
	ReadFolder(ctx context.Context, folder string, want []Info) (map[string][]byte, error)
}

// WithFolder gives a Store that has read the wanted objects of a folder
// already, those of at most max bytes, where s can do that at once; for all
// else it is s. It is for reading only.
func WithFolder(ctx context.Context, s Store, folder string, want []Info, max int64) (Store, error) {
	f, ok := s.(FolderReader)
	if !ok {
		return s, nil
	}
	want = slices.DeleteFunc(slices.Clone(want), func(i Info) bool { return i.Size > max })
	have, err := f.ReadFolder(ctx, folder, want)
	if err != nil {
		return nil, err
	}
	return &withFolder{Store: s, folder: folder, have: have}, nil
}

type withFolder struct {
	Store
	folder string
	have   map[string][]byte
}

// read gives an object that was read already.
func (w *withFolder) read(name string) (data []byte, ok bool) {
	base, ok := strings.CutPrefix(name, w.folder)
	if ok {
		data, ok = w.have[base]
	}
	return data, ok
}

// Open gives what was read, without asking the place.
func (w *withFolder) Open(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	data, ok := w.read(name)
	if !ok || offset < 0 {
		return w.Store.Open(ctx, name, offset, length)
	}
	data = data[min(offset, int64(len(data))):]
	if length >= 0 && length < int64(len(data)) {
		data = data[:length]
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

// ReadAtCloser is random access to one object.
type ReadAtCloser interface {
	io.ReaderAt
	io.Closer
}

// RandomAccess is what a Store may offer beside Open when it has a faster way
// to read at random than one Open for each piece. ReadAt is called from
// several goroutines at once.
type RandomAccess interface {
	OpenAt(ctx context.Context, name string) (ReadAtCloser, error)
}

// ReaderAt reads one object at random. It is safe for concurrent use.
type ReaderAt struct {
	ctx   context.Context
	store Store
	name  string
	size  int64

	mu     sync.Mutex
	direct ReadAtCloser // opened at the first read where the store offers it
	runs   []*run       // ranges that are read in order, see Expect
	closed bool
}

// NewReaderAt gives random access to an object that is known to have size
// bytes. Nothing is opened before the first read. An object that turns out
// shorter gives io.ErrUnexpectedEOF; bytes beyond size are never given.
// Close frees what the place holds open; ctx ends all reads.
func NewReaderAt(ctx context.Context, s Store, name string, size int64) *ReaderAt {
	return &ReaderAt{ctx: ctx, store: s, name: name, size: size}
}

// Size gives the size that NewReaderAt was told.
func (r *ReaderAt) Size() int64 { return r.size }

// ReadAt implements io.ReaderAt.
func (r *ReaderAt) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("%s: %s: negative offset %d", r.store, r.name, off)
	}
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	if off >= r.size {
		return 0, io.EOF
	}
	want := p
	if left := r.size - off; int64(len(want)) > left {
		want = want[:left]
	}
	n, err := r.fill(want, off)
	switch {
	case n == len(want) && n < len(p):
		return n, io.EOF
	case n == len(want):
		return n, nil
	case err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		err = io.ErrUnexpectedEOF
		return n, fmt.Errorf("%s: %s ends at byte %d of %d: %w", r.store, r.name, off+int64(n), r.size, err)
	}
	return n, fmt.Errorf("%s: reading %s: %w", r.store, r.name, err)
}

// Close frees what is held open. Reads after it fail.
func (r *ReaderAt) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	var err error
	for _, run := range r.runs {
		err = errors.Join(err, run.end())
	}
	r.runs = nil
	if r.direct == nil {
		return err
	}
	d := r.direct
	r.direct = nil
	return errors.Join(err, d.Close())
}

func (r *ReaderAt) fill(p []byte, off int64) (n int, err error) {
	if n, err, ok := r.onward(p, off); ok {
		return n, err
	}
	d, err := r.opened()
	if err != nil {
		return 0, err
	}
	if d != nil {
		return d.ReadAt(p, off)
	}
	rc, err := r.store.Open(r.ctx, r.name, off, int64(len(p)))
	if err != nil {
		return 0, err
	}
	n, err = io.ReadFull(rc, p)
	return n, errors.Join(err, rc.Close())
}

// opened gives the store's own random access, nil where it has none.
func (r *ReaderAt) opened() (ReadAtCloser, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, ErrClosed
	}
	fast, ok := r.store.(RandomAccess)
	if !ok || r.direct != nil || !Offers[RandomAccess](r.store) {
		return r.direct, nil
	}
	d, err := fast.OpenAt(r.ctx, r.name)
	if err != nil {
		return nil, err
	}
	r.direct = d
	return d, nil
}
