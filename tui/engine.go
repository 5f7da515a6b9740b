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
	"time"

	tea "charm.land/bubbletea/v2"

	"pgvault/fault"
	"pgvault/vault"
)

// Vault is what the screen is shown on: the reading, the jobs and the keeping
// of one vault. They are three so that a test can make up each of them.
type Vault struct {
	vault.Desk
	vault.Runs
	vault.Keeper
}

// engine is the model's way to the vault: it turns each question into a Cmd.
// No Cmd runs a backup, a verify or a restore: those are jobs, processes of
// their own.
type engine struct {
	ctx   context.Context
	vault Vault
	send  func(tea.Msg) // into the program, from any goroutine
	wait  time.Duration // least time between two batches of a job's events
	poll  time.Duration // between two looks at the jobs
	now   func() time.Time
	frame time.Duration // that the first frame is given before the places are asked

	pending int // questions whose answer has not come; only Update touches it
}

// told is the answer of a question that began with ask; msg may be nil.
type told struct{ msg tea.Msg }

// The answers.
type (
	listMsg struct {
		list  []vault.Archive
		at    time.Time
		old   bool // from the state folder, not from the place
		fresh bool // what was asked for
		err   error
	}
	healthMsg struct {
		health *vault.Health
		err    error
	}
	// earlyHealthMsg is what is known while a place has not answered yet.
	earlyHealthMsg struct{ health *vault.Health }
	jobsMsg        struct {
		jobs   []vault.Job
		others []string // whose other screens are open on this vault
		next   bool     // the next look follows this one
		err    error
	}
	activityMsg struct {
		list  []vault.Activity
		trail vault.Trail
		err   error
	}
	databasesMsg struct {
		op        int
		preferred string
		names     []string
		err       error
	}
	eventsMsg struct {
		j      *job
		events []vault.Event
	}
	lostMsg struct { // a job can no longer be followed
		j   *job
		err error
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

// ask makes the Cmd of a question. It must be run: the screen counts as busy
// until its answer has been taken.
func (g *engine) ask(f func() tea.Msg) tea.Cmd {
	g.pending++
	return func() tea.Msg { return told{guard(f)()} }
}

// later gives Cmds after a while. Until then their questions count as open.
func (g *engine) later(d time.Duration, cmds []tea.Cmd) tea.Cmd {
	return tea.Tick(d, func(time.Time) tea.Msg { return tea.BatchMsg(cmds) })
}

func (g *engine) list(fresh bool) tea.Cmd {
	return g.ask(func() tea.Msg {
		l, err := g.vault.Listing(g.ctx, fresh)
		return listMsg{list: l.Archives, at: l.At, old: l.Cached, fresh: fresh, err: err}
	})
}

func (g *engine) health() tea.Cmd {
	return g.ask(func() tea.Msg {
		h, err := g.vault.HealthSoon(g.ctx, func(h *vault.Health) { g.send(earlyHealthMsg{h}) })
		if err == nil && h == nil {
			err = errors.New("the health came back empty")
		}
		return healthMsg{h, err}
	})
}

// jobs looks at the jobs; next tells whether to look again after a while.
func (g *engine) jobs(next bool) tea.Cmd {
	return g.ask(func() tea.Msg {
		jobs, err := g.vault.Jobs(g.ctx)
		return jobsMsg{jobs, g.vault.Screens(), next, err}
	})
}

// activityMax is how many entries of the past the screen holds.
const activityMax = 2000

func (g *engine) activity() tea.Cmd {
	return g.ask(func() tea.Msg {
		list, trail, err := g.vault.Activity(g.ctx, activityMax)
		return activityMsg{list, trail, err}
	})
}

// follow gives the Cmds that bring the events of a job to the model, from the
// first on, until ctx ends.
func (g *engine) follow(ctx context.Context, j *job) tea.Cmd {
	p := newPump(g.wait, g.now)
	work := func() tea.Msg {
		err := g.vault.Watch(ctx, j.ref, p.put)
		p.close()
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			err = errors.New("its journal ended without a result")
		}
		return lostMsg{j, err}
	}
	return tea.Batch(guard(work), g.events(j, p))
}

func (g *engine) events(j *job, p *pump) tea.Cmd {
	j.pump = p
	return func() tea.Msg { return eventsMsg{j, p.next()} }
}

// passphrase asks on the screen and ends when ctx does.
func (g *engine) passphrase(ctx context.Context, prompt string) (string, error) {
	q := &question{prompt: prompt, reply: make(chan questionReply, 1)}
	g.send(q)
	select {
	case r := <-q.reply:
		return r.text, r.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// identities are the files and a callback that asks on the screen. The
// callback ends when ctx does.
func (g *engine) identities(ctx context.Context, files []string) vault.Identities {
	return vault.Identities{
		Files:      files,
		Passphrase: func(prompt string) (string, error) { return g.passphrase(ctx, prompt) },
	}
}

// secrets finds which of the files open the archive, asking for a passphrase
// once where a file is encrypted, and gives what a runner needs: a runner has
// nobody to ask. It fails with the last cause when none opens it.
func (g *engine) secrets(ctx context.Context, id string, files []string) (vault.Secrets, error) {
	s := vault.Secrets{Passphrases: map[string]string{}}
	var last error
	for _, f := range files {
		said := ""
		_, err := g.vault.TryKeys(ctx, id, vault.Identities{Files: []string{f}, Passphrase: func(prompt string) (string, error) {
			var err error
			said, err = g.passphrase(ctx, prompt)
			return said, err
		}})
		if err != nil {
			last = err
			continue
		}
		s.Files = append(s.Files, f)
		if said != "" {
			s.Passphrases[f] = said
		}
	}
	if len(s.Files) > 0 {
		return s, nil
	}
	if last == nil {
		last = &fault.Error{What: "no identity was named", Do: "give the path of an identity file", Code: fault.NoKey}
	}
	return s, last
}

func (g *engine) databases(ctx context.Context, op int, preferred string) tea.Cmd {
	return g.ask(func() tea.Msg {
		names, err := g.vault.Databases(ctx)
		return databasesMsg{op, preferred, names, err}
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
