package dumpfile

import (
	"bytes"
	"crypto/sha256"
	"hash"
	"io"
)

const (
	rowBuffer = 64 << 10
	endMarker = "\\.\n\n\n"
	// heldBack bytes are not taken as rows until it is known what follows: the
	// end marker and the newline before it.
	heldBack = len(endMarker) + 1
)

// chunks joins the chunks of one block or one large object.
type chunks struct {
	*source
	left int64 // of the current chunk
}

// gather fills dst from one chunk after the other; io.EOF when they have ended,
// with what came before it.
func (c *chunks) gather(dst []byte) (n int, err error) {
	s := c.source
	for n < len(dst) {
		if c.left == 0 {
			at := s.offset()
			if c.left, err = s.integer("a chunk length"); err != nil {
				return n, err
			}
			if c.left == 0 {
				return n, io.EOF
			}
			if c.left < 0 {
				return n, &FormatError{Offset: at, What: "a chunk has a negative length"}
			}
		}
		if s.pos == s.end {
			if err := s.more("a data block"); err != nil {
				return n, err
			}
		}
		k := min(len(dst)-n, s.end-s.pos)
		if c.left < int64(k) {
			k = int(c.left)
		}
		copy(dst[n:n+k], s.buf[s.pos:s.pos+k])
		n += k
		s.pos += k
		c.left -= int64(k)
	}
	return n, nil
}

// rowDigest takes the COPY rows out of a block's chunks in large pieces and
// digests them.
type rowDigest struct {
	buf   []byte
	used  int // buf[:used] has been given out as rows
	n     int // buf[used:n] is held back
	ended bool
	hash  hash.Hash
	rows  int64
	bytes int64
}

func newRowDigest() *rowDigest {
	return &rowDigest{buf: make([]byte, rowBuffer), hash: sha256.New()}
}

func (d *rowDigest) reset() {
	d.used, d.n, d.ended, d.rows, d.bytes = 0, 0, false, 0, 0
	d.hash.Reset()
}

// next gives the next piece of the rows, already digested and valid until the
// next call; io.EOF when the block has ended.
func (d *rowDigest) next(c *chunks) ([]byte, error) {
	if d.ended {
		return nil, io.EOF
	}
	d.n = copy(d.buf, d.buf[d.used:d.n])
	d.used = 0
	got, err := c.gather(d.buf[d.n:])
	d.n += got
	switch err {
	case nil:
		d.used = d.n - heldBack
	case io.EOF:
		d.ended = true
		d.used = len(trimMarker(d.buf[:d.n]))
	default:
		return nil, err
	}
	piece := d.buf[:d.used]
	d.hash.Write(piece)
	d.rows += int64(bytes.Count(piece, newline))
	d.bytes += int64(len(piece))
	return piece, nil
}

var newline = []byte{'\n'}

// trimMarker removes pg_dump's end marker. No row is like it: COPY doubles
// every backslash of a value, so none has `\.` at the start of a line.
func trimMarker(b []byte) []byte {
	rest, ok := bytes.CutSuffix(b, []byte(endMarker))
	if ok && (len(rest) == 0 || rest[len(rest)-1] == '\n') {
		return rest
	}
	return b
}
