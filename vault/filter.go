package vault

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Filter is a parsed line of filter words; every word must hold. The zero
// Filter lets everything through.
type Filter struct {
	terms []term
	Wrong string // what was not understood, in words; such a word is left out
}

type term struct {
	not  bool
	hold func(a Archive, now time.Time) bool
}

// FilterWords is the help line of the filter.
const FilterWords = "db:shop  age:>7d  proof:none  copies:<3  is:damaged  place:s3  !word"

// FilterHelp says in one sentence what a filter is made of.
const FilterHelp = "words: db:NAME age:>7d age:<12h proof:restored copies:<3 is:good|damaged|missing|partial|foreign|pinned|imported place:disk, or any text; ! before a word turns it round"

// ParseFilter reads words separated by spaces: db:, age:, proof:, is:,
// place:, copies: and free text; "!" before a word turns it round.
func ParseFilter(s string) Filter {
	var f Filter
	for _, w := range strings.Fields(s) {
		not := strings.HasPrefix(w, "!")
		w = strings.ToLower(strings.TrimPrefix(w, "!"))
		if w == "" {
			continue
		}
		hold, wrong := parseTerm(w)
		if wrong != "" {
			f.Wrong = wrong
		}
		if hold != nil {
			f.terms = append(f.terms, term{not, hold})
		}
	}
	return f
}

// Match tells whether an archive passes.
func (f Filter) Match(a Archive, now time.Time) bool {
	for _, t := range f.terms {
		if t.hold(a, now) == t.not {
			return false
		}
	}
	return true
}

type holds = func(a Archive, now time.Time) bool

// parseTerm reads one word. A word with an empty value is still being typed:
// it holds for all.
func parseTerm(w string) (holds, string) {
	key, val, ok := strings.Cut(w, ":")
	if !ok {
		return freeText(w), ""
	}
	switch key {
	case "db", "age", "proof", "is", "place", "copies":
		if strings.TrimLeft(val, "<>=") == "" {
			return nil, ""
		}
	}
	switch key {
	case "db":
		return func(a Archive, _ time.Time) bool { return contains(a.Database, val) }, ""
	case "place":
		return func(a Archive, _ time.Time) bool {
			for _, c := range a.Copies {
				if contains(c.Place, val) && c.there() {
					return true
				}
			}
			return false
		}, ""
	case "is":
		return isTerm(val)
	case "age":
		return ageTerm(val)
	case "proof":
		return proofTerm(val)
	case "copies":
		op, rest := splitOp(val, "=")
		n, err := strconv.Atoi(rest)
		if err != nil {
			return nil, fmt.Sprintf("%q: say copies:<3", w)
		}
		return func(a Archive, _ time.Time) bool { return compare(op, a.GoodCopies(), n) }, ""
	}
	return freeText(w), ""
}

func freeText(w string) holds {
	return func(a Archive, _ time.Time) bool {
		hay := append([]string{a.ID, a.Database}, a.Tags...)
		for _, h := range hay {
			if contains(h, w) {
				return true
			}
		}
		return false
	}
}

func contains(hay, lower string) bool { return strings.Contains(strings.ToLower(hay), lower) }

func isTerm(val string) (holds, string) {
	if strings.HasPrefix("pinned", val) {
		return func(a Archive, _ time.Time) bool { return a.Pinned }, ""
	}
	if strings.HasPrefix("imported", val) {
		return func(a Archive, _ time.Time) bool { return a.Imported != nil }, ""
	}
	if strings.HasPrefix("missing", val) {
		return func(a Archive, _ time.Time) bool { return a.hasCopy(CopyMissing, CopyIncomplete) }, ""
	}
	if strings.HasPrefix("damaged", val) {
		return func(a Archive, _ time.Time) bool { return a.State == "damaged" || a.hasCopy(CopyDamaged) }, ""
	}
	for _, s := range []string{"good", "partial", "foreign"} {
		if strings.HasPrefix(s, val) {
			return func(a Archive, _ time.Time) bool { return a.State == s }, ""
		}
	}
	return nil, fmt.Sprintf("is:%s: say good, damaged, missing, partial, foreign, pinned or imported", val)
}

// ageTerm reads ">7d", "<12h"; without a sign, older than.
func ageTerm(val string) (holds, string) {
	op, rest := splitOp(val, ">")
	d, ok := parseAge(rest)
	if !ok {
		return nil, fmt.Sprintf("age:%s: say age:>7d, age:<12h", val)
	}
	return func(a Archive, now time.Time) bool {
		return compare(op, int(now.Sub(a.Started)/time.Second), int(d/time.Second))
	}, ""
}

// parseAge reads a number and m, h, d, w or y.
func parseAge(s string) (time.Duration, bool) {
	if s == "" {
		return 0, false
	}
	unit, ok := map[byte]time.Duration{
		'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour, 'y': 365 * 24 * time.Hour,
	}[s[len(s)-1]]
	n, err := strconv.ParseFloat(s[:len(s)-1], 64)
	if !ok || err != nil || n < 0 || n > 1e5 {
		return 0, false
	}
	return time.Duration(n * float64(unit)), true
}

// proofTerm reads a rung of the ladder or the start of its name, with a sign
// for comparison: "proof:<readable".
func proofTerm(val string) (holds, string) {
	op, rest := splitOp(val, "=")
	rungs := []Proof{"none", ProofStored, ProofIntact, ProofReadable, ProofRestored}
	for i, p := range rungs {
		if strings.HasPrefix(string(p), rest) {
			return func(a Archive, _ time.Time) bool { return compare(op, a.Proof.Rank(), i) }, ""
		}
	}
	return nil, fmt.Sprintf("proof:%s: say none, stored, intact, readable or restored", val)
}

func splitOp(s, none string) (op, rest string) {
	for _, op := range []string{"<=", ">=", "<", ">", "="} {
		if strings.HasPrefix(s, op) {
			return op, s[len(op):]
		}
	}
	return none, s
}

func compare(op string, a, b int) bool {
	switch op {
	case "<":
		return a < b
	case "<=":
		return a <= b
	case ">":
		return a > b
	case ">=":
		return a >= b
	}
	return a == b
}

// there tells whether something of the archive lies in the place.
func (c Copy) there() bool {
	return c.State == CopyGood || c.State == CopyDamaged || c.State == CopyForeign || c.State == CopyIncomplete
}

// In tells whether a copy lies in the place of this name, good or not; of one
// that does not answer, whether it did.
func (a Archive) In(place string) bool {
	return slices.ContainsFunc(a.Copies, func(c Copy) bool { return c.Place == place && c.there() && c.State != CopyIncomplete })
}

// hasCopy tells whether a copy, or what should be one, is in one of these
// states.
func (a Archive) hasCopy(states ...string) bool {
	return slices.ContainsFunc(a.Copies, func(c Copy) bool { return slices.Contains(states, c.State) })
}

// GoodCopies counts the copies that are whole.
func (a Archive) GoodCopies() int {
	n := 0
	for _, c := range a.Copies {
		if c.State == "good" {
			n++
		}
	}
	return n
}

// copiesNow counts the whole copies in places that answer.
func (a Archive) copiesNow() int {
	n := 0
	for _, c := range a.Copies {
		if c.State == CopyGood && c.Known == nil {
			n++
		}
	}
	return n
}
