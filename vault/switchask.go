package vault

import (
	"context"
	"errors"
	"fmt"
	"time"

	"pgvault/fault"
	"pgvault/pg"
)

// askLimit bounds the wait for a free connection: all clients come back at
// once.
const askLimit = 5 * time.Second

// askFirst asks the database that is to get the name what it holds, while it
// still has its own; one that lets nobody in, as the old one does, cannot be
// asked.
func (d *switchDrive) askFirst(ctx context.Context, goal SwitchGoal) (pg.Answer, error) {
	names, err := d.w.Names(ctx, d.j.LiveOID, d.j.WithOID)
	if err != nil {
		return pg.Answer{}, err
	}
	n := names[d.j.gets(goal)]
	if !n.Open {
		return pg.Answer{}, nil
	}
	return pg.Ask(ctx, d.v.c.Server, n.Name)
}

// gets is the OID of the database that has the name when the goal is reached.
func (j *switchJournal) gets(goal SwitchGoal) uint32 {
	if goal == GoalSwitched {
		return j.WithOID
	}
	return j.LiveOID
}

// ask asks both databases: the one with the name in a session, the other one,
// which may let nobody in, by the catalog. That no connection is free is no
// reason to take a switch back.
func (d *switchDrive) ask(ctx context.Context, goal SwitchGoal) error {
	names, err := d.w.Names(ctx, d.j.LiveOID, d.j.WithOID)
	if err != nil {
		return err
	}
	for oid, open := range d.j.open(goal) {
		if n, ok := names[oid]; !ok || n.Open != open {
			return wrongAnswer(fmt.Sprintf("the database with the OID %d is %q, and that it accepts logins is %t", oid, n.Name, n.Open))
		}
	}
	if !d.j.open(goal)[d.j.gets(goal)] { // it let nobody in before, and does not now
		return nil
	}
	var a pg.Answer
	for end := time.Now().Add(askLimit); ; {
		a, err = pg.Ask(ctx, d.v.c.Server, d.j.Database)
		if !pg.NoFreeConnection(err) || time.Now().After(end) {
			break
		}
		t := time.NewTimer(50 * time.Millisecond)
		<-t.C
	}
	switch {
	case pg.NoFreeConnection(err):
		d.warn("the server has no free connection, so " + d.j.Database + " could not be asked: " + oneLine(err))
		return nil
	case err != nil:
		return err
	case a.OID != d.j.gets(goal):
		return wrongAnswer(fmt.Sprintf("it has the OID %d and not %d", a.OID, d.j.gets(goal)))
	case a.Tables < d.before.Tables || a.Readable < d.before.Readable:
		return wrongAnswer(fmt.Sprintf("it has %d tables, of which its owner may read %d; before there were %d and %d", a.Tables, a.Readable, d.before.Tables, d.before.Readable))
	}
	d.info(fmt.Sprintf("%s answers: %s, of which its owner may read %d", d.j.Database, plural(int64(a.Tables), "table"), a.Readable))
	return d.askProperties(ctx, goal)
}

// askProperties looks whether somebody changed owner, settings or grants of
// the one while they were carried over to the other.
func (d *switchDrive) askProperties(ctx context.Context, goal SwitchGoal) error {
	if goal != GoalSwitched {
		return nil
	}
	old, err := d.w.Properties(ctx, d.j.LiveOID)
	now, nerr := d.w.Properties(ctx, d.j.WithOID)
	if err = errors.Join(err, nerr); err != nil {
		return err
	}
	if diff := old.Differing(now); diff != "" {
		d.warn(d.j.Database + " and " + d.j.Old + " differ in: " + diff)
	}
	return nil
}

func wrongAnswer(why string) error {
	return &fault.Error{Op: "switch", What: "the database does not answer as it should", Why: why, Do: "look at both databases before you try again", Code: fault.Differs}
}
