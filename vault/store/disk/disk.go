// Package disk is the place kind "file:": a folder on this machine, or one
// that is mounted here.
//
// # Layout
//
// An object is a file of its name below the folder, mode 0600; the folders
// between are 0700. Where the place's own folder is 0750, they are 0640
// and 0750: its group may look. All of it holds under any umask.
//
// # Publishing
//
// An object is written to a file without a name (O_TMPFILE), synced once, and
// then linked to its name: the link fails where the name is taken, and a
// process that dies leaves nothing. A file system that cannot do this gets a
// file named .partial-<random> which is then renamed without replacing. Such
// a file does stay behind when the process is killed: [Disk.Leftovers] names
// it, List never does. Afterwards the folder and all folders above it, up to
// the place's root, are synced.
//
// An fsync that failed is never tried again on that file: Linux may have
// dropped the pages, and a second one would lie.
//
// # Trust
//
// The folder must belong to the user who runs pgvault, or for who only reads
// ([OpenToRead]) to the one that is trusted, and be writable by nobody else. Every access goes through os.Root and follows no symbolic
// link below the folder.
package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"pgvault/fault"
	"pgvault/safetext"
	"pgvault/vault/store/address"
)

// The modes of what is made, in a place of one user and in one whose group
// may look.
const (
	folderMode      = 0o700
	fileMode        = 0o600
	groupFolderMode = 0o750
	groupFileMode   = 0o640
)

// Disk is one folder. It implements store.Store and store.RandomAccess.
type Disk struct {
	path  string
	root  *os.Root
	top   *os.File // the same, for calls that os.Root does not have
	group bool     // the group may look
	owner int      // user id that the folders must have
	read  bool     // nothing is written or removed

	// What the file system is taken to be able to do; tests turn these off
	// to run the fallbacks on any file system.
	noTmpfile, noRename bool
}

// Path gives the absolute folder that a URL (file:/path, file:///path, with
// %XX for odd bytes) or a plain path means. Its errors are *fault.Error with
// the code Usage.
func Path(place string) (string, error) {
	bad := func(why string) error {
		return &fault.Error{
			Op: "place", Code: fault.Usage,
			What: "this place is no folder on this machine", Why: why,
			Left: "Nothing was changed.",
			Do:   "Write it as file:/path/to/folder.",
		}
	}
	if address.HasScheme(place) {
		a, err := address.Parse(place)
		switch {
		case err != nil:
			return "", err
		case a.Scheme != address.File:
			return "", bad("it is a place of the kind " + a.Scheme)
		}
		return a.Path, nil
	}
	if place == "" || strings.ContainsRune(place, 0) {
		return "", bad("its path is empty or holds a NUL byte")
	}
	abs, err := filepath.Abs(place)
	if err != nil {
		return "", bad(err.Error())
	}
	return abs, nil
}

// Open opens an existing folder, given as a URL (file:/path) or a path. It
// refuses a folder that is not there, is no folder, belongs to another user
// or can be written by others.
func Open(place string) (*Disk, error) { return open(place, os.Geteuid(), false) }

// OpenToRead opens a folder that belongs to the user owner, whom the caller
// trusts as much as itself: all that reads works, all that changes is
// refused.
func OpenToRead(place string, owner int) (*Disk, error) { return open(place, owner, true) }

func open(place string, owner int, read bool) (*Disk, error) {
	path, err := Path(place)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, openFault(path, err)
	}
	d := &Disk{path: path, root: root, owner: owner, read: read}
	fi, err := root.Stat(".")
	if err == nil {
		d.group = fi.Mode().Perm()&0o077 == 0o050
		err = d.trusted(path, fi)
	}
	if err == nil {
		d.top, err = root.Open(".")
	}
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return d, nil
}

// Init makes the folder (mode 0700, missing parents too) where it does not
// exist, and opens it as Open does. An existing one is left as it is.
func Init(place string) (*Disk, error) {
	path, err := Path(place)
	if err != nil {
		return nil, err
	}
	var missing []string
	for p := path; ; p = filepath.Dir(p) {
		if _, err := os.Lstat(p); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		missing = append(missing, p)
	}
	for i := len(missing) - 1; i >= 0; i-- {
		if err := makeFolder(missing[i]); err != nil {
			return nil, openFault(path, err)
		}
	}
	return Open(path)
}

