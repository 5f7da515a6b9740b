package tell

import (
	"fmt"
	"strings"

	"pgvault/safetext"
)

// Lines is a fact in four lines: what happened, why, what is left as it was,
// what to do. They are those that the screen shows.
type Lines struct {
	What string `json:"what"`
	Why  string `json:"why"`
	Left string `json:"left"`
	Do   string `json:"do"`
}

// Entry is one thing that is told.
type Entry struct {
	Title string // "shop: late"
	Lines
}

// Message is what goes to every sink.
type Message struct {
	Title   string   // one line
	Head    string   // whose: host, vault, label
	Entries []Entry  // what is new, or again told
	Well    []Entry  // what was told and is over
	Still   []string // what was told before and goes on, a line each
}

// maxLine bounds one line of a message, in bytes: a mail's may have 998.
const maxLine = 600

// Text is the message as plain text of at most size bytes: whole entries,
// and how many are left out.
func (m Message) Text(size int) string {
	var pieces []string
	for _, e := range m.Entries {
		pieces = append(pieces, e.text())
	}
	for i, e := range m.Well {
		head := ""
		if i == 0 {
			head = "Well again:\n\n"
		}
		pieces = append(pieces, head+e.text())
	}
	if len(m.Still) > 0 {
		lines := "Still the matter:\n\n"
		for _, s := range m.Still {
			lines += "  " + oneLine(s) + "\n"
		}
		pieces = append(pieces, lines)
	}
	const more = "\nand %d more: pgvault status\n"
	var b strings.Builder
	b.WriteString(oneLine(m.Head) + "\n")
	for i, p := range pieces {
		if b.Len()+len(p)+len(more)+8 > size && i > 0 {
			fmt.Fprintf(&b, more, len(pieces)-i)
			break
		}
		b.WriteString("\n" + p)
	}
	return b.String()
}

func (e Entry) text() string {
	return oneLine(e.Title) + "\n" + e.Lines.Text()
}

// Text is the four lines as the command line prints them.
func (l Lines) Text() string {
	var b strings.Builder
	for _, p := range [][2]string{{"what", l.What}, {"why ", l.Why}, {"left", l.Left}, {"do  ", l.Do}} {
		if p[1] != "" {
			fmt.Fprintf(&b, "  %s  %s\n", p[0], oneLine(p[1]))
		}
	}
	return b.String()
}

func oneLine(s string) string {
	s = safetext.Line(s)
	if len(s) > maxLine {
		s = strings.ToValidUTF8(s[:maxLine], "") + hidden
	}
	return s
}
