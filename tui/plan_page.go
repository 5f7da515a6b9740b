package tui

import (
	"fmt"
	"strings"

	"pgvault/vault"
)

// planPage shows what a restore will do. Nothing is changed before Enter.
type planPage struct {
	base
	plan  *vault.RestorePlan
	files []string
	top   int
	lines int
	h     int
}

// cmdTarget goes back to the form, to choose another name.
const cmdTarget command = "target"

func newPlanPage(p *vault.RestorePlan, files []string) *planPage {
	return &planPage{plan: p, files: files}
}

func (s *planPage) keys(e env) keymap {
	off := e.busy()
	if off == "" && s.plan.Refused() {
		off = "refused: " + e.th.text(s.refusal())
	}
	k := keymap{
		{cmd: cmdEnter, keys: []string{"enter"}, show: "Enter", name: "start", help: "start the restore, exactly as planned", off: off, line: true},
		{cmd: cmdTarget, keys: []string{"e"}, show: "e", name: "edit target", help: "another name, or another identity; plans anew", line: true},
		{cmd: cmdCopyCmd, keys: []string{"Y"}, show: "Y", name: "copy command", help: "copy the command that does the same", line: true},
		{cmd: cmdCopyID, keys: []string{"y"}, show: "y", name: "copy id", help: "copy the archive's id"},
	}
	return append(k, moveKeys("line")...)
}

// refusal is the first check that forbids the restore.
func (s *planPage) refusal() string {
	for _, c := range s.plan.Checks {
		if c.State == "x" {
			return c.Text
		}
	}
	return ""
}

func (s *planPage) do(e env, c command) []action {
	if acts, ok := scrolled(c, &s.top, s.lines, s.h); ok {
		return acts
	}
	switch c {
	case cmdEnter:
		return []action{runRestore{s.plan}}
	case cmdTarget:
		f := newRestoreForm(s.plan.Archive, s.files)
		f.target, f.touched, f.onFile = newInput(s.plan.Target), true, false
		return []action{openDialog{f}}
	case cmdCopyCmd:
		return []action{copyText{s.plan.Same, s.plan.Same}}
	case cmdCopyID:
		return []action{copyText{s.plan.Archive.ID, s.plan.Archive.ID}}
	}
	return nil
}

func (s *planPage) wheel(_ env, delta int) { s.top = max(min(s.top+delta, s.lines-s.h), 0) }

func (s *planPage) view(e env) block {
	lines := s.content(e)
	s.lines, s.h = len(lines), e.h
	s.top = max(min(s.top, s.lines-s.h), 0)
	lines = lines[s.top:min(s.top+e.h, len(lines))]
	return block{lines: lines}
}

func (s *planPage) content(e env) []string {
	p, t := s.plan, e.th.text
	a := p.Archive
	out := []string{" " + e.th.bold("RESTORE PLAN") + "   nothing is changed before Enter", ""}
	add := func(label, text string) { out = append(out, labelled(label, text, 6, e.w)...) }
	add("from", fmt.Sprintf("%s %s (%s), %s, %s", t(a.Database), when(a.Started, e.now, e.loc),
		ago(e.now.Sub(a.Started)), plural(int64(a.Tables), "table"), plural(a.Rows, "row")))
	if p.Empty {
		add("to", t(p.Target)+", which exists and is empty")
	} else {
		add("to", "NEW database "+t(p.Target)+" (nothing existing is touched)")
	}
	if len(p.Tables) > 0 {
		add("only", t(strings.Join(p.Tables, ", ")))
	}
	for i, l := range p.Left {
		add(firstOnly(i, "without"), t(l))
	}
	out = append(out, "")
	for i, c := range p.Checks {
		out = append(out, checkLines(e, firstOnly(i, "checks"), c)...)
	}
	out = append(out, "")
	for i, st := range p.Steps {
		add(firstOnly(i, "steps"), fmt.Sprintf("%d  %s", i+1, t(st)))
	}
	out = append(out, "")
	add("same as", t(p.Same))
	return out
}

func firstOnly(i int, label string) string {
	if i > 0 {
		return ""
	}
	return label
}

// checkLines are one check with its remedy.
func checkLines(e env, label string, c vault.Check) []string {
	text := e.th.text(c.Text)
	if c.Do != "" {
		text += "  > " + e.th.text(c.Do)
	}
	lines := labelled(label, text, 10, e.w)
	word := padRight(c.State, 2)
	if len(lines) == 0 || len(lines[0]) < 11 {
		return lines
	}
	if strings.HasPrefix(lines[0], " "+padRight(label, 10)) {
		paint := map[string]func(string) string{"ok": e.th.good, "!": e.th.warn, "x": e.th.bad}[c.State]
		if paint == nil {
			paint = e.th.text
		}
		lines[0] = " " + padRight(label, 7) + " " + paint(word) + lines[0][11:]
	}
	return lines
}
