package dumpfile

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"
)

// richScript makes one of each thing that a reader of dumps could trip over.
const richScript = `
create role "own er" nologin;
create schema "s""chéma";
create table plain(id int, t text, b bytea);
insert into plain select i, 'row ' || i, decode(md5(i::text), 'hex') from generate_series(1, 5000) i;
create table nasty(t text);
insert into nasty values (null), (''), (E'a\nb'), (E'tab\tand\\back'), (E'\\.'), (E'\\N'), (E'\r'), ('表 %s'), (E'\\.\n\n\n');
create table "quote""d
table %d"(x int);
insert into "quote""d
table %d" values (1), (2);
create table "s""chéma"."客户表"("列" text);
insert into "s""chéma"."客户表" values ('値');
alter table "s""chéma"."客户表" owner to "own er";
create table "` + name63 + `"(a int);
insert into "` + name63 + `" values (7);
create table empty_one(a int, b text);
create table no_columns();
insert into no_columns select from generate_series(1, 3);
create table dropped(a int, gone int, c text, "g n" int generated always as (a * 2) stored);
alter table dropped drop column gone;
insert into dropped values (1, 'x'), (2, 'y');
create table wide(t text);
insert into wide select repeat('0123456789abcdef', 100000);
insert into wide select repeat('é', 3000000);
insert into wide values ('short');
create table parts(k int, v text) partition by range (k);
create table parts_1 partition of parts for values from (0) to (10);
create table parts_2 partition of parts for values from (10) to (20);
insert into parts select i, 'v' || i from generate_series(0, 19) i;
create table keyed(id serial primary key, r int references keyed, unique (r));
insert into keyed(r) values (null), (1);
create materialized view mv as select count(*) from plain;
create view v as select * from plain;
create function f() returns int language sql as 'select 1';
comment on table plain is E'line one\nline two';
grant select on plain to public;
create statistics st on id, t from plain;
analyze plain;
select lo_from_bytea(1001, ''::bytea);
select lo_from_bytea(1002, 'hello');
select lo_from_bytea(4000000000, decode(repeat('00ff', 100000), 'hex'));
comment on large object 1002 is 'greeting';
alter large object 1002 owner to "own er";
`

// name63 is as long as a name can be.
const name63 = "nnnnnnnnn1nnnnnnnnn2nnnnnnnnn3nnnnnnnnn4nnnnnnnnn5nnnnnnnnn6nnn"

var rich struct {
	once sync.Once
	dump []byte
}

func richDump(t testing.TB) (*cluster, []byte) {
	t.Helper()
	c := server(t)
	rich.once.Do(func() {
		c.createdb(t, "rich db", richScript)
		rich.dump = c.dump(t, "rich db")
	})
	if rich.dump == nil {
		t.Fatal("no dump")
	}
	return c, rich.dump
}

func TestHeaderOfRealDump(t *testing.T) {
	c, dump := richDump(t)
	toc := scan(t, bytes.NewReader(dump)).toc
	h := toc.Header
	if h.Database != "rich db" || h.Compression != "none" || h.IntSize != 4 || h.OffSize != 8 {
		t.Errorf("header %+v", h)
	}
	minor := map[int]int{13: 14, 14: 14, 15: 14, 16: 15, 17: 16, 18: 16}[c.major]
	if h.Version[0] != 1 || h.Version[1] != minor {
		t.Errorf("version %v of major %d", h.Version, c.major)
	}
	for _, v := range []string{h.ServerVersion, h.DumpVersion} {
		if !strings.HasPrefix(v, strconv.Itoa(c.major)+".") {
			t.Errorf("version %q", v)
		}
	}
	// pg_dump ran with TZ=UTC.
	utc := time.Date(h.Created.Year(), h.Created.Month(), h.Created.Day(), h.Created.Hour(), h.Created.Minute(), h.Created.Second(), 0, time.UTC)
	if d := time.Since(utc); d < -time.Minute || d > time.Hour {
		t.Errorf("created %v", h.Created)
	}
}

var listed = regexp.MustCompile(`^(\d+); `)

