package tui

import (
	"fmt"
	"strings"

	"pgvault/fault"
	"pgvault/vault"
)

// heading says what the page is about.
func (s *switchPage) heading(e env) []string {
	title, text := "SWITCH", "put the restored database in the place of the live one"
	switch s.want.mode {
	case modeUndo:
		title, text = "UNDO", "give the name back to the database that had it before"
	case modeResume:
		title, text = "FINISH", "a switch that was broken off goes on to its end"
	case modeBack:
		title, text = "BACK", "a switch that was broken off is taken back"
	}
	line := " " + e.th.bold(title) + "  " + text
	if textWidth(line) > e.w {
		line = " " + e.th.bold(title) + "  " + e.th.text(s.want.database)
	}
	if e.h < 14 {
		return []string{line}
	}
	return []string{line, ""}
}

// content is all that is told, before the field for the name.
func (s *switchPage) content(e env) []string {
	out := s.heading(e)
	if s.asking {
		return append(out, " "+e.th.live("asking both databases; nothing is changed ..."))
	}
	if s.err != nil {
		out = append(out, e.th.bad(" x ")+e.th.bold("there is no plan"))
		return append(out, faultLines(e, fault.As(s.err), e.w)...)
	}
	p := s.plan
	if p == nil {
		return out
	}
	out = append(out, switchNames(e, p)...)
	out = append(out, "")
	if s.sessions {
		return append(out, sessionLines(e, p)...)
	}
	checks := func(forbid bool) {
		for _, c := range p.Checks {
			if (c.State == "x") == forbid {
				out = append(out, checkLines(e, c)...)
			}
		}
	}
	checks(true)
	for _, text := range switchEnd(e, p) {
		for _, l := range wrapAt(text, max(e.w-2, 1)) {
			out = append(out, " "+l)
		}
	}
	out = append(out, "")
	for i, step := range p.Steps {
		out = append(out, labelled(fmt.Sprint(i+1), e.th.text(step), 1, e.w)...)
	}
	out = append(out, "")
	checks(false)
	return append(out, labelled("same as", e.th.text(e.command(p.Same)), 7, e.w)...)
}

// switchNames tells how both databases are called now and afterwards.
func switchNames(e env, p *vault.SwitchPlan) []string {
	sides := []vault.SwitchSide{p.Live, p.Other}
	if p.Other.Name == p.Database { // the one with the name first
		sides = []vault.SwitchSide{p.Other, p.Live}
	}
	nameW := 0
	for _, d := range sides {
		for _, n := range []string{d.Name, d.After} {
			nameW = max(nameW, textWidth(e.th.text(n)))
		}
	}
	if nameW = min(nameW, e.w/2); e.w < 60 {
		nameW = 0
	}
	var out []string
	add := func(i int, label, name, text string) {
		out = append(out, labelled(firstOnly(i, label), padRight(e.th.text(name), nameW)+"  "+text, 5, e.w)...)
	}
	for i, d := range sides {
		if d.OID != 0 {
			add(i, "now", d.Name, sideWords(e, d))
		}
	}
	if p.Refused() && p.Old == "" || p.Live.After == "" {
		return out
	}
	if p.Live.After == p.Live.Name && p.Other.After == p.Other.Name {
		return append(out, labelled("after", "each keeps the name that it has; logins are let in again", 5, e.w)...)
	}
	for i, d := range []vault.SwitchSide{sides[1], sides[0]} {
		text := "= what is " + e.th.text(d.Name) + " now"
		switch {
		case p.Goal == vault.GoalSwitched && d.After == p.Database && p.Tables > 0:
			text = fmt.Sprintf("= %s, %d of %s equal", e.th.text(d.Name), p.Equal, plural(int64(p.Tables), "table"))
		case p.Goal == vault.GoalSwitched && d.After != p.Database:
			text = "= today's " + e.th.text(d.Name) + ", kept whole, closed to logins"
		case d.After != p.Database:
			text += ", kept whole"
		}
		add(i, "after", d.After, text)
	}
	return out
}

