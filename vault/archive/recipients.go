package archive

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"filippo.io/age/plugin"

	"pgvault/fault"
)

// Recipients is a checked set of people (or safes) that can open what is
// sealed to them. The zero value seals nothing.
type Recipients struct {
	Public []Recipient
	texts  []string // in the order of Public: age1…, or an SSH key's type and base64
	whole  []string // the same with an SSH key's comment, as the file has it
	lines  []recipientLine
	// Retired are those that the file remembers in a comment.
	Retired []Retired
	age     []age.Recipient
	pq      bool
}

// OneTimeName is how proofs name the key of a backup's own self-check.
const OneTimeName = "one-time key"

// The kinds of recipient.
const (
	KindX25519 = "X25519"
	KindSSH    = "SSH"
	KindPQ     = "post-quantum"
	KindPlugin = "plugin"
)

// LoadRecipients reads a file of recipients as age does: one a line, with
// an optional "# name" line above each.
func LoadRecipients(path string) (*Recipients, error) {
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, badRecipients(fmt.Sprintf("the recipients file %s cannot be read", path), err,
			"write it, one age or SSH public key a line, or run pgvault init --recipient …")
	}
	return ParseRecipients(src, path)
}

// ParseRecipients checks every line of src; where names it in errors. A
// recipient given twice counts once. Post-quantum recipients are not mixed
// with others: age refuses that, and so does this, before any dump begins.
func ParseRecipients(src []byte, where string) (*Recipients, error) {
	var out Recipients
	seen := map[string]bool{}
	name, above := "", -1
	sc := bufio.NewScanner(bytes.NewReader(src))
	sc.Buffer(nil, 1<<20)
	for n := 1; sc.Scan(); n++ {
		line := strings.TrimSpace(sc.Text())
		switch {
		case line == "":
			name, above = "", -1
			continue
		case strings.HasPrefix(line, "#"):
			name, above = strings.TrimSpace(strings.TrimLeft(line, "# ")), n-1
			if r, ok := parseRetired(line); ok {
				out.Retired = append(out.Retired, r)
				name, above = "", -1
			}
			continue
		}
		r, kind, err := parseRecipient(line)
		if err != nil {
			return nil, badRecipients(fmt.Sprintf("%s, line %d: not a recipient", where, n), err,
				"correct the line; a recipient begins with age1… or ssh-ed25519 …")
		}
		if key := recipientText(line); !seen[key] {
			seen[key] = true
			out.add(r, Recipient{Name: name, Kind: kind, Fingerprint: fingerprint(key)}, line)
		}
		out.lines = append(out.lines, recipientLine{at: n - 1, name: above, text: recipientText(line)})
		name, above = "", -1
	}
	if err := sc.Err(); err != nil {
		return nil, badRecipients(where+" cannot be read", err, "correct the file")
	}
	return &out, out.check(where)
}

func (r *Recipients) add(a age.Recipient, pub Recipient, line string) {
	if pub.Name == "" {
		if f := strings.Fields(line); len(f) > 2 {
			pub.Name = f[2] // the comment of an SSH key
		} else {
			pub.Name = shorten(f[0])
		}
	}
	r.age = append(r.age, a)
	r.Public = append(r.Public, pub)
	r.texts, r.whole = append(r.texts, recipientText(line)), append(r.whole, line)
	r.pq = r.pq || pub.Kind == KindPQ
}

// Fingerprints are those of Public.
func (r *Recipients) Fingerprints() []string {
	out := make([]string, len(r.Public))
	for i, p := range r.Public {
		out[i] = p.Fingerprint
	}
	return out
}

// Line is the first of the file's lines that names the i-th of Public, with
// the comment of an SSH key.
func (r *Recipients) Line(i int) string { return r.whole[i] }

// ProofName is what proofs call an identity of the i-th of Public; empty where
// they name the file it lay in instead, as of an SSH key.
func (r *Recipients) ProofName(i int) string {
	switch r.Public[i].Kind {
	case KindX25519, KindPQ:
		return shorten(r.texts[i])
	}
	return ""
}