// compareList compares Line with each line that pg_restore -l prints.
func compareList(t *testing.T, c *cluster, dump []byte, toc *TOC) {
	t.Helper()
	n := 0
	for line := range strings.Lines(string(c.output(t, dump, "pg_restore", "-l"))) {
		m := listed.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		n++
		id, _ := strconv.Atoi(m[1])
		e := toc.Entry(id)
		if e == nil {
			t.Errorf("no entry for %q", line)
			continue
		}
		if got := toc.Line(e); got+"\n" != line {
			t.Errorf("Line gives %q, pg_restore %q", got, line)
		}
	}
	// Without -C pg_restore does not list these.
	hidden := 0
	for _, e := range toc.Entries {
		switch e.Desc {
		case "ENCODING", "STDSTRINGS", "SEARCHPATH", "DATABASE", "DATABASE PROPERTIES":
			hidden++
		}
	}
	if n == 0 || n+hidden != len(toc.Entries) {
		t.Errorf("pg_restore lists %d entries, the TOC has %d and %d of them unlisted", n, len(toc.Entries), hidden)
	}
}

func TestLineIsPgRestoreList(t *testing.T) {
	c, dump := richDump(t)
	compareList(t, c, dump, scan(t, bytes.NewReader(dump)).toc)
}

var copyStmt = regexp.MustCompile(`(?s)^COPY (.*) FROM stdin;\n$`)

// TestRowsAreCopyOut compares each block with what the server sends for the
// same columns.
func TestRowsAreCopyOut(t *testing.T) {
	c, dump := richDump(t)
	rec := scan(t, bytes.NewReader(dump))
	if !bytes.Equal(rec.raw, dump) {
		t.Fatal("the raw bytes are not the dump")
	}
	if rec.reports == 0 {
		t.Error("no progress was reported")
	}
	tables := 0
	for _, b := range rec.blocks {
		if b.Kind != Data {
			continue
		}
		tables++
		e := rec.toc.Entry(b.ID)
		m := copyStmt.FindStringSubmatch(e.CopyStmt)
		if m == nil {
			t.Fatalf("copy statement %q", e.CopyStmt)
		}
		out := c.query(t, "rich db", "copy "+m[1]+" to stdout")
		if b.Bytes != int64(len(out)) || b.SHA256 != sha256.Sum256(out) {
			t.Errorf("%s: %d bytes, the server sends %d", e.Tag, b.Bytes, len(out))
		}
		target, _, _ := strings.Cut(m[1], " (")
		count := strings.TrimSpace(string(c.query(t, "rich db", "select count(*) from only "+target)))
		if strconv.FormatInt(b.Rows, 10) != count {
			t.Errorf("%s: %d rows, count(*) %s", e.Tag, b.Rows, count)
		}
		checkBlockReader(t, dump, rec.toc, b, out)
	}
	if tables < 12 {
		t.Errorf("only %d tables", tables)
	}
	for tag, rows := range map[string]int64{"plain": 5000, "nasty": 9, "no_columns": 3, "empty_one": 0, "wide": 3, "parts_1": 10, name63: 1} {
		if b := rec.block(find(t, rec.toc, "TABLE DATA", tag).ID); b.Rows != rows {
			t.Errorf("%s: %d rows", tag, b.Rows)
		}
	}
}

