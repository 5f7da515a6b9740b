// Package setup is what a person does once: connect, choose databases, keys,
// a place, rules, and write all of it down. Each step is a function that looks
// and says what it saw in lines of ok, ! and x; only Write changes anything.
//
// A killed set-up leaves no half-written configuration: config.toml comes
// last, whole or not at all, and what lies beside it is taken up again.
//
// No secret is written here but the one file that a person names for a new
// identity, and that is refused on this host unless asked for in as many words.
package setup

import (
	"fmt"
	"strings"

	"pgvault/vault"
)

// ok, note and bad are the three kinds of line.
func ok(format string, a ...any) vault.Check {
	return vault.Check{State: "ok", Text: fmt.Sprintf(format, a...)}
}

func note(do, format string, a ...any) vault.Check {
	return vault.Check{State: "!", Text: fmt.Sprintf(format, a...), Do: do}
}

func bad(do, format string, a ...any) vault.Check {
	return vault.Check{State: "x", Text: fmt.Sprintf(format, a...), Do: do}
}

// Refused tells whether one of the lines forbids to go on.
func Refused(checks []vault.Check) bool {
	for _, c := range checks {
		if c.State == "x" {
			return true
		}
	}
	return false
}

// Worst is the state of the worst line: x before ! before ok.
func Worst(checks []vault.Check) string {
	worst := "ok"
	for _, c := range checks {
		if c.State == "x" || c.State == "!" && worst == "ok" {
			worst = c.State
		}
	}
	return worst
}

// names lists at most four names.
func names(list []string) string {
	if len(list) > 4 {
		return strings.Join(list[:3], ", ") + fmt.Sprintf(" and %d more", len(list)-3)
	}
	return strings.Join(list, ", ")
}

// count writes a number with its noun: "1 database", "3 databases".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
