package vault

import (
	"context"
	"time"

	"pgvault/pg"
	"pgvault/vault/archive"
)

// Archive is one row of a listing.
type Archive struct {
	ID        string    `json:"id"`
	Database  string    `json:"database"`
	Started   time.Time `json:"started"`
	Finished  time.Time `json:"finished"`
	State     string    `json:"state"` // good, damaged, partial or foreign
	Tables    int       `json:"tables"`
	Rows      int64     `json:"rows"`
	Bytes     int64     `json:"bytes"`  // uncompressed
	Stored    int64     `json:"stored"` // all parts, encrypted
	Proof     Proof     `json:"proof"`
	Pinned    bool      `json:"pinned"`
	Copies    []Copy    `json:"copies"`
	Recipient []string  `json:"recipients"` // names, or shortened fingerprints

	Reason        string   `json:"reason,omitempty"` // why State is not good
	Seq           int64    `json:"sequence"`
	ServerVersion string   `json:"server_version"`
	DumpVersion   string   `json:"pg_dump_version"`
	Warnings      int      `json:"warnings"`
	Tags          []string `json:"tags,omitempty"`
	// Imported is when a dump from elsewhere was made this archive; nil: it is
	// a backup. Started and Finished are then that dump's date.
	Imported *time.Time `json:"imported,omitempty"`
	// Expires is from when on it may be removed, where no rule of retention
	// kept it the last time; nil: it is not marked.
	Expires *time.Time    `json:"expires,omitempty"`
	Proofs  []ProofRecord `json:"proofs,omitempty"`

	mark string // of the original of an import, see archive.ImportMark
	// ResealedFrom is the archive of the same moment that this one was made
	// from, for other recipients; empty: from a database.
	ResealedFrom string `json:"resealed_from,omitempty"`
	// ResealedAs is the good archive that was made from this one and has a copy
	// wherever this one has one: the rules count that one instead.
	ResealedAs string `json:"resealed_as,omitempty"`

	resealed   time.Time // when it was made from ResealedFrom
	fromDigest string    // of that one's manifest
	keys       []archive.Recipient

	digest  string    // SHA-256 of the manifest; empty: it could not be believed
	locked  time.Time // as one place has it: before when it cannot be deleted
	expires time.Time // what the place's own mark says; zero: there is none
}

// Copy is one place's copy of an archive, or that there is none where one
// ought to be.
type Copy struct {
	Place  string `json:"place"`
	State  string `json:"state"`            // one of the Copy words
	Reason string `json:"reason,omitempty"` // why State is not good, in words
	// ReadBack is when all of it was last read back in this place, and right;
	// nil: never.
	ReadBack *time.Time `json:"read_back"`
	// LockedUntil is before when nobody can delete it; nil: it is not locked,
	// or that is not known.
	LockedUntil *time.Time `json:"locked_until,omitempty"`
	// Known is when the place said so, if it does not answer now: what is
	// remembered. nil: it was asked for this listing.
	Known *time.Time `json:"known,omitempty"`

	untold bool // a proof that speaks of the archive does not lie in this place
}

// The states of a copy. Only CopyGood counts as a copy.
const (
	CopyGood       = "good"
	CopyDamaged    = "damaged"    // its bytes are not the archive's, or a proof on it failed
	CopyMissing    = "missing"    // the place answers and has none, though it ought to
	CopyIncomplete = "incomplete" // some of its objects are there, its manifest is not
	CopyUnknown    = "unknown"    // the place does not answer, and nothing is remembered
	CopyForeign    = "foreign"    // no trusted key signed it
)

// ProofRecord is one line of an archive's history of proofs.
type ProofRecord struct {
	At     time.Time `json:"at"`
	Level  Proof     `json:"level"`
	Result string    `json:"result"`          // ok or failed
	By     string    `json:"by"`              // user@host, or "self-check"
	Key    string    `json:"key"`             // which identity opened it
	Note   string    `json:"note"`            // "112 of 112 tables equal"
	Place  string    `json:"place,omitempty"` // whose copy was read; empty: the one that it lies beside
	Told   bool      `json:"told,omitempty"`  // it is known from another place than the one it speaks of
}

// DatabaseStatus is one row of status.
type DatabaseStatus struct {
	Database      string     `json:"database"`
	State         string     `json:"state"` // ok, late, never, running (or about to, as planned) or failed
	LastGood      *time.Time `json:"last_good"`
	MaxAgeSeconds int64      `json:"max_age_seconds"`
	Proof         Proof      `json:"proof"`
	ProvenAt      *time.Time `json:"proven_at"` // newest proof by restore
	NextRun       *time.Time `json:"next_run"`
	// LateFrom is when the newest good archive is too old, as Late tells; nil:
	// never, or there is none.
	LateFrom *time.Time `json:"late_from"`
}

