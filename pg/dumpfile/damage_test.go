package dumpfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
)

// TestEveryTruncation: no beginning of a dump passes for a dump.
func TestEveryTruncation(t *testing.T) {
	for file, dump := range smallDumps(t) {
		length := scan(t, bytes.NewReader(dump)).toc.Length
		for n := range dump {
			scanError(t, dump[:n])
			if _, err := ReadTOC(bytes.NewReader(dump[:n])); (err == nil) != (int64(n) >= length) {
				t.Fatalf("%s: ReadTOC of %d bytes: %v", file, n, err)
			}
		}
	}
}

func TestEveryByteAppended(t *testing.T) {
	for _, dump := range smallDumps(t) {
		for b := range 256 {
			scanError(t, append(bytes.Clone(dump), byte(b)))
		}
		scanError(t, append(bytes.Clone(dump), dump...))
	}
}

// TestEveryByteChanged: whatever a changed byte does, the raw bytes stay
// whole, nothing panics and a dump that passes has all its blocks.
func TestEveryByteChanged(t *testing.T) {
	dump := smallDumps(t)["testdata/pg17.dump"]
	for i := range dump {
		for _, x := range []byte{0x01, 0x80, 0xff} {
			d := bytes.Clone(dump)
			d[i] ^= x
			rec := &recorder{}
			if err := Scan(bytes.NewReader(d), rec); err == nil && (!bytes.Equal(rec.raw, d) || rec.fault != nil || len(rec.blocks) != 5) {
				t.Fatalf("byte %d xor %#x: %v", i, x, rec.fault)
			}
		}
	}
}

// TestRefusals names what is wrong, for each thing that can be.
func TestRefusals(t *testing.T) {
	good := smallEntries(16)
	head := func(w *encoder) *encoder { w.header(0); return w }
	entries := func(es ...Entry) *encoder {
		w := head(newEncoder(16))
		w.int(int64(len(es)))
		for _, e := range es {
			w.entry(e)
		}
		return w
	}
	edit := func(e Entry, f func(*Entry)) Entry { f(&e); return e }
	table := entries(good[3])
	after := func(f func(w *encoder)) []byte {
		w := *table
		w.b = bytes.Clone(table.b)
		f(&w)
		return w.b
	}
	replace := func(at int, b byte) []byte {
		d := newEncoder(16).small(0)
		d[at] = b
		return d
	}
	tests := map[string]struct {
		dump []byte
		want string
	}{
		"empty":               {nil, "ends within the header"},
		"SQL":                 {[]byte("--\n-- PostgreSQL database dump"), "not a dump in pg_dump's custom format"},
		"other start":         {[]byte("PGDMX"), "not a dump"},
		"too new":             {replace(6, 17), "archive version 1.17 is not one of 1.12 to 1.16"},
		"too old":             {replace(6, 11), "archive version 1.11"},
		"version 2":           {replace(5, 2), "archive version 2.16"},
		"int size":            {replace(8, 33), "integers of 33"},
		"offset size":         {replace(9, 0), "offsets of 0"},
		"tar":                 {replace(10, 3), "archive format 3"},
		"lz4":                 {newEncoder(16).small(2), "compressed with lz4: pgvault reads uncompressed dumps"},
		"zstd":                {newEncoder(15).small(3), "compressed with zstd"},
		"gzip by level":       {newEncoder(14).small(6), "compressed with gzip"},
		"no such compression": {newEncoder(16).small(4), "unknown compression 4"},
		"negative count":      {func() []byte { w := head(newEncoder(16)); w.int(-1); return w.b }(), "absurd number"},
		"absurd count":        {func() []byte { w := head(newEncoder(16)); w.int(10e6 + 1); return w.b }(), "absurd number"},
		"entry id 0":          {entries(edit(good[0], func(e *Entry) { e.ID = 0 })).b, "id is out of range"},
		"same id":             {entries(good[0], edit(good[3], func(e *Entry) { e.ID = 1 })).b, "same id"},
		"section 0":           {entries(edit(good[0], func(e *Entry) { e.Section = 0 })).b, "section is out of range"},
		"section 5":           {entries(edit(good[0], func(e *Entry) { e.Section = 5 })).b, "section is out of range"},
		"no kind":             {entries(edit(good[0], func(e *Entry) { e.Desc = "" })).b, "no kind"},
		"zero byte":           {entries(edit(good[0], func(e *Entry) { e.Tag = "a\x00b" })).b, "zero byte"},
		"negative dependency": {entries(edit(good[0], func(e *Entry) { e.Deps = []int{-1} })).b, "no list of ids"},
		"no block":            {table.b, "without the data of 1 entries, the first being 4 TABLE DATA public.a"},
		"unknown entry":       {after(func(w *encoder) { w.block(Data, 5); w.chunks() }), "entry 5, which the table of contents lacks"},
		"unknown type":        {after(func(w *encoder) { w.block(2, 4); w.chunks() }), "unknown block type 2"},
		"wrong type":          {after(func(w *encoder) { w.block(LargeObjects, 4); w.int(0) }), "block of type 3 for entry 4"},
		"repeated":            {after(func(w *encoder) { w.block(Data, 4); w.chunks(); w.block(Data, 4); w.chunks() }), "second block"},
		"negative chunk":      {after(func(w *encoder) { w.block(Data, 4); w.int(-5) }), "negative length"},
		"huge chunk":          {after(func(w *encoder) { w.block(Data, 4); w.int(1<<31 - 1); w.byte('x') }), "ends within a data block"},
		"chunk over an int":   {after(func(w *encoder) { w.block(Data, 4); w.int(1 << 31) }), "out of range"},
		"sign byte":           {after(func(w *encoder) { w.block(Data, 4); w.b = append(w.b, 2, 0, 0, 0, 0) }), "sign byte"},
		"data for no data": {func() []byte {
			w := entries(good[1])
			w.block(Data, 2)
			w.chunks()
			return w.b
		}(), "which has no data"},
	}
	for name, tt := range tests {
		if f := scanError(t, tt.dump); !strings.Contains(f.What, tt.want) || !strings.Contains(f.Error(), f.What) {
			t.Errorf("%s: %v", name, f)
		}
	}
}

