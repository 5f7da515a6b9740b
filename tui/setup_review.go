package tui

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"pgvault/config"
	"pgvault/setup"
)

// Actions of a review.
type (
	editAgain  struct{ edit *setup.Edit } // the same copy once more
	editFresh  struct{ edit *setup.Edit } // a new copy of the file as it is now
	dropEdit   struct{ edit *setup.Edit }
	leaveEdit  struct{ edit *setup.Edit } // nothing is saved, the copy stays
	saveConfig struct {
		edit   *setup.Edit
		review *setup.Review
		typed  string
	}
)

// review shows what an edited configuration means and asks what to do with
// it. The focus is on the answer that changes nothing; what gives archives up
// asks for their number as well.
type review struct {
	edit    *setup.Edit
	r       *setup.Review
	answers []reviewAnswer
	sel     int  // the answer in brackets
	onField bool // the number has the focus
	number  input
	top     int
	lines   int
	h       int
	foot    int // first line of the answers, as last drawn
}

type reviewAnswer struct {
	label string
	act   action
}

func newReview(e *setup.Edit, r *setup.Review) *review {
	d := &review{edit: e, r: r, h: 1}
	switch {
	case r.Invalid != nil:
		d.answers = []reviewAnswer{{"Edit again", editAgain{e}}, {"Discard", dropEdit{e}}}
	case len(r.Meanwhile) > 0:
		d.answers = []reviewAnswer{{"Keep the file", leaveEdit{e}}, {"Edit the file as it is now", editFresh{e}}}
	default:
		d.answers = []reviewAnswer{{"Keep the old file", dropEdit{e}}, {"Save it", saveConfig{edit: e, review: r}}, {"Edit again", editAgain{e}}}
	}
	return d
}

// needs is the number to type for the answer in brackets; empty: none.
func (d *review) needs() string {
	if _, saves := d.answers[d.sel].act.(saveConfig); saves {
		return d.r.Needs()
	}
	return ""
}

func (d *review) keys(env) keymap {
	off := ""
	if n := d.needs(); n != "" && strings.TrimSpace(d.number.text()) != n {
		off = "type " + n + ", the number of archives that the new rules give up; Tab goes to the field"
	}
	k := keymap{
		{cmd: cmdEnter, keys: []string{"enter"}, show: "Enter", name: "choose", help: "take the answer in brackets", off: off, line: true},
		{cmd: cmdNext, keys: []string{"tab", "right"}, show: "Tab", name: "other answer", help: "move the brackets", line: true},
		{cmd: cmdPrev, keys: []string{"shift+tab", "left"}, show: "Shift-Tab", name: "back", help: "move the brackets back"},
		{cmd: cmdUp, keys: []string{"up"}, show: "Up", name: "scroll", help: "one line up", line: true},
		{cmd: cmdDown, keys: []string{"down"}, show: "Down", name: "scroll", help: "one line down"},
		{cmd: cmdPageUp, keys: []string{"pgup"}, show: "PgUp", name: "page up", help: "one screen up"},
		{cmd: cmdPageDown, keys: []string{"pgdown"}, show: "PgDn", name: "page down", help: "one screen down"},
	}
	return k
}

func (d *review) do(_ env, c command) []action {
	if acts, ok := scrolled(c, &d.top, d.lines, d.h); ok {
		return acts
	}
	switch c {
	case cmdNext:
		d.next(1)
	case cmdPrev:
		d.next(-1)
	case cmdBack:
		return []action{closeTop{}, leaveEdit{d.edit}}
	case cmdEnter:
		act := d.answers[d.sel].act
		if s, saves := act.(saveConfig); saves {
			s.typed = d.number.text()
			act = s
		}
		return []action{closeTop{}, act}
	}
	return nil
}

// next moves the focus; beside an answer that needs a number lies its field.
func (d *review) next(step int) {
	if !d.onField && d.needs() != "" && step > 0 {
		d.onField = true
		return
	}
	d.onField = false
	d.sel = (d.sel + step + len(d.answers)) % len(d.answers)
}

func (d *review) takesText() bool { return d.onField }

func (d *review) typed(_ env, k tea.KeyPressMsg) bool {
	if !d.onField || k.String() == "left" || k.String() == "right" {
		return false
	}
	return d.number.key(k)
}

func (d *review) paste(_ env, s string) {
	if d.onField {
		d.number.insert(s)
	}
}

// click moves the brackets only: an answer needs Enter too.
func (d *review) click(_ env, x, y int) []action {
	if y != d.foot {
		return nil
	}
	at := 2
	for i, a := range d.answers {
		if n := len(a.label) + 4; x >= at && x < at+n {
			d.sel, d.onField = i, false
		}
		at += len(a.label) + 5
	}
	return nil
}

