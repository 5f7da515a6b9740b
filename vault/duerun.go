package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"pgvault/fault"
	"pgvault/vault/job"
)

// DueEvent is what a runner of schedules tells beside its runs' events.
type DueEvent struct {
	At        time.Time
	Kind      string // started, ended, waiting, problem, told
	Database  string
	Scheduled time.Time // the run that is meant
	Until     time.Time // waiting: for this moment
	Err       error     // ended, problem; told: what of it did not arrive
}

// DueOptions say how schedules are run.
type DueOptions struct {
	Names   []string                   // only these databases; none: all that are configured
	Forever bool                       // go on until ctx ends; else until nothing is due and nothing waits for its turn
	Tell    func(DueEvent)             // may be nil
	Sink    func(database string) Sink // of the backups; may be nil
	// Wait waits for so long, or until ctx ends; nil waits for real. It is
	// called with at most a minute, so that a clock that jumps, or a machine
	// that slept, is noticed.
	Wait func(ctx context.Context, d time.Duration) error
}

const (
	maxWait  = time.Minute      // of one wait
	askAgain = 10 * time.Minute // for the server's databases, while nothing is due
)

// DueLock is the name of the lock that a runner of this vault's schedules
// holds.
func (v *Vault) dueLock() string { return "schedule-" + v.c.Name }

// RunsSchedules tells whether a runner of the schedules is at work now.
func (v *Vault) RunsSchedules() bool { return job.Held(v.lockDir(), v.dueLock()) }

// LookedForDue is when a runner last looked what is due; zero: never.
func (v *Vault) LookedForDue() time.Time {
	var t triedRuns
	v.readSchedule("tried", &t)
	return t.Looked
}

// RunDue backs up what is due by its schedule, one database after another,
// each as a job in this process. A run counts as due until there is a good
// archive that began after it, or it was tried; one that was slept through is
// made up for once. A run that fails is over, but for a server or a place that
// does not answer: it is tried three times, five minutes apart.
//
// Where nobody tells what is due, because the server or every place does not
// answer, each run that is due by what is remembered is begun once all the
// same: it fails as a job, is told, and stays due.
//
// Who is to be told (see Tell) hears how things stand once an hour, also while
// a backup runs, and at the end: that one is late though none has failed.
//
// When ctx ends, the backup that runs is ended cleanly and not counted: the
// next runner makes up for it. The error is that of the runs that failed
// (Partial where some went well), Running where another runner is at it; with
// Forever it is nil when ctx ends.
func (v *Vault) RunDue(ctx context.Context, o DueOptions) error {
	if err := v.writable(); err != nil {
		return err
	}
	release, err := job.Lock(v.lockDir(), v.dueLock(), "a runner of these schedules", "")
	if err != nil {
		return err
	}
	defer release()
	r := &dueRunner{v: v, o: o}
	v.readSchedule("tried", &r.tried)
	if r.tried.Databases == nil {
		r.tried.Databases = map[string]triedRun{}
	}
	err = r.run(ctx)
	if ctx.Err() == nil {
		r.lastAlert(ctx)
	}
	if o.Forever && ctx.Err() != nil {
		return nil
	}
	return err
}

type dueRunner struct {
	v        *Vault
	o        DueOptions
	tried    triedRuns
	names    []string
	asked    time.Time // when names were asked for
	ran      int
	failed   []error
	troubles int       // looks in a row that failed
	told     time.Time // when somebody was last told how things stand
}

func (r *dueRunner) tell(e DueEvent) {
	if e.At = r.v.now(); r.o.Tell != nil {
		r.o.Tell(e)
	}
}

