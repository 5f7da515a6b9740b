package sftp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/pkg/sftp"

	"pgvault/vault/store"
	"pgvault/vault/store/remote"
)

// regular looks at a published object: ErrNotExist where there is none, an
// error that refuses it where it is no ordinary file.
func (s *SFTP) regular(ctx context.Context, c *session, name string) (fs.FileInfo, error) {
	if err := s.way(ctx, c, name); err != nil {
		return nil, err
	}
	fi, err := c.lstat(ctx, c.at(name))
	switch {
	case err != nil:
		if errors.Is(err, fs.ErrNotExist) {
			c.forget(name)
		}
		return nil, err
	case fi.Mode()&fs.ModeSymlink != 0:
		return nil, s.symlink(name)
	case fi.IsDir():
		return nil, fs.ErrNotExist
	case !fi.Mode().IsRegular():
		return nil, s.notFile(name, fi.Mode())
	}
	return fi, nil
}

// Stat implements store.Store.
func (s *SFTP) Stat(ctx context.Context, name string) (store.Info, error) {
	if err := store.ValidName(name); err != nil {
		return store.Info{}, err
	}
	info := store.Info{Name: name}
	err := s.with(ctx, func(ctx context.Context, c *session, _ bool) error {
		fi, err := s.regular(ctx, c, name)
		if err == nil {
			info.Size = fi.Size()
		}
		return err
	})
	if err != nil {
		return store.Info{}, s.fault("look at", name, err)
	}
	return info, nil
}

// Open implements store.Store: it reads ahead, and reads on over another
// connection when one breaks.
func (s *SFTP) Open(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	if err := store.ValidName(name); err != nil {
		return nil, err
	}
	if offset < 0 {
		return nil, fmt.Errorf("%s: %s: negative offset %d", s, name, offset)
	}
	retry := s.retry
	retry.Stall = s.time.silent
	r, err := remote.NewReader(ctx, retry, func(ctx context.Context, offset, length int64) (io.ReadCloser, int64, error) {
		return s.body(ctx, name, offset, length)
	}, offset, length)
	if err != nil {
		return nil, s.fault("open", name, err)
	}
	return &reader{r, s, name}, nil
}

// reader gives errors of reading their four lines.
type reader struct {
	*remote.Reader
	s    *SFTP
	name string
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil && err != io.EOF {
		err = r.s.fault("read", r.name, err)
	}
	return n, err
}

// body opens a range once, on the connection that there is.
func (s *SFTP) body(ctx context.Context, name string, offset, length int64) (io.ReadCloser, int64, error) {
	c, err := s.session(ctx)
	if err != nil {
		return nil, 0, err
	}
	fi, err := s.regular(ctx, c, name)
	if err == nil {
		var f *sftp.File
		if f, err = c.open(ctx, c.at(name), 0); err == nil {
			left := max(0, fi.Size()-offset)
			if length >= 0 {
				left = min(left, length)
			}
			return newAhead(ctx, c, f, offset, left), left, nil
		}
	}
	if !errors.Is(err, errLost) {
		err = remote.Permanent(err)
	}
	return nil, 0, err
}