// Desk is what a face asks of a vault. *Vault is the only real one; the
// screens' tests drive a made-up one to reach states that are hard to stage.
type Desk interface {
	// Name, Label and Host name the vault in every header.
	Name() string
	Label() string
	Places() []string
	// ReadOnly tells whether Backup, Verify and Restore are refused.
	ReadOnly() bool
	// List gives the archives, newest first; unreadable ones are in it with
	// their State and Reason.
	List(ctx context.Context) ([]Archive, error)
	// Databases gives the names that Backup accepts.
	Databases(ctx context.Context) ([]string, error)
	Status(ctx context.Context) ([]DatabaseStatus, error)
	// Backup, Verify and Restore run to their end; cancelling ctx ends them
	// cleanly. All that is to be shown comes through sink, the RunDone
	// included; the error returned is RunDone.Err.
	Backup(ctx context.Context, o BackupOptions, sink Sink) error
	Verify(ctx context.Context, o VerifyOptions, sink Sink) error
	// PlanRestore changes nothing; Restore applies the plan it was given.
	PlanRestore(ctx context.Context, o RestoreOptions) (*RestorePlan, error)
	Restore(ctx context.Context, p *RestorePlan, sink Sink) error
}

// BackupOptions say what to back up.
type BackupOptions struct {
	Database string
	Tags     []string
	NoCopy   bool // make no copies in other places after it
	More     bool // others follow in the same run: what is to be told waits for the last

	job *lockedJob // the job that this run is of, nil for none
}

// VerifyOptions say what to verify and how far.
type VerifyOptions struct {
	ID         string // archive id or latest:DB
	Level      Proof  // intact, readable or restored
	Place      string // whose copy; empty: the best one
	Identities Identities
	// AsSuperuser lets ProofRestored load the archive as the scratch server's
	// superuser: for archives with objects that only one may make, such as functions in C. Their
	// code can then do all that the user of the operating system can.
	AsSuperuser bool
}

// RestoreOptions say what to restore and where to.
type RestoreOptions struct {
	ID          string // archive id or latest:DB
	Place       string // whose copy; empty: the best one
	ToNew       string // new database to create; empty: a proposed name
	ToEmpty     string // or an existing, empty one
	Tables      []string
	Jobs        int // load workers, 0: the configured number
	Identities  Identities
	NoOwner     bool // objects belong to the restoring role, grants are left out
	CreateRoles bool // make missing roles, without login and password
	FullRoles   bool // make missing roles as they were: attributes, memberships, settings, passwords
	// IntoSchema is a new schema of the live database (of the archive's name)
	// into which the chosen tables are copied after the comparison.
	IntoSchema string
	// NoTablespaces puts all into the server's default tablespace.
	NoTablespaces bool
	SkipCompare   bool // for measurements only: the result is then never ok-proven
}

// Identities is where secret keys come from: files as age reads them, a
// passphrase callback for encrypted ones. Nothing of it is kept after a run.
type Identities struct {
	Files      []string // "-" is standard input
	Texts      []string // identities as text: lines of an identity file
	Unlocked   []string // answers of `pgvault unlock` to this Vault's requests, or what Keeper.Unlock gave
	Passphrase func(prompt string) (string, error)
}

// RestorePlan is what a restore will do, as data: the face shows it and the
// engine applies the very same.
type RestorePlan struct {
	Archive Archive
	Place   string // whose copy is read
	Target  string
	Empty   bool // the target exists already and is empty
	Tables  []string
	Left    []string // with Tables: what is left out, in words
	Checks  []Check
	// Into is the live database that gets the schema IntoSchema.
	Into string
	// Statements are for a person to run where a check says so.
	Statements []string
	Steps      []string
	Same       string // the command that does the same

	o     RestoreOptions
	prep  *restorePrep
	roles []pg.GlobalStatement // with FullRoles
}

// Check is one line of a plan: ok, ! (goes on, but know this) or x (refused).
type Check struct {
	State string // "ok", "!", "x"
	Text  string
	Do    string // the remedy
}

// Refused tells whether a check forbids the restore.
func (p *RestorePlan) Refused() bool {
	for _, c := range p.Checks {
		if c.State == "x" {
			return true
		}
	}
	return false
}
