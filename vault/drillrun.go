package vault

import (
	"context"
	"time"

	"pgvault/fault"
)

// DrillLoop says how restore drills are run by one process that stays.
type DrillLoop struct {
	Drill RestoreDrill // with a schedule
	// Identities gives the key, at each turn anew: it may be mounted later, or
	// be replaced.
	Identities func() (Identities, error)
	Tell       func(DrillEvent)                           // may be nil; beside started and ended: waiting, problem
	Sink       func(database string) Sink                 // of the proofs; may be nil
	Wait       func(context.Context, time.Duration) error // see DueOptions
}

// RunRestoreDrills is RunRestoreDrill whenever its turn has come, until ctx
// ends; then it gives nil. What goes wrong is told, and no reason to end:
// what is left is tried again by the rules of RunRestoreDrill, and a key that
// cannot be read, or a place that cannot be listed, is asked for again.
func (v *Vault) RunRestoreDrills(ctx context.Context, l DrillLoop) error {
	if err := v.writable(); err != nil {
		return err
	}
	tell := func(e DrillEvent) {
		if e.At = v.now(); l.Tell != nil {
			l.Tell(e)
		}
	}
	for ctx.Err() == nil {
		until := v.now().Add(askAgain)
		var tried triedRun
		v.readSchedule("drill", &tried)
		if d := dueOf(v.now(), l.Drill.Schedule, 0, time.Time{}, false, tried); !d.Now {
			until = d.At
			tell(DrillEvent{Kind: "waiting", Until: until})
		} else if err := v.drillTurn(ctx, l, tell); err == nil {
			continue
		} else if ctx.Err() == nil {
			until = v.now().Add(tryAgain)
			tell(DrillEvent{Kind: "problem", Err: err, Until: until})
		}
		if err := v.waitUntil(ctx, until, l.Wait); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// drillTurn does one round. Its error is what kept the round from its end;
// what came of the proofs themselves is told.
func (v *Vault) drillTurn(ctx context.Context, l DrillLoop, tell func(DrillEvent)) error {
	ids, err := l.Identities()
	if err != nil {
		return err
	}
	began := false
	round, err := v.RunRestoreDrill(ctx, l.Drill, ids, func(e DrillEvent) {
		began = true
		tell(e)
	}, l.Sink)
	if ctx.Err() != nil {
		return nil
	}
	if round != nil && round.Now {
		tell(DrillEvent{Kind: "round", Round: round, Err: err})
	}
	if err != nil && (!began || fault.CodeOf(err) == fault.Running) {
		return err
	}
	return nil
}
