package dumpfile

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"

	"pgvault/safetext"
)

// BlockKind is the first byte of a block.
type BlockKind byte

// The kinds of blocks.
const (
	Data         BlockKind = 1 // rows of one table
	LargeObjects BlockKind = 3 // one or more large objects
)

// Block is what is known of a data block once it has passed. Rows, Bytes and
// SHA256 are as the package comment defines them.
type Block struct {
	ID     int // of the entry
	Kind   BlockKind
	Offset int64 // in the uncompressed dump, of the block's first byte
	Length int64 // with the block's header and terminator
	Rows   int64 // Data: COPY rows; LargeObjects: large objects
	Bytes  int64 // Data: of the rows; LargeObjects: of their data
	SHA256 [32]byte
	// Sum, of large objects only, adds up the SHA-256 of each one's record as
	// RowSum does: it is the same in whatever blocks and order they come.
	Sum [32]byte
}

// Handler receives a dump from Scan. All calls come from the goroutine of
// Scan, one at a time; an error returned ends Scan, which returns it as it is.
type Handler interface {
	// Raw gets every byte of the dump, in order, exactly once, in large
	// pieces that are valid only during the call.
	Raw(p []byte) error
	// TOC comes after the TOC's last raw byte, before any byte of a block.
	TOC(t *TOC) error
	// BlockStart comes before the block's first raw byte.
	BlockStart(e *Entry, kind BlockKind, offset int64) error
	// Progress comes about every 256 KiB of payload, with the block's rows (or
	// whole large objects) and bytes so far.
	Progress(e *Entry, rows, bytes int64)
	// BlockEnd comes after the block's last raw byte.
	BlockEnd(e *Entry, b Block) error
}

const progressEvery = 256 << 10

// Scan reads a dump to its end and gives it to h, in memory bounded by the
// TOC. It returns nil only for a whole dump: a *FormatError for one that is
// compressed, truncated, damaged, followed by anything, or lacks the block of
// an entry that has data. Other errors are those of r and h.
func Scan(r io.Reader, h Handler) error {
	s := newSource(r, scanBuffer)
	s.raw = h.Raw
	head, err := parseHeader(s)
	if err != nil {
		return err
	}
	if head.Compression != "none" {
		return s.bad("compressed with %s: pgvault reads uncompressed dumps", head.Compression)
	}
	t, err := parseEntries(s, head)
	if err != nil {
		return err
	}
	if err := s.flush(); err != nil {
		return err
	}
	if err := h.TOC(t); err != nil {
		return err
	}
	sc := &scanner{source: s, h: h, toc: t, seen: make(map[int]bool), rows: newRowDigest(), object: sha256.New()}
	for {
		if s.pos == s.end {
			if err := s.fill(); errors.Is(err, io.EOF) {
				return sc.complete()
			} else if err != nil {
				return err
			}
		}
		if err := sc.block(); err != nil {
			return err
		}
	}
}

type scanner struct {
	*source
	h        Handler
	toc      *TOC
	seen     map[int]bool
	rows     *rowDigest
	object   hash.Hash // of one large object
	reported int64     // bytes at the last Progress
}

// complete tells whether all blocks came.
func (sc *scanner) complete() error {
	missing := 0
	var first *Entry
	for i := range sc.toc.Entries {
		if e := &sc.toc.Entries[i]; e.HasData && !sc.seen[e.ID] {
			missing++
			if first == nil {
				first = e
			}
		}
	}
	if missing > 0 {
		return sc.short("ends without the data of %d entries, the first being %s", missing, name(first))
	}
	return nil
}

// name is an entry in a message.
func name(e *Entry) string {
	return safetext.Line(fmt.Sprintf("%d %s %s.%s", e.ID, e.Desc, e.Namespace, e.Tag))
}

func (sc *scanner) block() error {
	kind, id, err := sc.peekBlock()
	if err != nil {
		return err
	}
	e := sc.toc.Entry(id)
	switch {
	case e == nil:
		return sc.bad("a block for entry %d, which the table of contents lacks", id)
	case sc.seen[id]:
		return sc.bad("a second block for entry %s", name(e))
	case !e.HasData:
		return sc.bad("a block for entry %s, which has no data", name(e))
	case e.kind() != kind:
		return sc.bad("a block of type %d for entry %s", kind, name(e))
	}
	sc.seen[id] = true
	b := Block{ID: id, Kind: kind, Offset: sc.offset()}
	if err := sc.h.BlockStart(e, kind, b.Offset); err != nil {
		return err
	}
	sc.pos += 2 + sc.intSize
	sc.reported = 0
	if kind == Data {
		err = sc.data(e, &b)
	} else {
		err = sc.objects(e, &b)
	}
	if err != nil {
		return err
	}
	b.Length = sc.offset() - b.Offset
	if err := sc.flush(); err != nil {
		return err
	}
	return sc.h.BlockEnd(e, b)
}

// peekBlock reads a block's type and id and leaves pos where it was.
func (s *source) peekBlock() (BlockKind, int, error) {
	if err := s.need(2+s.intSize, "a block header"); err != nil {
		return 0, 0, err
	}
	kind := BlockKind(s.buf[s.pos])
	if kind != Data && kind != LargeObjects {
		return 0, 0, s.bad("unknown block type %d", kind)
	}
	s.pos++
	id, err := s.integer("a block's entry id")
	if err != nil {
		return 0, 0, err
	}
	s.pos -= 2 + s.intSize
	return kind, int(id), nil
}

func (sc *scanner) progress(e *Entry, rows, bytes int64) {
	if bytes-sc.reported >= progressEvery {
		sc.reported = bytes
		sc.h.Progress(e, rows, bytes)
	}
}

func (sc *scanner) data(e *Entry, b *Block) error {
	d := sc.rows
	d.reset()
	c := &chunks{source: sc.source}
	for !d.ended {
		if _, err := d.next(c); err != nil {
			return err
		}
		sc.progress(e, d.rows, d.bytes)
	}
	b.Rows, b.Bytes = d.rows, d.bytes
	d.hash.Sum(b.SHA256[:0])
	return nil
}

func (sc *scanner) objects(e *Entry, b *Block) error {
	all := sc.rows.hash
	all.Reset()
	for {
		v, err := sc.integer("a large object's OID")
		if err != nil {
			return err
		}
		if v == 0 {
			all.Sum(b.SHA256[:0])
			return nil
		}
		size, err := sc.oneObject(e, b)
		if err != nil {
			return err
		}
		var rec [48]byte
		binary.BigEndian.PutUint64(rec[:8], uint64(uint32(v)))
		sc.object.Sum(rec[8:8])
		binary.BigEndian.PutUint64(rec[40:], uint64(size))
		all.Write(rec[:])
		b.Sum = AddSums(b.Sum, sha256.Sum256(rec[:]))
		b.Rows++
	}
}

// oneObject digests one large object into sc.object.
func (sc *scanner) oneObject(e *Entry, b *Block) (size int64, err error) {
	sc.object.Reset()
	c := &chunks{source: sc.source}
	for {
		n, err := c.gather(sc.rows.buf)
		if err != nil && err != io.EOF {
			return 0, err
		}
		sc.object.Write(sc.rows.buf[:n])
		size += int64(n)
		b.Bytes += int64(n)
		sc.progress(e, b.Rows, b.Bytes)
		if err == io.EOF {
			return size, nil
		}
	}
}
