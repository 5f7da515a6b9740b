package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"pgvault/fault"
	"pgvault/safetext"
	"pgvault/vault"
)

func (p *program) backupCmd() *cobra.Command {
	var all, detach, noCopy, due bool
	var tags []string
	cmd := &cobra.Command{
		Use:   "backup [DB...]",
		Short: "Back up databases: encrypted, signed, read back",
		Long: "Makes an archive of each database named, or with --all (or no name) of every one\nthat is configured, and brings copies to the other places. With several, one that\nfails does not stop the others. Exit 3 when an archive is good and a copy could not be made.\nIt goes on when the terminal hangs up; Ctrl-C ends it, and leaves nothing half-made.\n\n" +
			"With --due, of those only what its schedule wants now and no archive is as new as:\nwhat a systemd timer or a crontab calls, see pgvault timer. Runs that were slept\nthrough are made up for once; one after another, each at its own offset.",
		Example: "  pgvault backup\n" +
			"  pgvault backup shop crm --tag before-upgrade\n" +
			"  pgvault backup shop --detach && pgvault job watch\n" +
			"  pgvault backup --due       (what pgvault timer install has started)",
		RunE: func(cmd *cobra.Command, names []string) error {
			p.kind = vault.KindBackup
			s, err := p.open()
			if err != nil {
				return err
			}
			if due {
				return p.backupDue(cmd.Context(), s, names, all || detach || len(tags) > 0)
			}
			if len(names) == 0 || all {
				if names, err = s.vault.Databases(cmd.Context()); err != nil {
					return err
				}
			}
			if len(names) == 0 {
				return usage("no database was named and none is configured")
			}
			if p.dryRun {
				for _, n := range names {
					fmt.Fprintln(p.stdout, safetext.Line(n))
				}
				return nil
			}
			if detach {
				return p.each(names, func(name string) error {
					return p.launch(cmd.Context(), s, vault.Order{Kind: vault.KindBackup, Database: name, Tags: tags, NoCopy: noCopy}, vault.Secrets{})
				})
			}
			p.outliveTerminal()
			left := len(names)
			return p.each(names, func(name string) error {
				left--
				return s.vault.RunBackup(cmd.Context(), vault.BackupOptions{Database: name, Tags: tags, NoCopy: noCopy, More: left > 0}, p.sink())
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "every configured database")
	cmd.Flags().BoolVar(&due, "due", false, "only what its schedule wants now; waits for the offsets of what is due")
	cmd.Flags().StringArrayVar(&tags, "tag", nil, "a word to keep with the archive; may be repeated")
	cmd.Flags().BoolVar(&noCopy, "no-copy", false, "make no copies in other places; the next backup or pgvault copy --missing does")
	cmd.Flags().BoolVar(&detach, "detach", false, "start a job of its own for each and return; prints their ids")
	cmd.Flags().BoolVar(&p.json, "json", false, "JSON Lines, the last with type done")
	return cmd
}

// each runs f for every name; failures are printed as they come, and the
// exit code is that of the only failure, or 3 when some went well.
func (p *program) each(names []string, f func(string) error) error {
	var failed []error
	for _, n := range names {
		err := f(n)
		if err == nil {
			continue
		}
		failed = append(failed, err)
		if fault.CodeOf(err) == fault.Cancelled {
			break
		}
		if len(names) > 1 {
			p.printError(err)
		}
	}
	switch {
	case len(failed) == 0:
		return nil
	case len(names) == 1 || fault.CodeOf(failed[len(failed)-1]) == fault.Cancelled:
		return failed[len(failed)-1]
	case len(failed) < len(names):
		return &fault.Error{What: fmt.Sprintf("%d of %d failed", len(failed), len(names)), Why: "see above", Left: "what went well is kept", Do: "mend the causes above and run it again for those", Code: fault.Partial, Err: errors.Join(failed...)}
	}
	return &fault.Error{What: fmt.Sprintf("all %d failed", len(failed)), Why: "see above", Left: "nothing was changed", Do: "mend the causes above", Code: fault.CodeOf(failed[0]), Err: errors.Join(failed...)}
}
