package guide

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"pgvault/fault"
	"pgvault/vault"
)

// The fields and facts of the switch that may follow a restore.
const (
	keySwap    = "switch wanted"
	keyAccept  = "accept"
	keyReplace = "replace"

	factSwap    = "switch"
	factSwapErr = "why there is no switch"
)

// offer asks whether what was restored could take the live database's place;
// what keeps it from that is a reason, no failure of the report.
func (r *restore) offer(ctx context.Context, v *Values, _ Talk) error {
	v.Put(factSwap, nil)
	d := v.Ended("run")
	switch {
	case d == nil:
		return nil
	case len(r.options(v).Tables) > 0:
		v.Put(factSwapErr, "only some tables were restored")
	case d.Result != vault.ResultOK && d.Exit != fault.Differs && d.Exit != fault.Partial:
		v.Put(factSwapErr, "the restore did not come to the comparison")
	default:
		p, err := r.Vault.PlanSwitch(ctx, vault.SwitchOptions{Database: r.archive(v).Database, With: r.target(v)})
		switch {
		case err != nil:
			v.Put(factSwapErr, fault.As(err).What)
		case p.Live.OID == 0 || p.Other.OID == 0 || p.Archive == "":
			v.Put(factSwapErr, "the restored database cannot take the live one's place: "+firstX(p))
		default:
			v.Put(factSwap, p)
		}
	}
	return nil
}

func firstX(p *vault.SwitchPlan) string {
	for _, c := range p.Checks {
		if c.State == "x" {
			return c.Text
		}
	}
	return "a database is missing"
}

func (r *restore) switchAction() Action {
	return Action{Key: "s", Name: "switch", Help: "put the restored database in the live one's place", Off: func(v *Values) string {
		if FactOf[*vault.SwitchPlan](v, factSwap) == nil {
			return first(FactOf[string](v, factSwapErr), "no switch is offered")
		}
		return ""
	}, Do: func(_ context.Context, v *Values, _ Talk) (Effect, error) {
		v.Set(keySwap, "yes")
		return Effect{Goto: "switch"}, nil
	}}
}

func noSwitch(v *Values) bool { return !v.Yes(keySwap) }

// differing is what differs and has to be accepted by its name.
func differing(v *Values) []string {
	var out []string
	if p := FactOf[*vault.SwitchPlan](v, factSwap); p != nil {
		for _, d := range p.Differences {
			out = append(out, d.Name)
		}
	}
	return out
}

// accepted is what was typed of that: the names, separated by commas.
func accepted(v *Values) ([]string, bool) {
	want, typed := differing(v), strings.TrimSpace(v.Get(keyAccept))
	if typed == strings.Join(want, ",") || typed == strings.Join(want, ", ") { // names may hold commas
		return want, true
	}
	got := strings.Split(typed, ",")
	for i := range got {
		got[i] = strings.TrimSpace(got[i])
	}
	slices.Sort(got)
	sorted := slices.Sorted(slices.Values(want))
	return want, slices.Equal(got, sorted)
}

// switchStep shows what a switch does and takes the name of the database that
// is replaced.
func (r *restore) switchStep() Step {
	return Step{
		Key: "switch", Name: "Switch", Question: "Put the restored database in the place of the live one?", Enter: "switch", Final: true, Skip: noSwitch,
		Text: "Nothing has been changed yet; the live database is kept whole under another name.",
		Why:  "Both are renamed in one transaction, after new logins were refused and sessions ended. If a step fails, the names go back. pgvault never drops the old one.",
		Fields: []Field{
			{Key: keyAccept, Label: "accept as different", Hint: "the name of each thing that differs, separated by commas", When: func(v *Values) bool { return len(differing(v)) > 0 }, Valid: func(v *Values, _ []byte) Line {
				if _, ok := accepted(v); !ok {
					return Line{State: "x", Text: "these have to be named: " + strings.Join(differing(v), ", ")}
				}
				return Line{}
			}},
			{Key: keyReplace, Label: "name of the database to be replaced", Valid: func(v *Values, b []byte) Line {
				if string(b) != r.archive(v).Database {
					return Line{State: "x", Text: "that is not its name"}
				}
				return Line{}
			}},
		},
		Body: func(v *Values) []Section { return r.switchSections(FactOf[*vault.SwitchPlan](v, factSwap)) },
		Do: func(ctx context.Context, v *Values, _ Talk) error {
			o := vault.SwitchOptions{Database: r.archive(v).Database, With: r.target(v)}
			o.Accept, _ = accepted(v)
			p, err := r.Vault.PlanSwitch(ctx, o)
			if err != nil {
				return err
			}
			if p.Refused() {
				return &fault.Error{Op: "switch", What: "the switch is refused", Why: firstX(p), Left: "no name was changed", Do: "Enter tries again when that has changed", Code: fault.Refused}
			}
			v.Put(factSwap, p)
			return nil
		},
		Doing: "asking both databases",
	}
}

