package remote

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestWatchEndsWhatIsSilent(t *testing.T) {
	err := Watch(t.Context(), time.Millisecond, func(ctx context.Context, _ func()) error {
		<-ctx.Done()
		return ctx.Err()
	})
	if !errors.Is(err, errStalled) || errors.Is(err, context.Canceled) {
		t.Errorf("a silent operation: %v", err)
	}
	bad := errors.New("bad")
	for _, want := range []error{nil, bad} {
		if err := Watch(t.Context(), time.Hour, func(context.Context, func()) error { return want }); err != want {
			t.Errorf("%v instead of %v", err, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = Watch(ctx, time.Hour, func(ctx context.Context, _ func()) error {
		cancel()
		<-ctx.Done()
		return ctx.Err()
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled context: %v", err)
	}
}

func TestWatchLetsGoOnWhatMoves(t *testing.T) {
	const stall = 200 * time.Millisecond
	err := Watch(t.Context(), stall, func(ctx context.Context, alive func()) error {
		for begun := time.Now(); time.Since(begun) < 3*stall; {
			alive()
		}
		return ctx.Err()
	})
	if err != nil {
		t.Errorf("an operation that moves all the time: %v", err)
	}
}
