package tui

import (
	tea "charm.land/bubbletea/v2"
)

// passphrase asks for what the engine waits for. Only stars are shown; Esc
// tells the engine that nobody will answer.
type passphrase struct {
	base
	q  *question
	in input
}

// cmdReveal shows what was typed, for someone who is alone.
const cmdReveal command = "reveal"

func newPassphrase(q *question) *passphrase {
	return &passphrase{q: q, in: input{hidden: true}}
}

func (d *passphrase) keys(env) keymap {
	return keymap{
		{cmd: cmdEnter, keys: []string{"enter"}, show: "Enter", name: "go on", help: "give this passphrase to the run", line: true},
		{cmd: cmdReveal, keys: []string{"ctrl+r"}, show: "^R", name: "show", help: "show what was typed, or stars again", line: true},
	}
}

func (d *passphrase) do(_ env, c command) []action {
	switch c {
	case cmdReveal:
		d.in.hidden = !d.in.hidden
	case cmdEnter:
		text := d.in.text()
		d.in.wipe()
		return []action{answer{d.q, text, nil}}
	case cmdBack:
		d.in.wipe()
		return []action{answer{d.q, "", errNoPassphrase}}
	}
	return nil
}

func (d *passphrase) takesText() bool { return true }

func (d *passphrase) typed(_ env, k tea.KeyPressMsg) bool { return d.in.key(k) }
func (d *passphrase) paste(_ env, s string)               { d.in.insert(s) }

func (d *passphrase) view(e env) block {
	line, cx := field(e, "passphrase", &d.in, true)
	b := block{lines: []string{e.th.titled(e.w, "a passphrase is needed", "")}, cursor: true, cx: cx}
	for _, l := range wrapAt(e.th.text(d.q.prompt), max(e.w-2, 1)) {
		b.lines = append(b.lines, " "+l)
	}
	b.cy = len(b.lines)
	b.lines = append(b.lines, line, " It is kept in memory for this run only.", e.th.rule(e.w))
	return b
}
