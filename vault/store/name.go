package store

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxName is the longest name in bytes: what S3 allows for a key.
const MaxName = 1024

// MaxElement is the longest element between slashes in bytes: what Linux
// file systems allow for a file name.
const MaxElement = 255

// TempPrefix begins the last element of temporary objects where a place has
// to give them a name. No object may be called so.
const TempPrefix = ".partial-"

// ValidName tells whether name can be the name of an object: UTF-8, at most
// MaxName bytes, not absolute, no empty, "." or ".." element, none over
// MaxElement bytes or beginning with TempPrefix, no backslash, no NUL or
// other control character.
func ValidName(name string) error {
	bad := func(why string) error { return fmt.Errorf("object name %.80q: %s", name, why) }
	switch {
	case name == "":
		return bad("empty")
	case len(name) > MaxName:
		return bad(fmt.Sprintf("%d bytes, %d are allowed", len(name), MaxName))
	case !utf8.ValidString(name):
		return bad("not UTF-8")
	}
	for _, r := range name {
		if r < 0x20 || r >= 0x7f && r < 0xa0 {
			return bad("control character")
		}
		if r == '\\' {
			return bad("backslash")
		}
	}
	for e := range strings.SplitSeq(name, "/") {
		switch {
		case e == "":
			return bad("empty element (a slash at the start, at the end or doubled)")
		case e == "." || e == "..":
			return bad("element " + e)
		case len(e) > MaxElement:
			return bad(fmt.Sprintf("an element of %d bytes, %d are allowed", len(e), MaxElement))
		case strings.HasPrefix(e, TempPrefix):
			return bad("elements that begin with " + TempPrefix + " are kept for temporary objects")
		}
	}
	return nil
}

// ValidPrefix tells whether prefix can be given to List: "" or a valid name
// followed by "/".
func ValidPrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	name, ok := strings.CutSuffix(prefix, "/")
	if !ok {
		return fmt.Errorf("prefix %.80q does not end in /", prefix)
	}
	return ValidName(name)
}
