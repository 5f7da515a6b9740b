package archive

import (
	"encoding/json"
	"fmt"
	"sort"

	"pgvault/fault"
)

// MaxContents bounds the decompressed contents part: about 100 000 tables.
const MaxContents = 64 << 20

// Contents is the encrypted description of an archive: what is in it, table
// by table, and where in the dump each table's rows lie.
type Contents struct {
	Format   int             `json:"format"`
	ID       string          `json:"id"`
	Dump     DumpIndex       `json:"dump"`
	Tables   []Table         `json:"tables"`
	Large    []LargeObjects  `json:"large_objects"`
	Excluded []string        `json:"excluded"` // tables whose rows were left out on purpose
	Warnings []string        `json:"warnings"`
	Original *Original       `json:"original,omitempty"` // of an import: what it was made of
	Catalog  json.RawMessage `json:"catalog"`            // what the server said of the database in the dump's snapshot
	// Globals are the server's roles and settings with passwords, as data;
	// empty in older archives and where they are not saved. Secret.
	Globals json.RawMessage `json:"globals,omitempty"`
}

// Original is the dump that an import was made of. SHA256 is over its bytes as
// they lay there; of a directory, over a line for each file, sorted by name:
// its name, a NUL, its size in decimal, a NUL, its SHA-256 in hex, a newline.
type Original struct {
	Name   string   `json:"name"`  // without the folder
	Kind   string   `json:"kind"`  // custom, tar, directory or sql
	Wraps  []string `json:"wraps"` // age, gzip, zstd, bzip2: from the outside
	Size   int64    `json:"size"`
	SHA256 string   `json:"sha256"`
	Server string   `json:"server_version"`  // of the server that it was made from, as it says; may be empty
	Dump   string   `json:"pg_dump_version"` // as it says; may be empty
	Dated  string   `json:"dated"`           // where the date is from
	Tables int      `json:"tables"`
	Equal  int      `json:"tables_equal"` // whose rows and SHA-256 in the original are those of the archive
}

// DumpIndex describes the uncompressed dump and its zstd frames.
type DumpIndex struct {
	ArchiveVersion string  `json:"archive_version"` // of pg_dump's custom format: "1.14.0"
	Length         int64   `json:"length"`          // bytes of the uncompressed dump
	TOCLength      int64   `json:"toc_length"`      // header and table of contents
	TOCSHA256      string  `json:"toc_sha256"`
	Frames         []Frame `json:"frames"`
}

// Frame is where one zstd frame begins: in the uncompressed dump and in the
// zstd stream (what age decrypts to).
type Frame struct {
	Dump int64 `json:"dump"`
	Zstd int64 `json:"zstd"`
}

// Table is one table's rows. SHA256 is over the rows in COPY text format as
// pg_dump wrote them, in its order, each ended by a newline, without
// pg_dump's framing and end marker; Rows counts those newlines.
type Table struct {
	DumpID int    `json:"dump_id"`
	Schema string `json:"schema"`
	Name   string `json:"name"`
	Rows   int64  `json:"rows"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
	Offset int64  `json:"offset"` // of the data block in the uncompressed dump
	Length int64  `json:"length"` // of the data block, framing included
}

// LargeObjects is one block of large objects. SHA256 is over, for each
// object in the block's order: its oid as 8 bytes big-endian, the SHA-256 of
// its data, its length as 8 bytes big-endian.
type LargeObjects struct {
	DumpID int    `json:"dump_id"`
	Count  int64  `json:"count"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
	Offset int64  `json:"offset"`
	Length int64  `json:"length"`
}

// ParseContents reads decrypted contents strictly, for the archive m.
func ParseContents(src []byte, m *Manifest) (*Contents, error) {
	bad := func(format string, a ...any) error {
		return &fault.Error{Op: "read contents", What: "the contents of archive " + m.ID + " cannot be trusted",
			Why: fmt.Sprintf(format, a...), Left: "nothing of this archive was used",
			Do: "take another copy or another archive", Code: fault.Differs}
	}
	var c Contents
	if err := decodeStrict(src, &c); err != nil {
		return nil, bad("%v", err)
	}
	if c.Format != Format || c.ID != m.ID {
		return nil, bad("format %d of archive %q; expected format %d of %q", c.Format, c.ID, Format, m.ID)
	}
	if err := c.Dump.check(m.Bytes); err != nil {
		return nil, bad("%v", err)
	}
	seen := map[int]bool{}
	for _, t := range c.Tables {
		if seen[t.DumpID] {
			return nil, bad("dump id %d appears twice", t.DumpID)
		}
		seen[t.DumpID] = true
		if err := c.Dump.checkBlock(t.Offset, t.Length, t.Rows, t.Bytes, t.SHA256); err != nil {
			return nil, bad("table %q: %v", t.Schema+"."+t.Name, err)
		}
	}
	for _, l := range c.Large {
		if seen[l.DumpID] {
			return nil, bad("dump id %d appears twice", l.DumpID)
		}
		seen[l.DumpID] = true
		if err := c.Dump.checkBlock(l.Offset, l.Length, l.Count, l.Bytes, l.SHA256); err != nil {
			return nil, bad("large objects %d: %v", l.DumpID, err)
		}
	}
	return &c, nil
}

func (d *DumpIndex) check(length int64) error {
	if d.Length != length {
		return fmt.Errorf("the dump is %d bytes here and %d in the manifest", d.Length, length)
	}
	if d.TOCLength <= 0 || d.TOCLength > d.Length || d.TOCLength > maxTOC || !isDigest(d.TOCSHA256) {
		return fmt.Errorf("a table of contents of %d bytes cannot be", d.TOCLength)
	}
	if len(d.Frames) == 0 || d.Frames[0] != (Frame{}) {
		return fmt.Errorf("the first frame does not begin at 0")
	}
	for i := 1; i < len(d.Frames); i++ {
		a, b := d.Frames[i-1], d.Frames[i]
		if b.Dump <= a.Dump || b.Zstd <= a.Zstd || b.Dump > d.Length || b.Zstd > maxSize {
			return fmt.Errorf("frame %d is out of order", i)
		}
	}
	return nil
}

func (d *DumpIndex) checkBlock(offset, length, rows, bytes int64, sum string) error {
	if offset < d.TOCLength || length <= 0 || length > d.Length || offset > d.Length-length {
		return fmt.Errorf("block %d+%d lies outside the dump", offset, length)
	}
	if rows < 0 || bytes < 0 || bytes > length || rows > length || !isDigest(sum) {
		return fmt.Errorf("%d rows in %d bytes, or its SHA-256, cannot be", rows, bytes)
	}
	if _, ok := d.frameAt(offset); !ok {
		return fmt.Errorf("no frame begins at %d", offset)
	}
	return nil
}

// frameAt finds the frame that begins at this offset of the dump.
func (d *DumpIndex) frameAt(offset int64) (Frame, bool) {
	lo, hi := 0, len(d.Frames)
	for lo < hi {
		mid := (lo + hi) / 2
		if d.Frames[mid].Dump < offset {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo < len(d.Frames) && d.Frames[lo].Dump == offset {
		return d.Frames[lo], true
	}
	return Frame{}, false
}

// zstdEnd is where the frames that hold the dump up to this offset end, in
// the zstd stream, which has size bytes.
func (d *DumpIndex) zstdEnd(offset, size int64) int64 {
	i := sort.Search(len(d.Frames), func(i int) bool { return d.Frames[i].Dump >= offset })
	if i == len(d.Frames) {
		return size
	}
	return min(d.Frames[i].Zstd, size)
}
