package tui

import (
	"fmt"

	"pgvault/vault"
	"pgvault/vault/retention"
)

// retentionKey opens the preview, on every page that shows archives.
func retentionKey(e env, line bool) binding {
	return binding{cmd: cmdRetention, keys: []string{"p"}, show: "p", name: "retention", help: "what the rules keep and what goes, and why; try other rules", line: line}
}

func (s *retentionPage) keys(e env) keymap {
	none, nothing := "", ""
	switch {
	case s.look == nil:
		none = "the archives are not known yet"
	case !s.ready():
		none = "there is no archive yet"
	}
	v, ok := s.selected()
	if !ok {
		nothing = first(none, "no archive is selected")
	}
	a := e.current(vault.Archive{ID: v.ID, Database: v.Database})
	open := nothing
	if ok && a.Started.IsZero() {
		open = "the list does not have it yet: R reads again"
	}
	untry, pinHelp := none, "keep this one whatever the rules say"
	if none == "" && len(s.tries) == 0 {
		untry = "nothing was changed"
	}
	if a.Pinned {
		pinHelp = "no longer pinned: the rules decide again"
	}
	k := keymap{
		{cmd: cmdLeft, keys: []string{"left"}, show: "Left", name: "rule before", help: "to the rule before", off: none},
		{cmd: cmdRight, keys: []string{"right"}, show: "Left/Right", name: "rule", help: "to the next rule", off: none, line: true},
		{cmd: cmdMore, keys: []string{"+", "="}, show: "+", name: "more", help: "keep one more by this rule, and see what that means", off: none, line: e.w >= 100},
		{cmd: cmdFewer, keys: []string{"-", "_"}, show: "+/-", name: "number", help: "keep one less by this rule", off: none, line: e.w < 100},
		{cmd: cmdNext, keys: []string{"tab"}, show: "Tab", name: "database", help: "the next database; all of them come after the last", off: none, line: true},
		{cmd: cmdPrev, keys: []string{"shift+tab"}, show: "Shift-Tab", name: "database before", help: "the database before", off: none},
		{cmd: cmdAll, keys: []string{"o"}, show: "o", name: "all", help: "all databases", off: none},
		{cmd: cmdApply, keys: []string{"A"}, show: "A", name: "apply now...", help: "mark and remove what goes; asks for the number first", off: s.applyOff(e, none), line: true},
		{cmd: cmdWrite, keys: []string{"w"}, show: "w", name: "write...", help: "these rules into the configuration; shows a diff first", off: s.writeOff(e, none), line: true},
		{cmd: cmdUntry, keys: []string{"z"}, show: "z", name: "rules back", help: "all numbers as the configuration has them", off: untry},
		{cmd: cmdEnter, keys: []string{"enter"}, show: "Enter", name: "open", help: "everything about this archive", off: open},
		{cmd: cmdPin, keys: []string{"m"}, show: "m", name: "pin", help: pinHelp, off: first(e.busy(), nothing), line: e.w >= 100},
		unmarkKey(e, a, nothing),
		{cmd: cmdCopyCmd, keys: []string{"Y"}, show: "Y", name: "copy command", help: "copy the command that shows the same"},
	}
	if s.ready() { // else the digits are the places
		k = append(k, binding{cmd: cmdDigits, keys: []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "backspace"}, show: "0-9", name: "type", help: "type the number; of within, in days"})
	}
	return append(k, moveKeys("archive")...)
}

// unmarkKey takes the mark of an archive away, so that its grace begins anew.
func unmarkKey(e env, a vault.Archive, none string) binding {
	off := first(e.busy(), none)
	if off == "" && a.Expires == nil {
		off = "it is not marked to go"
	}
	return binding{cmd: cmdUnmark, keys: []string{"U"}, show: "U", name: "undo mark...", help: "take the mark away: it does not go; the next run may mark it again", off: off}
}

// applyOff is why A cannot act.
func (s *retentionPage) applyOff(e env, none string) string {
	switch {
	case e.busy() != "" || none != "":
		return first(e.busy(), none)
	case s.planErr != nil:
		return "these rules cannot be followed: see why above"
	case len(s.tries) > 0:
		return "these rules are a try: w writes them, z takes them back; A applies those of the configuration"
	case s.plan.Refused != "" && !s.plan.Confirmable():
		return "nothing may go now: " + e.th.text(s.plan.Refused)
	case s.plan.Confirm()+s.plan.Count(retention.StepUnmark) == 0:
		return "nothing would be marked or removed"
	}
	return ""
}

// writeOff is why w cannot act.
func (s *retentionPage) writeOff(e env, none string) string {
	switch {
	case e.busy() != "" || none != "":
		return first(e.busy(), none)
	case s.planErr != nil:
		return "these rules cannot be followed: see why above"
	}
	if _, tried := s.tries[s.from()]; !tried {
		return "the configuration has these rules already"
	}
	return ""
}

func (s *retentionPage) do(e env, c command) []action {
	n := 0
	if s.plan != nil && s.planErr == nil {
		n = len(s.plan.Verdicts)
	}
	if sel, ok := moved(c, s.sel, n, s.rows); ok {
		if sel == s.sel {
			return []action{say("no more archives there")}
		}
		s.sel = sel
		return nil
	}
	switch c {
	case cmdLeft, cmdRight:
		step := 1
		if c == cmdLeft {
			step = len(ruleNames) - 1
		}
		s.field, s.begun = (s.field+step)%len(ruleNames), false
	case cmdMore, cmdFewer:
		was, step := s.policy(), 1
		if c == cmdFewer {
			step = -1
		}
		if s.try(ruleNumber(was, s.field) + step); s.policy() == was {
			return []action{say(ruleNames[s.field] + " cannot go further")}
		}
	case cmdDigits:
		return []action{say("type digits: they are the number of " + ruleNames[s.field])}
	case cmdNext:
		s.next(1)
	case cmdPrev:
		s.next(-1)
	case cmdAll:
		s.database = ""
		s.replan()
		return []action{say("all databases")}
	case cmdUntry:
		clear(s.tries)
		s.replan()
		return []action{say("the rules of the configuration")}
	default:
		return s.act(e, c)
	}
	return nil
}

// act does what leads to a change, or away from the page.
func (s *retentionPage) act(e env, c command) []action {
	v, _ := s.selected()
	a := e.current(vault.Archive{ID: v.ID, Database: v.Database})
	switch c {
	case cmdApply:
		return []action{openDialog{newRetentionDialog(s.plan, s.database)}}
	case cmdWrite:
		return []action{saveKeep{s.from(), s.policy()}}
	case cmdEnter:
		return []action{openPage{&detail{archive: a}}}
	case cmdPin, cmdUnmark:
		return doArchive(e, a, c)
	case cmdCopyCmd:
		t := "pgvault retention"
		if s.database != "" {
			t += " " + shellWord(s.database)
		}
		t = e.command(t)
		return []action{copyText{t, t}}
	}
	return nil
}

// unmarkDialog asks whether a mark is to be taken away.
func unmarkDialog(e env, a vault.Archive) *confirm {
	text := []string{
		fmt.Sprintf("%s %s, %s, is marked to go from %s.", e.th.text(a.Database), when(a.Started, e.now, e.loc), size(a.Stored), when(*a.Expires, e.now, e.loc)),
		"Without the mark it stays; where no rule keeps it, the next run marks it again and its grace begins anew. m pins it for good.",
	}
	return &confirm{title: "take the mark away?", text: text, safe: "Leave it marked", act: "Take it away", yes: keepMarked{a.Database, a.ID}}
}
