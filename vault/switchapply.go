package vault

import (
	"context"
	"fmt"
	"time"

	"pgvault/fault"
	"pgvault/pg"
	"pgvault/vault/job"
)

// RunSwitch is Switch as a job in this process: it has a journal of events
// and is in the audit trail.
func (v *Vault) RunSwitch(ctx context.Context, p *SwitchPlan, sink Sink) error {
	return v.runJob(ctx, p.Order(), v.actor(), nil, sink, func(ctx context.Context, r *recorder) error { return v.Switch(ctx, p, r.tell) })
}

// Switch applies a plan: that of PlanSwitch, PlanSwitchUndo or
// PlanSwitchResume. It refuses when something has changed since the plan. If
// a step fails, or ctx is cancelled before the names are changed, the names
// go back and logins are let in again; only when the server cannot be reached
// for that is the switch left broken off, and the error says so.
func (v *Vault) Switch(ctx context.Context, p *SwitchPlan, sink Sink) error {
	r := newRun(sink, v.now, RunStarted{Kind: KindSwitch, ID: p.Archive, Database: p.Database, Target: p.restored(), Stages: []Stage{StagePrepare, StageSwitch, StageAsk}})
	r.done.TablesEqual, r.done.TablesTotal = p.Equal, p.Tables
	return r.finish(ctx, v.applySwitch(ctx, r, p))
}

func (v *Vault) applySwitch(ctx context.Context, r *run, p *SwitchPlan) error {
	if err := p.refusal(); err != nil {
		return err
	}
	if err := v.writable(); err != nil {
		return err
	}
	r.enter(StagePrepare)
	unlock, err := v.lockSwitch(ctx, p.Database)
	if err != nil {
		return err
	}
	defer unlock()
	if p, err = v.planAgain(ctx, p); err != nil {
		return err
	}
	w, err := pg.OpenSwitcher(ctx, v.c.Server, p.Database, p.Live.Name, p.Other.Name)
	if err != nil {
		return err
	}
	d := &switchDrive{v: v, w: w, j: p.j, run: r}
	defer func() { d.w.Close() }()
	w.Statement = v.onStatement
	return d.apply(ctx, p)
}

// lockSwitch keeps other switches of the database away, and backups of it.
func (v *Vault) lockSwitch(ctx context.Context, database string) (func(), error) {
	one, err := job.Lock(v.lockDir(), v.switchLock(database), "a switch of "+database, "")
	if err != nil {
		return nil, err
	}
	vf := v.knownVault(ctx)
	if vf == nil { // no place answers: this host backs nothing up then
		return one, nil
	}
	two, err := job.Lock(v.lockDir(), lockName(vf, database), "a backup of "+database, "")
	if err != nil {
		one()
		return nil, err
	}
	return func() { two(); one() }, nil
}

// planAgain makes the plan anew under the lock, and refuses one that is not
// about the same two databases any more.
func (v *Vault) planAgain(ctx context.Context, p *SwitchPlan) (now *SwitchPlan, err error) {
	switch {
	case p.Resumes:
		now, err = v.planResume(ctx, p.Database, p.Goal != p.j.Goal, true)
	case p.Goal == GoalOriginal:
		now, err = v.planUndo(ctx, p.Database, true)
	default:
		now, err = v.planSwitch(ctx, p.o, true)
	}
	if err == nil {
		err = now.refusal()
	}
	if err == nil && (now.Live.OID != p.Live.OID || now.Other.OID != p.Other.OID || now.Live.Name != p.Live.Name || now.Other.Name != p.Other.Name || now.Live.After != p.Live.After || now.Other.After != p.Other.After) {
		err = &fault.Error{Op: "switch", What: "the databases are not as the plan found them", Why: "one was renamed, dropped or made anew since", Left: leftAtFirst(KindSwitch), Do: "look at the plan again", Code: fault.Refused}
	}
	return now, err
}

// switchDrive brings the names of two databases to where they are wanted.
type switchDrive struct {
	v *Vault
	w *pg.Switcher
	j *switchJournal
	*run
	before    pg.Answer // of the database that gets the name
	returning bool      // after a step that failed: what cannot be written down must not keep clients out
}

// The bounds of a switch. For as long as both can take together, neither
// database accepts logins.
const (
	endLimit    = 10 * time.Second
	renameLimit = 10 * time.Second
	backLimit   = 60 * time.Second // for taking it all back, from a server that has to come up again
)

func (d *switchDrive) apply(ctx context.Context, p *SwitchPlan) error {
	start, err := d.standing(ctx)
	if err != nil {
		return err
	}
	d.j.Goal, d.j.Done, d.j.By, d.j.Started = p.Goal, false, who(), d.v.now().UTC()
	err = d.forward(ctx, p.Goal, start)
	if err != nil {
		return d.back(ctx, start, err)
	}
	d.j.Step, d.j.Done = stepDone, true
	if err := d.v.writeSwitch(d.j); err != nil {
		d.warn("the switch is done, but that could not be written down: " + oneLine(err))
	}
	return nil
}

// forward is prepare, switch and ask.
func (d *switchDrive) forward(ctx context.Context, goal, start SwitchGoal) error {
	if goal == GoalSwitched && start == GoalOriginal {
		if err := d.begin(stepPrepare); err != nil {
			return err
		}
		n, err := d.w.Adopt(context.WithoutCancel(ctx), d.j.LiveOID, d.j.WithOID)
		if err != nil {
			return err
		}
		d.info(fmt.Sprintf("%s has the properties of %s: %s", d.j.With, d.j.Database, plural(int64(n), "statement")))
	}
	if goal != start {
		var err error
		if d.before, err = d.askFirst(ctx, goal); err != nil {
			return err
		}
	}
	d.enter(StageSwitch)
	told, err := d.to(ctx, goal)
	for _, text := range told {
		d.info(text)
	}
	if err != nil {
		return err
	}
	d.enter(StageAsk)
	if err := d.begin(stepAsk); err != nil {
		return err
	}
	return d.ask(context.WithoutCancel(ctx), goal)
}

