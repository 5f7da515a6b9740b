package vault

import (
	"testing"
	"time"
)

var filterNow = time.Date(2026, 9, 14, 2, 0, 0, 0, time.UTC)

func TestFilterWords(t *testing.T) {
	a := Archive{
		ID: "20260904-7f3a", Database: "Shop", Started: filterNow.Add(-10 * 24 * time.Hour), State: "damaged", Pinned: true,
		Proof: ProofReadable, Copies: []Copy{{Place: "disk", State: "good"}, {Place: "s3-eu", State: "damaged"}}, Tags: []string{"before-upgrade"},
	}
	for _, c := range []struct {
		line string
		want bool
	}{
		{"", true}, {"shop", true}, {"SHOP", true}, {"7f3a", true}, {"upgrade", true}, {"wiki", false}, {"!wiki", true}, {"!shop", false},
		{"db:ho", true}, {"!db:ho", false}, {"db:wiki", false}, {"db:", true}, {"!", true},
		{"age:>7d", true}, {"age:7d", true}, {"age:<7d", false}, {"age:>2w", false}, {"age:<1y", true}, {"age:>=240h", true}, {"age:<=10d", true}, {"age:>", true},
		{"proof:readable", true}, {"proof:none", false}, {"proof:<readable", false}, {"proof:>=intact", true}, {"proof:rest", false}, {"!proof:none", true},
		{"is:damaged", true}, {"is:good", false}, {"is:pinned", true}, {"is:dam", true}, {"is:imported", false}, {"!is:imp", true},
		{"place:s3", true}, {"place:nas", false}, {"!place:nas", true},
		{"copies:1", true}, {"copies:<1", false}, {"copies:<2", true},
		{"db:shop age:>7d is:damaged", true}, {"db:shop is:good", false},
		{"https://x", false},
	} {
		if got := ParseFilter(c.line).Match(a, filterNow); got != c.want {
			t.Errorf("%q: %v", c.line, got)
		}
	}
}

func TestFilterSaysWhatItDoesNotUnderstand(t *testing.T) {
	for _, line := range []string{"age:soon", "age:>d", "proof:sure", "is:nice", "copies:few", "shop age:1q"} {
		f := ParseFilter(line)
		if f.Wrong == "" {
			t.Errorf("%q is taken without a word", line)
		}
		if line == "shop age:1q" && len(f.terms) != 1 {
			t.Errorf("the good word of %q is lost", line)
		}
	}
	if f := ParseFilter("db:shop age:>7d proof:none copies:<3 is:damaged place:s3 !x"); f.Wrong != "" || len(f.terms) != 7 {
		t.Errorf("the words of the help: %q, %d terms", f.Wrong, len(f.terms))
	}
}
