package vault

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"pgvault/fault"
	"pgvault/vault/archive"
	"pgvault/vault/store"
)

// spool holds parts of an archive that were fetched from a place over a
// network, still encrypted, so that they are fetched once and read often. It
// is a place to read them from; all else it passes to none. Its files have no
// name: they are gone when the process ends, however it ends.
type spool struct {
	store.Store // nil: nothing else is asked of a spool
	dir         string
	files       map[string]*os.File // by the object's name
}

// spoolSpare is what is to stay free on the disk that a spool lies on.
const spoolSpare = 64 << 20

// newSpool makes a spool for so many bytes in the state folder, nil where
// there is no room: the run then reads the place twice, and is told so.
func (v *Vault) newSpool(r *run, size int64) *spool {
	dir := filepath.Join(v.c.StateDir, "spool")
	err := v.stateFolder(dir)
	if err == nil {
		var f *os.File
		if f, err = unnamed(dir); err == nil {
			err = f.Close()
		}
	}
	if err != nil {
		r.info("the parts are fetched twice, for nothing can be kept here: " + err.Error())
		return nil
	}
	if free, ok := freeIn(dir); ok && free < size+spoolSpare {
		r.info(fmt.Sprintf("the parts are fetched twice: %s has %s free, and they take %s", dir, bytesText(free), bytesText(size)))
		return nil
	}
	return &spool{dir: dir, files: map[string]*os.File{}}
}

// freeIn gives the bytes that can still be written below dir.
func freeIn(dir string) (int64, bool) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, false
	}
	return int64(st.Bavail) * st.Bsize, true
}

// Close gives the space back.
func (s *spool) Close() error {
	if s == nil {
		return nil
	}
	for _, f := range s.files {
		_ = f.Close()
	}
	s.files = nil
	return nil
}

// take fetches a part into the spool. Only after nil does the spool hold it:
// size and SHA-256 are those of the manifest.
func (s *spool) take(ctx context.Context, o *archive.Opened, part string, read func(int64)) error {
	f, err := unnamed(s.dir)
	if err != nil {
		return s.full(err)
	}
	w := &spoolWriter{f: f}
	if err := o.FetchPart(ctx, part, w, read); err != nil {
		_ = f.Close()
		if w.err != nil {
			return s.full(w.err)
		}
		return err
	}
	s.files[o.PartName(part)] = f
	return nil
}

// unnamed makes a file without a name, for its owner only.
func unnamed(dir string) (*os.File, error) {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err == nil {
		return os.NewFile(uintptr(fd), filepath.Join(dir, "part")), nil
	}
	f, err := os.CreateTemp(dir, ".part-") // a file system without O_TMPFILE
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

type spoolWriter struct {
	f   *os.File
	err error
}

func (w *spoolWriter) Write(p []byte) (int, error) {
	n, err := w.f.Write(p)
	w.err = err
	return n, err
}

func (s *spool) full(err error) error {
	return &fault.Error{Op: "fetch", What: "a part could not be kept in " + s.dir, Why: err.Error(), Left: "the archive is as it was; nothing else was made or changed", Do: "free space there", Code: fault.NoSpace, Err: err}
}

func (s *spool) file(name string) (*os.File, int64, error) {
	f, ok := s.files[name]
	if !ok {
		return nil, 0, &fs.PathError{Op: "open", Path: name, Err: store.ErrNotExist}
	}
	fi, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	return f, fi.Size(), nil
}

// Near implements store.Near.
func (s *spool) Near() {}

// String implements store.Store.
func (s *spool) String() string { return "spool in " + s.dir }

// Stat implements store.Store.
func (s *spool) Stat(_ context.Context, name string) (store.Info, error) {
	_, size, err := s.file(name)
	return store.Info{Name: name, Size: size}, err
}

// Open implements store.Store.
func (s *spool) Open(_ context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	f, size, err := s.file(name)
	if err != nil {
		return nil, err
	}
	if length < 0 || length > size-offset {
		length = max(0, size-offset)
	}
	return io.NopCloser(io.NewSectionReader(f, offset, length)), nil
}

// OpenAt implements store.RandomAccess.
func (s *spool) OpenAt(_ context.Context, name string) (store.ReadAtCloser, error) {
	f, _, err := s.file(name)
	if err != nil {
		return nil, err
	}
	return struct {
		io.ReaderAt
		io.Closer
	}{f, io.NopCloser(nil)}, nil
}

// checkParts reads every stored byte of the parts and compares SHA-256 with
// the signed manifest. What does not agree is read once more. Where spool is
// not nil, it holds the parts afterwards.
func checkParts(ctx context.Context, r *run, o *archive.Opened, spool *spool) error {
	var before int64
	for _, p := range o.Manifest.Parts {
		err := twice(r, func() error {
			read := before
			tell := func(n int64) {
				read += n
				r.progress(func(pr *Progress) { pr.Stored, pr.Bytes, pr.BytesTotal = read, read, o.Manifest.Stored() })
			}
			if spool != nil {
				return spool.take(ctx, o, p.Name, tell)
			}
			return o.CheckPart(ctx, p.Name, tell)
		})
		if err != nil {
			return err
		}
		before += p.Size
	}
	return nil
}
