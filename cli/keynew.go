package cli

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"pgvault/fault"
	"pgvault/safetext"
	"pgvault/vault/archive"
)

func (p *program) keyNewCmd() *cobra.Command {
	var postQuantum bool
	output := "key.txt"
	cmd := &cobra.Command{
		Use:   "new [--post-quantum] [--output FILE]",
		Short: "Make a key pair: the secret half into a file, the public half is printed",
		Long: "Writes an age identity file that only you can read; a file that is there already is never\n" +
			"overwritten. The secret is printed only with --output -. Make it where it will be kept, not\n" +
			"on the backup host: archives are as safe as that file. X25519, or with --post-quantum a\n" +
			"hybrid that also withstands a quantum computer; age programs before 1.3 cannot open what is\n" +
			"sealed to it, and all recipients must then be post-quantum.",
		Example: "  pgvault key new --output safe.txt\n" +
			"  pgvault key new --post-quantum -o safe.txt --json",
		Args: usageArgs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error { return p.keyNew(postQuantum, output) },
	}
	cmd.Flags().BoolVar(&postQuantum, "post-quantum", false, "ML-KEM-768 with X25519 (age1pq1…); age programs before 1.3 cannot open it")
	cmd.Flags().StringVarP(&output, "output", "o", output, "the identity file to write; - is standard output")
	cmd.Flags().BoolVar(&p.json, "json", false, "the public half as one JSON document")
	return cmd
}

// madeKey is a new key pair as JSON: its public half, and where the other is.
type madeKey struct {
	Recipient   string `json:"recipient"`
	Fingerprint string `json:"fingerprint"`
	Kind        string `json:"kind"`
	File        string `json:"file"`
}

func (p *program) keyNew(postQuantum bool, output string) error {
	switch {
	case p.readOnly:
		return &fault.Error{What: "this pgvault is read-only", Why: "it was started with --read-only", Left: "no key was made", Do: "start it without --read-only", Code: fault.Refused}
	case output == "-" && p.json:
		return usage("--output - prints the secret, and --json prints a document: choose one")
	case p.dryRun:
		fmt.Fprintf(p.stderr, "a key pair would be made, its secret half in %s\n", safetext.Line(output))
		return nil
	}
	id, err := archive.MakeIdentity(postQuantum)
	if err != nil {
		return err
	}
	defer id.Wipe()
	public, err := archive.ParseRecipients([]byte(id.Recipient), "the new recipient")
	if err != nil {
		return err
	}
	who := public.Public[0]
	if output == "-" {
		if _, err := fmt.Fprint(p.stdout, id.Secret()); err != nil {
			return err
		}
	} else if err := id.Save(output); err != nil {
		why := err.Error()
		if os.IsExist(err) {
			why = "it is there already, and a key is never overwritten"
		}
		return &fault.Error{Op: "key new", What: "the secret key could not be written to " + output, Why: why, Left: "no key was made", Do: "name another file with --output", Code: fault.Refused, Err: err}
	}
	if p.json {
		path, err := filepath.Abs(output)
		if err != nil {
			return err
		}
		return p.printJSON(madeKey{id.Recipient, who.Fingerprint, who.Kind, path})
	}
	if output != "-" {
		fmt.Fprintln(p.stdout, id.Recipient)
	}
	if p.quiet {
		return nil
	}
	say := func(format string, a ...any) { fmt.Fprintf(p.stderr, format+"\n", a...) }
	if output != "-" {
		say("ok the secret key is in %s, and nowhere else: keep a copy where a fire does not reach both", safetext.Line(output))
	}
	say("   %s, %s; the recipient is the line age1… above, it is public", who.Kind, who.Fingerprint)
	if postQuantum {
		say(" ! age programs before 1.3 cannot open what is sealed to it; all recipients must then be post-quantum")
	}
	say("   add it on the backup host: pgvault key add age1… --name 'whose it is, or where it lies'")
	return nil
}
