package archive

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"filippo.io/age/armor"
	"filippo.io/age/plugin"
	"golang.org/x/crypto/ssh"

	"pgvault/fault"
)

// Keys is a set of identities (secret keys), held in memory only.
type Keys struct {
	ids      []namedIdentity
	names    []string
	unlocked []*Unlocked
}

// namedIdentity is one identity, and what a record of a proof calls it.
type namedIdentity struct {
	age.Identity
	name string
}

// Names says where the identities came from, for records of proofs.
func (k *Keys) Names() string { return strings.Join(k.names, ", ") }

// Wipe overwrites what can be: the file keys of unlocked archives. What age
// keeps of an identity ends with the process.
func (k *Keys) Wipe() {
	for _, u := range k.unlocked {
		u.Wipe()
	}
}

// AddUnlocked adds what opens one archive.
func (k *Keys) AddUnlocked(u *Unlocked) {
	k.unlocked = append(k.unlocked, u)
	k.names = append(k.names, u.Names())
}

// forPart gives the identities for one part of an archive: what was unlocked
// for it, else all.
func (k *Keys) forPart(id, part string) ([]namedIdentity, error) {
	for _, u := range k.unlocked {
		if key, ok := u.identity(part); ok && u.ID() == id {
			return []namedIdentity{{key, u.Names()}}, nil
		}
	}
	switch {
	case len(k.ids) > 0:
		return k.ids, nil
	case len(k.unlocked) > 0:
		return nil, otherArchive(k.unlocked[0].ID(), id)
	}
	return nil, noIdentity()
}

// plain gives the identities as age takes them.
func plain(ids []namedIdentity) []age.Identity {
	out := make([]age.Identity, len(ids))
	for i, id := range ids {
		out[i] = id.Identity
	}
	return out
}

// maxIdentityFile bounds an identity file, as age does.
const maxIdentityFile = 16 << 20

// Source is where identities come from.
type Source struct {
	Files []string // identity files as age -i takes them; "-" is standard input
	Texts []string // what an identity file would hold
	// Passphrase is asked for encrypted ones with PassphrasePrompt; nil:
	// refused.
	Passphrase func(prompt string) (string, error)
}

// PassphrasePrompt is how the passphrase of a file is asked for; of a text,
// its name is TextName.
func PassphrasePrompt(file string) string { return "passphrase of " + file }

// TextName names the n-th of Source.Texts, from 0, in prompts and errors.
func TextName(n int) string {
	if n == 0 {
		return "the pasted identity"
	}
	return fmt.Sprintf("the pasted identity %d", n+1)
}

// LoadKeys reads identity files as age -i does: age identities, an SSH
// private key, or either encrypted with a passphrase, which is asked for
// through passphrase (nil: refused). "-" is standard input.
func LoadKeys(files []string, passphrase func(prompt string) (string, error)) (*Keys, error) {
	return Load(Source{Files: files, Passphrase: passphrase})
}

// Load reads every identity of a source; none at all is an error.
func Load(from Source) (*Keys, error) {
	if len(from.Files)+len(from.Texts) == 0 {
		return nil, noIdentity()
	}
	var k Keys
	for _, f := range from.Files {
		src, err := ReadIdentity(f)
		if err != nil {
			return nil, err
		}
		if err := k.add(src, f, from.Passphrase); err != nil {
			return nil, err
		}
	}
	for i, text := range from.Texts {
		if err := k.add([]byte(text), TextName(i), from.Passphrase); err != nil {
			return nil, err
		}
	}
	return &k, nil
}

// add takes over what src, of the name file, holds, and wipes it.
func (k *Keys) add(src []byte, file string, passphrase func(string) (string, error)) error {
	defer clear(src)
	ids, err := parseIdentities(src, file, passphrase)
	if err != nil {
		return noKey(fmt.Sprintf("%s holds no usable identity", file), err, "give the secret key of a recipient: an age identity file or an SSH private key")
	}
	for _, id := range ids {
		k.ids = append(k.ids, namedIdentity{id, keyName(file, []age.Identity{id})})
	}
	k.names = append(k.names, keyName(file, ids))
	return nil
}

