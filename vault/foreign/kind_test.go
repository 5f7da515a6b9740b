package foreign

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"
)

func packed(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(text))
	_ = z.Close()
	return b.String()
}

func TestUnwrap(t *testing.T) {
	tar := strings.Repeat("\x00", 257) + "ustar\x0000" + strings.Repeat("\x00", 249)
	deep := "SET a = 1;"
	for range maxWraps + 1 {
		deep = packed(deep)
	}
	o := Openers{Age: func(io.Reader) (io.Reader, error) { return strings.NewReader("PGDMP"), nil }}
	for what, c := range map[string]struct {
		in    string
		kind  Kind
		wraps string
		err   string
	}{
		"custom":         {"PGDMP\x01\x0e\x00", Custom, "", ""},
		"custom in gzip": {packed("PGDMP\x01\x0e\x00"), Custom, "gzip", ""},
		"age":            {"age-encryption.org/v1\n-> X", Custom, "age", ""},
		"script":         {"\ufeff-- of mine\n\n  create table t ();", SQL, "", ""},
		"pg_dump":        {"--\n-- PostgreSQL database dump\n--\n", SQL, "", ""},
		"tar":            {"toc.dat" + tar[7:], Tar, "", ""},
		"other tar":      {"shop.sql" + tar[8:], "", "", "tar file that pg_dump did not write"},
		"empty":          {"", "", "", "empty"},
		"nothing packed": {packed(""), "", "gzip", "empty"},
		"xz":             {"\xfd7zXZ\x00\x00", "", "", "unpack it first"},
		"text":           {"Dear all,\nthe dumps", "", "", "neither a dump"},
		"zeros":          {"SET a = 1;\x00", "", "", "neither a dump"},
		"UTF-16":         {"\xff\xfeS\x00E\x00T\x00", "", "", "UTF-16"},
		"many wraps":     {deep, "", "gzip,gzip,gzip,gzip", "wrapped more than"},
	} {
		s, err := Unwrap(strings.NewReader(c.in), o)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if s.Kind != c.kind || strings.Join(s.Wraps, ",") != c.wraps || (c.err == "") != (err == nil) || !strings.Contains(text, c.err) || err != nil && !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %q %q %v", what, s.Kind, s.Wraps, err)
		}
	}
	if _, err := Unwrap(strings.NewReader(packed("SET a = 1;")[:12]), o); err == nil || errors.Is(err, ErrUnknown) {
		t.Errorf("a cut gzip file: %v", err)
	}
}
