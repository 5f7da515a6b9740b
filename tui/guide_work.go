package tui

import (
	"context"
	"os"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"pgvault/guide"
	"pgvault/vault"
)

// What the Works of a guide bring back.
type (
	guideDoneMsg struct {
		p *guidePage
		w *guide.Work
	}
	guideEventsMsg struct {
		p      *guidePage
		w      *guide.Work
		events []vault.Event
		more   tea.Cmd
	}
)

// guideOpen is the guide that is among the pages, nil for none.
func (m *model) guideOpen() *guidePage {
	for _, s := range m.pages {
		if p, ok := s.(*guidePage); ok {
			return p
		}
	}
	return nil
}

// openRestore is an action: the restore guide, with its first step answered
// where an archive is named.
type openRestore struct{ archive vault.Archive }

// restoreGuide opens the restore guide.
func (m *model) restoreGuide(a openRestore) {
	home, _ := os.UserHomeDir() // without one, ~/ is not known
	m.pages = append(m.pages, newGuidePage(guide.Restore(guide.RestoreOptions{
		Vault: m.g.restorer(), Runs: m.g.vault.Runs, Archive: a.archive, Files: expand(m.o.Identity), Home: home, Again: m.o.Command,
		Now: func() time.Time { return m.o.Now().In(m.loc()) },
	})))
}

// afterGuide is called after every message: it runs what the open guide has
// pending, and closes one that is no longer shown or is at its end.
func (m *model) afterGuide() tea.Cmd {
	open := m.guideOpen()
	var cmds []tea.Cmd
	if m.o.Guide != nil && m.guide != nil && (open == nil || open.s.Finished()) {
		return m.endAlone(m.guide)
	}
	if old := m.guide; old != nil && old != open {
		cmds = append(cmds, m.guidePending(old))
		old.s.Close()
	}
	m.guide = open
	if open == nil {
		return tea.Batch(cmds...)
	}
	if open.s.Finished() {
		m.pages = slices.DeleteFunc(m.pages, func(s screen) bool { return s == open })
		cmds = append(cmds, m.guidePending(open))
		open.s.Close()
		m.guide = nil
		return tea.Batch(cmds...)
	}
	cmds = append(cmds, m.guidePending(open))
	if m.guideOpen() != open { // its job has a page of its own now
		open.s.Close()
		m.guide = nil
	}
	return tea.Batch(cmds...)
}

// endAlone leaves the screen with the guide that it was opened for, after
// what the guide still has to keep or to drop.
func (m *model) endAlone(p *guidePage) tea.Cmd {
	m.guide, m.o.Guide = nil, nil
	if m.o.Again != nil && p.s.Finished() {
		*m.o.Again = "the set-up is done"
	}
	cmd := m.guidePending(p)
	p.s.Close()
	return tea.Sequence(cmd, tea.Quit)
}

// guidePending turns every waiting Work into a Cmd.
func (m *model) guidePending(p *guidePage) tea.Cmd {
	var cmds []tea.Cmd
	for w := p.s.Pending(); w != nil; w = p.s.Pending() {
		switch {
		case !w.Follows():
			cmds = append(cmds, m.guideRun(p, w))
		case p.s.Guide().JobView:
			cmds = append(cmds, m.guideJob(p))
		default:
			cmds = append(cmds, m.guideFollow(p, w))
		}
	}
	return tea.Batch(cmds...)
}

// guideRun does a Work; a passphrase that it needs is asked on the screen.
func (m *model) guideRun(p *guidePage, w *guide.Work) tea.Cmd {
	g := m.g
	ctx := g.ctx
	return g.ask(func() tea.Msg {
		w.Run(ctx, guide.Talk{
			Passphrase: func(prompt string) (string, error) {
				ctx, stop := context.WithCancel(ctx)
				defer stop()
				go func() {
					select {
					case <-w.Gone():
						stop()
					case <-ctx.Done():
					}
				}()
				return g.passphrase(ctx, prompt)
			},
			Say: func(text string) { g.send(guideSayMsg{w, text}) },
		}, nil)
		return guideDoneMsg{p, w}
	})
}

// guideSayMsg is what a Work says while it goes on.
type guideSayMsg struct {
	w    *guide.Work
	text string
}

// guideJob goes to the view of the job that the guide has started; the guide
// has nothing more to do and closes.
func (m *model) guideJob(p *guidePage) tea.Cmd {
	run := p.s.Values().Run(p.s.Step().Key)
	m.know.addJob(run.Job)
	return tea.Batch(m.openJob(openJob{ref: run.Job.ID}), m.refreshActivity())
}

// guideFollow shows a job's events in the guide.
func (m *model) guideFollow(p *guidePage, w *guide.Work) tea.Cmd {
	g, pu := m.g, newPump(m.g.wait, m.g.now)
	ended := make(chan struct{})
	work := guard(func() tea.Msg {
		defer close(ended)
		w.Run(g.ctx, guide.Talk{}, pu.put)
		pu.put(vault.RunDone{}) // ends the pump where the job told no end
		return nil
	})
	return tea.Batch(work, guideEvents(p, w, pu, ended))
}

// guideEvents waits for events; after the last of them the Work is given
// back.
func guideEvents(p *guidePage, w *guide.Work, pu *pump, ended chan struct{}) tea.Cmd {
	return func() tea.Msg {
		events := pu.next()
		if len(events) == 0 {
			<-ended
			return guideDoneMsg{p, w}
		}
		return guideEventsMsg{p, w, events, guideEvents(p, w, pu, ended)}
	}
}

// guideMsg takes what concerns a guide; false for any other message.
func (m *model) guideMsg(msg tea.Msg) (tea.Cmd, bool) {
	switch msg := msg.(type) {
	case guideDoneMsg:
		if strings.HasSuffix(m.message, "wait: "+m.th.text(msg.w.Say)) {
			m.message = "" // the wait is over
		}
		return m.guideEffect(msg.p, msg.p.s.Done(msg.w)), true
	case guideSayMsg:
		msg.w.Say = msg.text
		m.stir()
		return nil, true
	case guideEventsMsg:
		for _, e := range msg.events {
			if d, ok := e.(vault.RunDone); !ok || d.Result != "" {
				msg.p.s.Event(msg.w, e)
			}
		}
		m.stir()
		return msg.more, true
	}
	return nil, false
}

func (m *model) guideEffect(p *guidePage, e guide.Effect) tea.Cmd {
	if e.Say != "" {
		m.message = m.th.text(e.Say)
	}
	if e.Copy == "" {
		return nil
	}
	return tea.Batch(tea.SetClipboard(e.Copy), toTmux(e.Copy))
}

// leaveAll leaves the program; a guide's draft is kept before.
func (m *model) leaveAll() tea.Cmd {
	p := m.guideOpen()
	if p == nil {
		return tea.Quit
	}
	p.s.Leave()
	cmd := m.guidePending(p)
	p.s.Close()
	return tea.Sequence(cmd, tea.Quit)
}

// restorer is what the restore guide asks of the vault.
type restorer struct {
	vault.Desk
	vault.Keeper
}

func (g *engine) restorer() restorer { return restorer{g.vault.Desk, g.vault.Keeper} }
