package setup

import (
	"context"
	"errors"
	"os"
	"time"

	"pgvault/config"
	"pgvault/fault"
	"pgvault/vault"
	"pgvault/vault/archive"
	"pgvault/vault/store"
	"pgvault/vault/store/address"
	"pgvault/vault/store/kinds"
)

// farAnswer is how long a place over a network may take to answer the Setup
// page.
const farAnswer = 10 * time.Second

// OpenPlace opens a place as the configuration describes it; nothing is
// connected yet. Who may only look trusts the folder of the user whose state
// folder it is.
func OpenPlace(ctx context.Context, p config.Place, state string) (store.Store, error) {
	o := address.Options{Credentials: p.Credentials, ObjectLock: p.ObjectLock}
	if owner, _, ok := vault.StateOwner(state); ok && owner != os.Geteuid() {
		o.Owner = &owner
	}
	return kinds.Parse(ctx, p.URL, o, int64(p.Limit))
}

// OpenPlaceToRead opens a place for a recovery, which writes nothing there and
// believes signatures only: a folder may belong to another user, as on a disk
// of a machine that is gone.
func OpenPlaceToRead(ctx context.Context, p config.Place) (store.Store, error) {
	o := address.Options{Credentials: p.Credentials}
	if folder, here := hereFolder(p.URL); here {
		if owner, _, ok := vault.StateOwner(folder); ok && owner != os.Geteuid() {
			o.Owner = &owner
		}
	}
	return kinds.Parse(ctx, p.URL, o, int64(p.Limit))
}

// PlaceName is what a place of this address is called where nobody names it.
func PlaceName(url string) string {
	a, _ := address.Parse(url)
	switch a.Scheme {
	case address.File:
		return "disk"
	case address.GCS:
		return "gcs"
	case address.Azure:
		return "azure"
	case "":
		return "place"
	}
	return a.Scheme
}

// checkFar looks at a place over a network as far as it can be known here:
// its address, and where its credentials are.
func checkFar(ctx context.Context, p config.Place) vault.Check {
	p, err := config.CheckPlace(p)
	if err == nil {
		var s store.Store
		if s, err = OpenPlace(ctx, p, ""); err == nil {
			err = kinds.Close(s)
		}
	}
	if err != nil {
		return wrong(err)
	}
	return ok("%s is tried when you go on: written to, read back, and cleaned", p.URL)
}

// TryPlace tries out a place over a network, as pgvault place test does; nil
// for a folder, which CheckPlace has looked at. The error names the first
// thing that is wrong with its remedy.
func TryPlace(ctx context.Context, p config.Place) error {
	a, err := address.Parse(p.URL)
	if err != nil || a.Scheme == address.File {
		return err
	}
	s, err := OpenPlace(ctx, p, "")
	if err != nil {
		return err
	}
	var first *vault.PlaceCheck
	err = vault.TestPlace(ctx, s, vault.PlaceTest{At: a, Lock: p.ObjectLock, MinFree: int64(p.MinFree)}, func(c vault.PlaceCheck) {
		if c.State == "x" && first == nil {
			first = &c
		}
	})
	if cerr := kinds.Close(s); err == nil {
		err = cerr
	}
	if fault.CodeOf(err) == fault.Failed && first != nil {
		return &fault.Error{Op: "place", What: a.String() + " cannot be used", Why: first.Name + ": " + first.Text, Left: "what was tried there was taken away again", Do: first.Do, Code: fault.Failed}
	}
	return err
}

// lookAt asks a place of the configuration for its free space, -1 unknown,
// and so whether it answers.
func lookAt(ctx context.Context, p config.Place, vaultName, state string) (free int64, err error) {
	s, err := OpenPlace(ctx, p, state)
	if err != nil {
		return -1, err
	}
	defer func() { err = errors.Join(err, kinds.Close(s)) }()
	ctx, cancel := context.WithTimeout(ctx, farAnswer)
	defer cancel()
	if free, err = s.Free(ctx); err == nil {
		_, err = s.Stat(ctx, vaultName+"/"+archive.VaultName)
	}
	switch {
	case errors.Is(err, store.ErrNotExist):
		err = nil
	case errors.Is(err, context.DeadlineExceeded):
		err = &fault.Error{What: p.Name + " does not answer", Why: "nothing came within " + farAnswer.String(), Do: "pgvault place test " + p.Name + " tells more", Code: fault.PlaceUnreachable, Err: err}
	}
	return free, err
}
