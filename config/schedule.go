package config

import (
	"time"
	_ "time/tzdata" // zones are known where the host has no files of them, as in an empty container

	"pgvault/vault/schedule"
)

// NoSchedule is what a database says that is backed up by hand only, though
// there is a default schedule.
const NoSchedule = "off"

// Location is the zone in which schedules are counted. A name that Parse
// refuses counts as the host's zone.
func (v Vault) Location() *time.Location {
	if v.Timezone == "" {
		return time.Local
	}
	loc, err := time.LoadLocation(v.Timezone)
	if err != nil {
		return time.Local
	}
	return loc
}

// Schedule is when backups of a database start by themselves; nil: never.
func (c *Config) Schedule(database string) *schedule.Schedule {
	return c.schedule(c.Database(database).Schedule)
}

// schedule reads what Parse has read before.
func (c *Config) schedule(text string) *schedule.Schedule {
	if text == "" || text == NoSchedule {
		return nil
	}
	s, err := schedule.Parse(text, c.Vault.Location())
	if err != nil {
		return nil
	}
	return s
}

// Schedules gives the different schedules that some database has or could
// have, in the order of the file: what a timer must wake up for.
func (c *Config) Schedules() []*schedule.Schedule {
	var out []*schedule.Schedule
	seen := map[string]bool{}
	add := func(text string) {
		if s := c.schedule(text); s != nil && !seen[s.Crontab()] {
			seen[s.Crontab()] = true
			out = append(out, s)
		}
	}
	if len(c.Databases) == 0 {
		add(c.Defaults.Schedule)
	}
	for _, d := range c.Databases {
		add(c.Database(d.Name).Schedule)
	}
	return out
}

// checkSchedules looks at the zone and at every schedule.
func (l *loader) checkSchedules(c *Config) {
	zone := sub(sub("", "vault"), "timezone")
	if name := c.Vault.Timezone; name != "" {
		if _, err := time.LoadLocation(name); err != nil || name == "Local" {
			l.at(zone, "timezone %.60q: there is no such zone; write its name, such as \"Europe/Berlin\" or \"UTC\"", l.raw[zone])
		}
	}
	check := func(text, path string) {
		if text == "" && l.lines[path] == 0 || text == NoSchedule {
			return
		}
		if _, err := schedule.Parse(text, c.Vault.Location()); err != nil {
			l.at(path, "schedule %.60q: %v", l.raw[path], err)
		}
	}
	check(c.Defaults.Schedule, sub(sub("", "defaults"), "schedule"))
	for i, d := range c.Databases {
		check(d.Schedule, sub(index(sub("", "database"), i), "schedule"))
	}
}
