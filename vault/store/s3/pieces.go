package s3

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"

	"pgvault/vault/store/remote"
)

// piece is one part of a multipart upload, or the only one of a small object.
type piece struct {
	number int32 // from 1
	size   int64
	sum    [sha256.Size]byte
	etag   *string
	blind  bool // the service did not answer with a checksum
	buf    *remote.Buffer
	err    error
}

// checksum is the SHA-256 as S3 writes it.
func (c *piece) checksum() string { return base64.StdEncoding.EncodeToString(c.sum[:]) }

// hash reads the piece and keeps its SHA-256.
func (c *piece) hash() error {
	h := sha256.New()
	if _, err := c.buf.WriteTo(h); err != nil {
		return fmt.Errorf("reading a piece again: %w", err)
	}
	h.Sum(c.sum[:0])
	return nil
}

// payload tells the signer the hash that is known already: it would read the
// whole body for it otherwise.
func (c *piece) payload(o *s3.Options) {
	sum := hex.EncodeToString(c.sum[:])
	o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("PayloadHash", func(
			ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler,
		) (middleware.InitializeOutput, middleware.Metadata, error) {
			return next.HandleInitialize(v4.SetPayloadHash(ctx, sum), in)
		}), middleware.Before)
	})
}

// body reads the piece for one request.
func (c *piece) body(alive func()) io.ReadSeeker { return &moving{c.buf.Reader(), alive} }

// compare looks at the checksum of an answer.
func (c *piece) compare(answered *string) error {
	switch {
	case aws.ToString(answered) == "":
		c.blind = true
	case *answered != c.checksum():
		return fmt.Errorf("piece %d: %w", c.number, errUnlike)
	}
	return nil
}

// send puts the current piece on its way. It waits while too many are.
func (w *writer) send() error {
	if w.upload == nil {
		if err := w.begin(); err != nil {
			return err
		}
	}
	for w.flying >= flights(w.cur.Len()) {
		if err := w.land(); err != nil {
			return err
		}
	}
	c := &piece{number: int32(len(w.pieces) + 1), size: w.cur.Len(), buf: w.cur}
	w.cur = nil
	w.pieces = append(w.pieces, c)
	w.most = w.p.sizing.Next(len(w.pieces), w.size)
	w.flying++
	go func() {
		c.err = w.put(c)
		w.done <- c
	}()
	return nil
}

// flights is how many pieces of a size may be on their way at once.
func flights(size int64) int {
	if size > inMemory {
		return 1
	}
	return int(min(mostFlying, max(memory/max(size, 1)-1, 1)))
}

// land waits for one piece and takes its buffer back.
func (w *writer) land() error {
	c := <-w.done
	w.flying--
	w.blind = w.blind || c.blind
	b := c.buf
	c.buf = nil
	if err := b.Reset(); err != nil {
		return err
	}
	w.free = append(w.free, b)
	return c.err
}

// put sends one piece until it has arrived.
func (w *writer) put(c *piece) error {
	if err := c.hash(); err != nil {
		return err
	}
	return w.p.try(w.ctx, func(ctx context.Context, alive func()) error {
		out, err := w.p.client.UploadPart(ctx, &s3.UploadPartInput{Bucket: &w.p.bucket, Key: &w.key, UploadId: w.upload,
			PartNumber: &c.number, ContentLength: &c.size, Body: c.body(alive), ChecksumSHA256: aws.String(c.checksum())}, c.payload)
		if err != nil {
			return err
		}
		if aws.ToString(out.ETag) == "" {
			return fmt.Errorf("%w: no ETag of piece %d", errIgnored, c.number)
		}
		c.etag = out.ETag
		return c.compare(out.ChecksumSHA256)
	})
}

// completed names the pieces as the service wants them for the whole.
func (w *writer) completed() *types.CompletedMultipartUpload {
	all := make([]types.CompletedPart, len(w.pieces))
	for i, c := range w.pieces {
		all[i] = types.CompletedPart{PartNumber: &c.number, ETag: c.etag}
		if !c.blind || w.keeps {
			all[i].ChecksumSHA256 = aws.String(c.checksum())
		}
	}
	return &types.CompletedMultipartUpload{Parts: all}
}

// whole is the checksum that S3 keeps of the object: of one piece its own, of
// several that of their checksums.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
func (w *writer) whole() string {
	if w.upload == nil {
		return w.pieces[0].checksum()
	}
	h := sha256.New()
	for _, c := range w.pieces {
		_, _ = h.Write(c.sum[:]) // never fails
	}
	return fmt.Sprintf("%s-%d", base64.StdEncoding.EncodeToString(h.Sum(nil)), len(w.pieces))
}

// full says that the object has become too large for the service.
func (w *writer) full() error {
	return fmt.Errorf("the object is larger than the %d pieces that the service takes: set part_size or max_parts in the place's url", w.p.sizing.Parts)
}
