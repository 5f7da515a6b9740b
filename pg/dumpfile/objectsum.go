package dumpfile

import (
	"crypto/sha256"
	"encoding/binary"
	"io"
	"math/bits"
)

// ScanObjects reads one LargeObjects block of the dump with header h from r,
// which stands at the block's first byte; the block must be e's. It gives what
// Scan tells of the block at its end, with Offset 0 and Sum.
func ScanObjects(r io.Reader, h Header, e *Entry) (Block, error) {
	src := newSource(r, blockBuffer)
	if h.IntSize != 4 && h.IntSize != 8 {
		return Block{}, src.bad("integers of %d bytes are not supported", h.IntSize)
	}
	src.intSize = h.IntSize
	kind, id, err := src.peekBlock()
	if err != nil {
		return Block{}, err
	}
	if kind != LargeObjects || id != e.ID {
		return Block{}, src.bad("a block of type %d for entry %d where the large objects of entry %d should be", kind, id, e.ID)
	}
	src.pos += 2 + src.intSize
	b := Block{ID: id, Kind: kind}
	sc := &scanner{source: src, h: silent{}, rows: newRowDigest(), object: sha256.New()}
	err = sc.objects(e, &b)
	b.Length = src.offset()
	return b, err
}

// silent is a Handler that takes no notice.
type silent struct{}

func (silent) Raw([]byte) error                          { return nil }
func (silent) TOC(*TOC) error                            { return nil }
func (silent) BlockStart(*Entry, BlockKind, int64) error { return nil }
func (silent) Progress(_ *Entry, _, _ int64)             {}
func (silent) BlockEnd(*Entry, Block) error              { return nil }

// AddSums adds two sums of RowSum, or of blocks of large objects: the sum of
// all that either is of.
func AddSums(a, b [32]byte) (sum [32]byte) {
	var carry uint64
	for i := 0; i < 32; i += 8 {
		var v uint64
		v, carry = bits.Add64(binary.LittleEndian.Uint64(a[i:]), binary.LittleEndian.Uint64(b[i:]), carry)
		binary.LittleEndian.PutUint64(sum[i:], v)
	}
	return sum
}
