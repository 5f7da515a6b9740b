package dumpfile

import (
	"slices"
	"time"
)

// The archive versions read: see the package comment.
const (
	oldestMinor  = 12
	tableAMMinor = 14
	algoMinor    = 15
	relKindMinor = 16
	newestMinor  = 16
)

const (
	magic        = "PGDMP"
	formatCustom = 1
	formatTar    = 3 // toc.dat of a directory says so too
	fixedHeader  = len(magic) + 6
)

// Header is what the dump says of itself.
type Header struct {
	Version     [3]int // of the archive format: {1, 14, 0}
	IntSize     int    // bytes of an int's magnitude, 4 or 8
	OffSize     int    // bytes of an offset, 4 or 8
	Compression string // "none", "gzip", "lz4" or "zstd"

	// Created is when pg_dump started. The dump holds the broken-down local
	// time without a zone; like pg_restore, this takes it as local here. Zero
	// if it is no time at all.
	Created       time.Time
	Database      string
	ServerVersion string // as the server gives it: "15.14 (Debian 15.14-0+deb12u1)"
	DumpVersion   string // of pg_dump, in the same form

	files bool // entries name a file of their own instead of an offset
}

// parseHeader reads up to the end of the three strings.
func parseHeader(s *source) (Header, error) {
	h, err := parseFixed(s)
	if err != nil {
		return h, err
	}
	w := int64(1 + h.IntSize)
	s.intSize = h.IntSize
	if h.Version[1] >= algoMinor {
		s.promise(1 + 7*w + 3*w)
	} else {
		s.promise(w + 7*w + 3*w)
	}
	if h.Compression, err = parseCompression(s, h.Version[1]); err != nil {
		return h, err
	}
	if h.Created, err = parseCreated(s); err != nil {
		return h, err
	}
	for _, p := range []*string{&h.Database, &h.ServerVersion, &h.DumpVersion} {
		b, _, err := s.bytes("the header")
		if err != nil {
			return h, err
		}
		*p = string(b)
	}
	return h, nil
}

// parseFixed reads the magic and the six bytes after it.
func parseFixed(s *source) (h Header, err error) {
	s.promise(int64(fixedHeader))
	for i := range magic {
		if err := s.need(i+1, "the header"); err != nil {
			return h, err
		}
		if s.buf[s.pos+i] != magic[i] {
			return h, s.bad("this is not a dump in pg_dump's custom format")
		}
	}
	if err := s.need(fixedHeader, "the header"); err != nil {
		return h, err
	}
	b := s.buf[s.pos+len(magic) : s.pos+fixedHeader]
	h.Version = [3]int{int(b[0]), int(b[1]), int(b[2])}
	h.IntSize, h.OffSize = int(b[3]), int(b[4])
	sizes := []int{4, 8}
	switch {
	case b[0] != 1 || b[1] < oldestMinor || b[1] > newestMinor:
		return h, s.bad("archive version %d.%d is not one of 1.%d to 1.%d", b[0], b[1], oldestMinor, newestMinor)
	case !slices.Contains(sizes, h.IntSize) || !slices.Contains(sizes, h.OffSize):
		return h, s.bad("integers of %d and offsets of %d bytes are not supported", h.IntSize, h.OffSize)
	case b[5] != formatCustom && !(s.files && b[5] == formatTar):
		return h, s.bad("archive format %d is not the custom format", b[5])
	}
	h.files = b[5] == formatTar
	s.pos += fixedHeader
	return h, nil
}

func parseCompression(s *source, minor int) (string, error) {
	if minor < algoMinor {
		level, err := s.integer("the compression level")
		if err != nil || level == 0 {
			return "none", err
		}
		return "gzip", nil
	}
	b, err := s.byte("the header")
	if err != nil {
		return "", err
	}
	names := []string{"none", "gzip", "lz4", "zstd"}
	if int(b) >= len(names) {
		s.pos--
		return "", s.bad("unknown compression %d", b)
	}
	return names[b], nil
}

// parseCreated reads a struct tm: sec min hour mday mon year isdst.
func parseCreated(s *source) (time.Time, error) {
	var tm [7]int
	for i := range tm {
		v, err := s.integer("the creation time")
		if err != nil {
			return time.Time{}, err
		}
		tm[i] = int(v)
	}
	return fromTM(tm, time.Local), nil
}

// fromTM is mktime: an hour that the clock showed twice is told by isdst.
// Values that no clock shows give the zero time.
func fromTM(tm [7]int, loc *time.Location) time.Time {
	wall := func(t time.Time) [6]int {
		return [6]int{t.Second(), t.Minute(), t.Hour(), t.Day(), int(t.Month()) - 1, t.Year() - 1900}
	}
	want := [6]int(tm[:6])
	t := time.Date(tm[5]+1900, time.Month(tm[4]+1), tm[3], tm[2], tm[1], tm[0], 0, loc)
	if tm[5] < 0 || tm[5] > 8099 || wall(t) != want {
		return time.Time{}
	}
	if dst := tm[6]; dst >= 0 && t.IsDST() != (dst > 0) {
		for _, d := range []time.Duration{-time.Hour, time.Hour} {
			if u := t.Add(d); u.IsDST() != t.IsDST() && wall(u) == want {
				return u
			}
		}
	}
	return t
}
