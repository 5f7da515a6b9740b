package tui

import (
	"strings"

	tea "charm.land/bubbletea/v2"

	"pgvault/vault"
)

// switchWant is which plan of a switch is wanted.
type switchWant struct {
	database string
	with     string   // the restored database, for a switch
	accept   []string // what differs and was accepted by its name
	mode     switchMode
}

// switchMode is the kind of plan.
type switchMode int

const (
	modeSwitch switchMode = iota
	modeUndo
	modeResume // one that was broken off goes on
	modeBack   // or goes back
)

// switchPage shows what a switch, its undo or its resumption would do. Enter
// starts it when the name of the database was typed that changes hands.
type switchPage struct {
	want     switchWant
	plan     *vault.SwitchPlan
	err      error
	asking   bool
	off      string // why nothing is changed from this screen
	in       input
	sessions bool // they are listed

	top, lines, h int
}

// Commands of a switch.
const (
	cmdSwitch    command = "switch"
	cmdUndo      command = "undo-switch"
	cmdResume    command = "finish-switch"
	cmdSessions  command = "sessions"
	cmdDirection command = "other-way"
	cmdReplan    command = "plan-again"
)

// openSwitch is an action: the page of a switch.
type openSwitch struct{ want switchWant }

// take brings in the plan that was asked for.
func (s *switchPage) take(p *vault.SwitchPlan, err error) {
	s.asking, s.plan, s.err = false, p, err
}

// noStart is why Enter cannot begin, whatever is typed.
func (s *switchPage) noStart(th theme) string {
	switch {
	case s.off != "":
		return s.off
	case s.asking:
		return "it is being planned"
	case s.err != nil:
		return "there is no plan: see why above"
	case s.plan == nil:
		return "there is no plan yet"
	}
	for _, c := range s.plan.Checks {
		if c.State == "x" {
			return "refused: " + th.text(c.Text)
		}
	}
	return ""
}

// takesText tells that the name can be typed: also while the plan is on its
// way, so that no letter of a name is taken for a key.
func (s *switchPage) takesText() bool {
	return s.off == "" && (s.asking || s.noStart(theme{}) == "")
}

// matches tells whether the name was typed, as it is or as it is shown.
func (s *switchPage) matches(th theme) bool {
	t := s.in.text()
	return s.plan != nil && t != "" && (t == s.plan.Database || strings.TrimSpace(t) == th.text(s.plan.Database))
}

// letter is how a key that is a letter is pressed now: by itself where the
// field is empty and the name does not begin with it, else with Alt.
func (s *switchPage) letter(k string) (show string, keys []string) {
	if s.takesText() && (len(s.in.r) > 0 || strings.HasPrefix(s.want.database, k)) {
		return "Alt-" + k, withAlt(k)
	}
	return k, append([]string{k}, withAlt(k)...)
}

func (s *switchPage) keys(e env) keymap {
	none, start := "", s.noStart(e.th)
	if s.plan == nil {
		none = "there is no plan yet"
	}
	if start == "" && !s.matches(e.th) {
		start = "Enter works when " + e.th.text(s.plan.Database) + " is typed in full"
	}
	other, way := "", "take it back"
	if s.want.mode == modeBack {
		way = "finish it"
	}
	if s.asking {
		other = "it is being planned"
	}
	sessions := "list the sessions"
	if s.sessions {
		sessions = "hide the sessions"
	}
	key := func(c command, letter, name, help, off string, line bool) binding {
		show, keys := s.letter(letter)
		return binding{cmd: c, keys: keys, show: show, name: name, help: help, off: off, line: line}
	}
	k := keymap{{cmd: cmdEnter, keys: []string{"enter"}, show: "Enter", name: s.verb(), help: "start it as a job, once the name is typed", off: start, line: s.matches(e.th) && start == ""}}
	if s.want.mode == modeResume || s.want.mode == modeBack {
		k = append(k, binding{cmd: cmdDirection, keys: []string{"tab"}, show: "Tab", name: way, help: "plan the other way: finish it, or take it back", off: other, line: true})
	}
	k = append(k,
		key(cmdSessions, "v", sessions, "who is logged in to either database", none, true),
		key(cmdCopyCmd, "Y", "copy command", "copy the command that does the same", none, e.w >= 60))
	if s.takesText() { // else R reads all again, and this too
		k = append(k, key(cmdReplan, "R", "plan again", "look at both databases again", other, e.w >= 78))
	}
	return append(k, keymap{
		{cmd: cmdUp, keys: []string{"up"}, show: "Up", name: "up", help: "one line up (also the wheel)"},
		{cmd: cmdDown, keys: []string{"down"}, show: "Down", name: "down", help: "one line down"},
		{cmd: cmdPageUp, keys: []string{"pgup", "ctrl+b"}, show: "PgUp", name: "page up", help: "one screen up"},
		{cmd: cmdPageDown, keys: []string{"pgdown", "ctrl+f"}, show: "PgDn", name: "page down", help: "one screen down"},
	}...)
}

