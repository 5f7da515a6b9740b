package gcs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"pgvault/vault/store"
	"pgvault/vault/store/remote"
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

// Open implements store.Store. All connections of one reader are to the same
// generation of the object.
func (g *GCS) Open(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	if offset < 0 {
		return nil, fmt.Errorf("%s: %s: negative offset %d", g, name, offset)
	}
	if err := errors.Join(ctx.Err(), store.ValidName(name)); err != nil {
		return nil, err
	}
	generation := ""
	open := func(ctx context.Context, offset, length int64) (io.ReadCloser, int64, error) {
		r, of, total, err := g.open(ctx, name, generation, offset, length)
		if err == nil && generation == "" {
			generation = of
		}
		return r, total, err
	}
	r, err := remote.NewReader(ctx, g.retry, open, offset, length)
	if err != nil {
		return nil, g.fault("open", name, ended(ctx, err))
	}
	return &reader{Reader: r, ctx: ctx, g: g, name: name}, nil
}

// ended puts the context's error first where it is the cause.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
		return fmt.Errorf("%w (%v)", ctx.Err(), err)
	}
	return err
}

// open asks for a range once.
func (g *GCS) open(ctx context.Context, name, generation string, offset, length int64) (body io.ReadCloser, of string, total int64, err error) {
	query := url.Values{"alt": {"media"}}
	if generation != "" {
		query.Set("ifGenerationMatch", generation)
	}
	q := request{method: http.MethodGet, url: g.object(name) + "?" + query.Encode(), header: http.Header{}}
	switch {
	case length == 0: // no range is empty: one byte is asked for and not read
		q.header.Set("Range", "bytes=0-0")
	case length > 0 && length <= math.MaxInt64-offset:
		q.header.Set("Range", fmt.Sprintf("bytes=%d-%d", offset, offset+length-1))
	case offset > 0:
		q.header.Set("Range", fmt.Sprintf("bytes=%d-", offset))
	}
	r, err := g.send(ctx, q, func() {})
	if err != nil {
		return nil, "", 0, err
	}
	of = r.Header.Get("X-Goog-Generation")
	switch r.StatusCode {
	case http.StatusOK, http.StatusPartialContent:
		if of == "" {
			err = errors.New("the answer is no object")
			break
		}
		if length == 0 {
			return empty(r), of, 0, nil
		}
		if total, err = ranged(r, offset); err == nil {
			return r.Body, of, total, nil
		}
	case http.StatusRequestedRangeNotSatisfiable:
		return empty(r), of, 0, nil
	case http.StatusNotFound:
		err = g.errorOf(r)
		err = remote.Permanent(g.notFound(ctx, name, err))
	case http.StatusPreconditionFailed:
		err = remote.Permanent(errReplaced)
	default:
		err = g.errorOf(r)
	}
	_ = r.Body.Close() // nothing of it is used
	return nil, "", 0, err
}

// empty leaves an answer's body unread.
func empty(r *http.Response) io.ReadCloser {
	_ = r.Body.Close()
	return http.NoBody
}

// ranged gives how many bytes an answer promises, which has to begin at
// offset.
func ranged(r *http.Response, offset int64) (int64, error) {
	if r.StatusCode == http.StatusOK {
		if offset > 0 {
			return 0, errors.New("the service sends the object from its start, not the range that was asked for")
		}
		return r.ContentLength, nil
	}
	var first, last int64
	if _, err := fmt.Sscanf(r.Header.Get("Content-Range"), "bytes %d-%d/", &first, &last); err != nil || first != offset || last < first-1 {
		return 0, errors.New("the service sends another range than was asked for")
	}
	return last - first + 1, nil
}

// reader gives a reader's errors their four lines.
type reader struct {
	*remote.Reader
	ctx  context.Context
	g    *GCS
	name string
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := r.Reader.Read(p)
	if err != nil && err != io.EOF {
		err = r.g.fault("read", r.name, ended(r.ctx, err))
	}
	return n, err
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
