package guide

import (
	"context"
	"fmt"
	"strings"

	"pgvault/fault"
	"pgvault/vault"
)

// checksStep shows what the plan found, and lets a person decide on roles
// that are missing.
func (r *restore) checksStep() Step {
	return Step{
		Key: "checks", Name: "Checks", Question: "Can it be restored here?",
		Why: "Each line was asked of the archive or of the server just now. ok is well, ! goes on but is worth knowing, x keeps from going on; the remedy stands beside it.",
		Fields: []Field{{Key: keyRoles, Label: "missing roles", Kind: Choice, When: rolesMissing, Options: func(*Values) []Option {
			return []Option{
				{Value: "stop", Label: "do not restore without them"},
				{Value: "make", Label: "make them", Hint: "without login and password"},
				{Value: "leave", Label: "leave owners and grants out", Hint: "all belongs to the role that restores"},
			}
		}}},
		Body: func(v *Values) []Section {
			p := FactOf[*vault.RestorePlan](v, factPlan)
			if p == nil {
				return nil
			}
			return []Section{checkSection(p)}
		},
		Actions: []Action{r.tablesAction()},
		Load:    func(ctx context.Context, v *Values, _ Talk) error { return r.plan(ctx, v) },
		Loading: "checking what the restore needs; nothing is changed",
		Do: func(ctx context.Context, v *Values, _ Talk) error {
			if FactOf[string](v, factRoles) != roles(v) {
				if err := r.plan(ctx, v); err != nil {
					return err
				}
			}
			return refused(FactOf[*vault.RestorePlan](v, factPlan))
		},
		Doing: "checking what the restore needs; nothing is changed",
	}
}

// rolesMissing: a plan whose roles are missing says so in one of its checks,
// whatever was decided about them.
func rolesMissing(v *Values) bool {
	p := FactOf[*vault.RestorePlan](v, factPlan)
	if p == nil {
		return false
	}
	for _, c := range p.Checks {
		if strings.HasPrefix(c.Text, "roles are missing") {
			return true
		}
	}
	return false
}

// refused is the first check that forbids the restore, as an error.
func refused(p *vault.RestorePlan) error {
	for _, c := range p.Checks {
		if c.State == "x" {
			return &fault.Error{Op: "plan", What: "the restore is refused", Why: c.Text, Left: "nothing was changed", Do: first(c.Do, "go back and choose another target"), Code: fault.Refused}
		}
	}
	return nil
}

func checkSection(p *vault.RestorePlan) Section {
	s := Section{Label: "checks"}
	for _, c := range p.Checks {
		s.Lines = append(s.Lines, Line(c))
	}
	return s
}

// shortChecks is checkSection where the checks would push the plan off the
// screen: those that hold were told the step before.
func shortChecks(p *vault.RestorePlan) Section {
	all := checkSection(p)
	if len(all.Lines) <= 5 {
		return all
	}
	s := Section{Label: all.Label}
	for _, l := range all.Lines {
		if l.State != "ok" {
			s.Lines = append(s.Lines, l)
		}
	}
	ok := Line{State: "ok", Text: fmt.Sprintf("%d of %d", len(all.Lines)-len(s.Lines), len(all.Lines))}
	s.Lines = append([]Line{ok}, s.Lines...)
	return s
}

func (r *restore) tablesAction() Action {
	return Action{Key: "t", Name: "some tables", Help: "restore only some of its tables", Do: func(_ context.Context, v *Values, _ Talk) (Effect, error) {
		v.Set(keySome, "yes")
		return Effect{Goto: "tables"}, nil
	}}
}

func (r *restore) planStep() Step {
	return Step{
		Key: "plan", Name: "Plan", Question: "This will be done. Nothing has been changed yet.", Enter: "start", Final: true,
		Why:  "The job applies exactly this plan. Should the server have changed until then, the job finds that out and stops before it writes.",
		Body: r.planSections,
		Do: func(_ context.Context, v *Values, _ Talk) error {
			return refused(FactOf[*vault.RestorePlan](v, factPlan))
		},
		Actions: []Action{
			{Key: "Y", Name: "copy command", Help: "copy the command that does the same", Do: func(_ context.Context, v *Values, _ Talk) (Effect, error) {
				p := FactOf[*vault.RestorePlan](v, factPlan)
				if len(r.files(v)) == 0 {
					return Effect{Copy: p.Same, Say: "copied; add -i and the path of a key to it: " + p.Same}, nil
				}
				return Copied(p.Same, p.Same), nil
			}},
			{Key: "e", Name: "edit target", Help: "choose another target", Do: func(context.Context, *Values, Talk) (Effect, error) { return Effect{Goto: "where"}, nil }},
			r.tablesAction(),
		},
	}
}

func (r *restore) planSections(v *Values) []Section {
	p := FactOf[*vault.RestorePlan](v, factPlan)
	if p == nil {
		return nil
	}
	a, now := p.Archive, r.Now()
	text := func(label, s string) Section { return Section{Label: label, Lines: []Line{{Text: s}}} }
	out := []Section{text("from", fmt.Sprintf("%s %s (%s), %s, %s", a.Database, a.Started.In(now.Location()).Format("02 Jan 15:04"),
		Ago(now.Sub(a.Started)), Plural(int64(a.Tables), "table"), Plural(a.Rows, "row")))}
	if p.Empty {
		out = append(out, text("to", p.Target+", which exists and is empty"))
	} else {
		out = append(out, text("to", "NEW database "+p.Target+" (nothing existing is touched)"))
	}
	if len(p.Tables) > 0 {
		out = append(out, text("only", strings.Join(p.Tables, ", ")))
	}
	for i, l := range p.Left {
		out = append(out, text([]string{"without", ""}[min(i, 1)], l))
	}
	out = append(out, shortChecks(p))
	steps := Section{Label: "steps"}
	for i, s := range p.Steps {
		steps.Lines = append(steps.Lines, Line{Text: fmt.Sprintf("%d  %s", i+1, s)})
	}
	out = append(out, steps, text("note", fmt.Sprintf("what was written to %s after %s is NOT in this backup", a.Database,
		a.Started.In(now.Location()).Format("02 Jan 15:04:05"))))
	return append(out, text("same as", p.Same))
}
