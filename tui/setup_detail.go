package tui

import (
	"strings"

	"pgvault/fault"
	"pgvault/setup"
)

// checkColor draws a state, or a text that begins with one.
func checkColor(th theme, s string) string {
	switch {
	case strings.HasPrefix(s, "ok"):
		return th.good(s)
	case strings.HasPrefix(s, "!"):
		return th.warn(s)
	case strings.HasPrefix(s, "x"):
		return th.bad(s)
	}
	return s
}

// setupLines are the lines of a section, each remedy below its line.
func setupLines(e env, sec setup.Section) []string {
	var out []string
	for _, c := range sec.Lines {
		for i, l := range wrapAt(e.th.text(c.Text), max(e.w-6, 8)) {
			state := ""
			if i == 0 {
				state = c.State
			}
			out = append(out, " "+checkColor(e.th, padRight(state, 2))+"  "+l)
		}
		if c.State == "ok" || c.Do == "" {
			continue
		}
		for i, l := range wrapAt(e.th.text(c.Do), max(e.w-10, 8)) {
			mark := "  "
			if i == 0 {
				mark = "> "
			}
			out = append(out, "     "+mark+l)
		}
	}
	return out
}

// errorLines are the four lines of any error.
func errorLines(e env, err error) []string { return faultLines(e, fault.As(err), e.w) }

// setupDetail is everything about one section, on a page of its own.
type setupDetail struct {
	base
	section setup.Section
	top     int
	lines   int
	h       int
}

func (s *setupDetail) keys(e env) keymap {
	k := keymap{{cmd: cmdEdit, keys: []string{"enter", "e"}, show: "Enter", name: "edit", help: "open the configuration where this is said", off: e.busy(), line: true}}
	return append(k, moveKeys("line")...)
}

func (s *setupDetail) do(_ env, c command) []action {
	if acts, ok := scrolled(c, &s.top, s.lines, s.h); ok {
		return acts
	}
	if c == cmdEdit {
		return []action{closeTop{}, editConfig{s.section.Table}}
	}
	return nil
}

func (s *setupDetail) wheel(_ env, delta int) {
	s.top = max(min(s.top+delta, s.lines-s.h), 0)
}

func (s *setupDetail) view(e env) block {
	lines := []string{e.th.titled(e.w, s.section.Name, s.section.Word)}
	for _, l := range indented(e.th.text(s.section.Now), e.w) {
		lines = append(lines, e.th.bold(l))
	}
	lines = append(append(lines, ""), setupLines(e, s.section)...)
	s.lines, s.h = len(lines), max(e.h, 1)
	s.top = max(min(s.top, s.lines-s.h), 0)
	return block{lines: lines[s.top:min(s.top+s.h, len(lines))]}
}
