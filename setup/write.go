package setup

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"pgvault/config"
	"pgvault/fault"
	"pgvault/vault"
	"pgvault/vault/archive"
	"pgvault/vault/store/address"
	"pgvault/vault/store/kinds"
)

// Allowed is nil where the person may change things, else the error that says
// why not.
func Allowed(a vault.Access) error {
	if a.Act {
		return nil
	}
	why := a.Why
	if why == "" {
		why = "this pgvault is read-only"
	}
	return &fault.Error{Op: "set-up", What: "nothing may be changed from here", Why: why, Left: "everything is as it was", Do: "run it as the vault's owner, without --read-only", Code: fault.Refused}
}

// Beside gives v with the files that lie beside the configuration at path,
// where it names none.
func Beside(path string, v config.Values) config.Values {
	dir := filepath.Dir(path)
	if v.RecipientsFile == "" {
		v.RecipientsFile = filepath.Join(dir, "recipients.txt")
	}
	if v.SigningKey == "" {
		v.SigningKey = filepath.Join(dir, "signing_key")
	}
	return v
}

// Write writes the set-up: signing key, recipients, the place's folder, and
// last the configuration at the absolute path. Each file appears whole or not
// at all; after a kill the same call takes up what is there. Nothing that
// exists is overwritten: a configuration or a recipients file with another
// content is refused (code Refused), a signing key that works is kept.
// Randomness for the key comes from random. The vault itself is made by
// vault.Init.
func Write(path string, v config.Values, r *Recipients, random io.Reader) error {
	v = Beside(path, v)
	text := config.Template(v)
	if err := check(path, text, r, v.AllowOneRecipient); err != nil {
		return err
	}
	if there, err := os.ReadFile(path); err == nil && !bytes.Equal(there, text) {
		return exists(path)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return writeFault(path, err)
	}
	if there, err := os.ReadFile(v.RecipientsFile); err == nil && !bytes.Equal(there, r.Text) {
		return &fault.Error{Op: "set-up", What: v.RecipientsFile + " is there already and names other recipients", Why: "who could read the archives would not be who was just chosen",
			Left: "no file was changed", Do: "look at it, and remove it or choose another folder for the configuration", Code: fault.Refused}
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return writeFault(v.RecipientsFile, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return writeFault(path, err)
	}
	if err := writeSigningKey(v.SigningKey, random); err != nil {
		return err
	}
	if err := writePublic(v.SigningKey); err != nil {
		return err
	}
	if err := create(v.RecipientsFile, r.Text, 0o644); err != nil {
		return err
	}
	for _, p := range v.Places {
		a, err := address.Parse(p.URL)
		if err == nil {
			err = kinds.Prepare(context.Background(), a, address.Options{Credentials: p.Credentials, ObjectLock: p.ObjectLock})
		}
		if err != nil {
			return err
		}
	}
	return create(path, text, 0o640)
}

// check refuses, before anything is written, what could not be used
// afterwards.
func check(path string, text []byte, r *Recipients, allowOne bool) error {
	if _, err := config.Parse(text, path, os.LookupEnv); err != nil {
		f := fault.As(err)
		return &fault.Error{Op: "set-up", What: f.What, Why: f.Why, Left: "no file was written", Do: "go back and correct it", Code: fault.Usage, Err: err}
	}
	if len(r.Public()) == 0 {
		return &fault.Error{Op: "set-up", What: "there is no recipient", Why: "nobody could ever open an archive", Left: "no file was written", Do: "name at least two", Code: fault.Refused}
	}
	if len(r.Public()) < 2 && !allowOne {
		return OneRecipient()
	}
	return nil
}

// OneRecipient refuses a single recipient.
func OneRecipient() error {
	return &fault.Error{What: "there is only one recipient", Why: "lose its key, and every archive is lost", Left: "nothing was written",
		Do: "give a second (a key kept in a safe), or --allow-one-recipient", Code: fault.Refused}
}

func exists(path string) error {
	return &fault.Error{What: path + " exists already", Why: "set-up never overwrites a configuration",
		Left: "it was not changed", Do: "edit it, or name another with --config", Code: fault.Refused}
}

// writeSigningKey makes the key, or keeps one that works.
func writeSigningKey(path string, random io.Reader) error {
	if _, err := os.Lstat(path); err == nil {
		_, err := archive.LoadSigner(path)
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	key, err := archive.NewSigningKey(random, "pgvault@"+host)
	if err != nil {
		return err
	}
	defer clear(key)
	return create(path, key, 0o600)
}

// create writes a new file; one of the same name was looked at before.
func create(path string, data []byte, mode fs.FileMode) error {
	if err := config.Create(path, data, mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return writeFault(path, err)
	}
	return nil
}

func writeFault(path string, err error) error {
	return &fault.Error{Op: "set-up", What: "the set-up could not be written", Left: "no existing file was changed", Why: path + ": " + fileReason(err),
		Do: "make " + filepath.Dir(path) + " writable, or name another file with --config", Err: err}
}
