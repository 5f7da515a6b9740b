package archive

import (
	"bytes"
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"pgvault/fault"
	"pgvault/safetext"
)

// Namespaces of the signatures, as ssh-keygen -Y verify -n takes them.
const (
	ManifestNamespace = "pgvault-manifest@v1"
	ProofNamespace    = "pgvault-proof@v1"
	PinNamespace      = "pgvault-pin@v1"
	ListingNamespace  = "pgvault-listing@v1"
)

// maxSignature bounds a detached signature.
const maxSignature = 16 << 10

// Signer signs manifests and proofs for this host. It never decrypts.
type Signer struct{ key ssh.Signer }

// NewSigningKey makes an Ed25519 key and gives its private half in OpenSSH
// format; randomness comes from random.
func NewSigningKey(random io.Reader, comment string) ([]byte, error) {
	_, priv, err := ed25519.GenerateKey(random)
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(priv, comment)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(block), nil
}

// LoadSigner reads the signing key: an OpenSSH private key that nobody else
// may read, or a public key whose private half an SSH agent holds.
func LoadSigner(path string) (*Signer, error) {
	src, err := os.ReadFile(path)
	if err != nil {
		why := "it cannot be read"
		if errors.Is(err, fs.ErrNotExist) {
			why = "there is no such file"
		}
		return nil, badSigner(path, why, err, "pgvault init makes one")
	}
	if pub, _, _, _, err := ssh.ParseAuthorizedKey(src); err == nil {
		return agentSigner(path, pub)
	}
	if st, err := os.Stat(path); err == nil && st.Mode().Perm()&0o077 != 0 {
		return nil, badSigner(path, fmt.Sprintf("others may read it (mode %04o)", st.Mode().Perm()), nil, "chmod 600 "+path)
	}
	key, err := ssh.ParsePrivateKey(src)
	if err != nil {
		return nil, badSigner(path, "it is not an unencrypted OpenSSH private key", nil, "make one with pgvault init, or name an agent's public key")
	}
	return &Signer{key}, nil
}

// PublicOf gives the public half of the signing key in path, in
// authorized_keys form. It asks no agent: who only reads needs no signer, and
// who may not read the key itself finds its public half in path.pub.
func PublicOf(path string) (string, error) {
	src, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrPermission) { // who may only look has the public half beside it
		src, err = os.ReadFile(path + ".pub")
	}
	if err == nil {
		if pub, _, _, _, perr := ssh.ParseAuthorizedKey(src); perr == nil {
			return string(bytes.TrimSpace(ssh.MarshalAuthorizedKey(pub))), nil
		}
	}
	s, err := LoadSigner(path)
	if err != nil {
		return "", err
	}
	return s.Public(), nil
}

func agentSigner(path string, pub ssh.PublicKey) (*Signer, error) {
	conn, err := net.Dial("unix", os.Getenv("SSH_AUTH_SOCK"))
	if err != nil {
		return nil, badSigner(path, "it is a public key, and no SSH agent answers", err, "start the agent and set SSH_AUTH_SOCK")
	}
	keys, err := agent.NewClient(conn).Signers()
	if err != nil {
		return nil, badSigner(path, "the SSH agent gives no keys", err, "ssh-add the key")
	}
	for _, k := range keys {
		if bytes.Equal(k.PublicKey().Marshal(), pub.Marshal()) {
			return &Signer{k}, nil
		}
	}
	return nil, badSigner(path, "the SSH agent does not hold this key", nil, "ssh-add the key")
}

func badSigner(path, why string, err error, do string) error {
	return &fault.Error{Op: "signing key", What: "the signing key " + path + " cannot be used", Why: why,
		Left: "nothing was signed or written", Do: do, Code: fault.Usage, Err: err}
}

// Public is the signer's public key in authorized_keys form, no newline.
func (s *Signer) Public() string {
	return string(bytes.TrimSpace(ssh.MarshalAuthorizedKey(s.key.PublicKey())))
}

// Sign makes a detached, armored SSH signature (SSHSIG).
func (s *Signer) Sign(message []byte, namespace string) ([]byte, error) {
	sig, err := sshsig.Sign(bytes.NewReader(message), s.key, sshsig.HashSHA512, namespace)
	if err != nil {
		return nil, fmt.Errorf("signing failed: %w", err)
	}
	return sshsig.Armor(sig), nil
}

// Trust is the set of public keys whose signatures count.
type Trust struct {
	keys  []trusted
	known map[string]Signed // by signature, those that were found good: see Knowing
}

