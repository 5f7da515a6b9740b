package tui

import (
	"errors"
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"pgvault/vault"
)

// planSwitch is an action: plan anew what an open page shows.
type planSwitch struct{ page *switchPage }

// The answers about switches.
type (
	switchPlanMsg struct {
		page *switchPage
		want switchWant
		plan *vault.SwitchPlan
		err  error
	}
	offerMsg struct { // whether a restored database could take the live one's place
		j    *job
		plan *vault.SwitchPlan
		err  error
	}
)

// planOf asks for a plan; it changes nothing.
func (g *engine) planOf(w switchWant) (p *vault.SwitchPlan, err error) {
	switch w.mode {
	case modeUndo:
		p, err = g.vault.PlanSwitchUndo(g.ctx, w.database)
	case modeResume, modeBack:
		p, err = g.vault.PlanSwitchResume(g.ctx, w.database, w.mode == modeBack)
	default:
		p, err = g.vault.PlanSwitch(g.ctx, vault.SwitchOptions{Database: w.database, With: w.with, Accept: w.accept})
	}
	if err == nil && p == nil {
		err = errors.New("the plan came back empty")
	}
	return p, err
}

func (m *model) openSwitch(a openSwitch) tea.Cmd {
	p := &switchPage{want: a.want, off: m.env().busy()}
	m.pages = append(m.pages, p)
	return m.planSwitch(p)
}

func (m *model) planSwitch(p *switchPage) tea.Cmd {
	p.asking, p.sessions, p.top = true, false, 0
	w := p.want
	return m.g.ask(func() tea.Msg {
		plan, err := m.g.planOf(w)
		return switchPlanMsg{p, w, plan, err}
	})
}

// replan plans anew what an open page of a switch shows.
func (m *model) replan() tea.Cmd {
	if p, ok := m.page().(*switchPage); ok && !p.asking {
		return m.planSwitch(p)
	}
	return nil
}

// gotSwitchPlan takes a plan, unless another way was asked for meanwhile. An
// undo of a switch that was broken off is the way back.
func (m *model) gotSwitchPlan(msg switchPlanMsg) {
	if msg.page.want.mode != msg.want.mode {
		return
	}
	msg.page.take(msg.plan, msg.err)
	if msg.plan != nil && msg.plan.Resumes && msg.want.mode == modeUndo {
		msg.page.want.mode = modeBack
	}
}

// noOffer is why the report of a job offers no switch at all; empty where the
// databases are to be asked.
func noOffer(j *job) string {
	switch {
	case j.kind != vault.KindRestore:
		return "only what was restored can take a live database's place"
	case j.done == nil:
		return "it comes with the report"
	case len(j.asked.Tables) > 0:
		return "only some tables were restored: the rest would be missing"
	case j.asked.SkipCompare:
		return "nothing was compared, so nothing is proven"
	case j.done.Result == vault.ResultCancelled || j.done.TablesTotal == 0 && j.done.Result != vault.ResultOK:
		return "the restore did not come to the comparison"
	case j.target == "" || j.database == "":
		return "the job does not say what it restored"
	}
	return ""
}

// offer asks, once a restore has ended, whether its database could take the
// live one's place.
func (m *model) offer(j *job) tea.Cmd {
	if noOffer(j) != "" {
		return nil
	}
	w := switchWant{database: j.database, with: j.target}
	return m.g.ask(func() tea.Msg {
		p, err := m.g.planOf(w)
		return offerMsg{j, p, err}
	})
}

