package disk

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"pgvault/vault/store"
)

// ReadFolder implements store.FolderReader: the way to the folder is gone
// once for all its objects.
func (d *Disk) ReadFolder(ctx context.Context, folder string, want []store.Info) (map[string][]byte, error) {
	if err := store.ValidPrefix(folder); err != nil {
		return nil, err
	}
	dir, err := d.openFolder(strings.TrimSuffix(folder, "/"))
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return nil, ctx.Err()
	case err != nil:
		return nil, d.fault("read", folder, 0, err)
	}
	defer unix.Close(dir)
	out := make(map[string][]byte, len(want))
	for _, o := range want {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if store.ValidName(folder+o.Name) != nil || strings.Contains(o.Name, "/") {
			continue
		}
		if data, ok := readSmall(dir, o.Name, o.Size); ok {
			out[o.Name] = data
		}
	}
	return out, nil
}

// openFolder opens a folder of the place, following no symbolic link. The
// kernel can do that in one step; where it refuses, for whatever reason, each
// element is looked at, and that tells the reason.
func (d *Disk) openFolder(name string) (fd int, err error) {
	how := unix.OpenHow{Flags: unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS}
	if name != "" {
		if fd, err = unix.Openat2(int(d.top.Fd()), name, &how); err == nil {
			return fd, nil
		}
	}
	c, err := d.folders(name, false)
	if err != nil {
		return -1, err
	}
	defer c.close()
	f, err := c.last().Open(".")
	if err != nil {
		return -1, err
	}
	defer f.Close()
	return unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
}

// readSmall reads a whole file of size bytes. What is no ordinary file, has
// another size, is gone, a link or gives an error is not read: the caller
// asks for it one by one, and is told why.
func readSmall(dir int, name string, size int64) ([]byte, bool) {
	// O_NONBLOCK: should it be a pipe, do not wait on it.
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, false
	}
	defer unix.Close(fd)
	data := make([]byte, size+1) // one more tells that it has grown
	read := 0
	for read < len(data) {
		n, err := unix.Pread(fd, data[read:], int64(read)) // fails on a pipe
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return nil, false
		}
		read += n
		if n == 0 || read == int(size) {
			break
		}
	}
	return data[:size:size], read == int(size)
}
