package cli

import (
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"pgvault/fault"
	"pgvault/safetext"
	"pgvault/vault"
)

func (p *program) listCmd() *cobra.Command {
	var filter string
	cmd := &cobra.Command{
		Use:     "list [DB...]",
		Aliases: []string{"snapshots"},
		Short:   "List archives, newest first",
		Long: "Lists the archives with their state (good, damaged, partial or foreign; imported for a good\n" +
			"import) and their proof (stored, intact, readable or restored). Exit 10, and [] with --json,\n" +
			"where there is no vault.",
		Example: "  pgvault list\n" +
			"  pgvault list shop --filter 'age:<7d !proof:restored'\n" +
			"  pgvault list --json | jq -r '.[0].id'",
		RunE: func(cmd *cobra.Command, names []string) error {
			shortLived()
			s, err := p.open()
			if err != nil {
				return err
			}
			list, err := s.vault.List(cmd.Context())
			if err != nil && p.json && fault.CodeOf(err) == fault.NoVault {
				fmt.Fprintln(p.stdout, "[]")
			}
			if err != nil {
				return err
			}
			match := vault.ParseFilter(filter)
			if match.Wrong != "" {
				return usage(match.Wrong)
			}
			shown := make([]vault.Archive, 0, len(list))
			for _, a := range list {
				if named(names, a.Database) && match.Match(a, time.Now()) {
					shown = append(shown, a)
				}
			}
			if p.json {
				return printJSONArray(p, shown)
			}
			return p.printList(shown)
		},
	}
	cmd.Flags().StringVar(&filter, "filter", "", vault.FilterHelp)
	cmd.Flags().BoolVar(&p.json, "json", false, "one JSON array")
	return cmd
}

// shortLived has the garbage of a process that only reads a listing and ends
// collected seldom: of ten thousand archives that is a quarter of its work,
// for 10 MiB more.
func shortLived() { debug.SetGCPercent(400) }

func named(names []string, database string) bool {
	for _, n := range names {
		if n == database {
			return true
		}
	}
	return len(names) == 0
}

func (p *program) printList(list []vault.Archive) error {
	header := []string{"ID", "DATABASE", "FINISHED", "AGE", "STATE", "TABLES", "ROWS", "STORED", "KEEP", "PROOF", "COPIES"}
	rows := [][]string{}
	for _, a := range list {
		rows = append(rows, []string{a.ID, safetext.Line(a.Database), a.Finished.Local().Format("2006-01-02 15:04"), age(time.Since(a.Finished)), archiveState(a),
			fmt.Sprint(a.Tables), fmt.Sprint(a.Rows), size(a.Stored), pinnedWord(a), string(a.Proof), fmt.Sprintf("%d/%d", a.GoodCopies(), len(a.Copies))})
	}
	return p.table(p.stdout, header, rows)
}

func pinnedWord(a vault.Archive) string {
	if a.Pinned {
		return "pinned"
	}
	return "-"
}

// table prints aligned columns, or with --plain tab-separated values
// without a header.
func (p *program) table(w io.Writer, header []string, rows [][]string) error {
	if p.plain {
		for _, r := range rows {
			fmt.Fprintln(w, strings.Join(r, "\t"))
		}
		return nil
	}
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(tw, strings.Join(header, "\t"))
	for _, r := range rows {
		fmt.Fprintln(tw, strings.Join(r, "\t"))
	}
	return tw.Flush()
}

// age writes a span in its largest unit.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// archiveState tells an import apart from a backup.
func archiveState(a vault.Archive) string {
	if a.Imported != nil && a.State == "good" {
		return "imported"
	}
	return a.State
}
