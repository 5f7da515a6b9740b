package dumpfile

import (
	"encoding/binary"
	"strconv"
)

// encoder writes dumps as pg_dump does (WriteHead, WriteToc, WriteOffset and
// pg_backup_custom.c), of any version and size of integers.
type encoder struct {
	b       []byte
	minor   int
	intSize int
	offSize int
}

func newEncoder(minor int) *encoder { return &encoder{minor: minor, intSize: 4, offSize: 8} }

func (w *encoder) byte(b byte) { w.b = append(w.b, b) }

func (w *encoder) int(v int64) {
	sign := byte(0)
	if v < 0 {
		sign, v = 1, -v
	}
	w.byte(sign)
	w.b = append(w.b, binary.LittleEndian.AppendUint64(nil, uint64(v))[:w.intSize]...)
}

func (w *encoder) str(s string) {
	w.int(int64(len(s)))
	w.b = append(w.b, s...)
}

// opt writes an empty string as NULL.
func (w *encoder) opt(s string) {
	if s == "" {
		w.int(-1)
		return
	}
	w.str(s)
}

func (w *encoder) header(compression byte) {
	w.b = append(w.b, magic...)
	w.b = append(w.b, 1, byte(w.minor), 0, byte(w.intSize), byte(w.offSize), formatCustom)
	if w.minor >= 15 {
		w.byte(compression)
	} else {
		w.int(int64(compression))
	}
	for _, v := range []int64{7, 8, 9, 30, 10, 126, 0} { // 2026-11-30 09:08:07
		w.int(v)
	}
	w.str("db")
	w.str("server")
	w.str("dumper")
}

func (w *encoder) entry(e Entry) {
	w.int(int64(e.ID))
	w.int(map[bool]int64{true: 1}[e.HadDumper])
	w.str(strconv.FormatUint(uint64(e.TableOID), 10))
	w.str(strconv.FormatUint(uint64(e.OID), 10))
	w.str(e.Tag)
	w.str(e.Desc)
	w.int(int64(e.Section))
	w.opt(e.Defn)
	w.opt(e.DropStmt)
	w.opt(e.CopyStmt)
	if e.emptyNamespace {
		w.str("")
	} else {
		w.opt(e.Namespace)
	}
	w.opt(e.Tablespace)
	if w.minor >= 14 {
		w.opt(e.TableAM)
	}
	if w.minor >= 16 {
		w.int(int64(e.RelKind))
	}
	w.opt(e.Owner)
	w.str("false")
	for _, d := range e.Deps {
		w.str(strconv.Itoa(d))
	}
	w.int(-1)
	w.byte(map[bool]byte{true: offsetNotSet, false: offsetNoData}[e.HasData])
	w.b = append(w.b, make([]byte, w.offSize)...)
}

func (w *encoder) block(kind BlockKind, id int) {
	w.byte(byte(kind))
	w.int(int64(id))
}

// chunks writes the pieces and their terminator.
func (w *encoder) chunks(pieces ...string) {
	for _, p := range pieces {
		w.str(p)
	}
	w.int(0)
}

// small is a dump with two tables and, in between, large objects.
func (w *encoder) small(compression byte) []byte {
	w.header(compression)
	es := smallEntries(w.minor)
	w.int(int64(len(es)))
	for _, e := range es {
		w.entry(e)
	}
	w.block(Data, 4)
	w.chunks("1\ta\n", "2\tb\n", endMarker)
	w.block(LargeObjects, 5)
	w.int(16385)
	w.chunks("hel", "lo")
	w.int(-1 << 31) // OID 2147483648
	w.chunks()
	w.int(0)
	w.block(Data, 6)
	w.chunks(endMarker)
	return w.b
}

func smallEntries(minor int) []Entry {
	am, kind := "", byte(0)
	if minor >= 14 {
		am = "heap"
	}
	if minor >= 16 {
		kind = 'r'
	}
	return []Entry{
		{ID: 1, Tag: "ENCODING", Desc: "ENCODING", Section: SectionPreData, Defn: "SET client_encoding = 'UTF8';\n"},
		{ID: 2, TableOID: 1259, OID: 4294967295, Tag: "a\r\nb", Desc: "TABLE", Section: SectionPreData, Defn: "CREATE TABLE a();\n",
			DropStmt: "DROP TABLE a;\n", Namespace: "public", Tablespace: "fast", TableAM: am, RelKind: kind, Owner: "me"},
		{ID: 3, Tag: "TABLE a", Desc: "COMMENT", Section: SectionNone, Defn: "COMMENT\n", emptyNamespace: true, Owner: "me", Deps: []int{2}},
		{ID: 4, HadDumper: true, OID: 16384, Tag: "a", Desc: "TABLE DATA", Section: SectionData, CopyStmt: "COPY a (x, y) FROM stdin;\n",
			Namespace: "public", Owner: "me", Deps: []int{2, 99}, HasData: true},
		{ID: 5, HadDumper: true, Tag: "BLOBS", Desc: "BLOBS", Section: SectionData, Owner: "me", HasData: true},
		{ID: 6, HadDumper: true, Tag: "b", Desc: "TABLE DATA", Section: SectionData, CopyStmt: "COPY b (x) FROM stdin;\n", Namespace: "public", HasData: true},
	}
}
