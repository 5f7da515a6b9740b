package config

import (
	"maps"
	"path"
	"slices"
	"strings"
)

// Database gives what holds for one database: its own entry, else the entry
// "*", with the defaults where they say nothing. MaxAge and Keep of the
// result are always set, Copies names at least one place where there is one, Name is name, Exclude is empty. An entry of its own
// takes nothing over from "*".
func (c *Config) Database(name string) Database {
	d := Database{}
	for _, e := range c.Databases {
		if e.Name == name {
			d = e
			break
		}
		if e.Name == "*" {
			d = e
		}
	}
	entry := d.Name
	d.Name, d.Exclude = name, nil
	d.ExcludeTableData = slices.Clone(d.ExcludeTableData)
	if d.MaxAge == 0 {
		d.MaxAge = c.Defaults.MaxAge
	}
	if len(d.Copies) == 0 {
		d.Copies = c.Defaults.Copies
	}
	if len(d.Copies) == 0 {
		for _, p := range c.Places {
			d.Copies = append(d.Copies, p.Name)
		}
	}
	d.Copies = slices.Clone(d.Copies)
	d.Removes = d.Keep != nil || c.keepSet
	if d.Schedule == "" {
		d.Schedule = c.Defaults.Schedule
	}
	keep := c.Defaults.Keep
	d.KeepFrom = ""
	if d.Keep != nil {
		keep, d.KeepFrom = *d.Keep, entry
	}
	d.Keep = &keep
	return d
}

// Select gives the databases to back up, sorted bytewise: those with an entry
// of their own, whether the server has them or not (one that is gone must be
// noticed, not passed over), and where "*" has an entry, or nothing has one,
// all that the server has but for those that match an exclude.
func (c *Config) Select(all []string) []string {
	chosen := map[string]bool{}
	every := len(c.Databases) == 0
	var exclude []string
	for _, e := range c.Databases {
		if e.Name == "*" {
			every, exclude = true, e.Exclude
		} else {
			chosen[e.Name] = true
		}
	}
	for _, name := range all {
		if every && !slices.ContainsFunc(exclude, func(g string) bool { return matches(g, name) }) {
			chosen[name] = true
		}
	}
	return slices.Sorted(maps.Keys(chosen))
}

// matches is path.Match for names that are no paths: the slash, which *
// would stop at, gives its place to a byte that no database name can hold.
func matches(glob, name string) bool {
	flat := func(s string) string { return strings.ReplaceAll(s, "/", "\x00") }
	ok, err := path.Match(flat(glob), flat(name))
	return ok && err == nil
}
