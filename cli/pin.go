package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (p *program) pinCmd() *cobra.Command {
	return p.keepCmd("pin ID...", "Keep archives whatever the rules say",
		"A pinned archive is deleted by no rule, and by nobody before it is unpinned. The pin lies\nbeside the archive, so that every host which uses the vault heeds it.", true)
}

func (p *program) unpinCmd() *cobra.Command {
	return p.keepCmd("unpin ID...", "Let the rules decide again over archives",
		"Takes the pin away, whoever set it. What is not pinned stays as it is.", false)
}

func (p *program) keepCmd(use, short, long string, pinned bool) *cobra.Command {
	return &cobra.Command{
		Use:   use,
		Short: short,
		Long:  long,
		Args:  usageArgs(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, ids []string) error {
			s, err := p.open()
			if err != nil {
				return err
			}
			return p.each(ids, func(id string) error {
				if p.dryRun {
					_, err := s.vault.PlanDelete(cmd.Context(), id) // finds it as Pin does, and changes nothing
					return err
				}
				if err := s.vault.Pin(cmd.Context(), id, pinned); err != nil {
					return err
				}
				if !p.quiet {
					fmt.Fprintln(p.stderr, id, map[bool]string{true: "is pinned: no rule deletes it", false: "is not pinned: the rules decide"}[pinned])
				}
				return nil
			})
		},
	}
}
