package job

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestReaderCannotRevive: who may only read a job's folder, as its group may
// in system mode, takes every lock on it that a reader can take.
func TestReaderCannotRevive(t *testing.T) {
	d := newDir(t)
	r := create(t, d, func() {})
	reader, err := os.Open(d.path(r.ID(), lockFile))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if err := unix.Flock(int(reader.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		t.Fatal(err)
	}
	if s := read(t, d, r.ID()); s.State != Running {
		t.Errorf("%+v", s)
	}
	r.ctl.close()
	r.lock.Close() // it dies
	if err := unix.FcntlFlock(reader.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_RDLCK}); err != nil {
		t.Fatal(err)
	}
	if s := read(t, d, r.ID()); s.State != Died {
		t.Errorf("a dead job is %s", s.State)
	}
}

// TestLockWithoutSpace: the name of a lock's holder cannot be written, and
// the work goes on.
func TestLockWithoutSpace(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("/dev/full", filepath.Join(dir, "a.lock")); err != nil {
		t.Fatal(err)
	}
	release, err := Lock(dir, "a", "backup of shop", "20260101T000000Z-7f3a")
	if err != nil {
		t.Fatal(err)
	}
	release()
}
