package tui

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"
)

// Commands of a filter line.
const (
	cmdFilter     command = "filter"
	cmdFilterDone command = "filter-done"
)

// filterBox is the filter line of a page: words that a row must hold, "!"
// before one for those it must not hold.
type filterBox struct {
	editing bool
	in      input
}

// isEditing and canBack make a page with a filterBox a filtered one.
func (f *filterBox) isEditing() bool { return f.editing }
func (f *filterBox) canBack() bool   { return f.editing || len(f.in.r) > 0 }

// shown tells whether the line must be drawn even where room is short.
func (f *filterBox) active() bool { return f.canBack() }

// typed takes a key while the line is edited.
func (f *filterBox) typed(_ env, k tea.KeyPressMsg) bool { return f.editing && f.in.key(k) }

func (f *filterBox) paste(_ env, s string) {
	if f.editing {
		f.in.insert(s)
	}
}

// do takes the commands of the line; ok is false for others.
func (f *filterBox) do(c command, all int) (acts []action, ok bool) {
	switch c {
	case cmdFilter:
		f.editing = true
	case cmdFilterDone:
		f.editing = false
	case cmdBack:
		if !f.canBack() {
			return nil, false
		}
		f.editing, f.in = false, input{}
		return []action{say(fmt.Sprintf("all %d shown", all))}, true
	default:
		return nil, false
	}
	return nil, true
}

// editKeys are the keys while the line is edited.
func editKeys(what string) keymap {
	return keymap{
		{cmd: cmdFilterDone, keys: []string{"enter"}, show: "Enter", name: "keep", help: "keep the filter and go to the list", line: true},
		{cmd: cmdUp, keys: []string{"up"}, show: "Up", name: "up", help: "one " + what + " up"},
		{cmd: cmdDown, keys: []string{"down"}, show: "Down", name: "down", help: "one " + what + " down"},
	}
}

func filterKey(words string) binding {
	return binding{cmd: cmdFilter, keys: []string{"/"}, show: "/", name: "filter", help: words, line: true}
}

// match tells whether a row with these cells holds the words.
func (f *filterBox) match(cells ...string) bool {
	hay := strings.ToLower(strings.Join(cells, " "))
	for _, w := range strings.Fields(strings.ToLower(f.in.text())) {
		word, not := strings.CutPrefix(w, "!")
		if word != "" && strings.Contains(hay, word) == not {
			return false
		}
	}
	return true
}

// line draws the filter with a text at its right.
func (f *filterBox) line(e env, idle, right string) block {
	if e.w < 50 {
		right, _, _ = strings.Cut(right, ",")
	}
	room := max(e.w-textWidth(right)-5, 8)
	if !f.active() {
		return block{lines: []string{spread(idle, right, e.w-1)}}
	}
	text, cx := f.in.view(e.th, room)
	return block{lines: []string{spread(" "+e.th.bold("/")+" "+text, right, e.w-1)}, cursor: f.editing, cx: 3 + cx}
}

// nothing says that no row matches.
func (f *filterBox) nothing(e env, all int) []string {
	return wrapAt(fmt.Sprintf(" nothing matches %q. Esc shows all %d.", e.th.text(f.in.text()), all), e.w)
}
