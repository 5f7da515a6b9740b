package dumpfile

import (
	"io"
)

const blockBuffer = 256 << 10

// BlockReader gives the COPY rows of one Data block: chunk lengths and
// pg_dump's end marker are taken out, so that what it reads can be sent to
// COPY ... FROM STDIN.
type BlockReader struct {
	src   *source
	c     chunks
	d     *rowDigest
	piece []byte
	block Block
	err   error
}

// NewBlockReader reads a Data block of the dump with header h from r, which
// stands at the block's first byte. The block must be that of entry want. The
// reader takes bytes from r ahead of the block's end, where r has them. A
// block of another kind or entry is a *FormatError; offsets in such errors
// count from where r stood.
func NewBlockReader(r io.Reader, h Header, want int) (*BlockReader, error) {
	src := newSource(r, blockBuffer)
	if h.Compression != "none" {
		return nil, src.bad("compressed with %s: pgvault reads uncompressed dumps", h.Compression)
	}
	if h.IntSize != 4 && h.IntSize != 8 {
		return nil, src.bad("integers of %d bytes are not supported", h.IntSize)
	}
	src.intSize = h.IntSize
	kind, id, err := src.peekBlock()
	if err != nil {
		return nil, err
	}
	if kind != Data || id != want {
		return nil, src.bad("a block of type %d for entry %d where the rows of entry %d should be", kind, id, want)
	}
	src.pos += 2 + src.intSize
	b := &BlockReader{src: src, c: chunks{source: src}, d: newRowDigest()}
	b.block = Block{ID: id, Kind: kind}
	return b, nil
}

// Read gives rows; io.EOF comes only after the block's terminator was read. A
// block that is cut off or damaged ends in a *FormatError.
func (b *BlockReader) Read(p []byte) (int, error) {
	for len(b.piece) == 0 && b.err == nil {
		if len(p) == 0 {
			return 0, nil
		}
		b.advance()
	}
	if len(b.piece) == 0 {
		return 0, b.err
	}
	n := copy(p, b.piece)
	b.piece = b.piece[n:]
	return n, nil
}

// WriteTo writes all rows to w without a buffer between, as io.Copy asks.
func (b *BlockReader) WriteTo(w io.Writer) (total int64, err error) {
	for {
		if len(b.piece) > 0 {
			n, err := w.Write(b.piece)
			total += int64(n)
			b.piece = b.piece[n:]
			if err != nil {
				return total, err
			}
			continue
		}
		if b.err == io.EOF {
			return total, nil
		}
		if b.err != nil {
			return total, b.err
		}
		b.advance()
	}
}

func (b *BlockReader) advance() {
	b.piece, b.err = b.d.next(&b.c)
	b.block.Rows, b.block.Bytes = b.d.rows, b.d.bytes
	if b.d.ended && b.err == nil {
		b.d.hash.Sum(b.block.SHA256[:0])
		b.block.Length = b.src.offset()
		b.err = io.EOF
	}
}

// Block tells what was read, with Offset 0; it is that of the whole block once
// Read has returned io.EOF.
func (b *BlockReader) Block() Block { return b.block }
