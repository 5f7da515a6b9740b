package disk

import (
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
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
	if err := d.scanFolder(ctx, c.last(), prefix, out); err != nil {
		return nil, d.fault("list", prefix, 0, err)
	}
	byName := func(a, b store.Info) int { return strings.Compare(a.Name, b.Name) }
	slices.SortFunc(out.objects, byName)
	slices.SortFunc(out.leftovers, byName)
	return out, nil
}

// scanFolder adds what lies in dir; prefix is its name with a slash, or "".
func (d *Disk) scanFolder(ctx context.Context, dir *os.Root, prefix string, out *scanned) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	f, err := dir.Open(".")
	if err != nil {
		return err
	}
	entries, err := f.ReadDir(-1)
	if err == nil {
		err = d.scanEntries(ctx, dir, f, entries, prefix, out)
	}
	return errors.Join(err, f.Close())
}

func (d *Disk) scanEntries(ctx context.Context, dir *os.Root, f *os.File, entries []fs.DirEntry, prefix string, out *scanned) error {
	for _, e := range entries {
		name := prefix + e.Name()
		switch {
		case name == "lost+found":
		case e.Type().IsRegular() && strings.HasPrefix(e.Name(), store.TempPrefix):
			if err := addFile(&out.leftovers, f, e, name); err != nil {
				return err
			}
		case store.ValidName(name) != nil:
		case e.Type().IsRegular():
			if err := addFile(&out.objects, f, e, name); err != nil {
				return err
			}
		case e.IsDir():
			next, err := d.step(dir, e.Name(), name, false)
			if errors.Is(err, fs.ErrNotExist) {
				continue // removed while we looked
			}
			if err != nil {
				return err
			}
			if err := errors.Join(d.scanFolder(ctx, next, name+"/", out), next.Close()); err != nil {
				return err
			}
		}
	}
	return nil
}

// addFile looks at an entry of the open folder f, never at a path.
func addFile(list *[]store.Info, f *os.File, e fs.DirEntry, name string) error {
	var st unix.Stat_t
	err := unix.Fstatat(int(f.Fd()), e.Name(), &st, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, fs.ErrNotExist) || err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil // removed or replaced while we looked
	}
	if err != nil {
		return &fs.PathError{Op: "fstatat", Path: name, Err: err}
	}
	*list = append(*list, store.Info{Name: name, Size: st.Size, Stamp: stamp(&st, time.Now())})
	return nil
}

// settled is how long ago a file must have changed before it has a stamp. A
// file system's clock may tick as slowly as every 2 s (and another machine's
// may be off by more, then there is no stamp): a change within the same tick
// would leave the same times.
const settled = 3 * time.Second

// stamp is the inode with the times of the last change of bytes and of
// anything else. The latter cannot be set by a program, so that what was
// written over, also with its old time, has another stamp.
func stamp(st *unix.Stat_t, now time.Time) string {
	changed := time.Unix(st.Ctim.Unix())
	if age := now.Sub(changed); age < settled {
		return ""
	}
	b := make([]byte, 0, 24)
	b = binary.LittleEndian.AppendUint64(b, st.Ino)
	b = binary.LittleEndian.AppendUint64(b, uint64(st.Mtim.Nano()))
	return string(binary.LittleEndian.AppendUint64(b, uint64(st.Ctim.Nano())))
}
