package store

import (
	"errors"
	"io"
	"slices"
)

// run is a range of an object that is read in order: one Open serves many
// ReadAt. Over a network that is one request instead of one for each piece.
type run struct {
	from, to int64
	busy     bool          // a ReadAt is at it
	over     bool          // nobody wants it any more
	rc       io.ReadCloser // nil before the first read
	pos      int64         // the next byte that rc gives
	last     []byte        // what rc gave last, ending at pos: a reader may come back a little
}

// keptLast is how many bytes a run keeps for a reader that comes back.
const keptLast = 128 << 10

// Expect says that the bytes from and up to, but without, to are going to be
// read once, in order, in pieces. It may be said of several ranges at once,
// for several readers. The function returned ends it; no more than the range
// is ever asked of the place for it. A store that is near has no use for it.
func (r *ReaderAt) Expect(from, to int64) (forget func()) {
	to = min(to, r.size)
	if from < 0 || from >= to || IsNear(r.store) {
		return func() {}
	}
	n := &run{from: from, to: to, pos: from}
	r.mu.Lock()
	r.runs = append(r.runs, n)
	r.mu.Unlock()
	return func() { r.forget(n) }
}

func (r *ReaderAt) forget(n *run) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.runs = slices.DeleteFunc(r.runs, func(o *run) bool { return o == n })
	n.over = true
	if !n.busy {
		_ = n.end()
	}
}

func (n *run) end() error {
	if n.rc == nil {
		return nil
	}
	rc := n.rc
	n.rc = nil
	return rc.Close()
}

// onward reads from a run that stands at off; ok false: there is none.
func (r *ReaderAt) onward(p []byte, off int64) (k int, err error, ok bool) {
	r.mu.Lock()
	i := slices.IndexFunc(r.runs, func(n *run) bool { return n.serves(off, int64(len(p))) })
	if i < 0 {
		r.mu.Unlock()
		return 0, nil, false
	}
	n := r.runs[i]
	n.busy = true
	r.mu.Unlock()
	k, err = n.read(r, p, off)
	r.mu.Lock()
	defer r.mu.Unlock()
	n.busy = false
	if err != nil || n.over || r.closed {
		err = errors.Join(err, n.end())
	}
	return k, err, true
}

// serves tells whether these bytes are the next of the run, or begin among
// those that it gave last.
func (n *run) serves(off, length int64) bool {
	if n.busy || off < n.from || off+length > n.to {
		return false
	}
	return n.rc == nil && n.last == nil || off <= n.pos && off >= n.pos-int64(len(n.last))
}

func (n *run) read(r *ReaderAt, p []byte, off int64) (int, error) {
	if n.last == nil { // not begun
		n.pos = off
	}
	k := copy(p, n.last[len(n.last)-int(n.pos-off):])
	if k == len(p) {
		return k, nil
	}
	if n.rc == nil {
		rc, err := r.store.Open(r.ctx, r.name, n.pos, n.to-n.pos)
		if err != nil {
			return k, err
		}
		n.rc = rc
	}
	got, err := io.ReadFull(n.rc, p[k:])
	n.pos += int64(got)
	n.last = append(n.last, p[k:k+got]...)
	if over := len(n.last) - keptLast; over > 0 {
		n.last = append(n.last[:0], n.last[over:]...)
	}
	return k + got, err
}