// TestFieldRefusals breaks the fields that no Entry can hold wrong.
func TestFieldRefusals(t *testing.T) {
	for name, tt := range map[string]struct{ old, new, want string }{
		"OID":          {"\x00\x05\x00\x00\x0016384", "\x00\x05\x00\x00\x001638x", "OID is no number"},
		"big OID":      {"\x00\x0a\x00\x00\x004294967295", "\x00\x0a\x00\x00\x004294967296", "OID is no number"},
		"OIDs flag":    {"\x00\x05\x00\x00\x00false", "\x00\x05\x00\x00\x00falsy", "OIDs flag"},
		"offset flag":  {"\x01\x01\x00\x00\x00\x03", "\x01\x01\x00\x00\x00\x04", "has the flag 4"},
		"string of -2": {"\x00\x06\x00\x00\x00public", "\x01\x02\x00\x00\x00public", "schema has the length -2"},
		"string over":  {"\x00\x06\x00\x00\x00public", "\x00\x01\x00\x00\x04public", "schema has the length 67108865"},
		"longest ever": {"\x00\x06\x00\x00\x00public", "\x00\xff\xff\xff\xffpublic", "schema is out of range"},
	} {
		dump := newEncoder(16).small(0)
		bad := bytes.Replace(dump, []byte(tt.old), []byte(tt.new), 1)
		if bytes.Equal(bad, dump) {
			t.Fatalf("%s: nothing was changed", name)
		}
		if f := scanError(t, bad); !strings.Contains(f.What, tt.want) {
			t.Errorf("%s: %v", name, f)
		}
	}
}

// TestLiesCostNothing: lengths and counts that the dump only claims take no
// memory.
func TestLiesCostNothing(t *testing.T) {
	count := newEncoder(16)
	count.header(0)
	count.int(10e6)
	text := newEncoder(16)
	text.header(0)
	text.int(1)
	text.int(1)
	text.int(0)
	text.int(maxString)
	chunk := newEncoder(16)
	chunk.header(0)
	chunk.int(1)
	chunk.entry(smallEntries(16)[3])
	chunk.block(Data, 4)
	chunk.int(1<<31 - 1)
	for name, w := range map[string]*encoder{"count": count, "string": text, "chunk": chunk} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		scanError(t, w.b)
		runtime.ReadMemStats(&after)
		if d := after.TotalAlloc - before.TotalAlloc; d > 4<<20 {
			t.Errorf("%s: %d bytes allocated", name, d)
		}
	}
}

// TestLongStrings: definitions longer than any buffer are read.
func TestLongStrings(t *testing.T) {
	e := smallEntries(16)[1]
	for _, n := range []int{maxView - 1, maxView, maxView + 1, 3 << 20} {
		e.Defn = strings.Repeat("é", n/2) + strings.Repeat("x", n%2)
		w := newEncoder(16)
		w.header(0)
		w.int(1)
		w.entry(e)
		for _, size := range []int{1000, 1 << 30} {
			toc, err := ReadTOC(inPieces(w.b, size))
			if err != nil || toc.Entries[0].Defn != e.Defn || toc.Entries[0].Owner != "me" {
				t.Errorf("%d bytes by %d: %v", n, size, err)
			}
		}
		if rec := scan(t, inPieces(w.b, 777)); rec.toc.Entries[0].Defn != e.Defn || !bytes.Equal(rec.raw, w.b) {
			t.Errorf("%d bytes: Scan reads another definition", n)
		}
	}
}

// failing is a Handler whose n-th call fails.
type failing struct {
	recorder
	n   int
	err error
}

func (f *failing) count(err error) error {
	f.n--
	if f.n == 0 {
		return f.err
	}
	return err
}

