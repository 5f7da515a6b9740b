package tui

import (
	"fmt"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"pgvault/safetext"
)

// theme says how things are drawn: colours or none, marks of UTF-8 or ASCII.
// Colours are among the 16 of the terminal, so that the user's own scheme
// decides what they look like. Which of them can be read on white is not the
// same as on black: green, yellow and cyan are pale in most schemes.
type theme struct {
	noColor bool
	ascii   bool
	light   bool // for a light background
	dark    bool // for a dark one; neither: nobody knows
	asks    bool // the terminal decides
}

// newTheme is the one that Options.Theme names.
func newTheme(name string, ascii bool) theme {
	return theme{ascii: ascii, noColor: name == "none", light: name == "light", dark: name == "dark", asks: name == "auto" || name == ""}
}

// on gives t for the background that the terminal tells of, where t is to
// follow it.
func (t theme) on(dark bool) theme {
	if t.asks {
		t.light, t.dark = !dark, dark
	}
	return t
}

// text makes text from outside safe to show on one line.
func (t theme) text(s string) string {
	s = safetext.Line(s)
	if !t.ascii {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if r < 0x7f {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\u{%04x}`, r)
		}
	}
	return b.String()
}

func (t theme) color(c ansi.BasicColor, s string) string {
	if t.noColor || s == "" {
		return s
	}
	return ansi.NewStyle().ForegroundColor(c).Styled(s)
}

func (t theme) good(s string) string {
	if t.light { // what is well needs no colour
		return s
	}
	return t.color(ansi.Green, s)
}

func (t theme) warn(s string) string {
	if t.light {
		return t.color(ansi.Magenta, s)
	}
	return t.color(ansi.Yellow, s)
}

func (t theme) bad(s string) string {
	if t.dark { // plain red is dim on black
		return t.color(ansi.BrightRed, s)
	}
	return t.color(ansi.Red, s)
}

func (t theme) live(s string) string {
	if t.light {
		return t.color(ansi.Blue, s)
	}
	return t.color(ansi.Cyan, s)
}

func (t theme) bold(s string) string {
	if s == "" {
		return s
	}
	return ansi.NewStyle().Bold().Styled(s)
}

func (t theme) inverse(s string) string {
	return ansi.NewStyle().Reverse(true).Styled(s)
}

// rule is a line of w cells.
func (t theme) rule(w int) string {
	if t.ascii {
		return strings.Repeat("-", max(w, 0))
	}
	return strings.Repeat("─", max(w, 0))
}

// titled is a rule with a text in it near the left, and one near the right
// end where both fit.
func (t theme) titled(w int, left, right string) string {
	lw, rw := textWidth(left), textWidth(right)
	switch {
	case left == "" && right == "":
		return t.rule(w)
	case right == "" || lw+rw+9 > w:
		left = cutEnd(left, w-4)
		return t.rule(2) + " " + t.bold(left) + " " + t.rule(w-4-textWidth(left))
	}
	return t.rule(2) + " " + t.bold(left) + " " + t.rule(w-lw-rw-7) + " " + right + " " + t.rule(1)
}

// bar is a bar of w cells, frac (0 to 1) of it full.
func (t theme) bar(w int, frac float64) string {
	if w < 3 {
		return ""
	}
	full, empty, inner := "█", "░", w
	if t.ascii {
		full, empty, inner = "#", ".", w-2
	}
	n := min(max(int(frac*float64(inner)), 0), inner)
	body := t.live(strings.Repeat(full, n)) + strings.Repeat(empty, inner-n)
	if t.ascii {
		return "[" + body + "]"
	}
	return body
}

// proof draws a proof's word.
func (t theme) proof(s string) string {
	switch {
	case strings.HasPrefix(s, "restored"), strings.HasPrefix(s, "readable"):
		return t.good(s)
	case strings.HasPrefix(s, "x "):
		return t.bad(s)
	case strings.HasPrefix(s, "none"), strings.HasPrefix(s, "!"):
		return t.warn(s)
	}
	return s
}
