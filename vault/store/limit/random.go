package limit

import (
	"context"
	"errors"
	"io"

	"pgvault/vault/store"
)

// OpenAt implements store.RandomAccess, at the rate: with what the Store
// within offers, else with one Open for each piece.
func (s *Store) OpenAt(ctx context.Context, name string) (store.ReadAtCloser, error) {
	inner := store.ReadAtCloser(&pieces{ctx: ctx, s: s.Store, name: name})
	if fast, ok := store.As[store.RandomAccess](s.Store); ok {
		var err error
		if inner, err = fast.OpenAt(ctx, name); err != nil {
			return nil, err
		}
	}
	return &readerAt{s: s, ctx: ctx, r: inner}, nil
}

// readerAt reads what may pass at once, piece after piece.
type readerAt struct {
	s   *Store
	ctx context.Context
	r   store.ReadAtCloser
}

func (r *readerAt) ReadAt(p []byte, off int64) (n int, err error) {
	for first := true; first || n < len(p); first = false {
		m, err := r.r.ReadAt(p[n:min(len(p), n+r.s.bucket.Burst())], off+int64(n))
		n += m
		if werr := r.s.wait(r.ctx, m); werr != nil {
			return n, werr
		}
		if err != nil && (err != io.EOF || n < len(p)) {
			return n, err
		}
	}
	return n, nil
}

func (r *readerAt) Close() error { return r.r.Close() }

// pieces reads at random through Open.
type pieces struct {
	ctx  context.Context
	s    store.Store
	name string
}

func (p *pieces) ReadAt(b []byte, off int64) (int, error) {
	r, err := p.s.Open(p.ctx, p.name, off, int64(len(b)))
	if err != nil {
		return 0, err
	}
	n, err := io.ReadFull(r, b)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	return n, err
}

func (p *pieces) Close() error { return nil }

// ReadFolder implements store.FolderReader: where the Store within does not,
// nothing was read, and every object is opened one by one.
func (s *Store) ReadFolder(ctx context.Context, folder string, want []store.Info) (map[string][]byte, error) {
	f, ok := store.As[store.FolderReader](s.Store)
	if !ok {
		return nil, nil
	}
	out, err := f.ReadFolder(ctx, folder, want)
	for _, data := range out {
		for n := len(data); n > 0 && err == nil; n -= s.bucket.Burst() {
			err = s.wait(ctx, min(n, s.bucket.Burst()))
		}
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Capacity implements store.Capacity; a Store that only knows what is free
// does not tell the whole.
func (s *Store) Capacity(ctx context.Context) (free, total int64, err error) {
	if c, ok := store.As[store.Capacity](s.Store); ok {
		return c.Capacity(ctx)
	}
	free, err = s.Free(ctx)
	return free, -1, err
}
