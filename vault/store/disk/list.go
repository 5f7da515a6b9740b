package disk

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"pgvault/vault/store"
)

// List implements store.Store. Symbolic links, other things that are no
// files, and names that store.ValidName refuses are not objects and not
// listed; neither is what fsck keeps in lost+found.
func (d *Disk) List(ctx context.Context, prefix string) ([]store.Info, error) {
	found, err := d.scan(ctx, prefix)
	if err != nil {
		return nil, err
	}
	return found.objects, nil
}

// Leftovers gives the temporary files below prefix that killed processes
// left behind, or that running ones still write to, sorted by name.
func (d *Disk) Leftovers(ctx context.Context, prefix string) ([]store.Info, error) {
	found, err := d.scan(ctx, prefix)
	if err != nil {
		return nil, err
	}
	return found.leftovers, nil
}

type scanned struct {
	objects, leftovers []store.Info
}

func (d *Disk) scan(ctx context.Context, prefix string) (*scanned, error) {
	if err := store.ValidPrefix(prefix); err != nil {
		return nil, err
	}
	out := &scanned{}
	c, err := d.folders(strings.TrimSuffix(prefix, "/"), false)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return out, ctx.Err()
	case err != nil:
		return nil, d.fault("list", prefix, 0, err)
	}
	defer c.close()
	f, err := c.last().Open(".")
	if err != nil {
		return nil, d.fault("list", prefix, 0, err)
	}
	defer f.Close()
	if err := d.scanFolder(ctx, int(f.Fd()), prefix, out); err != nil {
		return nil, d.fault("list", prefix, 0, err)
	}
	return out, nil
}

// entry is one name in a folder, with what is needed of its stat(2).
type entry struct {
	name             string // for folders with a slash at the end, so that names sort as whole names do
	kind             uint32 // S_IFREG, S_IFDIR, …; nothing more is known of a folder
	size             int64
	inode            uint64
	written, changed int64 // mtime and ctime, ns since 1970
}

// scanFolder adds what lies in the folder open as fd; prefix is its name
// with a slash, or "". All is looked up from open folders, one element at a
// time, and no symbolic link is followed.
func (d *Disk) scanFolder(ctx context.Context, fd int, prefix string, out *scanned) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	entries, err := readFolder(fd, prefix)
	if err != nil {
		return err
	}
	folders := 0
	for _, e := range entries {
		if e.kind == unix.S_IFDIR {
			folders++
		}
	}
	if folders < 2 {
		return d.scanEntries(ctx, fd, entries, prefix, out)
	}
	return d.scanPieces(ctx, fd, entries, prefix, out)
}

// pieceOf is how many of a folder's entries a thread takes at once, where they
// are many. Of few each is one of the databases, with many folders of its own.
const pieceOf = 32

// usualObjects are in an archive's folder: room for them is taken beforehand.
const usualObjects = 8

// scanPieces scans entries piece by piece, whichever thread is free the next
// one: a processor that others use too does not hold up the rest.
func (d *Disk) scanPieces(ctx context.Context, fd int, entries []entry, prefix string, out *scanned) error {
	size := pieceOf
	if len(entries) < 2*pieceOf {
		size = 1
	}
	pieces := slices.Collect(slices.Chunk(entries, size))
	parts := make([]scanned, len(pieces))
	errs := make([]error, len(pieces))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(store.Processors, len(pieces)) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(pieces)); i = next.Add(1) - 1 {
				parts[i].objects = make([]store.Info, 0, usualObjects*len(pieces[i]))
				errs[i] = d.scanEntries(ctx, fd, pieces[i], prefix, &parts[i])
			}
		})
	}
	wg.Wait()
	n := 0
	for i := range parts {
		n += len(parts[i].objects)
	}
	out.objects = slices.Grow(out.objects, n)
	for i := range parts {
		out.objects = append(out.objects, parts[i].objects...)
		out.leftovers = append(out.leftovers, parts[i].leftovers...)
	}
	return cmp.Or(errs...)
}

func (d *Disk) scanEntries(ctx context.Context, fd int, entries []entry, prefix string, out *scanned) error {
	now := time.Now()
	for i := range entries {
		e := &entries[i]
		name := prefix + e.name
		switch e.kind {
		case unix.S_IFREG:
			info := store.Info{Name: name, Size: e.size, Stamp: e.stamp(now)}
			switch {
			case strings.HasPrefix(e.name, store.TempPrefix):
				out.leftovers = append(out.leftovers, info)
			case store.ValidName(name) == nil:
				out.objects = append(out.objects, info)
			}
		case unix.S_IFDIR:
			if name == "lost+found/" || store.ValidPrefix(name) != nil {
				continue
			}
			if err := d.scanBelow(ctx, fd, strings.TrimSuffix(e.name, "/"), name, out); err != nil {
				return err
			}
		}
	}
	return nil
}

// scanBelow scans the folder base inside the folder open as fd; prefix is its
// whole name with a slash.
func (d *Disk) scanBelow(ctx context.Context, fd int, base, prefix string, out *scanned) error {
	next, err := unix.Openat(fd, base, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return nil // removed or replaced while we looked
	case errors.Is(err, syscall.ELOOP):
		return d.symlink(strings.TrimSuffix(prefix, "/"))
	case err != nil:
		return &fs.PathError{Op: "open", Path: prefix, Err: err}
	}
	defer unix.Close(next)
	return d.scanFolder(ctx, next, prefix, out)
}

// settled is how long ago a file must have changed before it has a stamp. A
// file system's clock may tick as slowly as every 2 s (and another machine's
// may be off by more, then there is no stamp): a change within the same tick
// would leave the same times.
const settled = 3 * time.Second

// stamp is the inode with the times of the last change of bytes and of
// anything else. The latter cannot be set by a program, so that what was
// written over, also with its old time, has another stamp.
func (e *entry) stamp(now time.Time) string {
	if now.Sub(time.Unix(0, e.changed)) < settled {
		return ""
	}
	b := make([]byte, 0, 24)
	b = binary.LittleEndian.AppendUint64(b, e.inode)
	b = binary.LittleEndian.AppendUint64(b, uint64(e.written))
	return string(binary.LittleEndian.AppendUint64(b, uint64(e.changed)))
}
