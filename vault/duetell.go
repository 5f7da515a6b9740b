package vault

import (
	"context"
	"sync"
	"time"
)

// tellEvery is how often a runner of schedules tells how things stand while no
// backup's end does.
const tellEvery = time.Hour

// alert tells whoever is to be told how things stand, unless that was done
// less than so long ago. What does not arrive is told of, and is no reason to
// end.
func (r *dueRunner) alert(ctx context.Context, every time.Duration) {
	if now := r.v.now(); now.Sub(r.told) < every && !now.Before(r.told) {
		return
	}
	r.told = r.v.now()
	if err := r.v.Tell(ctx); err != nil && ctx.Err() == nil {
		r.tell(DueEvent{Kind: "told", Err: err})
	}
}

// lastAlert does that at the end, where no backup has just done it.
func (r *dueRunner) lastAlert(ctx context.Context) {
	if r.ran == 0 {
		r.told = time.Time{}
	}
	r.alert(ctx, tryAgain)
}

// alertBeside does that beside a backup, by the real clock: one that hangs
// must not keep anybody from hearing that it, or another, is late. stop ends
// it, and waits for that.
func (r *dueRunner) alertBeside(ctx context.Context) (stop func()) {
	if !r.v.c.Tell.any() {
		return func() {}
	}
	every := tellEvery
	if r.v.slow.tell > 0 {
		every = r.v.slow.tell
	}
	ctx, cancel := context.WithCancel(ctx)
	var ended sync.WaitGroup
	ended.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				_ = r.v.Tell(ctx) // the backup's end says what did not arrive
			}
		}
	})
	return func() { cancel(); ended.Wait() }
}
