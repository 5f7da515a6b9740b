package sftp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"

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

// blocks are the buffers of requests, of largePacket bytes.
var blocks = sync.Pool{New: func() any { return new([largePacket]byte) }}

// ahead reads a range of one open file with several requests in flight: few
// at first, so that who wants a header does not get megabytes.
type ahead struct {
	ctx   context.Context
	c     *session
	f     *sftp.File
	next  int64 // first byte not asked for yet
	end   int64
	most  int // requests in flight
	asked []*piece
	now   *piece // being given out
	at    int    // bytes of now that were given out
	err   error
	busy  sync.WaitGroup
}

// piece is one request and its answer.
type piece struct {
	block *[largePacket]byte
	data  []byte
	err   error
	done  chan struct{}
}

func newAhead(ctx context.Context, c *session, f *sftp.File, offset, length int64) *ahead {
	return &ahead{ctx: ctx, c: c, f: f, next: offset, end: offset + length, most: 2}
}

// Read implements io.Reader. io.EOF means that all of the range came.
func (a *ahead) Read(p []byte) (int, error) {
	if a.err != nil {
		return 0, a.err
	}
	if a.now == nil {
		if a.err = a.advance(); a.err != nil {
			return 0, a.err
		}
	}
	n := copy(p, a.now.data[a.at:])
	a.at += n
	if a.at == len(a.now.data) {
		blocks.Put(a.now.block)
		a.now = nil
	}
	return n, nil
}

// WriteTo implements io.WriterTo: whole pieces, without a copy.
func (a *ahead) WriteTo(to io.Writer) (written int64, err error) {
	for {
		if a.now == nil {
			if err := a.advance(); err == io.EOF {
				return written, nil
			} else if err != nil {
				return written, err
			}
		}
		n, err := to.Write(a.now.data[a.at:])
		written += int64(n)
		if err != nil {
			return written, err
		}
		blocks.Put(a.now.block)
		a.now = nil
	}
}

// advance asks for more and waits for the next piece.
func (a *ahead) advance() error {
	for len(a.asked) < a.most && a.next < a.end {
		n := min(int64(a.c.packet), a.end-a.next)
		a.ask(a.next, int(n))
		a.next += n
	}
	if len(a.asked) == 0 {
		return io.EOF
	}
	p := a.asked[0]
	<-p.done
	if p.err != nil {
		return p.err
	}
	a.asked = a.asked[1:]
	a.most = min(2*a.most, inFlight/a.c.packet)
	a.now, a.at = p, 0
	return nil
}

func (a *ahead) ask(offset int64, n int) {
	p := &piece{block: blocks.Get().(*[largePacket]byte), done: make(chan struct{})}
	a.asked = append(a.asked, p)
	a.busy.Go(func() {
		defer close(p.done)
		got, err := ask(a.ctx, a.c, a.c.time.answer, func() (int, error) {
			return a.f.ReadAt(p.block[:n], offset) // asks on until it has all or the file ends
		}, nil)
		p.data, p.err = p.block[:got], err
		if p.err == io.EOF {
			p.err = nil
			if got < n {
				p.err = fmt.Errorf("the file ends at byte %d: %w", offset+int64(got), io.ErrUnexpectedEOF)
			}
		}
	})
}

// Close closes the file once nothing is under way any more.
func (a *ahead) Close() error {
	a.err = fs.ErrClosed
	go func() {
		a.busy.Wait()
		_ = a.f.Close() // read from only
	}()
	return nil
}

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
