package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"pgvault/fault"
	"pgvault/safetext"
	"pgvault/vault"
)

func (p *program) keyResealCmd() *cobra.Command {
	o := vault.ResealOptions{}
	cmd := &cobra.Command{
		Use:   "reseal ID...|--all|--database DB -i KEY",
		Short: "Encrypt old archives anew to the present recipients, without plaintext on disk",
		Long: "Each archive is decrypted with the identity and encrypted to the present recipients with\n" +
			"new file keys, in memory, as a new archive of the same moment: it is listed, and counted by\n" +
			"the rules of retention, where the old one is, never as the newest backup. It is read back to\n" +
			"its last byte and every table compared before it can be seen. The old archive stays until the\n" +
			"rules give it up or it is deleted (pgvault delete ID --confirm ID); once it is gone from every\n" +
			"place, its key opens nothing any more, but copies that somebody took stay open to it.\n" +
			"What was interrupted goes on with what is left. Exit 12 when the identity opens none of the\n" +
			"archives, 3 when some were left out or failed.",
		Example: "  pgvault key reseal --all -i old.txt -n      what would be done\n" +
			"  pgvault key reseal --database shop -i old.txt\n" +
			"  pgvault key reseal 20261122T213000Z-7f3a -i old.txt --json",
		RunE: func(cmd *cobra.Command, ids []string) error {
			o.IDs = ids
			return p.reseal(cmd.Context(), o)
		},
	}
	cmd.Flags().BoolVar(&o.All, "all", false, "every archive that is not sealed to exactly the present recipients")
	cmd.Flags().StringArrayVar(&o.Databases, "database", nil, "all archives of this database; may be repeated")
	cmd.Flags().BoolVar(&p.json, "json", false, "JSON Lines, the last with type done; with -n one document")
	return cmd
}

// resealPlan is a dry run as JSON.
type resealPlan struct {
	Archives   []vault.PlannedReseal `json:"archives"`
	Bytes      int64                 `json:"bytes"`
	Recipients []string              `json:"recipients"`
	Left       []string              `json:"left_out"`
}

func (p *program) reseal(ctx context.Context, o vault.ResealOptions) error {
	p.kind = vault.KindReseal
	s, err := p.open()
	if err != nil {
		return err
	}
	o.Identities = p.secrets(ctx)
	plan, err := s.vault.PlanReseal(ctx, o)
	if err != nil {
		return err
	}
	if p.dryRun {
		return p.printReseal(plan)
	}
	if o.Identities.None() {
		return &fault.Error{Op: "key reseal", What: "no identity was given", Why: "what is to be encrypted anew must be decrypted first", Left: "nothing was read or written",
			Do: "name the secret key of a recipient of the old archives with -i FILE", Code: fault.NoKey}
	}
	p.outliveTerminal()
	if !p.json && !p.quiet {
		for _, l := range plan.Left {
			fmt.Fprintf(p.stderr, "   %s\n", safetext.Line(l))
		}
	}
	return s.vault.RunReseal(ctx, plan, p.sink())
}

func (p *program) printReseal(plan *vault.ResealPlan) error {
	to := []string{}
	for _, r := range plan.Recipients {
		to = append(to, r.Name)
	}
	if p.json {
		return p.printJSON(resealPlan{plan.Archives, plan.Bytes(), to, append([]string{}, plan.Left...)})
	}
	rows := [][]string{}
	for _, a := range plan.Archives {
		rows = append(rows, []string{a.ID, safetext.Line(a.Database), size(a.Bytes), safetext.Line(firstOf(a.From, "-")), safetext.Line(strings.Join(a.To, ", "))})
	}
	if len(rows) > 0 {
		if err := p.table(p.stdout, []string{"ID", "DATABASE", "BYTES", "FROM", "SEALED TO NOW"}, rows); err != nil {
			return err
		}
	}
	if p.quiet {
		return nil
	}
	for _, l := range plan.Left {
		fmt.Fprintf(p.stderr, "   %s\n", safetext.Line(l))
	}
	fmt.Fprintf(p.stderr, "%d archives, %s read, read back, and about as much more stored; to %s; nothing was written\n", len(plan.Archives), size(plan.Bytes()), safetext.Line(strings.Join(to, ", ")))
	return nil
}