// verb is what Enter does.
func (s *switchPage) verb() string {
	switch s.want.mode {
	case modeUndo:
		return "undo the switch"
	case modeResume:
		return "finish it"
	case modeBack:
		return "take it back"
	}
	return "switch"
}

func (s *switchPage) do(e env, c command) []action {
	if acts, ok := scrolled(c, &s.top, s.lines, s.h); ok {
		return acts
	}
	switch c {
	case cmdEnter:
		return []action{launch{order: s.plan.Order()}}
	case cmdDirection:
		s.want.mode = map[switchMode]switchMode{modeResume: modeBack, modeBack: modeResume}[s.want.mode]
		s.in.wipe()
		return []action{planSwitch{s}}
	case cmdReplan:
		return []action{planSwitch{s}}
	case cmdSessions:
		s.sessions, s.top = !s.sessions, 0
		if s.sessions && len(s.plan.Live.Sessions)+len(s.plan.Other.Sessions) == 0 {
			s.sessions = false
			return []action{say("nobody is logged in to either")}
		}
	case cmdCopyCmd:
		t := e.command(s.plan.Same)
		return []action{copyText{t, t}}
	}
	return nil
}

func (s *switchPage) typed(_ env, k tea.KeyPressMsg) bool {
	if !s.takesText() {
		return false
	}
	if k.Text == "v" || k.Text == "Y" || k.Text == "R" {
		if show, _ := s.letter(k.Text); show == k.Text {
			return false
		}
	}
	return s.in.key(k)
}

func (s *switchPage) paste(_ env, text string) {
	if s.takesText() {
		s.in.insert(text)
	}
}

func (s *switchPage) click(env, int, int) []action { return nil }

func (s *switchPage) wheel(_ env, delta int) { s.top = max(min(s.top+delta, s.lines-s.h), 0) }

func (s *switchPage) view(e env) block {
	lines := s.content(e)
	var foot []string
	b := block{}
	if s.takesText() {
		label := " type the name of the database to be replaced"
		if s.want.mode != modeSwitch {
			label = " type the name of the database"
		}
		if textWidth(label)+24 > e.w {
			label = " type " + e.th.text(s.want.database)
		}
		if textWidth(label)+14 > e.w {
			label = " its name"
		}
		line, cx := field(e, label, &s.in, true)
		b.cursor, b.cx, foot = true, cx, []string{line}
		if e.h >= 10 {
			foot = []string{"", line}
		}
	} else if why := s.noStart(e.th); why != "" && s.plan != nil {
		foot = []string{e.th.warn(cutEnd(" "+why, e.w))}
	}
	s.lines, s.h = len(lines), max(e.h-len(foot), 1)
	s.top = max(min(s.top, s.lines-s.h), 0)
	b.lines = append([]string{}, lines[s.top:min(s.top+s.h, len(lines))]...)
	if rest := s.lines - s.top - s.h; rest > 0 && s.h > 2 {
		b.lines[len(b.lines)-1] = plural(int64(rest+1), "more line") + ": PgDn"
		b.lines[len(b.lines)-1] = " " + b.lines[len(b.lines)-1]
	}
	b.lines = append(b.lines, foot...)
	b.cy = len(b.lines) - 1
	return b
}
