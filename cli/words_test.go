package cli

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgvault/fault"
	"pgvault/safetext"
)

func TestParseSize(t *testing.T) {
	for in, want := range map[string]int64{"50MB": 50e6, "2GiB": 2 << 30, "1 kB": 1000, "512KiB": 512 << 10, "7B": 7, "1000000": 1e6} {
		if got, err := parseSize(in); got != want || err != nil {
			t.Errorf("parseSize(%q) = %d, %v, not %d", in, got, err, want)
		}
	}
	for _, in := range []string{"", "MB", "-1MB", "0", "1.5GB", "many", "1TB", "99999999GiB", "1MB "} {
		if got, err := parseSize(in); err == nil || fault.CodeOf(err) != fault.Usage {
			t.Errorf("parseSize(%q) = %d, %v, not a usage error", in, got, err)
		}
	}
}

func TestTableList(t *testing.T) {
	for in, want := range map[string][]string{
		"a":                     {"a"},
		"a,b.c":                 {"a", "b.c"},
		" a , b ":               {"a", "b"},
		`public."x, ""y""",z`:   {`public."x, ""y"""`, "z"},
		`"only, one"`:           {`"only, one"`},
		"with space,naïve,學生姓名": {"with space", "naïve", "學生姓名"},
	} {
		var got tableList
		if err := got.Set(in); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %q, %v, not %q", in, got, err, want)
		}
	}
	for _, in := range []string{"", ",", "a,", "a,,b", `"open`, `a,"b,c`} {
		var got tableList
		if err := got.Set(in); err == nil {
			t.Errorf("%q was taken for %q", in, got)
		}
	}
	var twice tableList
	if err := errors.Join(twice.Set("a"), twice.Set("b,c")); err != nil || twice.String() != "a,b,c" {
		t.Errorf("a repeated flag gives %q, %v", twice, err)
	}
}

// TestShellWord asks a real shell what it makes of a quoted word.
func TestShellWord(t *testing.T) {
	for _, in := range []string{"plain", "a b", "it's", `$HOME "x" \`, "", "~", "new\nline", "-n", "*", "#x", "學"} {
		out, err := exec.Command("/bin/sh", "-c", `printf %s `+safetext.Word(in)).Output()
		if in == "-n" { // an option to printf, but a word to the shell
			out, err = exec.Command("/bin/sh", "-c", `printf %s -- `+safetext.Word(in)+`; :`).Output()
			out = bytes.TrimPrefix(out, []byte("--"))
		}
		if err != nil || string(out) != in {
			t.Errorf("%q became %q, %v", in, out, err)
		}
	}
}

func TestAgain(t *testing.T) {
	const same = "pgvault restore ID --to-new x"
	for _, c := range []struct {
		p    program
		want string
	}{
		{program{}, same},
		{program{config: "/etc/my conf.toml"}, "pgvault -c '/etc/my conf.toml' restore ID --to-new x"},
		{program{config: "c.toml", vaultName: "other"}, "pgvault -c c.toml --vault other restore ID --to-new x"},
	} {
		if got := c.p.again(same); got != c.want {
			t.Errorf("got %q, not %q", got, c.want)
		}
	}
}

// TestEach: several runs in one call end with one exit code.
func TestEach(t *testing.T) {
	damaged := &fault.Error{What: "damaged", Code: fault.Differs}
	cancelled := &fault.Error{What: "cancelled", Code: fault.Cancelled}
	for _, c := range []struct {
		fail map[string]error
		want fault.Code
		runs int
	}{
		{nil, fault.OK, 3},
		{map[string]error{"b": damaged}, fault.Partial, 3},
		{map[string]error{"a": damaged, "b": damaged, "c": damaged}, fault.Differs, 3},
		{map[string]error{"b": cancelled}, fault.Cancelled, 2},
		{map[string]error{"a": context.Canceled}, fault.Cancelled, 1},
	} {
		p, runs := &program{stderr: &bytes.Buffer{}}, 0
		err := p.each([]string{"a", "b", "c"}, func(name string) error { runs++; return c.fail[name] })
		if fault.CodeOf(err) != c.want || runs != c.runs {
			t.Errorf("%v: exit %d after %d runs, not %d after %d", c.fail, fault.CodeOf(err), runs, c.want, c.runs)
		}
	}
	p := &program{stderr: &bytes.Buffer{}}
	if err := p.each([]string{"a"}, func(string) error { return damaged }); err != damaged {
		t.Errorf("one run gives its own error, not %v", err)
	}
}

// TestCommandsExplainThemselves: help is made from these words.
func TestCommandsExplainThemselves(t *testing.T) {
	root := (&program{stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}}).root()
	for _, c := range root.Commands() {
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: short help %q", c.Name(), c.Short)
		}
		if f := c.Flags().Lookup("json"); f != nil && f.Usage == "" {
			t.Errorf("%s: --json without a word", c.Name())
		}
	}
	for _, name := range []string{"backup", "list", "show", "verify", "restore", "dump", "status", "retention", "init", "config", "demo", "version", "snapshots", "forget", "download"} {
		if c, _, err := root.Find([]string{name}); err != nil || c == root {
			t.Errorf("there is no verb %s: %v", name, err)
		}
	}
}

// TestREADMECommandsExist: every verb and flag that README.md prints is one.
func TestREADMECommandsExist(t *testing.T) {
	src, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	root := (&program{stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}}).root()
	checked := 0
	for _, call := range regexp.MustCompile("(?m)(?:^|`|\\$ )pgvault ([a-z][^`\n]*)").FindAllStringSubmatch(string(src), -1) {
		words := strings.Fields(call[1])
		c, _, err := root.Find(words[:1])
		if err != nil || c == root {
			continue // a sentence about pgvault
		}
		if sub, _, err := c.Find(words[1:]); err == nil {
			c = sub
		}
		for _, w := range words {
			name, long := strings.CutPrefix(w, "--")
			switch {
			case long && c.Flags().Lookup(name) == nil && root.PersistentFlags().Lookup(name) == nil:
				t.Errorf("pgvault %s: there is no --%s", call[1], name)
			case !long && len(w) == 2 && w[0] == '-' && c.Flags().ShorthandLookup(w[1:]) == nil && root.PersistentFlags().ShorthandLookup(w[1:]) == nil:
				t.Errorf("pgvault %s: there is no %s", call[1], w)
			}
		}
		checked++
	}
	if checked < 20 {
		t.Errorf("only %d commands were found in README.md", checked)
	}
}
