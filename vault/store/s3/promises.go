package s3

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"pgvault/vault/store"
)

// ServerTime implements store.Clock: the Date of an answer, to the second.
func (p *Place) ServerTime(ctx context.Context) (time.Time, error) {
	var now time.Time
	err := p.try(ctx, func(ctx context.Context, _ func()) error {
		out, err := p.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &p.bucket})
		if err != nil {
			return err
		}
		var ok bool
		if now, ok = awsmiddleware.GetServerTime(out.ResultMetadata); !ok || now.IsZero() {
			return fmt.Errorf("%w: no Date", errIgnored)
		}
		return nil
	})
	if missing(err) {
		err = p.gone(ctx, err)
	}
	return now, p.fault("ask the time of", "", err)
}

// LockedUntil implements store.Retained.
func (p *Place) LockedUntil(ctx context.Context, name string) (time.Time, error) {
	key, err := p.key(name)
	if err != nil {
		return time.Time{}, err
	}
	var until time.Time
	err = p.try(ctx, func(ctx context.Context, _ func()) error {
		out, err := p.client.GetObjectRetention(ctx, &s3.GetObjectRetentionInput{Bucket: &p.bucket, Key: &key})
		if err == nil && out.Retention != nil {
			until = aws.ToTime(out.Retention.RetainUntilDate)
		}
		return err
	})
	switch {
	case missing(err):
		err = p.gone(ctx, store.ErrNotExist)
	case lockless(err): // neither the bucket nor the object has a lock
		_, err = p.head(ctx, name)
	}
	return until, p.fault("ask for the lock of", name, err)
}

// Promises implements store.Promising.
func (p *Place) Promises(ctx context.Context) (store.Promises, error) {
	pr := store.Promises{
		NoOverwrite: "If-None-Match, also when a multipart upload completes",
		Compared:    "SHA-256 of each piece by the service; read back where it does not tell it",
		Durable:     "the service's word",
		Pieces:      p.sizing.Parts, MinPiece: minPiece, MaxOne: mostPiece,
	}
	for n := range p.sizing.Parts {
		pr.MaxObject += p.sizing.Next(n, -1)
	}
	takes, err := p.takesLocks(ctx)
	switch {
	case err != nil:
		return pr, p.fault("ask for the locks of", "", err)
	case p.lock > 0 && takes:
		pr.Lock = "compliance, " + inDays(p.lock)
	case p.lock > 0:
		pr.Lock = "none: the bucket takes no locks"
	}
	return pr, nil
}

// takesLocks tells whether the bucket was made for object locks.
func (p *Place) takesLocks(ctx context.Context) (bool, error) {
	var on bool
	err := p.try(ctx, func(ctx context.Context, _ func()) error {
		out, err := p.client.GetObjectLockConfiguration(ctx, &s3.GetObjectLockConfigurationInput{Bucket: &p.bucket})
		if err == nil && out.ObjectLockConfiguration != nil {
			on = out.ObjectLockConfiguration.ObjectLockEnabled == types.ObjectLockEnabledEnabled
		}
		return err
	})
	switch {
	case lockless(err), status(err) == 501, status(err) == 403, missing(err) && code(err) != "NoSuchBucket":
		return false, nil
	case errors.Is(err, context.Canceled):
		return false, err
	}
	return on, err
}

func inDays(d time.Duration) string {
	if d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	}
	return d.String()
}