// ReadIdentity reads an identity file, "-" is standard input. A secret key in
// the place of a name is refused without being repeated: errors end in
// journals and in the audit trail.
func ReadIdentity(name string) ([]byte, error) {
	if HoldsSecret(name) {
		f := noKey("a secret key was given where the name of a file belongs", nil,
			"save it in a file that only you can read and name that file; who may have seen it here should not count as a stranger: think of a new key")
		f.Why = "what is an argument is seen by every user of this host, and kept by the shell"
		return nil, f
	}
	src, err := readIdentityFile(name)
	if err != nil {
		return nil, noKey(fmt.Sprintf("the identity file %s cannot be read", name), err, "check the path and its rights")
	}
	return src, nil
}

func readIdentityFile(name string) ([]byte, error) {
	var r io.Reader = os.Stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		r = f
	}
	src, err := io.ReadAll(io.LimitReader(r, maxIdentityFile+1))
	if err == nil && len(src) > maxIdentityFile {
		err = errors.New("larger than 16 MiB")
	}
	return src, err
}

func parseIdentities(src []byte, name string, passphrase func(string) (string, error)) ([]age.Identity, error) {
	trimmed := bytes.TrimSpace(src)
	switch {
	case bytes.HasPrefix(trimmed, []byte("age-encryption.org/")), bytes.HasPrefix(trimmed, []byte(armor.Header)):
		text, err := decryptIdentities(src, name, passphrase)
		defer clear(text)
		if err != nil {
			return nil, err
		}
		return parseLines(text)
	case bytes.HasPrefix(trimmed, []byte("-----BEGIN")):
		return parseSSH(trimmed, name, passphrase)
	}
	return parseLines(src)
}

func parseLines(src []byte) ([]age.Identity, error) {
	var ids []age.Identity
	for n, line := range bytes.Split(src, []byte("\n")) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		if bytes.HasPrefix(line, []byte("AGE-PLUGIN-")) {
			id, err := plugin.NewIdentity(string(line), &plugin.ClientUI{})
			if err != nil {
				return nil, fmt.Errorf("line %d: a plugin identity that cannot be used here", n+1)
			}
			ids = append(ids, pluginIdentity{id})
			continue
		}
		got, err := age.ParseIdentities(bytes.NewReader(line))
		if err != nil {
			return nil, fmt.Errorf("line %d is not an age identity", n+1) // never the line itself: it may be half a secret
		}
		ids = append(ids, got...)
	}
	if len(ids) == 0 {
		return nil, errors.New("the file names no identity")
	}
	return ids, nil
}

// pluginIdentity tells the plugin's own failures (it is not installed, its
// token is not plugged in) from damage of what it should open.
type pluginIdentity struct{ *plugin.Identity }

func (p pluginIdentity) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	key, err := p.Identity.Unwrap(stanzas)
	if err != nil && !errors.Is(err, age.ErrIncorrectIdentity) {
		err = noKey("the plugin age-plugin-"+p.Name()+" does not open it", err, "install the plugin on this host and plug in what it needs, or give another identity")
	}
	return key, err
}

