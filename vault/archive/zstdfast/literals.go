package zstdfast

import (
	"errors"

	"github.com/klauspost/compress/huff0"
)

const (
	literalsRaw        = 0
	literalsRLE        = 1
	literalsCompressed = 2

	// minHuffman is the fewest literals for which a Huffman table pays.
	minHuffman = 64
	// oneStream is the most literals in a single Huffman stream: more are
	// four, which a decoder reads side by side.
	oneStream = 1023
)

// appendLiterals writes a literals section (3.1.1.3.1).
func (e *Encoder) appendLiterals(dst, literals []byte) []byte {
	if len(literals) < minHuffman {
		return append(appendPlain(dst, literalsRaw, len(literals)), literals...)
	}
	compress := huff0.Compress4X
	if len(literals) <= oneStream {
		compress = huff0.Compress1X
	}
	out, _, err := compress(literals, &e.huffman)
	switch {
	case errors.Is(err, huff0.ErrUseRLE):
		return append(appendPlain(dst, literalsRLE, len(literals)), literals[0])
	case err != nil || len(out) >= len(literals):
		return append(appendPlain(dst, literalsRaw, len(literals)), literals...)
	}
	return append(appendCompressed(dst, len(literals), len(out)), out...)
}

// appendPlain writes the header of literals that are no Huffman codes.
func appendPlain(dst []byte, kind, n int) []byte {
	switch {
	case n < 1<<5:
		return append(dst, byte(kind|n<<3))
	case n < 1<<12:
		return append(dst, byte(kind|1<<2|n<<4), byte(n>>4))
	default:
		return append(dst, byte(kind|3<<2|n<<4), byte(n>>4), byte(n>>12))
	}
}

// appendCompressed writes the header of n literals in size bytes of Huffman
// codes and their table.
func appendCompressed(dst []byte, n, size int) []byte {
	format, width := 3, 18
	switch {
	case n <= oneStream:
		format, width = 0, 10
	case n < 1<<14:
		format, width = 2, 14
	}
	h := uint64(literalsCompressed|format<<2) | uint64(n)<<4 | uint64(size)<<(4+width)
	for range (4 + 2*width + 7) / 8 {
		dst = append(dst, byte(h))
		h >>= 8
	}
	return dst
}