func checkBlockReader(t *testing.T, dump []byte, toc *TOC, b Block, rows []byte) {
	t.Helper()
	br, err := NewBlockReader(bytes.NewReader(dump[b.Offset:]), toc.Header, b.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := iotest.TestReader(iotestSized{br, len(rows)}, rows); err != nil {
		t.Errorf("block reader of %d: %v", b.ID, err)
	}
	want := b
	want.Offset = 0
	if got := br.Block(); got != want {
		t.Errorf("block reader says %+v, Scan %+v", got, want)
	}
	br, err = NewBlockReader(inPieces(dump[b.Offset:], 1000), toc.Header, b.ID)
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	if n, err := br.WriteTo(&buf); err != nil || n != b.Bytes || !bytes.Equal(buf.Bytes(), rows) || br.Block() != want {
		t.Errorf("WriteTo gives %d bytes and %v", n, err)
	}
}

// iotestSized hides WriteTo, so that iotest.TestReader reads.
type iotestSized struct {
	r    *BlockReader
	size int
}

func (s iotestSized) Read(p []byte) (int, error) { return s.r.Read(p) }

func TestLargeObjects(t *testing.T) {
	c, dump := richDump(t)
	rec := scan(t, bytes.NewReader(dump))
	got := map[[32]byte]Block{}
	var rows, size int64
	for _, b := range rec.blocks {
		if b.Kind == LargeObjects {
			got[b.SHA256] = b
			rows += b.Rows
			size += b.Bytes
		}
	}
	if rows != 3 || size != 5+200000 {
		t.Fatalf("%d large objects of %d bytes", rows, size)
	}
	data := map[uint32][]byte{1001: {}, 1002: []byte("hello"), 4000000000: bytes.Repeat([]byte{0, 255}, 100000)}
	// One block for all until 16; from 17 one for each owner.
	groups := [][]uint32{{1001, 1002, 4000000000}}
	if c.major >= 17 {
		groups = [][]uint32{{1001, 4000000000}, {1002}}
	}
	if len(got) != len(groups) {
		t.Errorf("%d blocks of large objects, not %d", len(got), len(groups))
	}
	for _, g := range groups {
		h := sha256.New()
		for _, oid := range g {
			d := sha256.Sum256(data[oid])
			binary.Write(h, binary.BigEndian, uint64(oid))
			h.Write(d[:])
			binary.Write(h, binary.BigEndian, uint64(len(data[oid])))
		}
		if b, ok := got[[32]byte(h.Sum(nil))]; !ok || b.Rows != int64(len(g)) {
			t.Errorf("no block has the digest of %v", g)
		}
	}
}

func TestReadersOfAnySize(t *testing.T) {
	_, dump := richDump(t)
	want := scan(t, bytes.NewReader(dump))
	if limit := 2*len(want.blocks) + len(dump)/(scanBuffer/4) + 2; want.rawCalls > limit {
		t.Errorf("%d Raw calls for %d blocks", want.rawCalls, len(want.blocks))
	}
	for name, r := range map[string]*recorder{
		"1":     scan(t, inPieces(dump, 1)),
		"7":     scan(t, inPieces(dump, 7)),
		"65536": scan(t, inPieces(dump, 65536)),
		"rand1": scan(t, inRandomPieces(dump, 1)),
		"rand2": scan(t, inRandomPieces(dump, 2)),
		"half":  scan(t, iotest.HalfReader(bytes.NewReader(dump))),
	} {
		if !bytes.Equal(r.raw, dump) || !reflect.DeepEqual(r.blocks, want.blocks) || !reflect.DeepEqual(r.toc, want.toc) {
			t.Errorf("pieces of %s: a different result", name)
		}
	}
}

func TestReadTOCReadsExactly(t *testing.T) {
	_, dump := richDump(t)
	want := scan(t, bytes.NewReader(dump)).toc
	for _, r := range []*pieces{
		inPieces(dump, 1<<30).(*pieces), inPieces(dump, 1).(*pieces), inRandomPieces(dump, 3).(*pieces),
	} {
		got, err := ReadTOC(r)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Error("ReadTOC and Scan give different TOCs")
		}
		if left := int64(len(r.b)); left != int64(len(dump))-got.Length {
			t.Errorf("%d bytes left, the TOC has %d of %d", left, got.Length, len(dump))
		}
	}
}

// TestFileWithOffsets reads what pg_dump -f writes: it seeks back and sets the
// offsets, which must be where the blocks are found.
func TestFileWithOffsets(t *testing.T) {
	c, piped := richDump(t)
	path := filepath.Join(c.dir, "file.dump")
	c.output(t, nil, "pg_dump", "-Fc", "-Z0", "-d", "rich db", "-f", path)
	dump, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	a, b := scan(t, bytes.NewReader(dump)), scan(t, bytes.NewReader(piped))
	for i := range a.blocks {
		if a.blocks[i] != b.blocks[i] {
			t.Errorf("block %+v in the file, %+v in the pipe", a.blocks[i], b.blocks[i])
		}
		off := binary.LittleEndian.AppendUint64([]byte{offsetSet}, uint64(a.blocks[i].Offset))
		if !bytes.Contains(dump[:a.toc.Length], off) {
			t.Errorf("no entry points to %d", a.blocks[i].Offset)
		}
	}
}

