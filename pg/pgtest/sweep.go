package pgtest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	tempPrefix = "pgvault-pg-"
	lockName   = "owner.lock"
)

// lock marks the directory as in use for as long as this process lives: the
// kernel gives the lock up even after SIGKILL. The file gets its name when it
// is locked already, so that Sweep never finds one that is about to be.
func (c *Cluster) lock() error {
	name := filepath.Join(c.Dir, lockName)
	f, err := os.OpenFile(name+".new", os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("the lock of the private cluster: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		err = os.Rename(name+".new", name)
	}
	if err != nil {
		f.Close()
		return fmt.Errorf("the lock of the private cluster: %w", err)
	}
	c.owner = f
	return nil
}

// Sweep removes what clusters of killed processes left in the directory for
// temporary files: it may be the rows of a restored database. Start calls it;
// so should a run that begins after one that ended badly. Clusters that are
// in use, and directories of other users, are left alone. It gives the paths
// that it removed.
func Sweep() (removed []string, err error) {
	cred, _, err := serverUser()
	if err != nil {
		return nil, err
	}
	owner := os.Geteuid()
	if cred != nil {
		owner = int(cred.Uid)
	}
	for _, base := range []string{os.TempDir(), "/tmp"} {
		dirs, _ := filepath.Glob(filepath.Join(base, tempPrefix+"*"))
		for _, dir := range dirs {
			gone, e := sweep(dir, owner)
			if gone {
				removed = append(removed, dir)
			}
			err = errors.Join(err, e)
		}
	}
	return removed, err
}

func sweep(dir string, owner int) (bool, error) {
	st, err := os.Lstat(dir)
	if err != nil || !st.IsDir() {
		return false, nil
	}
	if sys, ok := st.Sys().(*syscall.Stat_t); !ok || int(sys.Uid) != owner {
		return false, nil
	}
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|unix.O_NOFOLLOW, 0)
	if err != nil {
		return false, nil // it is just being made, or not ours
	}
	defer f.Close()
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		return false, nil
	}
	// The lock goes last: a server that is still dying may hinder the removal,
	// and the next Sweep must find the directory again.
	err = os.RemoveAll(filepath.Join(dir, "data"))
	if err == nil {
		err = os.RemoveAll(dir)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("the left-over cluster %s: %w", dir, err)
	}
	return true, nil
}
