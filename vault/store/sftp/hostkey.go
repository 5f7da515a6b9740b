package sftp

import (
	"bufio"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"pgvault/fault"
	"pgvault/safetext"
)

// hostKeys judges the key of one server by the known_hosts files. There is
// no way to make it accept one that is not in them.
type hostKeys struct {
	t     *target
	files []string // those that exist
	db    ssh.HostKeyCallback
	names []string // host:port under which the server may stand in them
}

func newHostKeys(t *target) (*hostKeys, error) {
	k := &hostKeys{t: t, names: []string{t.addr()}}
	for _, f := range t.known {
		if _, err := os.Stat(f); err == nil {
			k.files = append(k.files, f)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, k.unusable(err)
		}
	}
	db, err := knownhosts.New(k.files...)
	if err != nil {
		return nil, k.unusable(err)
	}
	k.db = db
	switch {
	case t.keyAlias != "":
		k.names = []string{net.JoinHostPort(t.keyAlias, "22")}
	case t.port != 22: // as ssh: a line without a port counts when there is none with it
		k.names = append(k.names, net.JoinHostPort(t.host, "22"))
	}
	return k, nil
}

func (k *hostKeys) unusable(err error) error {
	return &fault.Error{Op: "place", What: "the known host keys cannot be read", Why: err.Error(), Left: "Nothing was sent.",
		Do: "Mend or remove that line.", Code: fault.Refused, Err: err}
}

// nobody is a key that no server has: asking for it gives all that are known.
var nobody = func() ssh.PublicKey {
	key, err := ssh.NewPublicKey(ed25519.PublicKey(make([]byte, ed25519.PublicKeySize)))
	if err != nil {
		panic(err) // the size is right
	}
	return key
}()

// known gives the keys that stand for a name, and the authorities that may
// sign for it.
func (k *hostKeys) known(name string) (keys, authorities []knownhosts.KnownKey) {
	var no *knownhosts.KeyError
	if !errors.As(k.db(name, &net.TCPAddr{}, nobody), &no) {
		return nil, nil
	}
	for _, w := range no.Want {
		if isAuthority(w) {
			authorities = append(authorities, w)
		} else {
			keys = append(keys, w)
		}
	}
	return keys, authorities
}

// isAuthority looks at the line itself: package knownhosts does not tell, and
// an authority's own key is no host key.
func isAuthority(k knownhosts.KnownKey) bool {
	f, err := os.Open(k.Filename)
	if err != nil {
		return true // accept nothing that cannot be looked at
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		if n == k.Line {
			return strings.HasPrefix(strings.TrimLeft(lines.Text(), " \t"), "@")
		}
	}
	return true
}

// algorithms gives what to ask the server for, best first: what is known of
// it, so that it does not show a key of another type, then all others, so
// that a refusal can say which key it has.
func (k *hostKeys) algorithms() []string {
	supported := ssh.SupportedAlgorithms().HostKeys
	slices.SortStableFunc(supported, func(a, b string) int { return rank(a) - rank(b) })
	all := slices.DeleteFunc(slices.Clone(supported), func(a string) bool { return strings.Contains(a, "-cert-") })
	certs := slices.DeleteFunc(slices.Clone(supported), func(a string) bool { return !strings.Contains(a, "-cert-") })
	if h := k.t.hostAlgs; h != "" && !strings.ContainsAny(h[:1], "+-^") {
		chosen := strings.Split(h, ",")
		all = slices.DeleteFunc(all, func(a string) bool { return !slices.Contains(chosen, a) })
		certs = slices.DeleteFunc(certs, func(a string) bool { return !slices.Contains(chosen, a) })
	}
	for _, name := range k.names {
		keys, authorities := k.known(name)
		if len(keys)+len(authorities) == 0 {
			continue
		}
		first := func(a string) bool {
			return slices.ContainsFunc(keys, func(w knownhosts.KnownKey) bool { return slices.Contains(algorithmsOf(w.Key.Type()), a) })
		}
		slices.SortStableFunc(all, func(a, b string) int {
			switch {
			case first(a) == first(b):
				return 0
			case first(a):
				return -1
			}
			return 1
		})
		if len(authorities) > 0 {
			return append(certs, all...)
		}
		break
	}
	return all
}

