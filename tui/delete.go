package tui

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"pgvault/vault"
)

// deleteDialog asks for the id of the archive that is to go. The focus is on
// keeping it until the id has been typed in full.
type deleteDialog struct {
	base
	plan  *vault.DeletePlan
	in    input
	onAct bool
}

func newDeleteDialog(p *vault.DeletePlan) *deleteDialog { return &deleteDialog{plan: p} }

// matches tells whether the id was typed.
func (d *deleteDialog) matches() bool { return strings.TrimSpace(d.in.text()) == d.plan.Archive.ID }

func (d *deleteDialog) keys(env) keymap {
	off := ""
	if !d.matches() {
		off = "Delete is off until the id above is typed"
	}
	return keymap{
		{cmd: cmdEnter, keys: []string{"enter"}, show: "Enter", name: "choose", help: "take the answer in brackets", line: true},
		{cmd: cmdNext, keys: []string{"tab", "down"}, show: "Tab", name: "to Delete", help: "move the brackets to Delete", off: off, line: true},
		{cmd: cmdPrev, keys: []string{"shift+tab", "up"}, show: "Up", name: "to Keep it", help: "move the brackets to Keep it"},
	}
}

func (d *deleteDialog) do(_ env, c command) []action {
	switch c {
	case cmdNext:
		d.onAct = true
		return []action{say("Enter deletes it for good")}
	case cmdPrev:
		d.onAct = false
		return []action{say("Enter keeps it")}
	case cmdEnter:
		if d.onAct && d.matches() {
			return []action{closeTop{}, deleteArchive{d.plan}}
		}
		return []action{closeTop{}, say("kept")}
	}
	return nil
}

func (d *deleteDialog) takesText() bool { return true }

// typed moves the brackets with the text: the whole id means Delete.
func (d *deleteDialog) typed(_ env, k tea.KeyPressMsg) bool {
	if !d.in.key(k) {
		return false
	}
	d.onAct = d.matches()
	return true
}

func (d *deleteDialog) paste(_ env, s string) {
	d.in.insert(s)
	d.onAct = d.matches()
}

func (d *deleteDialog) view(e env) block {
	a := d.plan.Archive
	b := block{lines: []string{e.th.titled(e.w, "delete 1 archive for good", "")}, cursor: true}
	text := []string{fmt.Sprintf("%s %s (%s), %s in %s.", e.th.text(a.Database), when(a.Started, e.now, e.loc), ago(e.now.Sub(a.Started)), size(d.plan.Bytes), plural(int64(len(d.plan.Files)), "file"))}
	for _, n := range d.plan.Notes {
		text = append(text, e.th.text(n))
	}
	for _, t := range text {
		for _, l := range wrapAt(t, max(e.w-3, 1)) {
			b.lines = append(b.lines, "  "+l)
		}
	}
	b.lines = append(b.lines, "", "  type  "+e.th.bold(e.th.text(a.ID))+"  to delete it:")
	line, cx := field(e, " id", &d.in, true)
	keep, act := e.th.inverse("[ Keep it ]"), "  Delete (off until the id is typed)"
	switch {
	case d.onAct:
		keep, act = "  Keep it  ", e.th.inverse("[ Delete ]")
	case d.matches():
		act = "  Delete  "
	}
	last := []string{line, "  " + keep + " " + act, e.th.rule(e.w)}
	if e.w < 52 {
		last = []string{line, "  " + keep, "  " + act}
	}
	if room := e.h - len(last); len(b.lines) > room {
		b.lines = b.lines[:max(room, 0)]
	}
	b.cx, b.cy = cx, len(b.lines)
	b.lines = append(b.lines, last...)
	return b
}
