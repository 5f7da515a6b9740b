package tui

import (
	tea "charm.land/bubbletea/v2"
)

// The places, in the order of their keys.
const (
	placeHealth = iota
	placeBackups
	placeActivity
	placeSetup
)

// placeNames are the words of the tabs.
var placeNames = []string{"Health", "Backups", "Activity", "Setup"}

// The commands that the model itself answers.
const (
	cmdHealth   command = "health"
	cmdBackups  command = "backups"
	cmdActivity command = "activity"
	cmdSetup    command = "setup"
	cmdPalette  command = "commands"
)

var placeCommands = []command{cmdHealth, cmdBackups, cmdActivity, cmdSetup}

// keymap is the whole keymap now: the top screen's own keys, then those that
// work everywhere.
func (m *model) keymap() keymap {
	own := m.top().keys(m.env())
	if _, ok := m.top().(*guidePage); ok {
		return append(own, m.guideKeys()...)
	}
	if len(m.dialogs) > 0 || m.filtering() || m.writing() {
		return append(own, m.dialogKeys()...)
	}
	return append(own, m.pageKeys()...)
}

// filtering tells whether the page's filter line has the keys.
func (m *model) filtering() bool {
	f, ok := m.page().(filtered)
	return ok && f.isEditing()
}

// writing tells whether a text field of the page has the keys.
func (m *model) writing() bool {
	t, ok := m.page().(texting)
	return ok && len(m.dialogs) == 0 && t.takesText()
}

// dialogKeys work in every dialog and while a filter is typed. Letters stay
// with the text fields.
func (m *model) dialogKeys() keymap {
	name, text := "back", "close this; nothing is done"
	if len(m.dialogs) == 0 && m.filtering() {
		name, text = "no filter", "drop the filter and show all"
	}
	k := keymap{
		{cmd: cmdBack, keys: []string{"esc"}, show: "Esc", name: name, help: text, line: true},
		{cmd: cmdHelp, keys: []string{"f1", "?"}, show: m.helpKey(), name: "help", help: "the keys that work here", line: true},
		{cmd: cmdRedraw, keys: []string{"ctrl+l"}, show: "^L", name: "redraw", help: "draw the screen anew"},
		{cmd: cmdSuspend, keys: []string{"ctrl+z"}, show: "^Z", name: "suspend", help: "to the shell; fg comes back"},
		{cmd: cmdLeave, keys: []string{"ctrl+c"}, show: "^C", name: "leave", help: m.leaveHelp()},
	}
	if _, ok := m.top().(*help); ok {
		return append(k[:1:1], k[2:]...)
	}
	return k
}

// helpKey is how the key of the help is written: where letters go to a text
// field, ? is one of them.
func (m *model) helpKey() string {
	if t, ok := m.top().(texting); m.filtering() && len(m.dialogs) == 0 || ok && t.takesText() {
		return "F1"
	}
	return "?"
}

func (m *model) leaveHelp() string {
	if len(m.know.running()) > 0 {
		return "leave at once; jobs go on"
	}
	return "leave at once"
}

