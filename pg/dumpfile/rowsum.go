package dumpfile

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
	"io"
	"math/bits"
)

// RowSum digests COPY rows so that their order does not matter: the SHA-256 of
// every row without its newline, taken as a little-endian number, summed
// modulo 2^256; sum is that number, little-endian. Two tables with the same
// rows give the same sum however their rows are stored. It tells accident, not
// malice: who may choose many rows can make two sets with one sum. Memory is
// constant in the number and length of rows. A last row without a newline is
// io.ErrUnexpectedEOF.
func RowSum(r io.Reader) (rows int64, sum [32]byte, err error) {
	var acc [4]uint64
	long := sha256.New() // of a row that the buffer does not hold whole
	open := false
	buf := make([]byte, 128<<10)
	held := 0 // buf[:held] starts a row
	for empty := 0; empty < emptyReads; {
		n, err := r.Read(buf[held:])
		empty++
		if n > 0 {
			empty = 0
		}
		b := buf[:held+n]
		for {
			i := bytes.IndexByte(b, '\n')
			if i < 0 {
				break
			}
			addRow(&acc, b[:i], long, open)
			open = false
			rows++
			b = b[i+1:]
		}
		held = copy(buf, b)
		if held > len(buf)/2 {
			long.Write(buf[:held])
			held, open = 0, true
		}
		if err == nil {
			continue
		}
		if !errors.Is(err, io.EOF) {
			return rows, sum, err
		}
		if held > 0 || open {
			return rows, sum, io.ErrUnexpectedEOF
		}
		for i, v := range acc {
			binary.LittleEndian.PutUint64(sum[8*i:], v)
		}
		return rows, sum, nil
	}
	return rows, sum, io.ErrNoProgress
}

// addRow adds a row; open says that long holds its beginning.
func addRow(acc *[4]uint64, row []byte, long hash.Hash, open bool) {
	d := sha256.Sum256(row)
	if open {
		long.Write(row)
		d = [32]byte(long.Sum(nil))
		long.Reset()
	}
	var carry uint64
	for i := range acc {
		acc[i], carry = bits.Add64(acc[i], binary.LittleEndian.Uint64(d[8*i:]), carry)
	}
}
