package tui

import (
	"slices"
	"strings"
)

// command names one thing that can be done; keys, help and mouse lead to it.
type command string

// The commands that more than one screen knows.
const (
	cmdNone     command = ""
	cmdUp       command = "up"
	cmdDown     command = "down"
	cmdPageUp   command = "page-up"
	cmdPageDown command = "page-down"
	cmdTop      command = "top"
	cmdBottom   command = "bottom"
	cmdEnter    command = "enter"
	cmdNext     command = "next-field"
	cmdPrev     command = "previous-field"
	cmdBack     command = "back"
	cmdHelp     command = "help"
	cmdRefresh  command = "refresh"
	cmdZone     command = "zone"
	cmdMouse    command = "mouse"
	cmdRedraw   command = "redraw"
	cmdSuspend  command = "suspend"
	cmdLeave    command = "leave"
	cmdBackup   command = "backup"
	cmdVerify   command = "verify"
	cmdRestore  command = "restore"
	cmdCopyID   command = "copy-id"
	cmdCopyCmd  command = "copy-command"
)

// binding is one line of a keymap: the only place where a key exists.
type binding struct {
	cmd  command
	keys []string // as tea.KeyPressMsg.String gives them
	show string   // how the keys are written: "Enter", "g"
	name string   // a word or two for the key line
	help string   // what happens, for the help page
	off  string   // why it cannot act now; empty when it can
	line bool     // it has a place in the key line
}

// keymap is what a screen answers to, in the order of its help.
type keymap []binding

// find gives the binding of a key.
func (k keymap) find(key string) (binding, bool) {
	for _, b := range k {
		if slices.Contains(b.keys, key) {
			return b, true
		}
	}
	return binding{}, false
}

// byCommand gives the binding of a command.
func (k keymap) byCommand(c command) (binding, bool) {
	for _, b := range k {
		if b.cmd == c {
			return b, true
		}
	}
	return binding{}, false
}

// matching keeps the bindings whose line holds every word of s.
func (k keymap) matching(s string) keymap {
	var out keymap
	for _, b := range k {
		hay := strings.ToLower(b.show + " " + b.name + " " + b.help)
		hit := true
		for _, w := range strings.Fields(strings.ToLower(s)) {
			hit = hit && strings.Contains(hay, w)
		}
		if hit {
			out = append(out, b)
		}
	}
	return out
}

// named keeps the bindings whose name or command holds s, those that begin
// with it first.
func (k keymap) named(s string) keymap {
	s = strings.ToLower(strings.TrimSpace(s))
	var begin, hold keymap
	for _, b := range k {
		name, cmd := strings.ToLower(b.name), string(b.cmd)
		switch {
		case strings.HasPrefix(name, s), strings.HasPrefix(cmd, s):
			begin = append(begin, b)
		case strings.Contains(name, s), strings.Contains(cmd, s):
			hold = append(hold, b)
		}
	}
	return append(begin, hold...)
}

// hint is one clickable piece of the key line: the cells from x0 up to x1.
type hint struct {
	x0, x1 int
	cmd    command
}

// line draws the key line in w cells. The help hint is kept to the last,
// whatever else has to go; the others go from the end.
func (k keymap) line(th theme, w int) (string, []hint) {
	type piece struct{ show, name string }
	var shown []binding
	helpAt := -1
	for _, b := range k {
		if b.line {
			if b.cmd == cmdHelp {
				helpAt = len(shown)
			}
			shown = append(shown, b)
		}
	}
	width := func(bs []binding) int {
		n := 1
		for i, b := range bs {
			if i > 0 {
				n += 2
			}
			n += textWidth(b.show + " " + b.name)
		}
		return n
	}
	for width(shown) > w && len(shown) > 1 {
		last := len(shown) - 1
		if helpAt == last {
			last--
			helpAt--
		}
		shown = slices.Delete(shown, last, last+1)
	}
	var b strings.Builder
	var hints []hint
	x := 0
	if w > 20 {
		b.WriteString(" ")
		x = 1
	}
	for i, s := range shown {
		if i > 0 {
			b.WriteString("  ")
			x += 2
		}
		p := piece{s.show, s.name}
		n := textWidth(p.show + " " + p.name)
		hints = append(hints, hint{x, x + n, s.cmd})
		b.WriteString(th.bold(p.show) + " " + p.name)
		x += n
	}
	return truncate(b.String(), w, ""), hints
}

// moveKeys are the keys of every list.
func moveKeys(what string) keymap {
	return keymap{
		{cmd: cmdUp, keys: []string{"up", "k"}, show: "Up/k", name: "up", help: "one " + what + " up (also the wheel)"},
		{cmd: cmdDown, keys: []string{"down", "j"}, show: "Down/j", name: "down", help: "one " + what + " down"},
		{cmd: cmdPageUp, keys: []string{"pgup", "ctrl+b"}, show: "PgUp", name: "page up", help: "one screen up"},
		{cmd: cmdPageDown, keys: []string{"pgdown", "ctrl+f"}, show: "PgDn", name: "page down", help: "one screen down"},
		{cmd: cmdTop, keys: []string{"home", "g"}, show: "g/Home", name: "first", help: "to the first " + what},
		{cmd: cmdBottom, keys: []string{"end", "G"}, show: "G/End", name: "last", help: "to the last " + what},
	}
}

// moved gives the selection after a moving command in a list of n, with h
// lines on the screen; ok is false for any other command.
func moved(c command, sel, n, h int) (int, bool) {
	switch c {
	case cmdUp:
		sel--
	case cmdDown:
		sel++
	case cmdPageUp:
		sel -= max(h-1, 1)
	case cmdPageDown:
		sel += max(h-1, 1)
	case cmdTop:
		sel = 0
	case cmdBottom:
		sel = n - 1
	default:
		return sel, false
	}
	return max(min(sel, n-1), 0), true
}

// scrolled moves the top line of a page of lines lines, of which h are on
// the screen; ok is false for a command that does not move.
func scrolled(c command, top *int, lines, h int) (acts []action, ok bool) {
	n, ok := moved(c, *top, max(lines-h+1, 1), h)
	if ok && n == *top {
		return []action{say("no more lines there")}, true
	}
	*top = n
	return nil, ok
}
