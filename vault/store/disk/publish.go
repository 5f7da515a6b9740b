package disk

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"pgvault/vault/store"
)

// begin opens the object's folder and a temporary file in it.
func (w *writer) begin() error {
	if err := w.openFolders(); err != nil {
		return err
	}
	err := w.openTemp()
	if errors.Is(err, fs.ErrNotExist) { // the empty folder was removed meanwhile
		if err = w.openFolders(); err != nil {
			return err
		}
		err = w.openTemp()
	}
	if err != nil {
		return errors.Join(err, w.dirs.close())
	}
	return nil
}

// openFolders makes and opens the way to the object, replacing an older one.
func (w *writer) openFolders() error {
	dir, base := split(w.name)
	c, err := w.d.folders(dir, true)
	if errors.Is(err, fs.ErrNotExist) { // lost a race with a removal
		c, err = w.d.folders(dir, true)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("its folder is being removed again and again: %v", err)
	}
	if err != nil {
		return err
	}
	if w.dirs != nil {
		_ = w.dirs.close()
	}
	w.dirs, w.base = c, base
	return nil
}

// openTemp opens a file without a name, or else one named .partial-….
func (w *writer) openTemp() error {
	dir := w.dirs.last()
	if !w.d.noTmpfile {
		f, err := dir.OpenFile(".", os.O_WRONLY|unix.O_TMPFILE, fileMode)
		if err == nil {
			if linkable(f) {
				w.file = f
				return nil
			}
			err = errors.Join(syscall.EOPNOTSUPP, f.Close())
		}
		// The file system, or a /proc that is not there, cannot do it.
		if !anyOf(err, []error{syscall.EOPNOTSUPP, syscall.EISDIR, syscall.EINVAL, syscall.ENOSYS}) {
			return err
		}
	}
	temp := store.TempPrefix + rand.Text()
	f, err := dir.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return err
	}
	w.file, w.temp = f, temp
	return nil
}

// procPath is the name under which a file without a name can be linked.
func procPath(f *os.File) string { return fmt.Sprintf("/proc/self/fd/%d", f.Fd()) }

func linkable(f *os.File) bool {
	var a, b unix.Stat_t
	return unix.Fstat(int(f.Fd()), &a) == nil && unix.Stat(procPath(f), &b) == nil && a.Ino == b.Ino && a.Dev == b.Dev
}

// finish brings the object from the buffer to its name. After an error
// nothing is visible under it that this writer made.
func (w *writer) finish(ctx context.Context) error {
	if err := ended(ctx, w.ctx); err != nil {
		return err
	}
	if err := w.buf.Flush(); err != nil {
		return err
	}
	_, mode := w.d.modes()
	if err := w.file.Chmod(mode); err != nil { // the umask may have taken too much
		return err
	}
	if err := w.file.Sync(); err != nil {
		return err // dead: never a second fsync on this file
	}
	// Who reads it back is to see the disk, not the page cache.
	_ = unix.Fadvise(int(w.file.Fd()), 0, 0, unix.FADV_DONTNEED)
	mine, err := w.file.Stat()
	if err != nil {
		return err
	}
	if err := ended(ctx, w.ctx); err != nil {
		return err
	}
	if err := w.publish(mine); err != nil {
		return err
	}
	w.temp = ""
	if err := errors.Join(w.file.Close(), w.dirs.sync()); err != nil {
		return errors.Join(err, w.withdraw(mine))
	}
	return nil
}

func ended(a, b context.Context) error {
	if err := a.Err(); err != nil {
		return err
	}
	return b.Err()
}

// publish gives the synced file its name, or ErrExist.
func (w *writer) publish(mine fs.FileInfo) error {
	var err error
	if w.temp != "" {
		err = w.publishNamed()
	} else {
		err = w.linkUnnamed()
		if errors.Is(err, fs.ErrNotExist) { // the empty folder was removed meanwhile
			if err = w.openFolders(); err == nil {
				err = w.linkUnnamed()
			}
		}
	}
	if errors.Is(err, fs.ErrExist) {
		// Over NFS a repeated request finds the name that the first one made.
		if there, serr := w.dirs.last().Lstat(w.base); serr == nil && os.SameFile(there, mine) {
			return nil
		}
		return store.ErrExist
	}
	return err
}

// linkUnnamed links the O_TMPFILE; linkat never replaces a name.
func (w *writer) linkUnnamed() error {
	dir, err := w.dirs.last().Open(".")
	if err != nil {
		return err
	}
	err = unix.Linkat(unix.AT_FDCWD, procPath(w.file), int(dir.Fd()), w.base, unix.AT_SYMLINK_FOLLOW)
	return errors.Join(os.NewSyscallError("linkat", err), dir.Close())
}

// publishNamed renames .partial-… without replacing. Where the file system
// does not know that (NFS), a link and an unlink do the same in two steps.
func (w *writer) publishNamed() error {
	dir := w.dirs.last()
	if !w.d.noRename {
		f, err := dir.Open(".")
		if err != nil {
			return err
		}
		fd := int(f.Fd())
		err = unix.Renameat2(fd, w.temp, fd, w.base, unix.RENAME_NOREPLACE)
		_ = f.Close()
		if !anyOf(err, []error{syscall.EINVAL, syscall.ENOSYS, syscall.EOPNOTSUPP}) {
			return os.NewSyscallError("renameat2", err)
		}
	}
	if err := dir.Link(w.temp, w.base); err != nil {
		return err
	}
	_ = dir.Remove(w.temp) // a second name of the same bytes; Leftovers shows it
	return nil
}

// withdraw takes back a name that could not be made durable.
func (w *writer) withdraw(mine fs.FileInfo) error {
	dir := w.dirs.last()
	there, err := dir.Lstat(w.base)
	if err != nil || !os.SameFile(there, mine) {
		return nil // not ours any more
	}
	return dir.Remove(w.base)
}
