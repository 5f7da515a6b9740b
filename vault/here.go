package vault

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// Screens that are open on a vault find each other by locks that only say
// "here": each holds a shared one on the byte of its own process id in the file
// "screens" of the state folder. The kernel lets go of it when the process ends,
// however it ends; a reader may hold it as well as the owner, so that members
// of the group are seen too; and nobody waits for it, since nobody ever asks
// for one that is not shared. The file stays empty.

// screensFile is in the state folder.
const screensFile = "screens"

// screensMost bounds how many are looked for.
const screensMost = 64

// Screens tells whose other screens are open on this vault, in the order of
// their processes, each by the name of who logged in there ("" where that
// cannot be seen), and from now on tells the others of this process. It is for
// the header of a screen: where the state folder cannot be used it knows of
// nobody.
func (v *Vault) Screens() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.here == nil {
		v.here = v.enterScreens()
	}
	if v.here == nil {
		return nil
	}
	var pids []int
	for at := int64(0); len(pids) < screensMost; {
		l := unix.Flock_t{Type: unix.F_WRLCK, Start: at} // would conflict with any; it is only asked for
		if err := fcntlAgain(v.here, unix.F_GETLK, &l); err != nil || l.Type == unix.F_UNLCK {
			break
		}
		pids = append(pids, int(l.Pid))
		if l.Len <= 0 || l.Start > math.MaxInt64-l.Len {
			break
		}
		at = l.Start + l.Len
	}
	slices.Sort(pids)
	names := make([]string, len(pids))
	for i, pid := range pids {
		names[i] = whoRuns(pid)
	}
	return names
}

// enterScreens opens the file and takes this process's lock; the owner makes
// the file where it is missing. nil: not now. The folder must be there.
func (v *Vault) enterScreens() *os.File {
	path := filepath.Join(v.c.StateDir, screensFile)
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if errors.Is(err, os.ErrNotExist) && v.writable() == nil {
		mode := os.FileMode(0o600)
		if v.stateShared() {
			mode = 0o640
		}
		if f, err = os.OpenFile(path, os.O_RDONLY|os.O_CREATE|unix.O_NOFOLLOW, mode); err == nil {
			err = f.Chmod(mode) // whatever the umask
		}
	}
	if err == nil {
		err = fcntlAgain(f, unix.F_SETLK, &unix.Flock_t{Type: unix.F_RDLCK, Start: int64(os.Getpid()), Len: 1})
	}
	if err != nil {
		f.Close() // a nil File is closed with an error, which says nothing here
		return nil
	}
	return f
}

func fcntlAgain(f *os.File, cmd int, l *unix.Flock_t) error {
	for {
		err := unix.FcntlFlock(f.Fd(), cmd, l)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// whoRuns is the person behind a process: who logged in, which stays true
// behind sudo, else the process's user. "" where neither can be seen, as for a
// process of another host or container.
func whoRuns(pid int) string {
	if pid <= 0 {
		return ""
	}
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	src, err := os.ReadFile(filepath.Join(dir, "loginuid"))
	if id, perr := strconv.ParseUint(string(bytes.TrimSpace(src)), 10, 32); err == nil && perr == nil && id != math.MaxUint32 {
		return userName(int(id))
	}
	src, err = os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return ""
	}
	for _, l := range bytes.Split(src, []byte("\n")) {
		if rest, ok := bytes.CutPrefix(l, []byte("Uid:")); ok {
			if f := bytes.Fields(rest); len(f) > 0 {
				if uid, err := strconv.Atoi(string(f[0])); err == nil {
					return userName(uid)
				}
			}
		}
	}
	return ""
}