func (r *dueRunner) run(ctx context.Context) error {
	if !r.o.Forever {
		r.told = r.v.now() // it tells at its end
	}
	for ctx.Err() == nil {
		plan, err := r.look(ctx)
		switch {
		case ctx.Err() != nil:
		case errors.Is(err, errForgets):
			return err
		case err != nil:
			err = r.trouble(ctx, err)
		default:
			r.troubles = 0
			if len(plan) > 0 && plan[0].Now {
				err = r.backup(ctx, plan[0], false)
			} else if at, ok := r.next(plan); ok {
				r.alert(ctx, tellEvery)
				err = r.until(ctx, at)
			} else {
				return r.result()
			}
		}
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

// look finds out what is due. The server is asked for its databases when
// something may be, and now and then.
func (r *dueRunner) look(ctx context.Context) ([]due, error) {
	now := r.v.now()
	stale := r.asked.IsZero() || now.Before(r.asked) || now.Sub(r.asked) >= askAgain
	if !stale {
		if plan := r.v.duePlanWith(ctx, r.names, r.tried.Databases, nil); !slices.ContainsFunc(plan, func(d due) bool { return d.Now }) {
			return plan, nil
		}
	}
	names, err := r.v.Databases(ctx)
	if err != nil {
		return nil, err
	}
	r.v.noteSchedules(names, true)
	if len(r.o.Names) > 0 {
		names = r.o.Names
	}
	r.names, r.asked = names, now
	if r.tried.Looked = now.UTC(); stale {
		if err := r.v.writeSchedule("tried", r.tried); err != nil {
			return nil, cannotRemember(err)
		}
	}
	plan, err := r.v.duePlan(ctx, names, r.tried.Databases)
	slices.SortStableFunc(plan, func(a, b due) int {
		switch {
		case a.Now == b.Now:
			return 0
		case a.Now:
			return -1
		}
		return 1
	})
	return plan, err
}

// next is what there is to wait for: without Forever only a run whose time
// has come and that waits for its turn or for another try.
func (r *dueRunner) next(plan []due) (time.Time, bool) {
	now := r.v.now()
	for _, d := range plan {
		if !d.Scheduled.After(now) {
			r.tell(DueEvent{Kind: "waiting", Database: d.Database, Scheduled: d.Scheduled, Until: d.At})
			return d.At, true
		}
	}
	switch {
	case !r.o.Forever:
		return time.Time{}, false
	case len(plan) == 0:
		return now.Add(askAgain), true
	}
	r.tell(DueEvent{Kind: "waiting", Database: plan[0].Database, Scheduled: plan[0].Scheduled, Until: plan[0].At})
	return plan[0].At, true
}

// until waits for a moment of the clock, in steps: it ends early when the
// clock was set back, and at once when the machine slept over it.
func (r *dueRunner) until(ctx context.Context, at time.Time) error {
	return r.v.waitUntil(ctx, at, r.o.Wait)
}

func (v *Vault) waitUntil(ctx context.Context, at time.Time, wait func(context.Context, time.Duration) error) error {
	if wait == nil {
		wait = waitFor
	}
	for begun := v.now(); ; {
		now := v.now()
		left := at.Sub(now)
		if left <= 0 || now.Before(begun) || now.Sub(begun) >= askAgain {
			return nil
		}
		if err := wait(ctx, min(left, maxWait)); err != nil {
			return err
		}
	}
}

func waitFor(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// backup does one run. That it was begun is written down first: one that
// takes the machine down must not be tried forever.
func (r *dueRunner) backup(ctx context.Context, d due, blind bool) error {
	before := r.tried.Databases[d.Database]
	t := triedRun{Scheduled: d.Scheduled, Last: r.v.now().UTC(), Tries: 1}
	if before.Scheduled.Equal(d.Scheduled) {
		t.Tries += before.Tries
	}
	if err := r.remember(d.Database, t); err != nil {
		return err
	}
	var sink Sink
	if r.o.Sink != nil {
		sink = r.o.Sink(d.Database)
	}
	r.tell(DueEvent{Kind: "started", Database: d.Database, Scheduled: d.Scheduled})
	stop := r.alertBeside(ctx)
	err := r.v.RunBackup(ctx, BackupOptions{Database: d.Database}, sink)
	stop()
	r.told = r.v.now() // its end told how things stand
	r.tell(DueEvent{Kind: "ended", Database: d.Database, Scheduled: d.Scheduled, Err: err})
	switch {
	case err != nil && ctx.Err() != nil: // the runner was stopped, not this run
		if rerr := r.remember(d.Database, before); rerr != nil {
			return rerr
		}
		return err
	case fault.CodeOf(err) == fault.Running:
		t.Tries = max(1, t.Tries-1) // the other run is as good; it is looked for again later
	case blind && err != nil:
		t.Tries, t.Blind = t.Tries-1, true
	default:
		t.Done = !transient(err) || t.Tries >= maxTries
	}
	if s := r.v.c.Of(d.Database).Schedule; err == nil && s != nil { // as good as a run that waits for its turn
		t.Scheduled = s.Last(t.Last.Add(1))
	}
	r.ran++
	if err != nil && (t.Done || t.Blind) {
		r.failed = append(r.failed, err)
	}
	return r.remember(d.Database, t)
}

func (r *dueRunner) remember(database string, t triedRun) error {
	r.tried.Databases[database] = t
	if err := r.v.writeSchedule("tried", r.tried); err != nil {
		return cannotRemember(err)
	}
	return nil
}

// cannotRemember stops the runner: it would start the same backup again and
// again.
func cannotRemember(err error) error {
	return &fault.Error{Op: "schedule", What: "what was tried cannot be written down", Why: err.Error(), Left: "no further backup is started by its schedule",
		Do: "make the state folder writable, or free space there", Err: errors.Join(errForgets, err)}
}

// errForgets is wrapped by what stops the runner at once.
var errForgets = errors.New("the runner cannot remember what it tried")

// transient tells that another try may well do: nobody answered.
func transient(err error) bool {
	switch fault.CodeOf(err) {
	case fault.DBUnreachable, fault.PlaceUnreachable:
		return true
	}
	return false
}

func (r *dueRunner) result() error {
	switch {
	case len(r.failed) == 0:
		return nil
	case r.ran == 1:
		return r.failed[0]
	}
	e := &fault.Error{What: fmt.Sprintf("%d of %d scheduled backups failed", len(r.failed), r.ran), Why: "see above", Left: "what went well is kept; no archive was touched",
		Do: "mend the causes above; the next scheduled run tries again", Code: fault.Partial, Err: errors.Join(r.failed...)}
	if len(r.failed) == r.ran {
		e.Code = fault.CodeOf(r.failed[0])
	}
	return e
}
