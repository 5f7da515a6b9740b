package tui

import (
	"errors"

	tea "charm.land/bubbletea/v2"

	"pgvault/config"
	"pgvault/fault"
	"pgvault/setup"
)

// The answers of the Setup page's Cmds.
type (
	overviewMsg struct {
		over *setup.Overview
		err  error
	}
	begunMsg struct {
		edit  *setup.Edit
		table string
		err   error
	}
	editedMsg struct { // the editor has ended
		edit *setup.Edit
		err  error
	}
	reviewMsg struct {
		edit   *setup.Edit
		review *setup.Review
		err    error
	}
	savedMsg struct {
		edit    *setup.Edit
		summary string
		err     error
	}
	droppedMsg struct{ err error }
)

// setupAct does the actions of the Setup page; ok is false for others.
func (m *model) setupAct(a action) (cmd tea.Cmd, ok bool) {
	d := m.o.Setup
	switch a := a.(type) {
	case lookOver:
		switch {
		case d == nil:
			m.message = "this screen was opened without a configuration"
			return nil, true
		case m.setup.asking:
			return nil, true
		}
		m.setup.asking = true
		return m.g.ask(func() tea.Msg {
			over, err := d.Overview(m.g.ctx)
			return overviewMsg{over, err}
		}), true
	case editConfig:
		return m.g.ask(func() tea.Msg {
			edit, err := d.Begin()
			return begunMsg{edit, a.table, err}
		}), true
	case editAgain:
		return m.runEditor(a.edit, ""), true
	case editFresh:
		m.message = "your text stays in " + m.th.text(a.edit.Copy)
		return m.g.ask(func() tea.Msg {
			edit, err := d.Begin()
			return begunMsg{edit, "", err}
		}), true
	case leaveEdit:
		m.message = "nothing was saved; your text stays in " + m.th.text(a.edit.Copy)
	case dropEdit:
		m.message = "the file is as it was"
		return m.dropCopy(a.edit), true
	case saveConfig:
		return m.g.ask(func() tea.Msg {
			return savedMsg{a.edit, a.review.Summary(), a.edit.Save(m.g.ctx, a.review, a.typed)}
		}), true
	default:
		return nil, false
	}
	return nil, true
}

// dropCopy removes the copy of an edit.
func (m *model) dropCopy(e *setup.Edit) tea.Cmd {
	return m.g.ask(func() tea.Msg { return droppedMsg{e.Close()} })
}

// runEditor gives the terminal to the editor until it ends.
func (m *model) runEditor(e *setup.Edit, table string) tea.Cmd {
	m.g.pending++
	run := m.o.exec
	if run == nil {
		run = tea.ExecProcess
	}
	return run(e.Editor(table), func(err error) tea.Msg { return told{editedMsg{e, err}} })
}

// setupAnswered takes what the Setup page's Cmds bring back; ok is false for
// other messages.
func (m *model) setupAnswered(msg tea.Msg) (cmd tea.Cmd, ok bool) {
	switch msg := msg.(type) {
	case overviewMsg:
		m.setup.take(msg)
	case begunMsg:
		if msg.err != nil {
			m.dialogs = append(m.dialogs, newFailure("the configuration cannot be edited", msg.err))
			return nil, true
		}
		return m.runEditor(msg.edit, msg.table), true
	case editedMsg:
		return m.edited(msg), true
	case reviewMsg:
		return m.reviewed(msg), true
	case savedMsg:
		return m.saved(msg), true
	case droppedMsg:
		if msg.err != nil {
			m.message = "! the copy could not be removed: " + m.th.text(msg.err.Error())
		}
		if m.o.Again != nil && *m.o.Again != "" {
			return tea.Quit, true
		}
	default:
		return nil, false
	}
	return nil, true
}

// edited reviews the copy, unless the editor failed: vi's :cq says that
// nothing is to be done.
func (m *model) edited(msg editedMsg) tea.Cmd {
	if msg.err != nil {
		m.message = "the editor ended with " + m.th.text(msg.err.Error()) + "; nothing was changed"
		return m.dropCopy(msg.edit)
	}
	return m.g.ask(func() tea.Msg {
		r, err := msg.edit.Review(m.g.ctx)
		return reviewMsg{msg.edit, r, err}
	})
}

func (m *model) reviewed(msg reviewMsg) tea.Cmd {
	switch {
	case msg.err != nil:
		m.dialogs = append(m.dialogs, newFailure("the change cannot be weighed", msg.err))
	case len(msg.review.Diff) == 0:
		m.message = "nothing was changed"
		return m.dropCopy(msg.edit)
	default:
		m.dialogs = append(m.dialogs, newReview(msg.edit, msg.review))
	}
	return nil
}

// saved tells how saving went. A file that was changed in the last moment is
// reviewed again, which shows both changes.
func (m *model) saved(msg savedMsg) tea.Cmd {
	switch {
	case errors.Is(msg.err, config.ErrChanged):
		return m.edited(editedMsg{edit: msg.edit})
	case msg.err != nil && fault.CodeOf(msg.err) != fault.Partial:
		m.dialogs = append(m.dialogs, newFailure("the change was not saved", msg.err))
		return nil
	case msg.err != nil:
		m.dialogs = append(m.dialogs, newFailure("saved, but", msg.err))
	}
	m.message = "saved: " + m.th.text(msg.summary)
	drop := m.dropCopy(msg.edit)
	if m.o.Again == nil || msg.err != nil {
		look, _ := m.setupAct(lookOver{})
		return tea.Batch(look, drop)
	}
	// The screen begins anew with the new configuration: a running one would
	// go on showing limits and names of the old.
	*m.o.Again = m.message
	return drop
}
