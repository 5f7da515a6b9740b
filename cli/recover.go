package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"pgvault/config"
	"pgvault/fault"
	"pgvault/setup"
	"pgvault/vault"
	"pgvault/vault/store"
	"pgvault/vault/store/address"
)

// recoverFlags is what recover was given.
type recoverFlags struct {
	from, credentials, server, roles string
	signers, databases, as           []string
	trustPlace, latest, noSpaces     bool
	jobs                             int

	takeOver bool
	over     takeOverFlags
}

func (p *program) recoverCmd() *cobra.Command {
	var f recoverFlags
	cmd := &cobra.Command{
		Use:   "recover --from URL --signer FINGERPRINT -i KEY",
		Short: "Bring a whole vault back on a machine that has nothing: an address and one key",
		Long: "For the day on which the old host is gone. It needs no configuration: only the address of\n" +
			"a place, one secret key, and the fingerprint of the signing key, which stand on the\n" +
			"recovery sheet. It finds the vault and its databases, makes the roles as they were, and\n" +
			"restores every database under its own name into the server that PG* or --server name;\n" +
			"each is compared table by table with what was recorded. The place is only read.\n" +
			"\n" +
			"Of each database it takes the newest archive that a restore has proven, or with --latest\n" +
			"the newest good one; where the bytes of one are damaged, the next. One that fails does not\n" +
			"keep the others from coming back, and what an earlier run brought back is left as it is:\n" +
			"the same line again goes on. On a terminal it asks for what was not given.\n" +
			"\n" +
			"Afterwards --take-over writes a configuration for this machine, with a signing key of its\n" +
			"own, so that backups go on in the same vault.",
		Example: "  pgvault recover --from s3://acme-pgbackup/main --signer SHA256:… -i key.txt --dry-run\n" +
			"  pgvault recover --from file:/mnt/disk --signer SHA256:… -i key.txt --database shop --as shop=shop_back\n" +
			"  pgvault recover --from file:/mnt/disk --signer SHA256:… --take-over --recipient alice.pub --recipient safe.pub --confirm main",
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !f.takeOver {
				p.kind = vault.KindRecover
			}
			return p.recover(cmd.Context(), f)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.from, "from", "", "where the archives lie: "+address.Forms)
	fl.StringVar(&f.credentials, "credentials", "", "where the place's credentials come from: profile:NAME, file:PATH, systemd:NAME or instance; never a secret itself")
	fl.StringArrayVar(&f.signers, "signer", nil, "\"signed by\" of the recovery sheet, SHA256:…; may be repeated")
	fl.BoolVar(&f.trustPlace, "trust-place", false, "without a fingerprint: believe the keys that the place itself names; whoever can write there can then forge archives")
	fl.StringArrayVar(&f.databases, "database", nil, "only this database; may be repeated")
	fl.StringArrayVar(&f.as, "as", nil, "OLD=NEW: give the new database another name; may be repeated")
	fl.StringVar(&f.server, "server", "", "the server to restore into, as libpq takes it (default: PG* variables)")
	fl.IntVar(&f.jobs, "jobs", 0, "load workers (default: one)")
	fl.StringVar(&f.roles, "roles", "create", "missing roles: create (all, as they were, with passwords), bare (those that are used, no login) or leave (objects belong to you)")
	fl.BoolVar(&f.noSpaces, "no-tablespaces", false, "all goes into the server's default tablespace")
	fl.BoolVar(&f.latest, "latest", false, "the newest good archive, though a restore has proven only an older one")
	fl.BoolVar(&f.takeOver, "take-over", false, "restore nothing: write a configuration, so that backups go on in this vault from here")
	f.over.register(cmd)
	fl.BoolVar(&p.json, "json", false, "JSON Lines, the last with type done; the plan is one document")
	return cmd
}

func (p *program) recover(ctx context.Context, f recoverFlags) error {
	if f.trustPlace && len(f.signers) > 0 {
		return usage("--signer and --trust-place exclude each other")
	}
	asking := (p.accessible() || p.terminal()) && !p.noInput && !p.json
	var ask *recoverAsk
	if asking {
		ask = p.newRecoverAsk(ctx)
	}
	if f.from == "" && ask != nil {
		var err error
		if f.from, err = ask.line("Where are the backups? Line 1 of the recovery sheet: " + address.Forms); err != nil {
			return err
		}
	}
	found, err := p.findVault(ctx, f, ask)
	if err != nil {
		return err
	}
	if f.takeOver {
		f.over.server, f.over.databases = f.server, f.databases
		return p.takeOver(ctx, found, f.over)
	}
	o, err := p.recoverOptions(ctx, f, ask)
	if err != nil {
		return err
	}
	plan, err := found.vault.PlanRecover(ctx, o)
	if err != nil {
		return err
	}
	if p.dryRun {
		return p.dryRecover(plan, found)
	}
	if !p.json && !p.quiet {
		printRecover(p.stderr, plan, found)
	}
	if ask != nil && !plan.Refused() {
		if err := ask.begin(plan); err != nil {
			return err
		}
	}
	p.outliveTerminal()
	return p.runRecover(ctx, found.vault, plan)
}

// foundVault is a vault that was found in a place, and whose keys count.
type foundVault struct {
	vault   *vault.Vault
	store   store.Store
	place   config.Place
	name    string
	vouched *vault.Vouched // nil: the place's own word
	conf    *config.Config
}

