// Package limit holds a place to a rate: all that is read from it and
// written to it through one Store shares so many bytes per second. Listings,
// the service's own checks and pieces that are sent again do not count.
package limit

import (
	"context"
	"errors"
	"io"
	"time"

	"golang.org/x/time/rate"

	"pgvault/vault/store"
)

// share is how much of a second may pass at once: long enough that a
// connection does not stutter, short enough that a line is not filled.
const share = 4

// Store is a Store at a rate. What else the Store within offers is found by
// store.As.
type Store struct {
	store.Store
	bucket *rate.Limiter
	now    func() time.Time
	sleep  func(ctx context.Context, d time.Duration) error
}

// New holds s to perSecond bytes; 0 or less gives s itself.
func New(s store.Store, perSecond int64) store.Store {
	if perSecond <= 0 {
		return s
	}
	return newStore(s, perSecond, time.Now, sleep)
}

func newStore(s store.Store, perSecond int64, now func() time.Time, sleep func(context.Context, time.Duration) error) *Store {
	return &Store{Store: s, bucket: rate.NewLimiter(rate.Limit(perSecond), int(max(perSecond/share, 1))), now: now, sleep: sleep}
}

// Unwrap gives the Store within.
func (s *Store) Unwrap() store.Store { return s.Store }

// Close closes the Store within, where it can be.
func (s *Store) Close() error {
	if c, ok := store.As[io.Closer](s.Store); ok {
		return c.Close()
	}
	return nil
}

// wait lets n bytes pass; n is at most the bucket's burst. They are taken in
// the order of the calls, whoever calls.
func (s *Store) wait(ctx context.Context, n int) error {
	if err := ctx.Err(); err != nil || n == 0 {
		return err
	}
	now := s.now()
	r := s.bucket.ReserveN(now, n)
	d := r.DelayFrom(now)
	if d <= 0 {
		return nil
	}
	if err := s.sleep(ctx, d); err != nil {
		r.CancelAt(s.now())
		return err
	}
	return nil
}

// sleep waits, or gives ctx's error.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Open implements store.Store.
func (s *Store) Open(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	r, err := s.Store.Open(ctx, name, offset, length)
	if err != nil {
		return nil, err
	}
	return &reader{s: s, ctx: ctx, r: r}, nil
}

// reader asks for no more than may pass at once, and waits after it came.
type reader struct {
	s   *Store
	ctx context.Context
	r   io.ReadCloser
	err error
}

func (r *reader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.r.Read(p[:min(len(p), r.s.bucket.Burst())])
	if werr := r.s.wait(r.ctx, n); werr != nil {
		r.err = werr
		return n, werr
	}
	return n, err
}

func (r *reader) Close() error { return r.r.Close() }

// Create implements store.Store.
func (s *Store) Create(ctx context.Context, name string) (store.Writer, error) {
	w, err := s.Store.Create(ctx, name)
	return s.writer(ctx, w, err)
}

// CreateSized implements store.SizedCreator, whatever the Store within does.
func (s *Store) CreateSized(ctx context.Context, name string, size int64) (store.Writer, error) {
	w, err := store.CreateSized(ctx, s.Store, name, size)
	return s.writer(ctx, w, err)
}

func (s *Store) writer(ctx context.Context, w store.Writer, err error) (store.Writer, error) {
	if err != nil {
		return nil, err
	}
	return &writer{Writer: w, s: s, ctx: ctx}, nil
}

type writer struct {
	store.Writer
	s   *Store
	ctx context.Context
	err error
}

// Write waits before each piece that may pass at once.
func (w *writer) Write(p []byte) (n int, err error) {
	for first := true; first || n < len(p); first = false {
		piece := p[n:min(len(p), n+w.s.bucket.Burst())]
		if w.err == nil {
			w.err = w.s.wait(w.ctx, len(piece))
		}
		if w.err != nil {
			return n, w.err
		}
		m, err := w.Writer.Write(piece)
		if n += m; err != nil {
			return n, err
		}
	}
	return n, nil
}

// Commit fails where a Write did.
func (w *writer) Commit(ctx context.Context) error {
	if w.err != nil {
		return errors.Join(w.err, w.Abort())
	}
	return w.Writer.Commit(ctx)
}
