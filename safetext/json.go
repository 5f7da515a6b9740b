package safetext

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
)

// JSON gives JSON text in which whatever a terminal would take for more than
// text (C1 controls, bidirectional overrides) is written as \u and four hex
// digits, which means the same to a reader. Line breaks stay.
func JSON(text []byte) []byte {
	if !slices.ContainsFunc(text, func(c byte) bool { return c >= 0x7f }) {
		return text
	}
	var out strings.Builder
	for _, r := range string(text) {
		if r == '\n' || r < 0x7f || safe(r) {
			out.WriteRune(r)
			continue
		}
		for _, u := range utf16.AppendRune(nil, r) {
			fmt.Fprintf(&out, `\u%04x`, u)
		}
	}
	return []byte(out.String())
}
