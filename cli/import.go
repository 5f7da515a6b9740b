package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pgvault/config"
	"pgvault/fault"
	"pgvault/safetext"
	"pgvault/vault"
)

func (p *program) importCmd() *cobra.Command {
	var o vault.ImportOptions
	var date string
	var confirm int
	cmd := &cobra.Command{
		Use:   "import FILE|FOLDER... --database DB",
		Short: "Make archives of dumps that pgvault did not make",
		Long: "Dumps of pg_dump (custom, tar, directory) and plain SQL scripts become archives like any\n" +
			"other: encrypted, signed, under retention on the day of their date. They may be wrapped in\n" +
			"gzip, zstd, bzip2 and age (-i opens it). Each is restored into a private scratch server and\n" +
			"dumped from there, and rows and SHA-256 of every table are compared with what the original\n" +
			"holds. Originals are never changed; the end says which ones may be removed.\n\n" +
			"First shows a table: file, kind, date and where it is from. --confirm with the number of\n" +
			"files imports them; what was imported before is passed over, so an import that was stopped\n" +
			"goes on with what is left. A date is pg_dump's own; --from-names takes it from the names.\n\n" +
			"A script may run what its maker wrote into it: --yes-run-sql says that you have read it. It\n" +
			"runs as a role without superuser in the scratch server, and commands of psql such as \\! and\n" +
			"\\copy are refused. The rows lie unencrypted in the scratch server's own folder of mode 0700\n" +
			"below TMPDIR while it runs; it is removed at the end, after a kill by the next run.\n" +
			"Exit 13 when it is refused or not confirmed, 5 when a dump is damaged or differs.",
		Example: "  pgvault import /backup/old --database shop --from-names             the table\n" +
			"  pgvault import /backup/old --database shop --from-names --confirm 42\n" +
			"  pgvault import shop.sql.gz --database shop --date 2023-05-01T02:00 --yes-run-sql --confirm 1",
		RunE: func(cmd *cobra.Command, paths []string) error {
			p.kind = vault.KindImport
			if len(paths) == 0 {
				return usage("name a dump, or a folder of dumps")
			}
			s, err := p.open()
			if err != nil {
				return err
			}
			if o.At, err = importDate(date, s.conf); err != nil {
				return err
			}
			ctx := cmd.Context()
			if err := p.readIdentities(func(name string) bool { return name == "-" }); err != nil { // it is read again for each file
				return err
			}
			o.Paths, o.Identities = paths, p.secrets(ctx)
			plan, err := s.vault.PlanImport(ctx, o)
			if err != nil {
				return err
			}
			given := cmd.Flags().Changed("confirm")
			if p.dryRun || !given {
				if err := p.printImport(plan); err != nil {
					return err
				}
			}
			n := len(plan.Ready())
			switch {
			case n == 0:
				return nothingToImport(plan)
			case p.dryRun:
				return nil
			case !given || confirm != n:
				why := "look at the files and their dates above first"
				if given {
					why = fmt.Sprintf("%d files would be imported, %d was typed", n, confirm)
				}
				return &fault.Error{Op: "import", What: "the import is not confirmed", Why: why, Left: "nothing was imported", Do: p.again(fmt.Sprintf("the same with --confirm %d", n)), Code: fault.Refused}
			}
			return p.importAll(cmd, s, plan)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Database, "database", "", "the database whose archives they become")
	f.StringVar(&date, "date", "", "when the only dump was made: YYYY-MM-DD or YYYY-MM-DDTHH:MM")
	f.BoolVar(&o.FromNames, "from-names", false, "a date in a name goes before pg_dump's own")
	f.BoolVar(&o.RunSQL, "yes-run-sql", false, "scripts may be run in the scratch server: I have read them")
	f.BoolVar(&o.NoOwner, "no-owner", false, "leave out owners and grants (not of scripts)")
	f.BoolVar(&o.Superuser, "superuser", false, "restore as a superuser of the scratch server: only for dumps that you trust like root")
	f.BoolVar(&o.NoCopy, "no-copy", false, "make no copies in other places; the next backup or pgvault copy --missing does")
	f.IntVar(&confirm, "confirm", 0, "the number of files that become archives")
	f.BoolVar(&p.json, "json", false, "the table as one JSON document; with --confirm JSON Lines, the last with type done")
	return cmd
}

// importDate reads --date in the zone of the vault.
func importDate(text string, conf *config.Config) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	zone := conf.Vault.Location()
	if zone == nil {
		zone = time.Local
	}
	for _, layout := range []string{"2006-01-02", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02T15:04:05"} {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return t, nil
		}
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	return time.Time{}, usage(fmt.Sprintf("--date %q is no date: YYYY-MM-DD or YYYY-MM-DDTHH:MM", text))
}