func (d *review) wheel(_ env, delta int) { d.top = max(min(d.top+delta, d.lines-d.h), 0) }

func (d *review) view(e env) block {
	title, head, body := d.content(e)
	foot := d.bar(e)
	lines := []string{e.th.titled(e.w, title, "")}
	if e.h-len(lines)-len(foot) > len(head)+3 {
		lines = append(lines, head...)
		lines = append(lines, "")
	}
	d.lines, d.h = len(body), max(e.h-len(lines)-len(foot), 1)
	d.top = max(min(d.top, d.lines-d.h), 0)
	for i := range d.h {
		l := ""
		if d.top+i < len(body) {
			l = body[d.top+i]
		}
		lines = append(lines, l)
	}
	b := block{}
	d.foot = len(lines)
	lines = append(lines, foot...)
	if d.needs() != "" {
		line, cx := field(e, "type "+d.needs()+" to save", &d.number, d.onField)
		at := len(lines) - 2
		lines[at] = line
		b.cursor, b.cx, b.cy = d.onField, cx, at
	}
	b.lines = lines[:min(len(lines), max(e.h, 1))]
	return b
}

// bar is the answers, a line for the number, and a rule.
func (d *review) bar(e env) []string {
	s := " "
	for i, a := range d.answers {
		if i == d.sel {
			s += " " + e.th.inverse("[ "+a.label+" ]")
		} else {
			s += "   " + a.label + "  "
		}
	}
	out := []string{s}
	if d.needs() != "" {
		out = append(out, "")
	}
	return append(out, e.th.rule(e.w))
}

// content is the title, the words above the body, and the body, which scrolls.
func (d *review) content(e env) (title string, head, body []string) {
	add := func(to *[]string, text string) {
		*to = append(*to, indented(text, e.w)...)
	}
	switch {
	case d.r.Invalid != nil:
		add(&head, fmt.Sprintf("The edited text cannot be used: %s. The file is as it was.", plural(int64(len(d.r.Problems)), "problem")))
		for _, p := range d.r.Problems {
			where := "      "
			if p.Line > 0 {
				where = fmt.Sprintf("%5d ", p.Line)
			}
			body = append(body, where+cutEnd(fileLine(e, p.Source), max(e.w-6, 1)))
			for _, l := range wrapAt("x "+e.th.text(p.Text), max(e.w-7, 8)) {
				body = append(body, "      "+e.th.bad(l))
			}
		}
		return "x the configuration has errors", head, body
	case len(d.r.Meanwhile) > 0:
		add(&head, "Somebody else saved the file while you were editing. Nothing is overwritten; your text stays in "+e.th.text(d.edit.Copy)+".")
		body = append(body, e.th.bold(" what changed in the file"))
		body = append(body, diffLines(e, d.r.Meanwhile)...)
		body = append(body, "", e.th.bold(" what you changed"))
		return "! the file was changed meanwhile", head, append(body, diffLines(e, d.r.Diff)...)
	}
	add(&head, "changes: "+e.th.text(d.r.Summary()))
	if n := len(d.r.Deletes); n > 0 {
		add(&head, fmt.Sprintf("! the new rules give up %s that the old ones keep:", plural(int64(n), "archive")))
		for _, v := range d.r.Deletes {
			body = append(body, e.th.warn(cutEnd("   "+e.th.text(v.Database)+"  "+when(v.Time, e.now, e.loc)+"  "+e.th.text(v.ID)+"  "+e.th.text(strings.Join(v.Reasons, "; ")), e.w)))
		}
		body = append(body, "")
	}
	return "save this change?", head, append(body, diffLines(e, d.r.Diff)...)
}

// fileLine makes a line of a file safe to show, its tabs as spaces.
func fileLine(e env, s string) string { return e.th.text(strings.ReplaceAll(s, "\t", "    ")) }

// diffLines draws a unified diff; a long line is wrapped, not cut: what is
// saved must be seen.
func diffLines(e env, diff []config.DiffLine) []string {
	var out []string
	for _, l := range diff {
		color := func(s string) string { return s }
		switch l.Mark {
		case '+':
			color = e.th.good
		case '-':
			color = e.th.bad
		case '@':
			color = e.th.live
		}
		mark := string(l.Mark)
		if l.Mark == '@' {
			mark = ""
		}
		for i, part := range wrapAt(fileLine(e, l.Text), max(e.w-2, 8)) {
			if i > 0 {
				mark = " "
			}
			out = append(out, " "+color(mark+part))
		}
	}
	return out
}
