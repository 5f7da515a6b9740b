package archive

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"
	"filippo.io/age/plugin"
	"golang.org/x/crypto/ssh"
)

// SecretState is what may be shown of a secret while it is typed: its kind,
// its length, and whether it is whole. State is "ok", "x", or empty while it
// may still become something.
type SecretState struct {
	State string
	Text  string
	// Passphrase: it is encrypted with one.
	Passphrase bool
}

// HoldsSecret tells whether text has the look of the secret half of a key in
// it, whole or not.
func HoldsSecret(text string) bool {
	upper := strings.ToUpper(text)
	return strings.Contains(upper, "AGE-SECRET-KEY-") || strings.Contains(upper, "AGE-PLUGIN-") || strings.Contains(upper, "PRIVATE KEY-----")
}

// The lengths of age's own identities, in characters.
const (
	x25519Len = 74
	hybridLen = 77
)

// DescribeSecret tells what b is, without showing more of it than its kind:
// an identity file's text, or the answer of pgvault unlock.
func DescribeSecret(b []byte) SecretState {
	b = bytes.TrimSpace(b)
	switch {
	case len(b) == 0:
		return SecretState{}
	case bytes.HasPrefix(b, []byte("-----BEGIN")), bytes.HasPrefix(b, []byte("age-encryption.org/")):
		return describePEM(b)
	case bytes.HasPrefix(b, []byte("age1")), bytes.HasPrefix(b, []byte("ssh-")):
		return SecretState{State: "x", Text: "this is a public key; what opens archives is its secret half"}
	case bytes.HasPrefix(b, []byte(answerPrefix)):
		if _, err := unpackText(answerPrefix, string(b)); err != nil {
			return SecretState{Text: fmt.Sprintf("%s..., %d characters, not whole yet", answerPrefix, len(b))}
		}
		return SecretState{State: "ok", Text: fmt.Sprintf("%s..., %d characters, checksum ok", answerPrefix, len(b))}
	case bytes.HasPrefix(b, []byte(requestPrefix)):
		return SecretState{State: "x", Text: "this is the request itself; paste the answer, which begins with " + answerPrefix}
	}
	return describeLines(b)
}

// describeLines looks at an identity file of lines: it is as good as the
// worst of them.
func describeLines(b []byte) SecretState {
	var out SecretState
	n := 0
	for _, line := range bytes.Split(b, []byte("\n")) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		s := describeLine(line)
		if n++; n == 1 || s.State != "ok" {
			out = s
		}
	}
	switch {
	case n == 0:
		return SecretState{Text: "only comments so far"}
	case n > 1:
		out.Text += fmt.Sprintf(" (%d identities)", n)
	}
	return out
}

func describeLine(b []byte) SecretState {
	for _, k := range []struct {
		prefix string
		length int
		parse  func(string) error
	}{
		{"AGE-SECRET-KEY-PQ-1", hybridLen, func(s string) error { _, err := age.ParseHybridIdentity(s); return err }},
		{"AGE-SECRET-KEY-1", x25519Len, func(s string) error { _, err := age.ParseX25519Identity(s); return err }},
	} {
		if !bytes.HasPrefix(bytes.ToUpper(b), []byte(k.prefix)) {
			continue
		}
		text := fmt.Sprintf("%s..., %d characters", k.prefix, len(b))
		switch {
		case len(b) < k.length:
			return SecretState{Text: fmt.Sprintf("%s of %d", text, k.length)}
		case len(b) > k.length:
			return SecretState{State: "x", Text: fmt.Sprintf("%s, and it should be %d", text, k.length)}
		case k.parse(string(b)) != nil:
			return SecretState{State: "x", Text: text + ", the checksum is wrong: a letter was lost or changed"}
		}
		return SecretState{State: "ok", Text: text + ", checksum ok"}
	}
	if bytes.HasPrefix(b, []byte("AGE-PLUGIN-")) {
		name, _, err := plugin.ParseIdentity(string(b))
		if err != nil {
			return SecretState{Text: fmt.Sprintf("AGE-PLUGIN-..., %d characters, not whole yet", len(b))}
		}
		return SecretState{State: "ok", Text: fmt.Sprintf("identity of age-plugin-%s, %d characters, checksum ok", name, len(b))}
	}
	for _, begin := range []string{"AGE-SECRET-KEY-PQ-1", "AGE-PLUGIN-", "-----BEGIN ", answerPrefix} {
		if bytes.HasPrefix([]byte(begin), b) {
			return SecretState{Text: fmt.Sprintf("%d characters", len(b))}
		}
	}
	return SecretState{State: "x", Text: fmt.Sprintf("%d characters that begin no kind of key: AGE-SECRET-KEY-1..., AGE-PLUGIN-..., an SSH private key, or %s...", len(b), answerPrefix)}
}

func describePEM(b []byte) SecretState {
	locked := bytes.HasPrefix(b, []byte(armor.Header))
	switch {
	case bytes.HasPrefix(b, []byte("age-encryption.org/")):
		return SecretState{State: "x", Text: "a binary age file cannot be pasted; give its path"}
	case locked && bytes.HasSuffix(b, []byte(armor.Footer)):
		return SecretState{State: "ok", Text: fmt.Sprintf("an encrypted identity file, %d characters", len(b)), Passphrase: true}
	case locked:
		return SecretState{Text: fmt.Sprintf("an encrypted identity file, %d characters, its end is still missing", len(b))}
	case !bytes.HasSuffix(b, []byte("-----")) || !bytes.Contains(b, []byte("-----END")):
		return SecretState{Text: fmt.Sprintf("a private key, %d characters, its end is still missing", len(b))}
	}
	_, err := ssh.ParseRawPrivateKey(b)
	var missing *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &missing):
		return SecretState{State: "ok", Text: fmt.Sprintf("an SSH private key with a passphrase, %d characters", len(b)), Passphrase: true}
	case err != nil:
		return SecretState{State: "x", Text: fmt.Sprintf("%d characters that are no whole SSH private key", len(b))}
	}
	return SecretState{State: "ok", Text: fmt.Sprintf("an SSH private key, %d characters", len(b))}
}
