package vault

import (
	"context"
	"errors"
	"sync"
	"time"

	"pgvault/fault"
)

// run tells one run's events in order. Its methods may be called from
// several goroutines; the sink is called by one at a time.
type run struct {
	mu      sync.Mutex
	sink    Sink
	now     func() time.Time
	started time.Time
	stage   Stage
	since   time.Time
	last    time.Time // of the last Progress sent
	done    RunDone
	left    string // what is left as it was, kept true as the run goes on

	ending func(err error) // called before the RunDone, may be nil
}

// progressEvery is how often Progress is told at most.
const progressEvery = 200 * time.Millisecond

func newRun(sink Sink, now func() time.Time, s RunStarted) *run {
	if sink == nil {
		sink = func(Event) {}
	}
	r := &run{sink: sink, now: now, started: now(), left: leftAtFirst(s.Kind)}
	r.done = RunDone{Kind: s.Kind, ID: s.ID, Database: s.Database, Target: s.Target}
	s.At = r.started
	r.sink(s)
	return r
}

// enter ends the stage before, if any, and begins s.
func (r *run) enter(s Stage) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.leave()
	r.stage, r.since, r.last = s, r.now(), time.Time{}
	r.sink(StageStarted{Stage: s, At: r.since})
}

func (r *run) leave() {
	if r.stage != "" {
		r.sink(StageDone{Stage: r.stage, Seconds: r.now().Sub(r.since).Seconds()})
		r.stage = ""
	}
}

// progress tells p unless one was told a moment ago. fill is called only
// when it is told.
func (r *run) progress(fill func(*Progress)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if now.Sub(r.last) < progressEvery {
		return
	}
	r.last = now
	p := Progress{Stage: r.stage, At: now}
	fill(&p)
	r.sink(p)
}

func (r *run) tableDone(t TableDone) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t.Stage = r.stage
	r.sink(t)
}

func (r *run) placeDone(p PlaceDone) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p.Stage = r.stage
	r.sink(p)
}

func (r *run) warn(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done.Warnings++
	r.sink(Notice{Level: "warning", Text: text, At: r.now()})
}

func (r *run) info(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sink(Notice{Level: "info", Text: text, At: r.now()})
}

// finish tells the one RunDone. A stage that failed gets no StageDone.
func (r *run) finish(ctx context.Context, err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		r.leave()
	}
	if err != nil && ctx.Err() != nil && errors.Is(context.Cause(ctx), context.Canceled) {
		err = &fault.Error{What: string(r.done.Kind) + " was cancelled", Why: "asked to stop", Left: r.left, Do: "start it again when you like", Code: fault.Cancelled, Err: err}
	}
	err = r.complete(err)
	r.done.Seconds = r.now().Sub(r.started).Seconds()
	r.done.Exit, r.done.Err = fault.CodeOf(err), err
	switch {
	case err == nil:
		r.done.Result = ResultOK
	case r.done.Exit == fault.Cancelled:
		r.done.Result = ResultCancelled
	case r.done.Exit == fault.Partial:
		r.done.Result = ResultPartial
	default:
		r.done.Result = ResultFailed
	}
	if err != nil && r.done.Kind != KindBackup && r.done.Kind != KindImport {
		r.done.Proof = ProofNone // what this run reached, not what others did
	}
	if r.ending != nil {
		r.ending(err)
	}
	r.sink(r.done)
	return err
}

// complete gives an error the lines that it lacks: a lower room knows what
// happened, but not always what that leaves behind.
func (r *run) complete(err error) error {
	if err == nil {
		return nil
	}
	e := fault.As(err)
	var f *fault.Error
	if !errors.As(err, &f) {
		e.What, e.Why = string(r.done.Kind)+" failed", err.Error()
	} else if f.Why != "" && f.Left != "" && f.Do != "" {
		return err
	}
	if e.Left == "" {
		e.Left = r.left
	}
	if e.Do == "" {
		e.Do = "run it again; if it fails again, report these lines"
	}
	e.Err = err
	return e
}

// leaving replaces what an error says is left: the caller has changed it.
func leaving(err error, left string) error {
	e := fault.As(err)
	e.Left, e.Err = left, err
	return e
}

func leftAtFirst(k Kind) string {
	switch k {
	case KindImport:
		return "no archive was made; the original and all archives are as they were"
	case KindBackup:
		return "no archive was made; all older ones are as they were"
	case KindRestore:
		return "nothing was made or changed"
	case KindSwitch:
		return "no name was changed, and who may log in is as it was"
	case KindReseal:
		return resealLeft
	case KindCopy:
		return "every copy that was there is as it was; nothing of a half copy is listed"
	}
	return "the archive is as it was"
}
