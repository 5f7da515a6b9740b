package tui

import tea "charm.land/bubbletea/v2"

// keymap is the whole keymap now: the top screen's own keys, then those that
// work everywhere.
func (m *model) keymap() keymap {
	own := m.top().keys(m.env())
	if len(m.dialogs) > 0 || m.page() == m.archives && m.archives.editing {
		return append(own, m.dialogKeys()...)
	}
	return append(own, m.pageKeys()...)
}

// dialogKeys work in every dialog and while the filter is typed. Letters stay
// with the text fields.
func (m *model) dialogKeys() keymap {
	name, text := "back", "close this; nothing is done"
	if len(m.dialogs) == 0 {
		name, text = "no filter", "drop the filter and show all"
	}
	k := keymap{
		{cmd: cmdBack, keys: []string{"esc"}, show: "Esc", name: name, help: text, line: true},
		{cmd: cmdHelp, keys: []string{"f1", "?"}, show: "F1", name: "help", help: "the keys that work here", line: true},
		{cmd: cmdRedraw, keys: []string{"ctrl+l"}, show: "^L", name: "redraw", help: "draw the screen anew"},
		{cmd: cmdSuspend, keys: []string{"ctrl+z"}, show: "^Z", name: "suspend", help: "to the shell; fg comes back"},
		{cmd: cmdLeave, keys: []string{"ctrl+c"}, show: "^C", name: "leave", help: m.leaveHelp()},
	}
	if _, ok := m.top().(*help); ok {
		return append(k[:1:1], k[2:]...)
	}
	return k
}

func (m *model) leaveHelp() string {
	if m.job != nil && m.job.done == nil {
		return "leave; asks first, because the run would be cancelled"
	}
	return "leave; nothing is running"
}

// pageKeys work on every page.
func (m *model) pageKeys() keymap {
	running := m.job != nil && m.job.done == nil
	_, onJob := m.page().(*jobPage)
	noJob, atTop := "", ""
	switch {
	case m.job == nil:
		noJob = "no run in this session yet: b, v or r starts one"
	case onJob:
		noJob = "this is the run"
	}
	if len(m.pages) == 1 && !m.archives.canBack() && m.opStop == nil {
		atTop = "nothing to go back to; q leaves"
	}
	onSetup := ""
	if m.page() == screen(m.setup) {
		onSetup = "this is Setup"
	}
	zone, mouse := "show times in UTC", "mouse off, so that the terminal selects text again"
	if m.utc {
		zone = "show local times"
	}
	if !m.mouse {
		mouse = "mouse on: click and wheel (Shift-drag still selects)"
	}
	return keymap{
		{cmd: cmdHelp, keys: []string{"?", "f1"}, show: "?", name: "help", help: "the keys that work here; type to search, Enter runs one", line: true},
		{cmd: cmdJob, keys: []string{"J"}, show: "J", name: "job", help: "the run that goes on, or the last report", off: noJob, line: running && !onJob},
		{cmd: cmdBack, keys: []string{"esc"}, show: "Esc", name: "back", help: "one step back", off: atTop, line: len(m.pages) > 1},
		{cmd: cmdLeave, keys: []string{"q", "ctrl+c"}, show: "q", name: "leave", help: m.leaveHelp(), line: true},
		{cmd: cmdSetup, keys: []string{"4"}, show: "4", name: "Setup", help: "how this vault is set up", off: onSetup},
		{cmd: cmdRefresh, keys: []string{"R"}, show: "R", name: "refresh", help: "read the vault again"},
		{cmd: cmdZone, keys: []string{"u"}, show: "u", name: "UTC", help: zone},
		{cmd: cmdMouse, keys: []string{"M"}, show: "M", name: "mouse", help: mouse},
		{cmd: cmdRedraw, keys: []string{"ctrl+l"}, show: "^L", name: "redraw", help: "draw the screen anew"},
		{cmd: cmdSuspend, keys: []string{"ctrl+z"}, show: "^Z", name: "suspend", help: "to the shell; fg comes back"},
	}
}

// global does the commands that the model itself answers; ok is false for
// those of the screens.
func (m *model) global(c command) (tea.Cmd, bool) {
	switch c {
	case cmdHelp:
		m.dialogs = append(m.dialogs, newHelp(m.keymap()))
	case cmdBack:
		return m.back(), true
	case cmdJob:
		m.openJob()
	case cmdSetup:
		return m.openSetup(), true
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
		return tea.ClearScreen, true
	case cmdSuspend:
		return tea.Suspend, true
	case cmdLeave:
		return m.leave(), true
	default:
		return nil, false
	}
	return nil, true
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
		m.pages = m.pages[:len(m.pages)-1]
	}
}

// leave quits at once when nothing runs, and asks otherwise. A second time
// while the run is being cancelled it leaves the screen; Run waits outside.
func (m *model) leave() tea.Cmd {
	if m.job == nil || m.job.done != nil || m.leaving {
		return tea.Quit
	}
	if len(m.dialogs) > 0 {
		if d, ok := m.top().(*confirm); ok && d.yes == (leave{cancel: true}) {
			m.message = "Enter takes the answer in brackets; Tab moves them"
			return nil
		}
	}
	m.dialogs = append(m.dialogs, leaveDialog(m.job, m.th))
	return nil
}

// openJob shows the newest run, on top of the archives.
func (m *model) openJob() {
	if _, ok := m.page().(*jobPage); !ok {
		m.pages = append(m.pages[:1:1], newJobPage(m.job))
	}
}

// openSetup shows the Setup page, on top of the archives, and looks anew.
func (m *model) openSetup() tea.Cmd {
	m.pages = append(m.pages[:1:1], m.setup)
	return m.perform([]action{lookOver{}})
}
