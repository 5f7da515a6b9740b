package foreign

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Kind is the form of a dump.
type Kind string

// The kinds of dumps.
const (
	Custom    Kind = "custom"    // pg_dump -Fc
	Tar       Kind = "tar"       // pg_dump -Ft
	Directory Kind = "directory" // pg_dump -Fd
	SQL       Kind = "sql"       // pg_dump -Fp, or any script for psql
)

// The wraps, as File.Wraps names them from the outside to the inside.
const (
	WrapAge   = "age"
	WrapGzip  = "gzip"
	WrapZstd  = "zstd"
	WrapBzip2 = "bzip2"
)

// maxWraps is how many wraps are taken off: age over gzip is usual, more than
// four is nobody's honest doing.
const maxWraps = 4

// sniffed is how much of a file is looked at to tell what it is: a tar's
// magic lies at 257.
const sniffed = 4096

// Openers take off the wraps that only the room of the archive format knows.
// Age is asked for a file that is encrypted; an error of it is passed on.
type Openers struct {
	Age  func(io.Reader) (io.Reader, error)
	Zstd func(io.Reader) (io.ReadCloser, error)
}

// Stream is a dump without its wraps.
type Stream struct {
	*bufio.Reader
	Kind  Kind // never Directory
	Wraps []string

	closers []io.Closer
}

// Close frees what the wraps hold. It does not close the file below.
func (s *Stream) Close() error {
	var err error
	for _, c := range s.closers {
		err = errors.Join(err, c.Close())
	}
	return err
}

// ErrUnknown is what Unwrap gives for a file that is no dump.
var ErrUnknown = errors.New("not a dump that pgvault knows")

// Unwrap takes off the wraps and tells the kind of what is in them. An error
// that wraps ErrUnknown says what the file is instead; another one is of
// reading, of an Opener, or of damage. It returns what it found of wraps
// also with an error.
func Unwrap(r io.Reader, o Openers) (*Stream, error) {
	s := &Stream{Reader: bufio.NewReaderSize(r, 64<<10)}
	for {
		head, err := s.Peek(sniffed)
		if err != nil && err != io.EOF {
			return s, err
		}
		wrap := wrapOf(head)
		if wrap == "" {
			s.Kind, err = kindOf(head)
			return s, err
		}
		if len(s.Wraps) == maxWraps {
			return s, fmt.Errorf("%w: it is wrapped more than %d times", ErrUnknown, maxWraps)
		}
		s.Wraps = append(s.Wraps, wrap)
		inner, err := s.open(wrap, o)
		if err != nil {
			return s, err
		}
		s.Reader = bufio.NewReaderSize(inner, 64<<10)
	}
}

func (s *Stream) open(wrap string, o Openers) (io.Reader, error) {
	switch wrap {
	case WrapAge:
		return o.Age(s.Reader)
	case WrapGzip:
		return gzip.NewReader(s.Reader)
	case WrapBzip2:
		return bzip2.NewReader(s.Reader), nil
	}
	z, err := o.Zstd(s.Reader)
	if err == nil {
		s.closers = append(s.closers, z)
	}
	return z, err
}

func wrapOf(head []byte) string {
	has := func(magic string) bool { return bytes.HasPrefix(head, []byte(magic)) }
	switch {
	case has("age-encryption.org/v1\n"), has("-----BEGIN AGE ENCRYPTED FILE-----"):
		return WrapAge
	case has("\x1f\x8b\x08"):
		return WrapGzip
	case has("\x28\xb5\x2f\xfd"):
		return WrapZstd
	case has("BZh") && len(head) > 10 && (bytes.Equal(head[4:10], []byte("1AY&SY")) || bytes.Equal(head[4:10], []byte("\x17\x72\x45\x38\x50\x90"))):
		return WrapBzip2
	}
	return ""
}

// others are files that are met among dumps, by their first bytes.
var others = []struct{ magic, is string }{
	{"\xfd7zXZ\x00", "compressed with xz: unpack it first"},
	{"\x04\x22\x4d\x18", "compressed with lz4: unpack it first"},
	{"PK\x03\x04", "a zip file: unpack it first"},
	{"7z\xbc\xaf", "a 7z file: unpack it first"},
	{"\x8c\x0d\x04", "encrypted with gpg: decrypt it first"}, {"\x85\x02", "encrypted with gpg: decrypt it first"},
	{"-----BEGIN PGP MESSAGE", "encrypted with gpg: decrypt it first"},
	{"Salted__", "encrypted with openssl: decrypt it first"},
	{"\xff\xfe", "text in UTF-16: convert it to the encoding of the dump first"}, {"\xfe\xff", "text in UTF-16: convert it to the encoding of the dump first"},
	{"\x7fELF", "a program"}, {"%PDF", "a PDF"},
}

// kindOf tells the kind of what has no wrap any more.
func kindOf(head []byte) (Kind, error) {
	switch {
	case len(head) == 0:
		return "", fmt.Errorf("%w: it is empty", ErrUnknown)
	case bytes.HasPrefix(head, []byte("PGDMP")):
		return Custom, nil
	case len(head) >= 263 && string(head[257:262]) == "ustar":
		if name, _, _ := strings.Cut(string(head[:100]), "\x00"); name == "toc.dat" {
			return Tar, nil
		}
		return "", fmt.Errorf("%w: a tar file that pg_dump did not write; if it holds a dump, unpack it first", ErrUnknown)
	}
	for _, o := range others {
		if bytes.HasPrefix(head, []byte(o.magic)) {
			return "", fmt.Errorf("%w: %s", ErrUnknown, o.is)
		}
	}
	if bytes.IndexByte(head, 0) >= 0 || !looksLikeSQL(head) {
		return "", fmt.Errorf("%w: neither a dump of pg_dump nor a text with SQL", ErrUnknown)
	}
	return SQL, nil
}

// looksLikeSQL tells whether a text begins as a script does: after comments
// and empty lines comes a word that begins a statement.
func looksLikeSQL(head []byte) bool {
	text := strings.TrimPrefix(string(head), "\ufeff")
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		if strings.HasPrefix(line, "-- PostgreSQL database") {
			return true
		}
		if strings.HasPrefix(line, "--") || strings.HasPrefix(line, `\restrict `) || strings.HasPrefix(line, "/*") {
			continue
		}
		word, _, _ := strings.Cut(strings.ToUpper(line), " ")
		switch strings.TrimSuffix(word, ";") {
		case "SET", "CREATE", "INSERT", "COPY", "BEGIN", "SELECT", "DROP", "ALTER", "START", `\CONNECT`:
			return true
		}
		return false
	}
	return false
}