func (f *failing) Raw(p []byte) error { return f.count(f.recorder.Raw(p)) }
func (f *failing) TOC(t *TOC) error   { return f.count(f.recorder.TOC(t)) }
func (f *failing) BlockStart(e *Entry, k BlockKind, o int64) error {
	return f.count(f.recorder.BlockStart(e, k, o))
}
func (f *failing) BlockEnd(e *Entry, b Block) error { return f.count(f.recorder.BlockEnd(e, b)) }

// TestHandlerErrorEnds: an error of any call comes out as it is, and no call
// follows it.
func TestHandlerErrorEnds(t *testing.T) {
	dump := newEncoder(16).small(0)
	full := errors.New("full")
	n := 1
	for ; ; n++ {
		f := &failing{n: n, err: full}
		err := Scan(bytes.NewReader(dump), f)
		if err == nil && f.n > 0 {
			break
		}
		if err != full || f.n != 0 {
			t.Fatalf("call %d: %v, %d", n, err, f.n)
		}
	}
	if calls := n - 1; calls != 2+3*3 { // Raw and TOC; BlockStart, Raw and BlockEnd of three blocks
		t.Errorf("%d calls", calls)
	}
}

type brokenReader struct {
	io.Reader
	err error
}

func (b brokenReader) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		err = b.err
	}
	return n, err
}

// TestReaderErrorComesOut: an error of the input is not taken for its end.
func TestReaderErrorComesOut(t *testing.T) {
	dump := newEncoder(16).small(0)
	lost := errors.New("connection lost")
	for n := range len(dump) + 1 {
		if err := Scan(brokenReader{bytes.NewReader(dump[:n]), lost}, &recorder{}); err != lost {
			t.Fatalf("after %d bytes: %v", n, err)
		}
	}
	if err := Scan(brokenReader{bytes.NewReader(nil), nil}, &recorder{}); err != io.ErrNoProgress {
		t.Error(err)
	}
	if _, _, err := RowSum(brokenReader{bytes.NewReader([]byte("a\n")), lost}); err != lost {
		t.Error(err)
	}
	if _, _, err := RowSum(brokenReader{bytes.NewReader([]byte("a\n")), nil}); err != io.ErrNoProgress {
		t.Error(err)
	}
}

// once gives all its bytes together with an error, and after that only io.EOF.
type once struct {
	b   []byte
	err error
}

func (o *once) Read(p []byte) (int, error) {
	n := copy(p, o.b)
	o.b = o.b[n:]
	err := o.err
	if len(o.b) == 0 {
		o.err = io.EOF
		return n, err
	}
	return n, nil
}

// TestErrorWithLastBytes: the error that came with the last bytes is kept.
func TestErrorWithLastBytes(t *testing.T) {
	lost := errors.New("connection lost")
	if err := Scan(&once{newEncoder(16).small(0), lost}, &recorder{}); err != lost {
		t.Error(err)
	}
}

// TestProgressOfEachBlock: a block's progress does not hang on the one before.
func TestProgressOfEachBlock(t *testing.T) {
	es := smallEntries(16)
	w := newEncoder(16)
	w.header(0)
	w.int(2)
	w.entry(es[3])
	w.entry(es[4])
	w.block(Data, 4)
	row := strings.Repeat("x", 99) + "\n"
	for range 3 << 20 / len(row) {
		w.str(row)
	}
	w.chunks(endMarker)
	w.block(LargeObjects, 5)
	for oid := range 4 {
		w.int(int64(oid + 1))
		w.chunks(strings.Repeat("y", 300<<10))
	}
	w.int(0)
	counts := map[BlockKind]int{}
	rec := &recorder{}
	err := Scan(bytes.NewReader(w.b), &progressCounter{rec, counts})
	if err != nil || rec.fault != nil {
		t.Fatal(err, rec.fault)
	}
	if n := counts[Data]; n < 9 || n > 12 {
		t.Errorf("%d reports of 3 MiB of rows", n)
	}
	if n := counts[LargeObjects]; n < 3 || n > 5 {
		t.Errorf("%d reports of four large objects of 300 KiB", n)
	}
}

type progressCounter struct {
	*recorder
	n map[BlockKind]int
}

func (p *progressCounter) Progress(e *Entry, rows, bytes int64) {
	p.n[e.kind()]++
	p.recorder.Progress(e, rows, bytes)
}

// TestSmallestInt is the one number whose magnitude only a negative int has.
func TestSmallestInt(t *testing.T) {
	b := binary.LittleEndian.AppendUint32([]byte{1}, 1<<31)
	s := newSource(bytes.NewReader(b), 64)
	if v, err := s.integer("it"); err != nil || v != -1<<31 {
		t.Error(v, err)
	}
	wide := newSource(bytes.NewReader(bytes.Repeat([]byte{0xff}, 9)), 64)
	wide.intSize = 8
	wide.buf[0] = 0
	if _, err := wide.integer("it"); err == nil {
		t.Error("eight bytes of ones were read")
	}
	all := newSource(bytes.NewReader(append([]byte{0}, bytes.Repeat([]byte{0xff}, 8)...)), 64)
	all.intSize = 8
	if _, err := all.integer("it"); err == nil {
		t.Error("2^64-1 was read")
	}
}