type trusted struct {
	key        ssh.PublicKey
	blob       []byte            // its encoding
	ed25519    ed25519.PublicKey // nil where it is of another kind
	namespaces []string          // nil: all
}

// errStranger marks a good signature by a key that is not trusted.
var errStranger = errors.New("signed by a stranger")

// NewTrust reads public keys in authorized_keys form, or allowed_signers
// lines as ssh-keygen -Y verify takes them; empty lines and comments are
// passed over. Of the options only namespaces="…" is known, a list of names
// without wildcards; a line with another one is an error, because to pass
// over a restriction is to lift it.
func NewTrust(lines []string) (*Trust, error) {
	var t Trust
	for _, l := range lines {
		l := bytes.TrimSpace([]byte(l))
		if len(l) == 0 || l[0] == '#' {
			continue
		}
		key, err := parseTrusted(l)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", shorten(string(l)), err)
		}
		key.blob = key.key.Marshal()
		if c, ok := key.key.(ssh.CryptoPublicKey); ok && key.key.Type() == ssh.KeyAlgoED25519 {
			key.ed25519, _ = c.CryptoPublicKey().(ed25519.PublicKey)
		}
		t.keys = append(t.keys, key)
	}
	if len(t.keys) == 0 {
		return nil, errors.New("no public key")
	}
	return &t, nil
}

// parseTrusted reads [principals] [options] type base64 [comment]. Who the
// principals are does not matter: to be in the list is to be trusted.
func parseTrusted(line []byte) (trusted, error) {
	pub, _, options, _, err := ssh.ParseAuthorizedKey(line)
	if err == nil && !slices.ContainsFunc(options, restricts) {
		return trusted{key: pub}, nil // what was taken for options are principals
	}
	if err != nil {
		_, rest, _ := bytes.Cut(line, []byte(" "))
		if pub, _, options, _, err = ssh.ParseAuthorizedKey(rest); err != nil {
			return trusted{}, errors.New("not a public key")
		}
	}
	t := trusted{key: pub}
	for _, o := range options {
		list, ok := strings.CutPrefix(o, `namespaces="`)
		if !ok || t.namespaces != nil || strings.ContainsAny(list, "*?!") || !strings.HasSuffix(list, `"`) {
			return trusted{}, fmt.Errorf("the option %s is not supported", safetext.Line(shorten(o)))
		}
		t.namespaces = strings.Split(strings.TrimSuffix(list, `"`), ",")
	}
	return t, nil
}

// restricts tells an option that changes what the key may sign.
func restricts(option string) bool {
	return strings.EqualFold(option, "cert-authority") || strings.ContainsAny(option, "=\"")
}

// Digest is one word for all keys of the set and what they may sign, equal
// for equal sets.
func (t *Trust) Digest() string {
	var lines []string
	for _, k := range t.keys {
		ns := "*"
		if k.namespaces != nil {
			ns = strings.Join(k.namespaces, ",")
		}
		lines = append(lines, ns+" "+string(ssh.MarshalAuthorizedKey(k.key)))
	}
	slices.Sort(lines)
	return Digest([]byte(strings.Join(slices.Compact(lines), "")))
}

// Signing is one public key whose signatures count.
type Signing struct {
	Public      string `json:"public"`      // type and base64
	Fingerprint string `json:"fingerprint"` // SHA256:…, as ssh-keygen -l prints it
}

// Signings lists the keys of the set that may sign manifests, each once, in
// the order in which they were given.
func (t *Trust) Signings() []Signing {
	var out []Signing
	for _, k := range t.keys {
		s := Signing{strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k.key))), ssh.FingerprintSHA256(k.key)}
		if (k.namespaces == nil || slices.Contains(k.namespaces, ManifestNamespace)) && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// Verify tells whether sig is a signature of message by a trusted key.
func (t *Trust) Verify(message, sig []byte, namespace string) error {
	if t.knows(message, sig, namespace) {
		return nil
	}
	parsed, err := sshsig.Unarmor(sig)
	if err != nil {
		return errors.New("the signature is not readable")
	}
	for _, k := range t.keys {
		if k.namespaces != nil && !slices.Contains(k.namespaces, namespace) {
			continue
		}
		if bytes.Equal(k.blob, parsed.PublicKey.Marshal()) {
			if err := sshsig.Verify(bytes.NewReader(message), parsed, k.key, parsed.HashAlgorithm, namespace); err != nil {
				return errors.New("the signature does not fit the bytes: they were changed after signing")
			}
			return nil
		}
	}
	return fmt.Errorf("%w: %s", errStranger, ssh.FingerprintSHA256(parsed.PublicKey))
}
