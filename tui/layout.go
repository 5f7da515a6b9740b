package tui

import (
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// textWidth is how many cells s takes.
func textWidth(s string) int {
	if n, ok := simpleWidth(s); ok {
		return n
	}
	return ansi.StringWidth(s)
}

// simpleWidth measures what nearly everything here is made of, without looking
// for characters of several runes: printable ASCII, lines and blocks, and
// sequences for colours. ok is false where there is anything else.
func simpleWidth(s string) (n int, ok bool) {
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c >= 0x20 && c < 0x7f:
			i++
			n++
		case c == 0xe2 && i+2 < len(s) && (s[i+1] == 0x94 || s[i+1] == 0x95 || s[i+1] == 0x96): // U+2500 to U+25BF
			i += 3
			n++
		case c == 0x1b && i+1 < len(s) && s[i+1] == '[':
			for i += 2; i < len(s) && (s[i] >= '0' && s[i] <= '9' || s[i] == ';'); i++ {
			}
			if i == len(s) || s[i] != 'm' {
				return 0, false
			}
			i++
		default:
			return 0, false
		}
	}
	return n, true
}

// truncate cuts s to w cells, tail among them. No text takes more cells than
// bytes.
func truncate(s string, w int, tail string) string {
	if len(s) <= w {
		return s
	}
	if n, ok := simpleWidth(s); ok && n <= w {
		return s
	}
	return ansi.Truncate(s, w, tail)
}

// cutEnd cuts s to w cells, with ".." where something was cut.
func cutEnd(s string, w int) string {
	if w <= 0 {
		return ""
	}
	if textWidth(s) <= w {
		return s
	}
	if w < 4 {
		return truncate(s, w, "")
	}
	return truncate(s, w, "..")
}

// cutMiddle cuts plain s to w cells, keeping its start and its end: names
// often differ only at the end. s must not hold escape sequences.
func cutMiddle(s string, w int) string {
	sw := textWidth(s)
	if w <= 0 {
		return ""
	}
	if sw <= w {
		return s
	}
	if w < 6 {
		return truncate(s, w, "")
	}
	tail := (w - 2) / 2
	head := w - 2 - tail
	right := ansi.TruncateLeft(s, sw-tail, "")
	if textWidth(right) > tail { // a wide character straddles the cut
		right = ansi.TruncateLeft(s, sw-tail+1, "")
	}
	return truncate(s, head, "") + ".." + right
}

// padRight fills s with spaces to w cells.
func padRight(s string, w int) string {
	return s + strings.Repeat(" ", max(w-textWidth(s), 0))
}

// spread puts left at the start and right at the end of w cells; right gives
// way where both do not fit.
func spread(left, right string, w int) string {
	lw, rw := textWidth(left), textWidth(right)
	if right == "" || lw+rw+1 > w {
		return truncate(left, w, "")
	}
	return left + strings.Repeat(" ", w-lw-rw) + right
}

// wrapAt gives s in lines of at most w cells, broken at spaces only: what
// holds a hyphen may be a flag or a key. A word longer than a line is broken.
func wrapAt(s string, w int) []string {
	if w < 1 {
		return nil
	}
	var out []string
	for _, l := range strings.Split(s, "\n") {
		line, at := "", 0
		for i, word := range strings.Split(l, " ") {
			n := textWidth(word)
			switch {
			case i == 0:
			case at+1+n <= w:
				line, at = line+" ", at+1
			default:
				out = append(out, strings.TrimRight(line, " "))
				line, at = "", 0
			}
			for n > w && w > 1 { // one cell holds no wide character
				piece := truncate(word, w, "")
				out = append(out, piece)
				word = ansi.TruncateLeft(word, textWidth(piece), "")
				n = textWidth(word)
			}
			line, at = line+word, at+n
		}
		out = append(out, line)
	}
	return out
}

// labelled gives "label  text" with the text wrapped in a column of its own.
func labelled(label, text string, labelW, w int) []string {
	if text == "" {
		return nil
	}
	room := w - labelW - 3
	if room < 12 {
		return wrapAt(" "+strings.TrimSpace(label+" "+text), w)
	}
	var out []string
	for i, l := range wrapAt(text, room) {
		if i > 0 {
			label = ""
		}
		out = append(out, " "+padRight(label, labelW)+"  "+l)
	}
	return out
}

