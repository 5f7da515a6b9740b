package gcs

import (
	"context"
	"crypto/md5" // the service keeps no other checksum of this length
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"sync"
	"time"

	"pgvault/vault/store"
)

const (
	// pieceSize is how much one request of an upload carries: a multiple of
	// 256 KiB, as the service wants it. Two pieces are in memory, one that
	// is sent and one that fills.
	pieceSize = 8 << 20
	// small is from where on an object's buffer has its full size at once.
	small = 1 << 20
)

var pieces = sync.Pool{New: func() any { b := make([]byte, 0, pieceSize); return &b }}

// sums are the checksums of what was written.
type sums struct {
	size int64
	crc  hash.Hash32
	md5  hash.Hash
	sha  hash.Hash
}

func newCRC() hash.Hash32 { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) }

func newSums() *sums {
	return &sums{crc: newCRC(), md5: md5.New(), sha: sha256.New()}
}

func (s *sums) Write(p []byte) (int, error) {
	s.size += int64(len(p))
	_, _ = s.crc.Write(p) // hashes never fail
	_, _ = s.md5.Write(p)
	_, _ = s.sha.Write(p)
	return len(p), nil
}

func (s *sums) crc32c() string  { return base64.StdEncoding.EncodeToString(s.crc.Sum(nil)) }
func (s *sums) md5Hash() string { return base64.StdEncoding.EncodeToString(s.md5.Sum(nil)) }

// writer is one object on its way. Up to one piece is sent at Commit as one
// request; what is larger goes into an upload session, piece by piece while
// the next one fills.
type writer struct {
	g      *GCS
	ctx    context.Context // ends with Create's and with Abort
	cancel context.CancelFunc
	name   string
	want   int64  // the size that was told, -1 when none
	id     string // in the object's metadata: whose it is

	mu      sync.Mutex
	sums    *sums
	piece   *[]byte    // from the pool once it is large
	sending chan error // a piece is on its way; its end
	ended   bool
	err     error // sticky

	// Of the goroutine that sends; read when sending has ended.
	session string
	sent    int64
	taken   bool // the name: nothing more is sent, Commit says so
	unsure  bool // a request that makes the object was sent and not answered
	until   time.Time
}

// Create implements store.Store.
func (g *GCS) Create(ctx context.Context, name string) (store.Writer, error) {
	return g.create(ctx, name, -1)
}

// CreateSized implements store.SizedCreator. The service takes any number of
// pieces: the size is only compared.
func (g *GCS) CreateSized(ctx context.Context, name string, size int64) (store.Writer, error) {
	if size < 0 {
		return nil, fmt.Errorf("%s: %s: negative size %d", g, name, size)
	}
	return g.create(ctx, name, size)
}

func (g *GCS) create(ctx context.Context, name string, size int64) (store.Writer, error) {
	if err := errors.Join(ctx.Err(), store.ValidName(name), g.fits(name)); err != nil {
		return nil, err
	}
	w := &writer{g: g, name: name, want: size, id: rand.Text(), sums: newSums(), piece: new([]byte)}
	w.ctx, w.cancel = context.WithCancel(ctx)
	if g.lock > 0 {
		w.until = g.now().Add(g.lock).UTC().Truncate(time.Second).Add(time.Second)
	}
	return w, nil
}

// fits refuses a name that is too long together with the place's prefix.
func (g *GCS) fits(name string) error {
	if n := len(g.prefix) + len(name); n > store.MaxName {
		return fmt.Errorf("%s: %.80q: %d bytes with the place's prefix, %d are allowed", g, name, n, store.MaxName)
	}
	return nil
}

// Write implements io.Writer.
func (w *writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil && w.ctx.Err() != nil {
		w.err = w.ctx.Err()
	}
	if w.err != nil {
		return 0, w.err
	}
	if w.want >= 0 && w.sums.size+int64(len(p)) > w.want {
		w.err = fmt.Errorf("%s: %s: more than the %d bytes that were told", w.g, w.name, w.want)
		return 0, w.err
	}
	n := len(p)
	_, _ = w.sums.Write(p) // never fails
	for len(p) > 0 {
		if len(*w.piece) == w.g.piece {
			if err := w.ship(); err != nil {
				w.err = w.g.fault("write", w.name, err)
				return 0, w.err
			}
		}
		p = p[w.fill(p):]
	}
	return n, nil
}

