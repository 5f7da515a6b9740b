package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pgvault/safetext"
)

func (p *program) retentionCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "retention [DB...]",
		Aliases: []string{"forget"},
		Short:   "Preview what the retention policy would keep and delete, and why",
		Long:    "Shows the verdict on every archive. Nothing is deleted: this version only previews.",
		RunE: func(cmd *cobra.Command, names []string) error {
			s, err := p.open()
			if err != nil {
				return err
			}
			decisions, err := s.vault.RetentionPreview(cmd.Context(), names)
			if err != nil {
				return err
			}
			if p.json {
				return p.printJSON(decisions)
			}
			rows := [][]string{}
			for _, d := range decisions {
				verdict := "keep"
				if !d.Keep {
					verdict = "DELETE"
				}
				rows = append(rows, []string{d.ID, safetext.Line(d.Database), age(time.Since(d.Time)), verdict, strings.Join(d.Reasons, "; ")})
			}
			if err := p.table(p.stdout, []string{"ID", "DATABASE", "AGE", "VERDICT", "WHY"}, rows); err != nil {
				return err
			}
			fmt.Fprintln(p.stderr, "a preview: nothing was deleted")
			return nil
		},
	}
	cmd.Flags().BoolVar(&p.json, "json", false, "one JSON array")
	return cmd
}
