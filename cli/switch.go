package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"pgvault/fault"
	"pgvault/safetext"
	"pgvault/vault"
)

// switchFlags say which of the plans is wanted.
type switchFlags struct {
	o                  vault.SwitchOptions
	confirm            string
	undo, resume, back bool
}

func (p *program) switchCmd() *cobra.Command {
	var f switchFlags
	cmd := &cobra.Command{
		Use:   "switch DB --with RESTORED --confirm DB",
		Short: "Put a restored, proven database in the live one's place; --undo takes it back",
		Long: "Gives the restored database the name of the live one. It first gets the owner, settings,\n" +
			"grants, comment and connection limit of the live one; then new logins to both are refused,\n" +
			"sessions ended, and both renamed in one transaction. The live one stays, whole and closed\n" +
			"to logins, as DB__old_MMDD: pgvault never drops it. If a step fails, the names go back.\n" +
			"Refused unless the restore into that very database was proven equal; what differs has to\n" +
			"be accepted by its name. Without --confirm it shows the plan and ends with exit code 13.\n" +
			"A switch that was killed is named by status; --resume ends it, --undo takes it back.",
		Example: "  pgvault switch shop --with shop_check --dry-run         the plan\n" +
			"  pgvault switch shop --with shop_check --confirm shop\n" +
			"  pgvault switch shop --with shop_check --accept public.sessions --confirm shop\n" +
			"  pgvault switch --undo shop --confirm shop               each has its own name again\n" +
			"  pgvault switch --resume shop --confirm shop             one that was broken off goes on",
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			p.kind = vault.KindSwitch
			f.o.Database = args[0]
			return p.switchTo(cmd.Context(), f)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.o.With, "with", "", "the restored database that gets the name")
	fl.StringVar(&f.confirm, "confirm", "", "the name of the live database once more: do it")
	fl.StringArrayVar(&f.o.Accept, "accept", nil, "accept this table as different; may be repeated")
	fl.BoolVar(&f.undo, "undo", false, "give the name back to the database that had it before")
	fl.BoolVar(&f.resume, "resume", false, "end a switch, or an undo, that was broken off")
	fl.BoolVar(&f.back, "back", false, "with --resume: to where the names were before it")
	fl.BoolVar(&p.json, "json", false, "JSON Lines, the last with type done; the plan is one document")
	return cmd
}

func (p *program) switchTo(ctx context.Context, f switchFlags) error {
	modes := 0
	for _, on := range []bool{f.undo, f.resume, f.o.With != ""} {
		if on {
			modes++
		}
	}
	if modes != 1 || f.back && !f.resume || f.o.With == "" && len(f.o.Accept) > 0 {
		return usage("one of --with RESTORED, --undo and --resume is needed; --accept goes with --with, --back with --resume")
	}
	s, err := p.open()
	if err != nil {
		return err
	}
	plan, err := planSwitch(ctx, s.vault, f)
	if err != nil {
		return err
	}
	plan.Same = p.again(plan.Same)
	if p.dryRun || f.confirm == "" || f.confirm != plan.Database {
		if err := p.showSwitch(plan); err != nil {
			return err
		}
	}
	switch {
	case p.dryRun && plan.Refused():
		return &exitCode{fault.Refused}
	case p.dryRun:
		return nil
	case f.confirm != plan.Database && !plan.Refused():
		why := "every session on the live database will be ended, so it wants its name a second time"
		if f.confirm != "" {
			why = fmt.Sprintf("--confirm says %q", f.confirm)
		}
		return &fault.Error{Op: "switch", What: "the switch is not confirmed", Why: why, Left: "no name was changed", Do: plan.Same, Code: fault.Refused}
	}
	if !p.json && !p.quiet && f.confirm == plan.Database {
		printSwitch(p.stderr, plan, p.verbose)
	}
	p.outliveTerminal()
	return s.vault.RunSwitch(ctx, plan, p.sink())
}

func planSwitch(ctx context.Context, v *vault.Vault, f switchFlags) (*vault.SwitchPlan, error) {
	switch {
	case f.undo:
		return v.PlanSwitchUndo(ctx, f.o.Database)
	case f.resume:
		return v.PlanSwitchResume(ctx, f.o.Database, f.back)
	}
	return v.PlanSwitch(ctx, f.o)
}

func (p *program) showSwitch(plan *vault.SwitchPlan) error {
	if !p.json {
		printSwitch(p.stdout, plan, p.verbose)
		return nil
	}
	side := func(s vault.SwitchSide) map[string]any {
		return map[string]any{"name": s.Name, "after": s.After, "oid": s.OID, "bytes": s.Bytes, "sessions": len(s.Sessions), "last_active": s.LastActive, "writing": s.Writing}
	}
	doc := map[string]any{"goal": plan.Goal, "resumes": plan.Resumes, "database": plan.Database, "old": plan.Old, "live": side(plan.Live), "restored": side(plan.Other),
		"id": plan.Archive, "tables_equal": plan.Equal, "tables_total": plan.Tables, "lost_seconds": int64(plan.Lost.Seconds()),
		"differences": append([]vault.SwitchDifference{}, plan.Differences...), "checks": plan.Checks, "steps": plan.Steps, "same_as": plan.Same, "refused": plan.Refused()}
	if !plan.BackupAt.IsZero() {
		doc["backup_at"] = plan.BackupAt
	}
	return p.printJSON(doc)
}

func printSwitch(w io.Writer, plan *vault.SwitchPlan, verbose bool) {
	for _, s := range []vault.SwitchSide{plan.Live, plan.Other} {
		text := fmt.Sprintf("%d sessions", len(s.Sessions))
		if s.Bytes >= 0 {
			text = size(s.Bytes) + ", " + text
		}
		if s.LastActive != nil {
			text += ", last statement " + age(time.Since(*s.LastActive)) + " ago"
		}
		fmt.Fprintf(w, "now    %s  %s\n", safetext.Line(s.Name), text)
		for _, x := range s.Sessions {
			if verbose {
				fmt.Fprintf(w, "         %d %s %s %s %s\n", x.PID, safetext.Line(x.User), safetext.Line(x.Client), safetext.Line(x.App), safetext.Line(x.State))
			}
		}
	}
	for _, s := range []vault.SwitchSide{plan.Other, plan.Live} {
		if s.After != s.Name {
			fmt.Fprintf(w, "after  %s  is what is %s now\n", safetext.Line(s.After), safetext.Line(s.Name))
		}
	}
	for _, c := range plan.Checks {
		fmt.Fprintf(w, "%-2s     %s\n", c.State, safetext.Line(c.Text))
		if c.State != "ok" && c.Do != "" {
			fmt.Fprintf(w, "       do: %s\n", safetext.Line(c.Do))
		}
	}
	for i, s := range plan.Steps {
		fmt.Fprintf(w, "%d      %s\n", i+1, safetext.Line(s))
	}
	fmt.Fprintf(w, "same as  %s\n", safetext.Line(plan.Same))
}
