package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"pgvault/safetext"
	"pgvault/vault"
)

func (p *program) keyCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "key", Short: "Make, list, add, retire and try keys; encrypt archives anew to other keys", Args: usageArgs(cobra.NoArgs), RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	latest := 0
	drill := &cobra.Command{
		Use:   "drill -i KEY [DB...]",
		Short: "Try a key on every archive, by the headers alone; exit 12 if one stays closed",
		Long: "Reads the header of each part, some KiB whatever the archive's size, and opens it with\n" +
			"the identity. That proves in seconds that the key is the right one and is read; it does\n" +
			"not prove that the bytes after the header are whole: verify does. A drill that every\n" +
			"archive passed is remembered in the vault, and counts for keys.drill_every.\n" +
			"Exit 12 when the key does not open one, 5 when one is damaged.",
		Example: "  pgvault key drill -i alice.txt\n" +
			"  pgvault key drill -i alice.txt shop --latest 3 --json",
		RunE: func(cmd *cobra.Command, names []string) error {
			return p.drill(cmd.Context(), vault.DrillOptions{Databases: names, Latest: latest})
		},
	}
	drill.Flags().IntVar(&latest, "latest", 0, "of each database only the newest so many archives; 0 is all")
	drill.Flags().BoolVar(&p.json, "json", false, "one JSON document")
	cmd.AddCommand(p.keyNewCmd(), p.keyListCmd(), p.keyAddCmd(), p.keyRetireCmd(), p.keyResealCmd(), drill)
	return cmd
}

func (p *program) drill(ctx context.Context, o vault.DrillOptions) error {
	if o.Latest < 0 {
		return usage("--latest is a number of archives, 0 for all")
	}
	s, err := p.open()
	if err != nil {
		return err
	}
	o.Identities = p.secrets(ctx)
	d, err := s.vault.Drill(ctx, o)
	if d == nil {
		return err
	}
	if p.json {
		if werr := p.printJSON(d); werr != nil {
			return werr
		}
		return err
	}
	rows := [][]string{}
	for _, a := range d.Archives {
		rows = append(rows, []string{a.ID, safetext.Line(a.Database), drillWord(a.Result), safetext.Line(firstOf(a.Key, a.Why))})
	}
	if werr := p.table(p.stdout, []string{"ARCHIVE", "DATABASE", "DRILL", "BY"}, rows); werr != nil {
		return werr
	}
	if !p.quiet {
		fmt.Fprintf(p.stderr, "%d opened, %d closed, %d damaged; %s read in %.1f s\n", d.Opened, d.Closed, d.Damaged, size(d.Bytes), d.Seconds)
		switch {
		case err != nil:
		case d.NotKept != "":
			fmt.Fprintf(p.stderr, "! not remembered everywhere: %s\n", safetext.Line(d.NotKept))
		default:
			fmt.Fprintf(p.stderr, "remembered in the vault; every host sees it\n")
		}
	}
	return err
}

func drillWord(result string) string {
	if result == vault.DrillOpened {
		return result
	}
	return "! " + result
}