// switchOff is why s opens nothing on the page of a job.
func (j *job) switchOff(th theme) string {
	switch p := j.offer; {
	case noOffer(j) != "":
		return noOffer(j)
	case j.offerErr != nil:
		return "whether it can take " + th.text(j.database) + "'s place could not be asked: " + th.text(oneLine(j.offerErr))
	case p == nil:
		return "asking whether it can take " + th.text(j.database) + "'s place"
	case p.Live.OID == 0 || p.Other.OID == 0 || p.Archive == "":
		for _, c := range p.Checks {
			if c.State == "x" {
				return th.text(c.Text)
			}
		}
	}
	return ""
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// openOffer leads to the switch; what differs has to be accepted before.
func (j *job) openOffer() []action {
	w := switchWant{database: j.database, with: j.target}
	var open []vault.SwitchDifference
	for _, d := range j.offer.Differences {
		if !d.Accepted {
			open = append(open, d)
		}
	}
	if len(open) == 0 {
		return []action{openSwitch{w}}
	}
	return []action{openDialog{&acceptDialog{want: w, open: open}}}
}

// acceptDialog asks for the name of each thing that differs from the archive;
// only then the switch is shown.
type acceptDialog struct {
	base
	want switchWant
	open []vault.SwitchDifference // the first is asked for
	in   input
}

func (d *acceptDialog) matches(th theme) bool {
	t, name := d.in.text(), d.open[0].Name
	return t != "" && (t == name || strings.TrimSpace(t) == th.text(name))
}

func (d *acceptDialog) keys(e env) keymap {
	off := ""
	if !d.matches(e.th) {
		off = "Enter works when the name above is typed in full; Esc accepts nothing"
	}
	return keymap{{cmd: cmdEnter, keys: []string{"enter"}, show: "Enter", name: "accept it as different", help: "accept that this differs, and go on", off: off, line: off == ""}}
}

func (d *acceptDialog) do(_ env, c command) []action {
	if c != cmdEnter {
		return nil
	}
	d.want.accept = append(d.want.accept, d.open[0].Name)
	d.open = d.open[1:]
	d.in.wipe()
	if len(d.open) > 0 {
		return []action{say("accepted; " + plural(int64(len(d.open)), "difference") + " left")}
	}
	d.open = []vault.SwitchDifference{{}}
	return []action{closeTop{}, openSwitch{d.want}}
}

func (d *acceptDialog) takesText() bool                     { return true }
func (d *acceptDialog) typed(_ env, k tea.KeyPressMsg) bool { return d.in.key(k) }
func (d *acceptDialog) paste(_ env, s string)               { d.in.insert(s) }

func (d *acceptDialog) view(e env) block {
	x := d.open[0]
	title := fmt.Sprintf("accept difference %d of %d?", len(d.want.accept)+1, len(d.want.accept)+len(d.open))
	b := block{lines: []string{e.th.titled(e.w, title, "")}, cursor: true}
	for _, t := range []string{e.th.text(x.Name) + ": " + e.th.text(x.Why),
		"A switch makes it the live database as it is. Nothing is changed yet; Esc leaves everything as it is."} {
		for _, l := range wrapAt(t, max(e.w-3, 1)) {
			b.lines = append(b.lines, "  "+l)
		}
	}
	b.lines = append(b.lines, "  type  "+e.th.bold(e.th.text(x.Name))+"  to accept it:")
	line, cx := field(e, " name", &d.in, true)
	if room := e.h - 2; len(b.lines) > room {
		b.lines = b.lines[:max(room, 0)]
	}
	b.cx, b.cy = cx, len(b.lines)
	b.lines = append(b.lines, line, e.th.rule(e.w))
	return b
}

// undoKey takes a switch of a database back; it shows the plan first.
func undoKey(off string, line bool) binding {
	return binding{cmd: cmdUndo, keys: []string{"U"}, show: "U", name: "undo switch...", help: "give the name back to the database that had it; shows a plan first", off: off, line: line}
}

// resumeKey ends a switch that was broken off.
func resumeKey() binding {
	return binding{cmd: cmdResume, keys: []string{"s"}, show: "s", name: "finish switch...", help: "end the switch that was broken off, or take it back; shows a plan first", line: true}
}

// brokenSwitch is the database whose switch a warning of the vault tells of.
func brokenSwitch(w vault.Explained) (database string, ok bool) {
	return strings.CutPrefix(w.Key, "switch/")
}

// lastSwitch tells whether a switch of a database is remembered.
func (k *known) lastSwitch(database string) bool {
	for _, j := range k.jobs {
		if j.Order.Kind == vault.KindSwitch && j.Order.Database == database {
			return true
		}
	}
	return false
}
