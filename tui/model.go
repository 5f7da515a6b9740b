package tui

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"pgvault/safetext"
)

// model is the one tea.Model: pages and dialogs over them, the newest run,
// and the few facts that every page shows.
type model struct {
	o       Options
	g       *engine
	th      theme
	w, h    int
	now     time.Time
	utc     bool
	mouse   bool
	name    string
	label   string
	ro      bool
	message string // the message line, until the next key

	archives *archives
	setup    *setupPage
	pages    []screen // the last is shown; the first is archives
	dialogs  []screen // over the page; the last has the keys
	job      *job
	stop     context.CancelFunc // ends the run of job
	broken   *brokenMsg         // a Cmd panicked
	leaving  bool               // leave as soon as the run has ended
	op       int                // the newest question to the desk; older answers are dropped
	opStop   context.CancelFunc // ends it; nil when none is under way
	hints    []hint
	bodyTop  int // first line of the page, and of the dialog over it
	overTop  int
}

// newModel makes the model; it does no input or output but reads the desk's
// names.
func newModel(g *engine, o Options) *model {
	d := g.desk
	m := &model{
		o: o, g: g, th: theme{noColor: o.NoColor, ascii: o.ASCII}, w: 80, h: 24, now: o.Now(),
		utc: o.UTC, mouse: o.Mouse, name: d.Name(), label: d.Label(), ro: o.ReadOnly || d.ReadOnly(),
	}
	m.archives = newArchives()
	m.setup = newSetupPage()
	m.message = o.Say
	m.pages = []screen{m.archives}
	return m
}

// loc is the zone shown.
func (m *model) loc() *time.Location {
	if m.utc {
		return time.UTC
	}
	return m.now.Location()
}

// env is what screens may know; h is the room of the page.
func (m *model) env() env {
	return env{
		th: m.th, now: m.now, loc: m.loc(), readOnly: m.ro, job: m.job, identity: m.o.Identity,
		places: m.g.desk.Places(), w: m.w, h: m.bodyHeight(),
	}
}

func (m *model) page() screen { return m.pages[len(m.pages)-1] }

// top is the screen that has the keys.
func (m *model) top() screen {
	if n := len(m.dialogs); n > 0 {
		return m.dialogs[n-1]
	}
	return m.page()
}

// Init loads the list and starts the clock.
func (m *model) Init() tea.Cmd {
	cmds := []tea.Cmd{m.g.list(), m.tick()}
	if m.o.AtSetup {
		cmds = append(cmds, m.openSetup())
	}
	return tea.Batch(cmds...)
}

// tickMsg comes at each full minute.
type tickMsg struct{}

// tick waits until the clock in the header must change: an idle screen
// writes nothing else.
func (m *model) tick() tea.Cmd {
	d := time.Minute - time.Duration(m.now.Second())*time.Second - time.Duration(m.now.Nanosecond())
	return tea.Tick(d+10*time.Millisecond, func(time.Time) tea.Msg { return tickMsg{} })
}

// secondMsg comes each second while j goes on, for its counter.
type secondMsg struct{ j *job }

func second(j *job) tea.Cmd {
	return tea.Tick(time.Second, func(time.Time) tea.Msg { return secondMsg{j} })
}

// Update takes every message; the kinds of them are handled in functions of
// their own.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	m.now = m.o.Now()
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.w, m.h = max(msg.Width, 1), max(msg.Height, 1)
	case tea.KeyPressMsg:
		return m, m.key(msg)
	case tea.PasteMsg:
		m.top().paste(m.env(), msg.Content)
	case tea.MouseClickMsg:
		return m, m.click(msg)
	case tea.MouseWheelMsg:
		m.wheel(msg)
	case tea.ResumeMsg:
		return m, tea.ClearScreen
	case tickMsg:
		return m, m.tick()
	case secondMsg:
		if msg.j == m.job && m.job.done == nil {
			return m, second(m.job)
		}
	default:
		return m, m.answered(msg)
	}
	return m, nil
}

// answered takes what Cmds bring back.
func (m *model) answered(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case listMsg:
		m.archives.take(m.env(), msg)
		if msg.err != nil && m.archives.loaded {
			m.message = "! the list could not be read again: " + m.th.text(msg.err.Error())
		}
	case databasesMsg:
		return m.gotDatabases(msg)
	case proposedMsg:
		msg.f.proposed(msg.target)
	case planMsg:
		return m.gotPlan(msg)
	case eventsMsg:
		return m.gotEvents(msg)
	case brokenMsg:
		m.broken = &msg
		return tea.Quit
	case *question:
		m.dialogs = append(m.dialogs, newPassphrase(msg))
	default:
		cmd, _ := m.setupAnswered(msg)
		return cmd
	}
	return nil
}

// key gives a key to the text field that has the focus, else to the keymap.
func (m *model) key(k tea.KeyPressMsg) tea.Cmd {
	m.message = ""
	e := m.env()
	if m.top().typed(e, k) {
		return nil
	}
	b, ok := m.keymap().find(k.String())
	if !ok {
		if len(m.dialogs) == 0 && k.Text != "" {
			m.message = m.th.text(k.Text) + " does nothing here; ? lists the keys"
		}
		return nil
	}
	return m.command(b)
}

// command does what a binding stands for, or says why not.
func (m *model) command(b binding) tea.Cmd {
	if b.off != "" {
		m.message = b.off
		return nil
	}
	if cmd, ok := m.global(b.cmd); ok {
		return cmd
	}
	return m.perform(m.top().do(m.env(), b.cmd))
}

// click finds what is under the mouse: a key hint, the dialog, or the page.
func (m *model) click(c tea.MouseClickMsg) tea.Cmd {
	if c.Button != tea.MouseLeft {
		return nil
	}
	m.message = ""
	if c.Y == m.h-1 {
		for _, h := range m.hints {
			if c.X >= h.x0 && c.X < h.x1 {
				if b, ok := m.keymap().byCommand(h.cmd); ok {
					return m.command(b)
				}
			}
		}
		return nil
	}
	top := m.bodyTop
	if len(m.dialogs) > 0 {
		top = m.overTop
	}
	if c.Y < top {
		return nil
	}
	return m.perform(m.top().click(m.env(), c.X, c.Y-top))
}

func (m *model) wheel(w tea.MouseWheelMsg) {
	switch w.Button {
	case tea.MouseWheelUp:
		m.top().wheel(m.env(), -1)
	case tea.MouseWheelDown:
		m.top().wheel(m.env(), 1)
	}
}

// title is the window's title.
func (m *model) title() string {
	t := "pgvault " + m.o.Host + " vault " + m.name
	if m.label != "" {
		t += " [" + m.label + "]"
	}
	if m.th.ascii {
		return m.th.text(t)
	}
	return safetext.Line(t)
}
