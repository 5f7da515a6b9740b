package sftp

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"pgvault/fault"
	"pgvault/safetext"
)

// keyring is what may be offered to one server, and what was left out.
type keyring struct {
	agent   net.Conn // nil without one
	signers []ssh.Signer
	names   []string // of the signers, for errors
	left    []string // why a key was not used
}

// close ends the talk with the agent.
func (k *keyring) close() {
	if k.agent != nil {
		_ = k.agent.Close() // read from only
	}
}

// chosenKey gives the file of the option credentials, "" when the usual ones
// are to be used.
func chosenKey(credentials string, getenv func(string) string) (string, error) {
	bad := func(why, do string) error {
		return &fault.Error{Op: "place", What: "credentials = " + safetext.Line(credentials) + " cannot be used for sftp", Why: why,
			Left: "Nothing was sent.", Do: do, Code: fault.Usage}
	}
	kind, name, _ := strings.Cut(credentials, ":")
	switch {
	case credentials == "":
		return "", nil
	case kind == "file" && filepath.IsAbs(name):
		return name, nil
	case kind == "systemd" && name != "" && filepath.Base(name) == name && name != "..":
		dir := getenv("CREDENTIALS_DIRECTORY")
		if dir == "" {
			return "", bad("$CREDENTIALS_DIRECTORY is not set: systemd gives credentials to a service only",
				"Write LoadCredential="+name+":/path/of/the/key into the unit, or use file:PATH.")
		}
		return filepath.Join(dir, name), nil
	case kind == "profile":
		return "", bad("ssh has no profiles", "Write a Host block into ~/.ssh/config and its name into the url.")
	case credentials == "instance":
		return "", bad("an ssh server knows nothing of this machine's identity", "Leave it out for the agent and ~/.ssh, or use file:PATH.")
	}
	return "", bad("it is neither file:/absolute/path nor systemd:NAME", "Leave it out for the agent and ~/.ssh, or use file:PATH.")
}

// keys collects what ssh would offer: what the agent has of the named files
// first, then the rest of the agent's, then the files. only is the file of
// the option credentials, which is then the only key.
func (t *target) keys(only string) (*keyring, error) {
	k := &keyring{}
	if only != "" {
		signers, _, err := readKey(only)
		if err != nil {
			return nil, &fault.Error{Op: "place", What: "the private key " + only + " cannot be used", Why: err.Error(), Left: "Nothing was sent.",
				Do: "Give it a key without a passphrase that only its owner can read, or leave credentials out and use an agent.", Code: fault.Refused, Err: err}
		}
		k.add(only, signers...)
		return k, nil
	}
	offered := k.openAgent(t.agent)
	inAgent := map[string]ssh.Signer{}
	for _, s := range offered {
		inAgent[string(s.PublicKey().Marshal())] = s
	}
	var first, files keyring
	for _, name := range t.identities {
		signers, public, err := readKey(name)
		switch {
		case errors.Is(err, fs.ErrNotExist) && !t.named:
			continue
		case public != nil && inAgent[string(public.Marshal())] != nil:
			first.add("agent: "+name, inAgent[string(public.Marshal())])
			delete(inAgent, string(public.Marshal()))
		case err != nil:
			k.left = append(k.left, name+": "+safetext.Line(err.Error()))
		default:
			files.add(name, signers...)
		}
	}
	if !t.identitiesOnly {
		for _, s := range offered {
			if inAgent[string(s.PublicKey().Marshal())] != nil { // else it is one of the named
				first.add("agent: "+ssh.FingerprintSHA256(s.PublicKey()), s)
			}
		}
	}
	k.signers = append(first.signers, files.signers...)
	k.names = append(first.names, files.names...)
	return k, nil
}

func (k *keyring) add(name string, signers ...ssh.Signer) {
	k.signers = append(k.signers, signers...)
	k.names = append(k.names, name)
}

// openAgent asks the agent at a socket for its keys.
func (k *keyring) openAgent(socket string) []ssh.Signer {
	if socket == "" {
		return nil
	}
	conn, err := net.DialTimeout("unix", socket, agentAnswers)
	if err != nil {
		k.left = append(k.left, "the agent: "+safetext.Line(err.Error()))
		return nil
	}
	k.agent = conn
	signers, err := agent.NewClient(conn).Signers()
	if err != nil {
		k.left = append(k.left, "the agent: "+safetext.Line(err.Error()))
		return nil
	}
	return signers
}

// readKey reads a private key file, with the certificate beside it where
// there is one. public is known of an encrypted key, too, and of a public key
// that stands for one in the agent.
func readKey(name string) (signers []ssh.Signer, public ssh.PublicKey, err error) {
	data, err := readPrivate(name)
	if err != nil {
		return nil, publicHalf(name, nil), err
	}
	signer, err := ssh.ParsePrivateKey(data)
	var locked *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &locked):
		public = locked.PublicKey
		if public == nil {
			public = publicHalf(name, nil)
		}
		return nil, public, errors.New("it is encrypted with a passphrase, and the agent does not have it (ssh-add)")
	case err != nil:
		if public = publicHalf(name, data); public != nil {
			return nil, public, errors.New("it is a public key, and the agent does not have the private one (ssh-add)")
		}
		return nil, nil, fmt.Errorf("not a private key: %w", err)
	}
	if line, cerr := os.ReadFile(name + "-cert.pub"); cerr == nil {
		if key, _, _, _, cerr := ssh.ParseAuthorizedKey(line); cerr == nil {
			if cert, ok := key.(*ssh.Certificate); ok {
				if certified, cerr := ssh.NewCertSigner(cert, signer); cerr == nil {
					signers = append(signers, certified)
				}
			}
		}
	}
	return append(signers, signer), signer.PublicKey(), nil
}

// readPrivate reads a file that others cannot read, as ssh asks for.
func readPrivate(name string) ([]byte, error) {
	fi, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	mine := ok && int(st.Uid) == os.Getuid()
	switch mode := fi.Mode().Perm(); {
	case strings.HasSuffix(name, ".pub"):
	case mode&0o007 != 0, mine && mode&0o077 != 0:
		return nil, fmt.Errorf("others can read it (mode %04o): chmod 600 it, and think of it as known to them", mode)
	case !fi.Mode().IsRegular(), fi.Size() > 1<<20:
		return nil, errors.New("it is no file of a key")
	}
	return os.ReadFile(name)
}

// publicHalf finds the public key of a file: in the file itself or beside it.
func publicHalf(name string, data []byte) ssh.PublicKey {
	beside, _ := os.ReadFile(name + ".pub") // it need not be there
	for _, line := range [][]byte{data, beside} {
		if key, _, _, _, err := ssh.ParseAuthorizedKey(bytes.TrimSpace(line)); err == nil {
			return key
		}
	}
	return nil
}
