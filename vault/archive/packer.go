package archive

import (
	"errors"
	"io"
	"runtime"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

// packer compresses in a thread of its own that yields the processor to
// whoever else wants it: on a busy host that is the database server and
// pg_dump, and a dump that waits for them is slower than one that waits
// for this. Its writer hands over large pieces, so that the two threads
// wake each other seldom.
type packer struct {
	in    chan piece
	free  chan []byte
	buf   []byte
	done  chan struct{}
	err   atomic.Pointer[error] // the first; the thread writes nothing after it
	ended bool                  // in is closed
}

// errAborted stops the thread of a part that is given up.
var errAborted = errors.New("the part was given up")

// piece is what the thread is given: bytes, then perhaps the end of a frame.
type piece struct {
	data []byte
	cut  bool
}

const (
	pieceSize  = 1 << 20
	pieceCount = 4
	// yieldNice is the thread's nice value: enough to stand back, not so
	// much that it starves.
	yieldNice = 10
)

// newPacker writes zstd frames to w and calls cut, in the packer's thread,
// whenever a frame that Cut asked for has ended.
func newPacker(w io.Writer, cut func()) (*packer, error) {
	// The fastest level, but with entropy coding of literals that did not
	// match: hex of bytea then shrinks by half at hardly any cost. A window
	// of 1 MiB makes 5 % less of it and takes a tenth longer.
	enc, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(256<<10),
		zstd.WithAllLitEntropyCompression(true), zstd.WithEncoderConcurrency(1), zstd.WithZeroFrames(true))
	if err != nil {
		return nil, err
	}
	p := &packer{in: make(chan piece, pieceCount), free: make(chan []byte, pieceCount), done: make(chan struct{})}
	for range pieceCount {
		p.free <- make([]byte, 0, pieceSize)
	}
	p.buf = <-p.free
	go p.run(enc, w, cut)
	return p, nil
}

func (p *packer) run(enc *zstd.Encoder, w io.Writer, cut func()) {
	defer close(p.done)
	runtime.LockOSThread() // never unlocked: the thread ends with its nice value
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), yieldNice)
	for c := range p.in {
		if p.failed() == nil {
			p.fail(pack(enc, w, c, cut))
		}
		p.free <- c.data[:0]
	}
	if p.failed() == nil {
		p.fail(enc.Close())
	}
}

func (p *packer) fail(err error) {
	if err != nil {
		p.err.CompareAndSwap(nil, &err)
	}
}

func (p *packer) failed() error {
	if e := p.err.Load(); e != nil {
		return *e
	}
	return nil
}

func pack(enc *zstd.Encoder, w io.Writer, c piece, cut func()) error {
	if _, err := enc.Write(c.data); err != nil || !c.cut {
		return err
	}
	if err := enc.Close(); err != nil {
		return err
	}
	cut()
	enc.Reset(w)
	return nil
}

// Write takes the next bytes. An error of the thread, such as a full disk,
// is met by one of the next writes or by Close.
func (p *packer) Write(b []byte) (int, error) {
	if err := p.failed(); err != nil {
		return 0, err
	}
	n := len(b)
	for len(b) > 0 {
		k := copy(p.buf[len(p.buf):cap(p.buf)], b)
		p.buf, b = p.buf[:len(p.buf)+k], b[k:]
		if len(p.buf) == cap(p.buf) {
			p.hand(false)
		}
	}
	return n, nil
}

// Cut ends the frame after what was written.
func (p *packer) Cut() error {
	p.hand(true)
	return p.failed()
}

func (p *packer) hand(cut bool) {
	p.in <- piece{p.buf, cut}
	p.buf = <-p.free
}

// Close ends the last frame and the thread, and gives the first error. It
// may be called again.
func (p *packer) Close() error {
	if !p.ended {
		p.ended = true
		p.in <- piece{p.buf, false}
		close(p.in)
	}
	<-p.done
	return p.failed()
}

// Abort ends the thread; what was not written yet never is.
func (p *packer) Abort() {
	p.fail(errAborted)
	_ = p.Close()
}
