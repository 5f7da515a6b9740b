package dumpfile

import (
	"bytes"
	"math"
)

// The flags of an entry's offset.
const (
	offsetNotSet = 1
	offsetSet    = 2
	offsetNoData = 3
)

// entryParser reads the TOC that follows a header.
type entryParser struct {
	*source
	header Header
	words  map[string]string // one copy of each short text that comes again and again
}

func parseEntries(s *source, h Header) (*TOC, error) {
	p := &entryParser{source: s, header: h, words: map[string]string{}}
	at := s.offset()
	s.promise(int64(1 + h.IntSize))
	count, err := s.integer("the number of entries")
	if err != nil {
		return nil, err
	}
	if count < 0 || count > maxCount {
		return nil, &FormatError{Offset: at, What: "the table of contents claims an absurd number of entries"}
	}
	s.promise(count * p.leastEntry())
	t := &TOC{Header: h, Entries: make([]Entry, 0, min(count, 1024)), index: map[int]int{}}
	for range count {
		at := s.offset()
		if at > maxTOC {
			return nil, s.bad("the table of contents is longer than %d bytes", int64(maxTOC))
		}
		var e Entry
		if err := p.entry(&e); err != nil {
			return nil, err
		}
		if _, ok := t.index[e.ID]; ok {
			return nil, &FormatError{Offset: at, What: "two entries have the same id"}
		}
		t.index[e.ID] = len(t.Entries)
		t.Entries = append(t.Entries, e)
	}
	t.Length = s.offset()
	s.long = nil
	return t, nil
}

// leastEntry is the size of an entry whose strings are all NULL.
func (p *entryParser) leastEntry() int64 {
	ints := 15
	if p.header.Version[1] >= tableAMMinor {
		ints++
	}
	if p.header.Version[1] >= relKindMinor {
		ints++
	}
	if p.header.files {
		return int64((ints + 1) * (1 + p.header.IntSize))
	}
	return int64(ints*(1+p.header.IntSize) + 1 + p.header.OffSize)
}

func (p *entryParser) entry(e *Entry) (err error) {
	at := p.offset()
	id := p.number(&err, "an entry's id", 1, math.MaxInt32)
	e.ID = int(id)
	e.HadDumper = p.number(&err, "an entry's dumper flag", 0, 1) == 1
	e.TableOID = uint32(p.decimal(&err, "an entry's catalog", math.MaxUint32))
	e.OID = uint32(p.decimal(&err, "an entry's OID", math.MaxUint32))
	e.Tag, _ = p.text(&err, "an entry's name")
	e.Desc, _ = p.word(&err, "an entry's kind")
	e.Section = Section(p.number(&err, "an entry's section", int64(SectionNone), int64(SectionPostData)))
	e.Defn, _ = p.text(&err, "an entry's definition")
	e.DropStmt, _ = p.text(&err, "an entry's drop statement")
	e.CopyStmt, _ = p.text(&err, "an entry's copy statement")
	var null bool
	e.Namespace, null = p.word(&err, "an entry's schema")
	e.emptyNamespace = !null && e.Namespace == ""
	e.Tablespace, _ = p.word(&err, "an entry's tablespace")
	if p.header.Version[1] >= tableAMMinor {
		e.TableAM, _ = p.word(&err, "an entry's access method")
	}
	if p.header.Version[1] >= relKindMinor {
		e.RelKind = byte(p.number(&err, "an entry's relation kind", 0, math.MaxUint8))
	}
	e.Owner, _ = p.word(&err, "an entry's owner")
	oids, _ := p.word(&err, "an entry's OIDs flag")
	if err != nil {
		return err
	}
	if e.Desc == "" || (oids != "true" && oids != "false") {
		return &FormatError{Offset: at, What: "an entry has no kind or no OIDs flag"}
	}
	if e.Deps, err = p.deps(); err != nil {
		return err
	}
	if p.header.files {
		file, _ := p.text(&err, "an entry's file name")
		e.HasData = file != ""
		return err
	}
	e.HasData, err = p.offsetFlag()
	return err
}

// The readers of fields do nothing once *err is set, so that an entry reads
// as the list of its fields.

func (p *entryParser) number(err *error, what string, least, most int64) int64 {
	if *err != nil {
		return 0
	}
	at := p.offset()
	var v int64
	if v, *err = p.integer(what); *err == nil && (v < least || v > most) {
		*err = &FormatError{Offset: at, What: what + " is out of range"}
	}
	return v
}

func (p *entryParser) field(err *error, what string) ([]byte, bool) {
	if *err != nil {
		return nil, true
	}
	at := p.offset()
	b, null, e := p.bytes(what)
	if e == nil && bytes.IndexByte(b, 0) >= 0 {
		e = &FormatError{Offset: at, What: what + " contains a zero byte"}
	}
	*err = e
	return b, null
}

func (p *entryParser) text(err *error, what string) (string, bool) {
	b, null := p.field(err, what)
	return string(b), null
}

// word is text that repeats: it is stored once if it is short.
func (p *entryParser) word(err *error, what string) (string, bool) {
	b, null := p.field(err, what)
	if w, ok := p.words[string(b)]; ok {
		return w, null
	}
	w := string(b)
	if len(w) <= 256 {
		p.words[w] = w
	}
	return w, null
}

// decimal is a number that the dump holds as text.
func (p *entryParser) decimal(err *error, what string, most int64) int64 {
	at := p.offset()
	b, _ := p.field(err, what)
	if *err != nil {
		return 0
	}
	v, ok := parseDecimal(b, most)
	if !ok {
		*err = &FormatError{Offset: at, What: what + " is no number"}
	}
	return v
}

func parseDecimal(b []byte, most int64) (v int64, ok bool) {
	if len(b) == 0 || len(b) > 10 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + int64(c-'0')
	}
	return v, v <= most
}

func (p *entryParser) deps() (deps []int, err error) {
	const what = "an entry's dependencies"
	for {
		at := p.offset()
		b, null, err := p.bytes(what)
		if err != nil || null {
			return deps, err
		}
		p.promise(int64(1 + p.intSize))
		v, ok := parseDecimal(b, math.MaxInt32)
		if !ok || len(deps) >= maxCount {
			return nil, &FormatError{Offset: at, What: what + " are no list of ids"}
		}
		deps = append(deps, int(v))
	}
}

func (p *entryParser) offsetFlag() (hasData bool, err error) {
	const what = "an entry's data offset"
	n := 1 + p.header.OffSize
	if err := p.need(n, what); err != nil {
		return false, err
	}
	switch flag := p.buf[p.pos]; flag {
	case offsetNotSet, offsetSet:
		hasData = true
	case offsetNoData:
	default:
		return false, p.bad("%s has the flag %d", what, flag)
	}
	p.pos += n
	return hasData, nil
}
