package guide

import (
	"context"

	"pgvault/vault"
)

// Guide is the description of one guide. It is not changed while it is shown.
type Guide struct {
	Name  string // one word, also in its draft: "restore"
	Title string // for the header: "RESTORE"
	Steps []Step
	// Runs starts and follows the jobs of steps that have one; nil where no
	// step has.
	Runs vault.Runs
	// JobView: where a face has a view of its own for jobs, it goes there when
	// the guide's job has begun, and the guide ends.
	JobView bool
	// Save keeps a draft, after each step and when the guide is left; nil:
	// leaving keeps nothing. Drop removes it when the last step is done.
	Save func(Draft) error
	Drop func() error
}

// Step is one page of a guide.
type Step struct {
	Key      string // stable, in drafts: "key"
	Name     string // in the trail of steps: "Key"; empty: a further page of the step before
	Question string // the one question, a sentence
	Text     string // one or two sentences below it, may be empty
	Why      string // why this is asked, for `?`
	Enter    string // what Enter does here, two words; empty: "continue"

	// Skip tells whether the step does not apply; nil: it does.
	Skip func(v *Values) bool
	// Fields in the order they are asked. A field whose When says no is left
	// out. May be empty.
	Fields []Field
	// Body is what is to be looked at below the fields, nil: nothing.
	Body func(v *Values) []Section
	// Actions have keys of their own.
	Actions []Action

	// Load finds out what the step needs, each time it is entered. It may set
	// facts, and propose texts with Values.Propose. What it cannot do it says
	// by an error of four lines; the step is then shown with that error, and
	// Enter tries again.
	Load func(ctx context.Context, v *Values, t Talk) error
	// Loading says what Load does, in a few words: "asking the server".
	Loading string
	// Check looks at what is filled in now, after each change, and gives
	// lines to show. It must not ask anything. An x line does not keep from
	// going on: that is for Do to decide.
	Check func(ctx context.Context, v *Values) []Line
	// Do is called when the step is left forwards. An error keeps the guide
	// here and is shown in its four lines. Doing says what it does: "deriving
	// (about 1 s)".
	Do    func(ctx context.Context, v *Values, t Talk) error
	Doing string
	// Job makes the step a run: it is launched when the step is entered, its
	// events are shown, and the step can be left when it has ended. Before,
	// there is no way back. Values.Run gives how it stands under the key of
	// the step.
	Job func(ctx context.Context, v *Values, t Talk) (vault.Order, vault.Secrets, error)
	// Launched tells of a job whether it is this step's, started before the
	// guide was cut off and could note it: then it is followed, and none is
	// launched. nil: none is looked for.
	Launched func(v *Values, j vault.Job) bool
	// Final marks the step after which nothing can be taken back: `<` does
	// not lead from a later step to this one or before it.
	Final bool
}

// Kind is what a field takes.
type Kind int

// The kinds of field.
const (
	Text   Kind = iota // one line
	Path               // a path on this host; a leading ~/ is the home folder
	Secret             // hidden; see SecretOf for its value
	Number             // a whole number, not negative
	Choice             // one of Options
	Many               // any number of Options
	YesNo              // "yes" or "no"
)

// Field is one thing asked. Its value is under Key in Values.
type Field struct {
	Key     string
	Label   string // short, in front of the field
	Kind    Kind
	Hint    string // beside or below an empty field: "file:/srv/backup"
	Default string // the value until one is given; YesNo: "no" where empty
	// Options of Choice and Many, from Values. A Choice without a value takes
	// the first that is not off.
	Options func(v *Values) []Option
	// When tells whether the field applies; nil: it does.
	When func(v *Values) bool
	// Optional: Enter goes on though it is empty.
	Optional bool
	// Valid looks at the value as it is typed: nil, or an empty Line, says
	// nothing; x keeps Enter from going on. For a Secret it is given the
	// secret's bytes and must not keep or show them; what it says is all that
	// is shown of it ("AGE-SECRET-KEY-1..., 74 characters, checksum ok").
	Valid func(v *Values, value []byte) Line
	// Reveal: a Secret that may be shown on demand (^R): passphrases, never
	// identities.
	Reveal bool
	// Lines: a pasted Secret or Text may have several lines.
	Lines bool
}

// Option is one of several to choose from.
type Option struct {
	Value string
	Label string
	Hint  string // a few words beside it
	Off   string // why it cannot be chosen now, empty when it can
}

// Line is one fact with its state: "ok", "!" (know this), "x" (wrong), or
// empty for plain text. The zero Line is nothing.
type Line struct {
	State string
	Text  string
	Do    string // the remedy, may be empty
}

// Section is a piece of a step's body: a label, then lines, then a table.
type Section struct {
	Label string // "checks"; may be empty
	Lines []Line
	Table *Table
}

// Table is rows under titles; a column whose title begins with '>' has
// numbers (the mark is not shown).
type Table struct {
	Titles []string
	Rows   [][]string
}

// Action is something a step offers on a key of its own.
type Action struct {
	Key  string // one letter; capital where two faces need it typed with care
	Name string // two words for the key line
	Help string // what happens
	// Off tells why it cannot be done now; nil or empty: it can.
	Off func(v *Values) string
	// Do does it, off the face's thread.
	Do func(ctx context.Context, v *Values, t Talk) (Effect, error)
}

// Effect is what a face does when something was done.
type Effect struct {
	Copy   string // into the clipboard; a face without one prints it
	Say    string // one line
	Goto   string // key of the step to go to
	Reload bool   // Load this step again
	Done   bool   // the guide is at its end and closes
}

// Talk is how a function that takes long speaks with the person meanwhile.
type Talk struct {
	// Passphrase asks hidden; nil: there is nobody to ask.
	Passphrase func(prompt string) (string, error)
	// Say tells what goes on now, one line; may be nil.
	Say func(text string)
}

// Tell is Say where there is one.
func (t Talk) Tell(text string) {
	if t.Say != nil {
		t.Say(text)
	}
}

// Copied is a Work's Effect that puts text into the clipboard and says what
// it was.
func Copied(text, what string) Effect { return Effect{Copy: text, Say: "copied " + what} }
