package dumpfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
)

// recorder is a Handler that keeps everything and checks the order of calls.
type recorder struct {
	raw      []byte
	toc      *TOC
	blocks   []Block
	open     *Entry
	rawCalls int
	reports  int
	lastRows int64
	lastSize int64
	fault    error
}

func (r *recorder) wrong(format string, args ...any) {
	if r.fault == nil {
		r.fault = fmt.Errorf(format, args...)
	}
}

func (r *recorder) Raw(p []byte) error {
	if len(p) == 0 {
		r.wrong("an empty Raw")
	}
	if r.toc != nil && r.open == nil {
		r.wrong("Raw between blocks at %d", len(r.raw))
	}
	r.raw = append(r.raw, p...)
	r.rawCalls++
	return nil
}

func (r *recorder) TOC(t *TOC) error {
	if r.toc != nil || t.Length != int64(len(r.raw)) {
		r.wrong("TOC of %d bytes after %d raw bytes", t.Length, len(r.raw))
	}
	r.toc = t
	return nil
}

func (r *recorder) BlockStart(e *Entry, kind BlockKind, offset int64) error {
	if r.toc == nil || r.open != nil || offset != int64(len(r.raw)) {
		r.wrong("BlockStart at %d after %d raw bytes", offset, len(r.raw))
	}
	r.open, r.lastRows, r.lastSize = e, 0, 0
	return nil
}

func (r *recorder) Progress(e *Entry, rows, bytes int64) {
	if r.open != e || rows < r.lastRows || bytes < r.lastSize+progressEvery {
		r.wrong("Progress %d rows %d bytes after %d, %d", rows, bytes, r.lastRows, r.lastSize)
	}
	r.lastRows, r.lastSize = rows, bytes
	r.reports++
}

func (r *recorder) BlockEnd(e *Entry, b Block) error {
	if r.open != e || b.ID != e.ID || b.Offset+b.Length != int64(len(r.raw)) {
		r.wrong("BlockEnd of %+v after %d raw bytes", b, len(r.raw))
	}
	if r.lastRows > b.Rows || r.lastSize > b.Bytes {
		r.wrong("Progress went past the end of %+v", b)
	}
	r.open = nil
	r.blocks = append(r.blocks, b)
	return nil
}

func (r *recorder) block(id int) Block {
	for _, b := range r.blocks {
		if b.ID == id {
			return b
		}
	}
	return Block{}
}

// scan scans a dump that must be whole.
func scan(t testing.TB, r io.Reader) *recorder {
	t.Helper()
	rec := &recorder{}
	if err := Scan(r, rec); err != nil {
		t.Fatal(err)
	}
	if rec.fault != nil {
		t.Fatal(rec.fault)
	}
	if rec.toc == nil || rec.open != nil {
		t.Fatal("Scan ended without TOC or within a block")
	}
	return rec
}

// scanError is the FormatError of a dump that is not whole.
func scanError(t testing.TB, dump []byte) *FormatError {
	t.Helper()
	err := Scan(bytes.NewReader(dump), &recorder{})
	var f *FormatError
	if !errors.As(err, &f) {
		t.Fatalf("Scan of %d bytes gave %v, not a FormatError", len(dump), err)
	}
	if f.Offset < 0 || f.Offset > int64(len(dump)) {
		t.Fatalf("%v is outside of the %d bytes", f, len(dump))
	}
	return f
}

// pieces reads at most size(…) bytes at a time and gives the last of them
// together with io.EOF, which a Reader may.
type pieces struct {
	b    []byte
	size func() int
}

func (p *pieces) Read(b []byte) (int, error) {
	n := copy(b[:min(len(b), p.size())], p.b)
	p.b = p.b[n:]
	if len(p.b) == 0 {
		return n, io.EOF
	}
	return n, nil
}

func inPieces(b []byte, n int) io.Reader {
	return &pieces{b, func() int { return n }}
}

func inRandomPieces(b []byte, seed uint64) io.Reader {
	r := rand.New(rand.NewPCG(seed, 1))
	return &pieces{b, func() int {
		if r.IntN(4) == 0 {
			return 1 + r.IntN(12)
		}
		return r.IntN(200_000)
	}}
}

func find(t testing.TB, toc *TOC, desc, tag string) *Entry {
	t.Helper()
	for i := range toc.Entries {
		if e := &toc.Entries[i]; e.Desc == desc && e.Tag == tag {
			return e
		}
	}
	t.Fatalf("no %s %q in the table of contents", desc, tag)
	return nil
}
