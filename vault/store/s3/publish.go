package s3

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"pgvault/vault/store"
)

// cleanupIn is how long giving up an upload, or finding out what became of
// it, may take once the writer's context has ended.
const cleanupIn = 20 * time.Second

// markKey is the metadata that says which writer made an object.
const markKey = "pgvault-writer"

const contentType = "application/octet-stream"

// locked gives the mode and the end of a new object's lock, none without.
func (p *Place) locked() (mode types.ObjectLockMode, until *time.Time) {
	if p.lock <= 0 {
		return "", nil
	}
	return types.ObjectLockModeCompliance, aws.Time(p.now().Add(p.lock).UTC())
}

// begin starts the multipart upload.
func (w *writer) begin() error {
	mode, until := w.p.locked()
	return w.p.try(w.ctx, func(ctx context.Context, _ func()) error {
		out, err := w.p.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &w.p.bucket, Key: &w.key,
			ChecksumAlgorithm: types.ChecksumAlgorithmSha256, Metadata: map[string]string{markKey: w.mark},
			ContentType: aws.String(contentType), ObjectLockMode: mode, ObjectLockRetainUntilDate: until})
		if err != nil {
			return err
		}
		if aws.ToString(out.UploadId) == "" || aws.ToString(out.Key) != w.key {
			return errOther
		}
		w.upload, w.keeps = out.UploadId, out.ChecksumAlgorithm != ""
		return nil
	})
}

// outcome is what is known of a request that was to make the object visible.
type outcome struct {
	err     error
	unsure  bool    // an attempt may have done it without our hearing so
	sum     *string // checksum in the answer
	version *string // the object's, in a bucket with versions
}

// putWhole makes an object of one piece.
func (w *writer) putWhole() error {
	if w.cur == nil {
		w.cur = w.buffer()
	}
	c := &piece{number: 1, size: w.cur.Len(), buf: w.cur}
	w.pieces = []*piece{c}
	if err := c.hash(); err != nil {
		return err
	}
	mode, until := w.p.locked()
	return w.settle(w.publishing(w.p.stall(), func(ctx context.Context, alive func(), o *outcome) error {
		out, err := w.p.client.PutObject(ctx, &s3.PutObjectInput{Bucket: &w.p.bucket, Key: &w.key, IfNoneMatch: aws.String("*"),
			Body: c.body(alive), ContentLength: &c.size, ChecksumSHA256: aws.String(c.checksum()), ContentType: aws.String(contentType),
			Metadata: map[string]string{markKey: w.mark}, ObjectLockMode: mode, ObjectLockRetainUntilDate: until}, c.payload)
		if err == nil {
			o.sum, o.version = out.ChecksumSHA256, out.VersionId
		}
		return err
	}))
}

// complete makes an object of several pieces visible.
func (w *writer) complete() error {
	return w.settle(w.publishing(w.p.slow*w.p.stall(), func(ctx context.Context, _ func(), o *outcome) error {
		out, err := w.p.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: &w.p.bucket, Key: &w.key,
			UploadId: w.upload, MultipartUpload: w.completed(), IfNoneMatch: aws.String("*")})
		if err != nil {
			return err
		}
		o.sum, o.version = out.ChecksumSHA256, out.VersionId
		if aws.ToString(out.Key) != w.key { // a body that is something else decodes to an empty answer
			return errOther
		}
		return nil
	}))
}

// publishing makes the request until it is answered.
func (w *writer) publishing(stall time.Duration, op func(context.Context, func(), *outcome) error) outcome {
	var o outcome
	o.err = w.p.tryFor(w.ctx, stall, func(ctx context.Context, alive func()) error {
		err := op(ctx, alive, &o)
		o.unsure = o.unsure || err != nil && !refused(err)
		return err
	})
	return o
}

