package tui

import (
	tea "charm.land/bubbletea/v2"

	"pgvault/vault"
)

// restoreForm asks for the name of the new database and for the identity.
// Enter leads to the plan, which changes nothing.
type restoreForm struct {
	base
	archive vault.Archive
	target  input
	file    input
	onFile  bool
	touched bool // the name was typed, so a proposal no longer replaces it
}

func newRestoreForm(a vault.Archive, files []string) *restoreForm {
	return &restoreForm{archive: a, file: newInput(pathList(files)), onFile: len(files) == 0}
}

// proposed takes the name that the desk would give.
func (d *restoreForm) proposed(name string) {
	if !d.touched && name != "" {
		d.target = newInput(name)
	}
}

func (d *restoreForm) keys(e env) keymap {
	off := e.busy()
	if off == "" && len(splitPaths(d.file.text())) == 0 {
		off = "a restore needs an identity: type the path of its file"
	}
	return keymap{
		{cmd: cmdEnter, keys: []string{"enter"}, show: "Enter", name: "show the plan", help: "check what the restore needs and show its plan; changes nothing", off: off, line: true},
		{cmd: cmdNext, keys: []string{"tab", "shift+tab", "down", "up"}, show: "Tab", name: "next field", help: "the other field", line: true},
	}
}

func (d *restoreForm) do(_ env, c command) []action {
	switch c {
	case cmdNext:
		d.onFile = !d.onFile
	case cmdEnter:
		return []action{makePlan{d.archive, d.target.text(), splitPaths(d.file.text())}}
	}
	return nil
}

func (d *restoreForm) typed(_ env, k tea.KeyPressMsg) bool {
	if d.onFile {
		return d.file.key(k)
	}
	before := d.target.text()
	ok := d.target.key(k)
	d.touched = d.touched || d.target.text() != before
	return ok
}

func (d *restoreForm) paste(_ env, s string) {
	if d.onFile {
		d.file.insert(s)
		return
	}
	d.target.insert(s)
	d.touched = true
}

func (d *restoreForm) click(_ env, _, y int) []action {
	if y == 1 || y == 2 {
		d.onFile = y == 2
	}
	return nil
}

func (d *restoreForm) view(e env) block {
	title := "restore " + e.th.text(d.archive.Database) + "  " + when(d.archive.Started, e.now, e.loc)
	target, tx := field(e, "new database", &d.target, !d.onFile)
	file, fx := field(e, "identity    ", &d.file, d.onFile)
	note := "A new database is made; nothing that exists is touched. The plan comes first."
	if len(d.target.r) == 0 {
		note = "Left empty, a name is proposed in the plan. Nothing that exists is touched."
	}
	b := block{lines: []string{e.th.titled(e.w, title, e.th.text(d.archive.ID)), target, file}, cursor: true, cx: tx, cy: 1}
	if d.onFile {
		b.cx, b.cy = fx, 2
	}
	for _, l := range wrapAt(note, max(e.w-2, 1)) {
		b.lines = append(b.lines, " "+l)
	}
	b.lines = append(b.lines, e.th.rule(e.w))
	return b
}
