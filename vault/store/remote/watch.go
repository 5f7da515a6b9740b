package remote

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Watch calls op with a context that ends when op has not called alive for
// stall; 0 means StallAfter. So a transfer may take as long as it needs, and
// one that is stuck does not hold up everything. The error then says that the
// service is silent; it is worth another try.
func Watch(ctx context.Context, stall time.Duration, op func(ctx context.Context, alive func()) error) error {
	if stall <= 0 {
		stall = StallAfter
	}
	watched, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silent := time.AfterFunc(stall, func() { cancel(errStalled) })
	defer silent.Stop()
	err := op(watched, func() {
		if watched.Err() == nil {
			silent.Reset(stall)
		}
	})
	if err != nil && ctx.Err() == nil && errors.Is(context.Cause(watched), errStalled) {
		return fmt.Errorf("%w: no byte came or went for %s", errStalled, stall)
	}
	return err
}
