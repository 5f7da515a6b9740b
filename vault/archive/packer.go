package archive

import (
	"errors"
	"io"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"pgvault/vault/archive/zstdfast"
	"pgvault/vault/store"
)

// packer compresses pieces of a part, each to a zstd frame of its own, in
// several threads, and writes the frames in the order of the pieces. The
// threads yield the processor to whoever else wants it: on a busy host that
// is the database server and pg_dump, and a dump that waits for them is
// slower than one that waits for this. There is a thread more than processors:
// the kernel leaves two of them on one for milliseconds while another idles.
// A piece is large, so that the threads wake each other seldom and a frame
// that knows nothing of the one before it is hardly larger for that.
type packer struct {
	in      chan piece
	free    chan []byte
	buf     []byte
	last    <-chan struct{} // closed when the piece sent last has been written
	threads sync.WaitGroup
	err     atomic.Pointer[error] // the first; nothing is written after it
	sent    bool                  // at least one piece
	first   bool                  // the piece being filled comes after a cut
	ended   bool                  // in is closed

	giveBack func() // the room of the threads: whoever reads and digests does not wait for them
}

// errAborted stops the threads of a part that is given up.
var errAborted = errors.New("the part was given up")

// piece is what a thread is given: bytes, and the turns of writing.
type piece struct {
	data  []byte
	first bool            // the one before it ended with a cut
	cut   bool            // cut is called when it has been written
	turn  <-chan struct{} // closed when the piece before it has been written
	done  chan<- struct{} // closed by whoever takes this piece
}

const (
	pieceSize = zstdfast.MaxFrame
	// maxThreads is as many as keep up with the fastest pg_dump.
	maxThreads = 4
	// yieldNice is the threads' nice value: enough to stand back, not so
	// much that they starve.
	yieldNice = 10
)

// newPacker writes zstd frames to w and calls cut whenever all that was
// written before a Cut has gone to w: by turns from several threads, never
// two at once.
func newPacker(w io.Writer, cut func()) (*packer, error) {
	threads := min(store.Processors+1, maxThreads)
	pieces := threads + 2 // one in work for each, one ahead, and one being filled
	p := &packer{giveBack: store.AddRoom(threads), in: make(chan piece, pieces), free: make(chan []byte, pieces), buf: make([]byte, 0, pieceSize)}
	for range pieces - 1 {
		p.free <- make([]byte, 0, pieceSize)
	}
	first := make(chan struct{})
	close(first)
	p.last = first
	choice := &choice{}
	for range threads {
		enc, err := newCompressor(choice)
		if err != nil {
			_ = p.Close()
			return nil, err
		}
		p.threads.Go(func() { p.run(enc, w, cut) })
	}
	return p, nil
}

func (p *packer) run(enc *compressor, w io.Writer, cut func()) {
	runtime.LockOSThread() // never unlocked: the thread ends with its nice value
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), yieldNice)
	var frame []byte
	for c := range p.in {
		frame = frame[:0]
		// A cut at the very end of a full piece has no bytes of its own.
		if p.failed() == nil && (len(c.data) > 0 || !c.cut) {
			frame = enc.appendFrame(frame, c.data, c.first)
		}
		p.free <- c.data[:0]
		<-c.turn
		p.put(w, frame, c.cut, cut)
		close(c.done)
	}
}

// put writes a frame in its turn.
func (p *packer) put(w io.Writer, frame []byte, isCut bool, cut func()) {
	if p.failed() != nil {
		return
	}
	if _, err := w.Write(frame); err != nil {
		p.fail(err)
		return
	}
	if isCut {
		cut()
	}
}

func (p *packer) fail(err error) { p.err.CompareAndSwap(nil, &err) }

func (p *packer) failed() error {
	if e := p.err.Load(); e != nil {
		return *e
	}
	return nil
}

// Write takes the next bytes. An error of a thread, such as a full disk, is
// met by one of the next writes or by Close.
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

// hand gives the filled buffer to a thread and takes an empty one.
func (p *packer) hand(cut bool) {
	done := make(chan struct{})
	p.in <- piece{data: p.buf, first: p.first, cut: cut, turn: p.last, done: done}
	p.last, p.sent, p.first = done, true, cut
	p.buf = <-p.free
}

// Close writes what is left, ends the threads, and gives the first error. A
// part of no bytes is one empty frame. It may be called again.
func (p *packer) Close() error {
	if !p.ended {
		p.ended = true
		if len(p.buf) > 0 || !p.sent {
			p.hand(false)
		}
		close(p.in)
	}
	p.threads.Wait()
	p.giveBack()
	return p.failed()
}

// Abort ends the threads; what was not written yet never is.
func (p *packer) Abort() {
	p.fail(errAborted)
	_ = p.Close()
}
