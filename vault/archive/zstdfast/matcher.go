package zstdfast

import (
	"encoding/binary"
	"math/bits"
)

const (
	tableBits = 15
	tagMask   = 1<<12 - 1
	hashPrime = 0x9E3779B185EBCA87 // 2^64 divided by the golden ratio
	// minMatch is the shortest match that is taken, also where its offset
	// costs nothing: a shorter one saves few bytes, and costs some 30 bits and
	// the time of the Huffman codes of a hundred literals.
	minMatch = 8
	// tail is left to the literals at the end of a block, so that eight
	// bytes can be read from any position that is looked at.
	tail = 16
	// patience: steps are one byte longer for every 2^patience bytes in
	// which nothing came again.
	patience = 10
)

// sequence is a number of literals and the match that follows them. offset
// is as it is written (3.1.1.5): 1 to 3 are recent ones, others 3 too high.
type sequence struct {
	literals, match, offset uint32
	ll, of, ml              uint8 // their codes
}

// matcher finds what comes again in a frame.
type matcher struct {
	// table has by the hash of eight bytes where they were seen last: the
	// position in the upper 20 bits, and 12 other bits of the hash, which
	// tell most of the wrong ones without a look at the bytes.
	table     [1 << tableBits]uint32
	recent    [3]uint32 // offsets used last, as a decoder keeps them
	literals  []byte
	sequences []sequence
	counts    [3][maxSymbols]uint32 // of the sequences' codes
}

func (m *matcher) reset() {
	clear(m.table[:])
	m.recent = [3]uint32{1, 4, 8}
}

// find sets literals and sequences to what src[begin:end] is made of. What
// comes again may have been anywhere before it in src.
func (m *matcher) find(src []byte, begin, end int) {
	src = src[:end]
	literals, sequences := m.literals[:0], m.sequences[:0]
	clear(m.counts[:])
	next := begin // the first byte that no sequence covers yet
	for s := max(begin, 1); ; {
		var at, from int
		// Where rows are alike, a match ends at a byte that differs and goes
		// on behind it.
		if r := int(m.recent[0]); s+1 < end-tail && r <= s && load(src, s+1) == load(src, s+1-r) {
			at, from = s+1, s+1-r
		} else {
			at, from = m.search(src, s, next, end-tail)
		}
		if from < 0 {
			break
		}
		length := minMatch + same(src, at+minMatch, from+minMatch)
		if from >= 8 {
			before := min(bits.LeadingZeros64(load(src, at-8)^load(src, from-8))>>3, at-next)
			if before == 8 {
				before += sameBefore(src, at-8, from-8, at-8-next)
			}
			at, from, length = at-before, from-before, length+before
		}
		n, b := at-next, src[next:]
		if l := len(literals); n <= 16 && l+16 <= cap(literals) {
			copy(literals[l:l+16], b[:16]) // faster than a copy of n
			literals = literals[:l+n]
		} else {
			literals = append(literals, b[:n]...)
		}
		sequences = append(sequences, sequence{})
		q := &sequences[len(sequences)-1] // set by its fields: a whole one would pass through memory
		q.literals, q.match, q.offset = uint32(n), uint32(length), m.write(uint32(at-from), n == 0)
		// Here, where the processor waits for bytes that were seen long ago,
		// the codes cost hardly any time.
		q.encode()
		m.counts[literalsCode][q.ll%maxSymbols]++
		m.counts[offsetCode][q.of%maxSymbols]++
		m.counts[matchCode][q.ml%maxSymbols]++
		next = at + length
		s = next
	}
	m.literals, m.sequences = append(literals, src[next:]...), sequences
}

// search looks from position s on for eight bytes that were seen before, and
// gives where they are and where they were, or from -1 if there are none
// before last. Every fourth position is entered in the table and every second
// is looked up; where nothing comes again the steps change between four and
// five, so that a copy at an odd distance is met too.
func (m *matcher) search(src []byte, s, next, last int) (at, from int) {
	t := &m.table
	for s < last {
		x := load(src, s)
		h := x * hashPrime
		i, entry := h>>(64-tableBits), uint32(s)<<12|uint32(h>>32)&tagMask
		e := t[i]
		t[i] = entry
		if (e^entry)&tagMask == 0 && load(src, int(e>>12)) == x {
			return s, int(e >> 12)
		}
		x = load(src, s+2)
		h = x * hashPrime
		e = t[h>>(64-tableBits)]
		if (e^uint32(h>>32))&tagMask == 0 && load(src, int(e>>12)) == x {
			return s + 2, int(e >> 12)
		}
		s += 4 + (s-next)>>6&1 + (s-next)>>patience
	}
	return 0, -1
}

// write gives an offset as it is written, and keeps recent as a decoder will
// (3.1.1.5). After no literals the one used last is not written short.
func (m *matcher) write(offset uint32, none bool) uint32 {
	r := &m.recent
	short := uint32(1)
	if none {
		short = 0
	}
	switch {
	case offset == r[0] && !none:
		return 1
	case offset == r[1]:
		r[0], r[1] = offset, r[0]
		return 1 + short
	case offset == r[2]:
		r[0], r[1], r[2] = offset, r[0], r[1]
		return 2 + short
	default:
		r[0], r[1], r[2] = offset, r[0], r[1]
		return offset + 3
	}
}

// same counts the bytes that are equal from a and from b on, b before a. Most
// matches end within 16 bytes more: these take one branch.
func same(src []byte, a, b int) int {
	n := 0
	for a+n+16 <= len(src) {
		d, e := load(src, a+n)^load(src, b+n), load(src, a+n+8)^load(src, b+n+8)
		if d|e != 0 {
			k := bits.TrailingZeros64(d)
			if d == 0 {
				k = 64 + bits.TrailingZeros64(e)
			}
			return n + k>>3
		}
		n += 16
	}
	for a+n < len(src) && src[a+n] == src[b+n] {
		n++
	}
	return n
}

// sameBefore counts the bytes that are equal before a and before b, b before
// a, up to most of them.
func sameBefore(src []byte, a, b, most int) int {
	n := 0
	for most = min(most, b); n < most && src[a-n-1] == src[b-n-1]; {
		n++
	}
	return n
}

func load(b []byte, i int) uint64 { return binary.LittleEndian.Uint64(b[i : i+8 : i+8]) }
