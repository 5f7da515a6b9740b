package tui

import (
	"fmt"
	"strings"

	"pgvault/fault"
	"pgvault/vault"
)

// archiveColumns are the columns of the list. Narrow screens drop ROWS, then
// STORED, then KEEP and COPIES, and in the end AGE; WHEN, DATABASE and PROOF
// stay. Wide, the number of tables and the whole id go before those.
func archiveColumns(th theme, wide bool) []column {
	cols := []column{
		{title: "WHEN"},
		{title: "AGE", right: true, drop: 5},
		{title: "DATABASE", min: 10, flex: true},
		{title: "STORED", right: true, drop: 2},
		{title: "ROWS", right: true, drop: 1},
		{title: "PROOF", min: 9, style: th.proof},
		{title: "COPIES", drop: 4, style: func(s string) string {
			if strings.HasSuffix(s, "!") {
				return th.warn(s)
			}
			return s
		}},
		{title: "KEEP", drop: 3, style: func(s string) string {
			if strings.HasPrefix(s, "! ") {
				return th.warn(s)
			}
			return s
		}},
	}
	if wide {
		cols = append(cols, column{title: "TABLES", right: true, drop: 6}, column{title: "ID", drop: 7})
	}
	return cols
}

// archiveCells are the cells of one archive's row.
func archiveCells(e env, a vault.Archive) []string {
	began := when(a.Started, e.now, e.loc)
	if e.w < 40 {
		began = shortWhen(a.Started, e.now, e.loc)
	}
	keep := "-"
	switch {
	case a.Pinned:
		keep = "pinned"
	case a.Expires != nil && !a.Expires.After(e.now):
		keep = "! goes"
	case a.Expires != nil:
		keep = "! " + day2(*a.Expires, e.now, e.loc)
	}
	name := e.th.text(a.Database)
	if a.Imported != nil {
		name += " (imported)"
	}
	return []string{
		began, age(e.now.Sub(a.Started)), name,
		size(a.Stored), count(a.Rows), proofWord(a), copiesWord(a, len(e.places)), keep, count(int64(a.Tables)), e.th.text(a.ID),
	}
}

// proofWord is the state where it is not good, else the proof.
func proofWord(a vault.Archive) string {
	switch {
	case a.State == "good" && a.Proof == vault.ProofNone:
		return "none"
	case a.State == "good":
		return string(a.Proof)
	case a.State == "partial", a.State == "foreign":
		return "! " + a.State
	}
	return "x " + a.State
}

// copiesWord is "2 of 3", with "!" where a place lacks a good copy.
func copiesWord(a vault.Archive, places int) string {
	good, of := a.GoodCopies(), len(a.Copies)
	if of == 0 {
		of = places
	}
	s := fmt.Sprintf("%d of %d", good, of)
	if good < of {
		s += "!"
	}
	return s
}

func (s *archives) view(e env) block {
	if len(e.know.list) == 0 {
		return block{lines: s.empty(e)}
	}
	b := block{}
	titles := e.h >= 4
	if e.h >= 6 || s.active() {
		b = s.filterLine(e)
	}
	detailH := 0
	if e.w >= 60 && e.h >= 15 {
		detailH = min(max(e.h*2/5, 7), 13)
	}
	s.rows = max(e.h-len(b.lines)-detailH, 1)
	if titles {
		s.rows = max(s.rows-1, 1)
	}
	s.top = window(s.top, s.sel, len(s.shown), s.rows)
	b.lines = append(b.lines, s.table(e, titles)...)
	if len(s.shown) == 0 {
		b.lines = append(b.lines, s.nothing(e, s.all)...)
		return b
	}
	if detailH > 0 {
		a, _ := s.selected()
		b.lines = fill(b.lines, e.h-detailH)
		b.lines = append(b.lines, detailPane(e, a, detailH)...)
	}
	return b
}

// table draws titles and the rows in sight.
func (s *archives) table(e env, titles bool) []string {
	cols := archiveColumns(e.th, s.wide)
	var cells [][]string
	end := min(s.top+s.rows, len(s.shown))
	for _, i := range s.shown[s.top:end] {
		cells = append(cells, archiveCells(e, s.sorted[i])[:len(cols)])
	}
	widths := tableWidths(cols, cells, e.w)
	var out []string
	if titles {
		out = append(out, tableTitles(cols, widths))
	}
	s.listTop = len(out)
	if e.h >= 6 || s.active() {
		s.listTop++
	}
	for i, c := range cells {
		marker := "  "
		if s.top+i == s.sel {
			marker = e.th.bold(" >")
		}
		out = append(out, tableRow(cols, widths, c, marker))
	}
	return out
}

// filterLine shows the filter, how many of how many are shown, the order, and
// how old the list is where it is only remembered.
func (s *archives) filterLine(e env) block {
	right := fmt.Sprintf("%d archives, %s", s.all, orders[s.sort].name)
	if s.all == 1 {
		right = "1 archive"
	}
	if len(s.in.r) > 0 {
		right = fmt.Sprintf("%d of %d shown, %s", len(s.shown), s.all, orders[s.sort].name)
	}
	if e.know.listOld || e.know.listErr != nil {
		right += ", as of " + ago(e.now.Sub(e.know.listAt))
	}
	if s.filter.Wrong != "" {
		right = e.th.warn("! " + e.th.text(s.filter.Wrong))
	}
	return s.line(e, " / filters", right)
}

// empty is the page without a list: not read yet, unreadable, or a vault in
// which nothing has been stored.
func (s *archives) empty(e env) []string {
	switch {
	case e.know.listErr != nil:
		lines := []string{"", " " + e.th.bad("x") + " " + e.th.bold("the vault could not be read"), ""}
		return append(lines, faultLines(e, fault.As(e.know.listErr), e.w)...)
	case !e.know.listed:
		return []string{"", " reading the vault..."}
	}
	return noBackups(e)
}

// noBackups teaches what to do with an empty vault.
func noBackups(e env) []string {
	text := `No backups yet. b makes the first one. Nothing runs by itself until a timer starts "pgvault backup".`
	if e.readOnly {
		text = "No backups yet, and this screen is read only."
	}
	out := []string{""}
	for _, l := range wrapAt(text, max(e.w-2, 1)) {
		out = append(out, " "+l)
	}
	return out
}

// faultLines are the four lines of an error.
func faultLines(e env, f *fault.Error, w int) []string {
	var out []string
	for _, p := range [][2]string{{"what", f.What}, {"why", f.Why}, {"left", f.Left}, {"do", f.Do}} {
		for i, l := range labelled(p[0], e.th.text(p[1]), 4, w) {
			if i == 0 {
				l = strings.Replace(l, p[0], e.th.bold(p[0]), 1)
			}
			out = append(out, l)
		}
	}
	return out
}
