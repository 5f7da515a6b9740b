package config

import (
	"bytes"
	"errors"
	"reflect"
	"regexp"
	"strings"

	"github.com/BurntSushi/toml"

	"pgvault/vault/retention"
)

// ErrKeepForm says that a policy is written in a form that SetKeep leaves to
// a person: over several lines, as a table of its own, or with dotted keys.
var ErrKeepForm = errors.New("keep is not written there on one line, as keep = { … }")

// KeepLine is a policy as a line of the file: keep = { daily = 7 }.
func KeepLine(p retention.Policy) string { return "keep = " + tomlPolicy(p) }

// KeepTable is where SetKeep writes: "[defaults]", or an entry [[database]].
func KeepTable(from string) string {
	if from == "" {
		return "[defaults]"
	}
	return "[[database]] name = " + quote(from)
}

// keepOn is a line with a policy and what may stand behind it. No string of
// an inline table of rules holds a brace.
var keepOn = regexp.MustCompile(`^(\s*keep\s*=\s*)\{[^{}]*\}(\s*(?:#.*)?)$`)

// keepNoted is the option in a comment.
var keepNoted = regexp.MustCompile(`^\s*#\s*keep\s*=`)

// SetKeep gives the source of a configuration with another policy. from is
// where it stands, as Database.KeepFrom has it. Where it stands nowhere yet,
// it becomes the first line of its table. Every other byte stays.
func SetKeep(src []byte, from string, p retention.Policy) ([]byte, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	table, header, err := keepTable(src, from)
	if err != nil {
		return nil, err
	}
	text, bom := bytes.CutPrefix(src, []byte("\ufeff"))
	numbers := lineNumbers(string(text))
	lines := strings.Split(string(text), "\n")
	ending := func(line string) string { return line[len(strings.TrimSuffix(line, "\r")):] }
	at := numbers[sub(table, "keep")]
	top := numbers[table]
	switch {
	case at > 0:
		line := strings.TrimSuffix(lines[at-1], "\r")
		m := keepOn.FindStringSubmatch(line)
		if m == nil {
			return nil, ErrKeepForm
		}
		lines[at-1] = m[1] + tomlPolicy(p) + m[2] + ending(lines[at-1])
	case top > 0 && header.MatchString(strings.TrimSuffix(lines[top-1], "\r")):
		after := top - 1
		for i := top; i < len(lines) && !strings.HasPrefix(strings.TrimSpace(lines[i]), "["); i++ {
			if keepNoted.MatchString(lines[i]) {
				after = i // below the comment that shows what could stand there
				break
			}
		}
		lines[after] += "\n" + KeepLine(p) + ending(lines[after])
	case top > 0 || from != "":
		return nil, ErrKeepForm
	default:
		lines = append([]string{strings.TrimRight(strings.Join(lines, "\n"), "\n")}, "", "[defaults]", KeepLine(p), "")
	}
	out := []byte(strings.Join(lines, "\n"))
	if bom {
		out = append([]byte("\ufeff"), out...)
	}
	return out, keptAs(out, from, p)
}

// keepTable is the path of the table in which the policy stands, and what its
// header looks like.
func keepTable(src []byte, from string) (path string, header *regexp.Regexp, err error) {
	if from == "" {
		return sub("", "defaults"), regexp.MustCompile(`^\s*\[\s*defaults\s*\]\s*(#.*)?$`), nil
	}
	var f struct {
		Database []struct {
			Name string `toml:"name"`
		} `toml:"database"`
	}
	if _, err := toml.Decode(strings.TrimPrefix(string(src), "\ufeff"), &f); err != nil {
		return "", nil, err
	}
	for i, d := range f.Database {
		if d.Name == from {
			return index(sub("", "database"), i), regexp.MustCompile(`^\s*\[\[\s*database\s*\]\]\s*(#.*)?$`), nil
		}
	}
	return "", nil, ErrKeepForm // its name comes from elsewhere, such as ${NAME}
}

// keptAs makes sure that the written source says what was meant.
func keptAs(src []byte, from string, p retention.Policy) error {
	tree := map[string]any{}
	if _, err := toml.Decode(strings.TrimPrefix(string(src), "\ufeff"), &tree); err != nil {
		return ErrKeepForm
	}
	l := &loader{raw: map[string]string{}, environ: func(string) (string, bool) { return "", false }}
	var held any
	if from == "" {
		d, _ := tree["defaults"].(map[string]any)
		held = d["keep"]
	}
	list, _ := tree["database"].([]map[string]any)
	for _, d := range list {
		if d["name"] == from && from != "" {
			held = d["keep"]
		}
	}
	var read retention.Policy
	l.fillTable(reflect.ValueOf(&read).Elem(), held, "")
	if len(l.problems) > 0 || read != p {
		return ErrKeepForm
	}
	return nil
}