// findVault opens the place, finds the vault in it, and settles whose
// signatures count.
func (p *program) findVault(ctx context.Context, f recoverFlags, ask *recoverAsk) (*foundVault, error) {
	if f.from == "" {
		return nil, usage("--from is needed: line 1 of the recovery sheet, " + address.Forms)
	}
	path, err := p.configPath()
	if err != nil {
		return nil, err
	}
	if err := p.becomeOwner(config.StateDir(path)); err != nil {
		return nil, err
	}
	url, err := setup.ParsePlace(f.from)
	if err != nil {
		return nil, err
	}
	found := &foundVault{}
	if found.place, err = config.CheckPlace(config.Place{URL: url, Credentials: f.credentials}); err != nil {
		return nil, err
	}
	found.place.Name = setup.PlaceName(url)
	if found.store, err = setup.OpenPlaceToRead(ctx, found.place); err != nil {
		return nil, err
	}
	if found.name, err = p.oneVault(ctx, found.store, ask); err != nil {
		return nil, err
	}
	if err := p.vouch(ctx, f, found, ask); err != nil {
		return nil, err
	}
	if found.conf, err = config.Parse(nil, "", os.LookupEnv); err != nil {
		return nil, err
	}
	found.vault = vault.New(p.recoveryConfig(found, f, path))
	return found, nil
}

// recoveryConfig is what a vault needs to know where there is no
// configuration. One that is there is another vault's: nothing of it is used,
// and its state folder keeps what it remembers.
func (p *program) recoveryConfig(found *foundVault, f recoverFlags, path string) vault.Config {
	conf := *found.conf
	conf.Vault.Name, conf.Places = found.name, nil
	if f.server != "" {
		conf.Server.Conninfo = f.server
	}
	c := p.vaultConfig(&conf)
	c.StateDir, c.File = config.StateDir(path), ""
	if _, err := os.Lstat(path); err == nil {
		c.StateDir = filepath.Join(c.StateDir, "recover")
	}
	c.Places = []vault.Place{{Name: found.place.Name, URL: found.place.URL, Store: found.store, ReadBack: vault.ReadBackNever}}
	c.SigningKey, c.TrustedSigners, c.RecipientsFile, c.Starts, c.Tell = "", "", "", nil, vault.Tell{}
	if found.vouched != nil {
		c.Signers = found.vouched.Lines()
	}
	return c
}

// oneVault is the name of the place's vault, or of the one that was chosen.
func (p *program) oneVault(ctx context.Context, place store.Store, ask *recoverAsk) (string, error) {
	if p.vaultName != "" {
		return p.vaultName, nil
	}
	names, err := vault.FindVaults(ctx, place)
	switch {
	case err != nil:
		return "", err
	case len(names) == 1:
		return names[0], nil
	case len(names) == 0:
		return "", &fault.Error{Op: "recover", What: "there is no vault in " + place.String(), Why: "no folder there has a vault.json", Left: "nothing was made or changed",
			Do: "compare the address with the recovery sheet: the folder above or below may be meant", Code: fault.NoVault}
	case ask != nil:
		return ask.choose("Which vault?", names)
	}
	return "", &fault.Error{Op: "recover", What: fmt.Sprintf("there are %d vaults in %s", len(names), place), Why: strings.Join(names, ", "), Left: "nothing was made or changed",
		Do: "say which with --vault", Code: fault.Refused}
}

// vouch settles whose signatures count: of the fingerprints that a person
// has from paper, or where that was said, of the keys that the place names.
func (p *program) vouch(ctx context.Context, f recoverFlags, found *foundVault, ask *recoverAsk) error {
	signers := f.signers
	if len(signers) == 0 && !f.trustPlace && ask != nil {
		text, err := ask.line("The signing key's fingerprint, \"signed by\" on the recovery sheet (SHA256:…, several with a space between)")
		if err != nil {
			return err
		}
		signers = strings.Fields(text)
	}
	if len(signers) == 0 && !f.trustPlace {
		return &fault.Error{Op: "recover", What: "it is not known whose signatures count", Why: fmt.Sprintf("the vault %q names its own keys, and whoever can write into the place could have put others there", found.name), Left: "nothing was read further, made or changed",
			Do: "--signer with \"signed by\" of the recovery sheet; where there is no sheet, --trust-place takes the place's word", Code: fault.Refused}
	}
	if f.trustPlace {
		return nil
	}
	var err error
	found.vouched, err = vault.FindSigners(ctx, found.store, found.name, signers)
	return err
}

// recoverOptions reads the keys, once for all that follows.
func (p *program) recoverOptions(ctx context.Context, f recoverFlags, ask *recoverAsk) (vault.RecoverOptions, error) {
	o := vault.RecoverOptions{Databases: f.databases, Latest: f.latest, Jobs: f.jobs, Roles: vault.Roles(f.roles), NoTablespace: f.noSpaces, As: map[string]string{}}
	if o.Roles != vault.RolesCreate && o.Roles != vault.RolesBare && o.Roles != vault.RolesLeave {
		return o, usage("--roles is one of create, bare and leave")
	}
	for _, as := range f.as {
		old, name, ok := strings.Cut(as, "=")
		switch {
		case ok && old != "" && name != "":
			o.As[old] = name
		case !ok && as != "" && len(f.databases) == 1:
			o.As[f.databases[0]] = as
		default:
			return o, usage("--as is OLD=NEW; NEW alone only beside one --database")
		}
	}
	if len(p.identities)+len(p.texts) == 0 && ask != nil {
		path, err := ask.line("The file with the secret key")
		if err != nil {
			return o, err
		}
		p.identities = []string{path}
	}
	if err := p.readIdentities(func(string) bool { return true }); err != nil {
		return o, err
	}
	o.Identities = p.secrets(ctx)
	if asked := o.Identities.Passphrase; asked != nil {
		known := map[string]string{}
		o.Identities.Passphrase = func(prompt string) (string, error) {
			if pass, ok := known[prompt]; ok {
				return pass, nil
			}
			pass, err := asked(prompt)
			if err == nil {
				known[prompt] = pass
			}
			return pass, err
		}
	}
	return o, nil
}
