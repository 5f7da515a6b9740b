package vault

import (
	"os"
	"path/filepath"
)

// The state folder decides who may look: where it is 0750, all that is made
// in it is 0750 and 0640, whatever the umask, so that its group sees; with
// any other mode 0700 and 0600.

// shared tells whether a folder of this mode is one whose group may look. It
// must say so alone: 0755 is what mkdir makes without being asked.
func shared(mode os.FileMode) bool { return mode.Perm()&0o077 == 0o050 }

// stateShared tells whether the group of the state folder may read it.
func (v *Vault) stateShared() bool {
	fi, err := os.Stat(v.c.StateDir)
	return err == nil && shared(fi.Mode())
}

// stateFolder makes a folder in the state folder.
func (v *Vault) stateFolder(path string) error {
	mode := os.FileMode(0o700)
	if v.stateShared() {
		mode = 0o750
	}
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	return os.Chmod(path, mode)
}

// writeState replaces a small file in a folder of the state folder. A crash
// may leave the old one or a torn one: readers check what they read.
func (v *Vault) writeState(path string, data []byte) error {
	if err := v.stateFolder(filepath.Dir(path)); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err == nil && v.stateShared() {
		err = f.Chmod(0o640)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
