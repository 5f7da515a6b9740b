package tui

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"pgvault/fault"
	"pgvault/vault"
)

// engine is the model's way to the desk: it runs what takes time in Cmds and
// knows which runs still go on when the screen is left.
type engine struct {
	ctx  context.Context
	desk vault.Desk
	send func(tea.Msg) // into the program, from any goroutine
	wait time.Duration // least time between two batches of events
	now  func() time.Time

	mu     sync.Mutex
	closed bool
	wg     sync.WaitGroup
	last   *vault.RunDone // how the newest run ended
}

// The answers of Cmds.
type (
	listMsg struct {
		list []vault.Archive
		err  error
		at   time.Time
	}
	databasesMsg struct {
		op        int
		preferred string
		names     []string
		err       error
	}
	proposedMsg struct {
		f      *restoreForm
		target string
	}
	planMsg struct {
		op   int
		plan *vault.RestorePlan
		file []string
		err  error
	}
	eventsMsg struct {
		j      *job
		events []vault.Event
	}
)

// question is a passphrase that the engine waits for.
type question struct {
	prompt string
	reply  chan questionReply // of capacity 1
}

type questionReply struct {
	text string
	err  error
}

// errNoPassphrase is the answer of someone who pressed Esc.
var errNoPassphrase = errors.New("no passphrase was given")

// brokenMsg says that a Cmd panicked: the model leaves, so that the terminal
// is itself again before anything is printed.
type brokenMsg struct {
	why   string
	stack []byte
}

// guard gives c with a panic in it turned into a message.
func guard(c tea.Cmd) tea.Cmd {
	return func() (msg tea.Msg) {
		defer func() {
			if r := recover(); r != nil {
				msg = brokenMsg{fmt.Sprint("panic: ", r), debug.Stack()}
			}
		}()
		return c()
	}
}

// begin counts a run in; false when the screen has been left already.
func (g *engine) begin() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.wg.Add(1)
	return true
}

// close lets no run begin any more and waits for those that go on; their
// context must have been cancelled.
func (g *engine) close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.wg.Wait()
}

// ended gives how the newest run ended, nil when none did.
func (g *engine) ended() *vault.RunDone {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.last
}

// run gives the Cmd that performs f as run j, and the one that feeds its
// events to the model.
func (g *engine) run(ctx context.Context, j *job, f func(context.Context, vault.Sink) error) tea.Cmd {
	p := newPump(g.wait, g.now)
	work := func() tea.Msg {
		if !g.begin() {
			return nil
		}
		defer g.wg.Done()
		err := f(ctx, func(e vault.Event) {
			if d, ok := e.(vault.RunDone); ok {
				g.mu.Lock()
				g.last = &d
				g.mu.Unlock()
			}
			p.put(e)
		})
		p.put(closing(j, err))
		return nil
	}
	return tea.Batch(guard(work), g.events(j, p))
}

func (g *engine) events(j *job, p *pump) tea.Cmd {
	j.pump = p
	return func() tea.Msg { return eventsMsg{j, p.next()} }
}

// closing is the RunDone of an engine that gave none.
func closing(j *job, err error) vault.RunDone {
	if err == nil {
		err = &fault.Error{What: "the run ended without a result", Do: "verify the archive before trusting it"}
	}
	d := vault.RunDone{Kind: j.kind, Result: vault.ResultFailed, ID: j.id, Database: j.database, Target: j.target, Exit: fault.CodeOf(err), Err: err}
	if errors.Is(err, context.Canceled) {
		d.Result = vault.ResultCancelled
	}
	return d
}

// identities are the files and a callback that asks on the screen. The
// callback ends when ctx does.
func (g *engine) identities(ctx context.Context, files []string) vault.Identities {
	return vault.Identities{
		Files: files,
		Passphrase: func(prompt string) (string, error) {
			q := &question{prompt: prompt, reply: make(chan questionReply, 1)}
			g.send(q)
			select {
			case r := <-q.reply:
				return r.text, r.err
			case <-ctx.Done():
				return "", ctx.Err()
			}
		},
	}
}

func (g *engine) list() tea.Cmd {
	return guard(func() tea.Msg {
		l, err := g.desk.List(g.ctx)
		return listMsg{l, err, g.now()}
	})
}

func (g *engine) databases(ctx context.Context, op int, preferred string) tea.Cmd {
	return guard(func() tea.Msg {
		names, err := g.desk.Databases(ctx)
		return databasesMsg{op, preferred, names, err}
	})
}

// proposal asks for the name that a restore of f's archive would give its
// target. Nobody is asked for a passphrase by it: where that is needed, or
// anything else fails, the plan page shows the name later.
func (g *engine) proposal(f *restoreForm) tea.Cmd {
	id, files := f.archive.ID, splitPaths(f.file.text())
	return guard(func() tea.Msg {
		p, err := g.desk.PlanRestore(g.ctx, vault.RestoreOptions{ID: id, Identities: vault.Identities{
			Files:      expand(files),
			Passphrase: func(string) (string, error) { return "", errNoPassphrase },
		}})
		if err != nil || p == nil {
			return nil
		}
		return proposedMsg{f, p.Target}
	})
}

func (g *engine) plan(ctx context.Context, op int, a makePlan) tea.Cmd {
	return guard(func() tea.Msg {
		files := expand(a.files)
		p, err := g.desk.PlanRestore(ctx, vault.RestoreOptions{
			ID: a.archive.ID, ToNew: a.target, Identities: g.identities(g.ctx, files),
		})
		if err == nil && p == nil {
			err = errors.New("the plan came back empty")
		}
		return planMsg{op, p, a.files, err}
	})
}

// expand replaces a leading ~/ by the home folder.
func expand(files []string) []string {
	home, err := os.UserHomeDir()
	out := make([]string, 0, len(files))
	for _, f := range files {
		if rest, ok := strings.CutPrefix(f, "~/"); ok && err == nil {
			f = filepath.Join(home, rest)
		}
		out = append(out, f)
	}
	return out
}

// toTmux hands copied text to tmux too, whose own setting may keep OSC 52
// from the terminal. Outside tmux it does nothing.
func toTmux(text string) tea.Cmd {
	if os.Getenv("TMUX") == "" {
		return nil
	}
	return func() tea.Msg {
		ctx, stop := context.WithTimeout(context.Background(), 2*time.Second)
		defer stop()
		c := exec.CommandContext(ctx, "tmux", "load-buffer", "-w", "-")
		c.Stdin = strings.NewReader(text)
		_ = c.Run() // OSC 52 has been sent as well: nothing to report
		return nil
	}
}
