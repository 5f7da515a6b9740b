package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"pgvault/fault"
	"pgvault/pg"
	"pgvault/safetext"
)

// RecoverRow is how one database ended.
type RecoverRow struct {
	Database    string       `json:"database"`
	Target      string       `json:"target"`
	ID          string       `json:"id"`     // of the archive; empty: none was read
	Result      string       `json:"result"` // ok, there (since an earlier run), partial, differs, damaged (and no database made), failed, not begun
	Exit        fault.Code   `json:"exit"`
	TablesEqual int          `json:"tables_equal"`
	TablesTotal int          `json:"tables_total"`
	Rows        int64        `json:"rows"`
	Seconds     float64      `json:"seconds"`
	Differences []Difference `json:"differences"`
	Why         string       `json:"why,omitempty"`
	Do          string       `json:"do,omitempty"`

	err error
}

// Err is what kept the database from coming back whole, with its four lines;
// nil where it did.
func (r RecoverRow) Err() error { return r.err }

// RecoverReport is what a recovery has come to.
type RecoverReport struct {
	Roles     []string     `json:"roles"` // that were made
	Warnings  []string     `json:"warnings"`
	Databases []RecoverRow `json:"databases"`
}

// Recover applies a plan: the roles, then one database after the other, each
// into a database of its own that is compared with its archive. sink is told
// all events of each restore, with one RunDone for each; row, each database's
// end. That one fails does not keep the others from coming back. An archive
// whose bytes turn out to be damaged gives way to the next one of the plan.
//
// The error is nil when every database is there and equal. Else its code is
// fault.Differs where something differs, fault.Partial where a part came back,
// and where nothing did, that of the first failure. The report is there in
// any case but that nothing was begun.
func (v *Vault) Recover(ctx context.Context, p *RecoverPlan, sink Sink, row func(RecoverRow)) (*RecoverReport, error) {
	if err := p.refusal(); err != nil {
		return nil, err
	}
	if err := v.writable(); err != nil {
		return nil, err
	}
	r := &RecoverReport{Roles: []string{}, Warnings: []string{}, Databases: []RecoverRow{}}
	if p.globals != nil && len(p.globals.statements) > 0 {
		made, warnings, err := v.ApplyGlobals(ctx, p.globals)
		r.Roles, r.Warnings = append(r.Roles, made...), append(r.Warnings, warnings...)
		if err != nil {
			return r, leaving(err, "no role and no database was made")
		}
	}
	for i := range p.Databases {
		d := &p.Databases[i]
		if d.plan != nil { // made with the roles of all
			d.plan.roles = slices.DeleteFunc(slices.Clone(d.plan.roles), func(s pg.GlobalStatement) bool { return slices.Contains(r.Roles, s.Role) })
		}
		out := v.recoverOne(ctx, p, d, r, sink)
		r.Databases = append(r.Databases, out)
		row(out)
	}
	return r, r.verdict(ctx)
}

// refusal turns the plan's x checks into an error, before anything is done.
func (p *RecoverPlan) refusal() error {
	if !p.Refused() {
		return nil
	}
	var why, do, rest []string
	add := func(about string, list []Check) {
		for _, c := range list {
			if c.State == "x" {
				why = append(why, about+c.Text)
				if c.Do != "" {
					do = append(do, c.Do)
				}
			}
		}
	}
	add("", p.Checks)
	for i := range p.Databases {
		d := &p.Databases[i]
		add(d.Database+": ", d.Checks)
		if !d.refused() {
			rest = append(rest, d.Database)
		}
	}
	if len(rest) > 0 && len(rest) < len(p.Databases) {
		do = append(do, "what can be recovered now: --database "+strings.Join(rest, " --database "))
	}
	return &fault.Error{Op: "recover", What: "the recovery was refused before it began", Why: strings.Join(why, "; "), Left: "no role and no database was made", Do: strings.Join(do, "; "), Code: fault.Refused}
}

