package tui

import (
	"pgvault/vault"
)

// jobPage shows a run while it goes on, and its report afterwards.
type jobPage struct {
	base
	j       *job
	onlyDif bool // of the comparison only what differs
	showLog bool
	top     int
	lines   int // of the scrolled part, as last drawn
	h       int
}

// Commands of a run's page.
const (
	cmdCancel   command = "cancel"
	cmdOnlyDif  command = "differences"
	cmdAllLines command = "all-lines"

	cmdCopyArchive command = "copy-archive-id"
)

func newJobPage(j *job) *jobPage { return &jobPage{j: j} }

func (s *jobPage) keys(e env) keymap {
	over, noCmp, noID, noCmd := "", "", "", ""
	switch {
	case s.j.done != nil:
		over = "the job has ended; there is nothing to cancel"
	case e.busy() != "":
		over = e.busy()
	case s.j.cancelling:
		over = "it is being cancelled already"
	}
	if s.j.done == nil || len(s.j.compared) == 0 {
		noCmp = "no comparison: it comes with the report of a verify or restore"
	}
	if s.j.id == "" {
		noID = "the archive has no id yet"
	}
	noJob := ""
	if s.j.ref == "" {
		noJob = "the job has no id yet"
	}
	if s.j.same == "" {
		noCmd = "no command is known for this run"
	}
	log := "show the log"
	if s.showLog {
		log = "show the tables"
	}
	k := keymap{
		{cmd: cmdCancel, keys: []string{"x"}, show: "x", name: "cancel...", help: "asks first; the focus is on keeping it running", off: over, line: over == ""},
		{cmd: cmdOnlyDif, keys: []string{"d"}, show: "d", name: "only differences", help: "only what differs, or all again", off: noCmp, line: noCmp == ""},
		{cmd: cmdAllLines, keys: []string{"a"}, show: "a", name: "all", help: "every table of the comparison", off: noCmp, line: noCmp == ""},
		{cmd: cmdLog, keys: []string{"l"}, show: "l", name: "log", help: log, line: true},
		{cmd: cmdCopyID, keys: []string{"y"}, show: "y", name: "copy job id", help: "copy the job's id", off: noJob, line: e.w >= 70},
		{cmd: cmdCopyArchive, keys: []string{"i"}, show: "i", name: "copy archive id", help: "copy the id of the archive that is made or read", off: noID},
		{cmd: cmdCopyCmd, keys: []string{"Y"}, show: "Y", name: "copy command", help: "copy the command that does the same", off: noCmd, line: e.w >= 100},
	}
	switch {
	case s.j.kind == vault.KindRestore:
		off := s.j.switchOff(e.th)
		k = append(keymap{{cmd: cmdSwitch, keys: []string{"s"}, show: "s", name: "switch...", help: "put the restored database in the live one's place; shows a plan first", off: off, line: off == ""}}, k...)
	case s.j.kind == vault.KindSwitch:
		off := ""
		if s.j.done == nil {
			off = "it goes on: x cancels it"
		}
		k = append(keymap{undoKey(off, s.j.undoable())}, k...)
	}
	return append(k, moveKeys("line")...)
}

func (s *jobPage) do(e env, c command) []action {
	if acts, ok := scrolled(c, &s.top, s.lines, s.h); ok {
		return acts
	}
	switch c {
	case cmdSwitch:
		return s.j.openOffer()
	case cmdUndo:
		return []action{openSwitch{switchWant{database: s.j.database, mode: modeUndo}}}
	case cmdCancel:
		return []action{openDialog{cancelDialog(s.j.asJob(), e.th)}}
	case cmdOnlyDif:
		s.onlyDif, s.showLog, s.top = !s.onlyDif, false, 0
		if s.onlyDif && len(s.j.comparisons(true)) == 0 {
			return []action{say("nothing differs")}
		}
	case cmdAllLines:
		s.onlyDif, s.showLog, s.top = false, false, 0
		return []action{say("all lines of the comparison, differences first")}
	case cmdLog:
		s.showLog, s.top = !s.showLog, 0
	case cmdCopyID:
		return []action{copyText{s.j.ref, s.j.ref}}
	case cmdCopyArchive:
		return []action{copyText{s.j.id, s.j.id}}
	case cmdCopyCmd:
		t := e.command(s.j.same)
		return []action{copyText{t, t}}
	}
	return nil
}

func (s *jobPage) wheel(_ env, delta int) {
	s.top = max(min(s.top+delta, s.lines-s.h), 0)
}

// view draws what stands still (the run, its phases, its bar or report), then
// the scrolled part: tables, comparison or log.
func (s *jobPage) view(e env) block {
	head := s.head(e)
	if len(head) > e.h-3 && s.j.done == nil {
		head = s.small(e)
	}
	titles, rows := s.body(e)
	tail := s.tail(e, e.h-len(head))
	if s.j.done != nil && len(head)+len(titles)+len(rows)+len(tail) > e.h {
		tail = nil
	}
	rest := max(e.h-len(head)-len(tail), 0)
	s.lines, s.h = len(rows), max(rest-len(titles), 1)
	s.top = max(min(s.top, s.lines-s.h), 0)
	lines := append(head, titles...)
	lines = append(lines, rows[s.top:min(s.top+s.h, len(rows))]...)
	lines = fill(lines, max(e.h-len(tail), min(len(lines), e.h)))
	return block{lines: append(lines, tail...)}
}

// body is the scrolled part with its line of titles.
func (s *jobPage) body(e env) (titles, rows []string) {
	switch {
	case s.showLog:
		return []string{e.th.titled(e.w, "log", "")}, logLines(e, s.j.log)
	case s.j.done != nil && len(s.j.compared) > 0:
		return comparisonTable(e, s.j.comparisons(s.onlyDif), foundTitle(s.j))
	}
	return tableList(e, s.j)
}

func foundTitle(j *job) string {
	if j.kind == vault.KindRestore || j.done.Proof == vault.ProofRestored {
		return "RESTORED"
	}
	return "FOUND"
}

// tail is the newest of the log, where there is room to spare.
func (s *jobPage) tail(e env, room int) []string {
	if s.showLog || room < 9 || len(s.j.log) == 0 {
		return nil
	}
	n := min(3, len(s.j.log))
	return append([]string{""}, logLines(e, s.j.log[len(s.j.log)-n:])...)
}
