package setup

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"

	"pgvault/fault"
	"pgvault/guide"
	"pgvault/vault/archive"
	"pgvault/vault/store/address"
)

// draftName is the file of a set-up that was left, in the state folder.
const draftName = guideName + draftSuffix

const draftSuffix = "-draft.json"

// LoadDraft gives what was kept of a set-up that was left; false when there is
// nothing. A draft that cannot be read is as none: the answers are asked again.
func LoadDraft(stateDir string) (guide.Draft, bool) { return loadDraft(stateDir, guideName) }

func loadDraft(stateDir, name string) (guide.Draft, bool) {
	src, err := os.ReadFile(filepath.Join(stateDir, name+draftSuffix))
	if err != nil {
		return guide.Draft{}, false
	}
	var d guide.Draft
	if err := json.Unmarshal(src, &d); err != nil || d.Guide != name {
		return guide.Draft{}, false
	}
	return d, true
}

// SaveDraft keeps d for this user alone: the names of databases and people are
// in it, a secret never is.
func SaveDraft(stateDir string, d guide.Draft) error {
	d.Texts = maps.Clone(d.Texts)
	for key, text := range d.Texts {
		if archive.HoldsSecret(text) || key == keyServer && hasPassword(text) || unfit(key, text) {
			delete(d.Texts, key) // pasted into the wrong field: it is not kept either
		}
	}
	src, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(stateDir, 0o700); err != nil {
		return draftFault(stateDir, err)
	}
	path := filepath.Join(stateDir, d.Guide+draftSuffix)
	temp, err := os.CreateTemp(stateDir, "."+filepath.Base(path)+"-")
	if err != nil {
		return draftFault(stateDir, err)
	}
	_, err = temp.Write(append(src, '\n'))
	if err := errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return errors.Join(draftFault(stateDir, err), os.Remove(temp.Name()))
	}
	if err := os.Rename(temp.Name(), path); err != nil {
		return errors.Join(draftFault(stateDir, err), os.Remove(temp.Name()))
	}
	return nil
}

// unfit tells whether a place or its credentials are not what they ought to
// be: then they may hold a secret.
func unfit(key, text string) bool {
	switch key {
	case keyPlace:
		_, err := ParsePlace(text)
		return err != nil
	case keyCredential: // every form is one of S3's
		return address.CheckCredentials(address.S3, text) != nil
	}
	return false
}

// DropDraft forgets the draft.
func DropDraft(stateDir string) error { return dropDraft(stateDir, guideName) }

func dropDraft(stateDir, name string) error {
	if err := os.Remove(filepath.Join(stateDir, name+draftSuffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return draftFault(stateDir, err)
	}
	return nil
}

func draftFault(dir string, err error) error {
	return &fault.Error{Op: "set-up", What: "the answers so far could not be kept", Why: fileReason(err), Left: "the set-up goes on; leaving it now would lose them",
		Do: "make " + dir + " writable for this user", Err: err}
}
