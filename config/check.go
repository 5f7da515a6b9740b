package config

import (
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"pgvault/safetext"
	"pgvault/vault/retention"
)

// maxJobs bounds the workers of a restore.
const maxJobs = 256

// maxDatabaseName is NAMEDATALEN - 1 of a PostgreSQL as it is distributed.
const maxDatabaseName = 63

// plainName is what a vault or a place may be called: the one is part of
// object names, the other of command lines.
var plainName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$`)

// themes are what ui.theme and ThemeVariable may say.
var themes = []string{"auto", "light", "dark", "none"}

// check looks at values that have the right type. It shows texts as they
// stand in the file, never what a variable put into them.
func (l *loader) check(c *Config) {
	in := func(keys ...string) string {
		p := ""
		for _, k := range keys {
			p = sub(p, k)
		}
		return p
	}
	if p := in("vault", "name"); !plainName.MatchString(c.Vault.Name) {
		l.at(p, "vault name %.60q: 1 to 63 letters, digits, dots, _ and -, not beginning with a dot or -", l.raw[p])
	}
	if p := in("vault", "label"); len([]rune(c.Vault.Label)) > 32 || safetext.Line(c.Vault.Label) != c.Vault.Label {
		l.at(p, "label %.60q: at most 32 printable characters", l.raw[p])
	}
	l.checkSchedules(c)
	l.oneOf(in("defaults", "verify"), c.Defaults.Verify, "stored", "intact", "readable", "restored")
	l.checkDrill(c, in("drill"))
	l.oneOf(in("ui", "theme"), c.UI.Theme, themes...)
	l.oneOf(in("ui", "times"), c.UI.Times, "local", "utc")
	if c.Defaults.Jobs < 1 || c.Defaults.Jobs > maxJobs {
		l.at(in("defaults", "jobs"), "jobs = %d: it must be from 1 to %d", c.Defaults.Jobs, maxJobs)
	}
	if g := c.Defaults.Grace; g < 0 || g > retention.MaxGrace {
		p := in("defaults", "grace")
		l.at(p, "grace = %.60q: it must be from 0 to 366d", l.raw[p])
	}
	l.checkDatabases(c.Databases, in("database"))
	l.checkPlaces(c.Places, in("place"))
	l.checkTell(c.Tell, in("tell"))
}

func (l *loader) oneOf(path, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		l.at(path, "%s = %.60q: it must be one of %s", last(path), l.raw[path], strings.Join(allowed, ", "))
	}
}

func (l *loader) checkDatabases(list []Database, base string) {
	seen := map[string]bool{}
	for i, d := range list {
		entry := index(base, i)
		p := sub(entry, "name")
		switch {
		case d.Name == "":
			l.at(p, "a database without a name; \"*\" means all")
		case len(d.Name) > maxDatabaseName:
			l.at(p, "database name %.80q: PostgreSQL cuts names after %d bytes", l.raw[p], maxDatabaseName)
		case seen[d.Name]:
			l.at(p, "the database %.80q comes twice", l.raw[p])
		}
		seen[d.Name] = true
		if len(d.Exclude) > 0 && d.Name != "*" {
			l.at(sub(entry, "exclude"), "exclude belongs to the database \"*\" only")
		}
		for j, g := range d.Exclude {
			p := index(sub(entry, "exclude"), j)
			if _, err := path.Match(g, ""); err != nil || g == "" {
				l.at(p, "exclude %.60q is not a pattern such as \"test_*\"", l.raw[p])
			}
		}
		for j, t := range d.ExcludeTableData {
			if t == "" {
				l.at(index(sub(entry, "exclude_table_data"), j), "exclude_table_data has an empty pattern")
			}
		}
	}
}

// fromEnvironment takes over what applications call their settings, where
// the file says nothing.
func (l *loader) fromEnvironment(c *Config, tree map[string]any) {
	get := func(name string) string { v, _ := l.environ(name); return v }
	c.Server.Host, c.Server.Port = get("DB_HOST"), get("DB_PORT")
	c.Server.User, c.Server.Password = get("DB_USERNAME"), get("DB_PASSWORD")
	if name := get("DB_DATABASE"); name != "" && len(c.Databases) == 0 {
		c.Databases = []Database{{Name: name}}
	}
	if len(c.Places) == 0 {
		c.Places = l.placesOf(get)
	}
	defaults, _ := tree["defaults"].(map[string]any)
	c.keepSet = defaults["keep"] != nil
	if days := get("BACKUP_RETENTION_DAYS"); days != "" && defaults["keep"] == nil {
		n, err := strconv.Atoi(days)
		if err != nil || n < 1 || n > int(maxDuration/(24*time.Hour)) {
			l.problem(noFile, "the environment variable BACKUP_RETENTION_DAYS is not a number of days from 1 to %d", int(maxDuration/(24*time.Hour)))
			return
		}
		c.Defaults.Keep, c.keepSet = retention.Policy{Within: time.Duration(n) * 24 * time.Hour}, true
	}
}
