package setup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"pgvault/fault"
	"pgvault/vault"
	"pgvault/vault/archive"
)

// Forbidden are folders in which no identity is ever saved: pgvault's own, and
// the places. An identity beside the archives it opens protects nothing.
type Forbidden []string

// CheckIdentityPath says whether a new identity may be saved at path. A path
// that stays on this host is refused unless here; a removable disk and a
// network share are fine.
func CheckIdentityPath(path string, here bool, not Forbidden) []vault.Check {
	path = expandHome(path)
	if path == "" || !filepath.IsAbs(path) {
		return []vault.Check{bad("name a whole path, such as /media/usb/pgvault-ops.txt", "where is the secret key to be saved?")}
	}
	path = filepath.Clean(path)
	parent := filepath.Dir(path)
	real, err := filepath.EvalSymlinks(parent)
	if err != nil {
		return []vault.Check{bad("make the folder, or mount what belongs there", "the folder %s cannot be used: %s", parent, fileReason(err))}
	}
	if _, err := os.Lstat(path); err == nil {
		return []vault.Check{bad("choose another name: a key is never overwritten", "%s exists already", path)}
	}
	for _, dir := range not {
		if dir == "" {
			continue
		}
		if resolved, err := filepath.EvalSymlinks(dir); err == nil {
			dir = resolved
		}
		if within(real, filepath.Clean(dir)) {
			return []vault.Check{bad("save it on a removable disk or another machine", "%s belongs to pgvault: whoever gets the archives would get the key with them", dir)}
		}
	}
	m, err := mountOf(parent)
	switch {
	case err != nil:
		return []vault.Check{bad("choose another folder", "%s cannot be looked at: %v", parent, err)}
	case m.away != "":
		return []vault.Check{ok("%s is on %s", parent, m.away)}
	case here:
		return []vault.Check{note("move it away as soon as you can: whoever takes this host over can then read every archive", "%s is on this host (%s)", parent, m.point)}
	}
	return []vault.Check{bad("mount a USB stick or a share and save it there, or say yes to keeping it here", "%s is on this host: a key that lies beside the server protects nothing", parent)}
}

// Identity is a key pair made in set-up, not saved yet.
type Identity struct {
	*archive.NewIdentity
	Name string // written above its line in the recipients file
}

// NewIdentity makes a key pair in memory.
func NewIdentity(name string, postQuantum bool) (*Identity, error) {
	id, err := archive.MakeIdentity(postQuantum)
	if err != nil {
		return nil, err
	}
	return &Identity{id, name}, nil
}

// Lines are the recipient's lines for the recipients file.
func (i *Identity) Lines() string {
	if i.Name == "" {
		return i.Recipient
	}
	return "# " + i.Name + "\n" + i.Recipient
}

// SaveIdentity writes the secret half at path, 0600, never over a file, and
// only where CheckIdentityPath allows it; it gives the absolute path.
func SaveIdentity(id *Identity, path string, here bool, not Forbidden) (string, error) {
	checks := CheckIdentityPath(path, here, not)
	if Refused(checks) {
		return "", &fault.Error{Op: "identity", What: "the identity was not saved", Why: checks[0].Text, Left: "no file was written; the key pair is in this process's memory only",
			Do: checks[0].Do, Code: fault.Refused}
	}
	path = filepath.Clean(expandHome(path))
	if err := id.Save(path); err != nil {
		f := &fault.Error{Op: "identity", What: fmt.Sprintf("the identity could not be saved in %s", path), Why: fileReason(err), Left: "no file was written", Do: "choose another folder", Err: err}
		if errors.Is(err, fs.ErrExist) {
			f.Why, f.Code = "there is a file already", fault.Refused
		}
		return "", f
	}
	return path, nil
}
