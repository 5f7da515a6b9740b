package s3

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"pgvault/fault"
	"pgvault/vault/store"
)

// Unfinished implements store.Unfinished: the multipart uploads of names that
// an object of this place can have. S3 does not tell how large they are.
func (p *Place) Unfinished(ctx context.Context) ([]store.Upload, error) {
	all := []store.Upload{}
	in := &s3.ListMultipartUploadsInput{Bucket: &p.bucket, Prefix: &p.prefix}
	seen := map[string]bool{}
	for {
		var page *s3.ListMultipartUploadsOutput
		err := p.try(ctx, func(ctx context.Context, _ func()) (err error) {
			page, err = p.client.ListMultipartUploads(ctx, in)
			if err == nil && page.IsTruncated == nil && page.Bucket == nil {
				err = errOther
			}
			return err
		})
		if err != nil {
			return nil, p.fault("list the unfinished uploads in", "", err)
		}
		for _, u := range page.Uploads {
			name, ours := strings.CutPrefix(aws.ToString(u.Key), p.prefix)
			if ours && store.ValidName(name) == nil && aws.ToString(u.UploadId) != "" {
				all = append(all, store.Upload{Name: name, ID: *u.UploadId, Started: aws.ToTime(u.Initiated), Size: -1})
			}
		}
		if !aws.ToBool(page.IsTruncated) {
			return all, nil
		}
		in.KeyMarker, in.UploadIdMarker = page.NextKeyMarker, page.NextUploadIdMarker
		next := aws.ToString(in.KeyMarker) + "\x00" + aws.ToString(in.UploadIdMarker)
		if next == "\x00" || seen[next] {
			return nil, p.fault("list the unfinished uploads in", "", fmt.Errorf("%w: the listing is cut short and does not say how it goes on", errIgnored))
		}
		seen[next] = true
	}
}

// Discard implements store.Unfinished.
func (p *Place) Discard(ctx context.Context, u store.Upload) error {
	key, err := p.key(u.Name)
	if err != nil {
		return err
	}
	if u.ID == "" {
		return &fault.Error{Op: "place", What: "cannot discard an upload of " + u.Name, Why: "it has no ID", Left: "Nothing was changed."}
	}
	return p.fault("discard an upload of", u.Name, p.abort(ctx, key, u.ID))
}