// fill takes what the piece has room for.
func (w *writer) fill(p []byte) int {
	n := min(len(p), w.g.piece-len(*w.piece))
	if cap(*w.piece) < pieceSize && len(*w.piece)+n > small {
		full := pieces.Get().(*[]byte)
		*full = append((*full)[:0], *w.piece...)
		w.piece = full
	}
	*w.piece = append(*w.piece, p[:n]...)
	return n
}

// release gives a full-size buffer back.
func release(p *[]byte) {
	if cap(*p) >= pieceSize {
		pieces.Put(p)
	}
}

// ship sends the full piece behind the writer's back, when the one before
// has arrived.
func (w *writer) ship() error {
	if err := w.arrived(); err != nil {
		return err
	}
	full := w.piece
	w.piece = pieces.Get().(*[]byte)
	*w.piece = (*w.piece)[:0]
	w.sending = make(chan error, 1)
	go func(done chan<- error) {
		err := w.send(w.ctx, *full)
		release(full)
		done <- err
	}(w.sending)
	return nil
}

// arrived waits for the piece that is on its way.
func (w *writer) arrived() error {
	if w.sending == nil {
		return nil
	}
	err := <-w.sending
	w.sending = nil
	return err
}

// send brings one full piece, not the last, into the session.
func (w *writer) send(ctx context.Context, piece []byte) error {
	if w.taken {
		return nil
	}
	err := w.begin(ctx)
	if err == nil {
		_, err = w.put(ctx, piece, false)
	}
	if errors.Is(err, store.ErrExist) { // Commit tells, not Write
		w.taken, err = true, nil
	}
	w.sent += int64(len(piece))
	return err
}

// Commit implements store.Writer.
func (w *writer) Commit(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return w.err
	}
	err := w.err
	if err == nil {
		err = errors.Join(ctx.Err(), w.ctx.Err())
	}
	if err == nil {
		err = w.finish(ctx)
	}
	w.end(err)
	if err == nil {
		w.err = fmt.Errorf("%s: %w", w.name, store.ErrClosed)
		return nil
	}
	w.err = w.g.fault("write", w.name, err)
	return w.err
}

// Abort implements store.Writer.
func (w *writer) Abort() error {
	w.cancel() // a piece on its way, so that the lock is free soon
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.ended {
		w.end(context.Canceled)
		w.err = fmt.Errorf("%s: %w", w.name, store.ErrClosed)
	}
	return nil
}

// end frees everything; after an error it takes back what the service has.
// That is tried, and for a short while only: a session ends by itself after
// a week.
func (w *writer) end(err error) {
	w.ended = true
	w.cancel()
	_ = w.arrived() // the first error is the one that counts
	release(w.piece)
	w.piece = nil
	if err != nil {
		w.withdraw()
	}
}

// finish sends what is left and compares.
func (w *writer) finish(commit context.Context) error {
	ctx, cancel := context.WithCancelCause(w.ctx)
	defer cancel(nil)
	defer context.AfterFunc(commit, func() { cancel(commit.Err()) })()
	if err := w.arrived(); err != nil {
		return ended(commit, err)
	}
	if w.want >= 0 && w.sums.size != w.want {
		return fmt.Errorf("%d bytes were written, %d were told", w.sums.size, w.want)
	}
	if w.taken {
		return store.ErrExist
	}
	var o *object
	var err error
	if w.session == "" {
		o, err = w.putSmall(ctx)
	} else {
		o, err = w.put(ctx, *w.piece, true)
	}
	if err == nil {
		err = w.compare(ctx, o)
	} else if w.unsure || errors.Is(err, store.ErrExist) {
		err = w.resolve(ctx, err)
	}
	return ended(commit, err)
}
