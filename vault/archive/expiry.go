package archive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"pgvault/vault/store"
)

// Expiry is the mark that no rule keeps an archive: expires.json beside it.
// It is public and not signed, because alone it removes nothing: whoever acts
// on it decides anew first.
type Expiry struct {
	Format    int       `json:"format"`
	Archive   string    `json:"archive"`
	Manifest  string    `json:"manifest"` // SHA-256 of the manifest
	At        time.Time `json:"at"`
	By        string    `json:"by"` // user@host
	NotBefore time.Time `json:"not_before"`
	Reasons   []string  `json:"reasons"`
}

const maxExpiry = 64 << 10

// ErrExpiry says that a mark cannot be understood: it marks nothing.
var ErrExpiry = errors.New("the mark cannot be understood")

// MarkExpiry publishes the mark beside the archive in folder. One that is
// there already is left as it is: its grace runs. One that cannot be
// understood is replaced, or the archive would never be marked.
func MarkExpiry(ctx context.Context, place store.Store, folder string, e Expiry) error {
	e.Format = Format
	src, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return err
	}
	src = append(src, '\n')
	if err = Publish(ctx, place, folder+ExpiresName, src); !errors.Is(err, store.ErrExist) {
		return err
	}
	if _, err = ReadExpiry(ctx, place, folder, e.Archive); !errors.Is(err, ErrExpiry) {
		return err
	}
	if err = Unexpire(ctx, place, folder); err != nil {
		return err
	}
	return publishOnce(ctx, place, folder+ExpiresName, src)
}

// ReadExpiry reads the mark of the archive id in folder. errors.Is finds
// ErrExpiry where it cannot be understood; other errors are the place's.
func ReadExpiry(ctx context.Context, place store.Store, folder, id string) (*Expiry, error) {
	src, err := store.ReadAll(ctx, place, folder+ExpiresName, maxExpiry)
	if errors.Is(err, store.ErrTooBig) {
		return nil, fmt.Errorf("%s%s: %w: %w", folder, ExpiresName, ErrExpiry, err)
	}
	if err != nil {
		return nil, err
	}
	var e Expiry
	if err := decodeStrict(src, &e); err != nil {
		return nil, fmt.Errorf("%s%s: %w: %w", folder, ExpiresName, ErrExpiry, err)
	}
	if e.Format != Format || e.Archive != id || e.NotBefore.IsZero() || e.NotBefore.Before(e.At) {
		return nil, fmt.Errorf("%s%s: %w: format %d, archive %q, from %s to %s", folder, ExpiresName, ErrExpiry, e.Format, e.Archive, e.At, e.NotBefore)
	}
	return &e, nil
}

// Unexpire takes the mark away; the archive is kept.
func Unexpire(ctx context.Context, place store.Store, folder string) error {
	if err := place.Remove(ctx, folder+ExpiresName); err != nil && !errors.Is(err, store.ErrNotExist) {
		return err
	}
	return nil
}
