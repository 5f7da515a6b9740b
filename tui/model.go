package tui

import (
	"context"
	"time"
	"unicode"

	tea "charm.land/bubbletea/v2"

	"pgvault/safetext"
	"pgvault/vault"
)

// model is the one tea.Model: four places, pages and dialogs over them, what
// is known of the vault, and the few facts that every page shows.
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
	access  vault.Access
	ro      bool
	message string // the message line, until the next key

	know     *known
	archives *archives
	setup    *setupPage
	home     []screen // the four places
	place    int      // the one shown
	pages    []screen // the last is shown; the first is the place
	dialogs  []screen // over the page; the last has the keys
	job      *job     // the one that is followed, nil for none
	unfollow context.CancelFunc
	broken   *brokenMsg // a Cmd panicked
	guide    *guidePage // the one that is open, nil for none

	op       int                // the newest question that Esc can end; older answers are dropped
	opStop   context.CancelFunc // ends it; nil when none is under way
	hints    []hint
	tabs     []hint
	bodyTop  int // first line of the page, and of the dialog over it
	overTop  int
	tabsLine int // the line of the tabs, -1 where there is none

	readList, readHealth, readActivity reading
	changes, settled                   int
}

// newModel makes the model; it does no input or output but reads the vault's
// names and who looks at it.
func newModel(g *engine, o Options) *model {
	if o.Command == nil {
		o.Command = func(s string) string { return s }
	}
	v := g.vault
	m := &model{
		o: o, g: g, th: newTheme(o.Theme, o.ASCII), w: 80, h: 24, now: o.Now(),
		utc: o.UTC, mouse: o.Mouse, name: v.Name(), label: v.Label(), access: v.Access(), know: &known{},
	}
	switch {
	case !m.access.Act:
		m.ro = true
	case o.ReadOnly || v.ReadOnly():
		m.ro, m.access.Act = true, false
		m.access.Why = "read only (--read-only): nothing is started or changed from here"
	}
	m.archives = newArchives()
	m.setup = newSetupPage()
	m.message = o.Say
	m.home = []screen{newHealth(), m.archives, newActivity(), m.setup}
	m.pages = []screen{m.home[0]}
	if o.Guide != nil {
		p := newGuidePage(o.Guide)
		p.alone = true
		m.pages = append(m.pages, p)
	}
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
		th: m.th, now: m.now, loc: m.loc(), readOnly: m.ro, why: m.access.Why, know: m.know, identity: m.o.Identity, command: m.o.Command,
		places: m.g.vault.Places(), w: m.w, h: m.bodyHeight(),
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

// Init asks for what is remembered and starts the clocks. Activity, which the
// first frame does not show, comes a moment later. The place and the
// server are asked when that has come: see gotList.
func (m *model) Init() tea.Cmd {
	m.readList.begin()
	m.readHealth.begin()
	m.readActivity.begin()
	m.stir()
	cmds := []tea.Cmd{m.g.list(false), m.g.jobs(true), m.g.later(2*m.g.frame, []tea.Cmd{m.g.activity()}), m.tick()}
	if m.th.asks {
		cmds = append(cmds, tea.RequestBackgroundColor)
	}
	if m.o.AtSetup {
		cmds = append(cmds, m.goTo(placeSetup))
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

// Update takes every message; the kinds of them are handled in functions of
// their own.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	m.now = m.o.Now()
	if t, ok := msg.(told); ok {
		m.g.pending--
		msg = t.msg
		if _, poll := msg.(jobsMsg); !poll {
			m.stir()
		}
	}
	cmd := m.update(msg)
	cmd = tea.Batch(cmd, m.afterGuide())
	if idle := m.settle(); idle != nil {
		cmd = tea.Batch(cmd, idle)
	}
	return m, cmd
}

func (m *model) update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.w, m.h = max(msg.Width, 1), max(msg.Height, 1)
		m.stir()
	case tea.KeyPressMsg:
		m.stir()
		return m.key(msg)
	case tea.PasteMsg:
		m.stir()
		m.top().paste(m.env(), msg.Content)
	case tea.MouseClickMsg:
		m.stir()
		return m.click(msg)
	case tea.MouseWheelMsg:
		m.stir()
		m.wheel(msg)
	case tea.ResumeMsg:
		return tea.ClearScreen
	case tea.BackgroundColorMsg:
		m.th = m.th.on(msg.IsDark())
		m.stir()
	case tickMsg:
		return tea.Batch(m.tick(), m.refresh())
	case pollMsg:
		return m.g.jobs(true)
	case idleMsg:
		m.gotIdle(msg)
	default:
		return m.answered(msg)
	}
	return nil
}

