package archive

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"pgvault/fault"
	"pgvault/vault/store"
)

// VaultFile is vault.json: what a vault is, beside its archives. Its keys
// serve a reader that has no configuration; they are not proof of
// themselves.
type VaultFile struct {
	Format  int       `json:"format"`
	ID      string    `json:"id"` // 32 hex digits, random
	Name    string    `json:"name"`
	Created time.Time `json:"created"`
	Signers []string  `json:"signers"` // authorized_keys form
}

const maxVaultFile = 1 << 20

// NewVault makes the vault file of a new vault.
func NewVault(name string, now time.Time, random io.Reader, signer *Signer) (*VaultFile, error) {
	var b [16]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return nil, fmt.Errorf("random source: %w", err)
	}
	return &VaultFile{Format: Format, ID: hex.EncodeToString(b[:]), Name: name, Created: now.UTC().Truncate(time.Second), Signers: []string{signer.Public()}}, nil
}

// Write publishes the vault file; a vault that exists already is an error.
func (v *VaultFile) Write(ctx context.Context, place store.Store) error {
	src, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return Publish(ctx, place, v.Name+"/"+VaultName, append(src, '\n'))
}

// ReadVault reads the vault file of the named vault; a missing one is a
// fault.NoVault error.
func ReadVault(ctx context.Context, place store.Store, name string) (*VaultFile, error) {
	src, err := store.ReadAll(ctx, place, name+"/"+VaultName, maxVaultFile)
	if errors.Is(err, store.ErrNotExist) {
		return nil, &fault.Error{Op: "open vault", What: fmt.Sprintf("there is no vault %q in %s", name, place), Why: VaultName + " is missing",
			Left: "nothing was changed", Do: "pgvault init makes a vault; the first backup makes one in an empty place", Code: fault.NoVault, Err: err}
	}
	if errors.Is(err, store.ErrTooBig) {
		return nil, badVault(name, place, err.Error())
	}
	if err != nil {
		return nil, err
	}
	var v VaultFile
	if err := decodeStrict(src, &v); err != nil {
		return nil, badVault(name, place, err.Error())
	}
	if raw, err := hex.DecodeString(v.ID); err != nil || len(raw) != 16 || v.Format != Format || v.Name != name {
		return nil, badVault(name, place, fmt.Sprintf("format %d, id %q, name %q", v.Format, v.ID, v.Name))
	}
	return &v, nil
}

func badVault(name string, place store.Store, why string) error {
	return &fault.Error{Op: "open vault", What: fmt.Sprintf("the vault file of %q in %s cannot be read", name, place), Why: why,
		Left: "nothing was changed", Do: "restore " + VaultName + " from another copy of the vault", Code: fault.Differs}
}
