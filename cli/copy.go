package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"pgvault/fault"
	"pgvault/safetext"
	"pgvault/vault"
)

func (p *program) copyCmd() *cobra.Command {
	var missing, detach bool
	var to []string
	cmd := &cobra.Command{
		Use:   "copy ID|latest:DB...|--missing",
		Short: "Bring archives to places that lack them, and heal damaged copies",
		Long: "Reads an archive once and sends it to every place that ought to have a copy, or to\n" +
			"those named with --to. What lies there already is kept when its bytes are right, which\n" +
			"reading it tells; what is wrong there is replaced from a good copy. A place named with\n" +
			"--to is always compared byte by byte. With --missing: all that any place lacks, newest\n" +
			"first. A place that fails does not stop the others: exit 3, and the next run goes on\n" +
			"from there. 15 when the only place cannot be reached, 5 when no copy is good.",
		Example: "  pgvault copy --missing\n" +
			"  pgvault copy --missing --to nas -n        what would be sent\n" +
			"  pgvault copy latest:shop --to s3",
		RunE: func(cmd *cobra.Command, refs []string) error {
			p.kind = vault.KindCopy
			if missing == (len(refs) > 0) {
				return usage("name an archive, latest:DB or --missing")
			}
			s, err := p.open()
			if err != nil {
				return err
			}
			if missing {
				refs = []string{""}
			}
			options := func(ref string) vault.CopyOptions { return vault.CopyOptions{ID: ref, Missing: missing, To: to} }
			switch {
			case p.dryRun:
				return p.planCopies(cmd.Context(), s, refs, options)
			case detach:
				return p.each(refs, func(ref string) error { return p.launch(cmd.Context(), s, options(ref).Order(), vault.Secrets{}) })
			}
			p.outliveTerminal()
			return p.each(refs, func(ref string) error { return s.vault.RunCopy(cmd.Context(), options(ref), p.sink()) })
		},
	}
	cmd.Flags().BoolVar(&missing, "missing", false, "all that places lack that they ought to have")
	cmd.Flags().StringArrayVar(&to, "to", nil, "only to this place; may be repeated")
	cmd.Flags().BoolVar(&detach, "detach", false, "start a job of its own and return; prints its id")
	cmd.Flags().BoolVar(&p.json, "json", false, "JSON Lines, the last with type done; with -n one document")
	return cmd
}

// plannedCopies is a dry run as JSON.
type plannedCopies struct {
	Copies []vault.PlannedCopy `json:"copies"`
	Bytes  int64               `json:"bytes"`
	Silent []silentPlace       `json:"silent"`
	Left   []string            `json:"left_out"`
	Proofs int                 `json:"proofs"` // copies that get a proof which lies in another place
}

// silentPlace does not answer and may lack something.
type silentPlace struct {
	Place   string `json:"place"`
	Missing int    `json:"missing"`
	Why     string `json:"why"`
}

func (p *program) planCopies(ctx context.Context, s *session, refs []string, options func(string) vault.CopyOptions) error {
	all := plannedCopies{Copies: []vault.PlannedCopy{}, Silent: []silentPlace{}, Left: []string{}}
	for _, ref := range refs {
		plan, err := s.vault.PlanCopy(ctx, options(ref))
		if err != nil {
			return err
		}
		all.Copies = append(all.Copies, plan.Copies...)
		all.Bytes += plan.Bytes()
		all.Left = append(all.Left, plan.Left...)
		all.Proofs += plan.Proofs
		for _, r := range plan.Silent {
			e := fault.As(r.Err)
			all.Silent = append(all.Silent, silentPlace{r.Place, r.Missing, e.Error()})
		}
	}
	if p.json {
		return p.printJSON(all)
	}
	for _, l := range all.Left {
		fmt.Fprintf(p.stderr, "   %s\n", safetext.Line(l))
	}
	for _, r := range all.Silent {
		fmt.Fprintf(p.stderr, " ! %s does not answer and lacks up to %d: %s\n", safetext.Line(r.Place), r.Missing, safetext.Line(r.Why))
	}
	if all.Proofs > 0 && !p.quiet {
		fmt.Fprintf(p.stderr, "   %d copies get proofs that lie in another place\n", all.Proofs)
	}
	if len(all.Copies) == 0 {
		if !p.quiet && all.Proofs == 0 {
			fmt.Fprintln(p.stderr, "nothing is missing in the places that answer")
		}
		return nil
	}
	rows := [][]string{}
	for _, c := range all.Copies {
		rows = append(rows, []string{c.ID, safetext.Line(c.Database), safetext.Line(c.Place), c.State, safetext.Line(firstOf(c.From, "-")), size(c.Bytes)})
	}
	if err := p.table(p.stdout, []string{"ID", "DATABASE", "TO", "NOW", "FROM", "BYTES"}, rows); err != nil {
		return err
	}
	if !p.quiet {
		fmt.Fprintf(p.stderr, "%d copies, %s at most; nothing was sent\n", len(all.Copies), size(all.Bytes))
	}
	return nil
}
