package setup

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"pgvault/config"
	"pgvault/fault"
	"pgvault/vault"
	"pgvault/vault/archive"
	"pgvault/vault/store/address"
)

// TakeOver is the configuration of a host that goes on with a vault whose own
// host is gone.
type TakeOver struct {
	Path       string // of the configuration, absolute; beside it lie the other files
	Values     config.Values
	Recipients *Recipients
	Trusted    []archive.Signing // keys that signed what is there: they stay trusted
}

// TrustedFile is where the keys of the hosts before are kept.
func (t *TakeOver) TrustedFile() string {
	return filepath.Join(filepath.Dir(t.Path), "trusted_signers")
}

// Check looks whether this host may write where it has to, and changes
// nothing.
func (t *TakeOver) Check(ctx context.Context) []vault.Check {
	var out []vault.Check
	if _, err := os.Lstat(t.Path); err == nil {
		out = append(out, wrong(exists(t.Path)))
	}
	if there, err := os.ReadFile(t.TrustedFile()); err == nil && !bytes.Equal(there, t.trusted()) {
		out = append(out, bad("look at it, and remove it or choose another folder with --config", "%s is there already, with other keys", t.TrustedFile()))
	}
	for _, p := range t.Values.Places {
		for _, c := range CheckPlace(ctx, p, t.Values.VaultName, nil, 0) {
			if c.State == "x" {
				out = append(out, c)
			}
		}
	}
	if len(out) == 0 {
		out = append(out, ok("%s, recipients.txt, signing_key and trusted_signers will be written", t.Path))
	}
	return out
}

func (t *TakeOver) trusted() []byte {
	var b strings.Builder
	b.WriteString("# Keys of the hosts that wrote into this vault before.\n")
	for _, s := range t.Trusted {
		b.WriteString(s.Public + "\n")
	}
	return []byte(b.String())
}

// Write tries the place out, where it is not a folder, and writes the
// configuration with a new signing key, last of all the configuration itself.
// Nothing that exists is overwritten. Randomness comes from random.
func (t *TakeOver) Write(ctx context.Context, state string, random io.Reader) error {
	if _, err := os.Lstat(t.Path); err == nil {
		return exists(t.Path)
	}
	for _, p := range t.Values.Places {
		if a, err := address.Parse(p.URL); err == nil && a.Scheme != address.File {
			if err := TryPlace(ctx, p); err != nil {
				return err
			}
		}
	}
	t.Values.TrustedSigners = t.TrustedFile()
	if err := os.MkdirAll(filepath.Dir(t.Path), 0o700); err != nil {
		return writeFault(t.Path, err)
	}
	if there, err := os.ReadFile(t.TrustedFile()); err == nil && !bytes.Equal(there, t.trusted()) {
		return &fault.Error{Op: "recover", What: t.TrustedFile() + " is there already, with other keys", Why: "whose archives are trusted would not be who was just vouched for", Left: "no file was changed", Do: "look at it, and remove it or choose another folder with --config", Code: fault.Refused}
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return writeFault(t.TrustedFile(), err)
	}
	if err := create(t.TrustedFile(), t.trusted(), 0o644); err != nil {
		return err
	}
	if err := Write(t.Path, t.Values, t.Recipients, random); err != nil {
		return err
	}
	return HandOver(t.Path, Beside(t.Path, t.Values), state)
}
