package sftp

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/pkg/sftp"

	"pgvault/vault/store"
)

// foldersAtOnce is how many folders are read at a time: a thousand of them
// over a line of 50 ms take some seconds.
const foldersAtOnce = 64

// List implements store.Store. Symbolic links, other things that are no
// files, and names that store.ValidName refuses are not objects and not
// listed. Stamps are left empty: SFTP tells a time that any program can set
// back, in whole seconds, so a changed object could have its old one.
func (s *SFTP) List(ctx context.Context, prefix string) ([]store.Info, error) {
	found, err := s.scan(ctx, prefix)
	if err != nil {
		return nil, err
	}
	objects := slices.DeleteFunc(found, func(e entry) bool { return e.temp })
	out := make([]store.Info, len(objects))
	for i, e := range objects {
		out[i] = store.Info{Name: e.name, Size: e.fi.Size()}
	}
	return out, nil
}

// entry is one file in the place.
type entry struct {
	name string
	fi   fs.FileInfo
	temp bool // its last element begins with store.TempPrefix
}

// scan gives all files below prefix, sorted by name.
func (s *SFTP) scan(ctx context.Context, prefix string) ([]entry, error) {
	if err := store.ValidPrefix(prefix); err != nil {
		return nil, err
	}
	var found []entry
	err := s.with(ctx, func(ctx context.Context, c *session, _ bool) error {
		w := &walk{ctx: ctx, c: c, turn: make(chan struct{}, foldersAtOnce)}
		w.ctx, w.cancel = context.WithCancelCause(ctx)
		defer w.cancel(nil)
		if err := s.way(ctx, c, prefix); errors.Is(err, fs.ErrNotExist) {
			found = nil
			return nil
		} else if err != nil {
			return err
		}
		w.folder(prefix)
		w.busy.Wait()
		found = w.found
		return context.Cause(w.ctx)
	})
	if err != nil {
		return nil, s.fault("list", prefix, err)
	}
	slices.SortFunc(found, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	return found, nil
}

// walk reads folders side by side.
type walk struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	c      *session
	turn   chan struct{}
	busy   sync.WaitGroup

	mu    sync.Mutex
	found []entry
}

// folder begins with the folder of a prefix and all below it.
func (w *walk) folder(prefix string) {
	w.busy.Go(func() {
		select {
		case w.turn <- struct{}{}:
		case <-w.ctx.Done():
			return
		}
		path := w.c.at(strings.TrimSuffix(prefix, "/"))
		entries, err := ask(w.ctx, w.c, w.c.time.answer, func() ([]fs.FileInfo, error) { return w.c.ftp.ReadDirContext(w.ctx, path) }, nil)
		<-w.turn
		if errors.Is(err, fs.ErrNotExist) {
			if prefix != "" {
				return // removed while we looked
			}
			err = fmt.Errorf("the place's folder is gone: %v", err)
		}
		if err != nil {
			w.cancel(err)
			return
		}
		for _, fi := range entries {
			if err := w.look(prefix, fi); err != nil {
				w.cancel(err)
				return
			}
		}
	})
}

// look takes up one entry of a folder.
func (w *walk) look(prefix string, fi fs.FileInfo) error {
	name := prefix + fi.Name()
	if st, ok := fi.Sys().(*sftp.FileStat); !ok || st.Mode&0o170000 == 0 {
		return fmt.Errorf("the server does not tell whether %s is a file or a folder", name)
	}
	switch {
	case fi.IsDir():
		if name != "lost+found" && store.ValidPrefix(name+"/") == nil {
			w.folder(name + "/")
		}
	case fi.Mode().IsRegular():
		temp := strings.HasPrefix(fi.Name(), store.TempPrefix)
		if temp || store.ValidName(name) == nil {
			w.mu.Lock()
			w.found = append(w.found, entry{name, fi, temp})
			w.mu.Unlock()
		}
	}
	return nil
}
