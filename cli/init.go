package cli

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"pgvault/config"
	"pgvault/fault"
	"pgvault/safetext"
	"pgvault/setup"
	"pgvault/vault/store/address"
)

// initOptions is what init was given.
type initOptions struct {
	place       string
	credentials string
	recipients  []string
	databases   []string
	allowOne    bool
}

func (p *program) initCmd() *cobra.Command {
	var o initOptions
	cmd := &cobra.Command{
		Use:   "init --place URL --recipient R... [--database NAME|CONNINFO]...",
		Short: "Write a configuration, a signing key and an empty vault; asks nothing",
		Long: "Writes config.toml, recipients.txt and signing_key beside each other and makes the\n" +
			"vault. A configuration that is there already is never overwritten. A recipient is an\n" +
			"age or SSH public key, or a file of them; give at least two. No secret key is needed\n" +
			"or kept here. For scripts; pgvault without a verb leads a person through\n" +
			"the same.",
		Example: "  pgvault init --place file:/srv/backup --recipient alice.pub --recipient safe.pub --database shop",
		Args:    usageArgs(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return p.init(cmd, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.place, "place", "", "where archives lie: "+address.Forms+" (default: BACKUP_DIR)")
	f.StringVar(&o.credentials, "credentials", "", "where the place's credentials come from: profile:NAME, file:PATH, systemd:NAME or instance; never a secret itself")
	f.StringArrayVar(&o.recipients, "recipient", nil, "age1…, ssh-ed25519 …, or a file of them; may be repeated")
	f.StringArrayVar(&o.databases, "database", nil, "a database's name, or a conninfo string (default: DB_DATABASE, else all of the server)")
	f.BoolVar(&o.allowOne, "allow-one-recipient", false, "accept a single recipient: lose its key and all is lost")
	return cmd
}

func (p *program) init(cmd *cobra.Command, o initOptions) error {
	if p.readOnly {
		return &fault.Error{What: "this pgvault is read-only", Why: "it was started with --read-only", Left: "nothing was written", Do: "start it without --read-only", Code: fault.Refused}
	}
	path, err := p.configPath()
	if err != nil {
		return err
	}
	if _, err := os.Lstat(path); err == nil {
		return &fault.Error{What: path + " exists already", Why: "init never overwrites a configuration",
			Left: "it was not changed", Do: "edit it, or name another with --config", Code: fault.Refused}
	}
	values, recipients, err := o.values(path)
	if err != nil {
		return err
	}
	if err := setup.Write(path, values, recipients, rand.Reader); err != nil {
		return err
	}
	if err := setup.HandOver(path, values, config.StateDir(path)); err != nil {
		return err
	}
	p.config = path
	s, err := p.open()
	if err != nil {
		return err
	}
	if err := s.vault.Init(cmd.Context()); err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "config      %s\nrecipients  %s\nsigning key %s\nvault       %s in %s\n", safetext.Line(path), safetext.Line(values.RecipientsFile),
		safetext.Line(values.SigningKey), safetext.Line(values.VaultName), safetext.Line(values.Places[0].URL))
	fmt.Fprintln(p.stderr, "next: pgvault backup")
	return nil
}

// configPath is the absolute path of the configuration that is used or would
// be written.
func (p *program) configPath() (string, error) {
	if p.config == "" {
		return filepath.Abs(config.DefaultPath())
	}
	return filepath.Abs(p.config)
}

// values checks what was given before anything is written.
func (o initOptions) values(path string) (config.Values, *setup.Recipients, error) {
	v := setup.Beside(path, config.Values{VaultName: "main", AllowOneRecipient: o.allowOne})
	if o.place == "" {
		o.place = os.Getenv("BACKUP_DIR")
	}
	if o.place == "" {
		return v, nil, usage("--place is needed: where the archives are to lie, such as file:/backup or s3://bucket/prefix")
	}
	place, err := setup.ParsePlace(o.place)
	if err != nil {
		return v, nil, err
	}
	at, err := config.CheckPlace(config.Place{URL: place, Credentials: o.credentials})
	if err != nil {
		return v, nil, err
	}
	at.Name = setup.PlaceName(place)
	v.Places = []config.Place{at}
	for _, d := range o.databases {
		if strings.Contains(d, "://") || strings.Contains(d, "=") {
			v.Conninfo = d
			continue
		}
		v.Databases = append(v.Databases, d)
	}
	if name := os.Getenv("DB_DATABASE"); name != "" && len(o.databases) == 0 {
		v.Databases = []string{name}
	}
	if len(o.recipients) == 0 {
		return v, nil, usage("--recipient is needed: the public key of whoever may open the archives; age-keygen makes a pair")
	}
	r, err := setup.ReadRecipients(o.recipients, "--recipient")
	if err == nil && len(r.Public()) < 2 && !o.allowOne {
		err = setup.OneRecipient()
	}
	return v, r, err
}
