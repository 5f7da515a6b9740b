package tui

import (
	"context"

	tea "charm.land/bubbletea/v2"

	"pgvault/fault"
	"pgvault/vault"
)

// The answers about jobs.
type (
	secretsMsg struct {
		op      int
		order   vault.Order
		secrets vault.Secrets
		err     error
	}
	launchedMsg struct {
		order vault.Order
		job   vault.Job
		err   error
	}
)

// launch starts a runner. Where one goes on that does the same, it is shown
// instead.
func (m *model) launch(o vault.Order, s vault.Secrets) tea.Cmd {
	if why := m.env().busy(); why != "" {
		m.message = why
		return nil
	}
	if o.Kind == vault.KindBackup {
		if j, ok := m.know.runningOn(o.Kind, o.Database); ok {
			return m.joined(j)
		}
	}
	m.message = "starting"
	return m.g.ask(func() tea.Msg {
		j, err := m.g.vault.Launch(m.g.ctx, o, s)
		return launchedMsg{o, j, err}
	})
}

// joined shows the job that does already what was asked for.
func (m *model) joined(j vault.Job) tea.Cmd {
	cmd := m.openJob(openJob{ref: j.ID})
	m.message = "already running: " + jobName(m.th, j) + ", started by " + m.th.text(byWhom(j.Actor)) + "; this is it"
	return cmd
}

// tryKeys finds the identities that open the archive of an order, with their
// passphrases, and launches it with them.
func (m *model) tryKeys(o vault.Order, files []string) tea.Cmd {
	if why := m.env().busy(); why != "" {
		m.message = why
		return nil
	}
	ctx := m.newOp("trying the identity; Esc stops")
	op := m.op
	return m.g.ask(func() tea.Msg {
		s, err := m.g.secrets(ctx, o.ID, expand(files))
		return secretsMsg{op, o, s, err}
	})
}

func (m *model) gotSecrets(msg secretsMsg) tea.Cmd {
	if !m.opDone(msg.op) {
		return nil
	}
	m.dropQuestions()
	if msg.err != nil {
		m.dialogs = append(m.dialogs, newFailure("no identity opens this archive", msg.err))
		return nil
	}
	return m.launch(msg.order, msg.secrets)
}

func (m *model) gotLaunched(msg launchedMsg) tea.Cmd {
	m.message = ""
	if msg.err != nil {
		if j, ok := m.know.runningOn(msg.order.Kind, msg.order.Database); ok && fault.CodeOf(msg.err) == fault.Running {
			return m.joined(j)
		}
		m.dialogs = append(m.dialogs, newFailure("the "+string(msg.order.Kind)+" was not started", msg.err))
		return nil
	}
	m.know.addJob(msg.job)
	m.dialogs = nil
	return tea.Batch(m.openJob(openJob{ref: msg.job.ID}), m.refreshActivity())
}

// openJob shows a job, running or finished, on top of Activity, and follows
// its journal from the first line.
func (m *model) openJob(a openJob) tea.Cmd {
	_ = m.goTo(placeActivity) // it asks nothing: only Setup does
	j := newJob(vault.Order{}, m.now)
	if known, ok := m.know.job(a.ref); ok {
		j = newJob(known.Order, m.now)
		j.know(known)
	}
	j.ref = a.ref
	p := newJobPage(j)
	p.showLog = a.log
	m.pages = append(m.pages, p)
	ctx, stop := context.WithCancel(m.g.ctx)
	m.job, m.unfollow = j, stop
	return m.g.follow(ctx, j)
}

// endFollow stops following the job whose page is left. The job goes on.
func (m *model) endFollow() {
	if m.unfollow != nil {
		m.unfollow()
	}
	m.job, m.unfollow = nil, nil
}

// gotEvents gives events to the job they belong to.
func (m *model) gotEvents(msg eventsMsg) tea.Cmd {
	if msg.j != m.job || len(msg.events) == 0 {
		return nil
	}
	for _, ev := range msg.events {
		msg.j.apply(ev, m.now)
	}
	m.stir()
	m.know.newer(msg.j)
	if msg.j.done == nil {
		return m.g.events(msg.j, msg.j.pump)
	}
	m.dropQuestionsAbout(msg.j.ref)
	return tea.Batch(m.g.jobs(false), m.offer(msg.j))
}

// cancel asks the runner of a job to end.
func (m *model) cancel(ref string) tea.Cmd {
	if why := m.env().busy(); why != "" {
		m.message = why
		return nil
	}
	if m.job != nil && m.job.ref == ref {
		m.job.cancelling = true
	}
	m.message = "asking it to end"
	return m.g.ask(func() tea.Msg {
		return keptMsg{what: "the job could not be cancelled", done: "it was told to end, and cleans up", err: m.g.vault.Cancel(m.g.ctx, ref), job: ref}
	})
}

// dropQuestions closes passphrase questions that nobody waits for any more.
func (m *model) dropQuestions() {
	m.keepDialogs(func(d screen) bool { _, asks := d.(*passphrase); return !asks })
}

// dropQuestionsAbout closes the question whether to cancel a job that has
// ended meanwhile.
func (m *model) dropQuestionsAbout(ref string) {
	m.keepDialogs(func(d screen) bool {
		c, ok := d.(*confirm)
		return !ok || c.about != ref
	})
}

func (m *model) keepDialogs(keep func(screen) bool) {
	kept := m.dialogs[:0]
	for _, d := range m.dialogs {
		if keep(d) {
			kept = append(kept, d)
		}
	}
	m.dialogs = kept
}
