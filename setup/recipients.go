package setup

import (
	"fmt"
	"os"
	"strings"

	"pgvault/fault"
	"pgvault/vault"
	"pgvault/vault/archive"
)

// Recipients is a checked list of public keys as it will be written.
type Recipients struct {
	Text   []byte // the recipients file
	Parsed *archive.Recipients
}

// Public lists who they are.
func (r *Recipients) Public() []archive.Recipient {
	if r == nil || r.Parsed == nil {
		return nil
	}
	return r.Parsed.Public
}

// ReadRecipients takes what a person gives: public keys, one a line or in one
// text, or names of files of them. where names it in errors. A secret key in
// it, and a mix of post-quantum and other keys, are refused.
func ReadRecipients(given []string, where string) (*Recipients, error) {
	var b strings.Builder
	for _, g := range given {
		for line := range strings.SplitSeq(g, "\n") {
			line = strings.TrimSpace(line)
			if line == "" {
				continue
			}
			if !isPath(line) {
				fmt.Fprintln(&b, line)
				continue
			}
			src, err := os.ReadFile(expandHome(line))
			if err != nil {
				return nil, &fault.Error{Op: "recipients", What: fmt.Sprintf("%q is neither a public key nor a file that can be read", line), Why: fileReason(err),
					Left: "nothing was written", Do: "give age1…, ssh-ed25519 …, or the path of a file of such lines", Code: fault.Usage, Err: err}
			}
			b.Write(append(src, '\n'))
		}
	}
	if b.Len() == 0 {
		return nil, &fault.Error{Op: "recipients", What: "no recipient was given", Why: "nobody could ever open an archive", Left: "nothing was written",
			Do: "give the public key of whoever may open the archives; age-keygen makes a pair", Code: fault.Usage}
	}
	parsed, err := archive.ParseRecipients([]byte(b.String()), where)
	if err != nil {
		return nil, err
	}
	return &Recipients{Text: []byte(b.String()), Parsed: parsed}, nil
}

// isPath tells a file's name from a public key, a name line or something that
// is meant for a key: the last is for the parser to refuse, so that no secret
// pasted by mistake is taken for a name and repeated.
func isPath(line string) bool {
	upper := strings.ToUpper(line)
	for _, p := range []string{"AGE", "SSH-", "ECDSA-", "SK-SSH-", "SK-ECDSA-", "#", "-----", "AGE-SECRET-KEY-", "AGE-PLUGIN-"} {
		if strings.HasPrefix(upper, p) && !strings.ContainsAny(strings.SplitN(line, " ", 2)[0], "/.") {
			return false
		}
	}
	return true
}

// Check says how safe the list is to rely on. One recipient is a line of x
// unless allowOne.
func (r *Recipients) Check(allowOne bool) []vault.Check {
	public := r.Public()
	native := 0
	for _, p := range public {
		if p.Kind != archive.KindSSH {
			native++
		}
	}
	var out []vault.Check
	switch {
	case len(public) == 1 && !allowOne:
		out = append(out, bad("add a second (a key kept in a safe), or accept one recipient", "there is only one recipient: lose its key, and every archive is lost"))
	case len(public) == 1:
		out = append(out, note("add a second (a key kept in a safe)", "one recipient: lose that key, and every archive is lost"))
	default:
		out = append(out, ok("%d recipients: each of them alone opens every archive", len(public)))
	}
	if native == 0 {
		out = append(out, note("add a native age key, kept in a safe", "SSH keys only: they work, and get replaced more often than archives do"))
	}
	return out
}

// fileReason is why a file could not be read, without its name.
func fileReason(err error) string {
	if os.IsNotExist(err) {
		return "there is no such file"
	}
	if os.IsPermission(err) {
		return "this user may not read it"
	}
	return err.Error()
}

// expandHome makes ~/ the home folder, as a shell would.
func expandHome(path string) string {
	if rest, found := strings.CutPrefix(path, "~/"); found {
		if home, err := os.UserHomeDir(); err == nil {
			return home + "/" + rest
		}
	}
	return path
}
