package cli

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"pgvault/config"
	"pgvault/fault"
	"pgvault/pg"
	"pgvault/safetext"
	"pgvault/setup"
	"pgvault/vault/archive"
	"pgvault/vault/store/address"
)

func (p *program) configCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Check or show the configuration", Args: usageArgs(cobra.NoArgs), RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	check := &cobra.Command{
		Use:   "check",
		Short: "Check the file, the keys, the place, the server and its client programs",
		Long:  "Runs every check to its end, so that one call shows all that is wrong. Changes nothing.",
		Args:  usageArgs(cobra.NoArgs),
		RunE:  p.configCheck,
	}
	show := &cobra.Command{
		Use:   "show",
		Short: "Print the configuration file",
		Long: "Prints the file that is used, with its path first. pgvault -c FILE names another.\n" +
			"Of the addresses in [tell] only the scheme and the host are shown.",
		Args: usageArgs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			conf, err := p.load()
			if err != nil {
				return err
			}
			if conf.File == "" {
				fmt.Fprintln(p.stderr, "there is no configuration file; the environment alone counts")
				return nil
			}
			src, err := os.ReadFile(conf.File)
			if err == nil {
				fmt.Fprintf(p.stdout, "# %s\n%s", safetext.Line(conf.File), config.Hide(src))
			}
			return err
		},
	}
	cmd.AddCommand(check, show, p.configKeepCmd())
	return cmd
}

// configCheck runs every check to its end, so that one call shows all that
// is wrong.
func (p *program) configCheck(cmd *cobra.Command, _ []string) error {
	s, err := p.open()
	if err != nil {
		return err
	}
	var first error
	report := func(name string, err error, ok string) {
		if err == nil {
			fmt.Fprintf(p.stdout, "ok  %-11s %s\n", name, safetext.Line(ok))
			return
		}
		fmt.Fprintf(p.stdout, "x   %-11s %s\n", name, safetext.Line(err.Error()))
		p.printError(err)
		if first == nil {
			first = &exitCode{fault.CodeOf(err)}
		}
	}
	report("file", nil, orNone(s.conf.File))
	drills := drillsOnly(s.conf)
	if !drills {
		checkRecipients(s.conf, report)
	}
	_, err = archive.LoadSigner(s.conf.Keys.SigningKey)
	report("signing key", err, s.conf.Keys.SigningKey)
	for _, place := range s.conf.Places {
		_, err := setup.OpenPlace(cmd.Context(), place, config.StateDir(s.conf.File))
		report("place", err, placeDoes(s.conf, place))
	}
	p.checkDrill(s.conf, report)
	p.checkTell(s.conf, report)
	if !drills {
		p.checkServer(cmd, s.conf, report)
	}
	return first
}

// drillsOnly tells that this host proves archives by its key and makes none.
func drillsOnly(conf *config.Config) bool {
	return conf.Drill.Identity != "" && conf.Keys.RecipientsFile == ""
}

func checkRecipients(conf *config.Config, report func(string, error, string)) {
	r, err := archive.LoadRecipients(conf.Keys.RecipientsFile)
	if err == nil && len(r.Public) < 2 && !conf.Keys.AllowOneRecipient {
		err = &fault.Error{What: "there is only one recipient", Why: "lose its key, and every archive is lost", Left: "nothing was changed", Do: "add a second, or set keys.allow_one_recipient = true", Code: fault.Refused}
	}
	names := ""
	if err == nil {
		names = fmt.Sprintf("%d, all of them can be sealed to", len(r.Public))
	}
	report("recipients", err, names)
}

// placeDoes says what a place is asked to do.
func placeDoes(conf *config.Config, place config.Place) string {
	a, err := address.Parse(place.URL)
	if err != nil {
		return place.Name
	}
	home, copies := 0, 0
	names := []string{"*"}
	for _, d := range conf.Databases {
		if d.Name != "*" {
			names = append(names, d.Name)
		}
	}
	for _, name := range names {
		switch i := slices.Index(conf.Database(name).Copies, place.Name); {
		case i == 0:
			home++
		case i > 0:
			copies++
		}
	}
	does := []string{"no database's archives go there: see copies ="}
	switch {
	case home == len(names):
		does[0] = "backups are written here"
	case copies == len(names):
		does[0] = "gets a copy of every archive"
	case home+copies > 0:
		does[0] = fmt.Sprintf("gets the archives of some databases (%d of %d entries)", home+copies, len(names))
	}
	if a.Scheme != address.File {
		does = append(does, "credentials: "+firstOf(place.Credentials, "where the service's own clients look"))
	}
	if place.ObjectLock > 0 {
		does = append(does, "locked for "+config.FormatDuration(place.ObjectLock))
	}
	if place.Limit > 0 {
		does = append(does, "at most "+address.FormatRate(int64(place.Limit)))
	}
	if place.MinFree > 0 {
		does = append(does, address.FormatSize(int64(place.MinFree))+" stay free")
	}
	does = append(does, "read back: "+readBack(place, a))
	return place.Name + " " + a.String() + ": " + strings.Join(does, "; ")
}

func (p *program) checkServer(cmd *cobra.Command, conf *config.Config, report func(string, error, string)) {
	ctx := cmd.Context()
	conn, err := conf.Server.Connect(ctx, "")
	if err != nil {
		report("server", err, "")
		return
	}
	defer conn.Close(ctx)
	info, err := pg.Server(ctx, conn)
	if err != nil {
		report("server", err, "")
		return
	}
	report("server", nil, "PostgreSQL "+info.Version+", as "+info.User)
	all, searched, err := pg.FindPrograms(ctx, conf.Server.BinDir)
	var programs pg.Programs
	if err == nil {
		programs, err = pg.ForDump(all, searched, info.Major())
	}
	report("programs", err, "pg_dump "+programs.Version+" in "+programs.Dir)
	names, err := pg.Databases(ctx, conn)
	report("databases", err, fmt.Sprint(conf.Select(names)))
}
