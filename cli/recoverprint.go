package cli

import (
	"context"
	"encoding/json"
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
func (p *program) runRecover(ctx context.Context, v *vault.Vault, plan *vault.RecoverPlan) error {
	if p.json {
		return p.jsonRecover(ctx, v, plan)
	}
	n := 0
	report, err := v.Recover(ctx, plan, p.sink(), func(r vault.RecoverRow) {
		n++
		if !p.quiet {
			fmt.Fprintf(p.stderr, "%d of %d: %s is %s\n", n, len(plan.Databases), safetext.Line(r.Database), r.Result)
		}
	})
	if report != nil {
		err = errors.Join(err, p.printReport(report))
	}
	if err == nil && !p.quiet {
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

// jsonRecover prints the events of every restore; how each ended is a line of
// the type database, and the last of the type done is of all.
func (p *program) jsonRecover(ctx context.Context, v *vault.Vault, plan *vault.RecoverPlan) error {
	each := p.sink()
	report, err := v.Recover(ctx, plan, func(e vault.Event) {
		if _, done := e.(vault.RunDone); !done {
			each(e)
		}
	}, func(r vault.RecoverRow) {
		_ = writeJSON(p.stdout, struct {
			Type   string `json:"type"`
			Schema int    `json:"schema"`
			vault.RecoverRow
		}{"database", 1, r}, "")
	})
	done := vault.RunDone{Kind: vault.KindRecover, Exit: fault.CodeOf(err), Err: err, Database: "", Result: vault.ResultOK}
	switch {
	case done.Exit == fault.Cancelled:
		done.Result = vault.ResultCancelled
	case done.Exit == fault.Partial:
		done.Result = vault.ResultPartial
	case err != nil:
		done.Result = vault.ResultFailed
	}
	if report == nil {
		report = &vault.RecoverReport{Roles: []string{}, Warnings: []string{}, Databases: []vault.RecoverRow{}}
	}
	for _, d := range report.Databases {
		done.TablesEqual += d.TablesEqual
		done.TablesTotal += d.TablesTotal
		done.Tables += d.TablesTotal
		done.Rows += d.Rows
		done.Seconds += d.Seconds
		done.Differences = append(done.Differences, d.Differences...)
	}
	line, lerr := vault.EncodeEvent(done)
	if lerr != nil {
		return lerr
	}
	doc := map[string]any{}
	if lerr := json.Unmarshal(line, &doc); lerr != nil {
		return lerr
	}
	doc["databases"], doc["roles"], doc["notes"] = report.Databases, report.Roles, report.Warnings
	if lerr := writeJSON(p.stdout, doc, ""); lerr != nil {
		return lerr
	}
	return err
}
