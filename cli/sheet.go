package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"pgvault/config"
	"pgvault/fault"
	"pgvault/safetext"
	"pgvault/setup"
)

func (p *program) sheetCmd() *cobra.Command {
	output, format := "-", "text"
	cmd := &cobra.Command{
		Use:   "recovery-sheet [--output FILE] [--format text|html]",
		Short: "Print one page with all that is needed to get the databases back, but the key",
		Long: "The addresses of the places, the names and fingerprints of the recipients, the signing key,\n" +
			"and the commands: with pgvault, and with programs of the distribution only. No secret is on\n" +
			"it. Print it, and put it where it can be found when this machine is gone; html is one page\n" +
			"of A4 that needs nothing else. That it was printed is remembered, so that pgvault status\n" +
			"says when it is no longer true; -n prints it and remembers nothing.",
		Example: "  pgvault recovery-sheet | lpr\n" +
			"  pgvault recovery-sheet --format html --output sheet.html",
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return p.sheet(cmd.Context(), output, format) },
	}
	cmd.Flags().StringVarP(&output, "output", "o", output, "the file to write, which must not be there yet; - is standard output")
	cmd.Flags().StringVar(&format, "format", format, "text or html")
	cmd.Flags().BoolVar(&p.json, "json", false, "what the sheet says, as one JSON document; remembers nothing")
	return cmd
}

func (p *program) sheet(ctx context.Context, output, format string) error {
	if format != "text" && format != "html" {
		return usage(fmt.Sprintf("--format is text or html, not %.40q", format))
	}
	s, err := p.open()
	if err != nil {
		return err
	}
	facts, err := s.vault.SheetFacts(ctx)
	if err != nil {
		return err
	}
	if p.json {
		return p.printJSON(facts)
	}
	sheet, err := setup.MakeSheet(facts, Version, time.Now())
	if err != nil {
		return err
	}
	text := sheet.Text()
	if format == "html" {
		text = sheet.HTML()
	}
	if output == "-" {
		if _, err := io.WriteString(p.stdout, text); err != nil {
			return err
		}
	} else if err := config.Create(output, []byte(text), 0o644); err != nil {
		why := err.Error()
		if os.IsExist(err) {
			why = "it is there already, and is not overwritten"
		}
		return &fault.Error{Op: "recovery-sheet", What: "the sheet could not be written to " + output, Why: why, Left: "nothing was written", Do: "name another file with --output", Code: fault.Refused, Err: err}
	}
	if p.dryRun {
		return nil
	}
	if err := s.vault.SheetPrinted(ctx, facts); err != nil {
		if fault.CodeOf(err) != fault.Refused {
			return err
		}
		if !p.quiet { // who may only look may print, too
			fmt.Fprintf(p.stderr, " ! that it was printed is not remembered: %s\n", safetext.Line(fault.As(err).Why))
		}
	}
	return nil
}
