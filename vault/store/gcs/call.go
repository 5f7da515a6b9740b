package gcs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"pgvault/vault/store/remote"
)

// maxAnswer bounds the JSON of one answer: a page of a thousand names of
// 1024 bytes, each written as \u escapes, is some 7 MB.
const maxAnswer = 16 << 20

// object is what the service tells of one.
// https://cloud.google.com/storage/docs/json_api/v1/objects#resource
type object struct {
	Kind       string            `json:"kind"`
	Name       string            `json:"name"`
	Size       string            `json:"size"`
	Generation string            `json:"generation"`
	MD5        string            `json:"md5Hash"`
	CRC32C     string            `json:"crc32c"`
	Metadata   map[string]string `json:"metadata"`
	Retention  *retention        `json:"retention"`
	Policy     string            `json:"retentionExpirationTime"`
}

type retention struct {
	Mode  string `json:"mode"`
	Until string `json:"retainUntilTime"`
}

// objectFields is what of it is asked for.
const objectFields = "kind,name,size,generation,md5Hash,crc32c,metadata,retention,retentionExpirationTime"

func (o *object) size() int64 {
	n, err := strconv.ParseInt(o.Size, 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// whole refuses an answer that is no object, or another one: a good status
// alone does not make one.
func (o *object) whole(name string) error {
	if o.Kind != "storage#object" || o.Name != name || o.size() < 0 || o.Generation == "" {
		return errors.New("the answer does not describe the object")
	}
	return nil
}

// request is one exchange with the service. The body is in memory, in any
// number of pieces, so that it can be sent again.
type request struct {
	method, url string
	header      http.Header
	body        [][]byte
}

// open gives the body from its start, and its length; nil when there is none.
func (q *request) open(alive func()) (*sending, int64) {
	var all []io.Reader
	n := int64(0)
	for _, b := range q.body {
		all = append(all, bytes.NewReader(b))
		n += int64(len(b))
	}
	if n == 0 {
		return nil, 0
	}
	return &sending{r: io.MultiReader(all...), alive: alive}, n
}

// sending is a body on its way. Go's client may read from it still when it
// has given an answer or an error; after end it finds nothing, and the memory
// can be used for other bytes.
type sending struct {
	mu    sync.Mutex
	r     io.Reader
	alive func()
}

func (s *sending) Read(p []byte) (int, error) {
	s.alive()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.r.Read(p)
}

func (s *sending) Close() error { return nil }

func (s *sending) end() {
	if s != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.r = errReader{}
	}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errors.New("the request is over") }

// exchange sends a request once, and hands every answer to use, whatever its
// status. It ends what is silent. Errors are transient unless use says
// otherwise.
func (g *GCS) exchange(ctx context.Context, q request, use func(*http.Response) error) error {
	return remote.Watch(ctx, g.retry.Stall, func(ctx context.Context, alive func()) error {
		body, length := q.open(alive)
		defer body.end()
		r, err := g.send(ctx, q, body, length, alive)
		if err != nil {
			return err
		}
		defer r.Body.Close()
		r.Body = &moving{ReadCloser: r.Body, alive: alive}
		return use(r)
	})
}

// send gives the answer with its body unread.
func (g *GCS) send(ctx context.Context, q request, body *sending, length int64, alive func()) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, q.method, q.url, http.NoBody)
	if err != nil {
		return nil, remote.Permanent(remote.WithoutURL(err))
	}
	if body != nil {
		r.Body = body
	}
	for k, v := range q.header {
		r.Header[k] = v
	}
	r.ContentLength = length
	// Go would ask for gzip and unpack it: lengths and checksums are those
	// of the bytes as they are kept.
	r.Header.Set("Accept-Encoding", "identity")
	if err := g.tokens.authorize(ctx, r); err != nil {
		return nil, err
	}
	alive()
	answer, err := g.client.Do(r)
	if err != nil {
		return nil, remote.WithoutURL(err)
	}
	alive()
	return answer, nil
}

// moving tells of each read that something moves.
type moving struct {
	io.ReadCloser
	alive func()
}

func (m *moving) Read(p []byte) (int, error) {
	n, err := m.ReadCloser.Read(p)
	if n > 0 {
		m.alive()
	}
	return n, err
}

// try does op until it succeeds or cannot; the error is ctx's when that ended.
func (g *GCS) try(ctx context.Context, op func(context.Context) error) error {
	return ended(ctx, g.retry.Do(ctx, op))
}

// ended puts the context's error first where it is the cause.
func ended(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
		return fmt.Errorf("%w (%v)", ctx.Err(), err)
	}
	return err
}

// decode reads a JSON answer whole.
func decode(r *http.Response, into any) error {
	raw, err := io.ReadAll(io.LimitReader(r.Body, maxAnswer+1))
	if err != nil {
		return err
	}
	if len(raw) > maxAnswer {
		return remote.Permanent(errors.New("the answer is too large"))
	}
	var bad errorBody
	if err := json.Unmarshal(raw, &bad); err != nil {
		return errors.New("the answer is not JSON")
	}
	if bad.Error != nil {
		return fmt.Errorf("the answer is an error in spite of its status %d: %s", r.StatusCode, remote.Words(bad.Error.Message))
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return errors.New("the answer is JSON of another form")
	}
	return nil
}

// get asks for JSON; check says whether it is what was asked for.
func (g *GCS) get(ctx context.Context, path string, query url.Values, into any, check func() error) error {
	return g.try(ctx, func(ctx context.Context) error {
		q := request{method: http.MethodGet, url: path + "?" + query.Encode()}
		return g.exchange(ctx, q, func(r *http.Response) error {
			if r.StatusCode != http.StatusOK {
				return g.errorOf(r)
			}
			if err := decode(r, into); err != nil {
				return err
			}
			return check()
		})
	})
}

// stat gives what the service tells of an object; store.ErrNotExist when it
// is not there.
func (g *GCS) stat(ctx context.Context, name string) (*object, error) {
	o := new(object)
	err := g.get(ctx, g.object(name), url.Values{"fields": {objectFields}}, o, func() error { return o.whole(g.prefix + name) })
	if is(err, http.StatusNotFound) {
		return nil, g.notFound(ctx, name, err)
	}
	if err != nil {
		return nil, err
	}
	g.seen.Store(true)
	return o, nil
}

// notFound tells a missing object from a missing bucket: the service's
// answer to both is 404. It asks once for the bucket's list.
func (g *GCS) notFound(ctx context.Context, name string, err error) error {
	if g.seen.Load() {
		return g.absent(name)
	}
	if _, lerr := g.page(ctx, "", "", 1); is(lerr, http.StatusNotFound) {
		return err
	} else if lerr != nil && !is(lerr, http.StatusForbidden) { // who may not list may still read
		return lerr
	}
	g.seen.Store(true)
	return g.absent(name)
}

// serverTime is the Date of an answer.
func serverTime(r *http.Response) (time.Time, error) {
	t, err := http.ParseTime(r.Header.Get("Date"))
	if err != nil {
		return time.Time{}, errors.New("the answer bears no date")
	}
	return t, nil
}
