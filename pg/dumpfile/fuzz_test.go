package dumpfile

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"testing"
)

// Run with -fuzzminimizetime=10x: with Go's default the fuzzer minimizes almost
// all of the time.

func seeds(f *testing.F) {
	for _, dump := range smallDumps(f) {
		f.Add(dump)
	}
	for minor := oldestMinor; minor <= newestMinor; minor++ {
		f.Add(newEncoder(minor).small(0))
	}
	f.Add((&encoder{minor: 14, intSize: 8, offSize: 4}).small(0))
}

// FuzzScan: any input gives a FormatError or a whole dump, the same in
// whatever pieces it comes, and each block of a whole dump reads alone as it
// read in its place.
func FuzzScan(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, dump []byte) {
		rec, again := &recorder{}, &recorder{}
		err := Scan(bytes.NewReader(dump), rec)
		err2 := Scan(inPieces(dump, 11), again)
		if !reflect.DeepEqual(err, err2) || !reflect.DeepEqual(rec.blocks, again.blocks) || !reflect.DeepEqual(rec.toc, again.toc) {
			t.Fatalf("in pieces %v, at once %v", err2, err)
		}
		if rec.fault != nil || again.fault != nil {
			t.Fatal(rec.fault, again.fault)
		}
		if !bytes.HasPrefix(dump, rec.raw) {
			t.Fatal("raw bytes that were not read")
		}
		var fe *FormatError
		if err != nil {
			if !errors.As(err, &fe) || fe.Offset < 0 || fe.Offset > int64(len(dump)) {
				t.Fatalf("%T %v", err, err)
			}
			return
		}
		if len(rec.raw) != len(dump) {
			t.Fatal("not all bytes were handed on")
		}
		for _, b := range rec.blocks {
			if b.Kind != Data {
				continue
			}
			br, err := NewBlockReader(bytes.NewReader(dump[b.Offset:b.Offset+b.Length]), rec.toc.Header, b.ID)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, br); err != nil {
				t.Fatal(err)
			}
			b.Offset = 0
			if br.Block() != b {
				t.Fatalf("%+v alone, %+v in place", br.Block(), b)
			}
		}
	})
}

// FuzzReadTOC: any input gives a FormatError or a TOC, whose every byte and
// none more was read.
func FuzzReadTOC(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, dump []byte) {
		r := bytes.NewReader(dump)
		toc, err := ReadTOC(r)
		toc2, err2 := ReadTOC(inPieces(dump, 3))
		if !reflect.DeepEqual(err, err2) || !reflect.DeepEqual(toc, toc2) {
			t.Fatalf("in pieces %v, at once %v", err2, err)
		}
		var fe *FormatError
		if err != nil {
			if !errors.As(err, &fe) {
				t.Fatalf("%T %v", err, err)
			}
			return
		}
		if int64(len(dump)-r.Len()) != toc.Length {
			t.Fatalf("%d bytes read of a TOC of %d", len(dump)-r.Len(), toc.Length)
		}
		for i := range toc.Entries {
			e := &toc.Entries[i]
			if toc.Entry(e.ID) != e {
				t.Fatal("an entry is not found by its id")
			}
			if line := toc.Line(e); bytes.ContainsAny([]byte(line[len(line)-len(e.Owner):]), "\r\n") {
				t.Fatalf("%q", line)
			}
		}
	})
}
