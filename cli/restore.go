package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"pgvault/fault"
	"pgvault/safetext"
	"pgvault/vault"
)

func (p *program) restoreCmd() *cobra.Command {
	var o vault.RestoreOptions
	var detach bool
	var roles, mergeSQL string
	cmd := &cobra.Command{
		Use:   "restore [ID|latest:DB]",
		Short: "Restore into a new database and prove that it is equal",
		Long: "Restores an archive into a new database (or an existing, empty one), then compares\n" +
			"every table's rows and SHA-256 with what was recorded in the dump's own snapshot.\n" +
			"Exit code 5 and a list when anything differs. Needs the secret key of a recipient (-i).\n" +
			"Without an archive, on a terminal, it asks for everything line by line.",
		Example: "  pgvault restore latest:shop --to-new shop_check -i key.txt --dry-run     the plan\n" +
			"  pgvault restore latest:shop --to-new shop_check -i key.txt --jobs 4\n" +
			"  pgvault restore latest:shop --to-new one --tables sales.orders -i key.txt\n" +
			"  pgvault restore latest:shop --to-new one --tables sales.orders --into-schema back --merge-sql merge.sql -i key.txt",
		Args: usageArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && (p.accessible() || p.terminal()) && !p.noInput && !p.json {
				return p.restoreGuide(cmd.Context())
			}
			if len(args) == 0 {
				return usage("name an archive, or latest:DB")
			}
			p.kind = vault.KindRestore
			if err := restoreOptions(&o, roles, mergeSQL, detach); err != nil {
				return err
			}
			s, err := p.open()
			if err != nil {
				return err
			}
			o.ID, o.Identities = args[0], p.secrets(cmd.Context())
			plan, err := s.vault.PlanRestore(cmd.Context(), o)
			if err != nil {
				return err
			}
			plan.Same = p.again(plan.Same)
			if p.dryRun {
				return p.dryRestore(plan)
			}
			if !p.json && !p.quiet {
				printPlan(p.stderr, plan)
			}
			if detach {
				return p.launchRestore(cmd.Context(), s, plan)
			}
			p.outliveTerminal()
			if err := s.vault.RunRestore(cmd.Context(), plan, p.sink()); err != nil || mergeSQL == "" {
				return err
			}
			return p.writeMerge(cmd.Context(), s.vault, plan, mergeSQL)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.ToNew, "to-new", "", "name of the database to create (default: the old name with the archive's date)")
	f.StringVar(&o.ToEmpty, "to-empty", "", "an existing, empty database to fill")
	f.StringVar(&o.Place, "place", "", "read the copy in this place (default: the best one)")
	f.Var((*tableList)(&o.Tables), "tables", "only these tables, with what they need: a,schema.b, or schema.* for all of a schema; may be repeated")
	f.IntVar(&o.Jobs, "jobs", 0, "load workers (default: defaults.jobs)")
	f.BoolVar(&o.NoOwner, "no-owner", false, "objects belong to the restoring role, grants are left out")
	f.BoolVar(&o.CreateRoles, "create-roles", false, "make missing roles, without login and password")
	f.StringVar(&o.IntoSchema, "into-schema", "", "with --tables: copy them into this new schema of the live database too")
	f.StringVar(&mergeSQL, "merge-sql", "", "with --into-schema: write SQL that merges what is missing to this file (- is standard output); nothing runs it")
	f.StringVar(&roles, "roles", "", "missing roles: create (as they were, with passwords), bare (--create-roles) or leave (--no-owner)")
	f.BoolVar(&o.NoTablespaces, "no-tablespaces", false, "all goes into the server's default tablespace")
	f.BoolVar(&o.SkipCompare, "no-compare", false, "skip the comparison: faster, and nothing is proven")
	f.BoolVar(&detach, "detach", false, "start a job of its own and return; prints its id")
	f.BoolVar(&p.json, "json", false, "JSON Lines, the last with type done")
	return cmd
}

// restoreOptions refuses flags that contradict each other, and says in o what
// --roles means.
func restoreOptions(o *vault.RestoreOptions, roles, mergeSQL string, detach bool) error {
	if o.ToNew != "" && o.ToEmpty != "" {
		return usage("--to-new and --to-empty exclude each other")
	}
	switch roles {
	case "create":
		o.FullRoles = true
	case "bare":
		o.CreateRoles = true
	case "leave":
		o.NoOwner = true
	case "":
	default:
		return usage("--roles is one of create, bare and leave")
	}
	if o.FullRoles && (o.CreateRoles || o.NoOwner) {
		return usage("--roles create excludes --create-roles and --no-owner")
	}
	if o.IntoSchema != "" && len(o.Tables) == 0 || mergeSQL != "" && (o.IntoSchema == "" || detach) {
		return usage("--into-schema needs --tables, and --merge-sql needs --into-schema and a run in the foreground")
	}
	return mergeFree(mergeSQL)
}

