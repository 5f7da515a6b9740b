package s3

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"pgvault/vault/store/remote"
)

// try makes a request until it is answered, or the attempts are used up.
// alive is called by op for each byte that moves; those of the answer are
// seen without it.
func (p *Place) try(ctx context.Context, op func(ctx context.Context, alive func()) error) error {
	return p.tryFor(ctx, p.stall(), op)
}

func (p *Place) tryFor(ctx context.Context, stall time.Duration, op func(ctx context.Context, alive func()) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return p.retry.Do(ctx, func(ctx context.Context) error {
		err := remote.Watch(ctx, stall, func(ctx context.Context, alive func()) error {
			return op(context.WithValue(ctx, aliveKey{}, alive), alive)
		})
		if refused(err) {
			return remote.Permanent(err)
		}
		return err
	})
}

func (p *Place) stall() time.Duration {
	if p.retry.Stall > 0 {
		return p.retry.Stall
	}
	return remote.StallAfter
}

// gone turns the answer that there is no such object into the error to
// return: a bucket that is not there is another matter. HEAD cannot tell
// them apart, so the bucket is asked for, once.
func (p *Place) gone(ctx context.Context, is error) error {
	if p.found.Load() {
		return is
	}
	err := p.try(ctx, func(ctx context.Context, _ func()) error {
		_, err := p.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &p.bucket})
		return err
	})
	switch {
	case err == nil, status(err) == 403: // it is there, but these credentials may not ask
		p.found.Store(true)
		return is
	case missing(err):
		return remote.Fault(p.title, "use", "", remote.NoPlace, errors.New("NoSuchBucket: there is no bucket "+p.bucket))
	}
	return err
}
