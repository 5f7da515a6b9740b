package s3

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"

	"pgvault/vault/store"
	"pgvault/vault/store/remote"
)

const (
	// mostFlying is how many pieces of an object are on their way at once.
	mostFlying = 4
	// memory bounds the pieces of one object in memory, the one that is
	// filled included. Larger pieces lie in files, of which one is sent
	// while the next is filled.
	memory = 64 * mib
	// inMemory is the largest piece that remote.Buffer keeps in memory.
	inMemory = 16 * mib
)

// Create implements store.Store.
func (p *Place) Create(ctx context.Context, name string) (store.Writer, error) {
	return p.create(ctx, name, -1)
}

// CreateSized implements store.SizedCreator: pieces are as small as their
// number allows.
func (p *Place) CreateSized(ctx context.Context, name string, size int64) (store.Writer, error) {
	if size < 0 {
		return nil, fmt.Errorf("%s: %s: a size of %d bytes", p.title, name, size)
	}
	return p.create(ctx, name, size)
}

func (p *Place) create(ctx context.Context, name string, size int64) (store.Writer, error) {
	key, err := p.key(name)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	w := &writer{p: p, name: name, key: key, size: size, mark: rand.Text(), done: make(chan *piece, mostFlying)}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	w.most = p.sizing.Next(0, size)
	return w, nil
}

// writer is one object on its way.
type writer struct {
	p         *Place
	name, key string
	size      int64  // that was told, -1
	mark      string // random: says whose object it is
	ctx       context.Context
	cancel    context.CancelCauseFunc

	mu      sync.Mutex
	err     error // sticky; store.ErrClosed after the end
	ended   bool
	written int64
	cur     *remote.Buffer // the piece that is filled, may be nil
	most    int64          // bytes of it, 0: no piece fits any more
	free    []*remote.Buffer

	upload *string     // the multipart upload's, once begun
	keeps  bool        // the service says that it keeps checksums of this upload
	pieces []*piece    // in their order
	flying int         // pieces on their way
	done   chan *piece // those that have arrived or failed
	blind  bool        // the service does not answer with checksums
}

// Write implements io.Writer. It waits only when as many pieces as may be are
// on their way.
func (w *writer) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for n < len(b) {
		if err := w.usable(); err != nil {
			return n, err
		}
		k, err := w.fill(b[n:])
		n += k
		if err != nil {
			return n, w.fail(err)
		}
	}
	return n, w.usable()
}

// usable tells the error that ended the writer.
func (w *writer) usable() error {
	if w.err == nil && w.ctx.Err() != nil {
		w.err = w.ctx.Err()
	}
	return w.err
}

// fail keeps the first error and stops what is on its way.
func (w *writer) fail(err error) error {
	if w.err == nil {
		w.err = w.p.fault("write", w.name, err)
		w.cancel(w.err)
	}
	return w.err
}

// fill takes bytes into the piece, and sends it when more come than fit.
func (w *writer) fill(b []byte) (int, error) {
	if w.size >= 0 && w.written+int64(len(b)) > w.size {
		return 0, fmt.Errorf("more bytes than the %d that were announced", w.size)
	}
	if w.cur != nil && w.cur.Len() == w.most {
		if err := w.send(); err != nil {
			return 0, err
		}
	}
	if w.cur == nil {
		if w.most == 0 {
			return 0, w.full()
		}
		w.cur = w.buffer()
	}
	n, err := w.cur.Write(b[:min(int64(len(b)), w.most-w.cur.Len())])
	w.written += int64(n)
	return n, err
}

// buffer gives an empty one, one that was used before if there is.
func (w *writer) buffer() *remote.Buffer {
	if last := len(w.free) - 1; last >= 0 {
		b := w.free[last]
		w.free = w.free[:last]
		return b
	}
	return remote.NewBuffer(w.p.tempDir)
}

// Commit implements store.Writer.
func (w *writer) Commit(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return w.err
	}
	stop := context.AfterFunc(ctx, func() { w.cancel(ctx.Err()) })
	defer stop()
	err := errors.Join(w.usable(), ctx.Err())
	if err == nil && w.size >= 0 && w.written != w.size {
		err = fmt.Errorf("%d bytes were written, %d were announced", w.written, w.size)
	}
	if err == nil {
		err = w.publish()
	}
	if err != nil {
		err = w.fail(err)
		_ = w.discard() // the first error is the one that counts; what is left is found as unfinished
		w.ended = true
		return err
	}
	w.ended, w.err = true, fmt.Errorf("%s: %w", w.name, store.ErrClosed)
	w.cancel(w.err)
	return w.release()
}

// publish sends what is left and makes the object visible.
func (w *writer) publish() error {
	if w.upload == nil {
		return w.putWhole()
	}
	if err := w.send(); err != nil {
		return err
	}
	for w.flying > 0 {
		if err := w.land(); err != nil {
			return err
		}
	}
	return w.complete()
}

// Abort implements store.Writer.
func (w *writer) Abort() error {
	w.cancel(store.ErrClosed)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return nil
	}
	w.ended, w.err = true, fmt.Errorf("%s: %w", w.name, store.ErrClosed)
	if err := w.discard(); err != nil {
		return w.p.fault("give up the upload of", w.name, err)
	}
	return nil
}

// discard stops all pieces and gives up the upload, even though the writer's
// context has ended.
func (w *writer) discard() error {
	w.cancel(store.ErrClosed)
	for w.flying > 0 {
		_ = w.land() // it was stopped
	}
	var err error
	if w.upload != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), cleanupIn)
		defer cancel()
		err = w.p.abort(ctx, w.key, *w.upload)
	}
	return errors.Join(err, w.release())
}

// release frees all buffers.
func (w *writer) release() error {
	var all error
	if w.cur != nil {
		all = w.cur.Close()
	}
	for _, b := range w.free {
		all = errors.Join(all, b.Close())
	}
	w.cur, w.free = nil, nil
	return all
}
