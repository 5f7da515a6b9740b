package tui

import (
	"time"

	"pgvault/setup"
)

// setupPage is place 4: how the vault is set up, a row a section with today's
// truth in it, and more of the selected row below.
type setupPage struct {
	base
	file   string // the configuration; empty where there is none
	over   *setup.Overview
	err    error // the newest look failed
	asking bool  // a look is under way
	sel    int
	top    int
	h      int // lines of the list as last drawn
	listAt int // first line of it
}

// Commands of the Setup page.
const (
	cmdEdit    command = "edit"
	cmdDetails command = "details"
	cmdTest    command = "test"
)

// Actions of the Setup page.
type (
	lookOver   struct{}               // find out what the configuration means now
	editConfig struct{ table string } // open the editor where table begins
)

func newSetupPage() *setupPage { return &setupPage{h: 1} }

// take brings in what a look found. A failed one leaves the old rows.
func (s *setupPage) take(m overviewMsg) {
	s.asking, s.err = false, m.err
	if m.err == nil {
		s.over, s.file = m.over, m.over.File
		s.sel = max(min(s.sel, len(s.over.Sections)-1), 0)
	}
}

func (s *setupPage) section() (setup.Section, bool) {
	if s.over == nil || s.sel >= len(s.over.Sections) {
		return setup.Section{}, false
	}
	return s.over.Sections[s.sel], true
}

func (s *setupPage) keys(e env) keymap {
	edit := e.busy()
	if edit == "" && s.file == "" {
		edit = "there is no configuration file: the environment alone counts; pgvault init makes one"
	}
	none, asking := "", ""
	if _, there := s.section(); !there {
		none = "nothing is known yet"
	}
	if s.asking {
		asking = "it is being looked at already"
	}
	sec, _ := s.section()
	k := keymap{
		{cmd: cmdEdit, keys: []string{"enter", "e"}, show: "Enter", name: "edit", help: "open the configuration in $VISUAL, $EDITOR or vi; a diff is shown before anything is saved (also e)", off: edit, line: true},
		{cmd: cmdDetails, keys: []string{"d"}, show: "d", name: "details", help: "all that is known of this row", off: none, line: true},
		{cmd: cmdTest, keys: []string{"T"}, show: "T", name: "test all", help: "ask server and places again, read the keys again", off: asking, line: true},
		retentionKey(e, sec.Name == "Keep"),
		{cmd: cmdCopyCmd, keys: []string{"Y"}, show: "Y", name: "copy command", help: "copy the command that checks the same: pgvault config check"},
	}
	return append(k, moveKeys("section")...)
}

func (s *setupPage) do(e env, c command) []action {
	n := 0
	if s.over != nil {
		n = len(s.over.Sections)
	}
	if sel, ok := moved(c, s.sel, n, s.h); ok {
		if sel == s.sel {
			return []action{say("no more sections there")}
		}
		s.sel = sel
		return nil
	}
	switch c {
	case cmdEdit:
		sec, _ := s.section()
		return []action{editConfig{sec.Table}}
	case cmdDetails:
		if sec, there := s.section(); there {
			return []action{openPage{&setupDetail{section: sec}}}
		}
	case cmdRetention:
		return []action{openRetention{}}
	case cmdTest:
		return []action{lookOver{}}
	case cmdCopyCmd:
		text := e.command("pgvault config check")
		return []action{copyText{text, text}}
	}
	return nil
}

func (s *setupPage) click(_ env, _, y int) []action {
	if i := s.top + y - s.listAt; y >= s.listAt && y < s.listAt+s.h && s.over != nil && i < len(s.over.Sections) {
		s.sel = i
	}
	return nil
}

func (s *setupPage) wheel(_ env, delta int) {
	if s.over != nil {
		s.sel = max(min(s.sel+delta, len(s.over.Sections)-1), 0)
	}
}

func (s *setupPage) view(e env) block {
	if s.over == nil {
		return s.empty(e)
	}
	var cells [][]string
	for _, sec := range s.over.Sections {
		cells = append(cells, []string{sec.Name, e.th.text(sec.Now), sec.Word})
	}
	cols := []column{
		{title: "SECTION"}, {title: "NOW", min: 10, flex: true},
		{title: "STATE", style: func(w string) string { return checkColor(e.th, w) }},
	}
	widths := tableWidths(cols, cells, e.w)
	widths[1] += max(e.w-need(widths), 0) // the state stands at the right
	cols[1].flex = false                  // what is cut is the end: the facts come first
	s.listAt = 1
	s.h = max(min(len(cells), e.h-1), 1)
	s.top = window(s.top, s.sel, len(cells), s.h)
	lines := []string{tableTitles(cols, widths)}
	for i := s.top; i < s.top+s.h && i < len(cells); i++ {
		marker := "  "
		if i == s.sel {
			marker = e.th.bold(" >")
		}
		lines = append(lines, tableRow(cols, widths, cells[i], marker))
	}
	return block{lines: s.below(e, lines)}
}

// below adds what there is to say of the selected row, where there is room,
// and the standing words about the file.
func (s *setupPage) below(e env, lines []string) []string {
	foot := s.foot(e)
	room := e.h - len(lines) - 2
	sec, there := s.section()
	if room < 3 || !there {
		return lines
	}
	if room-len(foot) >= 4 {
		room -= len(foot) + 1
	} else {
		foot = nil
	}
	detail := setupLines(e, sec)
	if len(detail) > room {
		left := len(detail) - room + 1
		detail = append(detail[:room-1:room-1], "   "+plural(int64(left), "more line")+": d shows all")
	}
	lines = append(lines, "", e.th.titled(e.w, sec.Name, s.seen(e)))
	lines = append(lines, detail...)
	if foot == nil {
		return lines
	}
	for len(lines) < e.h-len(foot) {
		lines = append(lines, "")
	}
	return append(lines, foot...)
}

// seen says how old the knowledge is.
func (s *setupPage) seen(e env) string {
	switch {
	case s.asking:
		return "looking again"
	case s.err != nil:
		return "the newest look failed"
	}
	return "looked at " + s.over.At.In(e.loc).Format(time.TimeOnly)
}

func (s *setupPage) foot(e env) []string {
	if s.err != nil {
		return []string{e.th.bad(cutEnd(" x "+e.th.text(s.err.Error()), e.w))}
	}
	file := s.file
	if file == "" {
		return indented("There is no configuration file: the environment alone counts.", e.w)
	}
	return indented("The file and this page are one thing: a change is shown as a diff of "+e.th.text(file)+" first; your comments in it stay.", e.w)
}

// indented wraps text with a space before each line.
func indented(text string, w int) []string {
	lines := wrapAt(text, max(w-1, 1))
	for i, l := range lines {
		lines[i] = " " + l
	}
	return lines
}

// empty is the page before the first look has ended, or when it failed.
func (s *setupPage) empty(e env) block {
	if s.err != nil {
		lines := []string{"", e.th.bad(" x the configuration cannot be shown")}
		return block{lines: append(lines, errorLines(e, s.err)...)}
	}
	return block{lines: []string{"", " asking the server and the places, reading the keys"}}
}
