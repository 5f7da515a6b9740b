package cli

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"pgvault/config"
	"pgvault/fault"
	"pgvault/safetext"
	"pgvault/setup"
	"pgvault/vault"
)

// takeOverFlags is what recover --take-over was given.
type takeOverFlags struct {
	confirm, schedule, keep string
	recipients              []string
	gone, others, allowOne  bool
	server                  string   // as --server
	databases               []string // as --database; none: those of the vault
}

func (f *takeOverFlags) register(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.confirm, "confirm", "", "with --take-over: the vault's name: do it")
	fl.StringArrayVar(&f.recipients, "recipient", nil, "with --take-over: the public key of whoever may open new archives, or a file of them; may be repeated")
	fl.StringVar(&f.schedule, "schedule", "", "with --take-over: when backups start, such as 02:00; no place keeps that")
	fl.StringVar(&f.keep, "keep", "", "with --take-over: what is kept, such as \"7 daily, 4 weekly\"; without, nothing is ever removed")
	fl.BoolVar(&f.gone, "old-host-is-gone", false, "with --take-over: although something was written within a day, nobody writes there any more")
	fl.BoolVar(&f.others, "other-recipients", false, "with --take-over: accept that others open new archives than opened the newest")
	fl.BoolVar(&f.allowOne, "allow-one-recipient", false, "with --take-over: accept a single recipient: lose its key and all is lost")
}

// takeOver writes a configuration for a vault that was found.
func (p *program) takeOver(ctx context.Context, found *foundVault, f takeOverFlags) error {
	if p.readOnly {
		return &fault.Error{What: "this pgvault is read-only", Why: "it was started with --read-only", Left: "nothing was written", Do: "start it without --read-only", Code: fault.Refused}
	}
	t, err := p.takeOverValues(found, f)
	if err != nil {
		return err
	}
	plan, err := found.vault.PlanTakeOver(ctx, vault.TakeOverOptions{Recipients: t.Recipients.Public(), Gone: f.gone, Others: f.others})
	if err != nil {
		return err
	}
	t.Trusted = plan.Signers
	if len(t.Values.Databases) == 0 {
		t.Values.Databases = plan.Databases
	}
	plan.Checks = append(plan.Checks, t.Check(ctx)...)
	plan.Checks = append(plan.Checks, setup.NotInVault(f.keep != "", f.schedule != "")...)
	confirmed := f.confirm == plan.Vault && !p.dryRun
	if err := p.showTakeOver(plan, t, confirmed); err != nil {
		return err
	}
	switch {
	case plan.Refused() && p.dryRun:
		return &exitCode{fault.Refused}
	case plan.Refused():
		return takeOverRefused(plan)
	case p.dryRun:
		return nil
	case !confirmed:
		why := "from then on two hosts have keys that sign for this vault, so it wants the vault's name"
		if f.confirm != "" {
			why = fmt.Sprintf("--confirm says %q", f.confirm)
		}
		return &fault.Error{Op: "recover", What: "the take-over is not confirmed", Why: why, Left: "nothing was written", Do: "the same line with --confirm " + safetext.Word(plan.Vault), Code: fault.Refused}
	}
	if err := t.Write(ctx, config.StateDir(t.Path), rand.Reader); err != nil {
		return err
	}
	return p.tookOver(ctx, t, plan)
}

// takeOverValues checks what was given before anything is looked at.
func (p *program) takeOverValues(found *foundVault, f takeOverFlags) (*setup.TakeOver, error) {
	path, err := p.configPath()
	if err != nil {
		return nil, err
	}
	t := &setup.TakeOver{Path: path}
	if len(f.recipients) == 0 {
		return nil, usage("--recipient is needed: a manifest names recipients by fingerprint only, so their public keys have to be given again (age-keygen -y KEY prints that of a secret key)")
	}
	if t.Recipients, err = setup.ReadRecipients(f.recipients, "--recipient"); err != nil {
		return nil, err
	}
	if len(t.Recipients.Public()) < 2 && !f.allowOne {
		return nil, setup.OneRecipient()
	}
	t.Values = setup.Beside(path, config.Values{VaultName: found.order.Vault, AllowOneRecipient: f.allowOne, Schedule: f.schedule, Places: []config.Place{found.place},
		Conninfo: f.server, Databases: f.databases})
	if f.keep != "" {
		keep, err := config.ParsePolicy(f.keep)
		if err != nil {
			return nil, usage("--keep: " + err.Error())
		}
		t.Values.Keep = &keep
	}
	return t, nil
}

