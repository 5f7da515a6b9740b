package sftp

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/pkg/sftp"

	"pgvault/fault"
	"pgvault/vault/store"
)

// publishing is how a file gets its name without replacing another one.
type publishing int

const (
	byLink   publishing = iota + 1 // hardlink@openssh.com
	byRename                       // SSH_FXP_RENAME, which was seen to refuse a taken name
)

// publishing finds out, once for a connection, how names are given: two files
// of ours in the place's folder show it.
func (s *SFTP) publishing(ctx context.Context, c *session) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known {
		return nil
	}
	way, err := s.probe(ctx, c)
	if err == nil {
		c.way, c.known = way, true
	}
	return err
}

func (s *SFTP) probe(ctx context.Context, c *session) (publishing, error) {
	a, b := c.at(store.TempPrefix+rand.Text()), c.at(store.TempPrefix+rand.Text())
	for path, text := range map[string]string{a: "a", b: "bb"} {
		if err := c.put(ctx, path, text); err != nil {
			return 0, errors.Join(s.full(ctx, c, 0, err), c.remove(ctx, a, b))
		}
	}
	free := a + "2"
	way, from := byRename, free // a is free by then
	give := c.ftp.Rename
	if c.has("hardlink@openssh.com") {
		way, from, give = byLink, a, c.ftp.Link
	}
	err := c.do(ctx, func() error { return give(a, free) })
	if err != nil {
		why := "it does not let this user rename files"
		if way == byLink {
			why = "it makes no hard links (its file system may have none), and without them its rename is not safe between two hosts"
		}
		return 0, errors.Join(s.cannotPublish(err, why), c.remove(ctx, a, b, free))
	}
	taken := c.do(ctx, func() error { return give(from, b) })
	fi, err := c.lstat(ctx, b)
	left := c.remove(ctx, a, b, free)
	switch {
	case errors.Is(taken, errLost), errors.Is(err, errLost):
		return 0, errors.Join(taken, err)
	case taken == nil, err != nil, fi.Size() != 2:
		return 0, s.cannotPublish(err, "it replaces a file whose name is taken, and has no hard links: two hosts could overwrite each other's archives")
	}
	return way, left
}

func (s *SFTP) cannotPublish(err error, why string) error {
	if errors.Is(err, errLost) {
		return err
	}
	return &fault.Error{Op: "place", What: fmt.Sprintf("%s cannot keep a vault", s), Why: why, Code: fault.Refused, Err: err,
		Left: "Nothing was changed there.", Do: "Use OpenSSH's sftp on a file system with hard links (ext4, xfs, btrfs, zfs), or another kind of place."}
}

// put makes a small file.
func (c *session) put(ctx context.Context, path, text string) error {
	f, err := c.open(ctx, path, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return err
	}
	err = c.do(ctx, func() error { _, err := f.WriteAt([]byte(text), 0); return err })
	return errors.Join(err, c.do(ctx, f.Close))
}

// finish brings the object to its name. After an error nothing is visible
// under it that this writer made.
func (w *writer) finish(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if w.have > 0 {
		if err := w.send(); err != nil {
			return err
		}
	}
	w.busy.Wait()
	if err := w.failed(w.outer); err != nil {
		return err
	}
	inner, stop := w.both(ctx)
	defer stop()
	err := w.settle(inner)
	if err == nil {
		err = w.s.with(inner, w.publish)
	}
	if err != nil && ctx.Err() == nil {
		if o := w.outer.Err(); o != nil {
			return o
		}
	}
	return err
}

