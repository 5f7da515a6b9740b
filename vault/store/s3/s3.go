// Package s3 keeps a place in a bucket of Amazon S3, or of a service that
// speaks its language.
//
// # What is promised, and by what
//
// An object of one piece is one PutObject, a larger one a multipart upload;
// both with If-None-Match: *, so that of two writers of one name the service
// lets one through. The SHA-256 of every piece goes with it and is compared
// by the service before anything is visible; a service that does not answer
// with the checksum is read back before Commit returns. Each object carries
// the random mark of its writer, so that an answer that was lost can be told
// from somebody else's object.
//
// Other checksums, which some services refuse, are not used. Requests are
// never redirected to another host.
//
// # Versions and locks
//
// In a bucket with versions Remove makes a delete marker: the name is free
// and the listing does not have it, but the version keeps its space until the
// bucket's own rules take it away. With an object lock, objects are written
// in compliance mode: until the lock ends nobody can take the version away.
package s3

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"pgvault/fault"
	"pgvault/vault/store"
	"pgvault/vault/store/address"
	"pgvault/vault/store/remote"
)

// Limits of the service:
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
const (
	mib = 1 << 20

	firstPiece = 8 * mib
	minPiece   = 5 * mib
	mostPiece  = 5 << 30
	mostPieces = 10_000
)

// Place is a bucket, or what lies below a prefix in it.
type Place struct {
	client *s3.Client
	title  string // for people, short
	url    string // with its options
	bucket string
	prefix string // with a slash at the end, or empty

	lock    time.Duration
	tempDir string
	now     func() time.Time
	sizing  remote.Sizing
	retry   remote.Retry
	slow    time.Duration // so many times longer than elsewhere may the service be silent while it puts pieces together

	found atomic.Bool // the bucket has answered as one that is there
}

var (
	_ store.Store        = (*Place)(nil)
	_ store.SizedCreator = (*Place)(nil)
	_ store.Clock        = (*Place)(nil)
	_ store.Unfinished   = (*Place)(nil)
	_ store.Retained     = (*Place)(nil)
	_ store.Promising    = (*Place)(nil)
)

// Open gives the place at an address. It reads files of the configuration
// and speaks to nobody; the first call does.
func Open(ctx context.Context, a address.Address, o address.Options) (*Place, error) {
	a.Scheme = address.S3
	p := &Place{title: title(a), url: a.String(), bucket: a.Bucket, slow: 10, lock: o.ObjectLock, tempDir: o.TempDir, now: o.Now,
		sizing: remote.Sizing{First: firstPiece, Most: mostPiece, Parts: mostPieces}}
	if a.Prefix != "" {
		p.prefix = strings.Trim(a.Prefix, "/") + "/"
	}
	if p.now == nil {
		p.now = time.Now
	}
	switch {
	case a.Bucket == "":
		return nil, wrong(a, "it names no bucket", "write it as s3://BUCKET/PREFIX")
	case store.ValidPrefix(p.prefix) != nil:
		return nil, wrong(a, store.ValidPrefix(p.prefix).Error(), "choose another prefix")
	case a.PartSize != 0 && (a.PartSize < minPiece || a.PartSize > mostPiece):
		return nil, wrong(a, fmt.Sprintf("pieces of %d bytes: S3 takes 5 MiB to 5 GiB", a.PartSize), "choose another part_size, or leave it out")
	case a.MaxParts < 0 || a.MaxParts > mostPieces:
		return nil, wrong(a, fmt.Sprintf("%d pieces: S3 takes 1 to 10000", a.MaxParts), "choose another max_parts, or leave it out")
	case o.ObjectLock < 0:
		return nil, wrong(a, "a lock of less than no time", "give object_lock a length, or leave it out")
	}
	if a.PartSize > 0 {
		p.sizing.First, p.sizing.Fixed = a.PartSize, true
	}
	if a.MaxParts > 0 {
		p.sizing.Parts = a.MaxParts
	}
	client, err := newClient(ctx, a, o)
	if err != nil {
		return nil, err
	}
	p.client = client
	return p, nil
}

// wrong is an address that cannot be used.
func wrong(a address.Address, why, do string) error {
	return &fault.Error{Op: "place", What: "the place " + title(a) + " cannot be used", Why: remote.Words(why),
		Left: "Nothing was asked of the service.", Do: do, Code: fault.Usage}
}

// title is the address for people, without what they need not see in an error.
func title(a address.Address) string {
	t := "s3://" + a.Bucket
	if a.Prefix != "" {
		t += "/" + a.Prefix
	}
	if a.Endpoint != "" {
		t += "?endpoint=" + a.Endpoint
	}
	return t
}

// String implements store.Store.
func (p *Place) String() string { return p.url }

// Free implements store.Store: S3 does not tell.
func (p *Place) Free(ctx context.Context) (int64, error) { return -1, ctx.Err() }

// key is the whole name of an object in the bucket.
func (p *Place) key(name string) (string, error) {
	if err := store.ValidName(name); err != nil {
		return "", err
	}
	if n := len(p.prefix) + len(name); n > store.MaxName {
		return "", fmt.Errorf("object name %.80q: %d bytes with the place's prefix, %d are allowed", name, n, store.MaxName)
	}
	return p.prefix + name, nil
}