func TestOtherKindsOfDumps(t *testing.T) {
	c, _ := richDump(t)
	for _, args := range [][]string{
		{"--schema-only"}, {"--data-only"}, {"--inserts"}, {"--create", "--clean"},
		{"--section=pre-data"}, {"--no-blobs"}, {"--load-via-partition-root"}, {"--exclude-table-data=*"},
	} {
		dump := c.dump(t, "rich db", args...)
		rec := scan(t, bytes.NewReader(dump))
		if !bytes.Equal(rec.raw, dump) {
			t.Errorf("%v: the raw bytes are not the dump", args)
		}
		compareList(t, c, dump, rec.toc)
	}
	c.createdb(t, "nothing", "")
	if rec := scan(t, bytes.NewReader(c.dump(t, "nothing"))); len(rec.blocks) != 0 {
		t.Error("an empty database has blocks")
	}
}

func TestCompressedDump(t *testing.T) {
	c, _ := richDump(t)
	dump := c.dump(t, "rich db", "-Z1")
	if f := scanError(t, dump); !strings.Contains(f.What, "compressed with gzip") {
		t.Error(f)
	}
	toc, err := ReadTOC(bytes.NewReader(dump))
	if err != nil {
		t.Fatal(err)
	}
	if toc.Header.Compression != "gzip" {
		t.Error(toc.Header)
	}
	compareList(t, c, dump, toc)
	e := find(t, toc, "TABLE DATA", "plain")
	if _, err := NewBlockReader(bytes.NewReader(dump), toc.Header, e.ID); err == nil {
		t.Error("a block reader of a compressed dump")
	}
}

// TestManyTables holds the reader to the size of schemas that exist.
func TestManyTables(t *testing.T) {
	c := server(t)
	c.createdb(t, "many", `do $$ begin for i in 1..300 loop
		execute format('create table t%s(id int primary key, v text default %L); insert into t%s values (%s)', i, 'x', i, i);
		end loop; end $$;`)
	dump := c.dump(t, "many")
	rec := scan(t, bytes.NewReader(dump))
	if len(rec.blocks) != 300 || len(rec.toc.Entries) < 900 {
		t.Fatalf("%d blocks, %d entries", len(rec.blocks), len(rec.toc.Entries))
	}
	for i, b := range rec.blocks {
		if b.Rows != 1 {
			t.Errorf("block %d: %+v", i, b)
		}
	}
	if e := find(t, rec.toc, "TABLE DATA", "t77"); rec.block(e.ID).Bytes != int64(len("77\tx\n")) {
		t.Error(rec.block(e.ID))
	}
	start := time.Now()
	if _, err := ReadTOC(bytes.NewReader(dump)); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d entries in %v", len(rec.toc.Entries), time.Since(start))
}

func TestRowSumOfRealTable(t *testing.T) {
	c, dump := richDump(t)
	rec := scan(t, bytes.NewReader(dump))
	b := rec.block(find(t, rec.toc, "TABLE DATA", "plain").ID)
	br, err := NewBlockReader(bytes.NewReader(dump[b.Offset:]), rec.toc.Header, b.ID)
	if err != nil {
		t.Fatal(err)
	}
	rows, sum, err := RowSum(br)
	if err != nil || rows != b.Rows {
		t.Fatalf("%d rows, %v", rows, err)
	}
	shuffled := c.query(t, "rich db", "copy (select * from plain order by md5(t)) to stdout")
	rows2, sum2, err := RowSum(bytes.NewReader(shuffled))
	if err != nil || rows2 != rows || sum2 != sum {
		t.Errorf("%d rows in another order give another sum (%v)", rows2, err)
	}
	changed := bytes.Replace(shuffled, []byte("row 4999"), []byte("row 4998"), 1)
	if _, sum3, _ := RowSum(bytes.NewReader(changed)); sum3 == sum {
		t.Error("a changed row gives the same sum")
	}
}
