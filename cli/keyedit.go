package cli

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"pgvault/config"
	"pgvault/fault"
	"pgvault/safetext"
	"pgvault/setup"
	"pgvault/vault"
)

func (p *program) keyAddCmd() *cobra.Command {
	name := ""
	cmd := &cobra.Command{
		Use:   "add RECIPIENT --name NAME",
		Short: "Seal new archives to one more recipient",
		Long: "Adds a public key (age1…, ssh-ed25519 …, or a file that holds one) to the recipients file\n" +
			"and shows the difference; -n shows it and changes nothing. Archives that are there already\n" +
			"are not opened by it: pgvault key reseal makes them so. Post-quantum and other recipients\n" +
			"cannot be mixed, age refuses that.",
		Example: "  pgvault key add age1… --name 'the safe'\n" +
			"  pgvault key add alice.pub --name alice -n",
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.changeRecipients(cmd.Context(), "add", func(conf *config.Config) (*setup.RecipientsChange, error) {
				return setup.PlanAddRecipient(conf, args[0], name)
			})
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "whose key it is, or where it lies (default: an SSH key's comment, or the key shortened)")
	cmd.Flags().BoolVar(&p.json, "json", false, "the change as one JSON document")
	return cmd
}

func (p *program) keyRetireCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "retire NAME|FINGERPRINT",
		Short: "Seal new archives to a recipient no more; it still opens the old ones",
		Long: "Takes a recipient out of the recipients file, leaves a comment in its place, and shows the\n" +
			"difference; -n shows it and changes nothing. That revokes nothing: whoever holds the key\n" +
			"opens all archives that were sealed to it, for as long as they or a copy of them exist. If\n" +
			"the key leaked, reseal (pgvault key reseal) and delete the old archives, and change what\n" +
			"secrets the databases hold. Refused (exit 13) when fewer than two recipients would be left.",
		Example: "  pgvault key retire alice -n\n" +
			"  pgvault key retire SHA256:w93iw2WFBL0p",
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.changeRecipients(cmd.Context(), "retire", func(conf *config.Config) (*setup.RecipientsChange, error) {
				return setup.PlanRetireRecipient(conf, args[0], time.Now())
			})
		},
	}
	cmd.Flags().BoolVar(&p.json, "json", false, "the change as one JSON document")
	return cmd
}

// recipientsChange is a change as JSON.
type recipientsChange struct {
	What        string   `json:"what"` // add or retire
	Name        string   `json:"name"`
	Fingerprint string   `json:"fingerprint"`
	Kind        string   `json:"kind"`
	File        string   `json:"file"`
	Recipients  int      `json:"recipients"` // afterwards
	Diff        []string `json:"diff"`
	Refused     string   `json:"refused"`
	Notes       []string `json:"notes"`
	Done        bool     `json:"done"`
}

// changeRecipients plans, shows and applies. The file may be root's, in
// system mode: so it is written before root becomes the vault's owner, and
// told to the audit trail after.
func (p *program) changeRecipients(ctx context.Context, what string, plan func(*config.Config) (*setup.RecipientsChange, error)) error {
	conf, err := p.load()
	if err != nil {
		return err
	}
	c, err := plan(conf)
	if err != nil {
		return err
	}
	if !p.dryRun {
		if err := p.mayChange(config.StateDir(conf.File)); err != nil {
			return err
		}
	}
	done := false
	if !p.dryRun && c.Refused == "" {
		if err := c.Apply(); err != nil {
			return err
		}
		done = true
	}
	if err := p.printRecipients(what, c, done); err != nil {
		return err
	}
	switch {
	case c.Refused != "" && !p.dryRun:
		return c.Apply() // says so in four lines
	case !done:
		return nil
	}
	s, err := p.open()
	if err != nil {
		return err
	}
	if !p.quiet && !p.json {
		p.tellRecipients(ctx, s, what, c)
	}
	return s.vault.Audit(ctx, "key", what+" "+c.Who.Name, "ok", c.Who.Fingerprint)
}

// mayChange refuses who may only look.
func (p *program) mayChange(state string) error {
	if p.readOnly {
		return &fault.Error{What: "this pgvault is read-only", Why: "it was started with --read-only", Left: "nothing was changed", Do: "start it without --read-only", Code: fault.Refused}
	}
	if a := vault.AccessTo(state, os.Geteuid()); !a.Act && os.Geteuid() != 0 { // root becomes the owner
		return &fault.Error{What: "you may look, and not change anything", Why: a.Why, Left: "nothing was changed", Do: "run it as root, or ask whoever runs this vault", Code: fault.Refused}
	}
	return nil
}

func (p *program) printRecipients(what string, c *setup.RecipientsChange, done bool) error {
	if p.json {
		out := recipientsChange{what, c.Who.Name, c.Who.Fingerprint, c.Who.Kind, c.File, len(c.After), []string{}, c.Refused, append([]string{}, c.Notes...), done}
		for _, l := range c.Diff {
			out.Diff = append(out.Diff, l.String())
		}
		return p.printJSON(out)
	}
	if len(c.Diff) > 0 {
		fmt.Fprintf(p.stdout, "%s\n", safetext.Line(c.File))
	}
	for _, l := range c.Diff {
		fmt.Fprintf(p.stdout, "%s\n", safetext.Line(l.String()))
	}
	for _, n := range c.Notes {
		fmt.Fprintf(p.stderr, " ! %s\n", safetext.Line(n))
	}
	if c.Refused != "" && p.dryRun {
		fmt.Fprintf(p.stderr, " ! it would be refused: %s\n", safetext.Line(c.Refused))
	}
	return nil
}

// tellRecipients says what the change does not do.
func (p *program) tellRecipients(ctx context.Context, s *session, what string, c *setup.RecipientsChange) {
	name := safetext.Line(c.Who.Name)
	opens, all := "", ""
	if l, err := s.vault.KeyList(ctx); err == nil {
		n := 0
		for _, k := range l.Recipients {
			if k.Fingerprint == c.Who.Fingerprint {
				n = k.Archives
			}
		}
		opens, all = fmt.Sprintf(" %d of", n), fmt.Sprintf(" %d", l.Archives)
	}
	if what == "add" {
		fmt.Fprintf(p.stderr, "ok new archives are sealed to %s as well (%d recipients)\n", name, len(c.After))
		fmt.Fprintf(p.stderr, "   of the archives that are there, its key opens%s%s: pgvault key reseal --all -i KEY encrypts them anew\n", opens, all)
	} else {
		fmt.Fprintf(p.stderr, "ok new archives are no longer sealed to %s (%d recipients are left)\n", name, len(c.After))
		fmt.Fprintf(p.stderr, " ! nothing is revoked: its key still opens%s%s archives, and every copy of them that anybody has\n", opens, all)
		fmt.Fprintf(p.stderr, "   keep that key until they are gone, or: pgvault key reseal --all -i KEY, then delete the old ones\n")
	}
	fmt.Fprintf(p.stderr, "   print a new recovery sheet: pgvault recovery-sheet\n")
}
