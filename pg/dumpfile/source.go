package dumpfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// FormatError says that the input is no dump this package reads, or a damaged
// one.
type FormatError struct {
	Offset int64  // byte of the dump where it was noticed
	What   string // what is wrong there, without a leading capital
	Short  bool   // only that the dump ends too early: who wrote it may know why
}

// Error is one line.
func (e *FormatError) Error() string {
	return fmt.Sprintf("dump, byte %d: %s", e.Offset, e.What)
}

const (
	scanBuffer   = 256 << 10 // Scan reads and hands on pieces of up to this size; 1 MiB is a tenth slower
	maxView      = 16 << 10  // longer strings are collected outside the buffer
	maxString    = 64 << 20  // longest string of a TOC
	maxCount     = 10e6      // most entries of a TOC, most dependencies of one
	maxTOC       = 2 << 30   // longest header and TOC
	emptyReads   = 100       // reads of nothing in a row before giving up
	unlimited    = math.MaxInt64
	maxMagnitude = 1 << 31 // of a C int
)

// source is a window on the dump: buf[pos:end] is read and not yet parsed.
// Everything before pos goes to raw, in order and once; nothing after it does,
// so that a callback can be placed exactly between two bytes.
type source struct {
	files   bool // toc.dat of a tar or directory is taken too
	r       io.Reader
	raw     func([]byte) error // nil: nobody wants the bytes
	buf     []byte
	pos     int
	end     int
	sent    int   // buf[:sent] has gone to raw
	base    int64 // offset in the dump of buf[0]
	sure    int64 // bytes before this offset belong to us; none after is read
	intSize int
	err     error // of r, reported once its bytes are used up
	long    []byte
}

func newSource(r io.Reader, size int) *source {
	return &source{r: r, buf: make([]byte, size), sure: unlimited, intSize: 4}
}

// offset is that of the next byte to parse.
func (s *source) offset() int64 { return s.base + int64(s.pos) }

func (s *source) short(format string, args ...any) error {
	return &FormatError{Offset: s.offset(), What: fmt.Sprintf(format, args...), Short: true}
}

func (s *source) bad(format string, args ...any) error {
	return &FormatError{Offset: s.offset(), What: fmt.Sprintf(format, args...)}
}

// promise says that n more bytes belong to the part being read.
func (s *source) promise(n int64) {
	if s.sure != unlimited {
		s.sure += n
	}
}

// flush hands all parsed bytes to raw.
func (s *source) flush() error {
	if s.raw != nil && s.pos > s.sent {
		if err := s.raw(s.buf[s.sent:s.pos]); err != nil {
			return err
		}
	}
	s.sent = s.pos
	return nil
}

// fill reads at least one more byte; io.EOF when there is none. It keeps
// buf[pos:end], perhaps at another place.
func (s *source) fill() error {
	if s.err != nil {
		return s.err
	}
	if len(s.buf)-s.end < len(s.buf)/8 {
		if err := s.flush(); err != nil {
			return err
		}
		s.base += int64(s.pos)
		s.end = copy(s.buf, s.buf[s.pos:s.end])
		s.pos, s.sent = 0, 0
	}
	room := s.buf[s.end:]
	if left := s.sure - s.base - int64(s.end); left < int64(len(room)) {
		room = room[:left]
	}
	for range emptyReads {
		n, err := s.r.Read(room)
		s.end += n
		s.err = err
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// more is fill where the dump cannot end.
func (s *source) more(what string) error {
	err := s.fill()
	if errors.Is(err, io.EOF) {
		s.pos = s.end
		return s.short("ends within %s", what)
	}
	return err
}

// need makes n bytes available at pos; n is at most maxView.
func (s *source) need(n int, what string) error {
	for s.end-s.pos < n {
		if err := s.more(what); err != nil {
			return err
		}
	}
	return nil
}

func (s *source) byte(what string) (byte, error) {
	if err := s.need(1, what); err != nil {
		return 0, err
	}
	s.pos++
	return s.buf[s.pos-1], nil
}

// integer parses a C int of the archive.
func (s *source) integer(what string) (int64, error) {
	w := 1 + s.intSize
	if s.end-s.pos < w {
		if err := s.need(w, what); err != nil {
			return 0, err
		}
	}
	b := s.buf[s.pos : s.pos+w]
	var v uint64
	if w == 5 {
		v = uint64(binary.LittleEndian.Uint32(b[1:]))
	} else {
		v = binary.LittleEndian.Uint64(b[1:])
	}
	if b[0] > 1 {
		return 0, s.bad("%s has the sign byte %d", what, b[0])
	}
	if v > maxMagnitude-1+uint64(b[0]) {
		return 0, s.bad("%s is out of range", what)
	}
	s.pos += w
	if b[0] == 1 {
		return -int64(v), nil
	}
	return int64(v), nil
}

// bytes parses a string. The result is valid until the next call; null tells
// a NULL from an empty string.
func (s *source) bytes(what string) (b []byte, null bool, err error) {
	at := s.offset()
	n, err := s.integer(what)
	switch {
	case err != nil:
		return nil, false, err
	case n == -1:
		return nil, true, nil
	case n < 0 || n > maxString:
		return nil, false, &FormatError{Offset: at, What: fmt.Sprintf("%s has the length %d", what, n)}
	}
	s.promise(n)
	if n <= maxView {
		if err := s.need(int(n), what); err != nil {
			return nil, false, err
		}
		s.pos += int(n)
		return s.buf[s.pos-int(n) : s.pos], false, nil
	}
	s.long = s.long[:0]
	for left := int(n); left > 0; {
		if s.pos == s.end {
			if err := s.more(what); err != nil {
				return nil, false, err
			}
		}
		k := min(left, s.end-s.pos)
		s.long = append(s.long, s.buf[s.pos:s.pos+k]...)
		s.pos += k
		left -= k
	}
	return s.long, false, nil
}
