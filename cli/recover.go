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
	rolesGiven                       bool // --roles was there
	anew                             bool // not what was left: a person chose that
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
			"the same line again goes on. On a terminal a guide asks for what was not given.\n" +
			"\n" +
			"Afterwards --take-over writes a configuration for this machine, with a signing key of its\n" +
			"own, so that backups go on in the same vault.",
		Example: "  pgvault recover --from s3://acme-pgbackup/main --signer SHA256:… -i key.txt --dry-run\n" +
			"  pgvault recover --from file:/mnt/disk --signer SHA256:… -i key.txt --database shop --as shop=shop_back\n" +
			"  pgvault recover --from file:/mnt/disk --signer SHA256:… --take-over --recipient alice.pub --recipient safe.pub --confirm main",
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.rolesGiven = cmd.Flags().Changed("roles")
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
	if p.lacks(f) && (p.accessible() || p.terminal()) && !p.noInput && !p.json {
		return p.recoverGuide(ctx, f)
	}
	found, err := p.findVault(ctx, f)
	if err != nil {
		return err
	}
	if f.takeOver {
		f.over.server, f.over.databases = f.server, f.databases
		return p.takeOver(ctx, found, f.over)
	}
	o, err := p.recoverOptions(ctx, f)
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
	p.outliveTerminal()
	return p.runRecover(ctx, found, plan)
}

// lacks tells whether something was not given that has to be asked for.
func (p *program) lacks(f recoverFlags) bool {
	if f.from == "" || len(f.signers) == 0 && !f.trustPlace {
		return true
	}
	if f.takeOver {
		return len(f.over.recipients) == 0
	}
	return len(p.identities)+len(p.texts) == 0
}

// foundVault is a vault that was found in a place, and whose keys count.
type foundVault struct {
	vault   *vault.Vault
	store   store.Store
	place   config.Place
	order   vault.RecoverOrder
	vouched *vault.Vouched // nil: the place's own word
}

// findVault opens the place, finds the vault in it, and settles whose
// signatures count.
func (p *program) findVault(ctx context.Context, f recoverFlags) (*foundVault, error) {
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
	found := &foundVault{order: vault.RecoverOrder{Conninfo: f.server}}
	if found.place, err = recoveryPlace(url, f.credentials); err != nil {
		return nil, err
	}
	found.order.Place, found.order.Credentials = found.place.URL, found.place.Credentials
	if found.store, err = setup.OpenPlaceToRead(ctx, found.place); err != nil {
		return nil, err
	}
	if found.order.Vault, err = p.oneVault(ctx, found.store); err != nil {
		return nil, err
	}
	if !f.trustPlace {
		if len(f.signers) == 0 {
			return nil, setup.WhoseSignatures(found.order.Vault)
		}
		if found.vouched, err = vault.FindSigners(ctx, found.store, found.order.Vault, f.signers); err != nil {
			return nil, err
		}
		found.order.Signers = found.vouched.Lines()
	}
	found.vault, err = p.recoveryVault(path, found.place, found.store, found.order)
	return found, err
}

// recoveryPlace is a place as a configuration would have it.
func recoveryPlace(url, credentials string) (config.Place, error) {
	place, err := config.CheckPlace(config.Place{URL: url, Credentials: credentials})
	place.Name = setup.PlaceName(url)
	return place, err
}

// recoveryVault is the vault that w names, for the host whose configuration
// would be at path.
func (p *program) recoveryVault(path string, place config.Place, s store.Store, w vault.RecoverOrder) (*vault.Vault, error) {
	conf, err := config.Parse(nil, "", os.LookupEnv)
	if err != nil {
		return nil, err
	}
	conf.Vault.Name, conf.Places = w.Vault, nil
	if w.Service != "" || w.Conninfo != "" {
		conf.Server.Service, conf.Server.Conninfo = w.Service, w.Conninfo
	}
	c := p.vaultConfig(conf)
	c.StateDir, c.File = recoveryState(path), ""
	if s != nil {
		c.Places = []vault.Place{{Name: place.Name, URL: place.URL, Store: s, ReadBack: vault.ReadBackNever}}
	}
	c.SigningKey, c.TrustedSigners, c.RecipientsFile, c.Starts, c.Tell = "", "", "", nil, vault.Tell{}
	c.Signers = w.Signers
	return vault.New(c), nil
}

// recoveryState is where a recovery remembers what it brought back. A
// configuration that is at path is another vault's: nothing of it is used,
// and its state folder keeps what it remembers.
func recoveryState(path string) string {
	state := config.StateDir(path)
	if _, err := os.Lstat(path); err == nil {
		return filepath.Join(state, "recover")
	}
	return state
}

// orderedRecovery is the vault of a recovery that a guide has started as a
// job.
func (p *program) orderedRecovery(ctx context.Context, w vault.RecoverOrder) (*vault.Vault, error) {
	path, err := p.configPath()
	if err != nil {
		return nil, err
	}
	if err := p.becomeOwner(config.StateDir(path)); err != nil {
		return nil, err
	}
	place, err := recoveryPlace(w.Place, w.Credentials)
	if err != nil {
		return nil, err
	}
	s, err := setup.OpenPlaceToRead(ctx, place)
	if err != nil {
		return nil, err
	}
	return p.recoveryVault(path, place, s, w)
}

// oneVault is the name of the place's vault, or of the one that was chosen.
func (p *program) oneVault(ctx context.Context, place store.Store) (string, error) {
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
		return "", setup.NoVaultIn(place)
	}
	return "", &fault.Error{Op: "recover", What: fmt.Sprintf("there are %d vaults in %s", len(names), place), Why: strings.Join(names, ", "), Left: "nothing was made or changed",
		Do: "say which with --vault", Code: fault.Refused}
}

// recoverOptions reads the keys, once for all that follows.
func (p *program) recoverOptions(ctx context.Context, f recoverFlags) (vault.RecoverOptions, error) {
	o := vault.RecoverOptions{Databases: f.databases, Latest: f.latest, Jobs: f.jobs, Roles: vault.Roles(f.roles), NoTablespace: f.noSpaces}
	if !validRoles(f.roles) {
		return o, usage("--roles is one of create, bare and leave")
	}
	var err error
	if o.As, err = newNames(f); err != nil {
		return o, err
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

func validRoles(s string) bool {
	return s == string(vault.RolesCreate) || s == string(vault.RolesBare) || s == string(vault.RolesLeave)
}

// newNames reads --as.
func newNames(f recoverFlags) (map[string]string, error) {
	out := map[string]string{}
	for _, as := range f.as {
		old, name, ok := strings.Cut(as, "=")
		switch {
		case ok && old != "" && name != "":
			out[old] = name
		case !ok && as != "" && len(f.databases) == 1:
			out[f.databases[0]] = as
		default:
			return nil, usage("--as is OLD=NEW; NEW alone only beside one --database")
		}
	}
	return out, nil
}
