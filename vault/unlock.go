package vault

import (
	"context"
	"errors"
	"os"
	"sync"

	"pgvault/fault"
	"pgvault/vault/archive"
)

// asked is the requests to unlock an archive that this process has made.
// Their keys are nowhere else, so that an answer works here only.
type asked struct {
	mu   sync.Mutex
	list []*archive.UnlockRequest // the newest last
}

// maxAsked is how many requests may wait for their answer at once.
const maxAsked = 16

func (a *asked) add(r *archive.UnlockRequest) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.list = append(a.list, r); len(a.list) > maxAsked {
		a.list = a.list[1:]
	}
}

// open opens an answer with the request it belongs to.
func (a *asked) open(answer string) (*archive.Unlocked, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := len(a.list) - 1; i >= 0; i-- {
		u, err := a.list[i].Open(answer)
		if err == nil {
			return u, nil
		}
		if !errors.Is(err, archive.ErrOtherRequest) {
			return nil, err
		}
	}
	return nil, archive.NoRequest(answer)
}

// UnlockRequest gives a line of text to take to `pgvault unlock`, wherever
// an identity is. The answer goes into Identities.Unlocked of this same
// Vault: the key that opens it is in this process's memory only.
func (v *Vault) UnlockRequest(ctx context.Context, id string) (string, error) {
	_, o, err := v.find(ctx, id)
	if err != nil {
		return "", err
	}
	host, _ := os.Hostname() // a name for people; without one the line is shorter
	r, err := o.NewRequest(ctx, v.c.Name, host)
	if err != nil {
		return "", err
	}
	v.asked.add(r)
	return r.Text, nil
}

// TryKeys tells which of the identities opens the archive, by a header of
// some hundred bytes.
func (v *Vault) TryKeys(ctx context.Context, id string, ids Identities) (string, error) {
	keys, err := v.keys(ids)
	if err != nil {
		return "", err
	}
	defer keys.Wipe()
	_, o, err := v.find(ctx, id)
	if err != nil {
		return "", err
	}
	return o.Try(ctx, keys)
}

// Unlock gives one line that opens this archive and nothing else, for
// Identities.Unlocked and Secrets.Unlocked, and the name of the identity
// that opened it. The line is a secret. With it a runner needs neither an
// identity nor a passphrase, nor a person to touch a token.
func (v *Vault) Unlock(ctx context.Context, id string, ids Identities) (unlocked, name string, err error) {
	keys, err := v.keys(ids)
	if err != nil {
		return "", "", err
	}
	defer keys.Wipe()
	return v.unlockWith(ctx, id, keys)
}

func (v *Vault) unlockWith(ctx context.Context, id string, keys *archive.Keys) (unlocked, name string, err error) {
	_, o, err := v.find(ctx, id)
	if err != nil {
		return "", "", err
	}
	u, err := o.Unlock(ctx, keys)
	if err != nil {
		return "", "", err
	}
	defer u.Wipe()
	text, err := u.Text()
	return text, u.Names(), err
}

// keys reads all identities; none at all is an error.
func (v *Vault) keys(ids Identities) (*archive.Keys, error) {
	keys := &archive.Keys{}
	if len(ids.Files)+len(ids.Texts) > 0 || len(ids.Unlocked) == 0 {
		var err error
		if keys, err = archive.Load(archive.Source{Files: ids.Files, Texts: ids.Texts, Passphrase: ids.Passphrase}); err != nil {
			return nil, err
		}
	}
	for _, text := range ids.Unlocked {
		open := v.asked.open
		if archive.IsUnlocked(text) {
			open = archive.ParseUnlocked
		}
		u, err := open(text)
		if err != nil {
			return nil, err
		}
		keys.AddUnlocked(u)
	}
	return keys, nil
}

// None tells whether there is nothing that could open an archive.
func (i Identities) None() bool { return len(i.Files)+len(i.Texts)+len(i.Unlocked) == 0 }

// Identities gives what a runner has: nobody can be asked there, so that a
// passphrase is known or the identity is not used.
func (s Secrets) Identities() Identities {
	return Identities{
		Files: s.Files, Texts: s.Texts, Unlocked: s.Unlocked,
		Passphrase: func(prompt string) (string, error) {
			for file, pass := range s.Passphrases {
				if prompt == archive.PassphrasePrompt(file) {
					return pass, nil
				}
			}
			return "", &fault.Error{Op: "identity", What: "nobody can be asked for the " + prompt, Why: "a job runs without a person",
				Left: "nothing was decrypted or written", Do: "start it again from a terminal and answer there", Code: fault.NoKey}
		},
	}
}
