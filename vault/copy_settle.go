package vault

import (
	"context"
	"slices"
	"time"

	"pgvault/fault"
	"pgvault/vault/archive"
	"pgvault/vault/replicate"
)

// settle ends the copy of one archive to one place: the copy is read back
// where the place is to do so, what was damaged is said to be healed, and the
// end is told.
func (c *copying) settle(ctx context.Context, w *copyWork, t sending, o replicate.Outcome, began time.Time) {
	d := PlaceDone{Place: t.Name, ID: w.id, Database: w.database, Bytes: o.Sent, There: o.There, Result: Copied, Err: o.Err}
	if d.Err == nil {
		d.ReadBack, d.Err = c.confirm(ctx, w, t, o)
	}
	switch {
	case d.Err != nil:
		d.Result, d.Err = CopyStopped, leavingCopy(d.Err)
		t.fail(d.Err)
	case len(o.Healed) > 0:
		d.Result = CopyHealed
	case o.Sent == 0:
		d.Result = CopyThere
	}
	if d.Err == nil {
		t.succeed()
		c.mu.Lock()
		c.came[w.id] = append(c.came[w.id], t.Name)
		c.mu.Unlock()
	}
	d.Seconds = c.since(began)
	c.placeDone(d)
}

// confirm reads a copy back where the place is read back each time. A copy
// that was damaged gets a proof that it is no more: every byte of it was
// compared, by this host or by the place.
func (c *copying) confirm(ctx context.Context, w *copyWork, t sending, o replicate.Outcome) (readBack bool, err error) {
	each := t.readsBack() == ReadBackEach && o.Sent > 0
	if !each && t.was != CopyDamaged {
		return false, nil
	}
	l, err := c.openAt(ctx, t.site, w.database, w.id)
	if err != nil {
		return false, err
	}
	if each {
		t.is(PlaceReadBack)
		c.tell()
		return true, c.readBack(ctx, l)
	}
	return false, c.prove(ctx, l, "ok", "healed: every byte was compared with that of a good copy")
}

// readsBack is when copies in the place are read back.
func (s site) readsBack() ReadBack {
	switch {
	case s.ReadBack != "":
		return s.ReadBack
	case s.near():
		return ReadBackEach
	}
	return ReadBackWeekly
}

func (c *copying) openAt(ctx context.Context, s site, database, id string) (*located, error) {
	o, err := archive.Open(ctx, s.Store, c.trust, c.vf.ID, c.v.c.Name, database, id)
	return &located{site: s, o: o}, err
}

// readBack reads every part of a copy and writes down what was found.
func (c *copying) readBack(ctx context.Context, l *located) error {
	var err error
	for _, p := range l.o.Manifest.Parts {
		if err = l.o.CheckPart(ctx, p.Name, nil); fault.CodeOf(err) == fault.Differs {
			err = l.o.CheckPart(ctx, p.Name, nil) // an error on the line must not condemn a copy
		}
		if err != nil {
			break
		}
	}
	switch {
	case err == nil:
		return c.prove(ctx, l, "ok", "every part's size and SHA-256 as in the manifest")
	case fault.CodeOf(err) == fault.Differs:
		_ = c.prove(ctx, l, "failed", oneLine(err))
	}
	return err
}

// prove appends a proof of the level intact, on a host that can sign it.
func (c *copying) prove(ctx context.Context, l *located, result, note string) error {
	if c.signer == nil {
		return nil
	}
	return c.v.addProof(ctx, l, c.signer, archive.ProofFile{Level: string(ProofIntact), Result: result, Note: note})
}

// nameDamaged writes down which copies turned out to be damaged when they
// were read, so that they are not counted any more and are healed next time.
func (c *copying) nameDamaged(ctx context.Context, w *copyWork, r replicate.Result) {
	for _, d := range r.Damaged {
		healed := slices.ContainsFunc(r.Outcomes, func(o replicate.Outcome) bool { return o.Place == d.Place && o.Err == nil })
		i := slices.IndexFunc(w.sources, func(s site) bool { return s.Name == d.Place })
		if healed || i < 0 {
			continue
		}
		l, err := c.openAt(ctx, w.sources[i], w.database, w.id)
		if err == nil {
			err = c.prove(ctx, l, "failed", oneLine(d.Err))
		}
		if err != nil && ctx.Err() == nil && fault.CodeOf(err) != fault.Differs {
			c.warn("that " + textOf(w, d.Place) + " is damaged could not be written down: " + oneLine(err))
		}
	}
}

// week is how old the newest reading back may be in a place that is read back
// weekly.
const week = 7 * 24 * time.Hour

// readBackWeekly reads back the newest copy of each database in the places
// where none was for a week. It is no error of the run when one of them
// cannot be read; when it is damaged, it is.
func (c *copying) readBackWeekly(ctx context.Context) {
	for _, t := range c.targets {
		if t.readsBack() != ReadBackWeekly || t.closed() {
			continue
		}
		for _, database := range c.databases() {
			if ctx.Err() != nil {
				return
			}
			c.readBackNewest(ctx, t, database)
		}
	}
}

// databases names those that this run copies archives of.
func (c *copying) databases() []string {
	var out []string
	for _, w := range c.work {
		if !slices.Contains(out, w.database) {
			out = append(out, w.database)
		}
	}
	return out
}

func (c *copying) readBackNewest(ctx context.Context, t *copyTarget, database string) {
	list, _, err := c.v.list(ctx, database, true)
	if err != nil {
		c.warn("what was read back in " + t.Name + " cannot be told: " + oneLine(err))
		return
	}
	var newest *Archive
	for i := range list {
		for _, p := range list[i].Copies {
			if p.Place != t.Name || p.State != CopyGood {
				continue
			}
			if p.ReadBack != nil && c.now().Sub(*p.ReadBack) < week {
				return
			}
			if newest == nil {
				newest = &list[i]
			}
		}
	}
	if newest == nil {
		return
	}
	t.is(PlaceReadBack)
	c.tell()
	defer t.rest()
	l, err := c.openAt(ctx, t.site, database, newest.ID)
	if err == nil {
		err = c.readBack(ctx, l)
	}
	switch {
	case err == nil:
		c.info(newest.ID + " of " + database + " was read back from " + t.Name + ": every byte is right")
	case fault.CodeOf(err) == fault.Differs:
		t.fail(leavingCopy(err))
		c.placeDone(PlaceDone{Place: t.Name, ID: newest.ID, Database: database, Result: CopyStopped, Err: leavingCopy(err)})
	case ctx.Err() == nil:
		c.warn(newest.ID + " of " + database + " could not be read back from " + t.Name + ": " + oneLine(err))
	}
}
