package config

import (
	"fmt"
	"strings"
)

// DiffLine is one line of a unified diff: Mark is ' ', '-', '+', or '@' for
// the line that says where a piece begins.
type DiffLine struct {
	Mark byte
	Text string
}

// String is the line as diff -u prints it.
func (d DiffLine) String() string {
	if d.Mark == '@' {
		return d.Text
	}
	return string(d.Mark) + d.Text
}

// diffContext is how many unchanged lines stand around a change.
const diffContext = 3

// maxDiffCells bounds the table that the comparison fills; beyond it the
// changed middle is shown as taken out and put in as a whole.
const maxDiffCells = 4 << 20

// Diff compares two texts line by line. Equal texts give no lines.
func Diff(old, changed []byte) []DiffLine {
	if string(old) == string(changed) {
		return nil
	}
	a, b := splitLines(string(old)), splitLines(string(changed))
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	var all []DiffLine
	for _, l := range a[:head] {
		all = append(all, DiffLine{' ', l})
	}
	all = append(all, middle(a[head:len(a)-tail], b[head:len(b)-tail])...)
	for _, l := range a[len(a)-tail:] {
		all = append(all, DiffLine{' ', l})
	}
	return pieces(all)
}

// splitLines keeps a missing line end visible, as diff does.
func splitLines(s string) []string {
	if s == "" {
		return nil
	}
	cut, whole := strings.CutSuffix(s, "\n")
	lines := strings.Split(cut, "\n")
	if !whole {
		lines[len(lines)-1] += `  \ no line end`
	}
	return lines
}

// middle compares by the longest common subsequence.
func middle(a, b []string) []DiffLine {
	var out []DiffLine
	if len(a)*len(b) > maxDiffCells {
		for _, l := range a {
			out = append(out, DiffLine{'-', l})
		}
		for _, l := range b {
			out = append(out, DiffLine{'+', l})
		}
		return out
	}
	w := len(b) + 1
	common := make([]int32, (len(a)+1)*w)
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i*w+j] = common[(i+1)*w+j+1] + 1
			} else {
				common[i*w+j] = max(common[(i+1)*w+j], common[i*w+j+1])
			}
		}
	}
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			out = append(out, DiffLine{' ', a[i]})
			i, j = i+1, j+1
		case i < len(a) && (j == len(b) || common[(i+1)*w+j] >= common[i*w+j+1]):
			out = append(out, DiffLine{'-', a[i]})
			i++
		default:
			out = append(out, DiffLine{'+', b[j]})
			j++
		}
	}
	return out
}

// pieces leaves out what is far from any change, and heads each piece with
// its place in both texts.
func pieces(all []DiffLine) []DiffLine {
	near := make([]bool, len(all))
	for i, l := range all {
		if l.Mark != ' ' {
			for k := max(i-diffContext, 0); k <= min(i+diffContext, len(all)-1); k++ {
				near[k] = true
			}
		}
	}
	var out []DiffLine
	a, b := 1, 1
	for i := 0; i < len(all); {
		if !near[i] {
			i, a, b = i+1, a+1, b+1
			continue
		}
		end := i
		na, nb := 0, 0
		for end < len(all) && near[end] {
			if all[end].Mark != '+' {
				na++
			}
			if all[end].Mark != '-' {
				nb++
			}
			end++
		}
		out = append(out, DiffLine{'@', fmt.Sprintf("@@ -%s +%s @@", span(a, na), span(b, nb))})
		out = append(out, all[i:end]...)
		i, a, b = end, a+na, b+nb
	}
	return out
}

// span is a range of lines as a unified diff writes it.
func span(from, n int) string {
	switch n {
	case 0:
		return fmt.Sprintf("%d,0", from-1)
	case 1:
		return fmt.Sprint(from)
	}
	return fmt.Sprintf("%d,%d", from, n)
}
