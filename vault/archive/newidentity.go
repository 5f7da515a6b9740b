package archive

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"filippo.io/age"
	"golang.org/x/sys/unix"
)

// NewIdentity is a key pair that was just made and lies nowhere yet.
type NewIdentity struct {
	// Recipient is the public half: a line of a recipients file.
	Recipient string
	secret    []byte // the text of the identity file, as age-keygen writes it
}

// MakeIdentity makes a key pair in memory: X25519, or post-quantum.
func MakeIdentity(postQuantum bool) (*NewIdentity, error) {
	var recipient, secret fmt.Stringer
	if postQuantum {
		id, err := age.GenerateHybridIdentity()
		if err != nil {
			return nil, err
		}
		recipient, secret = id.Recipient(), id
	} else {
		id, err := age.GenerateX25519Identity()
		if err != nil {
			return nil, err
		}
		recipient, secret = id.Recipient(), id
	}
	return &NewIdentity{Recipient: recipient.String(), secret: fmt.Appendf(nil, "# public key: %s\n%s\n", recipient, secret)}, nil
}

// Secret is the text of the identity file. It is for the one look that its
// owner asks for, never for a log or a file of pgvault's own.
func (n *NewIdentity) Secret() string { return string(n.secret) }

// Save writes the identity file, 0600, where no file may be yet, and syncs it
// with its folder: a key that is lost with the next power cut opens nothing.
func (n *NewIdentity) Save(path string) error {
	if len(n.secret) == 0 {
		return errors.New("the identity was wiped already")
	}
	return createSynced(path, n.secret)
}

// Wipe overwrites the secret in memory, as far as this copy goes.
func (n *NewIdentity) Wipe() {
	clear(n.secret)
	n.secret = nil
}

// WriteNewIdentity makes an X25519 identity in path (0600, as age-keygen
// writes it) and its recipient in path.pub. Neither file may exist. It is
// for demonstrations: real identities are made elsewhere and never lie on
// a backup host.
func WriteNewIdentity(path string) error {
	id, err := MakeIdentity(false)
	if err != nil {
		return err
	}
	defer id.Wipe()
	if err := id.Save(path); err != nil {
		return err
	}
	return createSynced(path+".pub", []byte(id.Recipient+"\n"))
}

// createSynced writes a new file of mode 0600. What it began and could not
// end, it takes away again.
func createSynced(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	if err := dir.Sync(); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOTSUP) {
		return errors.Join(err, dir.Close())
	}
	return dir.Close()
}
