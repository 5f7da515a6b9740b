package disk

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"pgvault/vault/store"
)

const (
	// bufferSize joins the 64 KiB pieces of the stream into larger writes.
	bufferSize = 1 << 20
	// window is how much is written before the disk is told to begin with
	// it, so that the fsync at the end finds little left to do.
	window = 8 << 20
)

// Create implements store.Store.
func (d *Disk) Create(ctx context.Context, name string) (store.Writer, error) {
	if err := store.ValidName(name); err != nil {
		return nil, err
	}
	if err := errors.Join(ctx.Err(), d.writable()); err != nil {
		return nil, err
	}
	w := &writer{ctx: ctx, d: d, name: name}
	if err := w.begin(); err != nil {
		return nil, d.fault("create", name, 0, err)
	}
	w.buf = bufio.NewWriterSize((*pieces)(w), bufferSize)
	return w, nil
}

// writer is one object on its way. The mutex lets Abort come from another
// goroutine than Write.
type writer struct {
	ctx  context.Context
	d    *Disk
	name string

	mu      sync.Mutex
	dirs    chain
	base    string // name inside dirs.last()
	file    *os.File
	temp    string // name of the temporary file, "" when it has none
	buf     *bufio.Writer
	written int64 // bytes given to the kernel
	pushed  int64 // bytes whose writeback was started
	err     error // sticky; store.ErrClosed after the end
}

// Write implements io.Writer.
func (w *writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = w.ctx.Err()
	}
	if w.err != nil {
		return 0, w.err
	}
	n, err := w.buf.Write(p)
	if err != nil {
		w.err = w.d.fault("write", w.name, w.written, err)
	}
	return n, w.err
}

// pieces is the writer below the buffer.
type pieces writer

func (p *pieces) Write(b []byte) (int, error) {
	n, err := p.file.Write(b)
	p.written += int64(n)
	if err != nil {
		return n, err
	}
	if p.written-p.pushed >= window {
		p.push()
	}
	return n, nil
}

// push starts writeback of what came since the last push, and lets the
// kernel forget the window before it, which is on disk by now: a backup is
// no reason to push the database out of the page cache. Both are advice, the
// fsync alone decides.
func (p *pieces) push() {
	fd := int(p.file.Fd())
	_ = unix.SyncFileRange(fd, p.pushed, p.written-p.pushed, unix.SYNC_FILE_RANGE_WRITE)
	if p.pushed > 0 {
		_ = unix.Fadvise(fd, 0, p.pushed, unix.FADV_DONTNEED)
	}
	p.pushed = p.written
}

// Commit implements store.Writer.
func (w *writer) Commit(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.file == nil {
		return w.err
	}
	err := w.err
	if err == nil {
		err = w.finish(ctx)
	}
	return w.end(err)
}

// Abort implements store.Writer.
func (w *writer) Abort() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.file == nil {
		return nil
	}
	w.err = store.ErrClosed
	if err := w.discard(); err != nil {
		return w.d.fault("remove the temporary file of", w.name, w.written, err)
	}
	return nil
}

// end closes the writer after Commit; err is what Commit came to.
func (w *writer) end(err error) error {
	if err != nil {
		err = w.d.fault("write", w.name, w.written, err)
		w.err = err
		_ = w.discard() // the first error is the one that counts
		return err
	}
	w.err = fmt.Errorf("%s: %w", w.name, store.ErrClosed)
	w.file, w.temp = nil, ""
	dirs := w.dirs
	w.dirs = nil
	_ = dirs.close() // handles for lookups only: nothing can be lost
	return nil
}

// discard removes the temporary file and closes all handles.
func (w *writer) discard() error {
	var gone error
	if w.temp != "" {
		gone = w.dirs.last().Remove(w.temp)
		if errors.Is(gone, os.ErrNotExist) {
			gone = nil
		}
	}
	err := errors.Join(gone, w.file.Close(), w.dirs.close())
	w.file, w.temp, w.dirs = nil, "", nil
	return err
}