func (r *Recipients) check(where string) error {
	if len(r.age) == 0 {
		return badRecipients(where+" names no recipient", errors.New("nobody could ever open an archive"), "add at least two: the person on duty and one kept in a safe")
	}
	for _, p := range r.Public {
		if r.pq && p.Kind != KindPQ {
			return badRecipients(fmt.Sprintf("%s mixes post-quantum and other recipients", where),
				fmt.Errorf("%q is %s; an archive is only as safe as its weakest recipient, and age refuses the mix", p.Name, p.Kind),
				"give all recipients as age1pq… or none")
		}
	}
	if _, err := age.Encrypt(io.Discard, r.age...); err != nil {
		return badRecipients("nothing can be sealed to the recipients in "+where, err, "correct the file; a plugin must be installed on this host")
	}
	return nil
}

func parseRecipient(line string) (age.Recipient, string, error) {
	secret := strings.ToUpper(line)
	if strings.Contains(secret, "AGE-SECRET-KEY-") || strings.Contains(secret, "AGE-PLUGIN-") || strings.HasPrefix(secret, "-----BEGIN") {
		return nil, "", errors.New("this is a secret key; the backup host must never hold one")
	}
	var r age.Recipient
	var kind string
	var err error
	switch {
	case strings.HasPrefix(line, "age1pq1"):
		kind = KindPQ
		r, err = age.ParseHybridRecipient(line)
	case strings.HasPrefix(line, "ssh-"):
		kind = KindSSH
		r, err = agessh.ParseRecipient(line)
	case strings.HasPrefix(line, "age1") && strings.Count(line, "1") > 1 && isPlugin(line):
		kind = KindPlugin
		r, err = plugin.NewRecipient(line, &plugin.ClientUI{})
	default:
		kind = KindX25519
		r, err = age.ParseX25519Recipient(line)
	}
	if err != nil {
		// Not what age says: it repeats the line, and whatever was pasted here
		// by mistake would stand in a log.
		return nil, "", errors.New("neither a whole age public key nor an SSH one of type ed25519 or rsa (2048 bits or more)")
	}
	return r, kind, nil
}

// isPlugin: age1NAME1… where a native recipient is age1 and 58 characters.
func isPlugin(line string) bool {
	name, _, err := plugin.ParseRecipient(line)
	return err == nil && name != "" && len(line) != 62
}

// recipientText is what makes two lines the same recipient: an SSH key's
// comment does not count.
func recipientText(line string) string {
	if f := strings.Fields(line); len(f) > 1 {
		return f[0] + " " + f[1]
	}
	return line
}

func fingerprint(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

func shorten(s string) string {
	if len(s) <= 20 {
		return s
	}
	return s[:12] + "…" + s[len(s)-4:]
}

func badRecipients(what string, err error, do string) *fault.Error {
	return &fault.Error{Op: "recipients", What: what, Left: "nothing was dumped or written", Do: do, Code: fault.Usage, Err: err}
}

// OneTime is an identity that lives in this process's memory for one
// archive: with it the stored bytes are read back and decrypted although no
// secret key of a recipient was ever on this host.
type OneTime struct {
	identity  age.Identity
	recipient age.Recipient
}

// NewOneTime makes a one-time identity of a kind that age accepts beside r.
func NewOneTime(r *Recipients) (*OneTime, error) {
	if r.pq {
		id, err := age.GenerateHybridIdentity()
		if err != nil {
			return nil, err
		}
		return &OneTime{id, id.Recipient()}, nil
	}
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, err
	}
	return &OneTime{id, id.Recipient()}, nil
}

// Keys gives the identity in the form that readers take.
func (o *OneTime) Keys() *Keys {
	return &Keys{ids: []namedIdentity{{o.identity, OneTimeName}}, names: []string{OneTimeName}}
}
