package dumpfile

import (
	"bytes"
	"io"
	"strconv"
	"strings"
	"testing"
)

// benchDump is one table of rows of size bytes, a chunk for each row.
func benchDump(size, total int) (dump []byte, block int) {
	w := newEncoder(16)
	w.header(0)
	w.int(1)
	w.entry(smallEntries(16)[3])
	block = len(w.b)
	w.block(Data, 4)
	row := strings.Repeat("x", size-1) + "\n"
	for range total / size {
		w.str(row)
	}
	w.chunks(endMarker)
	return w.b, block
}

type discard struct{}

func (discard) Raw([]byte) error                          { return nil }
func (discard) TOC(*TOC) error                            { return nil }
func (discard) BlockStart(*Entry, BlockKind, int64) error { return nil }
func (discard) Progress(*Entry, int64, int64)             {}
func (discard) BlockEnd(*Entry, Block) error              { return nil }

func BenchmarkScan(b *testing.B) {
	for _, size := range []int{30, 100, 1000, 100_000} {
		b.Run("row="+strconv.Itoa(size), func(b *testing.B) {
			dump, _ := benchDump(size, 128<<20)
			b.SetBytes(int64(len(dump)))
			b.ReportAllocs()
			for b.Loop() {
				if err := Scan(bytes.NewReader(dump), discard{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkBlockReader(b *testing.B) {
	dump, start := benchDump(100, 128<<20)
	b.SetBytes(int64(len(dump)))
	for b.Loop() {
		br, err := NewBlockReader(bytes.NewReader(dump[start:]), Header{IntSize: 4, Compression: "none"}, 4)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, br); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRowSum(b *testing.B) {
	rows := bytes.Repeat([]byte(strings.Repeat("x", 99)+"\n"), 1<<20/100*16)
	b.SetBytes(int64(len(rows)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := RowSum(bytes.NewReader(rows)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadTOC(b *testing.B) {
	w := newEncoder(16)
	w.header(0)
	w.int(30_000)
	e := smallEntries(16)[1]
	e.Defn = strings.Repeat("column text,\n", 40)
	for i := range 30_000 {
		e.ID, e.Deps = i+1, []int{1, 2, 3}
		w.entry(e)
	}
	b.SetBytes(int64(len(w.b)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ReadTOC(bytes.NewReader(w.b)); err != nil {
			b.Fatal(err)
		}
	}
}
