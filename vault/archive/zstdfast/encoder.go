package zstdfast

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/huff0"
)

// MaxFrame is the most that one frame holds: a decoder keeps as much of it
// in memory, since its window is the whole frame. More would need more bits
// for an offset than matcher.table and appendBits have room for.
const MaxFrame = 1 << 20

const (
	magic    = 0xFD2FB528
	maxBlock = 128 << 10

	blockRaw        = 0
	blockCompressed = 2
)

// Encoder makes one frame after another. It is not safe for use by several
// goroutines at once.
type Encoder struct {
	matcher matcher
	huffman huff0.Scratch
	codes   [3]fseEncoder // of literal lengths, offsets and match lengths
}

// New gives an encoder; it holds about 500 KiB.
func New() *Encoder {
	e := &Encoder{}
	e.huffman.Reuse = huff0.ReusePolicyNone
	return e
}

// Append appends one frame that holds src, at most MaxFrame bytes, with its
// size and checksum, to dst. Without any bytes it is a frame all the same.
func (e *Encoder) Append(dst, src []byte) []byte {
	if len(src) > MaxFrame {
		panic("zstdfast: a frame of more than MaxFrame bytes")
	}
	dst = appendHeader(dst, len(src))
	e.matcher.reset()
	for begin := 0; ; {
		end, pack := cut(src, begin)
		dst = e.appendBlock(dst, src, begin, end, pack)
		if begin = end; end == len(src) {
			break
		}
	}
	return binary.LittleEndian.AppendUint32(dst, uint32(xxhash.Sum64(src)))
}

// appendHeader writes a frame's header (RFC 8878, 3.1.1.1): a single segment,
// so the window is the size of the contents, and a checksum at the end.
func appendHeader(dst []byte, size int) []byte {
	const single, checksum = 1 << 5, 1 << 2
	dst = binary.LittleEndian.AppendUint32(dst, magic)
	switch {
	case size < 256:
		return append(dst, single|checksum, byte(size))
	case size < 256+1<<16:
		return binary.LittleEndian.AppendUint16(append(dst, 1<<6|single|checksum), uint16(size-256))
	default:
		return binary.LittleEndian.AppendUint32(append(dst, 2<<6|single|checksum), uint32(size))
	}
}

// appendBlock writes src[begin:end] as a block (3.1.1.2), which refers to
// what is before it in src, and leaves it as it is where that is no larger.
// pack: it is digits for appendDigits, unless some of them came before.
func (e *Encoder) appendBlock(dst, src []byte, begin, end int, pack bool) []byte {
	header := len(dst)
	dst = append(dst, 0, 0, 0)
	kind, before := blockCompressed, e.matcher.recent
	if end-begin > tail {
		e.matcher.find(src, begin, end)
		if pack && len(e.matcher.sequences) == 0 {
			dst = appendDigits(dst, e.matcher.literals)
		} else {
			dst = e.appendLiterals(dst, e.matcher.literals)
		}
		dst = e.appendSequences(dst)
	}
	if body := len(dst) - header - 3; body == 0 || body >= end-begin {
		// A decoder does not see the sequences of a block that is not
		// compressed, nor the offsets in them.
		kind, e.matcher.recent = blockRaw, before
		dst = append(dst[:header+3], src[begin:end]...)
	}
	h := uint32(len(dst)-header-3)<<3 | uint32(kind)<<1
	if end == len(src) {
		h |= 1
	}
	dst[header], dst[header+1], dst[header+2] = byte(h), byte(h>>8), byte(h>>16)
	return dst
}
