package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"pgvault/vault/store"
)

// Open implements store.Store.
func (d *Disk) Open(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	if offset < 0 {
		return nil, fmt.Errorf("%s: %s: negative offset %d", d, name, offset)
	}
	f, size, err := d.open(ctx, name)
	if err != nil {
		return nil, err
	}
	end := size
	if length >= 0 && length < size-offset {
		end = offset + length
	}
	if end > offset {
		_ = unix.Fadvise(int(f.Fd()), offset, end-offset, unix.FADV_SEQUENTIAL)
	}
	section := io.NewSectionReader(f, offset, max(0, end-offset))
	return &reader{ctx: ctx, d: d, name: name, f: f, r: section}, nil
}

// OpenAt implements store.RandomAccess: one open file for all reads.
func (d *Disk) OpenAt(ctx context.Context, name string) (store.ReadAtCloser, error) {
	f, _, err := d.open(ctx, name)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Stat implements store.Store.
func (d *Disk) Stat(ctx context.Context, name string) (store.Info, error) {
	if err := ctx.Err(); err != nil {
		return store.Info{}, err
	}
	c, base, err := d.parent(name)
	if err != nil {
		return store.Info{}, d.fault("look at", name, 0, err)
	}
	defer c.close()
	fi, err := d.regular(c.last(), base, name)
	if err != nil {
		return store.Info{}, d.fault("look at", name, 0, err)
	}
	return store.Info{Name: name, Size: fi.Size()}, nil
}

// Remove implements store.Store. A folder that is empty afterwards goes too.
func (d *Disk) Remove(ctx context.Context, name string) error {
	if err := errors.Join(ctx.Err(), d.writable()); err != nil {
		return err
	}
	c, base, err := d.parent(name)
	if err != nil {
		return d.fault("remove", name, 0, err)
	}
	defer c.close()
	if _, err := d.regular(c.last(), base, name); err != nil {
		return d.fault("remove", name, 0, err)
	}
	if err := c.last().Remove(base); err != nil {
		return d.fault("remove", name, 0, err)
	}
	if err := c[len(c)-1:].sync(); err != nil {
		return d.fault("make durable the removal of", name, 0, err)
	}
	if len(c) > 1 {
		dir, _ := split(name)
		_, folder := split(dir)
		_ = c[len(c)-2].Remove(folder) // rmdir: fails while anything is in it
	}
	return nil
}

// open opens a published object for reading and gives its size.
func (d *Disk) open(ctx context.Context, name string) (*os.File, int64, error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	c, base, err := d.parent(name)
	if err != nil {
		return nil, 0, d.fault("open", name, 0, err)
	}
	defer c.close()
	fi, err := d.regular(c.last(), base, name)
	if err != nil {
		return nil, 0, d.fault("open", name, 0, err)
	}
	// O_NONBLOCK: should it have become a pipe meanwhile, do not wait on it.
	f, err := c.last().OpenFile(base, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, d.fault("open", name, 0, err)
	}
	now, err := f.Stat()
	if err == nil && !os.SameFile(fi, now) {
		err = d.symlink(name)
	}
	if err != nil {
		return nil, 0, errors.Join(d.fault("open", name, 0, err), f.Close())
	}
	return f, now.Size(), nil
}

// reader is a range of one object.
type reader struct {
	ctx  context.Context
	d    *Disk
	name string
	f    *os.File
	r    *io.SectionReader
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := r.r.Read(p)
	if err != nil && err != io.EOF {
		err = r.d.fault("read", r.name, 0, err)
	}
	return n, err
}

func (r *reader) Close() error { return r.f.Close() }
