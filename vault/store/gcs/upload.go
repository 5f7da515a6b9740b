package gcs

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"pgvault/vault/store"
	"pgvault/vault/store/remote"
)

// owner is the metadata key under which an object says which writer made it.
const owner = "pgvault-writer"

const (
	binary   = "application/octet-stream"
	jsonText = "application/json; charset=UTF-8"
)

// metadata is what the object is to have beside its bytes. With sums, the
// service compares them before it makes the object.
func (w *writer) metadata(withSums bool) []byte {
	m := map[string]any{"name": w.g.prefix + w.name, "contentType": binary, "metadata": map[string]string{owner: w.id}}
	if !w.until.IsZero() {
		m["retention"] = retention{Mode: "Locked", Until: w.until.Format(time.RFC3339)}
	}
	if withSums {
		m["crc32c"], m["md5Hash"] = w.sums.crc32c(), w.sums.md5Hash()
	}
	raw, err := json.Marshal(m)
	if err != nil {
		panic(err) // it is made of strings
	}
	return raw
}

// uploads is the URL that begins an upload. The name must be free: generation
// 0 is that of no object.
func (w *writer) uploads(kind string) string {
	q := url.Values{"uploadType": {kind}, "ifGenerationMatch": {"0"}, "fields": {objectFields}}
	return w.g.base + "/upload/storage/v1/b/" + url.PathEscape(w.g.bucket) + "/o?" + q.Encode()
}

// putSmall sends the whole object in one request, with its metadata before
// it: https://cloud.google.com/storage/docs/uploading-objects#uploading-an-object (multipart).
func (w *writer) putSmall(ctx context.Context) (o *object, err error) {
	boundary := rand.Text()
	head := "--" + boundary + "\r\nContent-Type: " + jsonText + "\r\n\r\n" + string(w.metadata(true)) +
		"\r\n--" + boundary + "\r\nContent-Type: " + binary + "\r\n\r\n"
	q := request{method: http.MethodPost, url: w.uploads("multipart"),
		header: http.Header{"Content-Type": {"multipart/related; boundary=" + boundary}},
		body:   [][]byte{[]byte(head), *w.piece, []byte("\r\n--" + boundary + "--\r\n")}}
	err = w.g.try(ctx, func(ctx context.Context) error {
		err := w.g.exchange(ctx, q, func(r *http.Response) error {
			o = new(object)
			return w.made(r, o)
		})
		w.unsure = w.unsure || undecided(err)
		if a := (*apiError)(nil); errors.As(err, &a) && a.unlike() {
			return a // nothing was made, and what is sent again may arrive as it is
		}
		return err
	})
	return o, err
}

// made reads the answer to a request that makes the object.
func (w *writer) made(r *http.Response, o *object) error {
	switch r.StatusCode {
	case http.StatusOK, http.StatusCreated:
		if err := decode(r, o); err != nil {
			return err
		}
		return o.whole(w.g.prefix + w.name)
	case http.StatusPreconditionFailed:
		return remote.Permanent(store.ErrExist)
	}
	return w.g.errorOf(r)
}

// begin opens the upload session, once.
// https://cloud.google.com/storage/docs/performing-resumable-uploads
func (w *writer) begin(ctx context.Context) error {
	if w.session != "" {
		return nil
	}
	q := request{method: http.MethodPost, url: w.uploads("resumable"), body: [][]byte{w.metadata(false)},
		header: http.Header{"Content-Type": {jsonText}, "X-Upload-Content-Type": {binary}}}
	if w.want >= 0 {
		q.header.Set("X-Upload-Content-Length", strconv.FormatInt(w.want, 10))
	}
	return w.g.try(ctx, func(ctx context.Context) error {
		return w.g.exchange(ctx, q, func(r *http.Response) (err error) {
			switch r.StatusCode {
			case http.StatusOK, http.StatusCreated:
				w.session, err = w.g.sessionURL(r.Header.Get("Location"))
				return err
			case http.StatusPreconditionFailed:
				return remote.Permanent(store.ErrExist)
			}
			return w.g.errorOf(r)
		})
	})
}

