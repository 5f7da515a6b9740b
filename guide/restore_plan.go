package guide

import (
	"context"
	"fmt"
	"slices"
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
				{Value: "create", Label: "create them as they were", Hint: "with passwords, memberships and settings"},
				{Value: "make", Label: "make them bare", Hint: "without login and password"},
				{Value: "leave", Label: "leave owners and grants out", Hint: "all belongs to the role that restores"},
			}
		}}, {Key: keySpaces, Label: "tablespaces", Kind: Choice, When: spacesMissing, Options: func(*Values) []Option {
			return []Option{
				{Value: "stop", Label: "do not restore without them"},
				{Value: "default", Label: "all into the default one"},
			}
		}}},
		Body: func(v *Values) []Section {
			p := FactOf[*vault.RestorePlan](v, factPlan)
			if p == nil {
				return nil
			}
			return append([]Section{checkSection(p)}, statements(p)...)
		},
		Actions: []Action{r.rolesAction(), r.spacesAction(), r.tablesAction()},
		Load:    func(ctx context.Context, v *Values, _ Talk) error { return r.plan(ctx, v) },
		Loading: "checking what the restore needs; nothing is changed",
		Do: func(ctx context.Context, v *Values, _ Talk) error {
			if FactOf[string](v, factDecided) != decided(v) {
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
func rolesMissing(v *Values) bool { return hasCheck(v, "roles are missing") }

// spacesMissing is the same of tablespaces.
func spacesMissing(v *Values) bool { return hasCheck(v, "tablespaces are missing") }

func hasCheck(v *Values, begin string) bool {
	p := FactOf[*vault.RestorePlan](v, factPlan)
	return p != nil && slices.ContainsFunc(p.Checks, func(c vault.Check) bool { return strings.HasPrefix(c.Text, begin) })
}

// decideAction goes to the next of the ways to deal with what is missing, and
// plans anew.
func (r *restore) decideAction(key, name, help, field string, missing func(*Values) bool, none string, ways ...string) Action {
	return Action{Key: key, Name: name, Help: help, Off: func(v *Values) string {
		if !missing(v) {
			return none
		}
		return ""
	}, Do: func(ctx context.Context, v *Values, _ Talk) (Effect, error) {
		before := v.Get(field)
		now := ways[(slices.Index(ways, first(before, "stop"))+1)%len(ways)]
		v.Set(field, now)
		if err := r.plan(ctx, v); err != nil {
			v.Set(field, before)
			return Effect{}, err
		}
		return Effect{Say: "planned anew: " + wayWords[now]}, nil
	}}
}

// wayWords say what was decided about what is missing.
var wayWords = map[string]string{
	"stop": "not restored while something is missing", "create": "roles are created as they were", "make": "roles are made without login and password",
	"leave": "owners and grants are left out", "default": "all goes into the default tablespace",
}

func (r *restore) rolesAction() Action {
	return r.decideAction("r", "missing roles", "create them as they were, make them bare, leave owners and grants out, or stop; the plan is made anew",
		keyRoles, rolesMissing, "no role is missing", "stop", "create", "make", "leave")
}

func (r *restore) spacesAction() Action {
	return r.decideAction("d", "default tablespace", "put all into the default tablespace, or stop; the plan is made anew",
		keySpaces, spacesMissing, "no tablespace is missing", "stop", "default")
}

// statements are for a person to run where a check says so.
func statements(p *vault.RestorePlan) []Section {
	if len(p.Statements) == 0 {
		return nil
	}
	s := Section{Label: "sql"}
	for _, st := range p.Statements {
		s.Lines = append(s.Lines, Line{Text: st})
	}
	return []Section{s}
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
			r.rolesAction(), r.spacesAction(), r.tablesAction(),
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
	out = append(append(out, checkSection(p)), statements(p)...)
	steps := Section{Label: "steps"}
	for i, s := range p.Steps {
		steps.Lines = append(steps.Lines, Line{Text: fmt.Sprintf("%d  %s", i+1, s)})
	}
	out = append(out, steps, text("note", fmt.Sprintf("what was written to %s after %s is NOT in this backup", a.Database,
		a.Started.In(now.Location()).Format("02 Jan 15:04:05"))))
	return append(out, text("same as", p.Same))
}
