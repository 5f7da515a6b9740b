package zstdfast

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// The three codes of a sequence, in the order of their tables.
const (
	literalsCode = iota
	offsetCode
	matchCode
)

// maxLog bounds the tables' accuracy. A decoder takes 9, 8 and 9 at most
// (3.1.1.3.2.1), but appendBits counts on 8.
var maxLog = [3]uint{literalsCode: 8, offsetCode: 8, matchCode: 8}

// Lengths by code (3.1.1.3.2.1.1): each code has a first value and a number
// of bits that are added to it.
var (
	literalsBits = [maxSymbols]uint8{16: 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
	matchBits    = [maxSymbols]uint8{32: 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}

	literalsFirst, matchFirst = firsts(literalsBits, 36, 0), firsts(matchBits, 53, leastMatch)
	shortLiterals             = [64]uint8(codesBelow(literalsFirst[:36], 64, 0))
	shortMatches              = [128]uint8(codesBelow(matchFirst[:53], 128, leastMatch))
)

// longLiterals and longMatch are the first codes to which bits are added.
const longLiterals, longMatch = 16, 32

// lowest has masks of the lowest bits: to load one takes less time than to
// shift.
var lowest = func() (masks [32]uint32) {
	for n := range masks {
		masks[n] = 1<<n - 1
	}
	return masks
}()

// leastMatch is the shortest match that the format can say.
const leastMatch = 3

func firsts(extra [maxSymbols]uint8, n int, first uint32) (values [maxSymbols]uint32) {
	for code := range n {
		values[code] = first
		first += 1 << extra[code]
	}
	return values
}

// codesBelow has the codes of the first n lengths.
func codesBelow(values []uint32, n, first uint32) []uint8 {
	codes := make([]uint8, n)
	for code, from := range values {
		for v := from - first; v < n; v++ {
			codes[v] = uint8(code)
		}
	}
	return codes
}

// encode sets the codes of a sequence.
func (q *sequence) encode() {
	if q.literals < uint32(len(shortLiterals)) {
		q.ll = shortLiterals[q.literals]
	} else {
		q.ll = uint8(bits.Len32(q.literals) + 18)
	}
	if m := q.match - leastMatch; m < uint32(len(shortMatches)) {
		q.ml = shortMatches[m]
	} else {
		q.ml = uint8(bits.Len32(m) + 35)
	}
	q.of = uint8(bits.Len32(q.offset) - 1)
}

// appendSequences writes the sequences section (3.1.1.3.2).
func (e *Encoder) appendSequences(dst []byte) []byte {
	sequences := e.matcher.sequences
	n := len(sequences) // of eight bytes at least: fewer than 0x7F00 in a block
	if n < 128 {
		dst = append(dst, byte(n))
	} else {
		dst = append(dst, byte(n>>8+128), byte(n))
	}
	if n == 0 {
		return dst
	}
	modes := len(dst)
	dst = append(dst, 0)
	for i := range e.codes {
		e.codes[i].count = e.matcher.counts[i]
		var mode byte
		dst, mode = e.codes[i].prepare(dst, n, maxLog[i])
		dst[modes] |= mode << (6 - 2*i)
	}
	return e.appendBits(dst)
}

// appendBits writes the codes and what is added to them: a stream of bits
// that a decoder reads from its end (3.1.1.3.2.1.2), so the last sequence
// is written first.
func (e *Encoder) appendBits(dst []byte) []byte {
	ll, of, ml := &e.codes[literalsCode], &e.codes[offsetCode], &e.codes[matchCode]
	sequences := e.matcher.sequences
	begin := len(dst)
	const most = 16 // bytes for a sequence, and for the ends of the three states
	dst = slices.Grow(dst, most*(len(sequences)+2))
	out := dst[begin:cap(dst)]
	last := &sequences[len(sequences)-1]
	lls, ofs, mls := ll.first(last.ll), of.first(last.of), ml.first(last.ml)
	// acc has n bits that are not written yet, never all 64: 7 that were left
	// over, 8 of each state, and 31 of both lengths, which are in one block.
	// Most lengths have none: then 20 of an offset follow at once. The writer
	// is not a type of its own: its fields would not stay in registers.
	var acc uint64
	var n uint32
	at := 0
	for i := len(sequences) - 1; i >= 0; i-- {
		q := &sequences[i]
		if i < len(sequences)-1 {
			t := &of.steps[q.of%maxSymbols]
			k := (ofs + t.bits) >> 16 & 31
			acc |= uint64(ofs&lowest[k]) << (n & 63)
			n += k
			ofs = uint32(of.states[(int32(ofs>>k)+t.find)%maxTable])

			t = &ml.steps[q.ml%maxSymbols]
			k = (mls + t.bits) >> 16 & 31
			acc |= uint64(mls&lowest[k]) << (n & 63)
			n += k
			mls = uint32(ml.states[(int32(mls>>k)+t.find)%maxTable])

			t = &ll.steps[q.ll%maxSymbols]
			k = (lls + t.bits) >> 16 & 31
			acc |= uint64(lls&lowest[k]) << (n & 63)
			n += k
			lls = uint32(ll.states[(int32(lls>>k)+t.find)%maxTable])
		}
		if q.ll >= longLiterals || q.ml >= longMatch {
			acc |= uint64(q.literals-literalsFirst[q.ll%maxSymbols]) << (n & 63)
			n += uint32(literalsBits[q.ll%maxSymbols])
			acc |= uint64(q.match-matchFirst[q.ml%maxSymbols]) << (n & 63)
			n += uint32(matchBits[q.ml%maxSymbols])
			binary.LittleEndian.PutUint64(out[at:at+8:at+8], acc)
			at += int(n >> 3)
			acc >>= n &^ 7 & 63
			n &= 7
		}
		acc |= uint64(q.offset&lowest[q.of&31]) << (n & 63)
		n += uint32(q.of)
		binary.LittleEndian.PutUint64(out[at:at+8:at+8], acc)
		at += int(n >> 3)
		acc >>= n &^ 7 & 63
		n &= 7
	}
	w := bitWriter{out: out, at: at, bits: acc, n: uint8(n)}
	w.add(mls-1<<ml.log, uint8(ml.log))
	w.add(ofs-1<<of.log, uint8(of.log))
	w.add(lls-1<<ll.log, uint8(ll.log))
	w.add(1, 1) // marks the end of the stream
	w.flush()
	if w.n > 0 {
		w.at++
	}
	return dst[:begin+w.at]
}

// bitWriter fills bytes from their lowest bit.
type bitWriter struct {
	out  []byte
	at   int // bytes written
	bits uint64
	n    uint8 // bits not written yet: below 8 after flush
}

// add takes up to 56 bits before the next flush.
func (w *bitWriter) add(value uint32, n uint8) {
	w.bits |= uint64(value) << (w.n & 63)
	w.n += n
}

func (w *bitWriter) flush() {
	binary.LittleEndian.PutUint64(w.out[w.at:], w.bits)
	w.at += int(w.n >> 3)
	w.bits >>= w.n &^ 7 & 63
	w.n &= 7
}