// sessionURL takes path and query of a session's address and nothing else:
// an answer does not decide to which host, and whether in the clear, the
// bytes go.
func (g *GCS) sessionURL(location string) (string, error) {
	at, err := url.Parse(location)
	if err != nil || at.RawQuery == "" {
		return "", errors.New("the service opened no upload session")
	}
	base, err := url.Parse(g.base)
	if err != nil {
		return "", remote.Permanent(remote.WithoutURL(err))
	}
	base.Path, base.RawPath, base.RawQuery = at.Path, at.RawPath, at.RawQuery
	return base.String(), nil
}

// put sends a piece into the session; the last one makes the object. Where
// it is not known how much of the piece arrived, the service is asked.
func (w *writer) put(ctx context.Context, piece []byte, last bool) (o *object, err error) {
	at, known := 0, true // bytes of the piece that have arrived
	err = w.g.try(ctx, func(ctx context.Context) (err error) {
		if !known {
			if o, at, err = w.chunk(ctx, nil, 0, len(piece), last); err != nil || o != nil {
				return err
			}
		}
		for at < len(piece) || last {
			from := at
			known = false
			if o, at, err = w.chunk(ctx, piece[from:], from, len(piece), last); err != nil || o != nil {
				return err
			}
			known = true
			if at <= from {
				return fmt.Errorf("the service has %d bytes of the object and takes no more", w.sent+int64(at))
			}
		}
		return nil
	})
	return o, err
}

// chunk sends data, which lies at from in a piece of length bytes; without
// data it asks for the session's state. It gives how many bytes of the piece
// have arrived, or the object when it is made.
func (w *writer) chunk(ctx context.Context, data []byte, from, length int, last bool) (o *object, at int, err error) {
	total := "*"
	q := request{method: http.MethodPut, url: w.session, body: [][]byte{data}, header: http.Header{}}
	if last {
		total = strconv.FormatInt(w.sent+int64(length), 10)
		q.header.Set("X-Goog-Hash", "crc32c="+w.sums.crc32c()+",md5="+w.sums.md5Hash())
	}
	if len(data) == 0 {
		q.header.Set("Content-Range", "bytes */"+total)
	} else {
		first := w.sent + int64(from)
		q.header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%s", first, first+int64(len(data))-1, total))
	}
	err = w.g.exchange(ctx, q, func(r *http.Response) error {
		switch {
		case r.StatusCode == http.StatusPermanentRedirect: // 308: more is to come
			n, err := persisted(r.Header.Get("Range"))
			if n -= w.sent; err == nil && (n < 0 || n > int64(length)) {
				err = remote.Permanent(errors.New("the upload session has lost bytes that it had"))
			}
			at = int(n)
			return err
		case r.StatusCode == http.StatusNotFound, r.StatusCode == http.StatusGone:
			return remote.Permanent(errSession)
		case r.StatusCode < 300 && !last:
			if err := decode(r, new(object)); err != nil {
				return err
			}
			w.unsure = true // half an object is there
			return remote.Permanent(errors.New("the service ended the upload session early"))
		}
		made := new(object)
		err := w.made(r, made)
		if err == nil {
			o = made
		}
		return err
	})
	w.unsure = w.unsure || last && undecided(err)
	return o, at, err
}

var errSession = errors.New("the service does not know the upload session any more")

// persisted reads the Range of an answer: none means nothing.
func persisted(ranges string) (int64, error) {
	if ranges == "" {
		return 0, nil
	}
	end, ok := strings.CutPrefix(ranges, "bytes=0-")
	n, err := strconv.ParseInt(end, 10, 64)
	if !ok || err != nil || n < 0 {
		return 0, errors.New("the service does not tell how much has arrived")
	}
	return n + 1, nil
}
