package tui

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"pgvault/vault"
)

// perform does what screens asked for, in order.
func (m *model) perform(acts []action) tea.Cmd {
	var cmds []tea.Cmd
	for _, a := range acts {
		if c := m.act(a); c != nil {
			cmds = append(cmds, c)
		}
	}
	return tea.Batch(cmds...)
}

func (m *model) act(a action) tea.Cmd {
	switch a := a.(type) {
	case say:
		m.message = string(a)
	case openPage:
		m.pages = append(m.pages, a.s)
	case openDialog:
		m.dialogs = append(m.dialogs, a.s)
	case closeTop:
		m.pop()
	case runCommand:
		m.pop()
		if b, ok := m.keymap().byCommand(a.cmd); ok {
			return m.command(b)
		}
	case copyText:
		m.message = "copied " + m.th.text(a.what)
		return tea.Batch(tea.SetClipboard(a.text), toTmux(a.text))
	case refresh:
		m.message = "reading the vault again"
		return m.g.list()
	case propose:
		return m.g.proposal(a.f)
	case answer:
		m.pop()
		a.q.reply <- questionReply{a.text, a.err}
	case cancelRun:
		m.cancel()
	case leave:
		if !a.cancel {
			return nil
		}
		m.leaving = true
		m.cancel()
		if m.job == nil || m.job.done != nil {
			return tea.Quit
		}
	default:
		if cmd, ok := m.setupAct(a); ok {
			return cmd
		}
		return m.start(a)
	}
	return nil
}

// start does the actions that ask the desk for something that takes long.
func (m *model) start(a action) tea.Cmd {
	switch a := a.(type) {
	case askBackup:
		ctx := m.newOp("asking the server for its databases; Esc stops")
		return m.g.databases(ctx, m.op, a.database)
	case makePlan:
		ctx := m.newOp("checking what the restore needs; nothing is changed; Esc stops")
		return m.g.plan(ctx, m.op, a)
	case runBackup:
		j := newJob(vault.KindBackup, "", a.database, "", m.now)
		j.same = "pgvault backup " + shellWord(a.database)
		return m.begin(j, func(ctx context.Context, s vault.Sink) error {
			return m.g.desk.Backup(ctx, vault.BackupOptions{Database: a.database}, s)
		})
	case runVerify:
		j := newJob(vault.KindVerify, a.archive.ID, a.archive.Database, "", m.now)
		j.same = verifyCommand(a)
		return m.begin(j, func(ctx context.Context, s vault.Sink) error {
			return m.g.desk.Verify(ctx, vault.VerifyOptions{
				ID: a.archive.ID, Level: a.level, Identities: m.g.identities(ctx, expand(a.files)),
			}, s)
		})
	case runRestore:
		p := a.plan
		j := newJob(vault.KindRestore, p.Archive.ID, p.Archive.Database, p.Target, m.now)
		j.same = p.Same
		return m.begin(j, func(ctx context.Context, s vault.Sink) error { return m.g.desk.Restore(ctx, p, s) })
	}
	return nil
}

// begin makes j the run of this session and shows it.
func (m *model) begin(j *job, f func(context.Context, vault.Sink) error) tea.Cmd {
	if why := m.env().busy(); why != "" {
		m.message = why
		return nil
	}
	ctx, stop := context.WithCancel(m.g.ctx)
	m.job, m.stop = j, stop
	m.dialogs = nil
	m.pages = append(m.pages[:1:1], newJobPage(j))
	return tea.Batch(m.g.run(ctx, j, f), second(j))
}

func (m *model) cancel() {
	if m.job != nil && m.job.done == nil && m.stop != nil {
		m.job.cancelling = true
		m.stop()
	}
}

// newOp begins a question to the desk; the answer to an older one no longer
// counts.
func (m *model) newOp(message string) context.Context {
	m.endOp()
	ctx, stop := context.WithCancel(m.g.ctx)
	m.op++
	m.opStop, m.message = stop, message
	return ctx
}

func (m *model) endOp() {
	if m.opStop != nil {
		m.opStop()
		m.opStop = nil
	}
	m.op++
}

func (m *model) gotDatabases(msg databasesMsg) tea.Cmd {
	if msg.op != m.op {
		return nil
	}
	m.endOp()
	m.message = ""
	switch {
	case msg.err != nil:
		m.dialogs = append(m.dialogs, newFailure("the databases could not be listed", msg.err))
	case len(msg.names) == 0:
		m.message = "the server has no database that may be backed up"
	default:
		m.dialogs = append(m.dialogs, newChooseDatabase(msg.names, msg.preferred))
	}
	return nil
}

func (m *model) gotPlan(msg planMsg) tea.Cmd {
	if msg.op != m.op {
		return nil
	}
	if msg.err == nil {
		m.opStop = nil // the plan holds an opened archive, which its context keeps open
	}
	m.endOp()
	m.message = ""
	if msg.err != nil {
		m.dialogs = append(m.dialogs, newFailure("the restore could not be planned", msg.err))
		return nil
	}
	m.dialogs = nil
	if _, ok := m.page().(*planPage); ok {
		m.pop()
	}
	m.pages = append(m.pages, newPlanPage(msg.plan, msg.file))
	return nil
}

// gotEvents gives events to the run they belong to; the end of a run reads
// the list again.
func (m *model) gotEvents(msg eventsMsg) tea.Cmd {
	for _, ev := range msg.events {
		msg.j.apply(ev, m.now)
	}
	if len(msg.events) == 0 {
		return nil
	}
	if msg.j.done == nil {
		return m.g.events(msg.j, msg.j.pump)
	}
	if m.stop != nil {
		m.stop()
	}
	m.dropRunDialogs()
	if m.leaving {
		return tea.Quit
	}
	if _, ok := m.page().(*jobPage); !ok {
		m.message = msg.j.headline(m.th) + "   (J shows it)"
	}
	return m.g.list()
}

// dropRunDialogs closes questions of and about a run that has ended
// meanwhile: nobody should answer them any more.
func (m *model) dropRunDialogs() {
	kept := m.dialogs[:0]
	for _, d := range m.dialogs {
		c, about := d.(*confirm)
		if _, asks := d.(*passphrase); asks || about && c.aboutRun {
			continue
		}
		kept = append(kept, d)
	}
	m.dialogs = kept
}

// interval is the least time between two batches of events.
func interval(slow bool) time.Duration {
	if slow {
		return 500 * time.Millisecond
	}
	return 250 * time.Millisecond
}