// decryptIdentities opens an identity file that is encrypted with a
// passphrase, armored or not.
func decryptIdentities(src []byte, name string, passphrase func(string) (string, error)) ([]byte, error) {
	if passphrase == nil {
		return nil, errors.New("it is encrypted with a passphrase, and there is nobody to ask")
	}
	pass, err := passphrase(PassphrasePrompt(name))
	if err != nil {
		return nil, err
	}
	scrypt, err := age.NewScryptIdentity(pass)
	if err != nil {
		return nil, err
	}
	plain, err := openFile(src, scrypt)
	if errors.Is(err, age.ErrIncorrectIdentity) {
		return nil, errors.New("the passphrase does not open it")
	}
	if err != nil {
		return nil, fmt.Errorf("it is damaged, or not encrypted with a passphrase: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(plain, maxIdentityFile))
	if err != nil {
		return nil, fmt.Errorf("it is damaged: %w", err)
	}
	return text, nil
}

// openFile decrypts an age file, armored or not. Only identity files may be
// armored, parts never are.
func openFile(src []byte, ids ...age.Identity) (io.Reader, error) {
	var r io.Reader = bytes.NewReader(src)
	if bytes.HasPrefix(bytes.TrimSpace(src), []byte(armor.Header)) {
		r = armor.NewReader(r)
	}
	return age.Decrypt(r, ids...)
}

// parseSSH asks for the passphrase at once: a wrong one is found before a
// run begins, and not taken for a damaged archive in the middle of it.
func parseSSH(src []byte, name string, passphrase func(string) (string, error)) ([]age.Identity, error) {
	key, err := ssh.ParseRawPrivateKey(src)
	var missing *ssh.PassphraseMissingError
	if errors.As(err, &missing) {
		if passphrase == nil {
			return nil, errors.New("the SSH key has a passphrase, and there is nobody to ask")
		}
		pass, perr := passphrase(PassphrasePrompt(name))
		if perr != nil {
			return nil, perr
		}
		if key, err = ssh.ParseRawPrivateKeyWithPassphrase(src, []byte(pass)); errors.Is(err, x509.IncorrectPasswordError) {
			return nil, errors.New("the passphrase does not open the SSH key")
		}
	}
	var id age.Identity
	if err == nil {
		switch key := key.(type) {
		case *ed25519.PrivateKey:
			id, err = agessh.NewEd25519Identity(*key)
		case *rsa.PrivateKey:
			id, err = agessh.NewRSAIdentity(key)
		default:
			err = fmt.Errorf("%T", key)
		}
	}
	if err != nil {
		return nil, errors.New("not an SSH private key that age can use (ed25519 or rsa)")
	}
	return []age.Identity{id}, nil
}

// keyName names an identity by its public half where it has one.
func keyName(file string, ids []age.Identity) string {
	for _, id := range ids {
		switch id := id.(type) {
		case *age.X25519Identity:
			return shorten(id.Recipient().String())
		case *age.HybridIdentity:
			return shorten(id.Recipient().String())
		}
	}
	if i := strings.LastIndexByte(file, '/'); i >= 0 {
		return file[i+1:]
	}
	return file
}

func noIdentity() *fault.Error {
	f := noKey("no identity was given", nil, "name one with -i FILE: the secret key of a recipient, as age -i takes it")
	f.Why = "what an archive holds is encrypted to its recipients"
	return f
}

func noKey(what string, err error, do string) *fault.Error {
	return &fault.Error{Op: "identity", What: what, Left: "nothing was decrypted or written", Do: do, Code: fault.NoKey, Err: err}
}

// opening turns what age says on a failed decryption into four lines.
func opening(object string, err error) error {
	if notOfTheBytes(err) {
		return err
	}
	var none *age.NoIdentityMatchError
	if errors.As(err, &none) {
		return &fault.Error{Op: "decrypt", What: "no given identity opens " + object,
			Why:  "it is sealed for recipients of the kind " + strings.Join(uniq(none.StanzaTypes), ", ") + "; none of them fits",
			Left: "no file was written", Do: "give the secret key of one of its recipients with -i; pgvault show lists them by name",
			Code: fault.NoKey, Err: err}
	}
	return damaged(object, err.Error(), err)
}

func uniq(s []string) []string {
	var out []string
	seen := map[string]bool{}
	for _, v := range s {
		if !seen[v] {
			seen[v] = true
			out = append(out, v)
		}
	}
	return out
}

func damaged(object, why string, err error) *fault.Error {
	return &fault.Error{Op: "read", What: object + " is damaged", Why: why,
		Left: "the archive was not changed; nothing of it was used",
		Do:   "use another copy or another archive, and look at the disk it lay on",
		Code: fault.Differs, Err: err}
}
