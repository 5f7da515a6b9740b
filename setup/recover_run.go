package setup

import (
	"context"
	"fmt"
	"time"

	"pgvault/fault"
	"pgvault/guide"
	"pgvault/vault"
)

func (r *recovery) run() guide.Step {
	return guide.Step{
		Key: "run", Name: "Run", Question: "The databases are coming back.", Loading: "starting the job; it plans once more",
		Text: "It is a job of its own: you may leave, or lose the connection; pgvault shows it again.",
		Why:  "A job is a process of its own, so that a lost connection does not end a recovery half done. It got what opens these archives, and no key, unless the header of one is damaged.",
		Job: func(ctx context.Context, v *guide.Values, t guide.Talk) (vault.Order, vault.Secrets, error) {
			if v.Fact(factRecovery) == nil { // come back to from a draft, before the job was started
				if err := r.makePlan(ctx, v, t); err != nil {
					return vault.Order{}, vault.Secrets{}, err
				}
			}
			p := guide.FactOf[*planned](v, factRecovery)
			opened, _, _, err := r.vault(ctx, v)
			if err != nil {
				return vault.Order{}, vault.Secrets{}, err
			}
			lines, err := opened.UnlockRecover(ctx, p.RecoverPlan)
			if err == nil {
				return p.order, vault.Secrets{Unlocked: lines}, nil
			}
			if fault.CodeOf(err) != fault.Differs {
				return vault.Order{}, vault.Secrets{}, err
			}
			t.Tell("an archive's header is damaged: the job gets the key, to find one that is whole")
			s, err := r.load(v, t)
			return p.order, s, err
		},
		Body: func(v *guide.Values) []guide.Section { return r.running(v.Run("run")) },
	}
}

// running is the job row by row, with what goes on now.
func (r *recovery) running(run *guide.Run) []guide.Section {
	if run == nil {
		return nil
	}
	stop := "pgvault job cancel " + run.Job.ID
	if r.w.Jobs != nil {
		stop = r.w.Jobs(stop)
	}
	out := []guide.Section{{Label: "job", Lines: []guide.Line{{Text: run.Job.ID}, {Text: stop + "  ends it"}}}}
	of := ""
	if o := run.Job.Order.Recover; o != nil && len(o.Archives) > 0 {
		of = fmt.Sprintf(" of %d", max(len(o.Archives), len(run.Rows)))
	}
	switch {
	case run.Done != nil:
		out = append(out, guide.Section{Label: "now", Lines: []guide.Line{{Text: "it has ended: " + string(run.Done.Result) + ". Enter shows the report."}}})
	case run.Database != "":
		now := fmt.Sprintf("%d%s: %s, %s", len(run.Rows)+1, of, run.Database, run.Doing())
		if p := run.Progress; p.Rows > 0 {
			now += ", " + guide.Plural(p.Rows, "row")
		}
		out = append(out, guide.Section{Label: "now", Lines: []guide.Line{{Text: now}}})
	default:
		out = append(out, guide.Section{Label: "now", Lines: []guide.Line{{Text: fmt.Sprintf("%d%s are done", len(run.Rows), of)}}})
	}
	return append(out, rowTable(run.Rows)...)
}

func rowTable(rows []vault.RecoverRow) []guide.Section {
	if len(rows) == 0 {
		return nil
	}
	t := &guide.Table{Titles: []string{"DATABASE", "IS NOW", "RESULT", "EQUAL", ">ROWS", ">TOOK"}}
	for _, d := range rows {
		mark := ""
		if d.Err() != nil {
			mark = "x "
		}
		t.Rows = append(t.Rows, []string{d.Database, d.Target, mark + d.Result, fmt.Sprintf("%d of %d", d.TablesEqual, d.TablesTotal), guide.Count(d.Rows),
			time.Duration(d.Seconds * float64(time.Second)).Round(time.Second / 10).String()})
	}
	return []guide.Section{{Table: t}}
}

func (r *recovery) report() guide.Step {
	return guide.Step{
		Key: "report", Name: "Report", Question: "What came of it",
		Why:  "Every database was dumped again and compared with what was recorded when it was saved: rows and SHA-256 of every table.",
		Body: func(v *guide.Values) []guide.Section { return recovered(v.Run("run")) },
		Actions: []guide.Action{{Key: "y", Name: "copy job id", Help: "copy the job's id; pgvault job log shows its log", Do: func(_ context.Context, v *guide.Values, _ guide.Talk) (guide.Effect, error) {
			id := v.Run("run").Job.ID
			return guide.Copied(id, id), nil
		}}},
	}
}

// recovered is the report, row by row, with the four lines of what failed.
func recovered(run *guide.Run) []guide.Section {
	if run == nil || run.Done == nil {
		return nil
	}
	d := run.Done
	rows, roles := run.Rows, -1
	var notes []string
	if d.Recovered != nil {
		roles, notes = len(d.Recovered.Roles), d.Recovered.Warnings
		if len(d.Recovered.Databases) >= len(rows) {
			rows = d.Recovered.Databases
		}
	}
	good := 0
	for _, row := range rows {
		if row.Err() == nil {
			good++
		}
	}
	state := "ok"
	if d.Result != vault.ResultOK {
		state = "x"
	}
	text := fmt.Sprintf("%d of %s came back whole, %d of %d tables equal", good, count(len(rows), "database"), d.TablesEqual, d.TablesTotal)
	if len(rows) == 0 {
		text = "no database came back"
	}
	if roles >= 0 {
		text += fmt.Sprintf("; %s made", count(roles, "role"))
	}
	out := append([]guide.Section{{Lines: []guide.Line{{State: state, Text: text}}}}, rowTable(rows)...)
	for _, row := range rows {
		if err := row.Err(); err != nil {
			out = append(out, guide.Section{Lines: []guide.Line{{State: "x", Text: row.Database}}})
			out = append(out, guide.FourLines(err)...)
		}
	}
	for _, n := range notes {
		out = append(out, guide.Section{Lines: []guide.Line{{State: "!", Text: n}}})
	}
	if len(rows) == good && d.Err != nil { // what failed was no database: roles, or the job itself
		return append(out, guide.FourLines(d.Err)...)
	}
	if good < len(rows) {
		out = append(out, guide.Section{Label: "again", Lines: []guide.Line{{Text: "when the causes are mended, pgvault recover goes on: what is there already is left as it is"}}})
	}
	return out
}

// recoveryEnded is how the recovery of a guide ended, nil for well, or before
// there was one.
func recoveryEnded(v *guide.Values) error {
	if d := v.Ended("run"); d != nil {
		return d.Err
	}
	return nil
}

// RecoverExit is the exit code of a recovery guide that was walked through.
func RecoverExit(v *guide.Values) fault.Code { return fault.CodeOf(recoveryEnded(v)) }
