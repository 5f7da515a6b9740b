package dumpfile

import (
	"io"
	"strconv"
	"strings"
)

// Section is the part of a restore that an entry belongs to.
type Section int

// The sections, with pg_dump's numbers. SectionNone is on comments and rights:
// they go with the entry they depend on.
const (
	SectionNone     Section = 1
	SectionPreData  Section = 2
	SectionData     Section = 3
	SectionPostData Section = 4
)

// String is the word that pg_restore --section takes, or "none".
func (s Section) String() string {
	switch s {
	case SectionPreData:
		return "pre-data"
	case SectionData:
		return "data"
	case SectionPostData:
		return "post-data"
	}
	return "none"
}

// blobsDesc is the Desc of the entries whose block is of large objects.
const blobsDesc = "BLOBS"

// Entry is one object of the TOC. Strings are as they stand in the dump, in
// its client encoding; NULL reads as "".
type Entry struct {
	ID            int // positive, unique in the dump
	HadDumper     bool
	TableOID, OID uint32 // catalog and row of the object at dump time, or 0
	Tag           string // its name
	Desc          string // its kind: "TABLE", "TABLE DATA", "BLOBS", "ACL"
	Section       Section
	Defn          string // SQL that makes it
	DropStmt      string
	CopyStmt      string // "COPY ... FROM stdin;\n" before the rows
	Namespace     string // schema
	Tablespace    string
	TableAM       string // table access method, from archive version 1.14
	RelKind       byte   // pg_class.relkind or 0, from 1.16
	Owner         string
	Deps          []int // ids this entry depends on; some may not be in the dump
	HasData       bool  // a block follows

	// emptyNamespace tells an empty string from NULL, which Line needs.
	emptyNamespace bool
}

// kind is that of the entry's block.
func (e *Entry) kind() BlockKind {
	if e.Desc == blobsDesc {
		return LargeObjects
	}
	return Data
}

// TOC is all that stands before the data.
type TOC struct {
	Header  Header
	Entries []Entry // in the order of the dump, which is the order of restoring
	Length  int64   // bytes of header and TOC in the dump

	index map[int]int
}

// Entry gives the entry with this id, nil if there is none. It points into
// Entries.
func (t *TOC) Entry(id int) *Entry {
	if t.index != nil {
		if i, ok := t.index[id]; ok && i < len(t.Entries) {
			return &t.Entries[i]
		}
		return nil
	}
	for i := range t.Entries {
		if t.Entries[i].ID == id {
			return &t.Entries[i]
		}
	}
	return nil
}

var oneLine = strings.NewReplacer("\n", " ", "\r", " ")

// Line is the text that pg_restore -l prints for e, without a newline at the
// end; a file of such lines is what pg_restore -L reads. Names are in it as
// they are, only with line breaks as spaces: pass it through safetext before
// a terminal shows it. Source: PrintTOCSummary in pg_backup_archiver.c.
func (t *TOC) Line(e *Entry) string {
	schema := e.Namespace
	if schema == "" && !e.emptyNamespace {
		schema = "-"
	}
	var b []byte
	b = strconv.AppendInt(b, int64(e.ID), 10)
	b = append(b, "; "...)
	b = strconv.AppendUint(b, uint64(e.TableOID), 10)
	b = append(b, ' ')
	b = strconv.AppendUint(b, uint64(e.OID), 10)
	b = append(b, ' ')
	b = append(b, e.Desc...)
	for _, s := range []string{schema, e.Tag, e.Owner} {
		b = append(b, ' ')
		b = append(b, oneLine.Replace(s)...)
	}
	return string(b)
}

// ReadFilesTOC is ReadTOC for toc.dat, which pg_dump writes into a directory
// and as the first file of a tar: in it an entry that has data names the file
// with them. The dump in custom format is read too.
func ReadFilesTOC(r io.Reader) (*TOC, error) {
	s := newSource(r, 8*maxView)
	s.sure, s.files = 0, true
	h, err := parseHeader(s)
	if err != nil {
		return nil, err
	}
	return parseEntries(s, h)
}

// ReadTOC reads header and TOC and not one byte more: on success exactly
// Length bytes have been taken from r. The dump may be compressed (its TOC
// never is). A damaged or unknown dump is a *FormatError; other errors are
// those of r.
func ReadTOC(r io.Reader) (*TOC, error) {
	s := newSource(r, 8*maxView)
	s.sure = 0
	h, err := parseHeader(s)
	if err != nil {
		return nil, err
	}
	return parseEntries(s, h)
}
