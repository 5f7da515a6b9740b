package tui

import (
	"strings"
	"unicode"

	tea "charm.land/bubbletea/v2"
)

// input is a one-line text field.
type input struct {
	r      []rune
	at     int  // the cursor, in runes
	hidden bool // only stars are shown
}

func newInput(s string) input {
	r := []rune(s)
	return input{r: r, at: len(r)}
}

func (i *input) text() string { return string(i.r) }

// wipe overwrites what was typed, as far as this copy goes.
func (i *input) wipe() {
	clear(i.r)
	i.r, i.at = nil, 0
}

// insert puts the printable part of s at the cursor; line ends at either end
// of a pasted text are not part of it.
func (i *input) insert(s string) {
	var add []rune
	for _, r := range strings.Trim(s, "\r\n") {
		if unicode.IsPrint(r) {
			add = append(add, r)
		}
	}
	out := make([]rune, 0, len(i.r)+len(add))
	out = append(append(append(out, i.r[:i.at]...), add...), i.r[i.at:]...)
	at := i.at + len(add)
	clear(add)
	i.wipe() // the field may be a secret: no older copy of it stays
	i.r, i.at = out, at
}

// key takes an editing key; false for any other.
func (i *input) key(k tea.KeyPressMsg) bool {
	switch k.String() {
	case "backspace", "ctrl+h":
		if i.at > 0 {
			i.cut(i.at-1, i.at)
		}
	case "delete", "ctrl+d":
		if i.at < len(i.r) {
			i.cut(i.at, i.at+1)
		}
	case "left":
		i.at = max(i.at-1, 0)
	case "right":
		i.at = min(i.at+1, len(i.r))
	case "home", "ctrl+a":
		i.at = 0
	case "end", "ctrl+e":
		i.at = len(i.r)
	case "ctrl+u":
		i.cut(0, i.at)
	case "ctrl+w":
		from := i.at
		for from > 0 && i.r[from-1] == ' ' {
			from--
		}
		for from > 0 && i.r[from-1] != ' ' {
			from--
		}
		i.cut(from, i.at)
	default:
		if k.Text == "" {
			return false
		}
		i.insert(k.Text)
	}
	return true
}

func (i *input) cut(from, to int) {
	n := copy(i.r[from:], i.r[to:])
	clear(i.r[from+n:])
	i.r = i.r[:from+n]
	i.at = from
}

// view draws the field in w cells and tells in which of them the cursor is.
// A long text is shown from where the cursor stays in sight.
func (i *input) view(th theme, w int) (string, int) {
	if w < 1 {
		return "", 0
	}
	cells := func(r rune) string {
		if i.hidden {
			return "*"
		}
		return th.text(string(r))
	}
	from := 0
	for width(i.r[from:i.at], cells) > w-1 {
		from++
	}
	var b strings.Builder
	for _, r := range i.r[from:] {
		b.WriteString(cells(r))
	}
	return padRight(truncate(b.String(), w, ""), w), width(i.r[from:i.at], cells)
}

func width(rs []rune, cells func(rune) string) int {
	n := 0
	for _, r := range rs {
		n += textWidth(cells(r))
	}
	return n
}
