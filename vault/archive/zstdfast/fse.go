package zstdfast

import "math/bits"

const (
	maxSymbols = 64
	maxTable   = 1 << 9

	modeRLE = 1
	modeFSE = 2
)

// fseEncoder writes symbols in fractions of a bit (4.1), by how often each
// is among those of one block.
type fseEncoder struct {
	count  [maxSymbols]uint32
	share  [maxSymbols]uint32 // of the table's 1<<log cells
	log    uint
	states [maxTable]uint16
	steps  [maxSymbols]step
}

// step leads from a state to the one that writes a symbol before it: the
// number of bits to give off is (state+bits)>>16, and what is left of the
// state after them, plus find, is the place of the new one in states.
type step struct {
	bits uint32
	find int32
}

// prepare makes the table for total symbols that were counted, and writes it.
func (f *fseEncoder) prepare(dst []byte, total int, maxLog uint) ([]byte, byte) {
	used, largest := 0, 0
	for s, n := range f.count {
		if n > 0 {
			used, largest = used+1, s
		}
	}
	if used == 1 {
		f.log, f.steps[largest] = 0, step{}
		f.states[0], f.states[1] = 1, 1
		return append(dst, byte(largest)), modeRLE
	}
	// A quarter of the cells that the symbols could fill tells their shares
	// well enough, and each has one at least.
	f.log = uint(min(max(bits.Len(uint(total))-2, bits.Len(uint(used)), 5), int(maxLog)))
	f.normalize(uint32(total))
	f.build()
	return f.appendShares(dst), modeFSE
}

// normalize gives each symbol its share of the cells, one at least.
func (f *fseEncoder) normalize(total uint32) {
	size := uint32(1) << f.log
	var sum uint32
	for s, n := range f.count {
		f.share[s] = 0
		if n > 0 {
			f.share[s] = max(1, (n*size+total/2)/total)
		}
		sum += f.share[s]
	}
	// What rounding gave too much or too little is the most frequent ones'.
	for sum != size {
		largest := 0
		for s, n := range f.share {
			if n > f.share[largest] {
				largest = s
			}
		}
		if sum > size {
			f.share[largest]--
			sum--
		} else {
			f.share[largest]++
			sum++
		}
	}
}

// build spreads the symbols over the cells as a decoder does (4.1.1) and
// makes the way back.
func (f *fseEncoder) build() {
	size := 1 << f.log
	var cells [maxTable]uint8
	var begin [maxSymbols]int
	at, sum := 0, 0
	for s, n := range f.share {
		begin[s] = sum
		f.steps[s] = f.step(n, sum)
		sum += int(n)
		for range n {
			cells[at] = uint8(s)
			at = (at + size>>1 + size>>3 + 3) & (size - 1)
		}
	}
	for cell, s := range cells[:size] {
		f.states[begin[s]] = uint16(size + cell)
		begin[s]++
	}
}

// step is for a symbol with n cells, after others with sum together.
func (f *fseEncoder) step(n uint32, sum int) step {
	if n == 0 {
		return step{}
	}
	most := uint32(f.log) - uint32(bits.Len32(n-1)-1) // bits that are given off
	if n == 1 {
		most = uint32(f.log)
	}
	return step{bits: most<<16 - n<<most, find: int32(sum) - int32(n)}
}

// first is the state that ends with a symbol and has given off no bits.
func (f *fseEncoder) first(symbol uint8) uint32 {
	t := f.steps[symbol&(maxSymbols-1)]
	n := (t.bits + 1<<15) >> 16
	return uint32(f.states[int32((n<<16-t.bits)>>n)+t.find])
}

// appendShares writes the shares (4.1.1). Each takes as many bits as the
// cells that are left need, one fewer if it is small; after a share of none
// come two bits that tell how many more follow, three at a time.
func (f *fseEncoder) appendShares(dst []byte) []byte {
	w := bitWriter{out: make([]byte, 3*maxSymbols)}
	w.add(uint32(f.log-5), 4)
	left := uint32(1)<<f.log + 1 // one more than the cells without an owner
	for s := 0; left > 1; s++ {
		width := uint8(bits.Len32(left))
		small := uint32(1)<<width - 1 - left // values below it have a bit fewer
		v := f.share[s] + 1
		left -= f.share[s]
		switch {
		case v < small:
			w.add(v, width-1)
		case v < 1<<(width-1):
			w.add(v, width)
		default:
			w.add(v+small, width)
		}
		w.flush()
		if f.share[s] > 0 {
			continue
		}
		more := 0
		for f.share[s+1+more] == 0 {
			more++
		}
		s += more
		for ; more >= 3; more -= 3 {
			w.add(3, 2)
			w.flush()
		}
		w.add(uint32(more), 2)
		w.flush()
	}
	w.flush()
	n := w.at
	if w.n > 0 {
		n++
	}
	return append(dst, w.out[:n]...)
}
