package config

import (
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"pgvault/vault/schedule"
)

// Drill is the restore drill of a host that holds a key: proofs by restore on
// a schedule. It belongs on no host that makes backups: who takes over such a
// one must find no key there.
type Drill struct {
	Identity  string        `toml:"identity"`  // a file of identities, or systemd:NAME, a credential of the service; empty: there is no drill
	Schedule  string        `toml:"schedule"`  // when it looks what is to be proven; empty or NoSchedule: only when asked
	Every     time.Duration `toml:"every"`     // a database whose last such proof is older is proven again
	Databases []string      `toml:"databases"` // globs; none: all that the vault has archives of
	Level     string        `toml:"level"`     // restored or readable
}

// credentialName is what systemd takes as the name of a credential, less what
// a path could be made of.
var credentialName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$`)

// Credential is the name of the systemd credential that holds the identity;
// empty where that is a file.
func (d Drill) Credential() string {
	name, _ := strings.CutPrefix(d.Identity, "systemd:")
	if name == d.Identity {
		return ""
	}
	return name
}

// IdentityFile is the path of the identity; credentials is what systemd calls
// $CREDENTIALS_DIRECTORY. It is empty for a credential outside of a service.
func (d Drill) IdentityFile(credentials string) string {
	name := d.Credential()
	switch {
	case name == "":
		return d.Identity
	case credentials == "":
		return ""
	}
	return filepath.Join(credentials, name)
}

// Wants tells whether a database takes part.
func (d Drill) Wants(database string) bool {
	return len(d.Databases) == 0 || slices.ContainsFunc(d.Databases, func(g string) bool { return matches(g, database) })
}

// DrillSchedule is when the drill looks by itself; nil: never.
func (c *Config) DrillSchedule() *schedule.Schedule {
	if c.Drill.Identity == "" {
		return nil
	}
	return c.schedule(c.Drill.Schedule)
}

// ProofMaxAge is how old the last proof by restore of a database may be
// before Health warns; 0: it does not. On a host with a drill that is twice
// the drill's own time, so that one that fails once is no matter yet.
func (c *Config) ProofMaxAge() time.Duration {
	if c.Defaults.ProofMaxAge == 0 && c.Drill.Identity != "" && c.Drill.Level == "restored" {
		return min(2*c.Drill.Every, maxDuration)
	}
	return c.Defaults.ProofMaxAge
}

// checkDrill looks at [drill], and at what a backup is to prove by itself.
func (l *loader) checkDrill(c *Config, base string) {
	in := func(key string) string { return sub(base, key) }
	d := &c.Drill
	if c.Defaults.Verify == "restored" && !c.Keys.SelfCheck {
		p := sub(sub("", "defaults"), "verify")
		l.at(p, "verify = \"restored\" needs the one-time key of the self-check: keys.self_check = true")
	}
	if d.Identity == "" {
		if l.lines[base] > 0 {
			l.at(in("identity"), "a drill needs the key that it opens archives with: identity = \"/path\" or \"systemd:NAME\"")
		}
		return
	}
	switch name := d.Credential(); {
	case strings.HasPrefix(d.Identity, "systemd:") && !credentialName.MatchString(name):
		l.at(in("identity"), "identity %.60q: after systemd: there stands the name of a credential: letters, digits, . _ -", l.raw[in("identity")])
	case name == "":
		l.absolute(&d.Identity)
	}
	if d.Every < time.Hour {
		l.at(in("every"), "every = %.60q: it must be an hour at least", l.raw[in("every")])
	}
	l.oneOf(in("level"), d.Level, "restored", "readable")
	if d.Schedule != "" && d.Schedule != NoSchedule {
		if _, err := schedule.Parse(d.Schedule, c.Vault.Location()); err != nil {
			l.at(in("schedule"), "schedule %.60q: %v", l.raw[in("schedule")], err)
		}
	}
	for i, g := range d.Databases {
		if _, err := path.Match(g, ""); err != nil || g == "" {
			p := index(in("databases"), i)
			l.at(p, "databases: %.60q is not a pattern such as \"shop_*\"", l.raw[p])
		}
	}
}