// firstOnly gives label for the first of several lines.
func firstOnly(i int, label string) string {
	if i > 0 {
		return ""
	}
	return label
}

// column is one column of a table.
type column struct {
	title string
	right bool // numbers stand at the right
	min   int  // least width in cells; the content may widen it
	max   int  // greatest width, 0: as wide as the content
	flex  bool // may be cut below its content when space is short
	keep  int  // cells of a flexible column that stay while others can drop, 0: 8
	rest  bool // the last column: takes what is left, and is cut at its end
	drop  int  // order of dropping when narrow: 1 goes first, 0 never goes
	style func(string) string
}

// tableWidths lays rows out in w cells: flexible columns are cut as far as
// they can still be read, then columns drop in their order, then all that is
// flexible shrinks. It gives the widths of the columns, 0 for a dropped one.
func tableWidths(cols []column, rows [][]string, w int) []int {
	widths := make([]int, len(cols))
	for i, c := range cols {
		widths[i] = max(c.min, textWidth(c.title))
		if c.rest {
			continue
		}
		for _, r := range rows {
			widths[i] = max(widths[i], textWidth(r[i]))
		}
		if c.max > 0 {
			widths[i] = min(widths[i], max(c.max, textWidth(c.title)))
		}
	}
	for need(widths) > w {
		if shrink(cols, widths, need(widths)-w, true) {
			break
		}
		if !dropOne(cols, widths) {
			shrink(cols, widths, need(widths)-w, false)
			break
		}
	}
	if last := len(cols) - 1; cols[last].rest && widths[last] > 0 {
		widths[last] += max(w-need(widths), 0)
	}
	return widths
}

// need is the cells a row of these widths takes, two between columns and
// three for the marker.
func need(widths []int) int {
	n := 1
	for _, w := range widths {
		if w > 0 {
			n += w + 2
		}
	}
	return n
}

// shrink takes over cells from the flexible columns; with gentle it changes
// nothing where they would get narrower than can be read.
func shrink(cols []column, widths []int, over int, gentle bool) bool {
	slack := make([]int, len(cols))
	sum := 0
	for i, c := range cols {
		if !c.flex || widths[i] == 0 {
			continue
		}
		least := 1
		if gentle {
			least = max(c.min, c.keep, 8)
		}
		slack[i] = max(widths[i]-least, 0)
		sum += slack[i]
	}
	if gentle && sum < over {
		return false
	}
	for i := range cols {
		take := min(over, slack[i])
		widths[i] -= take
		over -= take
	}
	return over <= 0
}

func dropOne(cols []column, widths []int) bool {
	best := -1
	for i, c := range cols {
		if widths[i] > 0 && c.drop > 0 && (best < 0 || c.drop < cols[best].drop) {
			best = i
		}
	}
	if best < 0 {
		return false
	}
	widths[best] = 0
	return true
}

// tableRow draws one row: cells cut to their columns (flexible ones in the
// middle), aligned, coloured. marker is the first two cells of the line.
func tableRow(cols []column, widths []int, cells []string, marker string) string {
	var b strings.Builder
	b.WriteString(marker)
	for i, c := range cols {
		w := widths[i]
		if w == 0 {
			continue
		}
		b.WriteString(" ")
		s := cells[i]
		if c.flex {
			s = cutMiddle(s, w)
		} else {
			s = cutEnd(s, w)
		}
		gap := strings.Repeat(" ", max(w-textWidth(s), 0))
		if c.style != nil {
			s = c.style(s)
		}
		if c.right {
			s = gap + s
		} else {
			s += gap
		}
		b.WriteString(s + " ")
	}
	return strings.TrimRight(b.String(), " ")
}

// tableTitles draws the line of column titles.
func tableTitles(cols []column, widths []int) string {
	plain := make([]column, len(cols))
	titles := make([]string, len(cols))
	for i, c := range cols {
		plain[i] = c
		plain[i].style = nil
		titles[i] = c.title
	}
	return tableRow(plain, widths, titles, "  ")
}

// window gives the first of n lines to show so that line sel is among the h
// shown, moving the old top as little as possible.
func window(top, sel, n, h int) int {
	if h <= 0 {
		return 0
	}
	if sel < top {
		top = sel
	}
	if sel >= top+h {
		top = sel - h + 1
	}
	return max(min(top, n-h), 0)
}
