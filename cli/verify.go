package cli

import (
	"github.com/spf13/cobra"

	"pgvault/vault"
)

func (p *program) verifyCmd() *cobra.Command {
	var all, detach, super, due bool
	var level, place string
	cmd := &cobra.Command{
		Use:   "verify ID|latest:DB... | --due [DB...]",
		Short: "Prove archives: intact, readable or restored",
		Long: "intact    every stored byte as the signed manifest says; no key needed\n" +
			"readable  decrypted and parsed to the last byte; needs a key (-i)\n" +
			"restored  restored into a private scratch server, every table compared; needs a key.\n" +
			"          The archive is loaded as a role without superuser: its code can do nothing outside.\n" +
			"          Where only a superuser can make something in it, --as-superuser trusts the archive.\n" +
			"What was found is written beside the archive, signed. Exit 5 when an archive is damaged.\n" +
			"With --place and --all, every archive that has a copy in that place.\n" +
			"With --due, the restore drill of [drill] in the configuration: of each database whose last\n" +
			"proof with a person's key is older than drill.every, the newest good archive, one after\n" +
			"another; before its schedule's turn nothing. -n shows what is due.",
		Example: "  pgvault verify --all\n" +
			"  pgvault verify latest:shop --level restored -i key.txt\n" +
			"  pgvault verify --due -n",
		RunE: func(cmd *cobra.Command, refs []string) error {
			p.kind = vault.KindVerify
			s, err := p.open()
			if err != nil {
				return err
			}
			if due {
				return p.verifyDue(cmd.Context(), s, refs, dueFlags{level: level, leveled: cmd.Flags().Changed("level"), other: all || detach || super || place != ""})
			}
			if all {
				list, err := s.vault.List(cmd.Context())
				if err != nil {
					return err
				}
				for _, a := range list {
					if place == "" || a.In(place) {
						refs = append(refs, a.Database+"/"+a.ID)
					}
				}
			}
			if len(refs) == 0 && !all {
				return usage("name an archive, latest:DB or --all")
			}
			if detach {
				secrets, err := p.detachedSecrets(cmd.Context())
				if err != nil {
					return err
				}
				return p.each(refs, func(ref string) error {
					return p.launch(cmd.Context(), s, vault.Order{Kind: vault.KindVerify, ID: ref, Level: vault.Proof(level), Place: place, AsSuperuser: super}, secrets)
				})
			}
			p.outliveTerminal()
			if len(refs) > 1 { // standard input can be read once
				if err := p.readIdentities(func(name string) bool { return name == "-" }); err != nil {
					return err
				}
			}
			return p.each(refs, func(ref string) error {
				return s.vault.RunVerify(cmd.Context(), vault.VerifyOptions{ID: ref, Level: vault.Proof(level), Place: place, Identities: p.secrets(cmd.Context()), AsSuperuser: super}, p.sink())
			})
		},
	}
	cmd.Flags().StringVar(&level, "level", "intact", "intact, readable or restored")
	cmd.Flags().StringVar(&place, "place", "", "the copy in this place (default: the best one)")
	cmd.Flags().BoolVar(&super, "as-superuser", false, "restore as the scratch server's superuser: the archive's code may then do anything")
	cmd.Flags().BoolVar(&all, "all", false, "every archive of the vault")
	cmd.Flags().BoolVar(&due, "due", false, "what the restore drill of the configuration finds due")
	cmd.Flags().BoolVar(&detach, "detach", false, "start a job of its own for each and return; prints their ids")
	cmd.Flags().BoolVar(&p.json, "json", false, "JSON Lines, the last with type done")
	return cmd
}
