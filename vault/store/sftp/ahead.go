package sftp

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"github.com/pkg/sftp"
)

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
