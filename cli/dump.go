package cli

import "github.com/spf13/cobra"

func (p *program) dumpCmd() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "dump ID|latest:DB --output FILE|-",
		Aliases: []string{"download"},
		Short:   "Write an archive's dump, decrypted, for pg_restore",
		Long: "Writes the plain custom-format dump. FILE appears only when its last byte was\n" +
			"checked. With - heed the exit code: bytes are out before the last is checked.",
		Example: "  pgvault dump latest:shop --output shop.dump -i key.txt",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if output == "" {
				return usage("--output FILE or --output - is needed")
			}
			s, err := p.open()
			if err != nil {
				return err
			}
			return s.vault.DumpTo(cmd.Context(), args[0], output, p.stdout, p.secrets(cmd.Context()))
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "file to write, or - for standard output")
	return cmd
}
