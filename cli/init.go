package cli

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"pgvault/config"
	"pgvault/fault"
	"pgvault/safetext"
	"pgvault/vault"
	"pgvault/vault/archive"
	"pgvault/vault/store/disk"
)

// initOptions is what init was given.
type initOptions struct {
	place      string
	recipients []string
	databases  []string
	allowOne   bool
}

func (p *program) initCmd() *cobra.Command {
	var o initOptions
	cmd := &cobra.Command{
		Use:   "init --place file:/DIR --recipient R... [--database NAME|CONNINFO]...",
		Short: "Write a configuration, a signing key and an empty vault; asks nothing",
		Long: "Writes config.toml, recipients.txt and signing_key beside each other and makes the\n" +
			"vault. A configuration that is there already is never overwritten. A recipient is an\n" +
			"age or SSH public key, or a file of them; give at least two. No secret key is needed\n" +
			"or kept here.",
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return p.init(cmd, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.place, "place", "", "where archives lie: file:/DIR (default: BACKUP_DIR)")
	f.StringArrayVar(&o.recipients, "recipient", nil, "age1…, ssh-ed25519 …, or a file of them; may be repeated")
	f.StringArrayVar(&o.databases, "database", nil, "a database's name, or a conninfo string (default: DB_DATABASE, else all of the server)")
	f.BoolVar(&o.allowOne, "allow-one-recipient", false, "accept a single recipient: lose its key and all is lost")
	return cmd
}

func (p *program) init(cmd *cobra.Command, o initOptions) error {
	if p.readOnly {
		return &fault.Error{What: "this pgvault is read-only", Why: "it was started with --read-only", Left: "nothing was written", Do: "start it without --read-only", Code: fault.Refused}
	}
	path := p.config
	if path == "" {
		path = config.DefaultPath()
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(path); err == nil {
		return &fault.Error{What: path + " exists already", Why: "init never overwrites a configuration",
			Left: "it was not changed", Do: "edit it, or name another with --config", Code: fault.Refused}
	}
	values, text, err := o.values(path)
	if err != nil {
		return err
	}
	if err := writeSetup(path, values, text); err != nil {
		return err
	}
	if err := handOver(path, values, config.StateDir(path)); err != nil {
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

// values checks what was given before anything is written.
func (o initOptions) values(path string) (config.Values, []byte, error) {
	dir := filepath.Dir(path)
	v := config.Values{VaultName: "main", RecipientsFile: filepath.Join(dir, "recipients.txt"), SigningKey: filepath.Join(dir, "signing_key"), AllowOneRecipient: o.allowOne}
	if o.place == "" {
		o.place = os.Getenv("BACKUP_DIR")
	}
	if o.place == "" {
		return v, nil, usage("--place is needed: where the archives are to lie, such as file:/backup")
	}
	if !strings.Contains(o.place, ":") {
		abs, err := filepath.Abs(o.place)
		if err != nil {
			return v, nil, err
		}
		o.place = "file:" + abs
	}
	v.Places = []config.Place{{Name: "disk", URL: o.place}}
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
	text, err := o.recipientsText()
	if err != nil {
		return v, nil, err
	}
	r, err := archive.ParseRecipients(text, "--recipient")
	if err == nil && len(r.Public) < 2 && !o.allowOne {
		err = &fault.Error{What: "there is only one recipient", Why: "lose its key, and every archive is lost", Left: "nothing was written",
			Do: "give a second (a key kept in a safe), or --allow-one-recipient", Code: fault.Refused}
	}
	return v, text, err
}

func (o initOptions) recipientsText() ([]byte, error) {
	if len(o.recipients) == 0 {
		return nil, usage("--recipient is needed: the public key of whoever may open the archives; age-keygen makes a pair")
	}
	var b strings.Builder
	for _, r := range o.recipients {
		if strings.HasPrefix(r, "age1") || strings.HasPrefix(r, "ssh-") {
			fmt.Fprintln(&b, r)
			continue
		}
		src, err := os.ReadFile(r)
		if err != nil {
			return nil, usage(fmt.Sprintf("--recipient %q is neither a public key nor a file that can be read", r))
		}
		b.Write(append(src, '\n'))
	}
	return []byte(b.String()), nil
}

// writeSetup writes the files of a new set-up; an existing signing key or
// recipients file is kept as it is.
func writeSetup(path string, v config.Values, recipients []byte) error {
	dir := filepath.Dir(path)
	fail := func(err error) error {
		return &fault.Error{What: "the set-up could not be written", Left: "no existing file was changed", Do: "make " + dir + " writable, or name another file with --config", Err: err}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fail(err)
	}
	host, _ := os.Hostname()
	key, err := archive.NewSigningKey(rand.Reader, "pgvault@"+host)
	if err != nil {
		return err
	}
	if err := writeNew(v.SigningKey, key, 0o600); err != nil {
		return fail(err)
	}
	if err := writePublic(v.SigningKey); err != nil {
		return fail(err)
	}
	if err := writeNew(v.RecipientsFile, recipients, 0o644); err != nil {
		return fail(err)
	}
	d, err := disk.Init(v.Places[0].URL)
	if err != nil {
		return err
	}
	d.Close()
	if err := writeNew(path, config.Template(v), 0o640); err != nil {
		return fail(err)
	}
	return nil
}

// writePublic writes the signing key's public half beside it, for who may
// look at the vault and not sign.
func writePublic(key string) error {
	public, err := archive.PublicOf(key)
	if err != nil {
		return err
	}
	return writeNew(key+".pub", []byte(public+"\n"), 0o644)
}

// handOver gives a set-up that root has written to the user who owns the
// state folder: the signing key and the place are theirs, the configuration
// stays root's and their group reads it. Without system mode it does nothing.
func handOver(path string, v config.Values, state string) error {
	uid, gid, ok := vault.StateOwner(state)
	if os.Geteuid() != 0 || !ok || uid == 0 {
		return nil
	}
	folder, err := disk.Path(v.Places[0].URL)
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		uid  int
		mode os.FileMode
	}{{path, 0, 0o640}, {v.RecipientsFile, 0, 0o640}, {v.SigningKey, uid, 0o600}, {folder, uid, 0o750}} {
		err := os.Lchown(f.name, f.uid, gid)
		if err == nil {
			err = os.Chmod(f.name, f.mode)
		}
		if err != nil {
			return &fault.Error{What: "the set-up could not be given to the vault's owner", Left: "the files are written, and are root's", Do: "scripts/system-mode.sh " + shellWord(folder) + " gives them away", Err: err}
		}
	}
	return nil
}

func writeNew(path string, data []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
