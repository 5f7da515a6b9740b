package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pgvault/fault"
	"pgvault/safetext"
	"pgvault/vault"
	"pgvault/vault/retention"
)

func (p *program) retentionCmd() *cobra.Command {
	var apply bool
	var confirm int
	var undo string
	cmd := &cobra.Command{
		Use:     "retention [DB...]",
		Aliases: []string{"forget"},
		Short:   "Show what the retention policy keeps and removes, and why; apply it",
		Long: "Shows the verdict on every archive; nothing is changed. With --apply and the number of\n" +
			"archives that it would mark or remove, it does: an archive that no rule keeps is marked\n" +
			"first, and removed by a later run, when its grace is over and still no rule keeps it.\n" +
			"Until then --undo takes the mark away, and pgvault pin keeps it for good.\n\n" +
			"Never removed by any rule: the newest good archive of a database, the newest that a\n" +
			"restore has proven, the newest good copy in each place, what is pinned, locked, or read by\n" +
			"a job. Nothing of a database goes while its backups fail. Exit 13 when it is refused or\n" +
			"not confirmed.",
		Example: "  pgvault retention                        what would happen, and why\n" +
			"  pgvault retention --apply --confirm 3    it happens to three archives",
		RunE: func(cmd *cobra.Command, names []string) error {
			s, err := p.open()
			if err != nil {
				return err
			}
			ctx := cmd.Context()
			if undo != "" {
				return p.undoMark(ctx, s, undo)
			}
			plan, err := s.vault.PlanRetention(ctx, names)
			if err == nil && plan.Refused == "" { // else the place, and not the name, is the matter
				err = knownTo(plan, names)
			}
			if err != nil {
				return err
			}
			if !apply || p.dryRun {
				return p.printRetention(plan)
			}
			if !cmd.Flags().Changed("confirm") {
				if err := p.printRetention(plan); err != nil {
					return err
				}
				return &fault.Error{Op: "retention", What: "retention is not confirmed", Why: fmt.Sprintf("it would mark or remove %d archives", plan.Confirm()), Left: "nothing was marked or removed",
					Do: p.again(fmt.Sprintf("pgvault retention --apply --confirm %d", plan.Confirm())), Code: fault.Refused}
			}
			took := map[retention.Step]int{} // an undo meanwhile keeps what was to go
			err = s.vault.ApplyRetention(ctx, plan, confirm, func(v vault.Verdict) {
				took[v.Step]++
				if !p.quiet {
					fmt.Fprintln(p.stderr, stepLine(v))
				}
			})
			if err == nil && p.json {
				err = p.printJSON(retentionReport{plan, plan.Confirm(), plan.Frees(), true})
			}
			if err == nil && !p.quiet {
				fmt.Fprintf(p.stderr, "kept %d, marked %d, gone %d\n", len(plan.Verdicts)-took[retention.StepRemove], took[retention.StepMark], took[retention.StepRemove])
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&apply, "apply", false, "do it, with --confirm")
	cmd.Flags().IntVar(&confirm, "confirm", 0, "the number of archives that may be marked or removed")
	cmd.Flags().StringVar(&undo, "undo", "", "take the mark of this archive away")
	cmd.Flags().BoolVar(&p.json, "json", false, "the plan as one JSON document; confirm in it is the number that applies it")
	return cmd
}

// retentionReport is the JSON document of a plan.
type retentionReport struct {
	*vault.RetentionPlan
	Confirm int   `json:"confirm"` // the number that applies it
	Frees   int64 `json:"frees"`   // bytes that removing gives back now, in all places
	Applied bool  `json:"applied"` // it was done
}

// knownTo refuses a name of which the vault holds nothing: it was mistyped.
func knownTo(plan *vault.RetentionPlan, names []string) error {
	for _, n := range names {
		if !slices.ContainsFunc(plan.Verdicts, func(v vault.Verdict) bool { return v.Database == n }) {
			return usage(fmt.Sprintf("the vault holds no archive of a database %q", n))
		}
	}
	return nil
}

func (p *program) undoMark(ctx context.Context, s *session, id string) error {
	if err := s.vault.KeepMarked(ctx, id); err != nil {
		return err
	}
	if !p.quiet {
		fmt.Fprintf(p.stderr, "archive %s is not marked any more; where no rule keeps it, the next run marks it again. pgvault pin keeps it for good.\n", safetext.Line(id))
	}
	return nil
}

// stepLine says what was done to one archive.
func stepLine(v vault.Verdict) string {
	did := map[retention.Step]string{retention.StepMark: "marked", retention.StepUnmark: "kept again", retention.StepRemove: "gone"}[v.Step]
	return fmt.Sprintf("%-10s  %s  %s  (%s)", did, v.ID, safetext.Line(v.Database), strings.Join(v.Reasons, "; "))
}

func (p *program) printRetention(plan *vault.RetentionPlan) error {
	if p.json {
		return p.printJSON(retentionReport{plan, plan.Confirm(), plan.Frees(), false})
	}
	now := plan.At
	rows := [][]string{}
	for _, v := range plan.Verdicts {
		rows = append(rows, []string{v.ID, safetext.Line(v.Database), age(now.Sub(v.Time)), stepWords(v, now), strings.Join(v.Reasons, "; ")})
	}
	if err := p.table(p.stdout, []string{"ID", "DATABASE", "AGE", "VERDICT", "WHY"}, rows); err != nil {
		return err
	}
	for _, line := range timelines(plan) {
		fmt.Fprintln(p.stdout, line)
	}
	fmt.Fprintf(p.stderr, "keep %d, mark %d, delete %d (frees %s); a preview: nothing was deleted\n",
		len(plan.Verdicts)-plan.Confirm(), plan.Count(retention.StepMark), plan.Count(retention.StepRemove), size(plan.Frees()))
	if plan.Refused != "" {
		fmt.Fprintf(p.stderr, "! nothing may go now: %s\n  do: %s\n", safetext.Line(plan.Refused), safetext.Line(plan.Do))
	}
	for _, name := range slices.Sorted(maps.Keys(plan.Excess)) {
		fmt.Fprintf(p.stderr, "! %d archives of %s would go at once: only with --apply --confirm\n", plan.Excess[name], safetext.Line(name))
	}
	return nil
}

func stepWords(v vault.Verdict, now time.Time) string {
	switch v.Step {
	case retention.StepMark:
		return "DELETE in " + age(v.Until.Sub(now))
	case retention.StepWait:
		if v.Keep {
			return "wait"
		}
		return "DELETE in " + age(v.Until.Sub(now)) + ", marked"
	case retention.StepRemove:
		return "DELETE now"
	case retention.StepUnmark:
		return "keep again"
	}
	return "keep"
}

// timelineWidth is how many columns a timeline takes.
const timelineWidth = 60

// timelines draws the archives of each database from the oldest to now: o
// stays, x goes, - waits for its grace. Where several fall on one column, the
// worst is shown.
func timelines(plan *vault.RetentionPlan) []string {
	var out []string
	for i := 0; i < len(plan.Verdicts); {
		n := i
		for n < len(plan.Verdicts) && plan.Verdicts[n].Database == plan.Verdicts[i].Database {
			n++
		}
		out = append(out, timeline(plan.Verdicts[i:n], plan.At))
		i = n
	}
	return out
}

func timeline(list []vault.Verdict, now time.Time) string {
	oldest := now
	for _, v := range list {
		if v.Time.Before(oldest) {
			oldest = v.Time
		}
	}
	line := []byte(strings.Repeat(".", timelineWidth))
	whole := max(now.Sub(oldest), 1)
	for _, v := range list {
		at := min(max(int(float64(timelineWidth-1)*float64(v.Time.Sub(oldest))/float64(whole)), 0), timelineWidth-1)
		mark := byte('o')
		switch v.Step {
		case retention.StepMark, retention.StepRemove:
			mark = 'x'
		case retention.StepWait:
			mark = '-'
		}
		if line[at] == '.' || mark == 'x' || mark == '-' && line[at] == 'o' {
			line[at] = mark
		}
	}
	return fmt.Sprintf("%s ago %s now  %s", age(whole), line, safetext.Line(list[0].Database))
}
