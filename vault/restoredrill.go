package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"pgvault/fault"
	"pgvault/vault/archive"
	"pgvault/vault/job"
	"pgvault/vault/schedule"
)

// A restore drill proves archives by restore on a schedule, on a machine that
// holds a key for it. It is another thing than Drill, which proves of a key
// that it opens archives.

// RestoreDrill says what a drill is to prove, and how often.
type RestoreDrill struct {
	Level    Proof                      // restored or readable
	Every    time.Duration              // a database whose last such proof is older is due; 0: each is
	Wants    func(database string) bool // which databases take part; nil: all that have archives
	Schedule *schedule.Schedule         // when it begins; nil: whenever it is asked
}

// DrillTurn is one database of a drill.
type DrillTurn struct {
	Database string     `json:"database"`
	ID       string     `json:"id"`        // its newest good archive, empty for none
	Proven   *time.Time `json:"proven_at"` // the last proof of this level with a person's key
	DueAt    *time.Time `json:"due_at"`    // nil: it was never proven
	Due      bool       `json:"due"`
}

// DrillRound is what a drill would do now.
type DrillRound struct {
	At        time.Time   `json:"at"`  // when its turn is, by its schedule
	Now       bool        `json:"now"` // that has come
	Databases []DrillTurn `json:"databases"`
	scheduled time.Time
}

// drillTurns decides for all databases, without clock, input or output; list
// is newest first. The archive is each database's newest good one: what a
// restore would take. Only proofs with a person's key count: the one-time key
// of a backup says nothing of the keys that are left when its host is gone.
// Who was never proven comes first, then whose proof is oldest.
func drillTurns(now time.Time, list []Archive, o RestoreDrill) []DrillTurn {
	turns, order := map[string]*DrillTurn{}, []string{}
	for _, a := range list {
		if o.Wants != nil && !o.Wants(a.Database) {
			continue
		}
		t := turns[a.Database]
		if t == nil {
			t = &DrillTurn{Database: a.Database}
			turns[a.Database], order = t, append(order, a.Database)
		}
		if a.State != "good" || a.Started.After(now.Add(clockSlip)) {
			continue
		}
		if t.ID == "" {
			t.ID = a.ID
		}
		for _, p := range a.Proofs {
			if p.Result == "ok" && p.Level.Rank() >= o.Level.Rank() && p.Key != "" && p.Key != archive.OneTimeName && !p.At.After(now.Add(clockSlip)) && (t.Proven == nil || p.At.After(*t.Proven)) {
				at := p.At
				t.Proven = &at
			}
		}
	}
	out := []DrillTurn{}
	slices.Sort(order)
	for _, name := range order {
		t := turns[name]
		t.Due = t.ID != ""
		if t.Proven != nil {
			at := t.Proven.Add(o.Every)
			t.DueAt, t.Due = &at, t.Due && !now.Before(at)
		}
		out = append(out, *t)
	}
	slices.SortStableFunc(out, func(a, b DrillTurn) int {
		switch {
		case a.Proven == nil || b.Proven == nil:
			return compareBool(a.Proven != nil, b.Proven != nil)
		}
		return a.Proven.Compare(*b.Proven)
	})
	return out
}

// PlanRestoreDrill tells what a drill would do now.
func (v *Vault) PlanRestoreDrill(ctx context.Context, o RestoreDrill) (*DrillRound, error) {
	var tried triedRun
	v.readSchedule("drill", &tried)
	return v.drillRound(ctx, o, tried)
}

func (v *Vault) drillRound(ctx context.Context, o RestoreDrill, tried triedRun) (*DrillRound, error) {
	if o.Level.Rank() < ProofReadable.Rank() {
		return nil, &fault.Error{Op: "verify", What: fmt.Sprintf("a drill cannot prove up to %q", o.Level), Why: "it tries a key", Left: "nothing was verified", Do: "use restored, or readable", Code: fault.Usage}
	}
	r := &DrillRound{At: v.now(), Now: true}
	if o.Schedule != nil {
		d := dueOf(v.now(), o.Schedule, 0, time.Time{}, false, tried)
		r.At, r.Now, r.scheduled = d.At, d.Now, d.Scheduled
	}
	list, err := v.List(ctx)
	if err != nil {
		return nil, err
	}
	r.Databases = drillTurns(v.now(), list, o)
	return r, nil
}