// makeFolder makes one folder durably, whatever the umask.
func makeFolder(path string) error {
	if err := os.Mkdir(path, folderMode); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		return err
	}
	if err := os.Chmod(path, folderMode); err != nil {
		return err
	}
	f, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(syncFolder(f), f.Close())
}

// trusted refuses a folder that others could change. As root, too: what
// another user owns, that user can replace.
func (d *Disk) trusted(path string, fi fs.FileInfo) error {
	refuse := func(why, do string) error {
		return &fault.Error{
			Op: "place", Code: fault.Refused,
			What: fmt.Sprintf("the folder %s is not safe for a vault", path), Why: why,
			Left: "Nothing was read or written there.", Do: do,
		}
	}
	st := fi.Sys().(*syscall.Stat_t)
	if uid := d.owner; int(st.Uid) != uid && d.read {
		return refuse(
			fmt.Sprintf("it belongs to %s, the vault to %s", userName(int(st.Uid)), userName(uid)),
			fmt.Sprintf("Ask %s to give it back: chown -R %s %s", userName(int(st.Uid)), userName(uid), safetext.Word(path)))
	} else if int(st.Uid) != uid {
		return refuse(
			fmt.Sprintf("it belongs to %s, pgvault runs as %s", userName(int(st.Uid)), userName(uid)),
			fmt.Sprintf("Run pgvault as %s, or give the folder away: chown -R %s %s", userName(int(st.Uid)), userName(uid), safetext.Word(path)))
	}
	if fi.Mode().Perm()&0o022 != 0 {
		return refuse(
			fmt.Sprintf("other users can write to it (mode %04o)", fi.Mode().Perm()),
			"Take that right away: chmod go-w "+safetext.Word(path))
	}
	return nil
}

// modes gives the modes of folders and files that are made here.
func (d *Disk) modes() (folder, file fs.FileMode) {
	if d.group {
		return groupFolderMode, groupFileMode
	}
	return folderMode, fileMode
}

// writable refuses what changes something in a place opened to read.
func (d *Disk) writable() error {
	if !d.read {
		return nil
	}
	return &fault.Error{
		Op: "place", Code: fault.Refused,
		What: "the place " + d.path + " was opened to look", Why: "it belongs to " + userName(d.owner),
		Left: "Nothing was changed there.", Do: "Run pgvault as " + userName(d.owner) + ".",
	}
}

// Near implements store.Near.
func (d *Disk) Near() {}

// String gives the place as a URL.
func (d *Disk) String() string { return address.Address{Scheme: address.File, Path: d.path}.String() }

// Close frees the handle on the folder. Readers and writers that are open
// stay usable.
func (d *Disk) Close() error { return errors.Join(d.top.Close(), d.root.Close()) }

// Free gives the bytes that an unprivileged user can still write.
func (d *Disk) Free(ctx context.Context) (int64, error) {
	st, err := d.statfs(ctx)
	if err != nil {
		return -1, err
	}
	return int64(st.Bavail) * st.Bsize, nil
}

// Capacity implements store.Capacity.
func (d *Disk) Capacity(ctx context.Context) (free, total int64, err error) {
	st, err := d.statfs(ctx)
	if err != nil {
		return -1, -1, err
	}
	// What is kept for root is not there for a vault: total is what df calls
	// used and available together.
	return int64(st.Bavail) * st.Bsize, int64(st.Blocks-st.Bfree+st.Bavail) * st.Bsize, nil
}

func (d *Disk) statfs(ctx context.Context) (unix.Statfs_t, error) {
	var st unix.Statfs_t
	if err := ctx.Err(); err != nil {
		return st, err
	}
	f, err := d.root.Open(".")
	if err != nil {
		return st, d.fault("look at the free space of", "", 0, err)
	}
	defer f.Close()
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return st, d.fault("look at the free space of", "", 0, os.NewSyscallError("fstatfs", err))
	}
	return st, nil
}

func userName(uid int) string {
	id := strconv.Itoa(uid)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "uid " + id
}
