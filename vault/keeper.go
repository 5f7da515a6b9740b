package vault

import (
	"context"
	"time"
)

// Explained is a fact in four lines.
type Explained struct {
	Key  string `json:"key,omitempty"` // of a warning: the same as long as it is the same matter
	What string `json:"what"`
	Why  string `json:"why"`
	Left string `json:"left"`
	Do   string `json:"do"`
}

// DatabaseHealth is a database's status with the reason for it.
type DatabaseHealth struct {
	DatabaseStatus
	Archives  int       `json:"archives"` // good ones
	Copies    int       `json:"copies"`   // of the newest good archive, good ones
	Places    int       `json:"places"`   // how many copies each archive is to have
	Explained Explained `json:"explained"`
	Job       string    `json:"job,omitempty"` // the running job
	// ProofLate tells that it was not proven by a restore within what is
	// allowed.
	ProofLate bool `json:"proof_late,omitempty"`
}

// PlaceHealth is what is known of one place.
type PlaceHealth struct {
	Name  string `json:"name"`
	URL   string `json:"url"`
	State string `json:"state"` // ok, ! or x; PlaceAsking only before a screen
	Text  string `json:"text"`  // "188 of 500 GiB free", "unreachable: …"
	Free  int64  `json:"free"`  // bytes, -1 unknown
	Total int64  `json:"total"` // bytes, -1 unknown

	Reachable    bool       `json:"reachable"`
	Archives     int        `json:"archives"`            // that lie there; where it is not reachable, as last seen
	Lacking      int        `json:"lacking"`             // archives that ought to have a copy there and have none
	Damaged      int        `json:"damaged"`             // copies
	OldestUnread *time.Time `json:"oldest_unread"`       // when the good copy was last read back, or made, of which that is longest ago
	Explained    *Explained `json:"explained,omitempty"` // where State is not ok
}

// PlaceAsking is the state of a place that has not answered yet.
const PlaceAsking = "~"

// Health is the whole vault at one moment.
type Health struct {
	At        time.Time        `json:"at"`
	Databases []DatabaseHealth `json:"databases"` // worst first
	Places    []PlaceHealth    `json:"places"`
	Keys      []string         `json:"keys"`                // names of the recipients
	KeyUsed   *time.Time       `json:"key_used"`            // when a real identity last opened an archive
	Retention *NextRetention   `json:"retention,omitempty"` // nil: not known
	Sheet     SheetState       `json:"sheet"`
	Warnings  []Explained      `json:"warnings"` // of the vault as a whole: nothing starts backups, one recipient, the trail is broken
}

// AtRisk counts the databases that could lose more than is allowed. A
// backup that is running has saved nothing yet.
func (h *Health) AtRisk() int {
	n := 0
	for _, d := range h.Databases {
		if d.AtRisk(h.At) {
			n++
		}
	}
	return n
}

// Listing is the archives as they were known at a moment.
type Listing struct {
	Archives []Archive
	At       time.Time
	Cached   bool // from the state folder; the place was not asked
}

// DeletePlan is what deleting an archive will do, as data.
type DeletePlan struct {
	Archive Archive
	Place   string         // whose copy alone goes; empty: all copies
	Copies  []CopyDeletion // what goes where, in the order of the places
	Files   []string       // exact names, in the order of removal: the manifest first; those of the first copy that goes
	Bytes   int64          // of all copies that go
	Refused string         // why it is not done at all, empty when it may be
	Notes   []string       // what a person should know: "it is not the newest good one"
	Confirm string         // what a person has to type: the id; for the last good copy with the database before it

	expired bool // retention's: it goes only while its mark is there and the grace is over
}

// Objects counts the objects of all copies that go now.
func (p *DeletePlan) Objects() int {
	n := 0
	for _, c := range p.Copies {
		if c.Later == "" {
			n += len(c.Files)
		}
	}
	return n
}

// CopyDeletion is what happens to one copy.
type CopyDeletion struct {
	Place string   `json:"place"`
	Files []string `json:"files"`
	Bytes int64    `json:"bytes"`
	Later string   `json:"later,omitempty"` // why it cannot go now; the next deletion or pin tries again
}

// TableInfo is one table of an archive's contents.
type TableInfo struct {
	Name   string `json:"name"` // schema.name, quoted where SQL needs quotes
	Rows   int64  `json:"rows"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Access is what the person at the screen may do.
type Access struct {
	User   string // who looks
	Owner  string // whose vault it is, empty when unknown
	System bool   // system mode: /etc/pgvault, /var/lib/pgvault
	Act    bool
	Why    string // why not, where Act is false: one line with the remedy
}

// Keeper changes what is kept, never what is in an archive.
type Keeper interface {
	// Listing gives the archives: with fresh false at once from the state
	// folder where a listing is remembered.
	Listing(ctx context.Context, fresh bool) (Listing, error)
	Health(ctx context.Context) (*Health, error)
	// HealthSoon is Health that tells early, once, what is known by then, where
	// a place takes long to answer.
	HealthSoon(ctx context.Context, early func(*Health)) (*Health, error)
	Pin(ctx context.Context, id string, pinned bool) error
	// PlanDelete changes nothing; Delete applies the plan it was given, and
	// refuses it when the archives have changed meanwhile.
	PlanDelete(ctx context.Context, id string) (*DeletePlan, error)
	Delete(ctx context.Context, p *DeletePlan) error
	// LookRetention is what plans of retention are made from, for any policy;
	// what they do is a job, by RetentionPlan.Order. KeepMarked takes the mark
	// of an archive away.
	LookRetention(ctx context.Context) (*RetentionLook, error)
	KeepMarked(ctx context.Context, id string) error
	// PlanSwitch, PlanSwitchUndo and PlanSwitchResume change nothing; what
	// they plan is a job, by SwitchPlan.Order.
	PlanSwitch(ctx context.Context, o SwitchOptions) (*SwitchPlan, error)
	PlanSwitchUndo(ctx context.Context, database string) (*SwitchPlan, error)
	PlanSwitchResume(ctx context.Context, database string, back bool) (*SwitchPlan, error)
	// Tables opens an archive's contents.
	Tables(ctx context.Context, id string, ids Identities) ([]TableInfo, error)
	// UnlockRequest gives the text to take to `pgvault unlock`; its answer
	// goes into Identities.Unlocked.
	UnlockRequest(ctx context.Context, id string) (string, error)
	// TryKeys tells by the header alone whether these identities open the
	// archive, and their names.
	TryKeys(ctx context.Context, id string, ids Identities) (string, error)
	// Unlock gives one line that opens this archive and nothing else, for
	// Identities.Unlocked and Secrets.Unlocked, and the name of the identity
	// that opened it. The line is a secret; a runner that has it needs no
	// identity, no passphrase and nobody to ask.
	Unlock(ctx context.Context, id string, ids Identities) (unlocked, name string, err error)
	Access() Access
	// Screens tells whose other screens are open on this vault, and tells them
	// of this one; a name that cannot be seen is empty.
	Screens() []string
}
