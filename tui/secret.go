package tui

import (
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"

	"pgvault/guide"
)

// secretInput edits a secret that lies outside this program's heap. Only what
// its field says of it is shown; revealed, where that is allowed, the text.
type secretInput struct {
	s      *guide.SecretValue
	lines  bool // line ends belong to it
	reveal bool
	pasted bool // some of it came from the clipboard
}

// key takes an editing key; false for any other. The cursor is at the end
// always: nobody edits the middle of what cannot be seen.
func (i *secretInput) key(k tea.KeyPressMsg) bool {
	switch k.String() {
	case "backspace", "ctrl+h":
		i.cutLast()
	case "ctrl+u":
		i.empty()
	case "enter", "tab", "left", "right", "home", "end":
		return false
	default:
		if k.Text == "" {
			return false
		}
		i.insert(k.Text)
	}
	return true
}

// paste takes pasted text.
func (i *secretInput) paste(s string) {
	i.pasted = true
	i.insert(s)
}

func (i *secretInput) empty() {
	i.s.Wipe()
	i.pasted = false
}

// insert appends the printable part of s, and its line ends where they
// belong to the secret.
func (i *secretInput) insert(s string) {
	add := make([]byte, 0, len(s))
	for _, r := range strings.ReplaceAll(s, "\r\n", "\n") {
		if unicode.IsPrint(r) || i.lines && (r == '\n' || r == '\r') {
			add = utf8.AppendRune(add, r)
		}
	}
	i.s.Insert(i.s.Len(), add)
	clear(add)
}

func (i *secretInput) cutLast() {
	n := 0
	i.s.Use(func(b []byte) { _, n = utf8.DecodeLastRune(b) })
	i.s.Cut(i.s.Len()-n, i.s.Len())
}

// view is what may be shown: never the text, unless it is revealed.
func (i *secretInput) view(th theme, said string) string {
	switch {
	case i.s.Len() == 0:
		return ""
	case i.reveal:
		return th.text(i.s.Text())
	case said != "":
		return "hidden: " + th.text(said)
	}
	n := 0
	i.s.Use(func(b []byte) { n = utf8.RuneCount(b) })
	return "hidden: " + plural(int64(n), "character")
}

// clipboardHint says where a pasted secret still lies, empty for nowhere that
// is known.
func (i *secretInput) clipboardHint() string {
	if !i.pasted || os.Getenv("TMUX") == "" {
		return ""
	}
	return "your tmux paste buffer still holds it: tmux delete-buffer"
}
