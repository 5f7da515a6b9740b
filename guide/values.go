package guide

import (
	"maps"
	"slices"
	"strings"

	"pgvault/vault"
)

// Values is everything a guide knows: answers under the keys of their
// fields, and facts under keys of the guide's own. A Values is used by one
// goroutine at a time; a Work has a copy of its own. Only secrets are shared.
type Values struct {
	texts   map[string]string
	lists   map[string][]string
	facts   map[string]any
	secrets map[string]*SecretValue
	touched map[string]bool // answered by the person, not proposed
	runs    map[string]*Run

	changed map[string]bool // in a copy: which texts, lists and facts were set
}

// NewValues gives an empty set of answers.
func NewValues() *Values {
	return &Values{
		texts: map[string]string{}, lists: map[string][]string{}, facts: map[string]any{},
		secrets: map[string]*SecretValue{}, touched: map[string]bool{}, runs: map[string]*Run{}, changed: map[string]bool{},
	}
}

// Get gives the text answered under key, empty when there is none. A YesNo
// is "yes" or "no".
func (v *Values) Get(key string) string { return v.texts[key] }

// Yes tells whether a YesNo was answered yes.
func (v *Values) Yes(key string) bool { return v.texts[key] == "yes" }

// Set answers key as if the person had.
func (v *Values) Set(key, text string) {
	v.texts[key] = text
	v.touched[key] = true
	v.changed[key] = true
}

// Propose fills key where the person has not answered it.
func (v *Values) Propose(key, text string) {
	if !v.touched[key] {
		v.texts[key] = text
		v.changed[key] = true
	}
}

// List gives the values chosen in a Many.
func (v *Values) List(key string) []string { return v.lists[key] }

// SetList answers a Many.
func (v *Values) SetList(key string, values []string) {
	v.lists[key] = slices.Clone(values)
	v.touched[key] = true
	v.changed[key] = true
}

// ProposeList fills a Many where the person has not answered it.
func (v *Values) ProposeList(key string, values []string) {
	if !v.touched[key] {
		v.lists[key] = slices.Clone(values)
		v.changed[key] = true
	}
}

// Fact gives what Put kept, nil when nothing.
func (v *Values) Fact(key string) any { return v.facts[key] }

// Put keeps a fact; nil forgets it. Facts are not in a draft: a step that
// uses one finds it out again where it is missing.
func (v *Values) Put(key string, fact any) {
	if fact == nil {
		delete(v.facts, key)
	} else {
		v.facts[key] = fact
	}
	v.changed[key] = true
}

// FactOf gives a fact of a known type; the zero value when there is none.
func FactOf[T any](v *Values, key string) T {
	f, _ := v.facts[key].(T)
	return f
}

// SecretOf gives the secret under key, never nil; an empty one when nothing
// was given.
func (v *Values) SecretOf(key string) *SecretValue {
	s := v.secrets[key]
	if s == nil {
		s = &SecretValue{}
		v.secrets[key] = s
	}
	return s
}

// Run gives how the job of a step stands, nil before it was launched.
func (v *Values) Run(step string) *Run { return v.runs[step] }

// Ended gives how the job of a step ended, nil before that.
func (v *Values) Ended(step string) *vault.RunDone {
	if r := v.runs[step]; r != nil {
		return r.Done
	}
	return nil
}

// wipe empties every secret.
func (v *Values) wipe() {
	for _, s := range v.secrets {
		s.Wipe()
	}
}

// copy is for a Work: all its own but the secrets.
func (v *Values) copy() *Values {
	c := &Values{
		texts: maps.Clone(v.texts), lists: maps.Clone(v.lists), facts: maps.Clone(v.facts),
		secrets: maps.Clone(v.secrets), touched: maps.Clone(v.touched), runs: map[string]*Run{}, changed: map[string]bool{},
	}
	for k, r := range v.runs {
		r := *r
		c.runs[k] = &r
	}
	return c
}

// take takes over what was set in a copy.
func (v *Values) take(c *Values) {
	for key := range c.changed {
		if t, ok := c.texts[key]; ok && (c.touched[key] || !v.touched[key]) {
			v.texts[key] = t
			v.touched[key] = v.touched[key] || c.touched[key]
		}
		if l, ok := c.lists[key]; ok && (c.touched[key] || !v.touched[key]) {
			v.lists[key] = l
			v.touched[key] = v.touched[key] || c.touched[key]
		}
		if f, ok := c.facts[key]; ok {
			v.facts[key] = f
		} else {
			delete(v.facts, key)
		}
	}
}

// Quoted writes s as one word for a POSIX shell.
func Quoted(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@%+,") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
