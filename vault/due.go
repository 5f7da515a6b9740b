package vault

import (
	"cmp"
	"context"
	"slices"
	"time"

	"pgvault/fault"
	"pgvault/vault/job"
	"pgvault/vault/schedule"
)

const (
	// maxTries is how often a run is tried whose server or place does not
	// answer, or whose process ended in the middle.
	maxTries = 3
	// tryAgain is the wait before the next try.
	tryAgain = 5 * time.Minute
	// clockSlip is how far in the future a remembered run may lie: one beyond
	// was remembered by a clock that was wrong.
	clockSlip = time.Hour
)

// due says of one database what its schedule wants.
type due struct {
	Database  string
	Scheduled time.Time // the run that is meant
	At        time.Time // when it is to begin: later by the offset, or by the wait for another try
	Now       bool      // it is to begin now
}

// dueOf decides for one database, without clock, input or output: newest is
// the start of its newest good archive (zero: none), busy that a backup of it
// is running, tried what is remembered of its newest scheduled run.
//
// The run that counts is the last one whose moment has come. It is due until
// an archive is as new, or until it was tried: so one that was slept through
// is made up for, once.
func dueOf(now time.Time, s *schedule.Schedule, offset time.Duration, newest time.Time, busy bool, tried triedRun) due {
	from := now.Add(-offset)
	last, next := s.Last(from.Add(1)), s.Next(from)
	if tried.Scheduled.After(now.Add(clockSlip)) {
		tried = triedRun{}
	}
	if !newest.Before(next) || tried.Done && !tried.Scheduled.Before(next) { // it was done before its turn came
		next = s.Next(next)
	}
	later := due{Scheduled: next, At: next.Add(offset)}
	switch same := tried.Scheduled.Equal(last); {
	case last.IsZero() || busy || !newest.Before(last) || tried.Scheduled.After(last):
		return later
	case same && (tried.Done || tried.Tries >= maxTries):
		return later
	case same && tried.Tries > 0 && now.Before(tried.Last.Add(tryAgain)) && !tried.Last.After(now):
		return due{Scheduled: last, At: tried.Last.Add(tryAgain)}
	}
	return due{Scheduled: last, At: last.Add(offset), Now: true}
}

// duePlan decides for all databases, the one whose moment came first first.
// The place is listed only where the runner does not know by itself that
// nothing is due.
func (v *Vault) duePlan(ctx context.Context, names []string, tried map[string]triedRun) ([]due, error) {
	plan, ask := v.duePlanWith(ctx, names, tried, nil), false
	for _, d := range plan {
		ask = ask || d.Now
	}
	if !ask {
		return plan, nil
	}
	list, err := v.List(ctx)
	if err != nil && fault.CodeOf(err) != fault.NoVault {
		return nil, err
	}
	return v.duePlanWith(ctx, names, tried, list), nil
}

func (v *Vault) duePlanWith(ctx context.Context, names []string, tried map[string]triedRun, list []Archive) []due {
	newest := map[string]time.Time{}
	for _, a := range list {
		if a.State == "good" && a.Imported == nil && a.Started.After(newest[a.Database]) && !a.Started.After(v.now().Add(clockSlip)) {
			newest[a.Database] = a.Started
		}
	}
	vf := v.knownVault(ctx)
	var out []due
	for _, name := range names {
		s := v.c.Of(name).Schedule
		if s == nil {
			continue
		}
		busy := vf != nil && job.Held(v.lockDir(), lockName(vf, name))
		d := dueOf(v.now(), s, v.offset(vf, s, name), newest[name], busy, tried[name])
		d.Database = name
		out = append(out, d)
	}
	slices.SortStableFunc(out, func(a, b due) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Database, b.Database)) })
	return out
}
