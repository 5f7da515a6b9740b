package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"pgvault/fault"
	"pgvault/safetext"
	"pgvault/vault/store"
)

var (
	noSpace     = []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG}
	unreachable = []error{
		syscall.EACCES, syscall.EPERM, syscall.EROFS, syscall.EIO, syscall.ESTALE, syscall.ENODEV,
		syscall.ENXIO, syscall.ENOTCONN, syscall.EHOSTDOWN, syscall.ETIMEDOUT,
	}
	noHandles = []error{syscall.EMFILE, syscall.ENFILE}
)

func anyOf(err error, list []error) bool {
	for _, e := range list {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// fault gives an error its four lines. did completes "cannot …", name is the
// object or "", written counts the bytes of it that got through. A context's
// error and a missing or taken name stay what they are: their caller knows
// what they mean.
func (d *Disk) fault(did, name string, written int64, err error) error {
	var already *fault.Error
	switch {
	case err == nil || errors.As(err, &already):
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, store.ErrNotExist), errors.Is(err, store.ErrExist):
		return fmt.Errorf("%s: %s: %w", d, name, err)
	}
	object := d.path
	if name != "" {
		object += "/" + name
	}
	f := &fault.Error{
		Op: "place", Code: fault.Failed, Err: err,
		What: fmt.Sprintf("cannot %s %s", did, object),
		Why:  err.Error(),
		Left: "What lay in the place before is unchanged; nothing new is visible.",
		Do:   "Look at the system log for this disk, then run again.",
	}
	switch {
	case anyOf(err, noSpace):
		f.Code = fault.NoSpace
		f.Why = d.spaceReport(written, err)
		f.Do = "Make room in " + d.path + " or raise the limit named above, then run again."
	case anyOf(err, unreachable):
		f.Code = fault.PlaceUnreachable
		if errors.Is(err, syscall.EIO) {
			break // the disk itself: the log says more
		}
		f.Do = "See that the disk is mounted writable and that this user may use it: ls -ld " + safetext.Word(d.path)
	case anyOf(err, noHandles):
		f.Do = "Raise the limit of open files (ulimit -n, LimitNOFILE=), then run again."
	}
	return f
}

// spaceReport says what was full, with the numbers that are known.
func (d *Disk) spaceReport(written int64, err error) string {
	got := fmt.Sprintf("%d bytes were written, then: ", written)
	switch {
	case errors.Is(err, syscall.EDQUOT):
		return got + "disk quota exceeded"
	case errors.Is(err, syscall.EFBIG):
		return got + "file too large for the file system or the process's limit (ulimit -f)"
	}
	st, serr := d.statfs(context.Background())
	switch {
	case serr != nil:
		return got + "no space left on the device"
	case st.Files > 0 && st.Ffree == 0:
		return got + fmt.Sprintf("no inodes left on the device (%d bytes are free)", int64(st.Bavail)*st.Bsize)
	}
	return got + fmt.Sprintf("no space left on the device (%d of %d bytes are free)",
		int64(st.Bavail)*st.Bsize, int64(st.Blocks)*st.Bsize)
}

// symlink refuses a symbolic link below the root.
func (d *Disk) symlink(name string) error {
	return &fault.Error{
		Op: "place", Code: fault.Refused,
		What: fmt.Sprintf("refused to follow %s/%s", d.path, name),
		Why:  "it is a symbolic link; pgvault never makes one in a place",
		Left: "What it points to was neither read nor changed.",
		Do:   "Find out who made it (ls -l " + safetext.Word(d.path+"/"+name) + "), then remove it.",
	}
}

// notFile refuses what is neither a file nor a folder nor a symbolic link.
func (d *Disk) notFile(name string, mode fs.FileMode) error {
	return &fault.Error{
		Op: "place", Code: fault.Refused,
		What: fmt.Sprintf("refused to use %s/%s", d.path, name),
		Why:  fmt.Sprintf("it is no ordinary file (%s)", mode.Type()),
		Left: "It was neither read nor changed.",
		Do:   "Find out who made it (ls -l " + safetext.Word(d.path+"/"+name) + "), then remove it.",
	}
}

// openFault says why the place's folder itself cannot be used.
func openFault(path string, err error) error {
	f := &fault.Error{
		Op: "place", Code: fault.PlaceUnreachable, Err: err,
		What: "the folder " + path + " cannot be used as a place",
		Why:  err.Error(),
		Left: "Nothing was changed.",
		Do:   "See that its disk is mounted and that this user may use it: ls -ld " + safetext.Word(path),
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.Why = "it does not exist"
		f.Do = "Mount its disk; or, for a new vault: mkdir -m 0700 " + safetext.Word(path) +
			"; pgvault init --place " + safetext.Word("file:"+path)
	case errors.Is(err, syscall.ENOTDIR):
		f.Why = "it, or something above it, is not a folder"
		f.Do = "Choose another path."
	case anyOf(err, noSpace):
		f.Code = fault.NoSpace
		f.Do = "Make room on that disk, then run again."
	}
	return f
}
