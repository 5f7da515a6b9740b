// Package vault is what one does with a vault: back up, list, verify, plan
// and apply a restore, tell how things stand. It prints nothing: every run
// tells its events to a Sink and returns its error.
package vault

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"pgvault/fault"
	"pgvault/pg"
	"pgvault/vault/archive"
	"pgvault/vault/retention"
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
	Places      []Place // in the order of the configuration; the first is a backup's home unless Database.Copies says otherwise
	StateDir    string
	ReadOnly    bool
	Runner      []string // starts pgvault with this same configuration, without a verb; empty: no job can be launched

	RecipientsFile string
	AllowOne       bool   // one recipient is enough
	SigningKey     string // path
	TrustedSigners string // path of further public keys, may be empty
	SelfCheck      bool
	DrillEvery     time.Duration // Health warns when no person's key was used for so long; 0: never

	Tell Tell // who is told when something is the matter

	Of         func(name string) Database  // what holds for one database
	Select     func(all []string) []string // which of the server's databases to back up, and those configured by name
	Configured []string                    // the names configured, for when the server does not answer
}

// Place is one place as the configuration describes it.
type Place struct {
	Name     string
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
	Keep             retention.Policy
	Verify           Proof // what a backup must reach by itself
	Jobs             int
}

// Vault is an opened vault. Its methods may be called at once from several
// goroutines.
type Vault struct {
	c      Config
	now    func() time.Time
	random io.Reader

	mu sync.Mutex
	vf *archive.VaultFile
	by string // who asks, see ActAs

	listed  *remembered // the last listing
	written time.Time   // when it was last written to the state folder

	past past     // what Activity remembers between two calls
	dead sync.Map // jobFacts of jobs that died, by id

	asked asked // requests to unlock that wait for an answer

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

// homeName is the first place's name, empty where none is configured.
func (v *Vault) homeName() string {
	if len(v.c.Places) == 0 {
		return ""
	}
	return v.c.Places[0].Name
}

func (v *Vault) place() (store.Store, error) {
	if len(v.c.Places) == 0 {
		return nil, &fault.Error{What: "no place is configured", Why: "neither the configuration nor the environment names one", Left: "nothing was changed",
			Do: "add a [[place]] to the configuration, set BACKUP_DIR, or run pgvault init --place file:/…", Code: fault.NoVault}
	}
	if p := v.c.Places[0]; p.Store == nil {
		return nil, p.Err
	}
	return v.c.Places[0].Store, nil
}

// vaultFile reads vault.json once; signer not nil: makes the vault in a
// place that has none of this name.
func (v *Vault) vaultFile(ctx context.Context, signer *archive.Signer) (*archive.VaultFile, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.vf != nil {
		return v.vf, nil
	}
	place, err := v.place()
	if err != nil {
		return nil, err
	}
	vf, err := archive.ReadVault(ctx, place, v.c.Name)
	if err != nil && fault.CodeOf(err) == fault.NoVault && signer != nil {
		vf, err = v.makeVault(ctx, place, signer)
	}
	if err != nil {
		return nil, err
	}
	v.vf = vf
	return vf, nil
}

func (v *Vault) makeVault(ctx context.Context, place store.Store, signer *archive.Signer) (*archive.VaultFile, error) {
	there, err := place.List(ctx, v.c.Name+"/")
	if err != nil {
		return nil, err
	}
	if len(there) > 0 {
		if vf, err := archive.ReadVault(ctx, place, v.c.Name); err == nil { // another one has made it meanwhile
			return vf, nil
		}
		return nil, &fault.Error{Op: "make vault", What: fmt.Sprintf("%s holds objects of a vault %q without its vault file", place, v.c.Name),
			Why: archive.VaultName + " is missing and the folder is not empty", Left: "nothing was changed",
			Do: "restore " + archive.VaultName + " from another copy, or choose another vault.name", Code: fault.NoVault}
	}
	vf, err := archive.NewVault(v.c.Name, v.now(), v.random, signer)
	if err != nil {
		return nil, err
	}
	if err := vf.Write(ctx, place); err != nil && !errors.Is(err, store.ErrExist) {
		return nil, err
	}
	return archive.ReadVault(ctx, place, v.c.Name)
}

// Init makes the vault if it is not there yet.
func (v *Vault) Init(ctx context.Context) error {
	signer, err := archive.LoadSigner(v.c.SigningKey)
	if err != nil {
		return err
	}
	_, err = v.vaultFile(ctx, signer)
	return err
}

// trust gathers the keys whose signatures count: this host's own signing
// key and the trusted signers of the configuration; only where neither is
// there, those that the vault names itself.
func (v *Vault) trust(vf *archive.VaultFile) (*archive.Trust, error) {
	var lines []string
	if v.c.SigningKey != "" {
		if public, err := archive.PublicOf(v.c.SigningKey); err == nil {
			lines = append(lines, public)
		} else if !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	if v.c.TrustedSigners != "" {
		src, err := os.ReadFile(v.c.TrustedSigners)
		if err != nil {
			return nil, &fault.Error{Op: "trust", What: "the trusted signers cannot be read", Left: "nothing was believed or changed", Do: "check keys.trusted_signers", Code: fault.Usage, Err: err}
		}
		lines = append(lines, strings.Split(string(src), "\n")...)
	}
	if len(lines) == 0 {
		lines = vf.Signers
	}
	t, err := archive.NewTrust(lines)
	if err != nil {
		return nil, &fault.Error{Op: "trust", What: "no key is known whose signature could count", Left: "nothing was believed or changed", Do: "set keys.signing_key or keys.trusted_signers", Code: fault.Usage, Err: err}
	}
	return t, nil
}

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
