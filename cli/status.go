package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"pgvault/fault"
	"pgvault/safetext"
	"pgvault/vault"
)

func (p *program) statusCmd() *cobra.Command {
	var tell bool
	cmd := &cobra.Command{
		Use:   "status [DB...]",
		Short: "Tell whether every database could be brought back; exit 4 if not",
		Long: "One line for each configured database, and under those that are not well what is the\n" +
			"matter, why, what is left as it was and what to do. ok means a good archive that is not\n" +
			"older than max_age; late, never, failed and running are the other words. All of it is\n" +
			"judged from the archives, not from what ran: late is late though nothing failed. While\n" +
			"the backup that follows by the schedule is being made, begun in time, none is late.\n" +
			"Exit 0 when all are ok, or running and not late, and no proof is older than\n" +
			"proof_max_age; 4 otherwise. With --tell those named under [tell] in\n" +
			"the configuration are told of what has changed since they were last told, also by a\n" +
			"backup: that a backup is late although nothing ran, and that it no longer is.",
		Example: "  pgvault status\n" +
			"  pgvault status --json | jq '.[] | select(.state != \"ok\")'\n" +
			"  */15 * * * * /usr/local/bin/pgvault --quiet status --tell > /dev/null     (a line of a crontab)",
		RunE: func(cmd *cobra.Command, names []string) error {
			shortLived()
			if !tell {
				return p.status(cmd.Context(), names)
			}
			return p.statusTold(cmd.Context(), names)
		},
	}
	cmd.Flags().BoolVar(&tell, "tell", false, "tell those named under [tell] what has changed: for a timer that sees what no run says")
	cmd.Flags().BoolVar(&p.json, "json", false, "one JSON array")
	return cmd
}

// statusTold tells first, so that the status shows a sink that did not work.
// That a place cannot be read is told as well as printed.
func (p *program) statusTold(ctx context.Context, names []string) error {
	s, err := p.open()
	if err != nil {
		return err
	}
	told := s.vault.Tell(ctx)
	err = p.status(ctx, names)
	var attention *exitCode
	if told == nil || err != nil && !errors.As(err, &attention) {
		if told != nil {
			p.printError(told)
		}
		return err
	}
	return told
}

func (p *program) status(ctx context.Context, names []string) error {
	s, err := p.open()
	if err != nil {
		return err
	}
	h, err := s.vault.Report(ctx)
	if err != nil {
		return err
	}
	list, attention := []vault.DatabaseHealth{}, len(h.Databases) == 0
	for _, d := range h.Databases {
		if named(names, d.Database) {
			list = append(list, d)
			attention = attention || d.AtRisk(h.At) || d.ProofLate
		}
	}
	for _, n := range names {
		if !slices.ContainsFunc(list, func(d vault.DatabaseHealth) bool { return d.Database == n }) {
			return usage(fmt.Sprintf("database %q is neither configured nor in the vault", n))
		}
	}
	if p.json {
		err = p.printJSON(list)
	} else {
		err = p.printStatus(list)
		p.printExplained(list, h.Warnings)
		p.printSheet(h)
	}
	if err == nil && attention {
		return &exitCode{fault.Attention}
	}
	return err
}

func (p *program) printStatus(list []vault.DatabaseHealth) error {
	if len(list) == 0 {
		fmt.Fprintln(p.stdout, "no database is configured and the vault holds no archive; nothing could be brought back")
		return nil
	}
	scheduled := slices.ContainsFunc(list, func(d vault.DatabaseHealth) bool { return d.NextRun != nil })
	header, rows := []string{"DATABASE", "STATE", "LAST GOOD", "ALLOWED", "PROOF", "PROVEN BY RESTORE"}, [][]string{}
	if scheduled {
		header = append(header, "NEXT RUN")
	}
	for _, d := range list {
		last, allowed, proven := "never", "-", "never"
		if d.LastGood != nil {
			last = age(time.Since(*d.LastGood)) + " ago"
		}
		if d.MaxAgeSeconds > 0 {
			allowed = age(time.Duration(d.MaxAgeSeconds) * time.Second)
		}
		if d.ProvenAt != nil {
			proven = age(time.Since(*d.ProvenAt)) + " ago"
		}
		if d.ProofLate {
			proven = "! " + proven
		}
		row := []string{safetext.Line(d.Database), stateWord(d.State), last, allowed, orNone(string(d.Proof)), proven}
		if scheduled {
			next := "-"
			if d.NextRun != nil {
				next = "in " + age(time.Until(*d.NextRun))
			}
			row = append(row, next)
		}
		rows = append(rows, row)
	}
	return p.table(p.stdout, header, rows)
}

// printExplained tells the four lines of every database that is not ok, and
// of what concerns the vault as a whole. With --plain there is only data.
func (p *program) printExplained(list []vault.DatabaseHealth, warnings []vault.Explained) {
	if p.plain || p.quiet {
		return
	}
	for _, d := range list {
		if d.State != "ok" {
			p.printFour(d.Database, d.Explained)
		}
	}
	for _, w := range warnings {
		p.printFour("! "+w.What, vault.Explained{Why: w.Why, Left: w.Left, Do: w.Do})
	}
}

// printSheet says in one quiet line that a vault with archives has no recovery
// sheet.
func (p *program) printSheet(h *vault.Health) {
	if p.plain || p.quiet || h.Sheet.PrintedAt != nil || !slices.ContainsFunc(h.Databases, func(d vault.DatabaseHealth) bool { return d.Archives > 0 }) {
		return
	}
	fmt.Fprintln(p.stdout, "\nno recovery sheet was printed yet: pgvault recovery-sheet")
}

func (p *program) printFour(title string, e vault.Explained) {
	fmt.Fprintf(p.stdout, "\n%s\n", safetext.Line(title))
	for _, l := range [][2]string{{"what", e.What}, {"why ", e.Why}, {"left", e.Left}, {"do  ", e.Do}} {
		if l[1] != "" {
			fmt.Fprintf(p.stdout, "  %s  %s\n", l[0], safetext.Line(l[1]))
		}
	}
}

// stateWord marks what needs a look; colour is never the only sign.
func stateWord(s string) string {
	switch s {
	case "late", "never", "failed":
		return "! " + s
	}
	return s
}