// DrillEvent is what a drill tells beside its runs' events.
type DrillEvent struct {
	At       time.Time
	Kind     string // started, ended; of a loop also waiting, problem, and round when one has ended
	Database string
	ID       string
	Until    time.Time   // waiting and problem: for this moment
	Round    *DrillRound // round
	Err      error       // ended, problem, round
}

// RunRestoreDrill proves what is due, one archive after another, each as a job
// in this process. What is due is read from the signed proofs: a drill that
// was killed goes on where it was, with the next start. A round whose place did
// not answer, or that never ended, is begun three times at most; whatever else
// failed is tried again by the next round.
//
// The error is that of the archives that could not be proven: Differs where
// one is damaged or does not come back, Running where another drill is at it.
// It gives the round that it began, also where its turn has not come.
func (v *Vault) RunRestoreDrill(ctx context.Context, o RestoreDrill, ids Identities, tell func(DrillEvent), sink func(database string) Sink) (*DrillRound, error) {
	if err := v.writable(); err != nil {
		return nil, err
	}
	release, err := job.Lock(v.lockDir(), "drill-"+v.c.Name, "a restore drill of this vault", "")
	if err != nil {
		return nil, err
	}
	defer release()
	var before triedRun
	v.readSchedule("drill", &before)
	round, err := v.drillRound(ctx, o, before)
	if err != nil || !round.Now {
		return round, err
	}
	t := triedRun{Scheduled: round.scheduled, Last: v.now().UTC(), Tries: 1}
	if before.Scheduled.Equal(t.Scheduled) && o.Schedule != nil {
		t.Tries += before.Tries
	}
	remember := func(t triedRun) error {
		if o.Schedule == nil {
			return nil
		}
		if err := v.writeSchedule("drill", t); err != nil {
			return cannotRemember(err)
		}
		return nil
	}
	if err := remember(t); err != nil {
		return round, err
	}
	ran, failed := v.drillEach(ctx, o.Level, round, ids, tell, sink)
	if ctx.Err() != nil { // the drill was stopped, not what it found
		return round, errors.Join(ctx.Err(), remember(before))
	}
	t.Done = t.Tries >= maxTries || !slices.ContainsFunc(failed, transient)
	if err := remember(t); err != nil {
		return round, err
	}
	return round, drillResult(ran, failed)
}

// drillEach proves the databases that are due.
func (v *Vault) drillEach(ctx context.Context, level Proof, round *DrillRound, ids Identities, tell func(DrillEvent), sink func(string) Sink) (ran int, failed []error) {
	for _, d := range round.Databases {
		if !d.Due || ctx.Err() != nil {
			continue
		}
		if tell != nil {
			tell(DrillEvent{At: v.now(), Kind: "started", Database: d.Database, ID: d.ID})
		}
		var s Sink
		if sink != nil {
			s = sink(d.Database)
		}
		err := v.RunVerify(ctx, VerifyOptions{ID: d.Database + "/" + d.ID, Level: level, Identities: ids}, s)
		if tell != nil {
			tell(DrillEvent{At: v.now(), Kind: "ended", Database: d.Database, ID: d.ID, Err: err})
		}
		if ran++; err != nil {
			failed = append(failed, err)
		}
	}
	return ran, failed
}

// drillResult is what a drill comes to; damage is graver than all else.
func drillResult(ran int, failed []error) error {
	switch {
	case len(failed) == 0:
		return nil
	case ran == 1:
		return failed[0]
	}
	e := &fault.Error{Op: "verify", What: fmt.Sprintf("%d of %d archives were not proven", len(failed), ran), Why: oneLine(failed[0]), Left: "no archive was changed; what was proven is recorded",
		Do: "look at each: pgvault job list", Code: fault.Partial, Err: errors.Join(failed...)}
	if slices.ContainsFunc(failed, func(err error) bool { return fault.CodeOf(err) == fault.Differs }) {
		e.Code = fault.Differs
	} else if len(failed) == ran {
		e.Code = fault.CodeOf(failed[0])
	}
	return e
}
