package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"pgvault/fault"
	"pgvault/safetext"
	"pgvault/vault"
)

func (p *program) deleteCmd() *cobra.Command {
	var confirm string
	cmd := &cobra.Command{
		Use:   "delete ID --confirm ID",
		Short: "Delete one archive for good",
		Long: "Shows what would go; with --confirm and the same id it goes. The newest good archive\n" +
			"of a database, the newest that a restore has proven, pinned ones and one that a job\n" +
			"reads are never deleted. Exit 13 when it is refused or not confirmed.",
		Example: "  pgvault delete 20261122T213000Z-7f3a                                    what would go\n" +
			"  pgvault delete 20261122T213000Z-7f3a --confirm 20261122T213000Z-7f3a    it goes",
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := p.open()
			if err != nil {
				return err
			}
			plan, err := s.vault.PlanDelete(cmd.Context(), args[0])
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
			case confirm != plan.Archive.ID && confirm != args[0]:
				why := "a deletion cannot be undone, so it wants the id a second time"
				if confirm != "" {
					why = fmt.Sprintf("--confirm says %q", confirm)
				}
				return &fault.Error{Op: "delete", What: "the deletion is not confirmed", Why: why, Left: "nothing was removed",
					Do: p.again("pgvault delete " + safetext.Word(args[0]) + " --confirm " + safetext.Word(plan.Archive.ID)), Code: fault.Refused}
			}
			if err := s.vault.Delete(cmd.Context(), plan); err != nil {
				return err
			}
			if !p.quiet {
				fmt.Fprintf(p.stderr, "archive %s of %s is gone; %d files, %s\n", plan.Archive.ID, safetext.Line(plan.Archive.Database), len(plan.Files), size(plan.Bytes))
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&confirm, "confirm", "", "the archive's id once more: delete it")
	cmd.Flags().BoolVar(&p.json, "json", false, "the plan as one JSON document")
	return cmd
}

// deletion is a plan as JSON.
type deletion struct {
	ID       string   `json:"id"`
	Database string   `json:"database"`
	Files    []string `json:"files"`
	Bytes    int64    `json:"bytes"`
	Refused  string   `json:"refused"`
	Notes    []string `json:"notes"`
}

func (p *program) printDeletion(plan *vault.DeletePlan) error {
	a := plan.Archive
	if p.json {
		return p.printJSON(deletion{a.ID, a.Database, plan.Files, plan.Bytes, plan.Refused, append([]string{}, plan.Notes...)})
	}
	fmt.Fprintf(p.stdout, "delete %s of %s (%s ago), %s, for good\n", a.ID, safetext.Line(a.Database), age(time.Since(a.Started)), size(plan.Bytes))
	for _, f := range plan.Files {
		fmt.Fprintf(p.stdout, "  %s\n", safetext.Line(f))
	}
	for _, n := range plan.Notes {
		fmt.Fprintf(p.stdout, "  %s\n", safetext.Line(n))
	}
	return nil
}
