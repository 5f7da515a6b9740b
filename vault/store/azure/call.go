package azure

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"

	"pgvault/vault/store"
	"pgvault/vault/store/remote"
)

// aliveKey is where a context says whom to tell that something moves.
type aliveKey struct{}

func aliveOf(ctx context.Context) func() {
	if alive, ok := ctx.Value(aliveKey{}).(func()); ok {
		return alive
	}
	return func() {}
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

// body is a piece as the client wants it: it can be read again. Go's client
// may read from it still when it has given an answer or an error; after end
// it finds nothing, and the memory can be used for other bytes.
type body struct {
	mu    sync.Mutex
	r     io.ReadSeeker
	over  bool
	alive func()
}

func (b *body) Read(p []byte) (int, error) {
	b.alive()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over {
		return 0, errors.New("the request is over")
	}
	return b.r.Read(p)
}

func (b *body) Seek(offset int64, whence int) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.r.Seek(offset, whence)
}

func (b *body) Close() error { return nil }

func (b *body) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.over = true
}

// once makes one exchange with the service and ends it when it is silent.
func (z *Azure) once(ctx context.Context, op func(ctx context.Context) error) error {
	return remote.Watch(ctx, z.retry.Stall, func(ctx context.Context, alive func()) error {
		return z.errorOf(op(context.WithValue(ctx, aliveKey{}, alive)))
	})
}

// try makes an exchange until it succeeds or cannot; the error is ctx's when
// that ended.
func (z *Azure) try(ctx context.Context, op func(ctx context.Context) error) error {
	return ended(ctx, z.retry.Do(ctx, func(ctx context.Context) error { return z.once(ctx, op) }))
}

// ended puts the context's error first where it is the cause.
func ended(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
		return fmt.Errorf("%w (%v)", ctx.Err(), err)
	}
	return err
}

// apiError is an answer that is no success.
type apiError struct {
	status  int
	code    string // Azure's word for it: BlobNotFound, ConditionNotMet
	message string // bounded and safe to print
}

func (e *apiError) Error() string {
	text := fmt.Sprintf("status %d", e.status)
	if e.code != "" {
		text += " " + e.code
	}
	if e.message != "" {
		text += ": " + e.message
	}
	return text
}

// credentialsError says that no token was to be had with these credentials.
type credentialsError struct{ why string }

func (e *credentialsError) Error() string { return e.why }

// errorOf makes an error of the client one that can be shown, and marks as
// permanent what trying again cannot change.
func (z *Azure) errorOf(err error) error {
	var already *apiError
	var r *azcore.ResponseError
	var identity interface {
		error
		NonRetriable()
	}
	switch {
	case err == nil, errors.As(err, &already), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.As(err, &identity): // azidentity's, also where it wraps an answer
		return remote.Permanent(&credentialsError{why: "no token for these credentials: " + remote.Brief(z.http.scrub(err.Error()))})
	case !errors.As(err, &r):
		return err
	}
	e := &apiError{status: r.StatusCode, code: remote.Brief(r.ErrorCode)}
	if r.RawResponse != nil {
		raw, _ := runtime.Payload(r.RawResponse) // the client has read it already
		text := z.http.scrub(message(raw))
		if q := r.RawResponse.Request; q != nil { // a service that says what it was told
			for word := range strings.FieldsSeq(q.Header.Get("Authorization")) {
				if len(word) > len("SharedKey") {
					text = strings.ReplaceAll(text, word, "…")
				}
			}
		}
		e.message = remote.Words(text)
	}
	if remote.Transient(e.status) || e.status < 300 { // a good status with no good answer
		return e
	}
	return remote.Permanent(e)
}

// message finds the words in an error's body.
func message(raw []byte) string {
	var e struct {
		Message string `xml:"Message"`
		Detail  string `xml:"AuthenticationErrorDetail"`
	}
	if xml.Unmarshal(raw, &e) != nil {
		return string(raw)
	}
	text, _, _ := strings.Cut(e.Message, "\n") // the rest numbers the request
	return strings.TrimSpace(text + " " + e.Detail)
}

// is tells whether err is an answer with one of the codes.
func is(err error, codes ...bloberror.Code) bool {
	var a *apiError
	if !errors.As(err, &a) {
		return false
	}
	for _, c := range codes {
		if a.code == string(c) {
			return true
		}
	}
	return false
}

// absent tells an answer that says that the object is not there.
func absent(err error) bool {
	var a *apiError
	return errors.As(err, &a) && a.status == http.StatusNotFound && a.code != string(bloberror.ContainerNotFound)
}

// notFound is the error of an object that is not there.
func (z *Azure) notFound(name string) error {
	return fmt.Errorf("%s: %s: %w", z.place, name, store.ErrNotExist)
}