func (r *restore) switchSections(p *vault.SwitchPlan) []Section {
	if p == nil {
		return nil
	}
	same := p.Same
	if r.Again != nil {
		same = r.Again(same)
	}
	now, after := Section{Label: "now"}, Section{Label: "after"}
	for _, d := range []vault.SwitchSide{p.Live, p.Other} {
		now.Lines = append(now.Lines, Line{State: "", Text: fmt.Sprintf("%s: %s, %s", d.Name, Size(max(d.Bytes, 0)), Plural(int64(len(d.Sessions)), "session"))})
		after.Lines = append(after.Lines, Line{Text: d.After + " is what is " + d.Name + " now"})
	}
	checks := Section{Label: "checks"}
	for _, c := range p.Checks {
		checks.Lines = append(checks.Lines, Line(c))
	}
	steps := Section{Label: "steps"}
	for i, s := range p.Steps {
		steps.Lines = append(steps.Lines, Line{Text: fmt.Sprintf("%d  %s", i+1, s)})
	}
	return []Section{now, after, checks, steps, {Label: "same as", Lines: []Line{{Text: same}}}}
}

// swapStep runs the switch, swappedStep tells what came of it.
func (r *restore) swapStep() Step {
	return Step{
		Key: "swap", Name: "Rename", Question: "The switch is running", Loading: "starting the job", Skip: noSwitch,
		Job: func(_ context.Context, v *Values, _ Talk) (vault.Order, vault.Secrets, error) {
			return FactOf[*vault.SwitchPlan](v, factSwap).Order(), vault.Secrets{}, nil
		},
		Body: func(v *Values) []Section { return runSections(v.Run("swap")) },
	}
}

func (r *restore) swappedStep() Step {
	return Step{
		Key: "swapped", Name: "Switched", Question: "What came of the switch", Enter: "close", Skip: noSwitch,
		Body: func(v *Values) []Section {
			run, p := v.Run("swap"), FactOf[*vault.SwitchPlan](v, factSwap)
			if run == nil || run.Done == nil || p == nil {
				return nil
			}
			if run.Done.Result != vault.ResultOK {
				return FourLines(run.Done.Err)
			}
			undo := "pgvault switch --undo " + Quoted(p.Database) + " --confirm " + Quoted(p.Database)
			if r.Again != nil {
				undo = r.Again(undo)
			}
			return []Section{{Lines: []Line{{State: "ok", Text: p.Database + " is what was " + p.Other.Name}}},
				{Label: "kept", Lines: []Line{{Text: p.Old + ": what was " + p.Database + " before, whole, closed to logins; pgvault never drops it"}}},
				{Label: "undo", Lines: []Line{{Text: undo}}}}
		},
	}
}

// FourLines is an error as sections: what happened, why, what is left as it
// was, what to do. None for nil.
func FourLines(err error) []Section {
	if err == nil {
		return nil
	}
	var out []Section
	f := fault.As(err)
	for _, l := range [][2]string{{"what", f.What}, {"why", f.Why}, {"left", f.Left}, {"do", f.Do}} {
		if strings.TrimSpace(l[1]) != "" {
			out = append(out, Section{Label: l[0], Lines: []Line{{Text: l[1]}}})
		}
	}
	return out
}