func takeOverRefused(plan *vault.TakeOverPlan) error {
	var why, do []string
	for _, c := range plan.Checks {
		if c.State == "x" {
			why, do = append(why, c.Text), append(do, c.Do)
		}
	}
	return &fault.Error{Op: "recover", What: "the take-over was refused before it began", Why: strings.Join(why, "; "), Left: "nothing was written", Do: strings.Join(do, "; "), Code: fault.Refused}
}

func (p *program) showTakeOver(plan *vault.TakeOverPlan, t *setup.TakeOver, confirmed bool) error {
	if p.json {
		if confirmed {
			return nil
		}
		return p.printJSON(map[string]any{"plan": plan, "config": t.Path, "refused": plan.Refused()})
	}
	w := p.stdout
	if confirmed {
		w = p.stderr
	}
	if !p.quiet {
		printTakeOver(w, plan, t)
	}
	return nil
}

func printTakeOver(w io.Writer, plan *vault.TakeOverPlan, t *setup.TakeOver) {
	fmt.Fprintf(w, "vault      %s, id %s\nplace      %s\nconfig     %s\n", safetext.Line(plan.Vault), plan.ID, safetext.Line(t.Values.Places[0].URL), safetext.Line(t.Path))
	fmt.Fprintf(w, "databases  %s\n", safetext.Line(strings.Join(t.Values.Databases, ", ")))
	for _, s := range plan.Signers {
		fmt.Fprintf(w, "trusted    %s, beside a new key of this host\n", s.Fingerprint)
	}
	printChecks(w, plan.Checks)
}

// tookOver opens the vault as it is configured now, and says what is to be
// done next.
func (p *program) tookOver(ctx context.Context, t *setup.TakeOver, plan *vault.TakeOverPlan) error {
	key, err := p.openTaken(ctx, t, plan)
	if err != nil {
		return err
	}
	next := []string{p.again("pgvault backup"), p.again("pgvault timer install"), p.again("pgvault recovery-sheet")}
	if p.json {
		return p.printJSON(map[string]any{"plan": plan, "config": t.Path, "signing_key": key, "next": next})
	}
	fmt.Fprintf(p.stdout, "config      %s\nsigning key %s\nvault       %s, id %s\n", safetext.Line(t.Path), key, safetext.Line(plan.Vault), plan.ID)
	if !p.quiet {
		fmt.Fprintf(p.stderr, "next: %s   saves the databases into the same vault\n      %s   has backups start by themselves\n      %s   the old sheet does not know this host's key\n", next[0], next[1], next[2])
	}
	return nil
}

// openTaken opens the vault by the configuration that a take-over has
// written, and gives the fingerprint of this host's key.
func (p *program) openTaken(ctx context.Context, t *setup.TakeOver, plan *vault.TakeOverPlan) (string, error) {
	p.config, p.vaultName = t.Path, ""
	s, err := p.open()
	if err != nil {
		return "", err
	}
	facts, err := s.vault.SheetFacts(ctx)
	if err == nil && facts.ID != plan.ID {
		err = &fault.Error{Op: "recover", What: "the place holds another vault now", Why: "its id is " + facts.ID, Left: "the configuration is written, nothing else", Do: "look at it: pgvault list", Code: fault.Failed}
	}
	if err != nil {
		return "", err
	}
	key := facts.Signers[0].Fingerprint
	return key, s.vault.Audit(ctx, "settings", "take-over of "+plan.Vault, "ok", "signing key "+key)
}
