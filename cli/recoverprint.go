package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"pgvault/fault"
	"pgvault/safetext"
	"pgvault/vault"
)

func (p *program) dryRecover(plan *vault.RecoverPlan, found *foundVault) error {
	if p.json {
		doc := map[string]any{"plan": plan, "place": found.place.URL, "vouched": found.vouched, "refused": plan.Refused()}
		if err := p.printJSON(doc); err != nil {
			return err
		}
	} else {
		printRecover(p.stdout, plan, found)
	}
	if plan.Refused() {
		return &exitCode{fault.Refused}
	}
	return nil
}

func printRecover(w io.Writer, plan *vault.RecoverPlan, found *foundVault) {
	fmt.Fprintf(w, "vault  %s, id %s\n", safetext.Line(plan.Vault), plan.ID)
	fmt.Fprintf(w, "place  %s; it is only read\n", safetext.Line(found.place.URL))
	for _, s := range plan.Signers {
		fmt.Fprintf(w, "signed by  %s\n", s.Fingerprint)
	}
	if found.vouched == nil {
		fmt.Fprintf(w, "!      these keys are the place's own word: whoever can write there could have put others, and archives of theirs\n       do: compare with the recovery sheet, and use --signer\n")
	} else {
		for _, f := range found.vouched.Unknown {
			fmt.Fprintf(w, "!      no key here has the fingerprint %s\n", safetext.Line(f))
		}
	}
	printChecks(w, plan.Checks)
	if r := plan.Roles; r != nil {
		passwords := "with passwords"
		if !r.Passwords {
			passwords = "without passwords, which were not saved"
		}
		fmt.Fprintf(w, "\n1      make the roles of %s as they were, %s; %d are there already and stay as they are\n", r.Archive, passwords, len(r.Exist))
		for _, s := range r.Statements {
			fmt.Fprintf(w, "       %s\n", safetext.Line(s))
		}
	}
	for i, d := range plan.Databases {
		fmt.Fprintf(w, "\n%d      %s", i+2, safetext.Line(d.Database))
		if d.Target != d.Database {
			fmt.Fprintf(w, " as %s", safetext.Line(d.Target))
		}
		if a := d.Chosen; a != nil {
			fmt.Fprintf(w, ", from %s: %d tables, %d rows, %s stored, %s", a.ID, a.Tables, a.Rows, size(a.Stored), a.Proof)
		}
		fmt.Fprintf(w, "; %d archives are there\n", d.Archives)
		printChecks(w, d.Checks)
	}
}

func printChecks(w io.Writer, checks []vault.Check) {
	for _, c := range checks {
		fmt.Fprintf(w, "%-2s     %s\n", c.State, safetext.Line(c.Text))
		if c.State != "ok" && c.Do != "" {
			fmt.Fprintf(w, "       do: %s\n", safetext.Line(c.Do))
		}
	}
}

// runRecover applies the plan and reports row by row.
func (p *program) runRecover(ctx context.Context, found *foundVault, plan *vault.RecoverPlan) error {
	var report *vault.RecoverReport
	told := p.sink()
	err := found.vault.RunRecover(ctx, plan, found.order, func(e vault.Event) {
		if done, ok := e.(vault.RunDone); ok {
			report = done.Recovered
		}
		told(e)
	})
	if report != nil && !p.json {
		err = errors.Join(err, p.printReport(report))
	}
	if err == nil && !p.quiet && !p.json {
		fmt.Fprintln(p.stderr, "next: look at the databases; then --take-over lets backups go on from here")
	}
	return err
}

func (p *program) printReport(r *vault.RecoverReport) error {
	for _, w := range r.Warnings {
		fmt.Fprintf(p.stderr, " ! %s\n", safetext.Line(w))
	}
	rows := [][]string{}
	for _, d := range r.Databases {
		rows = append(rows, []string{safetext.Line(d.Database), safetext.Line(d.Target), firstOf(d.ID, "-"), fmt.Sprintf("%d of %d", d.TablesEqual, d.TablesTotal), fmt.Sprint(d.Rows), fmt.Sprintf("%.1f", d.Seconds), d.Result})
	}
	if err := p.table(p.stdout, []string{"DATABASE", "IS NOW", "ARCHIVE", "EQUAL", "ROWS", "SECONDS", "RESULT"}, rows); err != nil {
		return err
	}
	if p.plain {
		return nil
	}
	for _, d := range r.Databases {
		if d.Why != "" {
			fmt.Fprintf(p.stdout, "%s: %s\n", safetext.Line(d.Database), safetext.Line(d.Why))
		}
	}
	fmt.Fprintf(p.stdout, "roles made: %d\n", len(r.Roles))
	return nil
}
