package vault

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"pgvault/fault"
	"pgvault/vault/archive"
	"pgvault/vault/store"
)

// placeAnswer is how long a place may take to tell its state.
const placeAnswer = 20 * time.Second

// PlaceAnswer is how a place answers now.
type PlaceAnswer struct {
	Name     string `json:"name"`
	URL      string `json:"url"`
	State    string `json:"state"`    // ok, ! or x
	Text     string `json:"text"`     // in words
	Archives int    `json:"archives"` // that have their manifest there; -1 unknown
	Free     int64  `json:"free"`     // bytes; -1 unknown
	Total    int64  `json:"total"`    // bytes; -1 unknown
}

// PlaceAnswers asks all places at once, each for at most 20 seconds, in the
// order of the configuration. What fails is told in its State.
func (v *Vault) PlaceAnswers(ctx context.Context) []PlaceAnswer {
	out := make([]PlaceAnswer, len(v.c.Places))
	var all sync.WaitGroup
	for i, p := range v.c.Places {
		all.Go(func() { out[i] = v.placeState(ctx, p) })
	}
	all.Wait()
	return out
}

func (v *Vault) placeState(ctx context.Context, p Place) PlaceAnswer {
	s := PlaceAnswer{Name: p.Name, State: "x", Archives: -1, Free: -1, Total: -1}
	if p.Store == nil {
		f := fault.As(p.Err)
		s.Text = join(f.What, f.Why)
		return s
	}
	s.URL = p.Store.String()
	ctx, cancel := context.WithTimeout(ctx, placeAnswer)
	defer cancel()
	there, _, err := v.folders(ctx, p.Store, "")
	if err == nil {
		s.Free, s.Total, err = capacity(ctx, p.Store)
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		s.Text = fmt.Sprintf("no answer within %s", placeAnswer)
		return s
	case err != nil:
		f := fault.As(err)
		s.Text = join(f.What, f.Why)
		return s
	}
	s.State, s.Archives = "ok", len(there)
	if s.Free >= 0 {
		s.Text = room(s.Free, s.Total) + ", "
	}
	s.Text += plural(int64(len(there)), "archive")
	if p.MinFree > 0 && s.Free >= 0 && s.Free < p.MinFree {
		s.State, s.Text = "!", s.Text+"; min_free asks for "+bytesText(p.MinFree)
	}
	if _, err := p.Store.Stat(ctx, v.c.Name+"/"+archive.VaultName); errors.Is(err, store.ErrNotExist) {
		s.Text = "no vault there yet"
		if s.Free >= 0 {
			s.Text += ", " + room(s.Free, s.Total)
		}
	}
	return s
}

// capacity gives what is free and the whole, each -1 where it is unknown.
func capacity(ctx context.Context, s store.Store) (free, total int64, err error) {
	if c, ok := store.As[store.Capacity](s); ok {
		return c.Capacity(ctx)
	}
	free, err = s.Free(ctx)
	return free, -1, err
}