// mergeFree refuses a file for --merge-sql that is there already, before the
// restore that would have to be done again for it.
func mergeFree(to string) error {
	if to == "" || to == "-" {
		return nil
	}
	if _, err := os.Lstat(to); err == nil {
		return &fault.Error{Op: "restore", What: "the file " + to + " is there already", Why: "--merge-sql writes a new file only", Left: "nothing was made or changed", Do: "give another name, or move the file away", Code: fault.Usage}
	}
	return nil
}

// writeMerge writes the SQL of --merge-sql, never over a file that is there.
func (p *program) writeMerge(ctx context.Context, v *vault.Vault, plan *vault.RestorePlan, to string) error {
	sql, err := v.MergeSQL(ctx, plan)
	if err != nil {
		return err
	}
	if to == "-" {
		_, err = io.WriteString(p.stdout, sql)
		return err
	}
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(sql)
	return errors.Join(err, f.Close())
}

func (p *program) dryRestore(plan *vault.RestorePlan) error {
	if p.json {
		err := p.printJSON(map[string]any{"id": plan.Archive.ID, "place": plan.Place, "target": plan.Target, "tables": plan.Tables, "left_out": plan.Left,
			"checks": plan.Checks, "statements": plan.Statements, "steps": plan.Steps, "same_as": plan.Same, "refused": plan.Refused()})
		if err != nil {
			return err
		}
	} else {
		printPlan(p.stdout, plan)
	}
	if plan.Refused() {
		return &exitCode{fault.Refused}
	}
	return nil
}

func printPlan(w io.Writer, plan *vault.RestorePlan) {
	a := plan.Archive
	fmt.Fprintf(w, "from   %s of %s, %d tables, %d rows\n", a.ID, safetext.Line(a.Database), a.Tables, a.Rows)
	fmt.Fprintf(w, "place  %s\n", safetext.Line(plan.Place))
	fmt.Fprintf(w, "to     %s\n", safetext.Line(plan.Target))
	for _, t := range plan.Tables {
		fmt.Fprintf(w, "table  %s\n", safetext.Line(t))
	}
	for _, t := range plan.Left {
		fmt.Fprintf(w, "left out  %s\n", safetext.Line(t))
	}
	for _, c := range plan.Checks {
		fmt.Fprintf(w, "%-2s     %s\n", c.State, safetext.Line(c.Text))
		if c.State != "ok" && c.Do != "" {
			fmt.Fprintf(w, "       do: %s\n", safetext.Line(c.Do))
		}
	}
	for _, s := range plan.Statements {
		fmt.Fprintf(w, "sql    %s\n", safetext.Line(s))
	}
	for i, s := range plan.Steps {
		fmt.Fprintf(w, "%d      %s\n", i+1, safetext.Line(s))
	}
	fmt.Fprintf(w, "same as  %s\n", safetext.Line(plan.Same))
}

// again adds to a command that does the same what this call was told of
// configuration and vault.
func (p *program) again(command string) string {
	verb, ok := strings.CutPrefix(command, "pgvault ")
	if !ok {
		return command
	}
	words := "pgvault "
	if p.config != "" {
		words += "-c " + safetext.Word(p.config) + " "
	}
	if p.vaultName != "" {
		words += "--vault " + safetext.Word(p.vaultName) + " "
	}
	return words + verb
}

// anywhere is again for a command that may be run in another folder.
func (p *program) anywhere(command string) string {
	there := *p
	if abs, err := filepath.Abs(p.config); err == nil && p.config != "" {
		there.config = abs
	}
	return there.again(command)
}

// tableList is a flag of table names, separated by commas as SQL separates
// them: a comma within double quotes belongs to a name.
type tableList []string

// String implements pflag.Value.
func (t *tableList) String() string { return strings.Join(*t, ",") }

// Type implements pflag.Value.
func (t *tableList) Type() string { return "names" }

// Set implements pflag.Value.
func (t *tableList) Set(s string) error {
	quoted, from := false, 0
	for i := range len(s) + 1 {
		switch {
		case i < len(s) && s[i] == '"':
			quoted = !quoted
		case i == len(s) || s[i] == ',' && !quoted:
			name := strings.TrimSpace(s[from:i])
			if name == "" {
				return errors.New("a name is empty")
			}
			*t, from = append(*t, name), i+1
		}
	}
	if quoted {
		return errors.New("a double quote is not closed")
	}
	return nil
}
