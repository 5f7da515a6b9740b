package config

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"pgvault/vault/retention"
)

func TestSetKeep(t *testing.T) {
	p := retention.Policy{Last: 3, Daily: 7, Within: 14 * 24 * time.Hour}
	line := `keep = { last = 3, daily = 7, within = "2w" }`
	for name, c := range map[string]struct{ from, src, want string }{
		"defaults":     {"", "# a\n[defaults]\nmax_age = \"1d\"\n  keep   = { daily = 5 } # why\n[ui]\n", "# a\n[defaults]\nmax_age = \"1d\"\n  keep   = { last = 3, daily = 7, within = \"2w\" } # why\n[ui]\n"},
		"no line":      {"", "[defaults] # d\nmax_age = \"1d\"\n", "[defaults] # d\n" + line + "\nmax_age = \"1d\"\n"},
		"a comment":    {"", "[defaults]\na = 1\n# keep = { last = 1 }\nb = 1\n", "[defaults]\na = 1\n# keep = { last = 1 }\n" + line + "\nb = 1\n"},
		"of others":    {"", "[defaults]\n[ui]\n# keep = { last = 1 }\n", "[defaults]\n" + line + "\n[ui]\n# keep = { last = 1 }\n"},
		"no table":     {"", "[vault]\nname = \"a\"\n\n", "[vault]\nname = \"a\"\n\n[defaults]\n" + line + "\n"},
		"line ends":    {"", "[defaults]\r\nkeep = { last = 1 }\r\n", "[defaults]\r\n" + line + "\r\n"},
		"byte order":   {"", "\ufeff[defaults]\nkeep = { last = 1 }\n", "\ufeff[defaults]\n" + line + "\n"},
		"own entry":    {"b", "[[database]]\nname = \"a\"\nkeep = { last = 1 }\n[[database]]\nname = \"b\"\nkeep = { last = 2 }\n", "[[database]]\nname = \"a\"\nkeep = { last = 1 }\n[[database]]\nname = \"b\"\n" + line + "\n"},
		"own, no line": {"*", "[[database]]\nname = \"*\"\n", "[[database]]\n" + line + "\nname = \"*\"\n"},
		"other keep":   {"", "[[database]]\nname = \"keep = { last = 4 }\"\nkeep = { last = 2 }\n[defaults]\nkeep={last = 1}", "[[database]]\nname = \"keep = { last = 4 }\"\nkeep = { last = 2 }\n[defaults]\nkeep={ last = 3, daily = 7, within = \"2w\" }"},
	} {
		got, err := SetKeep([]byte(c.src), c.from, p)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %v\n%s\nwanted\n%s", name, err, got, c.want)
		}
		if again, err := SetKeep(got, c.from, p); err != nil || string(again) != string(got) {
			t.Errorf("%s, once more: %v\n%s", name, err, again)
		}
	}
	for name, src := range map[string]string{
		"a table":  "[defaults.keep]\ndaily = 5\n",
		"dotted":   "[defaults]\nkeep.daily = 5\n",
		"in line":  "defaults = { keep = { daily = 5 } }\n",
		"top keys": "defaults.max_age = \"1d\"\n",
	} {
		if got, err := SetKeep([]byte(src), "", p); !errors.Is(err, ErrKeepForm) {
			t.Errorf("%s: %v\n%s", name, err, got)
		}
	}
	if _, err := SetKeep([]byte("[[database]]\nname = \"${X}\"\n"), "shop", p); !errors.Is(err, ErrKeepForm) {
		t.Errorf("a name that is not written there: %v", err)
	}
	if _, err := SetKeep(nil, "", retention.Policy{}); !errors.Is(err, retention.ErrEmpty) {
		t.Errorf("an empty policy: %v", err)
	}
}

// TestSetKeepInTheExample changes one line of the example, and the file still
// loads strictly, with that policy for who has none of their own.
func TestSetKeepInTheExample(t *testing.T) {
	src, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	p := retention.Policy{Weekly: 9}
	got, err := SetKeep(src, "", p)
	if err != nil {
		t.Fatal(err)
	}
	if d := parse(t, string(got)).Database("nobody"); *d.Keep != p || d.KeepFrom != "" {
		t.Errorf("%+v", d)
	}
	if n := len(Diff(src, got)); n == 0 || n > 12 || strings.Count(string(got), "#") < strings.Count(string(src), "#") {
		t.Errorf("%d lines of difference", n)
	}
	c := parse(t, "[[database]]\nname = \"*\"\nkeep = { last = 1 }\n[[database]]\nname = \"a\"\nkeep = { last = 2 }\n[[database]]\nname = \"b\"\n")
	for name, from := range map[string]string{"a": "a", "b": "", "c": "*"} {
		if got := c.Database(name).KeepFrom; got != from {
			t.Errorf("the policy of %s stands in %q, not %q", name, got, from)
		}
	}
}
