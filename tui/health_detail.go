package tui

import (
	"fmt"
)

// healthDetail is the page of one row of Health: the four lines, the figures,
// and its newest archives.
type healthDetail struct {
	base
	row   healthRow
	top   int
	lines int
	h     int
}

func (s *healthDetail) keys(e env) keymap {
	none, none2 := "", ""
	if s.row.vault {
		none = "this is about the vault as a whole"
	}
	if _, ok := newest(e.know.list, s.row.Database, true); none == "" && !ok {
		none2 = "it has no good archive yet: b makes one"
	}
	k := keymap{
		{cmd: cmdBackup, keys: []string{"b"}, show: "b", name: "backup", help: "back a database up now", off: e.busy(), line: true},
		{cmd: cmdRestore, keys: []string{"r"}, show: "r", name: "restore", help: "its newest good archive; shows a plan first", off: first(e.busy(), none, none2), line: true},
		{cmd: cmdVerify, keys: []string{"v"}, show: "v", name: "verify", help: "its newest good archive", off: first(e.busy(), none, none2), line: true},
	}
	if _, broken := brokenSwitch(s.row.Explained); broken && s.row.vault {
		k = append(keymap{resumeKey()}, k...)
	}
	return append(k, moveKeys("line")...)
}

func (s *healthDetail) do(e env, c command) []action {
	if acts, ok := scrolled(c, &s.top, s.lines, s.h); ok {
		return acts
	}
	switch c {
	case cmdResume:
		name, _ := brokenSwitch(s.row.Explained)
		return []action{openSwitch{switchWant{database: name, mode: modeResume}}}
	case cmdBackup:
		return []action{askBackup{s.row.Database}}
	case cmdRestore, cmdVerify:
		a, _ := newest(e.know.list, s.row.Database, true)
		return doArchive(e, a, c)
	}
	return nil
}

func (s *healthDetail) wheel(_ env, delta int) { s.top = max(min(s.top+delta, s.lines-s.h), 0) }

func (s *healthDetail) view(e env) block {
	lines := s.content(e)
	s.lines, s.h = len(lines), e.h
	s.top = max(min(s.top, s.lines-s.h), 0)
	return block{lines: lines[s.top:min(s.top+e.h, len(lines))]}
}

// content takes the newest that is known of the row.
func (s *healthDetail) content(e env) []string {
	r := s.row
	if h := e.know.health; h != nil && !r.vault {
		for _, d := range h.Databases {
			if d.Database == r.Database {
				r = healthRow{DatabaseHealth: d}
			}
		}
	}
	if r.vault {
		return append([]string{e.th.titled(e.w, "the vault", "")}, explainedLines(e, r.Explained, e.w)...)
	}
	out := []string{e.th.titled(e.w, e.th.text(r.Database), healthState(e, r))}
	out = append(out, explainedLines(e, r.Explained, e.w)...)
	out = append(out, "")
	add := func(label, text string) { out = append(out, labelled(label, text, 9, e.w)...) }
	if r.LastGood != nil {
		add("last good", both(*r.LastGood, e.loc)+", "+ago(e.now.Sub(*r.LastGood)))
	} else {
		add("last good", "never")
	}
	if r.MaxAgeSeconds > 0 {
		add("allowed", allowance(r.MaxAgeSeconds))
	}
	if r.ProvenAt != nil {
		add("proven", "by restore "+both(*r.ProvenAt, e.loc)+", "+ago(e.now.Sub(*r.ProvenAt)))
	} else {
		add("proven", "never by restore; the newest is "+first(string(r.Proof), "not proven at all"))
	}
	add("archives", fmt.Sprintf("%d good; the newest has %d of %d copies", r.Archives, r.Copies, r.Places))
	return append(out, s.archives(e, r.Database)...)
}

// archives are the newest few of a database.
func (s *healthDetail) archives(e env, database string) []string {
	cols := archiveColumns(e.th, false)
	var cells [][]string
	for _, a := range e.know.list {
		if a.Database == database && len(cells) < 10 {
			cells = append(cells, archiveCells(e, a)[:len(cols)])
		}
	}
	if len(cells) == 0 {
		return nil
	}
	widths := tableWidths(cols, cells, e.w)
	out := []string{"", tableTitles(cols, widths)}
	for _, c := range cells {
		out = append(out, tableRow(cols, widths, c, "  "))
	}
	return append(out, "", " 2 lists them all")
}
