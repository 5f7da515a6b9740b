package archive

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"filippo.io/age"

	"pgvault/fault"
)

// TestRoundTrip seals an archive of several frames and reads it back: whole,
// block by block in any order, and through the one-time key.
func TestRoundTrip(t *testing.T) {
	b := newBench(t)
	once := must(NewOneTime(b.to))(t)
	blocks := [][]byte{bytes.Repeat([]byte("a row\n"), 200_000), noise(t, 300_000), []byte("x"), noise(t, 65536), bytes.Repeat([]byte{0}, 5<<20)}
	s := b.seal(t, once, noise(t, 10_000), blocks...)
	o := must(s.open(t.Context()))(t)
	for _, keys := range []*Keys{b.keys, once.Keys()} {
		sameBytes(t, MainPart, must(readPart(t.Context(), o, MainPart, keys))(t), s.dump)
		sameBytes(t, GlobalsPart, must(o.ReadPart(t.Context(), GlobalsPart, keys, 1<<20))(t), []byte("CREATE ROLE shop;\n"))
		c := must(o.Contents(t.Context(), keys))(t)
		if !reflect.DeepEqual(c, &s.contents) {
			t.Errorf("contents came back as %+v", c)
		}
		m := must(o.Main(t.Context(), c, keys))(t)
		defer m.Close()
		sameBytes(t, "TOC", must(m.TOC())(t), s.dump[:10_000])
		for i := len(blocks) - 1; i >= 0; i-- {
			r := must(m.Block(c.Tables[i].Offset, c.Tables[i].Length))(t)
			sameBytes(t, fmt.Sprintf("block %d", i), must(io.ReadAll(r))(t), blocks[i])
			_ = r.Close()
		}
	}
	for _, p := range o.Manifest.Parts {
		var passed int64
		if err := o.CheckPart(t.Context(), p.Name, func(n int64) { passed += n }); err != nil || passed != p.Size {
			t.Errorf("%s: %v after %d of %d bytes", p.Name, err, passed, p.Size)
		}
	}
	if !reflect.DeepEqual(o.Manifest, &s.manifest) || o.Digest != hexSum(readFile(t, s.file(ManifestName))) {
		t.Errorf("the manifest came back as %+v", o.Manifest)
	}
}

// TestBlockEnds: a block that is shorter than contents says is an error, not
// an early end; so is an offset where no frame begins.
func TestBlockEnds(t *testing.T) {
	b := newBench(t)
	s := b.seal(t, nil, noise(t, 100), noise(t, 100_000))
	o := must(s.open(t.Context()))(t)
	c := must(o.Contents(t.Context(), b.keys))(t)
	m := must(o.Main(t.Context(), c, b.keys))(t)
	defer m.Close()
	r := must(m.Block(100, 100_001))(t)
	got, err := io.ReadAll(r)
	wantFault(t, "long block", err, fault.Differs, MainPart, s.id)
	sameBytes(t, "long block", got, s.dump[100:])
	_, err = m.Block(101, 1)
	wantFault(t, "no frame", err, fault.Differs, MainPart)
	c.Dump.Frames[1].Zstd = 1 << 40
	_, err = io.ReadAll(must(m.Block(100, 10))(t))
	wantFault(t, "frame beyond the end", err, fault.Differs, MainPart)
	c.Dump.TOCSHA256 = hexSum(nil)
	_, err = m.TOC()
	wantFault(t, "other TOC", err, fault.Differs, MainPart)
}

// TestNothingReadable looks for the dump's and the contents' text in all that
// lies in the place; only names and totals of the manifest may be there.
func TestNothingReadable(t *testing.T) {
	b := newBench(t)
	s := b.seal(t, nil, []byte("PGDMP canary-toc-7314"), []byte("canary-row-7315\n"))
	files := 0
	err := filepath.WalkDir(b.path, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		src := readFile(t, path)
		for _, secret := range []string{"canary", "public", "CREATE ROLE", s.contents.Tables[0].SHA256} {
			if bytes.Contains(src, []byte(secret)) {
				t.Errorf("%s holds %q", path, secret)
			}
		}
		return nil
	})
	if err != nil || files != 6 {
		t.Fatalf("%d files, want 6; %v", files, err)
	}
}

// TestCut: cuts at one place make one frame, an empty dump is one frame, and
// the index is what the bytes say.
func TestCut(t *testing.T) {
	b := newBench(t)
	w := must(NewSealer(b.place, "v/d/x/", b.to, nil).Part(t.Context(), MainPart))(t)
	for _, step := range []string{"", "cut", "cut", "abc", "cut", "cut", "def", "cut"} {
		if step == "cut" {
			if err := w.Cut(); err != nil {
				t.Fatal(err)
			}
			continue
		}
		must(w.Write([]byte(step)))(t)
	}
	must(w.Close(t.Context()))(t)
	var at []int64
	for _, f := range w.Frames() {
		at = append(at, f.Dump)
	}
	if !reflect.DeepEqual(at, []int64{0, 3, 6}) {
		t.Errorf("frames begin at %v", at)
	}
}

// TestSmallPartsAreBounded: what a reader would refuse is not written.
func TestSmallPartsAreBounded(t *testing.T) {
	b := newBench(t)
	w := must(NewSealer(b.place, "v/d/x/", b.to, nil).Part(t.Context(), ContentsPart))(t)
	piece := make([]byte, 1<<20)
	var err error
	for n := 0; err == nil; n++ {
		if _, err = w.Write(piece); err == nil && n >= 64 {
			t.Fatal("more than 64 MiB were taken")
		}
	}
	wantFault(t, "large contents", err, fault.Failed, ContentsPart)
	w.Abort()
}

