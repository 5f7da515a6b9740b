package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"pgvault/fault"
	"pgvault/safetext"
	"pgvault/vault"
)

func (p *program) deleteCmd() *cobra.Command {
	var confirm, place string
	cmd := &cobra.Command{
		Use:   "delete ID --confirm ID",
		Short: "Delete one archive for good",
		Long: "Shows what would go; with --confirm and the same id it goes. The newest good archive\n" +
			"of a database, the newest that a restore has proven, pinned ones and one that a job\n" +
			"reads are never deleted. Exit 13 when it is refused or not confirmed, 3 when a copy stays\n" +
			"for now: its place does not answer, or keeps it locked. With --place the copy in that\n" +
			"place alone goes; the last good one is confirmed as DATABASE/ID.",
		Example: "  pgvault delete 20261122T213000Z-7f3a                                    what would go\n" +
			"  pgvault delete 20261122T213000Z-7f3a --confirm 20261122T213000Z-7f3a    it goes",
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := p.open()
			if err != nil {
				return err
			}
			plan, err := planDelete(cmd.Context(), s, args[0], place)
			if err != nil {
				return err
			}
			if confirm == "" || p.dryRun || plan.Refused != "" {
				if err := p.printDeletion(plan); err != nil {
					return err
				}
			}
			switch {
			case plan.Refused != "":
				return s.vault.Delete(cmd.Context(), plan) // says so in four lines
			case p.dryRun:
				return nil
			case confirm != plan.Confirm && (confirm != args[0] || plan.Confirm != plan.Archive.ID):
				why := "a deletion cannot be undone, so it wants the id a second time"
				if confirm != "" {
					why = fmt.Sprintf("--confirm says %q", confirm)
				}
				return &fault.Error{Op: "delete", What: "the deletion is not confirmed", Why: why, Left: "nothing was removed",
					Do: p.again("pgvault delete " + safetext.Word(args[0]) + placeFlag(place) + " --confirm " + safetext.Word(plan.Confirm)), Code: fault.Refused}
			}
			if err := s.vault.Delete(cmd.Context(), plan); err != nil {
				return err
			}
			if !p.quiet {
				what := "archive"
				if place != "" {
					what = "the copy in " + safetext.Line(place) + " of archive"
				}
				fmt.Fprintf(p.stderr, "%s %s of %s is gone; %d files, %s\n", what, plan.Archive.ID, safetext.Line(plan.Archive.Database), plan.Objects(), size(plan.Bytes))
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&confirm, "confirm", "", "the archive's id once more: delete it")
	cmd.Flags().StringVar(&place, "place", "", "the copy in this place alone")
	cmd.Flags().BoolVar(&p.json, "json", false, "the plan as one JSON document")
	return cmd
}

func planDelete(ctx context.Context, s *session, id, place string) (*vault.DeletePlan, error) {
	if place != "" {
		return s.vault.PlanDeleteCopy(ctx, id, place)
	}
	return s.vault.PlanDelete(ctx, id)
}

// placeFlag is --place as part of a command, empty where it was not given.
func placeFlag(place string) string {
	if place == "" {
		return ""
	}
	return " --place " + safetext.Word(place)
}

// deletion is a plan as JSON.
type deletion struct {
	ID       string   `json:"id"`
	Database string   `json:"database"`
	Files    []string `json:"files"`
	Bytes    int64    `json:"bytes"`
	Refused  string   `json:"refused"`
	Notes    []string `json:"notes"`

	Copies []vault.CopyDeletion `json:"copies"`
}

func (p *program) printDeletion(plan *vault.DeletePlan) error {
	a := plan.Archive
	if p.json {
		return p.printJSON(deletion{a.ID, a.Database, plan.Files, plan.Bytes, plan.Refused, append([]string{}, plan.Notes...), append([]vault.CopyDeletion{}, plan.Copies...)})
	}
	fmt.Fprintf(p.stdout, "delete %s of %s (%s ago), %s, for good\n", a.ID, safetext.Line(a.Database), age(time.Since(a.Started)), size(plan.Bytes))
	for _, c := range plan.Copies {
		if len(plan.Copies) > 1 || plan.Place != "" {
			fmt.Fprintf(p.stdout, "  in %s\n", safetext.Line(c.Place))
		}
		if c.Later != "" {
			fmt.Fprintf(p.stdout, "  stays for now: %s\n", safetext.Line(c.Later))
			continue
		}
		for _, f := range c.Files {
			fmt.Fprintf(p.stdout, "  %s\n", safetext.Line(f))
		}
	}
	for _, n := range plan.Notes {
		fmt.Fprintf(p.stdout, "  %s\n", safetext.Line(n))
	}
	return nil
}
