// Package config reads config.toml: strict TOML in which every key must be
// known and every value sensible, or the error names the line.
//
// # Where values come from
//
// The file; where it says nothing, the variables that applications already
// have in their .env (see [Parse]); else the defaults of [Default]. In any
// string of the file, ${NAME} stands for the environment variable NAME, which
// must be set; $${ stands for ${ itself. No error repeats what a variable
// held. Names of files that are not absolute count from the folder of the
// configuration.
//
// # Words
//
// Durations are Go's ("90m", "1h30m") plus d for 24 hours and w for 7 days
// ("1d", "2w", "1d12h"). Globs are path.Match's, except that * and ? match a
// slash too.
package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pgvault/fault"
	"pgvault/pg"
	"pgvault/vault/retention"
)

// Config is the whole file. Each field with a tag is one option.
type Config struct {
	Vault     Vault       `toml:"vault"`
	Server    pg.Settings `toml:"server"`
	Keys      Keys        `toml:"keys"`
	Defaults  Defaults    `toml:"defaults"`
	Databases []Database  `toml:"database"`
	Places    []Place     `toml:"place"`
	Drill     Drill       `toml:"drill"`
	Tell      Tell        `toml:"tell"`
	UI        UI          `toml:"ui"`

	// File is where it was read from; empty for none.
	File string `toml:"-"`

	keepSet bool // somebody chose defaults.keep
}

// Vault names the vault.
type Vault struct {
	Name  string `toml:"name"`  // part of every object's name: letters, digits, . _ -
	Label string `toml:"label"` // shown inverse on every page, such as PROD
	// Timezone is where schedules are counted, such as Europe/Berlin; empty:
	// the host's own zone.
	Timezone string `toml:"timezone"`
}

// Keys says who can read the archives and what signs them.
type Keys struct {
	RecipientsFile    string `toml:"recipients_file"`     // age format, "# name" above each line
	SigningKey        string `toml:"signing_key"`         // Ed25519, OpenSSH format
	SelfCheck         bool   `toml:"self_check"`          // read every backup back with a one-time key
	AllowOneRecipient bool   `toml:"allow_one_recipient"` // else two or more are asked for
	TrustedSigners    string `toml:"trusted_signers"`     // file of further public keys whose archives are trusted

	DrillEvery time.Duration `toml:"drill_every"` // Health warns when no person's key was used for so long
}

// Defaults hold for every database; its own entry overrides them.
type Defaults struct {
	// Schedule is when backups start, as schedule.Parse reads it; empty or
	// NoSchedule: they do not by themselves.
	Schedule string `toml:"schedule"`

	MaxAge time.Duration    `toml:"max_age"` // a newest archive older than this is late
	Keep   retention.Policy `toml:"keep"`    // what stays; only where somebody set it is anything removed
	Grace  time.Duration    `toml:"grace"`   // between marked and removed
	Verify string           `toml:"verify"`  // what each backup reaches by itself: stored, intact, readable or restored
	// ProofMaxAge: Health warns when the last proof by restore of a database
	// is older; 0: it does not, see Config.ProofMaxAge.
	ProofMaxAge time.Duration `toml:"proof_max_age"`

	Jobs   int      `toml:"jobs"`   // workers of a restore
	Copies []string `toml:"copies"` // names of the places that every archive is to lie in; none: all, in the order of the file
}

// Database is one entry, or what Config.Database made of it.
type Database struct {
	Name             string            `toml:"name"`               // "*": all that accept connections
	Exclude          []string          `toml:"exclude"`            // globs that * leaves out
	ExcludeTableData []string          `toml:"exclude_table_data"` // pg_dump patterns: the tables come without rows
	Schedule         string            `toml:"schedule"`           // replaces the default; NoSchedule: none
	MaxAge           time.Duration     `toml:"max_age"`
	Keep             *retention.Policy `toml:"keep"`   // replaces the default as a whole
	Copies           []string          `toml:"copies"` // replaces the default as a whole

	// Removes tells that somebody chose what to keep, so that the rest may
	// be removed. It is no option: Config.Database fills it in.
	Removes bool `toml:"-"`
	// KeepFrom is the name of the entry that Keep stands in; empty: the
	// defaults. It is no option either.
	KeepFrom string `toml:"-"`
}

// Place is where archives lie.
type Place struct {
	Name        string        `toml:"name"`
	URL         string        `toml:"url"`         // as address.Parse reads it
	Credentials string        `toml:"credentials"` // where they come from: profile:NAME, file:PATH, systemd:NAME, instance; empty: where the service's own clients look
	ObjectLock  time.Duration `toml:"object_lock"` // nobody can delete or replace an object for so long; 0: no lock
	Limit       Rate          `toml:"limit"`       // of reading and writing together; 0: none
	ReadBack    string        `toml:"read_back"`   // each, weekly or never; empty: as DefaultReadBack says
	MinFree     Size          `toml:"min_free"`    // is to stay free there; 0: nothing is asked
}

// Size is a number of bytes, written "50GiB".
type Size int64

// Rate is a number of bytes per second, written "40MiB/s".
type Rate int64

// Tell says who is told when something is the matter.
type Tell struct {
	OnFailure   []string      `toml:"on_failure"`   // addresses as tell.Check takes them; each may hold a secret
	PingFile    string        `toml:"ping_file"`    // holds a watchdog's address, see tell.CheckPing
	MetricsFile string        `toml:"metrics_file"` // is written for Prometheus' node_exporter
	Reminder    time.Duration `toml:"reminder"`     // what stays the matter is told again after so long
}

// UI is how the screens look.
type UI struct {
	Theme string `toml:"theme"` // auto, light, dark or none: for which background colours are chosen
	Times string `toml:"times"` // local or utc
	Mouse bool   `toml:"mouse"`
	ASCII bool   `toml:"ascii"` // no line drawing, no symbols
}

// ThemeVariable names the environment variable that a person chooses a theme
// with, for the terminal at hand: it counts more than the file, which is the
// same for everybody.
const ThemeVariable = "PGVAULT_THEME"

// ThemeIn gives the theme that counts where getenv tells the environment. The
// error (code Usage) is of a variable that names none.
func (u UI) ThemeIn(getenv func(string) string) (string, error) {
	theme := getenv(ThemeVariable)
	switch {
	case theme == "":
		return u.Theme, nil
	case slices.Contains(themes, theme):
		return theme, nil
	}
	return "", &fault.Error{What: "there is no such theme", Why: fmt.Sprintf("%s is %.40q", ThemeVariable, theme), Left: "nothing was started",
		Do: "set it to one of " + strings.Join(themes, ", ") + ", or unset it", Code: fault.Usage}
}

// Location is the zone in which times are shown.
func (u UI) Location() *time.Location {
	if u.Times == "utc" {
		return time.UTC
	}
	return time.Local
}

// Default is what holds where neither the file nor the environment says
// anything. It names no database, no place and no key.
func Default() *Config {
	return &Config{
		Vault: Vault{Name: "main"},
		Keys:  Keys{SelfCheck: true, DrillEvery: 30 * 24 * time.Hour},
		Defaults: Defaults{
			MaxAge: 24 * time.Hour,
			Keep:   retention.Policy{Last: 3, Daily: 7, Weekly: 4, Monthly: 6},
			Grace:  48 * time.Hour,
			Verify: "readable",
			Jobs:   1,
		},
		Drill: Drill{Every: 30 * 24 * time.Hour, Level: "restored"},
		Tell:  Tell{Reminder: 24 * time.Hour},
		UI:    UI{Theme: "auto", Times: "local", Mouse: true},
	}
}