// pageKeys work on every page.
func (m *model) pageKeys() keymap {
	atTop := ""
	if f, ok := m.page().(filtered); len(m.pages) == 1 && !(ok && f.canBack()) && m.opStop == nil {
		atTop = "nothing to go back to; q leaves"
	}
	zone, mouse := "show times in UTC", "mouse off, so that the terminal selects text again"
	if m.utc {
		zone = "show local times"
	}
	if !m.mouse {
		mouse = "mouse on: click and wheel (Shift-drag still selects)"
	}
	k := keymap{
		{cmd: cmdPalette, keys: []string{":"}, show: ":", name: "commands", help: "every command by its name; Enter runs one", line: m.w >= 100},
		{cmd: cmdHelp, keys: []string{"?", "f1"}, show: "?", name: "help", help: "the keys that work here; type to search, Enter runs one", line: true},
		{cmd: cmdBack, keys: []string{"esc"}, show: "Esc", name: "back", help: "one step back", off: atTop, line: len(m.pages) > 1},
		{cmd: cmdLeave, keys: []string{"q", "ctrl+c"}, show: "q", name: "leave", help: m.leaveHelp(), line: true},
	}
	for i, what := range []string{"is every database recoverable", "the archives: find, trust, act", "everything that runs, ran or should have", "how this vault is set up"} {
		n, key := string(rune('1'+i)), string(rune('1'+i))
		if d, ok := m.page().(interface{ takesDigits() bool }); ok && d.takesDigits() {
			n, key = "Alt-"+n, "alt+"+key // which is also Esc and the digit, typed at once
		}
		here := ""
		if i == m.place && len(m.pages) == 1 {
			here = "this is " + placeNames[i]
		}
		k = append(k, binding{cmd: placeCommands[i], keys: []string{key}, show: n, name: placeNames[i], help: what, off: here})
	}
	return append(k, keymap{
		{cmd: cmdRefresh, keys: []string{"R"}, show: "R", name: "refresh", help: "read the vault again"},
		{cmd: cmdZone, keys: []string{"u"}, show: "u", name: "UTC", help: zone},
		{cmd: cmdMouse, keys: []string{"M"}, show: "M", name: "mouse", help: mouse},
		{cmd: cmdRedraw, keys: []string{"ctrl+l"}, show: "^L", name: "redraw", help: "draw the screen anew"},
		{cmd: cmdSuspend, keys: []string{"ctrl+z"}, show: "^Z", name: "suspend", help: "to the shell; fg comes back"},
	}...)
}

// global does the commands that the model itself answers; ok is false for
// those of the screens.
func (m *model) global(c command) (tea.Cmd, bool) {
	for i, p := range placeCommands {
		if c == p {
			return m.goTo(i), true
		}
	}
	switch c {
	case cmdHelp:
		m.dialogs = append(m.dialogs, newHelp(m.keymap()))
	case cmdPalette:
		m.dialogs = append(m.dialogs, newPalette(m.keymap()))
	case cmdBack:
		return m.back(), true
	case cmdRefresh:
		return m.perform([]action{refresh{}}), true
	case cmdZone:
		m.utc = !m.utc
	case cmdMouse:
		m.mouse = !m.mouse
		m.message = "mouse off: the terminal selects text"
		if m.mouse {
			m.message = "mouse on: click and wheel; Shift-drag selects text"
		}
	case cmdRedraw:
		if m.th.asks { // the terminal may have been changed meanwhile
			return tea.Batch(tea.ClearScreen, tea.RequestBackgroundColor), true
		}
		return tea.ClearScreen, true
	case cmdSuspend:
		return tea.Suspend, true
	case cmdLeave:
		return m.leaveAll(), true
	default:
		return nil, false
	}
	return nil, true
}

// goTo shows a place, without what lay over the one left.
func (m *model) goTo(place int) tea.Cmd {
	m.endFollow()
	m.endOp()
	m.place, m.dialogs = place, nil
	m.pages = []screen{m.home[place]}
	if place == placeBackups {
		m.archives.apply(m.env())
	}
	if place == placeSetup {
		return m.perform([]action{lookOver{}})
	}
	return nil
}

// back goes one step back: first within the top screen, then out of it, and
// never out of the program.
func (m *model) back() tea.Cmd {
	if acts := m.top().do(m.env(), cmdBack); len(acts) > 0 {
		return m.perform(acts)
	}
	if m.opStop != nil {
		m.endOp()
		m.message = "stopped asking"
		return nil
	}
	m.pop()
	return nil
}

// pop closes the top dialog or page.
func (m *model) pop() {
	switch {
	case len(m.dialogs) > 0:
		m.dialogs = m.dialogs[:len(m.dialogs)-1]
	case len(m.pages) > 1:
		if p, ok := m.page().(*jobPage); ok && p.j == m.job {
			m.endFollow()
		}
		m.pages = m.pages[:len(m.pages)-1]
	}
}
