package archive

import (
	"fmt"
	"os"

	"filippo.io/age"
)

// WriteNewIdentity makes an X25519 identity in path (0600, as age-keygen
// writes it) and its recipient in path.pub. Neither file may exist. It is
// for demonstrations: real identities are made elsewhere and never lie on
// a backup host.
func WriteNewIdentity(path string) error {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return err
	}
	secret := fmt.Sprintf("# public key: %s\n%s\n", id.Recipient(), id)
	for _, f := range []struct{ name, text string }{{path, secret}, {path + ".pub", id.Recipient().String() + "\n"}} {
		w, err := os.OpenFile(f.name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		if _, err := w.WriteString(f.text); err != nil {
			w.Close()
			return err
		}
		if err := w.Close(); err != nil {
			return err
		}
	}
	return nil
}
