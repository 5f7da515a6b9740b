package config

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"pgvault/fault"
)

// Digest is the SHA-256 of a file's bytes in hex; of what is read from a file
// that is to be replaced later, it says whether somebody changed it meanwhile.
func Digest(src []byte) string {
	sum := sha256.Sum256(src)
	return hex.EncodeToString(sum[:])
}

// ErrChanged is found by errors.Is when the file is no longer what it was.
var ErrChanged = errors.New("the file was changed meanwhile")

// Replace puts data in the place of the file at path, whose content must
// still have the given digest: else nothing is written, and errors.Is finds
// ErrChanged. Mode and owner stay. Whoever reads the file sees the old text or
// the new one, never a part; after a crash, too.
func Replace(path, digest string, data []byte) error {
	return replace(path, digest, data, nil)
}

// Owner is whose a file is to be.
type Owner struct {
	UID, GID int
	Mode     fs.FileMode
}

// ReplaceFor is Replace with the owner and mode that the new file is to have,
// whatever the old one's were.
func ReplaceFor(path, digest string, data []byte, o Owner) error {
	return replace(path, digest, data, &o)
}

func replace(path, digest string, data []byte, own *Owner) error {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return storeFault(path, err)
	}
	st, err := os.Stat(real)
	if err != nil {
		return storeFault(path, err)
	}
	unlock, err := lockFolder(filepath.Dir(real))
	if err != nil {
		return storeFault(path, err)
	}
	defer unlock()
	if own == nil {
		was := st.Sys().(*syscall.Stat_t)
		own = &Owner{int(was.Uid), int(was.Gid), st.Mode().Perm()}
	}
	temp, err := writeTemp(real, data, own.Mode)
	if err != nil {
		return storeFault(path, err)
	}
	defer os.Remove(temp)
	if own.UID != os.Geteuid() || own.GID != os.Getegid() {
		if err := os.Chown(temp, own.UID, own.GID); err != nil {
			return storeFault(path, err)
		}
	}
	// Looked at last, so that the time in which a change would be lost is that
	// of one rename.
	now, err := os.ReadFile(real)
	if err != nil {
		return storeFault(path, err)
	}
	if Digest(now) != digest {
		return &fault.Error{Op: "config", What: path + " was changed meanwhile", Why: "its content is no longer what this change began with",
			Left: "Nothing was overwritten.", Do: "Look at both changes, then edit again.", Code: fault.Refused, Err: ErrChanged}
	}
	if err := os.Rename(temp, real); err != nil {
		return storeFault(path, err)
	}
	return syncDir(filepath.Dir(real))
}

// Create writes a new file: whole, or not at all. One that is there already is
// never touched; errors.Is then finds fs.ErrExist.
func Create(path string, data []byte, mode fs.FileMode) error {
	unlock, err := lockFolder(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer unlock()
	temp, err := writeTemp(path, data, mode)
	if err != nil {
		return err
	}
	defer os.Remove(temp)
	// A link fails where the name is taken, a rename would replace.
	err = os.Link(temp, path)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.ENOSYS) {
		err = unix.Renameat2(unix.AT_FDCWD, temp, unix.AT_FDCWD, path, unix.RENAME_NOREPLACE)
	}
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// lockFolder keeps other processes of pgvault from writing in the folder at
// the same time. A file system without locks goes on without.
func lockFolder(dir string) (unlock func(), err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(d.Fd()), unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	return func() { d.Close() }, nil
}

// writeTemp writes a synced file beside path. What killed processes left
// there it removes: the caller holds the folder's lock, so nobody is at it.
func writeTemp(path string, data []byte, mode fs.FileMode) (string, error) {
	mark := "." + filepath.Base(path) + ".new-"
	if names, err := os.ReadDir(filepath.Dir(path)); err == nil {
		for _, n := range names {
			if strings.HasPrefix(n.Name(), mark) {
				_ = os.Remove(filepath.Join(filepath.Dir(path), n.Name())) // at worst it stays
			}
		}
	}
	f, err := os.CreateTemp(filepath.Dir(path), mark)
	if err != nil {
		return "", err
	}
	_, err = f.Write(data)
	if err == nil {
		err = errors.Join(f.Chmod(mode), f.Sync())
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTSUP) {
		err = nil
	}
	return errors.Join(err, d.Close())
}

func storeFault(path string, err error) error {
	return &fault.Error{Op: "config", What: path + " could not be written", Left: "It is as it was.",
		Do: "See that this user may write it and its folder: ls -ld " + path + " " + filepath.Dir(path), Err: err}
}
