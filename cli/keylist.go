package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"pgvault/safetext"
	"pgvault/vault"
)

func (p *program) keyListCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Tell who opens how many archives, and which no present recipient opens",
		Long: "Every recipient of the configuration, and every other that an archive was sealed to: name,\n" +
			"kind, how many archives it opens, the newest and the oldest of them, when an identity of it\n" +
			"was last seen to open one (pgvault key drill), and its fingerprint. Below, the archives that\n" +
			"no present recipient opens: their key must be kept, or they must be resealed while it is\n" +
			"there. No secret key is asked for; what the signed manifests say is counted.",
		Example: "  pgvault key list\n" +
			"  pgvault key list --json | jq '.closed'",
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return p.keyList(cmd.Context()) },
	}
	cmd.Flags().BoolVar(&p.json, "json", false, "one JSON document")
	return cmd
}

func (p *program) keyList(ctx context.Context) error {
	s, err := p.open()
	if err != nil {
		return err
	}
	l, err := s.vault.KeyList(ctx)
	if err != nil {
		return err
	}
	if p.json {
		return p.printJSON(l)
	}
	rows := [][]string{}
	for _, k := range l.Recipients {
		rows = append(rows, []string{safetext.Line(k.Name), keyState(k), k.Kind, fmt.Sprint(k.Archives), keyMoment(k.Newest), keyMoment(k.Oldest), agoOr(k.ProvenAt, "never"), k.Fingerprint})
	}
	if err := p.table(p.stdout, []string{"NAME", "STATE", "KIND", "OPENS", "NEWEST", "OLDEST", "PROVEN", "FINGERPRINT"}, rows); err != nil {
		return err
	}
	if len(l.Closed) > 0 && !p.plain {
		fmt.Fprintf(p.stdout, "\n! %d of %d archives open with the key of no present recipient:\n", len(l.Closed), l.Archives)
		for i, a := range l.Closed {
			if i == shownClosed {
				fmt.Fprintf(p.stdout, "  and %d more: pgvault key list --json\n", len(l.Closed)-i)
				break
			}
			fmt.Fprintf(p.stdout, "  %s  %s\n", a.ID, safetext.Line(a.Database))
		}
	}
	if !p.quiet {
		for _, name := range l.Silent {
			fmt.Fprintf(p.stderr, " ! %s does not answer; what is remembered of it counts\n", safetext.Line(name))
		}
	}
	return nil
}

// shownClosed bounds the archives listed below the table.
const shownClosed = 20

func keyState(k vault.KeyInfo) string {
	switch {
	case k.Present:
		return "present"
	case k.Retired != "":
		return "retired " + k.Retired
	}
	return "gone"
}

func keyMoment(a *vault.KeyArchive) string {
	if a == nil {
		return "-"
	}
	return a.Started.UTC().Format(time.DateOnly)
}

func agoOr(at *time.Time, never string) string {
	if at == nil {
		return never
	}
	return age(time.Since(*at)) + " ago"
}
