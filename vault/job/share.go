package job

import (
	"errors"
	"hash/fnv"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"pgvault/fault"
)

// Read says that this process reads one thing, named by what, of those that
// the lock file name in dir stands for. Several may read at once; Alone is
// refused meanwhile. The function returned ends it, as does the end of the
// process.
//
// The locks are open file description locks (fcntl) on one byte of the file
// for each thing: no file is needed for each, and they do not meet the locks
// of Lock.
func Read(dir, name, what string) (func(), error) {
	f, err := lockByte(dir, name, what, unix.F_RDLCK)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return nil, &fault.Error{Op: "lock", What: what + " is being deleted", Why: "another process holds " + filepath.Join(dir, name+".read"),
			Left: "nothing was started", Do: "take another archive", Code: fault.Running}
	}
	if err != nil {
		return nil, stateError(dir, err)
	}
	return func() { _ = f.Close() }, nil
}

// Alone says that no process reads the thing, and that none can begin to
// before the function returned is called; fault.Running when one does.
func Alone(dir, name, what string) (func(), error) {
	f, err := lockByte(dir, name, what, unix.F_WRLCK)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return nil, &fault.Error{Op: "lock", What: what + " is in use", Why: "a job reads it, and holds " + filepath.Join(dir, name+".read"),
			Left: "that job goes on; nothing was changed", Do: "wait for it: pgvault job list", Code: fault.Running}
	}
	if err != nil {
		return nil, stateError(dir, err)
	}
	return func() { _ = f.Close() }, nil
}

func lockByte(dir, name, what string, kind int16) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, name+".read"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(what))
	l := unix.Flock_t{Type: kind, Whence: io.SeekStart, Start: int64(h.Sum64() >> 2), Len: 1}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &l); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}
