package tui

import (
	"context"

	tea "charm.land/bubbletea/v2"

	"pgvault/vault"
)

// The answers about what is kept.
type (
	keptMsg struct { // a change was made, or not
		what string // title of the failure
		done string // the message when it went well
		job  string // the job that was to be cancelled
		gone string // the archive that was to be deleted
		err  error
	}
	deletePlanMsg struct {
		op   int
		plan *vault.DeletePlan
		err  error
	}
	tablesMsg struct {
		op      int
		archive vault.Archive
		tables  []vault.TableInfo
		err     error
	}
)

// refused says why nothing may be changed, in the message line.
func (m *model) refused() bool {
	m.message = m.env().busy()
	return m.message != ""
}

func (m *model) pin(a pin) tea.Cmd {
	if m.refused() {
		return nil
	}
	done := "pinned: kept whatever the rules say"
	if !a.pinned {
		done = "no longer pinned: the rules decide again"
	}
	return m.g.ask(func() tea.Msg {
		return keptMsg{what: "the pin was not changed", done: done, err: m.g.vault.Pin(m.g.ctx, a.id, a.pinned)}
	})
}

// askDelete asks what deleting would do; the answer opens the dialog.
func (m *model) askDelete(a askDelete) tea.Cmd {
	if m.refused() {
		return nil
	}
	ctx := m.newOp("looking what deleting it would do; Esc stops")
	op := m.op
	return m.g.ask(func() tea.Msg {
		p, err := m.g.vault.PlanDelete(ctx, a.id)
		return deletePlanMsg{op, p, err}
	})
}

func (m *model) gotDeletePlan(msg deletePlanMsg) {
	if !m.opDone(msg.op) {
		return
	}
	switch {
	case msg.err != nil:
		m.dialogs = append(m.dialogs, newFailure("what deleting would do could not be found out", msg.err))
	case msg.plan.Refused != "":
		m.message = "not deleted: " + m.th.text(msg.plan.Refused)
	default:
		m.dialogs = append(m.dialogs, newDeleteDialog(msg.plan))
	}
}

func (m *model) deleteArchive(a deleteArchive) tea.Cmd {
	if m.refused() {
		return nil
	}
	m.message = "deleting"
	return m.g.ask(func() tea.Msg {
		return keptMsg{what: "the archive was not deleted", done: "deleted " + a.plan.Archive.ID, gone: a.plan.Archive.ID, err: m.g.vault.Delete(m.g.ctx, a.plan)}
	})
}

// gotKept tells how a change went, and reads again what it changed.
func (m *model) gotKept(msg keptMsg) tea.Cmd {
	m.message = m.th.text(msg.done)
	if msg.err != nil {
		m.message = ""
		if m.job != nil && m.job.ref == msg.job {
			m.job.cancelling = false
		}
		m.dialogs = append(m.dialogs, newFailure(msg.what, msg.err))
		return nil
	}
	for len(m.pages) > 1 && msg.gone != "" {
		p, ok := m.page().(interface{ holds(id string) bool })
		if !ok || !p.holds(msg.gone) {
			break
		}
		m.pages = m.pages[:len(m.pages)-1]
	}
	return tea.Batch(m.refresh(), m.relook())
}

// askTables opens the contents of an archive.
func (m *model) askTables(a askTables) tea.Cmd {
	ctx := m.newOp("opening the archive's contents; Esc stops")
	op := m.op
	return m.g.ask(func() tea.Msg {
		t, err := m.g.tables(ctx, a)
		return tablesMsg{op, a.archive, t, err}
	})
}

func (g *engine) tables(ctx context.Context, a askTables) ([]vault.TableInfo, error) {
	return g.vault.Tables(ctx, a.archive.ID, g.identities(ctx, expand(a.files)))
}

func (m *model) gotTables(msg tablesMsg) {
	if !m.opDone(msg.op) {
		return
	}
	m.dropQuestions()
	if msg.err != nil {
		m.dialogs = append(m.dialogs, newFailure("the archive's contents could not be opened", msg.err))
		return
	}
	m.pages = append(m.pages, newTablesPage(msg.archive, msg.tables))
}