// settle finds out what became of the object, and compares it. When an
// answer was lost, or the service says that the name is taken, the mark in
// the object says whose it is.
func (w *writer) settle(o outcome) error {
	ctx := w.ctx
	if o.err == nil && w.upload == nil {
		return w.compare(ctx, o)
	}
	if o.err != nil && !o.unsure && !taken(o.err) && !halfDone(o.err) {
		return o.err
	}
	if ctx.Err() != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), cleanupIn)
		defer cancel()
	}
	h, err := w.p.head(ctx, w.name)
	switch {
	case err == nil && w.ours(ctx, h, o):
		if aws.ToString(o.sum) == "" {
			o.sum = h.ChecksumSHA256
		}
		o.version = h.VersionId
		if lockless(o.err) || o.err != nil && !o.unsure && !taken(o.err) && code(o.err) != "NoSuchUpload" {
			return w.takeBack(ctx, o, o.err)
		}
		if *h.ContentLength != w.written {
			return w.takeBack(ctx, o, fmt.Errorf("it has %d bytes, %d were sent: %w", *h.ContentLength, w.written, errUnlike))
		}
		return w.compare(ctx, o)
	case err == nil:
		return store.ErrExist
	case o.err == nil: // it was made, but cannot be looked at
		return err
	case taken(o.err) && (!o.unsure || errors.Is(err, store.ErrNotExist)):
		return store.ErrExist // of nothing that can be seen: some services count what was removed in a bucket with versions
	}
	return o.err
}

// halfDone tells of refusals after which an object may lie there all the
// same: of an upload that has ended already, and of services that store
// first and then find that they cannot lock.
func halfDone(err error) bool {
	switch st := status(err); st {
	case 401, 403:
		return false
	case 404:
		return code(err) == "NoSuchUpload"
	default:
		return st >= 400 && st < 500 || st == 501
	}
}

// ours tells whether the object that lies there is this writer's.
func (w *writer) ours(ctx context.Context, h *s3.HeadObjectOutput, o outcome) bool {
	if mark := h.Metadata[markKey]; mark != "" {
		return mark == w.mark
	}
	// The service keeps no metadata. Without a lost answer it cannot be ours.
	return o.err == nil || o.unsure && *h.ContentLength == w.written && w.readBack(ctx) == nil
}

// compare makes sure that the service holds what was sent; an object that
// is another is taken away again.
func (w *writer) compare(ctx context.Context, o outcome) error {
	var err error
	told := aws.ToString(o.sum)
	several := w.upload != nil
	switch {
	case told == w.whole():
		return nil
	case told != "" && (!several || strings.Contains(told, "-")):
		err = errUnlike
	case several && !w.blind: // each piece was compared when it arrived, the size just now
		return nil
	default:
		err = w.readBack(ctx)
	}
	if errors.Is(err, errUnlike) {
		return w.takeBack(ctx, o, err)
	}
	return err
}

// readBack reads the object and compares it piece by piece.
func (w *writer) readBack(ctx context.Context) (err error) {
	r, err := w.p.Open(ctx, w.name, 0, -1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for _, c := range w.pieces {
		h := sha256.New()
		n, err := io.CopyN(h, r, c.size)
		if err != nil && err != io.EOF {
			return err
		}
		if n != c.size || [sha256.Size]byte(h.Sum(nil)) != c.sum {
			return fmt.Errorf("reading it back gave other bytes: %w", errUnlike)
		}
	}
	if n, err := io.Copy(io.Discard, io.LimitReader(r, 1)); err != nil || n > 0 {
		return errors.Join(err, fmt.Errorf("reading it back gave more bytes: %w", errUnlike))
	}
	return nil
}

// takeBack removes the object that this writer made and that is not what it
// wrote.
func (w *writer) takeBack(ctx context.Context, o outcome, why error) error {
	if err := w.p.remove(ctx, w.name, o.version); err != nil {
		return fmt.Errorf("%w; it could not be taken away again: %w", why, &answer{err})
	}
	return why
}

// abort gives a multipart upload up; one that is not there any more is fine.
func (p *Place) abort(ctx context.Context, key, id string) error {
	err := p.try(ctx, func(ctx context.Context, _ func()) error {
		_, err := p.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &p.bucket, Key: &key, UploadId: &id})
		return err
	})
	if code(err) == "NoSuchUpload" {
		return nil
	}
	return err
}
