package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pgvault/fault"
	"pgvault/vault/archive"
	"pgvault/vault/store"
)

// Every place has a vault file of its own, all with the same id. Which vault
// this is, the first place says that answers; the state folder remembers it,
// so that it is known while that place does not. A place with another id
// holds another vault of the same name, and is never mixed with this one.

// vaultFile tells which vault this is; signer not nil: makes it where all
// places answer and none has one.
func (v *Vault) vaultFile(ctx context.Context, signer *archive.Signer) (*archive.VaultFile, error) {
	v.mu.Lock()
	vf := v.vf
	v.mu.Unlock()
	if vf != nil {
		return vf, nil
	}
	sites, err := v.sites()
	if err != nil {
		return nil, err
	}
	var enough func(*archive.VaultFile) bool
	if known := v.rememberedFile(); known != nil && signer == nil { // then one that says the same will do
		enough = func(f *archive.VaultFile) bool { return f.ID == known.ID && slices.Equal(f.Signers, known.Signers) }
	}
	replies := askUntil(ctx, v, sites, screenWait, v.askFile, enough)
	vf, err = v.chooseFile(replies)
	if err != nil && fault.CodeOf(err) == fault.NoVault && signer != nil && firstError(replies) != nil {
		if vf, err = v.makeVault(ctx, sites[0].Store, nil, signer); err == nil {
			v.know(vf)
		}
	}
	return vf, err
}

// askFile reads the vault file of one place, once.
func (v *Vault) askFile(ctx context.Context, s site) (*archive.VaultFile, error) {
	v.mu.Lock()
	vf := v.files[s.n]
	v.mu.Unlock()
	if vf != nil {
		return vf, nil
	}
	vf, err := archive.ReadVault(ctx, s.Store, v.c.Name)
	if err == nil {
		v.mu.Lock()
		if v.files == nil {
			v.files = map[int]*archive.VaultFile{}
		}
		v.files[s.n] = vf
		v.mu.Unlock()
	}
	return vf, err
}

// chooseFile tells by the places' answers which vault this is.
func (v *Vault) chooseFile(replies []reply[*archive.VaultFile]) (*archive.VaultFile, error) {
	known := v.rememberedFile()
	answer := func(holds func(*archive.VaultFile) bool) *archive.VaultFile {
		i := slices.IndexFunc(replies, func(r reply[*archive.VaultFile]) bool { return r.err == nil && holds(r.value) })
		if i < 0 {
			return nil
		}
		return replies[i].value
	}
	silent := slices.ContainsFunc(replies, func(r reply[*archive.VaultFile]) bool {
		return r.err != nil && fault.CodeOf(r.err) != fault.NoVault
	})
	if known != nil {
		if vf := answer(func(f *archive.VaultFile) bool { return f.ID == known.ID }); vf != nil {
			v.know(vf)
			return vf, nil
		}
		if silent { // it may be the one that has it
			return known, nil
		}
	}
	if vf := answer(func(*archive.VaultFile) bool { return true }); vf != nil {
		v.know(vf)
		return vf, nil
	}
	return nil, firstError(replies)
}

// know remembers which vault this is.
func (v *Vault) know(vf *archive.VaultFile) {
	was := v.rememberedFile()
	v.mu.Lock()
	v.vf = vf
	v.mu.Unlock()
	if was != nil && was.ID == vf.ID && slices.Equal(was.Signers, vf.Signers) {
		return
	}
	if src, err := json.Marshal(vf); err == nil {
		_ = v.writeState(v.filePath(), src) // who may not write there asks the places
	}
}

func (v *Vault) filePath() string { return filepath.Join(v.c.StateDir, "vault", v.c.Name+".json") }

// rememberedFile is the vault as it was last seen, nil where it never was.
func (v *Vault) rememberedFile() *archive.VaultFile {
	src, err := os.ReadFile(v.filePath())
	if err != nil {
		return nil
	}
	var vf archive.VaultFile
	if json.Unmarshal(src, &vf) != nil || vf.Name != v.c.Name || len(vf.ID) != 32 {
		return nil
	}
	return &vf
}

// knownVault is the vault, or nil where none is known.
func (v *Vault) knownVault(ctx context.Context) *archive.VaultFile {
	vf, err := v.vaultFile(ctx, nil)
	if err != nil {
		return nil
	}
	return vf
}

// errOtherVault marks a place that is not one of this vault.
var errOtherVault = errors.New("another vault")

