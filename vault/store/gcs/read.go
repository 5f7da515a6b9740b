package gcs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"pgvault/vault/store"
)

// page is one answer of a listing.
type page struct {
	Kind  string   `json:"kind"`
	Next  string   `json:"nextPageToken"`
	Items []object `json:"items"`
}

func (g *GCS) page(ctx context.Context, prefix, token string, most int) (*page, error) {
	p := new(page)
	query := url.Values{"fields": {"kind,nextPageToken,items(name,size,generation)"}, "maxResults": {strconv.Itoa(most)}}
	if prefix = g.prefix + prefix; prefix != "" {
		query.Set("prefix", prefix)
	}
	if token != "" {
		query.Set("pageToken", token)
	}
	err := g.get(ctx, g.objects(), query, p, func() error {
		if p.Kind != "storage#objects" {
			return errors.New("the answer is no listing")
		}
		return nil
	})
	return p, err
}

// List implements store.Store. Objects whose names store.ValidName refuses
// were not made by pgvault and are passed over. The stamp is the generation.
func (g *GCS) List(ctx context.Context, prefix string) ([]store.Info, error) {
	if err := store.ValidPrefix(prefix); err != nil {
		return nil, err
	}
	out := []store.Info{}
	for token := ""; ; {
		p, err := g.page(ctx, prefix, token, 1000)
		if err != nil {
			return nil, g.fault("list", prefix, err)
		}
		for _, o := range p.Items {
			name, ok := strings.CutPrefix(o.Name, g.prefix)
			if !ok || !strings.HasPrefix(name, prefix) || store.ValidName(name) != nil {
				continue
			}
			if o.size() < 0 || o.Generation == "" {
				return nil, g.fault("list", prefix, fmt.Errorf("the listing does not tell the size of %s", name))
			}
			out = append(out, store.Info{Name: name, Size: o.size(), Stamp: o.Generation})
		}
		if p.Next == "" {
			break
		}
		if p.Next == token {
			return nil, g.fault("list", prefix, errors.New("the service gives the same page again"))
		}
		token = p.Next
	}
	g.seen.Store(true)
	slices.SortFunc(out, func(a, b store.Info) int { return strings.Compare(a.Name, b.Name) })
	return slices.CompactFunc(out, func(a, b store.Info) bool { return a.Name == b.Name }), nil
}

// Stat implements store.Store.
func (g *GCS) Stat(ctx context.Context, name string) (store.Info, error) {
	if err := errors.Join(ctx.Err(), store.ValidName(name)); err != nil {
		return store.Info{}, err
	}
	o, err := g.stat(ctx, name)
	if err != nil {
		return store.Info{}, g.fault("look at", name, err)
	}
	return store.Info{Name: name, Size: o.size()}, nil
}

// Remove implements store.Store. It removes the generation that it found and
// no newer one. In a bucket that keeps versions, that is what the bucket's
// owner wanted: the object is no longer live, and kept as an older version.
func (g *GCS) Remove(ctx context.Context, name string) error {
	if err := errors.Join(ctx.Err(), store.ValidName(name)); err != nil {
		return err
	}
	o, err := g.stat(ctx, name)
	if err != nil {
		return g.fault("remove", name, err)
	}
	return g.fault("remove", name, g.remove(ctx, name, url.Values{"ifGenerationMatch": {o.Generation}}))
}

// remove deletes what was seen under name, on the conditions of query. That
// it is gone already is what was wanted: an earlier request may have done it
// whose answer nobody heard.
func (g *GCS) remove(ctx context.Context, name string, query url.Values) error {
	err := g.try(ctx, func(ctx context.Context) error {
		q := request{method: http.MethodDelete, url: g.object(name) + "?" + query.Encode()}
		return g.exchange(ctx, q, func(r *http.Response) error {
			switch r.StatusCode {
			case http.StatusNoContent, http.StatusNotFound:
				return nil
			case http.StatusOK: // of an emulator, or an error all the same
				return decode(r, new(any))
			}
			return g.errorOf(r)
		})
	})
	if is(err, http.StatusPreconditionFailed) { // no object has that generation: another one is there, or none
		if _, err = g.stat(ctx, name); err == nil {
			return errReplaced
		} else if missing(err) {
			return nil
		}
	}
	return err
}

// LockedUntil implements store.Retained: the later of the object's own
// retention and the bucket's policy.
func (g *GCS) LockedUntil(ctx context.Context, name string) (time.Time, error) {
	if err := errors.Join(ctx.Err(), store.ValidName(name)); err != nil {
		return time.Time{}, err
	}
	o, err := g.stat(ctx, name)
	if err != nil {
		return time.Time{}, g.fault("look at", name, err)
	}
	until, _ := time.Parse(time.RFC3339, o.Policy) // none: the zero time
	if o.Retention != nil {
		if own, err := time.Parse(time.RFC3339, o.Retention.Until); err == nil && own.After(until) {
			until = own
		}
	}
	if !until.After(g.now()) {
		return time.Time{}, nil
	}
	return until, nil
}