// recoverOne restores one database, from the next archive where one's bytes
// are damaged.
func (v *Vault) recoverOne(ctx context.Context, p *RecoverPlan, d *RecoverDatabase, report *RecoverReport, sink Sink) RecoverRow {
	row := RecoverRow{Database: d.Database, Target: d.Target, Differences: []Difference{}}
	if t := d.There; t != nil {
		row.ID, row.Result, row.TablesEqual, row.TablesTotal = t.Archive, "there", t.TablesEqual, t.TablesTotal
		if !t.Whole {
			row.Exit, row.Why = fault.Differs, "since an earlier run, and not all as the archive has it"
			row.err = &fault.Error{Op: "recover", What: d.Target + " is not all as the archive has it", Why: fmt.Sprintf("an earlier run brought it back, with %d of %d tables equal", t.TablesEqual, t.TablesTotal),
				Left: "it is left as it was", Do: "look at it; under another name it comes back once more: --as " + safetext.Word(d.Database) + "=" + safetext.Word(d.Target+"_recovered"), Code: fault.Differs}
		}
		return row
	}
	plan, next := d.plan, d.next
	for {
		if ctx.Err() != nil {
			row.Result, row.Exit, row.Why = "not begun", fault.Cancelled, "the recovery was stopped"
			row.err = &fault.Error{Op: "recover", What: d.Database + " was not begun", Why: row.Why, Left: "nothing was made of it", Do: "recover again: what is there already is left as it is", Code: fault.Cancelled}
			return row
		}
		var done RunDone
		err := v.RunRestore(ctx, plan, func(e Event) {
			if d, ok := e.(RunDone); ok {
				done = d
			}
			sink(e)
		})
		row.fill(plan, done, err)
		if err == nil || fault.CodeOf(err) != fault.Differs || ctx.Err() != nil || v.madeThough(ctx, plan) {
			return row
		}
		row.Result = "damaged"
		report.Warnings = append(report.Warnings, fmt.Sprintf("%s: the archive %s is damaged (%s)", d.Database, plan.Archive.ID, oneLine(err)))
		if plan, next = v.nextPlan(ctx, plan, next); plan == nil {
			return row
		}
		plan.roles = slices.DeleteFunc(plan.roles, func(s pg.GlobalStatement) bool { return slices.Contains(report.Roles, s.Role) })
		report.Warnings = append(report.Warnings, fmt.Sprintf("%s: the archive %s of %s is taken instead", d.Database, plan.Archive.ID, stampOf(plan.Archive.Started)))
	}
}

// madeThough tells whether a restore that failed has left its database.
func (v *Vault) madeThough(ctx context.Context, plan *RestorePlan) bool {
	_, exists, err := pg.CommentOf(ctx, v.c.Server, plan.Target)
	return err != nil || exists && !plan.Empty
}

// nextPlan plans the same restore from the next archive that can be used; nil
// where there is none.
func (v *Vault) nextPlan(ctx context.Context, plan *RestorePlan, next []Archive) (*RestorePlan, []Archive) {
	for i, a := range next[:min(len(next), recoverTries)] {
		o := plan.o
		o.ID = a.Database + "/" + a.ID
		p, err := v.PlanRestore(ctx, o)
		if err == nil && !p.Refused() {
			return p, next[i+1:]
		}
	}
	return nil, nil
}

func (r *RecoverRow) fill(plan *RestorePlan, done RunDone, err error) {
	r.ID, r.Exit, r.err = plan.Archive.ID, fault.CodeOf(err), err
	r.TablesEqual, r.TablesTotal, r.Rows, r.Seconds = done.TablesEqual, done.TablesTotal, done.Rows, done.Seconds
	r.Differences = append([]Difference{}, done.Differences...)
	switch r.Exit {
	case fault.OK:
		r.Result = "ok"
	case fault.Partial:
		r.Result = "partial"
	case fault.Differs:
		r.Result = "differs"
	default:
		r.Result = "failed"
	}
	r.Why, r.Do = "", ""
	if err != nil {
		e := fault.As(err)
		r.Why, r.Do = oneLine(err), e.Do
	}
}

// verdict is the error of the whole.
func (r *RecoverReport) verdict(ctx context.Context) error {
	good, codes := 0, map[fault.Code]int{}
	var bad []string
	var first *RecoverRow
	for i := range r.Databases {
		d := &r.Databases[i]
		if d.Exit == fault.OK {
			good++
			continue
		}
		codes[d.Exit]++
		bad = append(bad, d.Database+": "+d.Why)
		if first == nil {
			first = d
		}
	}
	if first == nil {
		return nil
	}
	e := &fault.Error{Op: "recover", What: fmt.Sprintf("%d of %s came back whole", good, plural(int64(len(r.Databases)), "database")), Why: strings.Join(firstFew(bad, 3), "; "),
		Left: "what came back stays; nothing that was there before was touched", Do: "mend the cause and start it again: what is there already is left as it is", Code: fault.Partial}
	var errs []error
	for i := range r.Databases {
		errs = append(errs, r.Databases[i].err)
	}
	e.Err = errors.Join(errs...)
	switch {
	case ctx.Err() != nil:
		e.Code = fault.Cancelled
	case codes[fault.Differs] > 0:
		e.Code = fault.Differs
	case good == 0 && codes[fault.Partial] == 0:
		e.Code = first.Exit
	}
	return e
}
