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
func (d *Disk) ReadFolder(ctx context.Context, folder string, names []string, max int64) (map[string][]byte, error) {
	if err := store.ValidPrefix(folder); err != nil {
		return nil, err
	}
	c, err := d.folders(strings.TrimSuffix(folder, "/"), false)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return nil, ctx.Err()
	case err != nil:
		return nil, d.fault("read", folder, 0, err)
	}
	defer c.close()
	dir, err := c.last().Open(".")
	if err != nil {
		return nil, d.fault("read", folder, 0, err)
	}
	defer dir.Close()
	out := make(map[string][]byte, len(names))
	for _, n := range names {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if store.ValidName(folder+n) != nil || strings.Contains(n, "/") {
			continue
		}
		if data, ok := readSmall(int(dir.Fd()), n, max); ok {
			out[n] = data
		}
	}
	return out, nil
}

// readSmall reads a whole file of at most max bytes. What is no ordinary
// file, too large, gone, a link or gives an error is not read: the caller
// asks for it one by one, and is told why.
func readSmall(dir int, name string, max int64) ([]byte, bool) {
	// O_NONBLOCK: should it be a pipe, do not wait on it.
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, false
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size > max {
		return nil, false
	}
	data := make([]byte, st.Size)
	for read := 0; read < len(data); {
		n, err := unix.Pread(fd, data[read:], int64(read))
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || n == 0 {
			return nil, false
		}
		read += n
	}
	return data, true
}
