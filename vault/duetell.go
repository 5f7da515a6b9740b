package vault

import (
	"context"
	"maps"
	"slices"
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

// rememberedNames are the databases whose schedules are known, for who cannot
// ask the server: those that were asked for, else those that the server had
// when it last said so, and those configured by name.
func (v *Vault) rememberedNames(asked, last []string) []string {
	if len(asked) > 0 {
		return asked
	}
	known := map[string]knownSchedule{}
	v.readSchedule("known", &known)
	names := slices.Concat(last, v.c.Configured, slices.Collect(maps.Keys(known)))
	slices.Sort(names)
	return slices.Compact(names)
}

// rememberedArchives are those of the last listing of each place.
func (v *Vault) rememberedArchives() []Archive {
	if w := v.recallAll(nil); w != nil {
		return w.archives
	}
	return nil
}
