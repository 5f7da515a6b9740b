// Package safetext makes text from outside (names in a database, file names,
// messages of a server) safe for a terminal: no control character, no
// bidirectional override, no invalid UTF-8 and no line break ever reaches it
// raw. What is not shown as it is appears as a visible escape.
package safetext

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Line gives s on one line, with every unsafe rune written as \n, \t, \xHH
// or \u{HHHH}. Printable text comes back unchanged.
func Line(s string) string {
	if clean(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case !safe(r) && r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		case !safe(r):
			fmt.Fprintf(&b, `\u{%04x}`, r)
		default:
			b.WriteRune(r)
		}
		i += n
	}
	return b.String()
}

func clean(s string) bool {
	for _, r := range s {
		if r == utf8.RuneError || !safe(r) {
			return false
		}
	}
	return true
}

// safe tells whether a terminal shows r as a mark of its own: controls,
// format characters (bidi overrides, zero-width joiners, BOM), surrogates,
// private use and line separators are not.
func safe(r rune) bool {
	if r == ' ' {
		return true
	}
	return unicode.IsGraphic(r) && !unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co) && r != '\u115f' && r != '\u1160' && r != '\u3164'
}
