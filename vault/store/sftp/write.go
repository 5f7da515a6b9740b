package sftp

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path"
	"sync"
	"time"

	"github.com/pkg/sftp"

	"pgvault/vault/store"
)

// discardWithin is how long a writer that failed tries to take away its
// temporary file.
const discardWithin = 15 * time.Second

// Create implements store.Store.
func (s *SFTP) Create(ctx context.Context, name string) (store.Writer, error) {
	if err := store.ValidName(name); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	w := &writer{s: s, name: name, sum: sha256.New(), outer: ctx}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	if err := s.with(w.ctx, w.begin); err != nil {
		w.cancel(nil)
		return nil, s.fault("create", name, err)
	}
	w.size = w.file.on.packet
	w.turn = make(chan struct{}, inFlight/w.size)
	return w, nil
}

// writer is one object on its way. The mutex lets Abort come from another
// goroutine than Write.
type writer struct {
	s      *SFTP
	name   string
	outer  context.Context // Create's
	ctx    context.Context // ended with the first piece that fails
	cancel context.CancelCauseFunc
	size   int            // bytes in a piece; one that is too large for another server is cut by the client
	turn   chan struct{}  // holds one token for each piece on its way
	busy   sync.WaitGroup // pieces on their way

	mu    sync.Mutex
	sum   hash.Hash
	block *[largePacket]byte // being filled
	have  int                // bytes in it
	sent  int64              // bytes before it
	ended bool
	err   error // sticky; store.ErrClosed after the end

	file handle
}

// handle is the temporary file, on whichever connection there is.
type handle struct {
	mu    sync.Mutex
	on    *session
	f     *sftp.File
	path  string   // on the server
	stray []string // files whose making was not answered
}

// errGone says that somebody else removed the temporary file.
var errGone = errors.New("its temporary file was removed from the server while it was written")

// begin makes the temporary file.
func (w *writer) begin(ctx context.Context, c *session, _ bool) error {
	if err := w.s.publishing(ctx, c); err != nil {
		return err
	}
	err := w.s.way(ctx, c, w.name)
	for range 3 { // the empty folder may be removed meanwhile
		if err == nil {
			if err = w.makeTemp(ctx, c); !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			c.forget(w.name)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		err = w.s.makeWay(ctx, c, w.name)
	}
	return fmt.Errorf("its folder is being removed again and again: %v", err)
}

func (w *writer) makeTemp(ctx context.Context, c *session) error {
	dir, _ := split(w.name)
	temp := path.Join(c.at(dir), store.TempPrefix+rand.Text())
	f, err := c.open(ctx, temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			w.file.stray = append(w.file.stray, temp)
		}
		return w.s.full(ctx, c, 0, err)
	}
	w.file.on, w.file.f, w.file.path = c, f, temp
	return c.do(ctx, func() error { return f.Chmod(fileMode) })
}

// on gives the handle on a connection, opening the file again where that is
// another one than before.
func (h *handle) use(ctx context.Context, c *session) (*sftp.File, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.on == c {
		return h.f, nil
	}
	f, err := c.open(ctx, h.path, os.O_WRONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errGone
	}
	if err != nil {
		return nil, err
	}
	h.on, h.f = c, f
	return f, nil
}

// Write implements io.Writer.
func (w *writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = w.failed(w.outer)
	}
	if w.err != nil {
		return 0, w.err
	}
	w.sum.Write(p)
	for n := 0; n < len(p); {
		if w.block == nil {
			w.block = blocks.Get().(*[largePacket]byte)
		}
		m := copy(w.block[w.have:w.size], p[n:])
		w.have += m
		n += m
		if w.have == w.size {
			if w.err = w.send(); w.err != nil {
				return n, w.err
			}
		}
	}
	return len(p), nil
}

// send lets the block that is being filled go, once there is room.
func (w *writer) send() error {
	select {
	case w.turn <- struct{}{}:
	case <-w.ctx.Done():
		return w.failed(w.outer)
	}
	block, n, at := w.block, w.have, w.sent
	w.block, w.have, w.sent = nil, 0, w.sent+int64(w.have)
	w.busy.Go(func() {
		defer func() { <-w.turn }()
		if err := w.piece(block, n, at); err != nil {
			w.cancel(err)
		}
	})
	return nil
}

// piece writes one piece, on as many connections as it takes.
func (w *writer) piece(block *[largePacket]byte, n int, at int64) error {
	return w.s.with(w.ctx, func(ctx context.Context, c *session, _ bool) error {
		f, err := w.file.use(ctx, c)
		if err != nil {
			return err
		}
		wrote, err := ask(ctx, c, c.time.answer, func() (int, error) { return f.WriteAt(block[:n], at) }, nil)
		if err != nil {
			return w.s.full(ctx, c, at, err) // the block may still be in use: it is not given back
		}
		if wrote != n {
			return fmt.Errorf("%d bytes of %d were written", wrote, n)
		}
		blocks.Put(block)
		return nil
	})
}

// failed gives what ended the writer: the caller's own context, or the error
// of a piece with its four lines.
func (w *writer) failed(outer context.Context) error {
	if err := outer.Err(); err != nil {
		return err
	}
	if w.ctx.Err() == nil {
		return nil
	}
	return w.s.fault("write", w.name, context.Cause(w.ctx))
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
		err = w.finish(ctx)
	}
	w.ended = true
	if err != nil {
		w.err = w.s.fault("write", w.name, err)
		w.drop(ctx) // the first error is the one that counts
		return w.err
	}
	w.err = fmt.Errorf("%s: %w", w.name, store.ErrClosed)
	w.cancel(store.ErrClosed)
	return nil
}

// Abort implements store.Writer.
func (w *writer) Abort() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return nil
	}
	w.ended, w.err = true, fmt.Errorf("%s: %w", w.name, store.ErrClosed)
	if err := w.drop(context.Background()); err != nil {
		return w.s.fault("remove the temporary file of", w.name, err)
	}
	return nil
}

// drop ends all that is under way and removes the temporary file.
func (w *writer) drop(ctx context.Context) error {
	w.cancel(store.ErrClosed)
	w.busy.Wait()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), discardWithin)
	defer cancel()
	w.file.mu.Lock()
	defer w.file.mu.Unlock()
	if f := w.file.f; f != nil && !w.file.on.gone() {
		go f.Close() // what was written is thrown away
	}
	w.file.f = nil
	return w.s.with(ctx, func(ctx context.Context, c *session, _ bool) error {
		return c.remove(ctx, append(w.file.stray, w.file.path)...)
	})
}

// remove removes temporary files, missing ones too.
func (c *session) remove(ctx context.Context, paths ...string) error {
	var errs []error
	for _, p := range paths {
		if p == "" {
			continue
		}
		err := c.do(ctx, func() error { return c.unlink(p) })
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// unlink removes a file, never a folder: Client.Remove would try that, too,
// so the name is looked at before.
func (c *session) unlink(path string) error {
	fi, err := c.ftp.Lstat(path)
	if err != nil {
		return err
	}
	if fi.IsDir() {
		return fs.ErrNotExist
	}
	return c.ftp.Remove(path)
}

// both gives a context that ends with either; ended says with which error.
func (w *writer) both(ctx context.Context) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	undo := context.AfterFunc(w.ctx, cancel)
	return ctx, func() { undo(); cancel() }
}