// sideWords is how large a database is and who is in it.
func sideWords(e env, d vault.SwitchSide) string {
	s := plural(int64(len(d.Sessions)), "session")
	if d.Bytes >= 0 {
		s = size(d.Bytes) + ", " + s
	}
	if d.Writing > 0 {
		s += fmt.Sprintf(" (%d writing)", d.Writing)
	}
	if d.LastActive != nil {
		s += ", active " + ago(e.now.Sub(*d.LastActive))
	}
	return s
}

// checkLines is one check with its remedy.
func checkLines(e env, c vault.Check) []string {
	out := labelled(c.State, e.th.text(c.Text), 2, e.w)
	if len(out) > 0 {
		out[0] = strings.Replace(out[0], c.State, checkColor(e.th, c.State), 1)
	}
	if c.State != "ok" && c.Do != "" {
		out = append(out, labelled("", "do: "+e.th.text(c.Do), 2, e.w)...)
	}
	return out
}

// sessionLines lists who is logged in.
func sessionLines(e env, p *vault.SwitchPlan) []string {
	cols := []column{
		{title: "DATABASE", min: 8, max: 24, flex: true, drop: 4},
		{title: "PID", right: true, drop: 1},
		{title: "USER", min: 6, max: 20},
		{title: "FROM", drop: 2, max: 24},
		{title: "PROGRAM", drop: 3, max: 24},
		{title: "STATE", min: 6, rest: true},
	}
	var cells [][]string
	for _, d := range []vault.SwitchSide{p.Live, p.Other} {
		for _, x := range d.Sessions {
			state := e.th.text(x.State)
			if x.Writing {
				state = "has written; " + state
			}
			cells = append(cells, []string{e.th.text(d.Name), fmt.Sprint(x.PID), e.th.text(x.User), first(e.th.text(x.Client), "-"), first(e.th.text(x.App), "-"), state})
		}
	}
	widths := tableWidths(cols, cells, e.w)
	out := []string{tableTitles(cols, widths)}
	for _, c := range cells {
		out = append(out, tableRow(cols, widths, c, "  "))
	}
	return out
}

// switchEnd says what can be taken back, and what is lost.
func switchEnd(e env, p *vault.SwitchPlan) []string {
	var out []string
	old := e.th.text(p.Old)
	if p.Goal == vault.GoalSwitched && p.Lost > 0 {
		out = append(out, e.th.warn("Writes made after the backup ("+elapsedWords(p)+") exist only in "+old+"."))
	}
	if len(p.Steps) > 2 {
		out = append(out, fmt.Sprintf("If any of 1 to %d fails, the names go back and logins are let in again.", len(p.Steps)))
	}
	if p.Goal != vault.GoalSwitched || old == "" {
		return out
	}
	costs := ""
	if p.Live.Bytes >= 0 {
		costs = "; it costs " + size(p.Live.Bytes)
	}
	return append(out, "Undo later: "+e.th.text(e.command("pgvault switch --undo "+shellWord(p.Database)))+", or U in Activity; works until you drop "+old+". pgvault never drops it by itself"+costs+".")
}

func elapsedWords(p *vault.SwitchPlan) string {
	if d := p.Lost; d < day {
		return took(d)
	}
	return age(p.Lost)
}

// undoable tells that a job has brought a restored database into the live
// one's place.
func (j *job) undoable() bool {
	return j.kind == vault.KindSwitch && j.done != nil && j.done.Result == vault.ResultOK && j.asked.Goal != vault.GoalOriginal
}

// switchReport is how the names stand after a switch, and the way back.
func switchReport(e env, j *job) [][2]string {
	if j.kind != vault.KindSwitch || j.done.Result != vault.ResultOK {
		return nil
	}
	name, old := e.th.text(j.database), e.th.text(j.asked.Old)
	if !j.undoable() {
		return [][2]string{{"now", name + " is the database that had the name before the switch"},
			{"kept", "the restored one, with all that was written to it, under a name of its own"}}
	}
	out := [][2]string{{"now", name + " is what was " + e.th.text(j.target)}}
	if old != "" {
		out = append(out, [2]string{"kept", old + ": what was " + name + " before, whole, closed to logins; pgvault never drops it"})
	}
	return append(out, [2]string{"undo", "U, or " + e.th.text(e.command("pgvault switch --undo "+shellWord(j.database)+" --confirm "+shellWord(j.database)))})
}