// rank prefers what a person is most likely to be told the fingerprint of.
func rank(algorithm string) int {
	for i, kind := range []string{"ssh-ed25519", "ecdsa-sha2-", "rsa-sha2-512", "rsa-sha2-256"} {
		if strings.HasPrefix(algorithm, kind) {
			return i
		}
	}
	return 9
}

// algorithmsOf gives the signatures that a key of a type can make.
func algorithmsOf(keyType string) []string {
	if keyType == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSASHA512}
	}
	return []string{keyType}
}

// check is the ssh.HostKeyCallback.
func (k *hostKeys) check(_ string, remote net.Addr, key ssh.PublicKey) error {
	var differ []knownhosts.KnownKey
	var why error
	for _, name := range k.names {
		err := k.db(name, remote, key)
		var revoked *knownhosts.RevokedError
		if errors.As(err, &revoked) {
			return k.refuse(key, fmt.Sprintf("it is marked as revoked at %s:%d", revoked.Revoked.Filename, revoked.Revoked.Line),
				"Do not use this server until whoever runs it has given it another key.", err)
		}
		if _, signed := key.(*ssh.Certificate); signed {
			if err == nil {
				return nil
			}
			if _, authorities := k.known(name); why == nil || len(authorities) > 0 {
				why = err
			}
			continue
		}
		keys, _ := k.known(name)
		if slices.ContainsFunc(keys, func(w knownhosts.KnownKey) bool { return string(w.Key.Marshal()) == string(key.Marshal()) }) {
			return nil
		}
		if len(differ) == 0 {
			differ = keys
		}
	}
	switch {
	case why != nil:
		return k.refuse(key, "its certificate is not valid for it: "+safetext.Line(why.Error()),
			"Ask whoever runs it for a certificate that is valid for "+k.names[0]+", or put its plain key into known_hosts.", why)
	case len(differ) > 0:
		return k.changed(key, differ)
	}
	where := "there is no known_hosts file"
	if len(k.files) > 0 {
		where = "no line of " + strings.Join(k.files, ", ") + " names it"
	}
	return k.refuse(key, "it is not known: "+where, k.remedy(key), nil)
}

func (k *hostKeys) changed(key ssh.PublicKey, differ []knownhosts.KnownKey) error {
	var had []string
	for _, d := range differ {
		had = append(had, fmt.Sprintf("%s:%d has %s %s", d.Filename, d.Line, d.Key.Type(), ssh.FingerprintSHA256(d.Key)))
	}
	do := fmt.Sprintf("Somebody may stand between. Only if whoever runs it confirms the new fingerprint: ssh-keygen -R %s -f %s; %s",
		safetext.Word(knownhosts.Normalize(k.names[0])), safetext.Word(differ[0].Filename), k.add(key))
	return k.refuse(key, "it is another one than before: "+strings.Join(had, "; "), do, nil)
}

func (k *hostKeys) refuse(key ssh.PublicKey, why, do string, err error) error {
	if err == nil {
		err = errors.New("host key refused")
	}
	return &fault.Error{Op: "place", Code: fault.Refused, Err: err,
		What: fmt.Sprintf("refused the host key of %s: %s %s", k.t.addr(), key.Type(), fingerprint(key)),
		Why:  why, Left: "Nothing was sent; no key of yours was offered.", Do: do}
}

func fingerprint(key ssh.PublicKey) string {
	if c, ok := key.(*ssh.Certificate); ok {
		key = c.Key
	}
	return ssh.FingerprintSHA256(key)
}

// remedy says how a key gets known, after its fingerprint was compared.
func (k *hostKeys) remedy(key ssh.PublicKey) string {
	return "Ask whoever runs it for this fingerprint. If it is the same: " + k.add(key)
}

func (k *hostKeys) add(key ssh.PublicKey) string {
	short := strings.TrimPrefix(key.Type(), "ssh-")
	if strings.HasPrefix(short, "ecdsa") {
		short = "ecdsa"
	}
	file := "~/.ssh/known_hosts"
	if len(k.t.known) > 0 {
		file = safetext.Word(k.t.known[0])
	}
	scan := fmt.Sprintf("ssh-keyscan -t %s -p %s %s >> %s", short, strconv.Itoa(k.t.port), safetext.Word(k.t.host), file)
	if k.t.keyAlias != "" {
		return "ssh -o HashKnownHosts=no " + safetext.Word(k.t.alias) + " and answer yes"
	}
	return scan
}
