package disk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// direntBuffers are for reading folders: one of many folders takes too much
// from the heap.
var direntBuffers = sync.Pool{New: func() any { return new([8 << 10]byte) }}

// readFolder reads the names in a folder that was just opened, sorted so that
// a walk gives whole names in bytewise order, and looks at each but those of
// which the kernel has told that they are folders. prefix is for errors.
func readFolder(fd int, prefix string) ([]entry, error) {
	room := direntBuffers.Get().(*[8 << 10]byte)
	defer direntBuffers.Put(room)
	out := make([]entry, 0, usualObjects)
	for {
		n, err := unix.ReadDirent(fd, room[:])
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return nil, &fs.PathError{Op: "readdirent", Path: prefix, Err: err}
		}
		if n <= 0 {
			break
		}
		if out, err = appendEntries(out, room[:n]); err != nil {
			return nil, &fs.PathError{Op: "readdirent", Path: prefix, Err: err}
		}
	}
	seen := out[:0]
	for _, e := range out {
		if e.kind != unix.S_IFDIR {
			ok, err := e.look(fd)
			if err != nil {
				return nil, &fs.PathError{Op: "fstatat", Path: prefix + e.name, Err: err}
			}
			if !ok {
				continue // removed while we looked
			}
		}
		if e.kind == unix.S_IFDIR {
			e.name += "/"
		}
		seen = append(seen, e)
	}
	slices.SortFunc(seen, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	return seen, nil
}

// appendEntries appends what getdents64(2) has written to buf: for each name
// the inode and an offset of 8 bytes each, the length of all in 2, the kind in
// one, and the name to a zero byte. What is not so is an error, and never a
// listing that lacks the rest.
func appendEntries(out []entry, buf []byte) ([]entry, error) {
	const lengthAt, kindAt, nameAt = 16, 18, 19
	for len(buf) > 0 {
		n := 0
		if len(buf) > nameAt {
			n = int(binary.NativeEndian.Uint16(buf[lengthAt:]))
		}
		if n <= nameAt || n > len(buf) {
			return nil, errors.New("the names in the folder cannot be understood")
		}
		inode := binary.NativeEndian.Uint64(buf)
		name, _, _ := bytes.Cut(buf[nameAt:n], []byte{0})
		e := entry{name: string(name)}
		if buf[kindAt] == unix.DT_DIR {
			e.kind = unix.S_IFDIR
		}
		if inode != 0 && e.name != "." && e.name != ".." {
			out = append(out, e)
		}
		buf = buf[n:]
	}
	return out, nil
}

// look fills in what stat(2) tells of e, which lies in the folder open as
// dir; false: it is not there.
func (e *entry) look(dir int) (ok bool, err error) {
	var st unix.Stat_t
	err = unix.Fstatat(dir, e.name, &st, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	e.kind, e.size, e.inode = st.Mode&unix.S_IFMT, st.Size, st.Ino
	e.written, e.changed = st.Mtim.Nano(), st.Ctim.Nano()
	return err == nil, err
}
