package disk

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"pgvault/vault/store"
)

// chain is the way from the place's root to an object's folder, each element
// opened without following a symbolic link. chain[0] is the root.
type chain []*os.Root

// last is the object's own folder.
func (c chain) last() *os.Root { return c[len(c)-1] }

func (c chain) close() error {
	var all error
	for _, r := range c {
		all = errors.Join(all, r.Close())
	}
	return all
}

// sync makes the names in all folders of the chain durable, the deepest
// first. All, not only those made now: another process may have made one and
// died before it synced.
func (c chain) sync() error {
	for i := len(c) - 1; i >= 0; i-- {
		f, err := c[i].Open(".")
		if err != nil {
			return err
		}
		if err := errors.Join(syncFolder(f), f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// syncFolder fsyncs a folder. A file system that has no such operation says
// EINVAL or ENOTSUP; nothing more can be done there.
func syncFolder(f *os.File) error {
	err := f.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return nil
	}
	return err
}

// folders opens the way to the folder dir ("" or "a/b"). With create, missing
// ones are made, and existing ones are refused that others can change.
func (d *Disk) folders(dir string, create bool) (c chain, err error) {
	first, err := d.root.OpenRoot(".")
	if err != nil {
		return nil, err
	}
	c = chain{first}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close())
			c = nil
		}
	}()
	if dir == "" {
		return c, nil
	}
	walked := ""
	for e := range strings.SplitSeq(dir, "/") {
		walked = strings.TrimPrefix(walked+"/"+e, "/")
		next, err := d.step(c.last(), e, walked, create)
		if err != nil {
			return c, err
		}
		c = append(c, next)
	}
	return c, nil
}

// step opens the folder e inside up; walked is its name from the root.
func (d *Disk) step(up *os.Root, e, walked string, create bool) (*os.Root, error) {
	fi, err := up.Lstat(e)
	if create && errors.Is(err, fs.ErrNotExist) {
		mode, _ := d.modes()
		if err := up.Mkdir(e, mode); err == nil {
			if err := up.Chmod(e, mode); err != nil { // the umask may have taken too much
				return nil, err
			}
		} else if !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		fi, err = up.Lstat(e)
	}
	switch {
	case err != nil:
		return nil, err
	case fi.Mode()&fs.ModeSymlink != 0:
		return nil, d.symlink(walked)
	case !fi.IsDir():
		return nil, &fs.PathError{Op: "open", Path: walked, Err: syscall.ENOTDIR}
	case create:
		if err := d.trusted(d.path+"/"+walked, fi); err != nil {
			return nil, err
		}
	}
	next, err := up.OpenRoot(e)
	if err != nil {
		return nil, err
	}
	// Between Lstat and OpenRoot somebody may have put a link there.
	now, err := next.Stat(".")
	if err == nil && !os.SameFile(fi, now) {
		err = d.symlink(walked)
	}
	if err != nil {
		return nil, errors.Join(err, next.Close())
	}
	return next, nil
}

// parent opens the folder of an object that is to be read or removed, and
// gives its name in there. Where the folder is missing, or is a file, the
// object does not exist.
func (d *Disk) parent(name string) (chain, string, error) {
	if err := store.ValidName(name); err != nil {
		return nil, "", err
	}
	dir, base := split(name)
	c, err := d.folders(dir, false)
	if errors.Is(err, syscall.ENOTDIR) {
		err = store.ErrNotExist
	}
	return c, base, err
}

func split(name string) (dir, base string) {
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		return name[:i], name[i+1:]
	}
	return "", name
}

// regular looks at an object without following a link. A folder is not an
// object.
func (d *Disk) regular(dir *os.Root, base, name string) (fs.FileInfo, error) {
	fi, err := dir.Lstat(base)
	switch {
	case err != nil:
		return nil, err
	case fi.Mode()&fs.ModeSymlink != 0:
		return nil, d.symlink(name)
	case fi.IsDir():
		return nil, store.ErrNotExist
	case !fi.Mode().IsRegular():
		return nil, d.notFile(name, fi.Mode())
	}
	return fi, nil
}
