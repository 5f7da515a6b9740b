package s3

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"pgvault/vault/store"
)

// settled is how old an object has to be until its time tells it from one
// that replaces it: services tell whole seconds.
const settled = 5 * time.Second

// List implements store.Store. What lies there under names that no object of
// pgvault can have is passed over: it is somebody else's.
func (p *Place) List(ctx context.Context, prefix string) ([]store.Info, error) {
	if err := store.ValidPrefix(prefix); err != nil {
		return nil, err
	}
	all := []store.Info{}
	in := &s3.ListObjectsV2Input{Bucket: &p.bucket, Prefix: aws.String(p.prefix + prefix), EncodingType: types.EncodingTypeUrl}
	seen := map[string]bool{}
	for {
		var page *s3.ListObjectsV2Output
		err := p.try(ctx, func(ctx context.Context, _ func()) (err error) {
			page, err = p.client.ListObjectsV2(ctx, in)
			if err == nil {
				err = answers(page, in.ContinuationToken)
			}
			return err
		})
		if err != nil {
			return nil, p.fault("list", prefix, err)
		}
		p.found.Store(true)
		if all, err = p.infos(all, page, prefix); err != nil {
			return nil, p.fault("list", prefix, err)
		}
		if !aws.ToBool(page.IsTruncated) {
			break
		}
		token := aws.ToString(page.NextContinuationToken)
		if token == "" || seen[token] {
			return nil, p.fault("list", prefix, fmt.Errorf("%w: the listing is cut short and does not say how it goes on", errIgnored))
		}
		seen[token] = true
		in.ContinuationToken = &token
	}
	slices.SortFunc(all, func(a, b store.Info) int { return strings.Compare(a.Name, b.Name) })
	return slices.CompactFunc(all, func(a, b store.Info) bool { return a.Name == b.Name }), nil
}

// answers tells whether a page is the one that was asked for: a body that is
// no listing at all decodes to an empty one, and that must not pass for an
// empty place.
func answers(page *s3.ListObjectsV2Output, asked *string) error {
	if page.IsTruncated == nil && page.KeyCount == nil && page.Name == nil {
		return errOther
	}
	if t := page.ContinuationToken; t != nil && aws.ToString(asked) != *t {
		return errOther
	}
	if n := page.KeyCount; n != nil && int(*n) != len(page.Contents)+len(page.CommonPrefixes) {
		return fmt.Errorf("the listing tells of %d names and has %d", *n, len(page.Contents))
	}
	return nil
}

// infos adds the objects of one page.
func (p *Place) infos(all []store.Info, page *s3.ListObjectsV2Output, prefix string) ([]store.Info, error) {
	now, _ := awsmiddleware.GetServerTime(page.ResultMetadata)
	for _, o := range page.Contents {
		key := aws.ToString(o.Key)
		if page.EncodingType == types.EncodingTypeUrl {
			plain, err := url.QueryUnescape(key)
			if err != nil {
				return nil, fmt.Errorf("%w: the name %.60q in the listing", errIgnored, key)
			}
			key = plain
		}
		name, ours := strings.CutPrefix(key, p.prefix)
		if !ours || !strings.HasPrefix(name, prefix) || store.ValidName(name) != nil {
			continue
		}
		if o.Size == nil || *o.Size < 0 {
			return nil, fmt.Errorf("%w: no size of %.60q in the listing", errIgnored, name)
		}
		all = append(all, store.Info{Name: name, Size: *o.Size, Stamp: stamp(o, now)})
	}
	return all, nil
}

// stamp tells an object from another one of its name, by the checksum that
// the service makes and the time that it keeps; empty when it is so young
// that one of the same bytes could replace it in the same second.
func stamp(o types.Object, now time.Time) string {
	if o.LastModified == nil || aws.ToString(o.ETag) == "" || now.Sub(*o.LastModified) < settled {
		return ""
	}
	return strings.Trim(*o.ETag, `"`) + " " + o.LastModified.UTC().Format(time.RFC3339Nano)
}
