package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"pgvault/fault"
	"pgvault/safetext"
	"pgvault/vault"
)

func (p *program) statusCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status [DB...]",
		Short: "Tell whether every database could be brought back; exit 4 if not",
		RunE:  func(cmd *cobra.Command, names []string) error { return p.status(cmd.Context(), names) },
	}
	cmd.Flags().BoolVar(&p.json, "json", false, "one JSON array")
	return cmd
}

func (p *program) status(ctx context.Context, names []string) error {
	s, err := p.open()
	if err != nil {
		return err
	}
	all, err := s.vault.Status(ctx)
	if err != nil {
		return err
	}
	list, attention := []vault.DatabaseStatus{}, len(all) == 0
	for _, d := range all {
		if named(names, d.Database) {
			list = append(list, d)
			attention = attention || d.State != "ok" && d.State != "running"
		}
	}
	for _, n := range names {
		if !hasStatus(list, n) {
			return usage(fmt.Sprintf("database %q is neither configured nor in the vault", n))
		}
	}
	if p.json {
		err = p.printJSON(list)
	} else {
		err = p.printStatus(list)
	}
	if err == nil && attention {
		return &exitCode{fault.Attention}
	}
	return err
}

func hasStatus(list []vault.DatabaseStatus, name string) bool {
	for _, d := range list {
		if d.Database == name {
			return true
		}
	}
	return false
}

func (p *program) printStatus(list []vault.DatabaseStatus) error {
	if len(list) == 0 {
		fmt.Fprintln(p.stdout, "no database is configured and the vault holds no archive; nothing could be brought back")
		return nil
	}
	rows := [][]string{}
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
		rows = append(rows, []string{safetext.Line(d.Database), stateWord(d.State), last, allowed, orNone(string(d.Proof)), proven})
	}
	return p.table(p.stdout, []string{"DATABASE", "STATE", "LAST GOOD", "ALLOWED", "PROOF", "PROVEN BY RESTORE"}, rows)
}

// stateWord marks what needs a look; colour is never the only sign.
func stateWord(s string) string {
	switch s {
	case "late", "never", "failed":
		return "! " + s
	}
	return s
}