// answered takes what Cmds bring back.
func (m *model) answered(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case listMsg:
		return m.gotList(msg)
	case healthMsg:
		return m.gotHealth(msg)
	case earlyHealthMsg:
		m.gotEarlyHealth(msg)
	case jobsMsg:
		return m.gotJobs(msg)
	case activityMsg:
		return m.gotActivity(msg)
	case databasesMsg:
		return m.gotDatabases(msg)
	case secretsMsg:
		return m.gotSecrets(msg)
	case launchedMsg:
		return m.gotLaunched(msg)
	case keptMsg:
		return m.gotKept(msg)
	case deletePlanMsg:
		m.gotDeletePlan(msg)
	case tablesMsg:
		m.gotTables(msg)
	case retentionMsg:
		msg.page.take(msg.look, msg.err)
	case keepBegunMsg:
		return m.keepBegun(msg)
	case switchPlanMsg:
		m.gotSwitchPlan(msg)
	case offerMsg:
		msg.j.offer, msg.j.offerErr = msg.plan, msg.err
	case eventsMsg:
		return m.gotEvents(msg)
	case lostMsg:
		msg.j.lost = msg.err
	case brokenMsg:
		m.broken = &msg
		return tea.Quit
	case *question:
		m.stir()
		m.dialogs = append(m.dialogs, newPassphrase(msg))
	default:
		if cmd, ok := m.guideMsg(msg); ok {
			return cmd
		}
		cmd, _ := m.setupAnswered(msg)
		return cmd
	}
	return nil
}

// key gives a key to the text field that has the focus, else to the keymap.
func (m *model) key(k tea.KeyPressMsg) tea.Cmd {
	if m.o.panicKey != "" && k.String() == m.o.panicKey {
		panic("asked to by PGVAULT_TEST_PANIC")
	}
	m.message = ""
	e := m.env()
	if m.top().typed(e, k) {
		return nil
	}
	b, ok := m.keymap().find(k.String())
	if !ok && k.Mod == tea.ModAlt {
		// Esc and a key at once: a slow line brings both in one piece, and
		// the terminal cannot tell that from Alt.
		return tea.Batch(m.key(tea.KeyPressMsg{Code: tea.KeyEscape}), m.key(unAlt(k)))
	}
	if !ok {
		if len(m.dialogs) == 0 && k.Text != "" {
			m.message = m.th.text(k.Text) + " does nothing here; ? lists the keys"
		}
		return nil
	}
	return m.command(b)
}

// unAlt is the key without Alt.
func unAlt(k tea.KeyPressMsg) tea.KeyPressMsg {
	k.Mod, k.Text = 0, ""
	if unicode.IsPrint(k.Code) {
		k.Text = string(k.Code)
	}
	return k
}

// command does what a binding stands for, or says why not.
func (m *model) command(b binding) tea.Cmd {
	if b.off != "" {
		m.message = m.th.text(b.off)
		return nil
	}
	if cmd, ok := m.global(b.cmd); ok {
		return cmd
	}
	return m.perform(m.top().do(m.env(), b.cmd))
}

// click finds what is under the mouse: a key hint, a tab, the dialog, or the
// page.
func (m *model) click(c tea.MouseClickMsg) tea.Cmd {
	if c.Button != tea.MouseLeft {
		return nil
	}
	m.message = ""
	switch {
	case c.Y == m.h-1:
		return m.hit(m.hints, c.X)
	case c.Y == m.tabsLine:
		return m.hit(m.tabs, c.X)
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

// hit does the command whose hint lies at cell x.
func (m *model) hit(hints []hint, x int) tea.Cmd {
	for _, h := range hints {
		if x >= h.x0 && x < h.x1 {
			if b, ok := m.keymap().byCommand(h.cmd); ok {
				return m.command(b)
			}
		}
	}
	return nil
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
