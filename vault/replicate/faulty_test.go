package replicate

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"

	"pgvault/fault"
	"pgvault/vault/store"
)

// faulty is a place with faults that a test sets. An object's name has to end
// in on for them; an empty on is every object.
type faulty struct {
	store.Store
	on string

	reads, writes atomic.Int64                            // bytes of objects that on names
	opens         atomic.Int64                            // of those
	change        func(opening int64, at int64, b []byte) // of what is read, at counted from the object's begin
	fail          func(at int64) error                    // of a write that would come to byte at
	gate          chan struct{}                           // nil, or a write waits for it, or for its context
	deny          error                                   // of Remove
	before        func(what, name string) error           // of each call, nil for none
}

func (f *faulty) Unwrap() store.Store { return nil } // its Create is to be used

func (f *faulty) meant(name string) bool { return strings.HasSuffix(name, f.on) }

func (f *faulty) call(what, name string) error {
	if f.before == nil {
		return nil
	}
	return f.before(what, name)
}

func (f *faulty) List(ctx context.Context, prefix string) ([]store.Info, error) {
	if err := f.call("list", prefix); err != nil {
		return nil, err
	}
	return f.Store.List(ctx, prefix)
}

func (f *faulty) Stat(ctx context.Context, name string) (store.Info, error) {
	if err := f.call("stat", name); err != nil {
		return store.Info{}, err
	}
	return f.Store.Stat(ctx, name)
}

func (f *faulty) Open(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	if err := f.call("open", name); err != nil {
		return nil, err
	}
	r, err := f.Store.Open(ctx, name, offset, length)
	if err != nil || !f.meant(name) {
		return r, err
	}
	return &faultyReader{r, f, f.opens.Add(1), offset}, nil
}

type faultyReader struct {
	io.ReadCloser
	f       *faulty
	opening int64
	at      int64
}

func (r *faultyReader) Read(b []byte) (int, error) {
	n, err := r.ReadCloser.Read(b)
	r.f.reads.Add(int64(n))
	if r.f.change != nil {
		r.f.change(r.opening, r.at, b[:n])
	}
	r.at += int64(n)
	return n, err
}

func (f *faulty) Remove(ctx context.Context, name string) error {
	if err := f.call("remove", name); err != nil {
		return err
	}
	if f.deny != nil && f.meant(name) {
		return f.deny
	}
	return f.Store.Remove(ctx, name)
}

func (f *faulty) Create(ctx context.Context, name string) (store.Writer, error) {
	if err := f.call("create", name); err != nil {
		return nil, err
	}
	w, err := f.Store.Create(ctx, name)
	if err != nil {
		return nil, err
	}
	return &faultyWriter{Writer: w, ctx: ctx, f: f, name: name}, nil
}

type faultyWriter struct {
	store.Writer
	ctx  context.Context
	f    *faulty
	name string
	at   int64
}

func (w *faultyWriter) Write(b []byte) (int, error) {
	if !w.f.meant(w.name) {
		return w.Writer.Write(b)
	}
	w.at += int64(len(b))
	if w.f.fail != nil {
		if err := w.f.fail(w.at); err != nil {
			return 0, err
		}
	}
	if w.f.gate != nil {
		select {
		case <-w.f.gate:
		case <-w.ctx.Done():
			return 0, w.ctx.Err()
		}
	}
	n, err := w.Writer.Write(b)
	w.f.writes.Add(int64(n))
	return n, err
}

func (w *faultyWriter) Commit(ctx context.Context) error {
	if err := w.f.call("commit", w.name); err != nil {
		_ = w.Abort()
		return err
	}
	return w.Writer.Commit(ctx)
}

var errGone = &fault.Error{What: "the place does not answer", Why: "it is gone", Left: "all", Do: "wait", Code: fault.PlaceUnreachable}

var errKilled = errors.New("killed")

// dying is a place of a process that is killed after so many calls: nothing
// that it asks for happens any more. Places that share left die together.
type dying struct {
	mu   sync.Mutex
	left int
}

func (d *dying) before(string, string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.left--; d.left < 0 {
		return errKilled
	}
	return nil
}
