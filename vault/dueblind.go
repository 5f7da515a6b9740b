package vault

import (
	"context"
	"maps"
	"slices"
)

// trouble is what is done where nobody says what is due: it is asked again,
// and when that does not help, the runs that are due by what is remembered are
// begun blindly. The error ends the runner.
func (r *dueRunner) trouble(ctx context.Context, err error) error {
	if r.troubles++; r.troubles >= maxTries || !transient(err) {
		if d, ok := r.blind(ctx); ok {
			return r.backup(ctx, d, true)
		}
		if !r.o.Forever {
			if len(r.failed) > 0 {
				return r.result()
			}
			return err
		}
	}
	r.tell(DueEvent{Kind: "problem", Err: err, Until: r.v.now().Add(tryAgain)})
	r.alert(ctx, tellEvery)
	return r.until(ctx, r.v.now().Add(tryAgain))
}

// blind gives the next run that is due by what is remembered, and that was not
// yet tried so. It asks nobody.
func (r *dueRunner) blind(ctx context.Context) (due, bool) {
	for _, d := range r.v.duePlanWith(ctx, r.v.rememberedNames(r.o.Names, r.names), r.tried.Databases, r.v.rememberedArchives()) {
		if t := r.tried.Databases[d.Database]; d.Now && !(t.Blind && t.Scheduled.Equal(d.Scheduled)) {
			return d, true
		}
	}
	return due{}, false
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