// nothingToImport ends a call that has nothing to do: well when all is there.
func nothingToImport(plan *vault.ImportPlan) error {
	refused := plan.Refused()
	if len(refused) == 0 {
		return nil
	}
	f := refused[0]
	return &fault.Error{Op: "import", What: fmt.Sprintf("%d of %d files cannot be imported, and the others need not be", len(refused), len(plan.Files)),
		Why: f.Name + ": " + f.Why, Left: "nothing was imported", Do: f.Do, Code: f.Code()}
}

func (p *program) printImport(plan *vault.ImportPlan) error {
	if p.json {
		return p.printJSON(plan)
	}
	rows := [][]string{}
	for _, f := range plan.Files {
		at, dated := "-", "-"
		if f.Dated != "" {
			at, dated = f.At.Local().Format("2006-01-02 15:04"), f.Dated
		}
		kind := strings.Join(append([]string{firstOf(f.Kind, "-")}, f.Wraps...), "+")
		rows = append(rows, []string{string(f.State), safetext.Line(f.Name), kind, size(f.Size), at, dated, firstOf(safetext.Line(f.Server), "-"), fmt.Sprint(f.Tables), safetext.Line(plan.Database)})
	}
	if err := p.table(p.stdout, []string{"STATE", "FILE", "KIND", "SIZE", "DATE", "FROM", "SERVER", "TABLES", "DATABASE"}, rows); err != nil {
		return err
	}
	for _, f := range plan.Files {
		name := safetext.Line(f.Name)
		switch f.State {
		case vault.ImportRefused:
			fmt.Fprintf(p.stderr, " x %s: %s\n   do: %s\n", name, safetext.Line(f.Why), safetext.Line(f.Do))
		case vault.ImportThere, vault.ImportPassed:
			fmt.Fprintf(p.stderr, "   %s: %s\n", name, safetext.Line(f.Why))
		}
		for _, n := range f.Notes {
			fmt.Fprintf(p.stderr, " ! %s: %s\n", name, safetext.Line(n))
		}
		if len(f.Extensions) > 0 {
			fmt.Fprintf(p.stderr, "   %s: extensions %s\n", name, safetext.Line(strings.Join(f.Extensions, ", ")))
		}
	}
	if !p.quiet {
		fmt.Fprintf(p.stderr, "%d would become archives of %s; nothing was changed\n", len(plan.Ready()), safetext.Line(plan.Database))
	}
	return nil
}

// importAll imports the files, the oldest first, and says which originals may
// be removed.
func (p *program) importAll(cmd *cobra.Command, s *session, plan *vault.ImportPlan) error {
	p.outliveTerminal()
	files := map[string]*vault.ImportFile{}
	var names, ends []string
	for _, f := range plan.Ready() {
		files[f.Path] = f
		names = append(names, f.Path)
	}
	err := p.each(names, func(path string) error {
		f := files[path]
		var done vault.RunDone
		sink := p.sink()
		err := s.vault.RunImport(cmd.Context(), plan, f, func(e vault.Event) {
			if d, ok := e.(vault.RunDone); ok {
				done = d
			}
			sink(e)
		})
		ends = append(ends, originalLine(f, done, err))
		return err
	})
	if !p.quiet && !p.json {
		for _, l := range ends {
			fmt.Fprintln(p.stderr, l)
		}
	}
	if refused := plan.Refused(); err == nil && len(refused) > 0 {
		return &fault.Error{Op: "import", What: fmt.Sprintf("%d files were imported, %d were refused", len(names), len(refused)), Why: refused[0].Name + ": " + refused[0].Why,
			Left: "what was imported is there; no original was touched", Do: refused[0].Do, Code: fault.Partial}
	}
	return err
}

// originalLine says whether an original may be removed, and how that is known.
func originalLine(f *vault.ImportFile, done vault.RunDone, err error) string {
	name := safetext.Line(f.Path)
	switch {
	case err != nil && fault.CodeOf(err) != fault.Partial:
		return "keep   " + name + ": it was not imported"
	case done.TablesEqual < done.TablesTotal:
		return fmt.Sprintf("keep   %s: archive %s holds it, but only %d of %d tables could be compared", name, done.ID, done.TablesEqual, done.TablesTotal)
	case done.Proof.Rank() < vault.ProofReadable.Rank():
		return fmt.Sprintf("keep   %s until archive %s is proven: pgvault verify %s --level readable", name, done.ID, done.ID)
	}
	return fmt.Sprintf("may go %s: archive %s, rows and SHA-256 of %d of %d tables equal, read back", name, done.ID, done.TablesEqual, done.TablesTotal)
}
