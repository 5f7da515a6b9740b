package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"pgvault/vault/retention"
	"pgvault/vault/store/address"
)

// Change is one option that two configurations have differently, as a person
// says it. An empty From or To: it is not set there.
type Change struct {
	Option   string // "defaults.max_age", "database shop.keep"
	From, To string
}

// String is "defaults.max_age 1d > 2d".
func (c Change) String() string {
	or := func(s string) string {
		if s == "" {
			return "(none)"
		}
		return s
	}
	return c.Option + " " + or(c.From) + " > " + or(c.To)
}

// Changes gives what differs between two configurations, sorted by option. A
// connection string may hold a password, and the address of a sink a token: of
// them is told only that they changed.
func Changes(old, changed *Config) []Change {
	a, b := flatten(old), flatten(changed)
	names := map[string]bool{}
	for k := range a {
		names[k] = true
	}
	for k := range b {
		names[k] = true
	}
	var out []Change
	for _, k := range slices.Sorted(maps.Keys(names)) {
		if a[k] == b[k] {
			continue
		}
		c := Change{Option: k, From: a[k], To: b[k]}
		if words := secretOptions[k]; words != "" {
			c.From, c.To = hidden(a[k], words), hidden(b[k], words)
			if c.From == c.To {
				c.To = "another"
			}
		}
		out = append(out, c)
	}
	return out
}

// secretOptions are those whose value is never shown, and what is said
// instead.
var secretOptions = map[string]string{"server.dbname": "a connection", "tell.on_failure": "addresses"}

func hidden(s, words string) string {
	if s == "" {
		return ""
	}
	return words
}

// flatten gives each option that is set, by the name that a person knows it
// by: entries of a list go by their name, not by their number.
func flatten(c *Config) map[string]string {
	out := map[string]string{}
	v := reflect.ValueOf(c).Elem()
	for section, i := range options(v.Type()) {
		f := v.Field(i)
		if f.Kind() != reflect.Slice {
			flattenStruct(out, section+".", f)
			continue
		}
		for k := range f.Len() {
			name := f.Index(k).FieldByName("Name").String()
			out[section+" "+name] = "there"
			flattenStruct(out, section+" "+name+".", f.Index(k))
		}
	}
	return out
}

func flattenStruct(out map[string]string, prefix string, v reflect.Value) {
	for key, i := range options(v.Type()) {
		if s := optionText(v.Field(i)); s != "" && !(key == "name" && strings.Contains(prefix, " ")) {
			out[prefix+key] = s
		}
	}
}

// optionText is a value as the file would hold it; empty for one that is not
// set.
func optionText(v reflect.Value) string {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return ""
		}
		v = v.Elem()
	}
	switch x := v.Interface().(type) {
	case time.Duration:
		if x == 0 {
			return ""
		}
		return FormatDuration(x)
	case retention.Policy:
		return FormatPolicy(x)
	case Size:
		if x == 0 {
			return ""
		}
		return address.FormatSize(int64(x))
	case Rate:
		if x == 0 {
			return ""
		}
		return address.FormatRate(int64(x))
	case []string:
		return strings.Join(x, ", ")
	}
	return fmt.Sprint(v.Interface())
}
