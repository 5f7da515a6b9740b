package zstdfast

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// pg_dump writes bytea as hex digits. Those of pictures, documents and what is
// encrypted come as often as each other, and their Huffman code is their own
// value in four bits: it needs no counting.
const (
	// leastDigits is the shortest run of such digits that is looked for, to
	// make blocks of its own.
	leastDigits = 8 << 10
	// window is how many digits a guess is made from.
	window = 64
	// group: literals are packed in four streams, eight digits at a time.
	group = 4 * 8
)

const (
	eachByte = 0x0101010101010101
	allLow   = 0x0F * eachByte
)

// nibbles gives the values of eight hex digits, each in a byte, and tells
// whether they are lower-case hex digits.
func nibbles(x uint64) (uint64, bool) {
	v := x&allLow + x>>6&eachByte*9
	v &= allLow
	letters := (v + 6*eachByte) >> 4 & eachByte
	return v, v+'0'*eachByte+letters*('a'-'0'-10) == x
}

// digits counts the hex digits that b begins with, in eights.
func digits(b []byte) (n int) {
	for n+8 <= len(b) {
		if _, ok := nibbles(load(b, n)); !ok {
			break
		}
		n += 8
	}
	return n
}

// scattered tells whether the bytes of a window are hex digits of all kinds,
// in even places and in odd ones: text has few in one of them.
func scattered(b []byte) bool {
	var even, odd uint32
	for i := 0; i < window; i += 8 {
		v, ok := nibbles(load(b, i))
		if !ok {
			return false
		}
		for ; v != 0; v >>= 16 {
			even |= 1 << (v & 15)
			odd |= 1 << (v >> 8 & 15)
		}
	}
	return bits.OnesCount32(even) >= 10 && bits.OnesCount32(odd) >= 10
}

// even tells whether four bits for each of the digits are at most a hundredth
// more than their entropy, by some thousand of them.
func even(b []byte) bool {
	var count [16]int
	total := 0
	for i := 0; i < len(b); i += len(b)>>11 | 1 { // an odd step: from even and odd places
		c := b[i]
		count[(c&15+c>>6*9)&15]++
		total++
	}
	squares := 0
	for _, n := range count {
		squares += n * n
	}
	// If all are as likely, 16 times this is total² + 15 total on average.
	return 16*squares <= total*total+20*total+total*total/32
}

// cut gives the end of the block that begins at begin, and whether it is
// digits to be packed.
func cut(src []byte, begin int) (end int, pack bool) {
	end = min(begin+maxBlock, len(src))
	n := begin
	for n+leastDigits <= end && scattered(src[n:n+window]) {
		d := digits(src[n : n+leastDigits])
		n += d
		if d < leastDigits {
			break
		}
	}
	if n = begin + (n-begin)&^(group-1); n-begin >= leastDigits {
		return n, even(src[begin:n])
	}
	for n = begin + leastDigits; n+leastDigits <= end; n += leastDigits {
		if scattered(src[n:n+window]) && digits(src[n:n+leastDigits]) == leastDigits {
			for n-window > begin && scattered(src[n-window:n]) {
				n -= window
			}
			return n, false
		}
	}
	return end, false
}

// digitCodes says that the code of each digit has four bits (4.2.1.1): the
// weights up to that of 'e' are 1 for digits and 0 for other bytes, two in a
// byte, and that of 'f' follows from them. Codes of equal length have the
// order of the bytes, so that of a digit is its value.
var digitCodes = func() []byte {
	t := make([]byte, 1+'f'/2)
	t[0] = 127 + 'f'
	for _, c := range "0123456789abcde" {
		t[1+c/2] |= 1 << (4 * (1 - c%2))
	}
	return t
}()

// appendDigits writes a literals section of hex digits, a multiple of group.
func appendDigits(dst, literals []byte) []byte {
	quarter := len(literals) / 4
	stream := quarter/2 + 1
	dst = appendCompressed(dst, len(literals), len(digitCodes)+6+4*stream)
	dst = append(dst, digitCodes...)
	for range 3 {
		dst = binary.LittleEndian.AppendUint16(dst, uint16(stream))
	}
	for ; len(literals) > 0; literals = literals[quarter:] {
		dst = slices.Grow(dst, stream)
		out := dst[len(dst) : len(dst)+stream]
		dst = dst[:len(dst)+stream]
		// A stream is read from its end, where a 1 marks it (4.2.2).
		out[stream-1] = 1
		for i, at := 0, stream-1; i < quarter; i += 8 {
			v, _ := nibbles(load(literals, i))
			v = (v<<4 | v>>8) & 0x00FF00FF00FF00FF
			v = (v | v>>8) & 0x0000FFFF0000FFFF
			at -= 4
			binary.BigEndian.PutUint32(out[at:at+4:at+4], uint32(v|v>>16))
		}
	}
	return dst
}
