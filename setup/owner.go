package setup

import (
	"os"

	"pgvault/config"
	"pgvault/fault"
	"pgvault/vault"
	"pgvault/vault/archive"
)

// writePublic writes the signing key's public half beside it, for who may
// look at the vault and not sign.
func writePublic(key string) error {
	public, err := archive.PublicOf(key)
	if err != nil {
		return err
	}
	return create(key+".pub", []byte(public+"\n"), 0o644)
}

// HandOver gives a set-up that root has written at path to the user who owns
// the state folder: the signing key and the place are theirs, the
// configuration stays root's and their group reads it. Without system mode it
// does nothing.
func HandOver(path string, v config.Values, state string) error {
	uid, gid, ok := vault.StateOwner(state)
	if os.Geteuid() != 0 || !ok || uid == 0 {
		return nil
	}
	type given struct {
		name string
		uid  int
		mode os.FileMode
	}
	all := []given{{path, 0, 0o640}, {v.RecipientsFile, 0, 0o640}, {v.SigningKey, uid, 0o600}}
	for _, p := range v.Places {
		if folder, here := hereFolder(p.URL); here {
			all = append(all, given{folder, uid, 0o750})
		}
	}
	for _, f := range all {
		err := os.Lchown(f.name, f.uid, gid)
		if err == nil {
			err = os.Chmod(f.name, f.mode)
		}
		if err != nil {
			return &fault.Error{Op: "set-up", What: "it could not be given to the vault's owner", Why: err.Error(), Left: "the files are written, and are root's",
				Do: "chown and chmod them as scripts/system-mode.sh does", Err: err}
		}
	}
	return nil
}
