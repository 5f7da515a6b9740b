package archive

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"pgvault/fault"
	"pgvault/safetext"
)

// recipientLine is where in a file of recipients one stands: line numbers from
// 0; name is -1 where no comment right above it is its name.
type recipientLine struct {
	at, name int
	text     string
}

// Retired is a recipient that was taken out of the file: a comment remembers
// it, as archives that it opens are still there.
type Retired struct {
	On          string // the day, 2026-11-23
	Name        string
	Fingerprint string
	ProofName   string // see Recipients.ProofName
}

// # retired 2026-11-23: age1… (name)
var retiredPattern = regexp.MustCompile(`^# retired ([0-9]{4}-[0-9]{2}-[0-9]{2}): (age1[0-9a-z]+|ssh-[0-9a-z-]+ [0-9A-Za-z+/=]+) \((.*)\)$`)

func parseRetired(line string) (Retired, bool) {
	m := retiredPattern.FindStringSubmatch(line)
	if m == nil {
		return Retired{}, false
	}
	r := Retired{On: m[1], Name: m[3], Fingerprint: fingerprint(m[2])}
	if !strings.HasPrefix(m[2], "ssh-") {
		r.ProofName = shorten(m[2])
	}
	return r, true
}

// Find gives the position in Public of the recipient of this name,
// fingerprint or text. A fingerprint may be cut after eight characters, if no
// other begins so.
func (r *Recipients) Find(who string) (int, error) {
	if HoldsSecret(who) {
		return 0, badRecipients("a secret key was given where a recipient's name belongs", fmt.Errorf("what is an argument is seen by every user of this host, and kept by the shell"),
			"name the recipient; who may have seen the key here should not count as a stranger: think of a new one")
	}
	var found []int
	for i, p := range r.Public {
		cut := strings.HasPrefix(p.Fingerprint, who) && len(who) >= len("SHA256:")+8
		if p.Name == who || cut || r.texts[i] == recipientText(who) {
			found = append(found, i)
		}
	}
	names := make([]string, len(r.Public))
	for i, p := range r.Public {
		names[i] = p.Name
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return 0, &fault.Error{Op: "recipients", What: fmt.Sprintf("no recipient is called %.80q", who), Why: "the file names " + strings.Join(names, ", "), Left: "nothing was changed",
			Do: "pgvault key list shows names and fingerprints", Code: fault.Usage}
	}
	return 0, &fault.Error{Op: "recipients", What: fmt.Sprintf("%d recipients are called %.80q", len(found), who), Why: "the file names " + strings.Join(names, ", "), Left: "nothing was changed",
		Do: "name one by its fingerprint: pgvault key list", Code: fault.Usage}
}

// maxName bounds a recipient's name.
const maxName = 100

// AddRecipient gives the text of a recipients file with one more recipient at
// its end, a line of its name above it. What was there stays as it is. The
// result is checked as a whole: a mix that age refuses is an error.
func AddRecipient(src []byte, recipient, name, where string) ([]byte, *Recipients, error) {
	before, err := ParseRecipients(src, where)
	if err != nil {
		return nil, nil, err
	}
	if name != safetext.Line(name) || len(name) > maxName || name == "" || strings.ContainsAny(name, "#\n") || strings.HasPrefix(name, "retired ") {
		return nil, nil, badRecipients("this cannot be a recipient's name", fmt.Errorf("it is empty, longer than %d bytes, or holds what a line cannot", maxName), "say in a word or two whose key it is or where it lies: --name 'the safe'")
	}
	one, err := ParseRecipients([]byte("# "+name+"\n"+recipient+"\n"), "the recipient")
	if err != nil {
		return nil, nil, err
	}
	for i, p := range before.Public {
		if before.texts[i] == one.texts[0] {
			return nil, nil, badRecipients(fmt.Sprintf("%s is a recipient already: %q", p.Fingerprint, p.Name), fmt.Errorf("it stands in %s", where), "nothing is to be done")
		}
		if p.Name == name {
			return nil, nil, badRecipients(fmt.Sprintf("there is a recipient called %q already", name), fmt.Errorf("its fingerprint is %s", p.Fingerprint), "give another --name, so that one can be told from the other")
		}
	}
	out := slices.Clone(src)
	if len(out) > 0 && out[len(out)-1] != '\n' {
		out = append(out, '\n')
	}
	out = append(out, "# "+name+"\n"+strings.TrimSpace(recipient)+"\n"...)
	after, err := ParseRecipients(out, where)
	return out, after, err
}

// RetireRecipient gives the text without the i-th of r.Public, of which src is
// the text: a comment that remembers it stands in its place, and all other
// lines stay. The last one cannot be retired.
func (r *Recipients) RetireRecipient(src []byte, i int, now time.Time, where string) ([]byte, *Recipients, error) {
	lines := strings.Split(string(src), "\n")
	drop := map[int]bool{}
	first := -1
	for _, l := range r.lines {
		if l.text != r.texts[i] {
			continue
		}
		if first < 0 {
			first = l.at
		} else {
			drop[l.at] = true
		}
		if l.name >= 0 {
			drop[l.name] = true
		}
	}
	var out []string
	for n, l := range lines {
		switch {
		case n == first:
			out = append(out, fmt.Sprintf("# retired %s: %s (%s)", now.Format(time.DateOnly), r.texts[i], r.Public[i].Name))
		case !drop[n]:
			out = append(out, l)
		}
	}
	text := []byte(strings.Join(out, "\n"))
	after, err := ParseRecipients(text, where)
	return text, after, err
}
