// Package vault is what one does with a vault: back up, list, verify, plan
// and apply a restore, tell how things stand. It prints nothing: every run
// tells its events to a Sink and returns its error.
package vault

import (
	"crypto/rand"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"pgvault/pg"
	"pgvault/vault/archive"
	"pgvault/vault/retention"
	"pgvault/vault/schedule"
	"pgvault/vault/store"
	"pgvault/vault/tell"
)

// Config is what a vault needs to know; the faces fill it from the
// configuration file. Keys are named by path and read when a run needs
// them: a listing needs neither recipients nor the signing key.
type Config struct {
	Name, Label string
	Version     string // of pgvault, for manifests
	Server      pg.Settings
	Places      []Place        // in the order of the configuration; the first is a backup's home unless Database.Copies says otherwise
	Zone        *time.Location // days and hours of rules and schedules are counted in it; nil is the host's
	StateDir    string
	File        string // the configuration's path, for the recovery sheet; may be empty
	ReadOnly    bool
	Runner      []string // starts pgvault with this same configuration, without a verb; empty: no job can be launched

	RecipientsFile string
	AllowOne       bool     // one recipient is enough
	SigningKey     string   // path
	TrustedSigners string   // path of further public keys, may be empty
	Signers        []string // public keys a person has vouched for by their fingerprints, where a recovery has no files of them
	SelfCheck      bool
	DrillEvery     time.Duration // Health warns when no person's key was used for so long; 0: never
	ProofMaxAge    time.Duration // Health warns when a database's last proof by restore is older; 0: never
	DrillsOnly     bool          // this host proves what others back up: it has no recipients, and no server of its own

	Tell Tell // who is told when something is the matter

	// Starts tells what starts scheduled backups by itself on this host, "" for
	// nothing; nil: it is not known.
	Starts func() string

	// Waits is told of a place that lets a question wait, and of the longest
	// that it is waited for; nil: nobody is.
	Waits func(place, address string, most time.Duration)

	Of         func(name string) Database  // what holds for one database
	Select     func(all []string) []string // which of the server's databases to back up, and those configured by name
	Configured []string                    // the names configured, for when the server does not answer
}

// Place is one place as the configuration describes it.
type Place struct {
	Name     string
	URL      string      // as the configuration has it, for the recovery sheet
	Store    store.Store // nil: Err says why
	Err      error
	ReadBack ReadBack
	MinFree  int64 // bytes that are to stay free; 0: none
}

// ReadBack says when a place's copies are read back whole, beyond what the
// place itself compares when a copy is made.
type ReadBack string

// When a copy is read back. The empty word is ReadBackEach on a disk, else
// ReadBackWeekly: reading from a network may cost money.
const (
	ReadBackEach   ReadBack = "each"
	ReadBackWeekly ReadBack = "weekly"
	ReadBackNever  ReadBack = "never"
)

// Database is what the configuration says of one database.
type Database struct {
	Copies           []string // names of the places that each archive must have a copy in, in order; empty: all places
	ExcludeTableData []string // patterns as pg_dump takes them
	MaxAge           time.Duration
	Schedule         *schedule.Schedule // when backups start by themselves; nil: never
	Keep             retention.Policy
	Grace            time.Duration // between marked and removed
	KeepFrom         string        // whose entry of the configuration Keep stands in: the database's own, "*", or empty for the defaults
	Removes          bool          // somebody chose what to keep: a backup applies it by itself
	Verify           Proof         // what a backup must reach by itself
	Jobs             int
}

// Vault is an opened vault. Its methods may be called at once from several
// goroutines.
type Vault struct {
	c      Config
	now    func() time.Time
	random io.Reader
	free   func(dir string) (int64, error) // of a folder of this host; nil: as the system says

	mu    sync.Mutex
	vf    *archive.VaultFile
	files map[int]*archive.VaultFile // of the places, once read
	by    string                     // who asks, see ActAs
	here  *os.File                   // holds this process's lock among the Screens
	slow  slowness

	listed  map[string]*remembered // the last listing of each place
	written map[string]time.Time   // when it was last written to the state folder

	past past     // what Activity remembers between two calls
	dead sync.Map // jobFacts of jobs that died, by id

	asked asked // requests to unlock that wait for an answer

	onStatement func(sql string, done bool) // of a switch, see pg.Switcher; nil: nobody listens

	sender  tell.Sender
	started pingStart
}

var _ Desk = (*Vault)(nil)

// New makes a Vault; nothing is read before it is needed.
func New(c Config) *Vault {
	return &Vault{c: c, now: time.Now, random: rand.Reader}
}

// Name is the vault's name, part of every object's name.
func (v *Vault) Name() string { return v.c.Name }

// Label is the word shown inverse on every page, may be empty.
func (v *Vault) Label() string { return v.c.Label }

// Places lists the places by name.
func (v *Vault) Places() []string {
	names := make([]string, len(v.c.Places))
	for i, p := range v.c.Places {
		names[i] = p.Name
	}
	return names
}

// ReadOnly tells whether runs are refused.
func (v *Vault) ReadOnly() bool { return v.c.ReadOnly }

func (v *Vault) lockDir() string { return filepath.Join(v.c.StateDir, "locks") }

// lockName is one for each database of each vault, whatever the vault's
// name: a host may have several.
func lockName(vf *archive.VaultFile, database string) string {
	return vf.ID[:12] + "-" + archive.EncodeName(database)
}

// who is user@host for records. The user is asked for anew each time: root
// may have become another one.
func who() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return userName(os.Geteuid()) + "@" + host
}
