package sftp

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/pkg/sftp"

	"pgvault/vault/store"
)

// Remove implements store.Store. A folder that is empty afterwards goes too.
func (s *SFTP) Remove(ctx context.Context, name string) error {
	if err := store.ValidName(name); err != nil {
		return err
	}
	dir, _ := split(name)
	err := s.with(ctx, func(ctx context.Context, c *session, again bool) error {
		if _, err := s.regular(ctx, c, name); err != nil {
			if again && errors.Is(err, fs.ErrNotExist) { // the answer was lost
				return c.syncFolder(ctx, c.at(dir))
			}
			return err
		}
		if err := c.do(ctx, func() error { return c.unlink(c.at(name)) }); err != nil {
			return err
		}
		if err := c.syncFolder(ctx, c.at(dir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return c.tidy(ctx, dir)
	})
	if err != nil {
		return s.fault("remove", name, err)
	}
	return nil
}

// tidy removes a folder in which nothing is left. It is not asked of a server
// to refuse that for others: it is looked at before.
func (c *session) tidy(ctx context.Context, dir string) error {
	if dir == "" {
		return nil
	}
	left, err := ask(ctx, c, c.time.answer, func() ([]fs.FileInfo, error) { return c.ftp.ReadDir(c.at(dir)) }, nil)
	if err == nil && len(left) == 0 {
		c.forget(dir + "/")
		err = c.do(ctx, func() error { return c.ftp.RemoveDirectory(c.at(dir)) })
	}
	if errors.Is(err, errLost) || ctx.Err() != nil {
		return err
	}
	return nil // an empty folder is no object
}

// Free implements store.Store.
func (s *SFTP) Free(ctx context.Context) (int64, error) {
	free, _, err := s.Capacity(ctx)
	return free, err
}

// Capacity implements store.Capacity; -1 from a server without
// statvfs@openssh.com.
func (s *SFTP) Capacity(ctx context.Context) (free, total int64, err error) {
	err = s.with(ctx, func(ctx context.Context, c *session, _ bool) error {
		free, total, _, err = c.space(ctx)
		return err
	})
	if err != nil {
		return -1, -1, s.fault("look at the free space of", "", err)
	}
	return free, total, nil
}

// space gives free and total bytes of the place's file system and the inodes
// that are left, each -1 when unknown.
func (c *session) space(ctx context.Context) (free, total, inodes int64, err error) {
	if !c.has("statvfs@openssh.com") {
		return -1, -1, -1, nil
	}
	st, err := ask(ctx, c, c.time.answer, func() (*sftp.StatVFS, error) { return c.ftp.StatVFS(c.at("")) }, nil)
	if err != nil {
		return -1, -1, -1, err
	}
	inodes = -1
	if st.Files > 0 {
		inodes = int64(st.Favail)
	}
	return int64(st.Bavail * st.Frsize), int64((st.Blocks - st.Bfree + st.Bavail) * st.Frsize), inodes, nil
}

// Unfinished implements store.Unfinished: the temporary files, with the time
// of their last change.
func (s *SFTP) Unfinished(ctx context.Context) ([]store.Upload, error) {
	found, err := s.scan(ctx, "")
	if err != nil {
		return nil, err
	}
	var out []store.Upload
	for _, e := range found {
		if e.temp {
			out = append(out, store.Upload{ID: e.name, Started: e.fi.ModTime(), Size: e.fi.Size()})
		}
	}
	return out, nil
}

// Discard implements store.Unfinished.
func (s *SFTP) Discard(ctx context.Context, u store.Upload) error {
	dir, base := split(u.ID)
	if !strings.HasPrefix(base, store.TempPrefix) || dir != "" && store.ValidName(dir) != nil || store.ValidName("x"+base) != nil {
		return fmt.Errorf("%s: %.80q is no temporary file of pgvault", s, u.ID)
	}
	err := s.with(ctx, func(ctx context.Context, c *session, _ bool) error {
		if err := s.way(ctx, c, u.ID); errors.Is(err, fs.ErrNotExist) {
			return nil
		} else if err != nil {
			return err
		}
		if err := c.remove(ctx, c.at(u.ID)); err != nil {
			return err
		}
		return c.tidy(ctx, dir)
	})
	if err != nil {
		return s.fault("remove", u.ID, err)
	}
	return nil
}

// Promises implements store.Promising.
func (s *SFTP) Promises(ctx context.Context) (store.Promises, error) {
	p := store.Promises{Compared: "SHA-256, by the server's own openssl or sha256sum, or by reading all of it back, before it gets its name"}
	err := s.with(ctx, func(ctx context.Context, c *session, _ bool) error {
		if err := s.publishing(ctx, c); err != nil {
			return err
		}
		p.NoOverwrite = "O_EXCL and hard link"
		if c.way == byRename {
			p.NoOverwrite = "rename, which this server refuses for a taken name (tried with two files)"
		}
		p.Durable = "fsync of file and folders, on the server"
		if !c.has("fsync@openssh.com") {
			p.Durable = "unknown: this server has no fsync@openssh.com"
		}
		return nil
	})
	if err != nil {
		return store.Promises{}, s.fault("try out", "", err)
	}
	return p, nil
}

// ServerTime implements store.Clock: SFTP tells no time, so a temporary file
// is made and its time taken, in whole seconds.
func (s *SFTP) ServerTime(ctx context.Context) (now time.Time, err error) {
	err = s.with(ctx, func(ctx context.Context, c *session, _ bool) error {
		path := c.at(store.TempPrefix + rand.Text())
		if err := c.put(ctx, path, "time"); err != nil {
			return errors.Join(s.full(ctx, c, 0, err), c.remove(ctx, path))
		}
		fi, err := c.lstat(ctx, path)
		if err == nil {
			now = fi.ModTime()
		}
		return errors.Join(err, c.remove(ctx, path))
	})
	if err != nil {
		return time.Time{}, s.fault("ask for the time of", "", err)
	}
	return now, nil
}
