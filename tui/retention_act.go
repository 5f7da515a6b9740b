package tui

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"pgvault/config"
	"pgvault/fault"
	"pgvault/setup"
	"pgvault/vault"
	"pgvault/vault/retention"
)

// The answers about retention.
type (
	retentionMsg struct {
		page *retentionPage
		look *vault.RetentionLook
		err  error
	}
	keepBegunMsg struct { // the copy of the configuration has the new policy
		edit *setup.Edit
		act  saveKeep
		err  error
	}
)

// openRetention shows the preview and asks for the archives.
func (m *model) openRetention(a openRetention) tea.Cmd {
	p := newRetentionPage(a.database)
	m.pages = append(m.pages, p)
	return m.lookRetention(p)
}

func (m *model) lookRetention(p *retentionPage) tea.Cmd {
	if p.asking {
		return nil
	}
	p.asking = true
	return m.g.ask(func() tea.Msg {
		l, err := m.g.vault.LookRetention(m.g.ctx)
		if err == nil && l == nil {
			err = errors.New("the preview came back empty")
		}
		return retentionMsg{p, l, err}
	})
}

// relook reads the archives of an open preview again.
func (m *model) relook() tea.Cmd {
	for _, s := range m.pages {
		if p, ok := s.(*retentionPage); ok {
			return m.lookRetention(p)
		}
	}
	return nil
}

func (m *model) keepMarked(a keepMarked) tea.Cmd {
	if m.refused() {
		return nil
	}
	return m.g.ask(func() tea.Msg {
		return keptMsg{what: "the mark was not taken away", done: "not marked any more; m pins it for good", err: m.g.vault.KeepMarked(m.g.ctx, a.database+"/"+a.id)}
	})
}

// saveKeep writes the policy into a copy of the configuration, for the review.
func (m *model) saveKeep(a saveKeep) tea.Cmd {
	d := m.o.Setup
	if d == nil {
		m.message = "this screen was opened without a configuration"
		return nil
	}
	return m.g.ask(func() tea.Msg {
		edit, err := d.BeginKeep(a.from, a.policy)
		return keepBegunMsg{edit, a, err}
	})
}

// keepBegun goes on as after an editor. What is not changed by program is
// copied, for a person to paste.
func (m *model) keepBegun(msg keepBegunMsg) tea.Cmd {
	if msg.err == nil {
		return m.edited(editedMsg{edit: msg.edit})
	}
	if !errors.Is(msg.err, config.ErrKeepForm) {
		m.dialogs = append(m.dialogs, newFailure("the configuration cannot be edited", msg.err))
		return nil
	}
	line := config.KeepLine(msg.act.policy)
	m.dialogs = append(m.dialogs, newFailure("this is for your editor", &fault.Error{
		What: "the rules stand in the configuration in a form that is left to you", Why: msg.err.Error(), Left: "the file is as it was",
		Do: "4, then e, and below " + config.KeepTable(msg.act.from) + " write (it is copied): " + line, Code: fault.Usage}))
	return m.perform([]action{copyText{line, line}})
}

// retentionDialog asks for the number of archives that go. The focus is on
// changing nothing until it was typed.
type retentionDialog struct {
	base
	plan     *vault.RetentionPlan
	database string
	in       input
	onAct    bool
}

func newRetentionDialog(p *vault.RetentionPlan, database string) *retentionDialog {
	return &retentionDialog{plan: p, database: database}
}

func (d *retentionDialog) matches() bool {
	n, err := strconv.Atoi(strings.TrimSpace(d.in.text()))
	return err == nil && n == d.plan.Confirm()
}

func (d *retentionDialog) keys(env) keymap {
	off := ""
	if !d.matches() {
		off = fmt.Sprintf("Apply is off until %d is typed", d.plan.Confirm())
	}
	return keymap{
		{cmd: cmdEnter, keys: []string{"enter"}, show: "Enter", name: "choose", help: "take the answer in brackets", line: true},
		{cmd: cmdNext, keys: []string{"tab", "down"}, show: "Tab", name: "to Apply", help: "move the brackets to Apply", off: off, line: true},
		{cmd: cmdPrev, keys: []string{"shift+tab", "up"}, show: "Up", name: "to Keep all", help: "move the brackets to Keep all"},
	}
}

func (d *retentionDialog) do(_ env, c command) []action {
	switch c {
	case cmdNext:
		d.onAct = true
		return []action{say("Enter applies it")}
	case cmdPrev:
		d.onAct = false
		return []action{say("Enter keeps all")}
	case cmdEnter:
		if d.onAct && d.matches() {
			return []action{closeTop{}, launch{order: d.plan.Order(d.plan.Confirm())}}
		}
		return []action{closeTop{}, say("nothing was changed")}
	}
	return nil
}

func (d *retentionDialog) takesText() bool { return true }

// typed moves the brackets with the text: the right number means Apply.
func (d *retentionDialog) typed(_ env, k tea.KeyPressMsg) bool {
	if !d.in.key(k) {
		return false
	}
	d.onAct = d.matches()
	return true
}

func (d *retentionDialog) paste(_ env, s string) {
	d.in.insert(s)
	d.onAct = d.matches()
}

// text says what applying does.
func (d *retentionDialog) text(e env) []string {
	var out []string
	if n := d.plan.Count(retention.StepRemove); n > 0 {
		out = append(out, fmt.Sprintf("removes %s for good, in all places: frees %s", plural(int64(n), "archive"), size(d.plan.Frees())))
	}
	for _, v := range d.plan.Verdicts {
		if v.Step == retention.StepMark && v.Until != nil {
			out = append(out, fmt.Sprintf("marks %s, which go from %s at the earliest; until then U takes a mark away", plural(int64(d.plan.Count(retention.StepMark)), "archive"), when(*v.Until, e.now, e.loc)))
			break
		}
	}
	if n := d.plan.Count(retention.StepUnmark); n > 0 {
		out = append(out, "takes "+plural(int64(n), "mark")+" away: a rule or a pin keeps these now")
	}
	if len(d.plan.Excess) > 0 {
		out = append(out, e.th.warn("! that is more at once than a backup does without being asked"))
	}
	if d.plan.Refused != "" {
		out = append(out, e.th.warn("! "+e.th.text(d.plan.Refused)))
	}
	return out
}

func (d *retentionDialog) view(e env) block {
	what := first(d.database, "all databases")
	b := block{lines: []string{e.th.titled(e.w, "apply retention to "+e.th.text(what), "")}, cursor: true}
	for _, t := range d.text(e) {
		for _, l := range wrapAt(t, max(e.w-3, 1)) {
			b.lines = append(b.lines, "  "+l)
		}
	}
	n := strconv.Itoa(d.plan.Confirm())
	line, cx := field(e, " type "+n, &d.in, true)
	keep, act := e.th.inverse("[ Keep all ]"), "  Apply (off until the number is typed)"
	switch {
	case d.onAct:
		keep, act = "  Keep all  ", e.th.inverse("[ Apply ]")
	case d.matches():
		act = "  Apply  "
	}
	last := []string{line, "  " + keep + " " + act, e.th.rule(e.w)}
	if e.w < 54 {
		last = []string{line, "  " + keep, "  " + act}
	}
	if room := e.h - len(last); len(b.lines) > room {
		b.lines = b.lines[:max(room, 0)]
	}
	b.cx, b.cy = cx, len(b.lines)
	b.lines = append(b.lines, last...)
	return b
}
