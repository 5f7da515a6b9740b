package sftp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/pkg/sftp"

	"pgvault/vault/store"
)

// OpenAt implements store.RandomAccess: one open file for all reads, opened
// again when its connection breaks.
func (s *SFTP) OpenAt(ctx context.Context, name string) (store.ReadAtCloser, error) {
	if err := store.ValidName(name); err != nil {
		return nil, err
	}
	r := &readerAt{ctx: ctx, s: s, name: name}
	err := s.with(ctx, func(ctx context.Context, c *session, _ bool) error {
		_, err := r.file(ctx, c)
		return err
	})
	if err != nil {
		return nil, s.fault("open", name, err)
	}
	return r, nil
}

type readerAt struct {
	ctx  context.Context
	s    *SFTP
	name string

	mu sync.Mutex
	on *session
	f  *sftp.File
}

// file gives the handle on a connection.
func (r *readerAt) file(ctx context.Context, c *session) (*sftp.File, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.on == c {
		return r.f, nil
	}
	if _, err := r.s.regular(ctx, c, r.name); err != nil {
		return nil, err
	}
	f, err := c.open(ctx, c.at(r.name), 0)
	if err == nil {
		r.on, r.f = c, f
	}
	return f, err
}

// ReadAt implements io.ReaderAt.
func (r *readerAt) ReadAt(p []byte, off int64) (n int, err error) {
	err = r.s.with(r.ctx, func(ctx context.Context, c *session, _ bool) error {
		f, err := r.file(ctx, c)
		if err != nil {
			return err
		}
		n, err = readAt(ctx, c, f, p, off)
		return err
	})
	if err != nil && err != io.EOF {
		err = r.s.fault("read", r.name, err)
	}
	return n, err
}

// readAt fills p, all pieces of it at once; io.EOF where the file ends
// before.
func readAt(ctx context.Context, c *session, f *sftp.File, p []byte, off int64) (n int, err error) {
	type part struct {
		n   int
		err error
	}
	var parts []chan part
	for at := 0; at < len(p); at += c.packet {
		answer := make(chan part, 1)
		parts = append(parts, answer)
		piece := p[at:min(at+c.packet, len(p))]
		go func() {
			got, err := f.ReadAt(piece, off+int64(at))
			answer <- part{got, c.judge(err)}
		}()
	}
	for _, answer := range parts { // all of them: p is the caller's again afterwards
		a := <-answer
		if err == nil {
			n, err = n+a.n, a.err
		}
	}
	if cerr := ctx.Err(); cerr != nil && err != nil {
		err = cerr
	}
	return n, err
}

// Close closes the handle.
func (r *readerAt) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.f != nil && !r.on.gone() {
		go r.f.Close() // read from only
	}
	r.f, r.on = nil, nil
	return nil
}

// folderAtOnce is how many small objects ReadFolder reads at a time.
const folderAtOnce = 16

// ReadFolder implements store.FolderReader.
func (s *SFTP) ReadFolder(ctx context.Context, folder string, want []store.Info) (map[string][]byte, error) {
	if err := store.ValidPrefix(folder); err != nil {
		return nil, err
	}
	out := make(map[string][]byte, len(want))
	err := s.with(ctx, func(ctx context.Context, c *session, _ bool) error {
		var mu sync.Mutex
		return each(ctx, folderAtOnce, want, func(o store.Info) error {
			if store.ValidName(folder+o.Name) != nil {
				return nil
			}
			data, err := c.small(ctx, s, folder+o.Name, o.Size)
			if errors.Is(err, errLost) || ctx.Err() != nil {
				return err
			}
			if err == nil { // else it is left out, and Open tells why
				mu.Lock()
				defer mu.Unlock()
				out[o.Name] = data
			}
			return nil
		})
	})
	if err != nil {
		return nil, s.fault("read", folder, err)
	}
	return out, nil
}

// small reads a whole object of a known size.
func (c *session) small(ctx context.Context, s *SFTP, name string, size int64) ([]byte, error) {
	if _, err := s.regular(ctx, c, name); err != nil {
		return nil, err
	}
	f, err := c.open(ctx, c.at(name), 0)
	if err != nil {
		return nil, err
	}
	defer func() { go f.Close() }() // read from only
	data := make([]byte, size+1)
	n, err := readAt(ctx, c, f, data, 0)
	if err != io.EOF || int64(n) != size {
		return nil, errors.Join(err, fmt.Errorf("%s has another size", name))
	}
	return data[:n], nil
}

// each calls f for all of them, n at a time, until one fails.
func each[T any](ctx context.Context, n int, all []T, f func(T) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	turn := make(chan struct{}, n)
	var busy sync.WaitGroup
	for _, v := range all {
		select {
		case turn <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
		busy.Go(func() {
			defer func() { <-turn }()
			if err := f(v); err != nil {
				cancel(err)
			}
		})
	}
	busy.Wait()
	return context.Cause(ctx)
}
