package tui

import (
	"fmt"

	tea "charm.land/bubbletea/v2"

	"pgvault/vault"
)

// pathForm asks for an identity file before an archive's contents are opened.
type pathForm struct {
	base
	archive vault.Archive
	file    input
}

func newPathForm(a vault.Archive) *pathForm { return &pathForm{archive: a} }

func (d *pathForm) keys(env) keymap {
	off := ""
	if len(splitPaths(d.file.text())) == 0 {
		off = "the contents are encrypted: type the path of an identity file"
	}
	return keymap{{cmd: cmdEnter, keys: []string{"enter"}, show: "Enter", name: "open", help: "open the archive's contents", off: off, line: true}}
}

func (d *pathForm) do(_ env, c command) []action {
	if c == cmdEnter {
		return []action{closeTop{}, askTables{d.archive, splitPaths(d.file.text())}}
	}
	return nil
}

func (d *pathForm) takesText() bool { return true }

func (d *pathForm) typed(_ env, k tea.KeyPressMsg) bool { return d.file.key(k) }
func (d *pathForm) paste(_ env, s string)               { d.file.insert(s) }

func (d *pathForm) view(e env) block {
	title := "tables of " + e.th.text(d.archive.Database) + "  " + when(d.archive.Started, e.now, e.loc)
	line, cx := field(e, "identity", &d.file, true)
	b := block{lines: []string{e.th.titled(e.w, title, e.th.text(d.archive.ID)), line}, cursor: true, cx: cx, cy: 1}
	for _, l := range wrapAt("The list of tables is encrypted too. The file is read, used for this, and forgotten.", max(e.w-2, 1)) {
		b.lines = append(b.lines, " "+l)
	}
	b.lines = append(b.lines, e.th.rule(e.w))
	return b
}

// tablesPage lists what an archive holds, as its contents record it.
type tablesPage struct {
	base
	archive vault.Archive
	tables  []vault.TableInfo
	top     int
	h       int
}

func newTablesPage(a vault.Archive, t []vault.TableInfo) *tablesPage {
	return &tablesPage{archive: a, tables: t, h: 1}
}

// holds tells whether the page is about the archive with this id.
func (s *tablesPage) holds(id string) bool { return s.archive.ID == id }

func (s *tablesPage) keys(e env) keymap {
	s.archive = e.current(s.archive)
	k := archiveKeys(e, s.archive, true)
	for i := range k {
		if k[i].cmd == cmdTables {
			k[i].off, k[i].line = "these are the tables", false
		}
	}
	return append(k, moveKeys("line")...)
}

func (s *tablesPage) do(e env, c command) []action {
	if acts, ok := scrolled(c, &s.top, len(s.tables), s.h); ok {
		return acts
	}
	return doArchive(e, s.archive, c)
}

func (s *tablesPage) wheel(_ env, delta int) { s.top = max(min(s.top+delta, len(s.tables)-s.h), 0) }

func (s *tablesPage) view(e env) block {
	rows, bytes := int64(0), int64(0)
	for _, t := range s.tables {
		rows += t.Rows
		bytes += t.Bytes
	}
	head := fmt.Sprintf(" %s, %s, %s uncompressed", plural(int64(len(s.tables)), "table"), plural(rows, "row"), size(bytes))
	lines := []string{e.th.titled(e.w, e.th.text(s.archive.Database)+"  "+both(s.archive.Started, e.loc), e.th.text(s.archive.ID)), head}
	s.h = max(e.h-len(lines)-1, 1)
	s.top = max(min(s.top, len(s.tables)-s.h), 0)
	cols := []column{
		{title: "TABLE", min: 16, flex: true},
		{title: "ROWS", right: true},
		{title: "BYTES", right: true, drop: 2},
		{title: "SHA-256", drop: 1},
	}
	var cells [][]string
	for _, t := range s.tables[s.top:min(s.top+s.h, len(s.tables))] {
		cells = append(cells, []string{e.th.text(t.Name), count(t.Rows), size(t.Bytes), e.th.text(t.SHA256[:min(len(t.SHA256), 16)])})
	}
	widths := tableWidths(cols, cells, e.w)
	lines = append(lines, tableTitles(cols, widths))
	for _, c := range cells {
		lines = append(lines, tableRow(cols, widths, c, "  "))
	}
	return block{lines: lines[:min(len(lines), e.h)]}
}
