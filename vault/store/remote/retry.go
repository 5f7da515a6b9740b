package remote

import (
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"time"
)

// Retry says how often, and how long apart, something is tried that may pass
// by itself. The wait doubles from First to at most Most; of it a random half
// is left out, so that many clients do not come back at once.
type Retry struct {
	Attempts    int           // in all; 0 means 6
	First, Most time.Duration // 0 means 250 ms and 15 s
	Stall       time.Duration // a connection silent for so long is dead; 0 means StallAfter

	// Sleep waits, or gives ctx's error; nil is the clock.
	Sleep func(ctx context.Context, d time.Duration) error
}

// Permanent marks an error that trying again cannot change. It is looked
// through by errors.Is and errors.As.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanent{err}
}

type permanent struct{ err error }

func (p *permanent) Error() string { return p.err.Error() }
func (p *permanent) Unwrap() error { return p.err }

// Do calls op until it gives nil or a Permanent error, the attempts are used
// up, or ctx has ended. The error is the last one of op, without the mark.
func (r Retry) Do(ctx context.Context, op func(context.Context) error) error {
	var err error
	for n := range r.attempts() {
		if n > 0 {
			if r.wait(ctx, n-1) != nil {
				return err
			}
		}
		if err = op(ctx); err == nil {
			return nil
		}
		var p *permanent
		if errors.As(err, &p) {
			return p.err
		}
		if c := (*tls.CertificateVerificationError)(nil); errors.As(err, &c) {
			return err // it will be the same one
		}
		if ctx.Err() != nil {
			return errors.Join(ctx.Err(), err)
		}
	}
	return err
}

func (r Retry) attempts() int {
	if r.Attempts > 0 {
		return r.Attempts
	}
	return 6
}

// wait sleeps before the attempt after the nth, counted from 0.
func (r Retry) wait(ctx context.Context, n int) error {
	first, most := r.First, r.Most
	if first <= 0 {
		first = 250 * time.Millisecond
	}
	if most <= 0 {
		most = 15 * time.Second
	}
	d := min(first<<min(n, 20), most)
	if d <= 0 {
		d = most
	}
	d = d/2 + rand.N(d/2+1)
	if r.Sleep != nil {
		return r.Sleep(ctx, d)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
