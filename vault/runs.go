package vault

import (
	"context"
	"time"
)

// Order is what a job is to do: complete, and without a secret, because it
// is written down in the job's folder.
type Order struct {
	Kind          Kind     `json:"kind"`
	Database      string   `json:"database,omitempty"`     // backup; else the archive's, for display
	Tags          []string `json:"tags,omitempty"`         // backup
	ID            string   `json:"id,omitempty"`           // verify, restore, copy: archive id or latest:DB
	Level         Proof    `json:"level,omitempty"`        // verify
	AsSuperuser   bool     `json:"as_superuser,omitempty"` // verify
	Place         string   `json:"place,omitempty"`        // verify, restore: whose copy; empty: the best
	Missing       bool     `json:"missing,omitempty"`      // copy: all that places lack
	To            []string `json:"to,omitempty"`           // copy: names of places
	NoCopy        bool     `json:"no_copy,omitempty"`      // backup
	ToNew         string   `json:"to_new,omitempty"`       // restore, as in RestoreOptions
	ToEmpty       string   `json:"to_empty,omitempty"`
	Tables        []string `json:"tables,omitempty"`
	Workers       int      `json:"workers,omitempty"`
	NoOwner       bool     `json:"no_owner,omitempty"`
	CreateRoles   bool     `json:"create_roles,omitempty"`
	NoTablespaces bool     `json:"no_tablespaces,omitempty"`
	FullRoles     bool     `json:"full_roles,omitempty"`
	IntoSchema    string   `json:"into_schema,omitempty"`
	SkipCompare   bool     `json:"skip_compare,omitempty"`

	// Retention, as RetentionPlan.Order makes it: of which databases (none:
	// all), the number that was typed, and what exactly it confirms.
	Names   []string `json:"names,omitempty"`
	Confirm int      `json:"confirm,omitempty"`
	Plan    string   `json:"plan,omitempty"`

	// Switch, as SwitchPlan.Order makes it: ToNew is the restored database,
	// Old the name that the live one gets, Plan what exactly was confirmed.
	Goal    SwitchGoal `json:"goal,omitempty"`
	Resumes bool       `json:"resumes,omitempty"`
	Accept  []string   `json:"accept,omitempty"`
	Old     string     `json:"old,omitempty"`

	// Recover is of a recovery, which has no configuration; with it only
	// Workers and NoTablespaces of the above count.
	Recover *RecoverOrder `json:"recover,omitempty"`
}

// RecoverOrder is what a recovery brings back, and from where.
type RecoverOrder struct {
	Place       string   `json:"place"`                 // its address
	Credentials string   `json:"credentials,omitempty"` // where they come from, as in a [[place]]; never they themselves
	Vault       string   `json:"vault"`
	Signers     []string `json:"signers,omitempty"` // public keys that were vouched for; none: the place's own word
	Service     string   `json:"service,omitempty"` // of the server, or
	Conninfo    string   `json:"conninfo,omitempty"`

	Databases []string          `json:"databases,omitempty"` // as in RecoverOptions
	As        map[string]string `json:"as,omitempty"`
	Latest    bool              `json:"latest,omitempty"`
	Roles     Roles             `json:"roles"`
	// Archives are those of the plan that was shown, by database: another
	// choice is refused.
	Archives map[string]string `json:"archives"`
}

// Secrets go to a runner through a pipe. They are never written down, never
// an argument, never in the environment.
type Secrets struct {
	Files       []string          `json:"files,omitempty"`       // identity files the runner may read itself
	Texts       []string          `json:"texts,omitempty"`       // identities as text: one or more lines of an identity file
	Passphrases map[string]string `json:"passphrases,omitempty"` // of encrypted Files, by path
	Unlocked    []string          `json:"unlocked,omitempty"`    // what Keeper.Unlock gave: each opens one archive
}

// Actor is who started something, and from where.
type Actor struct {
	User string `json:"user"`           // the login name, also behind sudo
	As   string `json:"as,omitempty"`   // the user it ran as, where that is another
	From string `json:"from,omitempty"` // address of the SSH client, or the terminal
	By   string `json:"by"`             // timer, cron, cli, tui
}

// JobState is where a job stands.
type JobState string

// The states of a job. A job without a living runner and without an end has
// died.
const (
	JobRunning   JobState = "running"
	JobOK        JobState = "ok"
	JobFailed    JobState = "failed"
	JobPartial   JobState = "partial"
	JobCancelled JobState = "cancelled"
	JobDied      JobState = "died"
)

// Job is one run, whoever started it, as its folder tells.
type Job struct {
	ID       string    `json:"id"`    // time of start in UTC and four hex digits: 20261122T213000Z-7f3a
	Vault    string    `json:"vault"` // its name: a state folder may serve several
	Order    Order     `json:"order"`
	Archive  string    `json:"archive,omitempty"` // id of the archive made or read, once known
	Target   string    `json:"target,omitempty"`  // restore: the database written into, once known
	Actor    Actor     `json:"actor"`
	State    JobState  `json:"state"`
	PID      int       `json:"pid"` // of the runner
	Started  time.Time `json:"started"`
	Ended    time.Time `json:"ended,omitzero"` // a job that died: when it was last heard of
	Stage    Stage     `json:"stage,omitempty"`
	Progress *Progress `json:"progress,omitempty"` // the newest, while running or when it died
	Done     *RunDone  `json:"-"`                  // how it ended, nil before
}

// Activity is one thing that happened, or that should have: a job, a pin, a
// deletion, a change of the settings, a missed backup.
type Activity struct {
	Seq    int64         `json:"seq"` // in the audit trail; 0 for what is not in it
	At     time.Time     `json:"at"`
	Took   time.Duration `json:"took,omitempty"` // 0: unknown, or still going on
	Kind   string        `json:"kind"`           // backup, verify, restore, copy, retention, pin, unpin, delete, settings, key, missed
	What   string        `json:"what"`           // "shop", "shop > shop_r", "keep daily 5 > 7"
	Actor  Actor         `json:"actor"`
	Result string        `json:"result"` // ok, failed, partial, cancelled, died, running, missed
	Text   string        `json:"text"`   // "112 of 112 equal", "refused: no space"
	Job    string        `json:"job,omitempty"`
}

// Trail tells whether the audit trail is whole.
type Trail struct {
	Lines  int64  `json:"lines"`
	Head   string `json:"head"`             // SHA-256 of the last line, hex
	Broken int64  `json:"broken,omitempty"` // the first line that does not follow from the one before; 0: none
}

// Runs is the jobs of a state folder, whoever started them.
type Runs interface {
	// Jobs gives running jobs and those of the past, newest first.
	Jobs(ctx context.Context) ([]Job, error)
	// Activity gives what happened, newest first, at most limit entries (0:
	// all), with the state of the audit trail it comes from.
	Activity(ctx context.Context, limit int) ([]Activity, Trail, error)
	// Launch starts a runner: a process of its own session that outlives
	// this one. It returns when the runner holds its lock, or with the error
	// that kept it from starting.
	Launch(ctx context.Context, o Order, s Secrets) (Job, error)
	// Watch tells a job's events from the first to the RunDone, waiting for
	// those to come, until ctx ends. A job that died ends with a RunDone
	// that says so.
	Watch(ctx context.Context, id string, sink Sink) error
	// Cancel asks the runner to end cleanly and returns when it was told.
	Cancel(ctx context.Context, id string) error
}
