package azure

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"pgvault/vault/store"
	"pgvault/vault/store/remote"
)

// page asks for one page of a listing, from marker on.
func (z *Azure) page(ctx context.Context, prefix string, marker *string, most int32) (page container.ListBlobsFlatResponse, err error) {
	options := &container.ListBlobsFlatOptions{MaxResults: to.Ptr(most), Marker: marker}
	if prefix = z.prefix + prefix; prefix != "" {
		options.Prefix = &prefix
	}
	err = z.try(ctx, func(ctx context.Context) (err error) {
		page, err = z.client.NewListBlobsFlatPager(options).NextPage(ctx)
		if err == nil && (page.Segment == nil || page.ContainerName == nil) {
			err = errors.New("the answer is no listing")
		}
		return err
	})
	return page, err
}

// List implements store.Store. Blobs whose names store.ValidName refuses were
// not made by pgvault and are passed over, and so are the folders of accounts
// with a hierarchical namespace. The stamp is the ETag. Blobs that were begun
// and not committed are not listed by the service.
func (z *Azure) List(ctx context.Context, prefix string) ([]store.Info, error) {
	if err := store.ValidPrefix(prefix); err != nil {
		return nil, err
	}
	out := []store.Info{}
	var marker *string
	for {
		page, err := z.page(ctx, prefix, marker, 1000)
		if err != nil {
			return nil, z.fault("list", prefix, err)
		}
		for _, b := range page.Segment.BlobItems {
			i, ok, err := z.info(b, prefix)
			if err != nil {
				return nil, z.fault("list", prefix, err)
			}
			if ok {
				out = append(out, i)
			}
		}
		next := page.NextMarker
		if next == nil || *next == "" {
			break
		}
		if marker != nil && *marker == *next {
			return nil, z.fault("list", prefix, errors.New("the service gives the same page again"))
		}
		marker = next
	}
	slices.SortFunc(out, func(a, b store.Info) int { return strings.Compare(a.Name, b.Name) })
	return slices.CompactFunc(out, func(a, b store.Info) bool { return a.Name == b.Name }), nil
}

// info reads one item of a listing; ok is false for what is no object.
func (z *Azure) info(b *container.BlobItem, prefix string) (i store.Info, ok bool, err error) {
	if b == nil || b.Name == nil || b.Properties == nil {
		return i, false, errors.New("the listing is not complete")
	}
	name, below := strings.CutPrefix(*b.Name, z.prefix)
	p := b.Properties
	if !below || !strings.HasPrefix(name, prefix) || store.ValidName(name) != nil || p.ResourceType != nil && *p.ResourceType == "directory" {
		return i, false, nil
	}
	if p.ContentLength == nil || p.ETag == nil {
		return i, false, fmt.Errorf("the listing does not tell the size of %s", name)
	}
	return store.Info{Name: name, Size: *p.ContentLength, Stamp: string(*p.ETag)}, true, nil
}

// properties gives what the service tells of an object; store.ErrNotExist
// when it is not there.
func (z *Azure) properties(ctx context.Context, name string) (p blob.GetPropertiesResponse, err error) {
	err = z.try(ctx, func(ctx context.Context) (err error) {
		p, err = z.blob(name).GetProperties(ctx, nil)
		if err == nil && (p.ContentLength == nil || p.ETag == nil) {
			err = errors.New("the answer does not describe the object")
		}
		return err
	})
	if absent(err) || err == nil && metadata(p.Metadata, "hdi_isfolder") == "true" {
		return p, z.missing(ctx, name)
	}
	return p, err
}

// missing tells a missing object from a missing container where the service
// does not: it asks once for the container's list.
func (z *Azure) missing(ctx context.Context, name string) error {
	if !z.seen.Load() {
		_, err := z.page(ctx, "", nil, 1)
		if is(err, bloberror.ContainerNotFound) {
			return err
		}
		if a := (*apiError)(nil); err != nil && (!errors.As(err, &a) || a.status != http.StatusForbidden) { // who may not list may still read
			return err
		}
		z.seen.Store(true)
	}
	return z.notFound(name)
}

// metadata looks a key up whose case the service may have changed.
func metadata(m map[string]*string, key string) string {
	for k, v := range m {
		if strings.EqualFold(k, key) && v != nil {
			return *v
		}
	}
	return ""
}

// Stat implements store.Store.
func (z *Azure) Stat(ctx context.Context, name string) (store.Info, error) {
	if err := errors.Join(ctx.Err(), store.ValidName(name)); err != nil {
		return store.Info{}, err
	}
	p, err := z.properties(ctx, name)
	if err != nil {
		return store.Info{}, z.fault("look at", name, err)
	}
	return store.Info{Name: name, Size: *p.ContentLength}, nil
}

// Remove implements store.Store. It removes the blob that it found and no
// newer one; where the account keeps deleted blobs or versions, that is what
// its owner wanted.
func (z *Azure) Remove(ctx context.Context, name string) error {
	if err := errors.Join(ctx.Err(), store.ValidName(name)); err != nil {
		return err
	}
	p, err := z.properties(ctx, name)
	if err != nil {
		return z.fault("remove", name, err)
	}
	return z.fault("remove", name, z.remove(ctx, name, *p.ETag))
}

