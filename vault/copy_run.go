package vault

import (
	"context"
	"fmt"
	"sync"
	"time"

	"pgvault/fault"
	"pgvault/vault/archive"
	"pgvault/vault/job"
	"pgvault/vault/replicate"
)

// copying is a run, or the part of one, that brings archives to places.
// Archives are taken newest first. As many places as are free and lack an
// archive get it together, from one reading; a slow place does not keep the
// others from the next archive.
type copying struct {
	*run
	v      *Vault
	named  bool // one archive was asked for by name
	vf     *archive.VaultFile
	trust  *archive.Trust
	signer *archive.Signer // nil: no proof is written

	patience time.Duration // see replicate.Task; 0: its own

	targets []*copyTarget
	work    []*copyWork

	mu   sync.Mutex
	came map[string][]string // by archive: the places that it was brought to
}

// take makes the plan's copies the run's.
func (c *copying) take(plan *CopyPlan) {
	c.work, c.came = plan.work, map[string][]string{}
	sites, _ := c.v.sites()
	for _, s := range sites {
		t := &copyTarget{site: s, state: PlaceWaiting}
		for _, p := range plan.Copies {
			if p.Place == s.Name {
				t.archives++
				t.total += p.Bytes
			}
		}
		for _, silent := range plan.Silent {
			if silent.Place == s.Name {
				t.archives, t.err, t.over, t.state = silent.Missing, leavingCopy(silent.Err), true, PlaceFailed
				c.placeDone(PlaceDone{Place: s.Name, Result: CopyStopped, Err: t.err})
			}
		}
		if t.archives > 0 {
			c.targets = append(c.targets, t)
		}
	}
}

// freed tells the scheduler that places can take more, or that a task is
// over.
type freed struct {
	places []*copyTarget
	over   bool
}

// schedule hands the work to the places as they become free, and returns when
// nothing is left that can be done.
func (c *copying) schedule(ctx context.Context) {
	events := make(chan freed)
	tasks := 0
	for {
		for ctx.Err() == nil {
			w, ts := c.next()
			if w == nil {
				break
			}
			tasks++
			go func() {
				c.bring(ctx, w, ts, events)
				events <- freed{over: true}
			}()
		}
		if tasks == 0 {
			return
		}
		e := <-events
		for _, t := range e.places {
			t.busy = false
			t.rest()
		}
		if e.over {
			tasks--
		}
		c.tell()
	}
}

// sending is an archive on its way to one place.
type sending struct {
	*copyTarget
	was string // the state of the copy there before
}

// next gives the newest archive that a free place lacks, and all free places
// that lack it; they are busy from now on.
func (c *copying) next() (*copyWork, []sending) {
	for _, w := range c.work {
		var ts []sending
		for _, t := range c.targets {
			if was, lacks := w.to[t.Name]; lacks && !t.busy && !t.closed() {
				ts = append(ts, sending{t, was})
				t.busy = true
				delete(w.to, t.Name)
			}
		}
		if len(ts) > 0 {
			return w, ts
		}
	}
	return nil, nil
}

// bring copies one archive to places. It frees each as soon as it can take
// the next one.
func (c *copying) bring(ctx context.Context, w *copyWork, ts []sending, events chan<- freed) {
	began := c.now()
	ts, unlock := c.lock(w, ts, events)
	defer unlock()
	if len(ts) == 0 {
		return
	}
	by := map[string]sending{}
	task := replicate.Task{Vault: c.v.c.Name, VaultID: c.vf.ID, File: c.vf, Trust: c.trust, Database: w.database, ID: w.id, Note: c.note, Patience: c.patience, Now: c.now}
	for _, s := range w.sources {
		task.Sources = append(task.Sources, replicate.Place{Name: s.Name, Store: s.Store})
	}
	for _, t := range ts {
		by[t.Name] = t
		t.is(PlaceCopying)
		task.Targets = append(task.Targets, replicate.Place{Name: t.Name, Store: t.Store, MinFree: t.MinFree})
	}
	task.Passed = func(place string, sent, there int64) {
		by[place].passed(sent, there)
		c.tell()
	}
	var settling sync.WaitGroup
	task.Ended = func(outs []replicate.Outcome) {
		settling.Go(func() {
			e := freed{}
			var each sync.WaitGroup
			for _, o := range outs {
				t := by[o.Place]
				e.places = append(e.places, t.copyTarget)
				each.Go(func() { c.settle(ctx, w, t, o, began) })
			}
			each.Wait()
			events <- e
		})
	}
	r := replicate.Copy(ctx, task)
	settling.Wait()
	c.nameDamaged(ctx, w, r)
}

// lock keeps other jobs of this host from copying the archive to the same
// places, and from deleting it. Places that another job copies it to are
// freed at once.
func (c *copying) lock(w *copyWork, ts []sending, events chan<- freed) ([]sending, func()) {
	dir, name := c.v.lockDir(), lockName(c.vf, w.database)
	var mine []sending
	var unlocks []func()
	if unlock, err := job.Read(dir, name, archiveLock(w.id)); err == nil {
		unlocks = append(unlocks, unlock)
	} else if fault.CodeOf(err) == fault.Running {
		for _, t := range ts {
			c.passOver(w, t.copyTarget, err)
			events <- freed{places: []*copyTarget{t.copyTarget}}
		}
		return nil, func() {}
	}
	for _, t := range ts {
		unlock, err := job.Alone(dir, name, "copy of "+w.id+" in "+t.Name)
		if err != nil && fault.CodeOf(err) == fault.Running {
			c.passOver(w, t.copyTarget, &fault.Error{Op: "copy", What: "archive " + w.id + " is being copied to " + t.Name, Why: "another job of this host is at it",
				Left: "that job goes on", Do: "wait for it: pgvault job list", Code: fault.Running})
			events <- freed{places: []*copyTarget{t.copyTarget}}
			continue
		}
		if err == nil { // a state folder that takes no lock is no reason not to copy
			unlocks = append(unlocks, unlock)
		}
		mine = append(mine, t)
	}
	return mine, func() {
		for _, u := range unlocks {
			u()
		}
	}
}

// passOver leaves an archive to another job. Only who asked for this very
// archive is told that it was not done.
func (c *copying) passOver(w *copyWork, t *copyTarget, err error) {
	if c.named {
		t.fail(err)
		c.placeDone(PlaceDone{Place: t.Name, ID: w.id, Database: w.database, Result: CopyStopped, Err: err})
		return
	}
	t.mu.Lock()
	t.skip++
	t.mu.Unlock()
	c.info(fault.As(err).What)
}

// note takes what replicate tells.
func (c *copying) note(level, text string) {
	if level == "warning" {
		c.warn(text)
	} else {
		c.info(text)
	}
}

// leavingCopy gives a place's error the lines that it lacks.
func leavingCopy(err error) error {
	e := fault.As(err)
	if e.Why == "" {
		e.Why = "the place said no more"
	}
	if e.Left == "" {
		e.Left = "the archive is whole where it was; nothing of a half copy is listed"
	}
	if e.Do == "" {
		e.Do = "mend the cause; the next backup sends what is missing, or pgvault copy --missing"
	}
	e.Err = err
	return e
}

// since is how long ago a moment was.
func (c *copying) since(t time.Time) float64 { return c.now().Sub(t).Seconds() }

func textOf(w *copyWork, place string) string {
	return fmt.Sprintf("%s of %s in %s", w.id, w.database, place)
}
