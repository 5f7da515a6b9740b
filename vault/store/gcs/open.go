package gcs

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"net/http"
	"net/url"
	"strings"

	"pgvault/vault/store"
	"pgvault/vault/store/remote"
)

// Open implements store.Store. All connections of one reader are to the same
// generation of the object.
func (g *GCS) Open(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	if offset < 0 {
		return nil, fmt.Errorf("%s: %s: negative offset %d", g, name, offset)
	}
	if err := errors.Join(ctx.Err(), store.ValidName(name)); err != nil {
		return nil, err
	}
	var first *answer
	open := func(ctx context.Context, offset, length int64) (io.ReadCloser, int64, error) {
		generation := ""
		if first != nil {
			generation = first.generation
		}
		a, err := g.open(ctx, name, generation, offset, length)
		if err != nil {
			return nil, 0, err
		}
		if first == nil {
			first = a
		}
		return a.body, a.length, nil
	}
	r, err := remote.NewReader(ctx, g.retry, open, offset, length)
	if err != nil {
		return nil, g.fault("open", name, ended(ctx, err))
	}
	out := &reader{Reader: r, ctx: ctx, g: g, name: name}
	if first.whole {
		out.want, out.crc = first.crc32c, newCRC()
	}
	return out, nil
}

// answer is one connection that bytes come from.
type answer struct {
	body       io.ReadCloser
	length     int64 // bytes that it promises
	generation string
	crc32c     string // of the whole object, "" when not told
	whole      bool   // the bytes are those of the whole object
}

// open asks for a range once.
func (g *GCS) open(ctx context.Context, name, generation string, offset, length int64) (a *answer, err error) {
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
	r, err := g.send(ctx, q, nil, 0, func() {})
	if err != nil {
		return nil, err
	}
	a = &answer{body: r.Body, generation: r.Header.Get("X-Goog-Generation"), crc32c: crcOf(r.Header)}
	switch r.StatusCode {
	case http.StatusOK, http.StatusPartialContent:
		if a.generation == "" { // every object has one
			err = errors.New("the answer is no object")
		} else if length == 0 {
			a.empty()
		} else {
			err = a.ranged(r, offset)
		}
	case http.StatusRequestedRangeNotSatisfiable:
		a.empty()
	case http.StatusNotFound:
		err = remote.Permanent(g.notFound(ctx, name, g.errorOf(r)))
	case http.StatusPreconditionFailed:
		err = remote.Permanent(errReplaced)
	default:
		err = g.errorOf(r)
	}
	if err != nil {
		_ = r.Body.Close() // nothing of it is used
		return nil, err
	}
	return a, nil
}

// empty leaves the body unread.
func (a *answer) empty() {
	_ = a.body.Close() // nothing of it is used
	a.body, a.length, a.whole = http.NoBody, 0, false
}

// ranged reads how many bytes an answer promises, which has to begin at
// offset.
func (a *answer) ranged(r *http.Response, offset int64) error {
	if r.StatusCode == http.StatusOK {
		a.length, a.whole = r.ContentLength, true
		if offset > 0 {
			return errors.New("the service sends the object from its start, not the range that was asked for")
		}
		return nil
	}
	var first, last, size int64
	if _, err := fmt.Sscanf(r.Header.Get("Content-Range"), "bytes %d-%d/%d", &first, &last, &size); err != nil || first != offset || last < first {
		return errors.New("the service sends another range than was asked for")
	}
	a.length = last - first + 1
	a.whole = a.length == size
	return nil
}

// crcOf finds the CRC32C in X-Goog-Hash: crc32c=…,md5=…
func crcOf(h http.Header) string {
	for _, line := range h.Values("X-Goog-Hash") {
		for one := range strings.SplitSeq(line, ",") {
			if crc, ok := strings.CutPrefix(strings.TrimSpace(one), "crc32c="); ok {
				return crc
			}
		}
	}
	return ""
}

// reader gives a reader's errors their four lines. Of a whole object it
// compares the checksum at the end.
type reader struct {
	*remote.Reader
	ctx  context.Context
	g    *GCS
	name string
	want string // base64, as the service writes it
	crc  hash.Hash32
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := r.Reader.Read(p)
	if r.want != "" {
		_, _ = r.crc.Write(p[:n]) // hashes never fail
		if err == io.EOF && base64.StdEncoding.EncodeToString(r.crc.Sum(nil)) != r.want {
			err = errUnlikeRead
		}
	}
	if err != nil && err != io.EOF {
		err = r.g.fault("read", r.name, ended(r.ctx, err))
	}
	return n, err
}
