package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"pgvault/vault/store"
	"pgvault/vault/store/remote"
)

// Stat implements store.Store.
func (p *Place) Stat(ctx context.Context, name string) (store.Info, error) {
	h, err := p.head(ctx, name)
	if err != nil {
		return store.Info{}, p.fault("look for", name, err)
	}
	return store.Info{Name: name, Size: aws.ToInt64(h.ContentLength)}, nil
}

// head asks for an object's headers; store.ErrNotExist when it is not there.
func (p *Place) head(ctx context.Context, name string) (*s3.HeadObjectOutput, error) {
	key, err := p.key(name)
	if err != nil {
		return nil, err
	}
	var out *s3.HeadObjectOutput
	err = p.try(ctx, func(ctx context.Context, _ func()) (err error) {
		out, err = p.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &p.bucket, Key: &key, ChecksumMode: "ENABLED"})
		if err == nil && (out.ContentLength == nil || aws.ToString(out.ETag) == "") {
			err = errOther
		}
		return err
	})
	if missing(err) {
		return nil, p.gone(ctx, store.ErrNotExist)
	}
	return out, err
}

// Remove implements store.Store. An object that is locked is refused also
// where the service would take the request: in a bucket with versions it leaves a
// delete marker, behind which the locked version stays and is no longer listed.
func (p *Place) Remove(ctx context.Context, name string) error {
	out, err := p.head(ctx, name) // S3 answers a removal alike, whether there was something or not
	if err != nil {
		return p.fault("remove", name, err)
	}
	if until := aws.ToTime(out.ObjectLockRetainUntilDate); until.After(p.now()) {
		return p.stillLocked(name, until, errLocked)
	}
	if out.ObjectLockLegalHoldStatus == types.ObjectLockLegalHoldStatusOn {
		return remote.Fault(p.title, "remove", name, remote.Locked, errHeld)
	}
	if err := p.remove(ctx, name, nil); err != nil {
		if until, lerr := p.LockedUntil(ctx, name); lerr == nil && until.After(p.now()) && status(err) == 403 {
			return p.stillLocked(name, until, &answer{err})
		}
		return p.fault("remove", name, err)
	}
	return nil
}

// Hide implements store.Hiding: a delete marker, also before a locked version.
func (p *Place) Hide(ctx context.Context, name string) error {
	return p.fault("hide", name, p.remove(ctx, name, nil))
}

var (
	errLocked = errors.New("the service would only hide it")
	errHeld   = errors.New("a legal hold is on it")
)

func (p *Place) stillLocked(name string, until time.Time, err error) error {
	return remote.Fault(p.title, "remove", name, remote.Locked, fmt.Errorf("it is locked until %s: %w", until.Format("2006-01-02 15:04"), err))
}

// remove takes an object away, or one version of it.
func (p *Place) remove(ctx context.Context, name string, version *string) error {
	key, err := p.key(name)
	if err != nil {
		return err
	}
	return p.try(ctx, func(ctx context.Context, _ func()) error {
		_, err := p.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &p.bucket, Key: &key, VersionId: version})
		return err
	})
}

// Open implements store.Store. A connection that breaks is opened anew at the
// same byte of the same object: one that was replaced meanwhile is an error.
func (p *Place) Open(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	key, err := p.key(name)
	if err != nil {
		return nil, err
	}
	if offset < 0 {
		return nil, fmt.Errorf("%s: %s: negative offset %d", p.title, name, offset)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if length == 0 {
		if _, err := p.Stat(ctx, name); err != nil {
			return nil, err
		}
		return io.NopCloser(strings.NewReader("")), nil
	}
	g := &getter{p: p, name: name, key: key}
	r, err := remote.NewReader(ctx, p.retry, g.open, offset, length)
	if err != nil {
		return nil, p.fault("read", name, err)
	}
	return &reader{r, p, name}, nil
}

// reader gives the errors of reading their four lines.
type reader struct {
	*remote.Reader
	p    *Place
	name string
}

func (r *reader) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	if err != nil && err != io.EOF {
		err = r.p.fault("read", r.name, err)
	}
	return n, err
}

// getter opens ranges of one object.
type getter struct {
	p         *Place
	name, key string
	etag      *string // of the object that the first range was of
}

// open implements remote.OpenRange.
func (g *getter) open(ctx context.Context, offset, length int64) (io.ReadCloser, int64, error) {
	in := &s3.GetObjectInput{Bucket: &g.p.bucket, Key: &g.key, IfMatch: g.etag}
	if offset > 0 || length >= 0 {
		in.Range = aws.String(byteRange(offset, length))
	}
	out, err := g.p.client.GetObject(ctx, in)
	switch {
	case status(err) == 416: // nothing lies at or behind offset
		return io.NopCloser(strings.NewReader("")), 0, nil
	case missing(err):
		return nil, 0, remote.Permanent(g.p.gone(ctx, store.ErrNotExist))
	case err != nil && taken(err):
		return nil, 0, remote.Permanent(fmt.Errorf("%s was replaced while it was read", g.name))
	case refused(err):
		return nil, 0, remote.Permanent(err)
	case err != nil:
		return nil, 0, err
	}
	if aws.ToString(out.ETag) == "" { // every object has one
		return nil, 0, errors.Join(errOther, out.Body.Close())
	}
	total, err := coming(out, in.Range != nil, offset, length)
	if err != nil {
		return nil, 0, errors.Join(remote.Permanent(err), out.Body.Close())
	}
	if g.etag == nil {
		g.etag = out.ETag
	}
	return out.Body, total, nil
}

// byteRange is the header of RFC 9110, 14.1.2.
func byteRange(offset, length int64) string {
	if length < 0 || offset > 1<<63-1-length {
		return fmt.Sprintf("bytes=%d-", offset)
	}
	return fmt.Sprintf("bytes=%d-%d", offset, offset+length-1)
}

// coming gives how many bytes the answer brings, and an error when they are
// not those that were asked for.
func coming(out *s3.GetObjectOutput, ranged bool, offset, length int64) (int64, error) {
	if !ranged {
		return told(out.ContentLength), nil
	}
	var from, to int64
	span, ok := strings.CutPrefix(aws.ToString(out.ContentRange), "bytes ")
	span, _, _ = strings.Cut(span, "/")
	a, b, cut := strings.Cut(span, "-")
	from, errA := strconv.ParseInt(a, 10, 64)
	to, errB := strconv.ParseInt(b, 10, 64)
	if !ok || !cut || errA != nil || errB != nil || from != offset || to < from || length > 0 && to-from >= length {
		return 0, fmt.Errorf("%w: asked for %d bytes from %d, it gives %.60q", errIgnored, length, offset, aws.ToString(out.ContentRange))
	}
	n := to - from + 1
	if have := told(out.ContentLength); have >= 0 && have != n {
		return 0, fmt.Errorf("%w: a range of %d bytes in a body of %d", errIgnored, n, have)
	}
	return n, nil
}

// told is a size, -1 when the service says none.
func told(n *int64) int64 {
	if n == nil {
		return -1
	}
	return *n
}
