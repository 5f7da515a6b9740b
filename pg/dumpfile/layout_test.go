package dumpfile

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestEveryVersion reads the layouts of all archive versions and sizes of
// integers.
func TestEveryVersion(t *testing.T) {
	for minor := oldestMinor; minor <= newestMinor; minor++ {
		for _, size := range [][2]int{{4, 8}, {4, 4}, {8, 8}} {
			w := &encoder{minor: minor, intSize: size[0], offSize: size[1]}
			dump := w.small(0)
			rec := scan(t, bytes.NewReader(dump))
			want := smallEntries(minor)
			if !reflect.DeepEqual(rec.toc.Entries, want) {
				t.Errorf("1.%d %v: entries %+v", minor, size, rec.toc.Entries)
			}
			h := rec.toc.Header
			if h != (Header{[3]int{1, minor, 0}, size[0], size[1], "none", h.Created, "db", "server", "dumper", false}) ||
				!h.Created.Equal(time.Date(2026, 11, 30, 9, 8, 7, 0, time.Local)) {
				t.Errorf("1.%d: header %+v", minor, h)
			}
			if len(rec.blocks) != 3 {
				t.Fatalf("1.%d: %d blocks", minor, len(rec.blocks))
			}
			if b := rec.blocks[0]; b.Rows != 2 || b.Bytes != 8 || b.SHA256 != sha256.Sum256([]byte("1\ta\n2\tb\n")) {
				t.Errorf("1.%d: %+v", minor, b)
			}
			if b := rec.blocks[1]; b.Kind != LargeObjects || b.Rows != 2 || b.Bytes != 5 || b.SHA256 != objectDigest("hello") {
				t.Errorf("1.%d: %+v", minor, b)
			}
			if b := rec.blocks[2]; b.Rows != 0 || b.Bytes != 0 || b.SHA256 != sha256.Sum256(nil) {
				t.Errorf("1.%d: %+v", minor, b)
			}
			rest := bytes.NewReader(dump)
			if toc, err := ReadTOC(rest); err != nil || !reflect.DeepEqual(toc, rec.toc) || int64(rest.Len()) != int64(len(dump))-toc.Length {
				t.Errorf("1.%d: ReadTOC: %v, %d bytes left", minor, err, rest.Len())
			}
		}
	}
}

// objectDigest is that of small's two large objects.
func objectDigest(first string) [32]byte {
	a, b := sha256.Sum256([]byte(first)), sha256.Sum256(nil)
	return sha256.Sum256(slices.Concat(
		[]byte{0, 0, 0, 0, 0, 0, 0x40, 0x01}, a[:], []byte{0, 0, 0, 0, 0, 0, 0, 5},
		[]byte{0, 0, 0, 0, 0x80, 0, 0, 0}, b[:], make([]byte, 8)))
}

// TestOldVersionsAgainstPgRestore has pg_restore read what the encoder writes
// in its stead, so that layouts whose pg_dump is not at hand are not only the
// test's own belief.
func TestOldVersionsAgainstPgRestore(t *testing.T) {
	c := server(t)
	newest := map[int]int{16: 15}[c.major]
	if newest == 0 {
		newest = 14
	}
	if c.major >= 17 {
		newest = 16
	}
	for minor := oldestMinor; minor <= newest; minor++ {
		dump := newEncoder(minor).small(0)
		rec := scan(t, bytes.NewReader(dump))
		compareList(t, c, dump, rec.toc)
		sql := string(c.output(t, dump, "pg_restore", "-f", "-", "--section=data"))
		for _, part := range []string{"1\ta\n2\tb\n\\.\n", "lo_open('2147483648'", `\x68656c6c6f`} {
			if !strings.Contains(sql, part) {
				t.Errorf("1.%d: pg_restore does not print %q:\n%s", minor, part, sql)
			}
		}
	}
}

