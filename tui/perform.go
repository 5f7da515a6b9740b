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
		m.message = readingAgain
		return tea.Batch(m.refresh(), m.relook(), m.replan())
	case openJob:
		return m.openJob(a)
	case openRestore:
		m.restoreGuide(a)
	case stay:
	case answer:
		m.pop()
		a.q.reply <- questionReply{a.text, a.err}
	default:
		if cmd, ok := m.setupAct(a); ok {
			return cmd
		}
		return m.start(a)
	}
	return nil
}

// readingAgain is the message until the list has come.
const readingAgain = "reading the vault again"

// start does the actions that ask the vault for something that may take long
// or that changes something.
func (m *model) start(a action) tea.Cmd {
	switch a := a.(type) {
	case askBackup:
		ctx := m.newOp("asking the server for its databases; Esc stops")
		return m.g.databases(ctx, m.op, a.database)
	case runBackup:
		return m.launch(vault.Order{Kind: vault.KindBackup, Database: a.database}, vault.Secrets{})
	case runVerify:
		o := vault.Order{Kind: vault.KindVerify, Database: a.archive.Database, ID: a.archive.ID, Level: a.level}
		if a.level == vault.ProofIntact {
			return m.launch(o, vault.Secrets{})
		}
		return m.tryKeys(o, a.files)
	case launch:
		return m.launch(a.order, a.secrets)
	case cancelRun:
		return m.cancel(a.ref)
	case pin:
		return m.pin(a)
	case askDelete:
		return m.askDelete(a)
	case deleteArchive:
		return m.deleteArchive(a)
	case askTables:
		return m.askTables(a)
	case openRetention:
		return m.openRetention(a)
	case keepMarked:
		return m.keepMarked(a)
	case saveKeep:
		return m.saveKeep(a)
	case openSwitch:
		return m.openSwitch(a)
	case planSwitch:
		return m.planSwitch(a.page)
	}
	return nil
}

// newOp begins a question that Esc can end; the answer to an older one no
// longer counts.
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

// opDone takes the answer of the newest question; false for an older one.
func (m *model) opDone(op int) bool {
	if op != m.op {
		return false
	}
	m.endOp()
	m.message = ""
	return true
}

func (m *model) gotDatabases(msg databasesMsg) tea.Cmd {
	if !m.opDone(msg.op) {
		return nil
	}
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

// interval is the least time between two batches of events: four a second,
// two over SSH.
func interval(slow bool) time.Duration {
	if slow {
		return 500 * time.Millisecond
	}
	return 250 * time.Millisecond
}

// pollEvery is the time between two looks at the jobs. A run that others
// started is seen within two seconds.
func pollEvery(slow bool) time.Duration {
	if slow {
		return 1900 * time.Millisecond
	}
	return time.Second
}