// belongs refuses a place that holds another vault of this name. absent says
// that it holds no vault file.
func (v *Vault) belongs(ctx context.Context, s site, vf *archive.VaultFile) (absent bool, err error) {
	own, err := v.askFile(ctx, s)
	switch {
	case err != nil && fault.CodeOf(err) == fault.NoVault:
		return true, nil
	case err != nil:
		return false, err
	case own.ID != vf.ID:
		return false, &fault.Error{Op: "open vault", What: fmt.Sprintf("place %s holds another vault of the name %q", s.Name, v.c.Name), Why: fmt.Sprintf("its id is %.8s…, this vault's is %.8s…", own.ID, vf.ID),
			Left: "nothing there was read or changed", Do: "give the place an address of its own, or this vault another vault.name", Code: fault.Refused, Err: errOtherVault}
	}
	return false, nil
}

// makeVault writes the vault file into a place that has none: vf, or for nil
// a new one of this signer. Where another one does the same at the same
// time, one of them wins, and both have its file.
func (v *Vault) makeVault(ctx context.Context, place store.Store, vf *archive.VaultFile, signer *archive.Signer) (*archive.VaultFile, error) {
	if vf == nil {
		there, err := place.List(ctx, v.c.Name+"/")
		if err != nil {
			return nil, err
		}
		if len(there) > 0 {
			if vf, err := archive.ReadVault(ctx, place, v.c.Name); err == nil { // another one has made it meanwhile
				return vf, nil
			}
			return nil, &fault.Error{Op: "make vault", What: fmt.Sprintf("%s holds objects of a vault %q without its vault file", place, v.c.Name),
				Why: archive.VaultName + " is missing and the folder is not empty", Left: "nothing was changed",
				Do: "restore " + archive.VaultName + " from another copy, or choose another vault.name", Code: fault.NoVault}
		}
		if vf, err = archive.NewVault(v.c.Name, v.now(), v.random, signer); err != nil {
			return nil, err
		}
	}
	if err := vf.Write(ctx, place); err != nil && !errors.Is(err, store.ErrExist) {
		return nil, err
	}
	return archive.ReadVault(ctx, place, v.c.Name)
}

// Init makes the vault in every place that has none of it yet. One vault is
// in all of them; which, the first place that has one says.
func (v *Vault) Init(ctx context.Context) error {
	signer, err := archive.LoadSigner(v.c.SigningKey)
	if err != nil {
		return err
	}
	vf, err := v.vaultFile(ctx, signer)
	if err != nil {
		return err
	}
	sites, err := v.sites()
	if err != nil {
		return err
	}
	replies := askEach(ctx, v, sites, verbWait, func(ctx context.Context, s site) (struct{}, error) { return struct{}{}, v.join(ctx, s, vf) })
	return firstError(replies)
}

// join makes a place one of this vault: its vault file is there afterwards.
func (v *Vault) join(ctx context.Context, s site, vf *archive.VaultFile) error {
	absent, err := v.belongs(ctx, s, vf)
	if err != nil || !absent {
		return err
	}
	own, err := v.makeVault(ctx, s.Store, vf, nil)
	if err == nil && own.ID != vf.ID {
		_, err = v.belongs(ctx, s, vf)
	}
	return err
}

// trust gathers the keys whose signatures count: this host's own signing
// key and the trusted signers of the configuration; only where neither is
// there, those that the vault names itself.
func (v *Vault) trust(vf *archive.VaultFile) (*archive.Trust, error) {
	lines := slices.Clone(v.c.Signers)
	if v.c.SigningKey != "" {
		if public, err := archive.PublicOf(v.c.SigningKey); err == nil {
			lines = append(lines, public)
		} else if !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	if v.c.TrustedSigners != "" {
		src, err := os.ReadFile(v.c.TrustedSigners)
		if err != nil {
			return nil, &fault.Error{Op: "trust", What: "the trusted signers cannot be read", Left: "nothing was believed or changed", Do: "check keys.trusted_signers", Code: fault.Usage, Err: err}
		}
		lines = append(lines, strings.Split(string(src), "\n")...)
	}
	if len(lines) == 0 {
		lines = vf.Signers
	}
	t, err := archive.NewTrust(lines)
	if err != nil {
		return nil, &fault.Error{Op: "trust", What: "no key is known whose signature could count", Left: "nothing was believed or changed", Do: "set keys.signing_key or keys.trusted_signers", Code: fault.Usage, Err: err}
	}
	return t, nil
}

// identity is the vault and the keys that it trusts.
func (v *Vault) identity(ctx context.Context) (*archive.VaultFile, *archive.Trust, error) {
	vf, err := v.vaultFile(ctx, nil)
	if err != nil {
		return nil, nil, err
	}
	trust, err := v.trust(vf)
	return vf, trust, err
}