// smallDumps are the committed dumps of four major versions.
func smallDumps(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/*.dump")
	if err != nil || len(files) != 4 {
		t.Fatal(files, err)
	}
	m := map[string][]byte{}
	for _, f := range files {
		if m[f], err = os.ReadFile(f); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func TestCommittedDumps(t *testing.T) {
	rows := map[string]string{
		"o'dd \"name\", 100%\n名": "1\t\\N\n2\ta\\nb\\\\c\\td\n3\t\\\\.\n4\t値\n",
		"nothing":                "", "no_columns": "\n\n", "parts_1": "3\n4\n",
	}
	for file, dump := range smallDumps(t) {
		rec := scan(t, bytes.NewReader(dump))
		for tag, want := range rows {
			b := rec.block(find(t, rec.toc, "TABLE DATA", tag).ID)
			if b.SHA256 != sha256.Sum256([]byte(want)) || b.Bytes != int64(len(want)) || b.Rows != int64(strings.Count(want, "\n")) {
				t.Errorf("%s: %q: %+v", file, tag, b)
			}
		}
		last := rec.blocks[len(rec.blocks)-1]
		if len(rec.blocks) != 5 || last.Kind != LargeObjects || last.Rows != 2 || last.Bytes != 5 {
			t.Errorf("%s: %+v", file, rec.blocks)
		}
		list, err := os.ReadFile(strings.TrimSuffix(file, "dump") + "list")
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for i := range rec.toc.Entries {
			lines = append(lines, rec.toc.Line(&rec.toc.Entries[i]))
		}
		for line := range strings.Lines(string(list)) {
			if listed.MatchString(line) && !slices.Contains(lines, strings.TrimSuffix(line, "\n")) {
				t.Errorf("%s: no entry prints %q", file, line)
			}
		}
	}
}

func TestEntryOfHandMadeTOC(t *testing.T) {
	toc := &TOC{Entries: smallEntries(16)}
	if e := toc.Entry(5); e != &toc.Entries[4] || toc.Entry(7) != nil {
		t.Error(e)
	}
	if got, want := toc.Line(&toc.Entries[1]), "2; 1259 4294967295 TABLE public a  b me"; got != want {
		t.Errorf("%q", got)
	}
	for s, want := range map[Section]string{1: "none", 2: "pre-data", 3: "data", 4: "post-data"} {
		if s.String() != want {
			t.Error(s)
		}
	}
}

func TestCreatedTime(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		tm   [7]int // sec min hour mday mon year isdst
		want string
	}{
		{[7]int{5, 4, 3, 2, 0, 126, 0}, "2026-01-02T02:04:05Z"},
		{[7]int{0, 30, 2, 25, 9, 126, 1}, "2026-10-25T00:30:00Z"}, // shown twice: summer
		{[7]int{0, 30, 2, 25, 9, 126, 0}, "2026-10-25T01:30:00Z"}, // winter
		{[7]int{0, 30, 12, 1, 6, 126, 0}, "2026-07-01T10:30:00Z"}, // isdst of another zone
		{[7]int{0, 0, 0, 31, 1, 126, 0}, "0001-01-01T00:00:00Z"},
		{[7]int{61, 0, 0, 1, 1, 126, 0}, "0001-01-01T00:00:00Z"},
		{[7]int{0, 0, 0, 1, 1, 1 << 30, 0}, "0001-01-01T00:00:00Z"},
	}
	for _, tt := range tests {
		if got := fromTM(tt.tm, berlin).UTC().Format(time.RFC3339); got != tt.want {
			t.Errorf("%v: %s, not %s", tt.tm, got, tt.want)
		}
	}
}

func TestTrimMarker(t *testing.T) {
	for in, want := range map[string]string{
		"":                          "",
		"\\.\n\n\n":                 "",
		"a\n\\.\n\n\n":              "a\n",
		"\n\\.\n\n\n":               "\n",
		"a\\\\.\n\n\n":              "a\\\\.\n\n\n", // a row of `a\.` and two empty ones
		"\\\\.\n\n\n\\.\n\n\n":      "\\\\.\n\n\n",
		"\\.\n\n":                   "\\.\n\n",
		"INSERT INTO a;\n\n\n":      "INSERT INTO a;\n\n\n",
		"x\n\\.\n\n\n\n":            "x\n\\.\n\n\n\n",
		strings.Repeat("ab\n", 9e4): strings.Repeat("ab\n", 9e4),
	} {
		for _, size := range []int{1, 3, 1 << 20} {
			got := string(roundTrip(t, in, size))
			if got != want {
				t.Errorf("%.40q in chunks of %d gives %.40q", in, size, got)
			}
		}
	}
}

// TestAroundTheBuffer puts the end of the rows at every place around the end
// of the buffer that holds them back.
func TestAroundTheBuffer(t *testing.T) {
	for _, n := range []int{rowBuffer, 2*rowBuffer - heldBack} {
		for d := -12; d <= 12; d++ {
			rows := strings.Repeat("x", n+d-1) + "\n"
			for _, end := range []string{"", endMarker} {
				if got := roundTrip(t, rows+end, 1000); string(got) != rows {
					t.Errorf("%d bytes and %q: %d bytes came", len(rows), end, len(got))
				}
			}
			rows = rows[:n+d-1] + `\` + endMarker // the row `x...x\.` and two empty ones
			if got := roundTrip(t, rows, 1000); string(got) != rows {
				t.Errorf("%d bytes that only look marked: %d bytes came", len(rows), len(got))
			}
		}
	}
}

// roundTrip sends payload through a block of chunks of this size, checks that
// Scan and BlockReader agree, and gives the rows.
func roundTrip(t *testing.T, payload string, size int) []byte {
	t.Helper()
	w := newEncoder(16)
	w.header(0)
	w.int(1)
	w.entry(smallEntries(16)[3])
	start := len(w.b)
	w.block(Data, 4)
	for rest := payload; rest != ""; {
		n := min(size, len(rest))
		w.str(rest[:n])
		rest = rest[n:]
	}
	w.int(0)
	rec := scan(t, bytes.NewReader(w.b))
	br, err := NewBlockReader(bytes.NewReader(w.b[start:]), rec.toc.Header, 4)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(br)
	if err != nil {
		t.Fatal(err)
	}
	b := rec.blocks[0]
	if b.SHA256 != sha256.Sum256(got) || b.Bytes != int64(len(got)) || b.Rows != int64(bytes.Count(got, newline)) {
		t.Errorf("Scan says %+v of %d bytes", b, len(got))
	}
	b.Offset = 0
	if br.Block() != b {
		t.Errorf("block reader %+v, Scan %+v", br.Block(), b)
	}
	return got
}

func TestBlockReaderErrors(t *testing.T) {
	w := newEncoder(16)
	w.block(Data, 4)
	w.chunks("1\n", "2\n", endMarker)
	h := Header{IntSize: 4, OffSize: 8, Compression: "none"}
	for cut := range w.b {
		br, err := NewBlockReader(bytes.NewReader(w.b[:cut]), h, 4)
		if err == nil {
			_, err = io.Copy(io.Discard, br)
		}
		var f *FormatError
		if !errors.As(err, &f) {
			t.Errorf("cut at %d: %v", cut, err)
		}
	}
	if _, err := NewBlockReader(bytes.NewReader(w.b), h, 5); err == nil {
		t.Error("a block of another entry was read")
	}
	if _, err := NewBlockReader(bytes.NewReader(w.b), Header{IntSize: 5, Compression: "none"}, 4); err == nil {
		t.Error("integers of 5 bytes were read")
	}
	w.b[0] = byte(LargeObjects)
	if _, err := NewBlockReader(bytes.NewReader(w.b), h, 4); err == nil {
		t.Error("large objects were read as rows")
	}
}

// TestBlockReaderWriterFails: an error of the writer comes back and nothing is
// lost.
func TestBlockReaderWriterFails(t *testing.T) {
	w := newEncoder(16)
	w.block(Data, 4)
	w.chunks("1\n2\n", endMarker)
	br, err := NewBlockReader(bytes.NewReader(w.b), Header{IntSize: 4, Compression: "none"}, 4)
	if err != nil {
		t.Fatal(err)
	}
	full := errors.New("full")
	if n, err := br.WriteTo(writerFunc(func([]byte) (int, error) { return 1, full })); n != 1 || err != full {
		t.Error(n, err)
	}
	if rest, err := io.ReadAll(br); err != nil || string(rest) != "\n2\n" {
		t.Errorf("%q, %v", rest, err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func ExampleTOC_Line() {
	toc := &TOC{Entries: []Entry{{ID: 7, TableOID: 1259, OID: 16384, Desc: "TABLE", Namespace: "public", Tag: "two\nlines", Owner: "me"}}}
	fmt.Println(toc.Line(&toc.Entries[0]))
	// Output: 7; 1259 16384 TABLE public two lines me
}
