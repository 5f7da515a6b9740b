package dumpfile

import (
	"bytes"
	"errors"
	"os"
	"testing"
)

// objectBlocks is a dump of large objects in blocks as given: each is an OID
// and the number of bytes that it holds.
func objectBlocks(t *testing.T, blocks ...[][2]int) (*recorder, []byte) {
	t.Helper()
	w := newEncoder(16)
	w.header(0)
	w.int(int64(len(blocks)))
	for i := range blocks {
		w.entry(Entry{ID: 10 + i, HadDumper: true, Tag: "BLOBS", Desc: "BLOBS", Section: SectionData, HasData: true})
	}
	for i, b := range blocks {
		w.block(LargeObjects, 10+i)
		for _, o := range b {
			w.int(int64(o[0]))
			if o[1] == 0 {
				w.chunks()
				continue
			}
			w.chunks(string(bytes.Repeat([]byte{byte(o[0])}, o[1])))
		}
		w.int(0)
	}
	return scan(t, bytes.NewReader(w.b)), w.b
}

func objectSum(blocks []Block) (sum [32]byte) {
	for _, b := range blocks {
		if b.Kind == LargeObjects {
			sum = AddSums(sum, b.Sum)
		}
	}
	return sum
}

// TestObjectSum: the same large objects have one sum, however a pg_dump
// divides and orders them; others have another.
func TestObjectSum(t *testing.T) {
	one, raw := objectBlocks(t, [][2]int{{1, 5}, {2, 0}, {3, 70000}})
	for name, other := range map[string][][][2]int{"two blocks": {{{1, 5}}, {{2, 0}, {3, 70000}}}, "another order": {{{3, 70000}, {1, 5}, {2, 0}}}} {
		if rec, _ := objectBlocks(t, other...); objectSum(rec.blocks) != objectSum(one.blocks) {
			t.Errorf("%s: another sum", name)
		}
	}
	for name, other := range map[string][][2]int{"a byte less": {{1, 5}, {2, 0}, {3, 69999}}, "another OID": {{1, 5}, {4, 0}, {3, 70000}}, "one missing": {{1, 5}, {3, 70000}}, "one twice": {{1, 5}, {1, 5}, {2, 0}, {3, 70000}}} {
		if rec, _ := objectBlocks(t, other); objectSum(rec.blocks) == objectSum(one.blocks) {
			t.Errorf("%s: the same sum", name)
		}
	}
	b := one.blocks[0]
	block := raw[b.Offset : b.Offset+b.Length]
	alone, err := ScanObjects(bytes.NewReader(block), one.toc.Header, one.toc.Entry(b.ID))
	if b.Offset = 0; err != nil || alone != b {
		t.Errorf("%+v, %v, want %+v", alone, err, b)
	}
	var bad *FormatError
	for name, in := range map[string][]byte{"cut": block[:len(block)-1], "nothing": nil, "rows": append([]byte{1}, block[1:]...)} {
		if _, err := ScanObjects(bytes.NewReader(in), one.toc.Header, one.toc.Entry(b.ID)); !errors.As(err, &bad) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestObjectSumAcrossVersions reads what pg_dump of four versions made of the
// same large objects.
func TestObjectSumAcrossVersions(t *testing.T) {
	var first [32]byte
	for i, name := range []string{"pg13", "pg15", "pg17", "pg18"} {
		src, err := os.ReadFile("testdata/" + name + ".dump")
		if err != nil {
			t.Fatal(err)
		}
		sum := objectSum(scan(t, bytes.NewReader(src)).blocks)
		if i == 0 {
			first = sum
		}
		if sum != first || sum == [32]byte{} {
			t.Errorf("%s: %x, not %x", name, sum, first)
		}
	}
}
