package gcs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	"pgvault/vault/store"
	"pgvault/vault/store/remote"
)

// withdrawIn is how long taking something back is tried.
const withdrawIn = 15 * time.Second

// undecided tells whether a request that makes the object may have made it
// although it came to err.
func undecided(err error) bool {
	var a *apiError
	var c *credentialsError
	switch {
	case err == nil, errors.Is(err, store.ErrExist), errors.As(err, &c), remote.NotSent(err):
		return false
	case errors.As(err, &a):
		return remote.Transient(a.status)
	}
	return true
}

// compare refuses an object that is not what was written: by the checksums
// that the service made of the bytes that it keeps, and where it tells none
// by reading all of them back.
func (w *writer) compare(ctx context.Context, o *object) error {
	w.unsure = true // it is there, until all is well
	switch {
	case o.size() != w.sums.size,
		o.CRC32C != "" && o.CRC32C != w.sums.crc32c(),
		o.MD5 != "" && o.MD5 != w.sums.md5Hash():
		return errUnlike
	case o.CRC32C == "" && o.MD5 == "":
		if err := w.readBack(ctx); err != nil {
			return err
		}
	}
	if !w.until.IsZero() && !lockedUntil(o.Retention, w.until) {
		return errNoLock
	}
	w.unsure = false
	return nil
}

func lockedUntil(r *retention, until time.Time) bool {
	if r == nil || r.Mode != "Locked" {
		return false
	}
	at, err := time.Parse(time.RFC3339, r.Until)
	return err == nil && !at.Before(until)
}

func (w *writer) readBack(ctx context.Context) error {
	r, err := w.g.Open(ctx, w.name, 0, -1)
	if err != nil {
		return err
	}
	defer r.Close()
	h := sha256.New()
	n, err := io.Copy(h, r)
	if err != nil {
		return err
	}
	if n != w.sums.size || !bytes.Equal(h.Sum(nil), w.sums.sha.Sum(nil)) {
		return errUnlike
	}
	return nil
}

// resolve finds out what became of a request that came to err: that the name
// is taken, or that nobody knows whether the object was made. What this
// writer made, whatever carried its request twice, is no other's object; and
// after an answer that was lost these very bytes are what was wanted.
func (w *writer) resolve(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	o, serr := w.g.stat(ctx, w.name)
	switch {
	case serr != nil && w.unsure && errors.Is(err, store.ErrExist):
		return serr // it may be this writer's: nobody can tell
	case serr != nil, !w.unsure && o.Metadata[owner] != w.id:
		return err
	}
	switch cerr := w.compare(ctx, o); {
	case cerr == nil:
		return nil
	case o.Metadata[owner] == w.id, !errors.Is(cerr, errUnlike) && !errors.Is(cerr, errNoLock):
		return cerr
	}
	return store.ErrExist
}

// withdraw ends the upload session, and takes away the object if it is this
// writer's. Neither can be insisted on: a session ends by itself after a
// week, and who may only add objects cannot remove this one.
func (w *writer) withdraw() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), withdrawIn)
	defer cancel()
	once := w.g.once()
	if w.session != "" {
		q := request{method: http.MethodDelete, url: w.session}
		_ = once.exchange(ctx, q, func(*http.Response) error { return nil }) // 499 says that it is gone
	}
	if !w.unsure {
		return
	}
	o, err := once.stat(ctx, w.name)
	if err == nil && o.Metadata[owner] == w.id {
		_ = once.remove(ctx, w.name, url.Values{"generation": {o.Generation}, "ifGenerationMatch": {o.Generation}})
	}
}

// once is the place without a second try.
func (g *GCS) once() *GCS {
	o := &GCS{url: g.url, place: g.place, bucket: g.bucket, prefix: g.prefix, base: g.base, lock: g.lock, now: g.now, client: g.client, piece: g.piece,
		tokens: g.tokens, retry: remote.Retry{Attempts: 1, Stall: g.retry.Stall}}
	o.seen.Store(true)
	return o
}