// settle makes the temporary file durable and compares what it holds, where
// it can both at once. An fsync is never tried twice: the second would not
// tell of what the first one met.
func (w *writer) settle(ctx context.Context) error {
	begun, synced, summed := false, false, false
	err := w.s.with(ctx, func(ctx context.Context, c *session, _ bool) error {
		f, err := w.file.use(ctx, c)
		switch {
		case err != nil:
			return err
		case begun && !synced && c.has("fsync@openssh.com"):
			return errors.New("the connection broke while the server wrote to its disk; whether it did is not known")
		}
		begun = true
		if !synced {
			sum := w.sumMeanwhile(ctx, c)
			err := c.fsync(ctx, f)
			summed = sum(err == nil)
			if err != nil {
				return w.s.full(ctx, c, w.sent, err)
			}
		}
		synced = true
		return w.s.full(ctx, c, w.sent, c.do(ctx, f.Close))
	})
	if err != nil {
		return err
	}
	return w.s.with(ctx, func(ctx context.Context, c *session, _ bool) error {
		same, err := w.holds(ctx, c, w.file.path, summed)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return errGone
		case err == nil && !same:
			return errUnlike
		}
		return err
	})
}

// sumMeanwhile has the server sum the temporary file up, which takes its
// processor while an fsync takes its disk. The result waits for the answer,
// which is whether the sum is right; without wait it gives that up.
func (w *writer) sumMeanwhile(ctx context.Context, c *session) func(wait bool) bool {
	if w.sent < sumFrom {
		return func(bool) bool { return false }
	}
	ctx, cancel := context.WithCancel(ctx)
	answer := make(chan bool, 1)
	go func() { answer <- c.sums(ctx, w.file.path, w.sum.Sum(nil)) }()
	return func(wait bool) bool {
		defer cancel()
		return wait && <-answer
	}
}

// holds tells whether a file holds exactly what was written. summed says that
// its sum was already seen to be right.
func (w *writer) holds(ctx context.Context, c *session, path string, summed bool) (bool, error) {
	fi, err := c.lstat(ctx, path)
	if err != nil || fi.Size() != w.sent {
		return false, err
	}
	want := w.sum.Sum(nil)
	if summed || w.sent >= sumFrom && c.sums(ctx, path, want) {
		return true, nil
	}
	f, err := c.open(ctx, path, 0)
	if err != nil {
		return false, err
	}
	r := newAhead(ctx, c, f, 0, w.sent)
	defer r.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, r); err != nil {
		return false, err
	}
	return bytes.Equal(sum.Sum(nil), want), nil
}

// publish gives the settled file its name, or ErrExist. again says that an
// earlier try may have done it.
func (w *writer) publish(ctx context.Context, c *session, again bool) error {
	if err := w.s.publishing(ctx, c); err != nil {
		return err
	}
	final := c.at(w.name)
	if again {
		switch same, err := w.holds(ctx, c, final, false); {
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return err
		case same:
			return w.published(ctx, c)
		}
	}
	err := w.link(ctx, c, final)
	var status *sftp.StatusError
	switch {
	case err == nil:
		return w.published(ctx, c)
	case errors.Is(err, errLost):
		return err
	case errors.As(err, &status), errors.Is(err, fs.ErrExist):
		if _, serr := c.lstat(ctx, final); serr == nil {
			return store.ErrExist
		} else if errors.Is(serr, errLost) {
			return serr
		}
		return w.s.full(ctx, c, w.sent, err)
	}
	return err
}

func (w *writer) link(ctx context.Context, c *session, final string) error {
	if c.way == byRename {
		return c.do(ctx, func() error { return c.ftp.Rename(w.file.path, final) })
	}
	return c.do(ctx, func() error { return c.ftp.Link(w.file.path, final) })
}

// published makes the name durable and takes away the temporary one.
func (w *writer) published(ctx context.Context, c *session) error {
	dir, _ := split(w.name)
	if err := c.syncFolder(ctx, c.at(dir)); err != nil {
		if errors.Is(err, errLost) {
			return err
		}
		return errors.Join(err, c.do(context.WithoutCancel(ctx), func() error { return c.unlink(c.at(w.name)) }))
	}
	if err := c.remove(ctx, append(w.file.stray, w.file.path)...); errors.Is(err, errLost) {
		return err
	}
	return nil // a second name of the same bytes may stay: Unfinished shows it
}
