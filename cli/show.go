package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pgvault/pg"
	"pgvault/safetext"
	"pgvault/vault"
	"pgvault/vault/archive"
)

func (p *program) showCmd() *cobra.Command {
	var tables bool
	cmd := &cobra.Command{
		Use:   "show ID|latest:DB",
		Short: "Show one archive; with a key, its tables",
		Long: "Tells what is known of an archive without a key: source, size, who can open it, its\n" +
			"copies and every proof. The names of its tables, and the warnings that it was made with,\n" +
			"are encrypted: they need the secret key of a recipient (-i).",
		Example: "  pgvault show latest:shop\n" +
			"  pgvault show latest:shop --tables -i key.txt",
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := p.open()
			if err != nil {
				return err
			}
			if tables && len(p.identities)+len(p.texts) == 0 {
				return usage("--tables needs an identity (-i): the names of tables are encrypted")
			}
			ids := p.secrets(cmd.Context())
			a, c, err := s.vault.Show(cmd.Context(), args[0], ids)
			if err != nil {
				return err
			}
			if p.json {
				doc := struct {
					vault.Archive
					Contents []archive.Table `json:"contents,omitempty"`
					Said     []string        `json:"warning_texts,omitempty"`
				}{Archive: a}
				if c != nil {
					doc.Contents, doc.Said = c.Tables, c.Warnings
				}
				return p.printJSON(doc)
			}
			p.printArchive(a, c)
			if tables && c != nil {
				fmt.Fprintln(p.stdout)
				return p.printTables(c)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&tables, "tables", false, "list the tables with rows and SHA-256 (needs -i)")
	cmd.Flags().BoolVar(&p.json, "json", false, "one JSON document")
	return cmd
}

// printArchive tells of an archive; c is nil without a key.
func (p *program) printArchive(a vault.Archive, c *archive.Contents) {
	line := func(name, format string, v ...any) {
		fmt.Fprintf(p.stdout, "%-9s %s\n", name, safetext.Line(fmt.Sprintf(format, v...)))
	}
	line("archive", "%s, number %d of %s", a.ID, a.Seq, a.Database)
	line("made", "%s to %s (%s ago)", a.Started.Local().Format(time.RFC3339), a.Finished.Local().Format("15:04:05"), age(time.Since(a.Finished)))
	if a.Imported != nil {
		line("imported", "%s, from a dump of that time; it is no backup made here", a.Imported.Local().Format(time.RFC3339))
	}
	line("source", "PostgreSQL %s, pg_dump %s", a.ServerVersion, a.DumpVersion)
	line("content", "%d tables, %d rows, %s", a.Tables, a.Rows, size(a.Bytes))
	line("stored", "%s", size(a.Stored))
	for _, r := range a.Recipient {
		line("opens for", "%s", r)
	}
	for _, c := range a.Copies {
		line("copy", "%s: %s", c.Place, copyWords(c))
	}
	line("state", "%s %s", a.State, a.Reason)
	if a.Pinned {
		line("pinned", "no rule deletes it; pgvault unpin %s lets it go", a.ID)
	}
	line("proof", "%s", a.Proof)
	for _, r := range a.Proofs {
		line("", "%s %s %s, %s, key %s: %s", r.At.Local().Format("2006-01-02 15:04"), r.Level, r.Result, r.By, orNone(r.Key), r.Note)
	}
	if a.Warnings > 0 {
		line("warnings", "%d", a.Warnings)
	}
	if c != nil {
		for _, w := range c.Warnings {
			line("", "! %s", w)
		}
	}
}

// copyWords says how one copy is, and when all of it was last read.
func copyWords(c vault.Copy) string {
	words := []string{strings.TrimSuffix(c.State+" ("+c.Reason+")", " ()")}
	switch {
	case c.ReadBack != nil:
		words = append(words, "read back "+age(time.Since(*c.ReadBack))+" ago")
	case c.State == vault.CopyGood:
		words = append(words, "never read back")
	}
	if c.LockedUntil != nil {
		words = append(words, "locked until "+c.LockedUntil.Local().Format("2006-01-02 15:04"))
	}
	if c.Known != nil {
		words = append(words, "as known "+age(time.Since(*c.Known))+" ago: the place does not answer")
	}
	return strings.Join(words, ", ")
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func (p *program) printTables(c *archive.Contents) error {
	rows := [][]string{}
	for _, t := range c.Tables {
		rows = append(rows, []string{safetext.Line(pg.QuoteName(t.Schema, t.Name)), fmt.Sprint(t.Rows), size(t.Bytes), t.SHA256})
	}
	for _, l := range c.Large {
		rows = append(rows, []string{"large objects", fmt.Sprint(l.Count), size(l.Bytes), l.SHA256})
	}
	return p.table(p.stdout, []string{"TABLE", "ROWS", "BYTES", "SHA256"}, rows)
}
