package tui

import (
	"fmt"

	tea "charm.land/bubbletea/v2"
)

// help lists the keymap of what is below it: the very bindings that work
// there. Typing searches, Enter runs the line.
type help struct {
	names bool // the palette of commands: found by name alone
	all   keymap
	find  input
	shown keymap
	sel   int
	top   int
	h     int
}

func newHelp(k keymap) *help { return &help{all: k, shown: k, h: 1} }

// newPalette lists the same lines as commands, found by their names.
func newPalette(k keymap) *help {
	return &help{names: true, all: k.named(""), shown: k.named(""), h: 1}
}

func (d *help) keys(env) keymap {
	none := ""
	if len(d.shown) == 0 {
		none = "no line is left"
	}
	return keymap{
		{cmd: cmdEnter, keys: []string{"enter"}, show: "Enter", name: "run the line", help: "close the help and do this", off: none, line: true},
		{cmd: cmdUp, keys: []string{"up"}, show: "Up", name: "up", help: "one line up"},
		{cmd: cmdDown, keys: []string{"down"}, show: "Down", name: "down", help: "one line down"},
		{cmd: cmdPageUp, keys: []string{"pgup"}, show: "PgUp", name: "page up", help: "one screen up"},
		{cmd: cmdPageDown, keys: []string{"pgdown"}, show: "PgDn", name: "page down", help: "one screen down"},
	}
}

func (d *help) do(_ env, c command) []action {
	if n, ok := moved(c, d.sel, len(d.shown), d.h); ok {
		d.sel = n
		return nil
	}
	if c == cmdEnter && d.sel < len(d.shown) {
		return []action{runCommand{d.shown[d.sel].cmd}}
	}
	return nil
}

func (d *help) typed(_ env, k tea.KeyPressMsg) bool {
	if k.String() == "home" || k.String() == "end" || !d.find.key(k) {
		return false
	}
	d.search()
	return true
}

func (d *help) paste(_ env, s string) {
	d.find.insert(s)
	d.search()
}

func (d *help) search() {
	d.shown, d.sel = d.all.matching(d.find.text()), 0
	if d.names {
		d.shown = d.all.named(d.find.text())
	}
}

func (d *help) click(_ env, _, y int) []action {
	if i := d.top + y - 1; y >= 1 && y <= d.h && i < len(d.shown) {
		d.sel = i
	}
	return nil
}

func (d *help) wheel(_ env, delta int) { d.sel = max(min(d.sel+delta, len(d.shown)-1), 0) }

func (d *help) view(e env) block {
	right := "type to search, Esc closes"
	if d.find.text() != "" {
		right = fmt.Sprintf("%d of %d lines", len(d.shown), len(d.all))
	}
	d.h = max(e.h-1, 1)
	d.top = window(d.top, d.sel, len(d.shown), d.h)
	text, cx := d.find.view(e.th, max(min(e.w-40, 24), 4))
	label := "Keys here  "
	if d.names {
		label = ": "
	}
	b := block{lines: []string{spread(" "+e.th.bold(label)+text, right, e.w-1)}, cursor: true, cx: 1 + len(label) + cx}
	nameW := 0
	for _, k := range d.all {
		nameW = max(nameW, len(k.name))
	}
	for i := d.top; i < min(d.top+d.h, len(d.shown)); i++ {
		b.lines = append(b.lines, d.lineOf(e, d.shown[i], nameW, i == d.sel))
	}
	if len(d.shown) == 0 {
		b.lines = append(b.lines, " no key does that here")
	}
	b.lines = fill(b.lines, e.h)
	return b
}

// lineOf is one key: what it is called, the key, what it does, and why it
// cannot act now.
func (d *help) lineOf(e env, k binding, nameW int, selected bool) string {
	s := padRight(k.name, nameW) + "  " + padRight(k.show, 6) + "  " + k.help
	if e.w < 60 {
		s = padRight(k.show, 6) + "  " + k.name + ": " + k.help
	}
	if k.off != "" {
		s += "  --  off: " + k.off
	}
	if selected {
		return e.th.bold(" > " + cutEnd(s, e.w-3))
	}
	return "   " + cutEnd(s, e.w-3)
}
