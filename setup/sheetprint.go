package setup

import (
	"fmt"
	"html"
	"strings"
	"unicode/utf8"

	"pgvault/safetext"
)

// typed is what stands before a line to type in the text.
const typed = "    "

// Text is the sheet as plain text: headings, prose, and the lines to type
// indented by four.
func (s *Sheet) Text() string {
	var b strings.Builder
	b.WriteString(s.Title + "\n" + strings.Repeat("=", utf8.RuneCountInString(s.Title)) + "\n")
	for _, l := range s.lines() {
		if l.heading {
			b.WriteString("\n" + l.text + "\n" + strings.Repeat("-", utf8.RuneCountInString(l.text)) + "\n")
			continue
		}
		b.WriteString(l.text + "\n")
	}
	return b.String()
}

type sheetLine struct {
	text          string
	heading, code bool
}

func (s *Sheet) lines() []sheetLine {
	var out []sheetLine
	for _, b := range s.Blocks {
		if b.Heading != "" {
			out = append(out, sheetLine{text: b.Heading, heading: true})
		}
		for _, p := range b.Prose {
			out = append(out, sheetLine{text: safetext.Line(p)})
		}
		for _, t := range b.Type {
			out = append(out, sheetLine{text: typed + safetext.Line(t), code: true})
		}
	}
	return out
}

// The printed page: A4 with margins, in millimetres. A monospaced letter is
// 0.6 of its size wide, a little more in some fonts.
const (
	pageWidth, pageHeight = 210 - 2*12, 297 - 2*10
	letterWidth           = 0.62
	lineHeight            = 1.22
	largest, smallest     = 3.3, 1.5
)

// letter is the largest size of letters, in millimetres, at which the sheet
// fits on one page; the smallest that can be read where none does.
func (s *Sheet) letter() float64 {
	for size := largest; size > smallest; size -= 0.05 {
		width := int(pageWidth / (size * letterWidth))
		height := 3 * size * lineHeight // the title
		for _, l := range s.lines() {
			n := 1 + (max(1, utf8.RuneCountInString(l.text))-1)/width
			height += float64(n) * size * lineHeight
			if l.heading {
				height += size
			}
		}
		if height <= pageHeight {
			return size
		}
	}
	return smallest
}

// HTML is the sheet as one page that needs nothing else and prints on one
// sheet of A4.
func (s *Sheet) HTML() string {
	var b strings.Builder
	fmt.Fprintf(&b, `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>%s</title>
<style>
@page { size: A4 portrait; margin: 10mm 12mm; }
body { font: %.2fmm/%.2f monospace; max-width: %dmm; margin: 0 auto; color: #000; background: #fff; overflow-wrap: anywhere; }
h1 { font-size: 1.3em; margin: 0 0 .3em; }
h2 { font-size: 1em; margin: .8em 0 0; }
pre { font: inherit; margin: 0; white-space: pre-wrap; }
</style>
</head>
<body>
<h1>%s</h1>
`, html.EscapeString(s.Title), s.letter(), lineHeight, pageWidth, html.EscapeString(s.Title))
	for _, l := range s.lines() {
		switch {
		case l.heading:
			fmt.Fprintf(&b, "<h2>%s</h2>\n", html.EscapeString(l.text))
		case l.code:
			fmt.Fprintf(&b, "<pre><b>%s</b></pre>\n", html.EscapeString(l.text))
		default:
			fmt.Fprintf(&b, "<pre>%s</pre>\n", html.EscapeString(l.text))
		}
	}
	b.WriteString("</body>\n</html>\n")
	return b.String()
}