// TestBomb: a part that unpacks to more than was signed stops there, one byte
// behind the promise at most.
func TestBomb(t *testing.T) {
	b := newBench(t)
	s := b.seal(t, nil, make([]byte, 50<<20))
	for _, bytes := range []int64{1 << 20, 50<<20 - 1} {
		s.resign(t, func(m *Manifest) { m.Bytes = bytes })
		o := must(s.open(t.Context()))(t)
		r := must(o.Part(t.Context(), MainPart, b.keys))(t)
		n, err := io.Copy(io.Discard, r)
		wantFault(t, "bomb", err, fault.Differs, MainPart, "more than")
		if n > bytes {
			t.Errorf("%d bytes came of %d", n, bytes)
		}
		if k, err2 := r.Read(make([]byte, 10)); k != 0 || err2 == nil || err2 == io.EOF {
			t.Errorf("after the error: %d, %v", k, err2)
		}
		_ = r.Close()
	}
	s.resign(t, func(m *Manifest) { m.Bytes = 50<<20 + 1 })
	_, err := readPart(t.Context(), must(s.open(t.Context()))(t), MainPart, b.keys)
	wantFault(t, "shorter than signed", err, fault.Differs, MainPart)
	_, err = must(s.open(t.Context()))(t).ReadPart(t.Context(), ContentsPart, b.keys, 20)
	wantFault(t, "contents over the caller's limit", err, fault.Differs, ContentsPart)
}

// TestWindow: a zstd frame whose window would take much memory is refused
// before any is taken.
func TestWindow(t *testing.T) {
	for exponent, good := range map[byte]bool{13: true, 14: false, 20: false} { // 8 MiB, 16 MiB, 1 GiB
		// magic, a descriptor without content size, the window, an empty last block
		r := must(newDecoder(bytes.NewReader([]byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, exponent << 3, 1, 0, 0})))(t)
		_, err := r.Read(make([]byte, 1))
		if good && err != io.EOF || !good && (err == nil || !strings.Contains(err.Error(), "window")) {
			t.Errorf("a window of 2^%d gave %v", exponent+10, err)
		}
	}
}

// TestContentsOfAnother: contents sealed for one archive do not serve another.
func TestContentsOfAnother(t *testing.T) {
	b := newBench(t)
	s := b.seal(t, nil, noise(t, 100), noise(t, 100))
	c := s.contents
	for what, change := range map[string]func(){
		"id":        func() { c.ID = "20261122T213000Z-0000" },
		"format":    func() { c.Format = 2 },
		"length":    func() { c.Dump.Length++ },
		"toc":       func() { c.Dump.TOCLength = 0 },
		"toc sum":   func() { c.Dump.TOCSHA256 = "" },
		"no frames": func() { c.Dump.Frames = nil },
		"order":     func() { c.Dump.Frames = []Frame{{}, {100, 50}, {100, 60}} },
		"outside":   func() { c.Tables = []Table{{DumpID: 1, Offset: 100, Length: 101, SHA256: hexSum(nil)}} },
		"overflow":  func() { c.Tables = []Table{{DumpID: 1, Offset: 100, Length: 1<<63 - 1, SHA256: hexSum(nil)}} },
		"rows":      func() { c.Tables = []Table{{DumpID: 1, Offset: 100, Length: 100, Rows: 101, SHA256: hexSum(nil)}} },
		"twice":     func() { c.Tables = append(c.Tables, c.Tables[0]) },
		"large":     func() { c.Large = []LargeObjects{{DumpID: 9, Offset: 50, Length: 10, SHA256: hexSum(nil)}} },
	} {
		c = s.contents
		if _, err := ParseContents(must(json.Marshal(c))(t), &s.manifest); err != nil {
			t.Fatal(err)
		}
		change()
		_, err := ParseContents(must(json.Marshal(c))(t), &s.manifest)
		wantFault(t, what, err, fault.Differs, s.id)
	}
}

// TestUnclosedAge: an age file that was never closed, signed all the same, is
// no whole part, also where the cut is between two zstd frames.
func TestUnclosedAge(t *testing.T) {
	b := newBench(t)
	s := b.seal(t, nil, noise(t, 10))
	var plain, cut bytes.Buffer
	enc := must(zstdFrame(noise(t, 65536-9)))(t) // with its framing one chunk of age
	plain.Write(enc)
	w := must(age.Encrypt(&cut, b.to.age...))(t)
	must(w.Write(plain.Bytes()))(t)
	must(w.Write([]byte{0}))(t) // pushes the full chunk out; never closed
	if len(enc) != 65536 {
		t.Fatalf("the frame has %d bytes", len(enc))
	}
	writeFile(t, s.file(MainPart), cut.Bytes())
	s.resign(t, func(m *Manifest) {
		m.Bytes, m.Parts[0].Size, m.Parts[0].SHA256 = 65536-9, int64(cut.Len()), hexSum(cut.Bytes())
	})
	_, err := readPart(t.Context(), must(s.open(t.Context()))(t), MainPart, b.keys)
	wantFault(t, "unclosed", err, fault.Differs, MainPart, "unexpected EOF")
}

// zstdFrame gives p as one frame of raw blocks.
func zstdFrame(p []byte) ([]byte, error) {
	if len(p) > 1<<17 {
		return nil, fmt.Errorf("%d bytes are more than a block", len(p))
	}
	head := uint32(len(p))<<3 | 1 // last, raw
	return append([]byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38, byte(head), byte(head >> 8), byte(head >> 16)}, p...), nil
}
