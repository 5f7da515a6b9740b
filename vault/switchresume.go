package vault

import (
	"context"
	"time"

	"pgvault/fault"
	"pgvault/pg"
	"pgvault/safetext"
)

// PlanSwitchUndo is the plan that gives a database's name back to the one
// that had it before the last switch. The restored one stays under its own
// name, with all that was written to it since. A switch that was broken off
// is taken back likewise.
func (v *Vault) PlanSwitchUndo(ctx context.Context, database string) (*SwitchPlan, error) {
	return v.planUndo(ctx, database, false)
}

func (v *Vault) planUndo(ctx context.Context, database string, locked bool) (*SwitchPlan, error) {
	j, err := v.lastSwitch(database)
	if err != nil {
		return nil, err
	}
	if !j.Done {
		return v.planResume(ctx, database, j.Goal == GoalSwitched, locked)
	}
	if j.Goal == GoalOriginal {
		return nil, nothingSwitched(database, "the last switch of it was taken back "+stampOf(j.At))
	}
	return v.planFrom(ctx, &SwitchPlan{Goal: GoalOriginal, Database: database, j: j, locked: locked})
}

// PlanSwitchResume is the plan that ends a switch that was broken off: where
// it was meant to go, or with back the other way. It reads on the server how
// the names stand.
func (v *Vault) PlanSwitchResume(ctx context.Context, database string, back bool) (*SwitchPlan, error) {
	return v.planResume(ctx, database, back, false)
}

func (v *Vault) planResume(ctx context.Context, database string, back, locked bool) (*SwitchPlan, error) {
	j, err := v.lastSwitch(database)
	if err != nil {
		return nil, err
	}
	if j.Done {
		return nil, nothingSwitched(database, "the last switch of it has come to its end "+stampOf(j.At))
	}
	p := &SwitchPlan{Goal: j.Goal, Resumes: true, Database: database, j: j, locked: locked}
	if back && j.Goal == GoalSwitched {
		p.Goal = GoalOriginal
	} else if back {
		p.Goal = GoalSwitched
	}
	return v.planFrom(ctx, p)
}

func (v *Vault) lastSwitch(database string) (*switchJournal, error) {
	j, err := v.readSwitch(database)
	if err == nil && j == nil {
		err = nothingSwitched(database, "nothing in the state folder "+v.c.StateDir+" tells of a switch of it")
	}
	return j, err
}

func nothingSwitched(database, why string) error {
	return &fault.Error{Op: "switch", What: "there is no switch of " + database + " to undo or resume", Why: why, Left: "nothing was changed",
		Do: "see how the databases are called (psql -l), and rename by hand if need be: ALTER DATABASE … RENAME TO …", Code: fault.Refused}
}

// planFrom plans by a journal, after the server was asked how the names
// stand.
func (v *Vault) planFrom(ctx context.Context, p *SwitchPlan) (*SwitchPlan, error) {
	j := *p.j // the plan's own: an undo may give another name
	p.j, p.o = &j, SwitchOptions{Database: p.Database, With: j.With}
	w, err := pg.OpenSwitcher(ctx, v.c.Server, j.Database, j.With, j.Old)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	if w.Server.SystemID != j.SystemID {
		return nil, nothingSwitched(p.Database, "the last one was on another server")
	}
	names, err := w.Names(ctx, j.LiveOID, j.WithOID)
	if err != nil {
		return nil, err
	}
	at, err := j.standing(names)
	if err != nil {
		return nil, err
	}
	p.Old, p.Archive, p.BackupAt, p.Equal, p.Tables = j.Old, j.Archive, j.BackupAt, j.Equal, j.Tables
	p.Live.Name, p.Other.Name = names[j.LiveOID].Name, names[j.WithOID].Name
	live, other, err := p.look(ctx, w)
	if err != nil || live == nil || other == nil {
		return p, err
	}
	if err := p.names(ctx, v, w, at); err != nil {
		return nil, err
	}
	p.Same = p.same()
	p.checkMay(v)
	if at != p.Goal {
		if err := p.checkServer(ctx, v, w, live, other); err != nil {
			return nil, err
		}
		p.describe()
	} else {
		p.step("let logins in to %s again", p.Database)
		p.step("ask %s who it is and what it holds", p.Database)
	}
	if p.Goal == GoalOriginal && at == GoalSwitched {
		since := span(max(time.Second, v.now().Sub(j.At)))
		p.check("!", "what was written to "+p.Database+" since the switch ("+since+" ago) will be in "+p.Other.After+" alone", "")
	}
	return p, nil
}

// names chooses the names after the plan. Where somebody has taken the one
// that is to come back, another is chosen.
func (p *SwitchPlan) names(ctx context.Context, v *Vault, w *pg.Switcher, at SwitchGoal) error {
	var err error
	p.Live.After, p.Other.After = p.Live.Name, p.Other.Name
	switch {
	case at == p.Goal:
		return nil
	case p.Goal == GoalOriginal:
		if d, err := w.Database(ctx, p.j.With); err != nil || d != nil {
			if p.j.With, err = freeName(ctx, w, p.Database, "__r_"+v.now().In(v.zone()).Format("0102")); err != nil {
				return err
			}
		}
		p.Live.After, p.Other.After = p.Database, p.j.With
	default:
		if d, derr := w.Database(ctx, p.j.Old); derr != nil || d != nil {
			if p.j.Old, err = freeName(ctx, w, p.Database, "__old_"+v.now().In(v.zone()).Format("0102")); err != nil {
				return err
			}
		}
		p.Live.After, p.Other.After = p.j.Old, p.Database
	}
	p.Old = p.j.Old
	return nil
}

// switchRemedy is how a broken-off switch of a database is ended.
func switchRemedy(database string) string {
	return "pgvault switch " + safetext.Word(database) + " --resume, or --undo"
}
