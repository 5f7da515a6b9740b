package tui

import (
	"time"

	tea "charm.land/bubbletea/v2"

	"pgvault/vault"
)

// env is what a screen may know of the rest while it draws or decides.
type env struct {
	th       theme
	now      time.Time
	loc      *time.Location
	readOnly bool
	job      *job // the newest run of this session, nil before the first
	identity []string
	places   []string
	w, h     int // the body: the cells a page may fill
}

// busy gives why nothing new may be started, empty when it may.
func (e env) busy() string {
	switch {
	case e.readOnly:
		return "read only: nothing is started or changed from here"
	case e.job != nil && e.job.done == nil:
		return e.job.title(e.th) + " is still running; J shows it"
	}
	return ""
}

// block is some lines of a screen, with the text cursor where one is.
type block struct {
	lines  []string
	cursor bool
	cx, cy int
}

// screen is a page or a dialog: a plain struct that never does input or
// output. What it wants done it says in actions.
type screen interface {
	// keys is the keymap now, without the global keys.
	keys(e env) keymap
	// do answers a command of its keymap, and cmdBack: no actions there
	// means that the model goes one step back itself.
	do(e env, c command) []action
	// typed takes a key as text where a text field has the focus.
	typed(e env, k tea.KeyPressMsg) bool
	// paste takes pasted text.
	paste(e env, s string)
	// click and wheel take the mouse; y counts from the first line of view.
	click(e env, x, y int) []action
	wheel(e env, delta int)
	// view draws at most e.h lines of e.w cells. Longer lines are cut.
	view(e env) block
}

// base is a screen without text fields and without a mouse.
type base struct{}

func (base) typed(env, tea.KeyPressMsg) bool { return false }
func (base) paste(env, string)               {}
func (base) click(env, int, int) []action    { return nil }
func (base) wheel(env, int)                  {}

// action is something a screen asks of the model.
type action interface{}

// The actions.
type (
	say        string                // show in the message line
	openPage   struct{ s screen }    // go to a page; Esc comes back
	openDialog struct{ s screen }    // lay a dialog over the page
	closeTop   struct{}              // one step back
	runCommand struct{ cmd command } // close the dialog and do this on what is below
	copyText   struct{ text, what string }
	refresh    struct{}
	askBackup  struct{ database string } // find the databases, then ask which
	runBackup  struct{ database string }
	runVerify  struct {
		archive vault.Archive
		level   vault.Proof
		files   []string
	}
	propose struct { // a name for the target of f
		f *restoreForm
	}
	makePlan struct {
		archive vault.Archive
		target  string
		files   []string
	}
	runRestore struct{ plan *vault.RestorePlan }
	cancelRun  struct{}
	leave      struct{ cancel bool }
	answer     struct { // the passphrase that the engine waits for
		q    *question
		text string
		err  error
	}
)