// begin writes down which step is next.
func (d *switchDrive) begin(s switchStep) error {
	d.j.Step = s
	if d.v.onStatement != nil {
		d.v.onStatement("journal: "+string(s), false)
	}
	if err := d.v.writeSwitch(d.j); err != nil && !d.returning {
		return err
	}
	return nil
}

// standing tells how the names stand on the server now.
func (d *switchDrive) standing(ctx context.Context) (SwitchGoal, error) {
	names, err := d.w.Names(ctx, d.j.LiveOID, d.j.WithOID)
	if err != nil {
		return "", err
	}
	return d.j.standing(names)
}

func (j *switchJournal) standing(names map[uint32]pg.Named) (SwitchGoal, error) {
	live, there := names[j.LiveOID]
	with, also := names[j.WithOID]
	switch {
	case there && also && live.Name == j.Database:
		return GoalOriginal, nil
	case there && also && with.Name == j.Database:
		return GoalSwitched, nil
	}
	why := fmt.Sprintf("the database with the OID %d is called %q, the one with %d %q; neither is %s", j.LiveOID, live.Name, j.WithOID, with.Name, j.Database)
	if !there || !also {
		why = fmt.Sprintf("of the OIDs %d and %d, at least one is gone", j.LiveOID, j.WithOID)
	}
	return "", &fault.Error{Op: "switch", What: "the databases of the last switch are not there any more", Why: why, Left: "nothing was changed",
		Do: "see how they are called (psql -l), and rename by hand: ALTER DATABASE … RENAME TO …", Code: fault.Refused}
}

// open tells who accepts logins when the goal is reached.
func (j *switchJournal) open(goal SwitchGoal) map[uint32]bool {
	if goal == GoalSwitched {
		return map[uint32]bool{j.LiveOID: false, j.WithOID: true}
	}
	return map[uint32]bool{j.LiveOID: j.LiveOpen, j.WithOID: j.WithOpen}
}

// to brings the names and the logins to the goal. Nothing is told while
// clients wait, since a terminal may be slow: what there is to tell is given
// back. ctx counts until the renames; no statement is cut off in its midst.
func (d *switchDrive) to(ctx context.Context, goal SwitchGoal) (told []string, err error) {
	whole := context.WithoutCancel(ctx)
	at, err := d.standing(whole)
	if err != nil {
		return nil, err
	}
	open := d.j.open(goal)
	if at == goal {
		if err := d.begin(stepOpen); err != nil {
			return nil, err
		}
		return nil, d.w.Allow(whole, open)
	}
	if err := d.begin(stepClose); err != nil {
		return nil, err
	}
	since := time.Now()
	if err := d.w.Allow(whole, map[uint32]bool{d.j.LiveOID: false, d.j.WithOID: false}); err != nil {
		return nil, err
	}
	if err := d.begin(stepEnd); err != nil {
		return nil, err
	}
	n, err := d.w.EndSessions(whole, endLimit, d.j.LiveOID, d.j.WithOID)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	if err := d.begin(stepRename); err != nil {
		return nil, err
	}
	moves := []pg.Move{{OID: d.j.LiveOID, To: d.j.Old}, {OID: d.j.WithOID, To: d.j.Database}}
	if goal == GoalOriginal {
		moves = []pg.Move{{OID: d.j.WithOID, To: d.j.With}, {OID: d.j.LiveOID, To: d.j.Database}}
	}
	if err := d.w.Rename(whole, renameLimit, moves, open); err != nil {
		return nil, err
	}
	return []string{plural(int64(n), "session") + " ended", fmt.Sprintf("%s accepted no logins for %.3f s", d.j.Database, time.Since(since).Seconds())}, nil
}

// back brings everything to where it stood, after cause.
func (d *switchDrive) back(ctx context.Context, start SwitchGoal, cause error) error {
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), backLimit)
	defer cancel()
	d.returning = true
	var err error
	for tries := 0; ; {
		if _, err = d.to(limited, start); err == nil {
			break
		}
		if tries++; tries > 1 {
			t := time.NewTimer(time.Second)
			select {
			case <-limited.Done():
			case <-t.C:
			}
			t.Stop()
		}
		if limited.Err() != nil {
			break
		}
		if w, err := pg.OpenSwitcher(limited, d.v.c.Server, d.j.Database, d.j.With, d.j.Old); err == nil {
			d.w.Close()
			w.Statement, d.w = d.v.onStatement, w
		}
	}
	if err != nil {
		d.left = "both databases are whole; neither may accept logins"
		return &fault.Error{Op: "switch", What: "the switch was broken off, and could not be taken back", Why: oneLine(cause) + "; then: " + oneLine(err), Left: d.left,
			Do: "when the server answers: " + switchRemedy(d.j.Database), Code: fault.CodeOf(cause), Err: cause}
	}
	d.j.Goal, d.j.Step, d.j.Done = start, stepDone, true
	d.left = "each database has the name that it had, and logins are let in again"
	if werr := d.v.writeSwitch(d.j); werr != nil {
		d.warn("that the switch was taken back could not be written down: " + oneLine(werr))
	}
	return leaving(cause, d.left)
}