// remove deletes the blob that was seen under name. That it is gone already
// is what was wanted: an earlier request may have done it whose answer nobody
// heard.
func (z *Azure) remove(ctx context.Context, name string, etag azcore.ETag) error {
	err := z.try(ctx, func(ctx context.Context) error {
		_, err := z.blob(name).Delete(ctx, &blob.DeleteOptions{AccessConditions: matching(etag)})
		return err
	})
	if is(err, bloberror.ConditionNotMet) { // no blob has that ETag: another one is there, or none
		if _, err = z.properties(ctx, name); err == nil {
			return errReplaced
		}
	}
	if absent(err) || errors.Is(err, store.ErrNotExist) {
		return nil
	}
	return err
}

func matching(etag azcore.ETag) *blob.AccessConditions {
	return &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfMatch: &etag}}
}

// Open implements store.Store. All connections of one reader are to the same
// blob, by its ETag.
func (z *Azure) Open(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	if offset < 0 {
		return nil, fmt.Errorf("%s: %s: negative offset %d", z, name, offset)
	}
	if err := errors.Join(ctx.Err(), store.ValidName(name)); err != nil {
		return nil, err
	}
	var etag azcore.ETag
	open := func(ctx context.Context, offset, length int64) (io.ReadCloser, int64, error) {
		r, of, total, err := z.open(ctx, name, etag, offset, length)
		if err == nil && etag == "" {
			etag = of
		}
		return r, total, err
	}
	r, err := remote.NewReader(ctx, z.retry, open, offset, length)
	if err != nil {
		return nil, z.fault("open", name, ended(ctx, err))
	}
	return &reader{Reader: r, ctx: ctx, z: z, name: name}, nil
}

// open asks for a range once.
func (z *Azure) open(ctx context.Context, name string, etag azcore.ETag, offset, length int64) (body io.ReadCloser, of azcore.ETag, total int64, err error) {
	options := &blob.DownloadStreamOptions{Range: blob.HTTPRange{Offset: offset}}
	switch {
	case length == 0: // no range is empty: one byte is asked for and not read
		options.Range = blob.HTTPRange{Count: 1}
	case length > 0 && length <= math.MaxInt64-offset:
		options.Range.Count = length
	}
	if etag != "" {
		options.AccessConditions = matching(etag)
	}
	r, err := z.blob(name).DownloadStream(ctx, options)
	err = z.errorOf(err)
	a := (*apiError)(nil)
	switch {
	case errors.As(err, &a) && a.status == http.StatusRequestedRangeNotSatisfiable:
		return http.NoBody, "", 0, nil
	case absent(err):
		return nil, "", 0, remote.Permanent(z.missing(ctx, name))
	case is(err, bloberror.ConditionNotMet):
		return nil, "", 0, remote.Permanent(errReplaced)
	case err != nil:
		return nil, "", 0, err
	case r.ETag == nil || r.BlobType == nil:
		err = errors.New("the answer is no blob")
	case length == 0:
		_ = r.Body.Close() // nothing of it is used
		return http.NoBody, *r.ETag, 0, nil
	default:
		if total, err = ranged(r.ContentRange, r.ContentLength, offset); err == nil {
			return r.Body, *r.ETag, total, nil
		}
	}
	_ = r.Body.Close() // nothing of it is used
	return nil, "", 0, err
}

// ranged gives how many bytes an answer promises, which has to begin at
// offset.
func ranged(contentRange *string, length *int64, offset int64) (int64, error) {
	if contentRange == nil {
		if offset > 0 || length == nil {
			return 0, errors.New("the service sends the object from its start, not the range that was asked for")
		}
		return *length, nil
	}
	var first, last int64
	if _, err := fmt.Sscanf(*contentRange, "bytes %d-%d/", &first, &last); err != nil || first != offset || last < first-1 {
		return 0, errors.New("the service sends another range than was asked for")
	}
	return last - first + 1, nil
}

// reader gives a reader's errors their four lines.
type reader struct {
	*remote.Reader
	ctx  context.Context
	z    *Azure
	name string
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := r.Reader.Read(p)
	if err != nil && err != io.EOF {
		err = r.z.fault("read", r.name, ended(r.ctx, err))
	}
	return n, err
}

// LockedUntil implements store.Retained.
func (z *Azure) LockedUntil(ctx context.Context, name string) (time.Time, error) {
	if err := errors.Join(ctx.Err(), store.ValidName(name)); err != nil {
		return time.Time{}, err
	}
	p, err := z.properties(ctx, name)
	if err != nil {
		return time.Time{}, z.fault("look at", name, err)
	}
	if until := p.ImmutabilityPolicyExpiresOn; until != nil && until.After(z.now()) {
		return *until, nil
	}
	return time.Time{}, nil
}
