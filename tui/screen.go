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
	why      string // why nothing may be changed, where readOnly
	know     *known // what the screen has learnt of the vault
	identity []string
	command  func(string) string // Options.Command
	places   []string
	w, h     int // the body: the cells a page may fill
}

// busy gives why nothing may be started or changed, empty when it may. A job
// that goes on is no reason: jobs run beside each other.
func (e env) busy() string {
	if !e.readOnly {
		return ""
	}
	return first(e.why, "read only: nothing is started or changed from here")
}

// current gives an archive as the newest listing knows it.
func (e env) current(a vault.Archive) vault.Archive {
	for i := range e.know.list {
		if e.know.list[i].ID == a.ID {
			return e.know.list[i]
		}
	}
	return a
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

// filtered is a page with a filter line.
type filtered interface {
	// editing tells whether the filter line has the keys.
	isEditing() bool
	// canBack tells whether Esc has a step to go within the page.
	canBack() bool
}

// texting is a screen with a text field.
type texting interface {
	// takesText tells whether letters go to the field now.
	takesText() bool
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
	launch struct { // start a runner and show it
		order   vault.Order
		secrets vault.Secrets
	}
	openJob struct { // show a job, running or finished
		ref string
		log bool
	}
	cancelRun struct{ ref string } // ask the runner of a job to end
	pin       struct {
		id     string
		pinned bool
	}
	askDelete     struct{ id string } // find out what it would do, then ask
	deleteArchive struct{ plan *vault.DeletePlan }
	askTables     struct { // open the contents and list the tables
		archive vault.Archive
		files   []string
	}
	answer struct { // the passphrase that the engine waits for
		q    *question
		text string
		err  error
	}
)
