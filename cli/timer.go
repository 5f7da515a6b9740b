package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"pgvault/config"
	"pgvault/fault"
	"pgvault/safetext"
	"pgvault/setup"
	"pgvault/timer"
	"pgvault/vault"
)

func (p *program) timerCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "timer",
		Short: "Have backups started by their schedules: systemd, cron, or in the foreground",
		Long: "Schedules stand in the configuration (schedule = \"02:00\"). Something has to start what is\n" +
			"due: a systemd timer, a crontab, or pgvault timer run, as in a container. All of them\n" +
			"only wake pgvault up; what is due, and what was slept through, it decides itself. At each\n" +
			"of these times, and each hour, it also tells those named under [tell] how things stand:\n" +
			"that a backup is late though none has failed, or that a place cannot be read.",
		Example: "  pgvault timer install -n   what would be written\n  sudo pgvault timer install\n  pgvault timer show\n  pgvault timer run          the main process of a container",
		Args:    usageArgs(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return p.timerShow(cmd.Context()) },
	}
	var cron bool
	install := &cobra.Command{Use: "install", Short: "Write and start a systemd timer; with --cron, lines in the crontab",
		Long: "Writes pgvault.service and pgvault.timer, hardened, and has systemd wait for the timer; where\n" +
			"the configuration has a [drill] with a schedule, pgvault-drill.service and .timer too, for\n" +
			"proofs by restore that give way to everything else. That is for\n" +
			"the system where the configuration is the system's, else for this user. Where systemd does\n" +
			"not run, nothing is written, and the lines for a crontab are printed. -n only shows.\n" +
			"By systemd-analyze security the system's service is exposed at 2.0 at most, also as root, but\n" +
			"for root's that proves by restore (2.5): it starts servers as another user. Run as a user\n" +
			"pgvault instead. A user's own units cannot give up what only root can take away.",
		Args: usageArgs(cobra.NoArgs), RunE: func(cmd *cobra.Command, _ []string) error { return p.timerInstall(cmd.Context(), cron) }}
	install.Flags().BoolVar(&cron, "cron", false, "put lines into the user's crontab instead; all others stay")
	show := &cobra.Command{Use: "show", Short: "Tell what is installed, whether it is active, and the next three runs of each database",
		Args: usageArgs(cobra.NoArgs), RunE: func(cmd *cobra.Command, _ []string) error { return p.timerShow(cmd.Context()) }}
	show.Flags().BoolVar(&p.json, "json", false, "one JSON document")
	remove := &cobra.Command{Use: "remove", Short: "Take away exactly what install wrote",
		Args: usageArgs(cobra.NoArgs), RunE: func(cmd *cobra.Command, _ []string) error { return p.timerRemove(cmd.Context()) }}
	run := &cobra.Command{Use: "run", Short: "Start what is due from here on, until told to end",
		Long: "The scheduler in the foreground, for containers and hosts without systemd and cron. It backs\n" +
			"up one database after another, and begins with what was slept through. Where the\n" +
			"configuration has a [drill] with a schedule, it proves archives by restore too, beside the\n" +
			"backups and giving way to them, as verify --due does; a machine that only drills needs no\n" +
			"schedule for backups. It looks at the clock at least once a minute, so that a jump of it or\n" +
			"a sleep of the machine is noticed, and at the configuration: a changed one holds from then\n" +
			"on, or from the end of the backup that runs; one with an error in it, or without a schedule, is\n" +
			"told of and not taken. Each hour those named under [tell]\n" +
			"hear how things stand, as after each backup. At SIGTERM and Ctrl-C what runs is ended cleanly, leaves\n" +
			"nothing half-made, and is made up for by the next start.",
		Args: usageArgs(cobra.NoArgs), RunE: func(cmd *cobra.Command, _ []string) error { return p.timerRun(cmd.Context()) }}
	cmd.AddCommand(install, show, remove, run)
	return cmd
}

// timerPlan is what would have to be installed for a configuration, and where.
func (p *program) timerPlan(conf *config.Config) (timer.Plan, timer.Host, error) {
	if conf.File == "" {
		return timer.Plan{}, timer.Host{}, &fault.Error{Op: "timer", What: "there is no configuration file", Why: "all comes from the environment, which a timer does not have", Left: "nothing was changed",
			Do: "pgvault init writes one; in a container: pgvault timer run", Code: fault.Usage}
	}
	file, err := filepath.Abs(conf.File)
	if err != nil {
		return timer.Plan{}, timer.Host{}, err
	}
	words, dir := p.runner(), filepath.Dir(file)
	state := config.StateDir(conf.File)
	plan := timer.Plan{Name: "pgvault", Program: words[0], Args: []string{"--config", file}, Schedules: conf.Schedules(),
		Restores: conf.Defaults.Verify == string(vault.ProofRestored), Write: []string{state}, Read: []string{file, conf.Keys.RecipientsFile, conf.Keys.SigningKey, conf.Keys.TrustedSigners},
		CredentialDir: filepath.Join(dir, "credentials"), EnvFile: filepath.Join(dir, "environment")}
	if p.vaultName != "" {
		plan.Args = append(plan.Args, "--vault", p.vaultName)
	}
	if p.vaultName != "" || file != config.DefaultPath() {
		plan.Name += "-" + firstOf(p.vaultName, conf.Vault.Name)
	}
	for _, place := range conf.Places {
		if folder := setup.PlaceFolder(place.URL); strings.HasPrefix(strings.ToLower(place.URL), "file:") {
			plan.Write = append(plan.Write, folder)
		}
		kind, name, _ := strings.Cut(place.Credentials, ":")
		switch kind {
		case "systemd":
			plan.Credentials = append(plan.Credentials, name)
		case "file":
			plan.Read = append(plan.Read, name)
		}
	}
	if _, err := os.Stat(plan.EnvFile); err == nil {
		plan.CronEnv = plan.EnvFile
	}
	if s := conf.DrillSchedule(); s != nil {
		plan.Drill = &timer.Drill{Schedule: s, Credential: conf.Drill.Credential()}
		if plan.Drill.Credential == "" {
			plan.Read = append(plan.Read, conf.Drill.Identity)
		}
	}
	if conf.Tell.MetricsFile != "" {
		plan.Write = append(plan.Write, filepath.Dir(conf.Tell.MetricsFile))
	}
	owner := vault.AccessTo(state, os.Geteuid()).Owner
	system := os.Geteuid() == 0 || strings.HasPrefix(file, "/etc/")
	cronFor := ""
	if system {
		if plan.User = owner; os.Geteuid() == 0 && owner != "root" {
			cronFor = owner
		}
	}
	home, err := os.UserConfigDir()
	if err != nil && !system {
		return plan, timer.Host{}, &fault.Error{Op: "timer", What: "this user has no folder for units", Why: err.Error(), Left: "nothing was changed", Do: "set HOME", Err: err}
	}
	slices.Sort(plan.Credentials)
	plan.Credentials = slices.Compact(plan.Credentials)
	return plan, timer.ThisHost(system, filepath.Join(home, "systemd", "user"), cronFor), nil
}

// starter tells what starts scheduled backups here, asked anew each minute.
func (p *program) starter(conf *config.Config) func() string {
	var mu sync.Mutex
	var at time.Time
	var what string
	return func() string {
		mu.Lock()
		defer mu.Unlock()
		if time.Since(at) < time.Minute {
			return what
		}
		what, at = "", time.Now()
		if plan, host, err := p.timerPlan(conf); err == nil {
			if i, err := host.Look(context.Background(), plan); err == nil {
				what = i.Starts()
			}
		}
		return what
	}
}

func (p *program) timerInstall(ctx context.Context, cron bool) error {
	conf, err := p.load()
	if err != nil {
		return err
	}
	plan, host, err := p.timerPlan(conf)
	switch {
	case err != nil:
		return err
	case len(plan.Schedules) == 0 && plan.Drill == nil:
		return noSchedule(conf.File)
	case p.readOnly:
		return &fault.Error{Op: "timer install", What: "this pgvault is read-only", Why: "it was started with --read-only", Left: "nothing was changed", Do: "start it without --read-only", Code: fault.Refused}
	case p.dryRun:
		return p.timerPreview(plan, host, cron)
	case cron:
		if err := host.InstallCron(ctx, plan); err != nil {
			return err
		}
	case !host.Systemd:
		for _, l := range plan.Crontab() {
			fmt.Fprintln(p.stdout, l)
		}
		return &fault.Error{Op: "timer install", What: "systemd does not run here, so that no timer was installed", Why: "there is no /run/systemd/system, as in most containers", Left: "nothing was changed",
			Do: "pgvault timer install --cron puts the lines above into the crontab; pgvault timer run needs neither", Code: fault.Refused}
	default:
		for _, name := range plan.AllCredentials() {
			if _, err := os.Stat(filepath.Join(plan.CredentialDir, name)); err != nil {
				return &fault.Error{Op: "timer install", What: "the credential " + name + " is not there", Why: err.Error(), Left: "nothing was changed",
					Do: "put it into " + filepath.Join(plan.CredentialDir, name) + ", owned by root, mode 0600", Code: fault.Refused, Err: err}
			}
		}
		if err := host.Install(ctx, plan); err != nil {
			return err
		}
	}
	if !p.quiet {
		fmt.Fprintln(p.stderr, "installed. What it does, and the next runs: pgvault timer show")
		if host.User && !cron {
			fmt.Fprintln(p.stderr, "A timer of a user runs while that user is logged in; always with: loginctl enable-linger")
		}
	}
	return nil
}

// timerPreview shows what install would write.
func (p *program) timerPreview(plan timer.Plan, host timer.Host, cron bool) error {
	files, err := host.Files(plan)
	if err != nil {
		return err
	}
	if !cron {
		for _, f := range files {
			if f.Want == "" {
				continue
			}
			fmt.Fprintf(p.stdout, "# %s (%s)\n%s\n", f.Path, f.State, f.Want)
		}
		if host.Systemd {
			return nil
		}
		fmt.Fprintln(p.stdout, "# systemd does not run here; with --cron, in the crontab:")
	}
	for _, l := range plan.Crontab() {
		fmt.Fprintln(p.stdout, l)
	}
	return nil
}

func (p *program) timerRemove(ctx context.Context) error {
	conf, err := p.load()
	if err != nil {
		return err
	}
	plan, host, err := p.timerPlan(conf)
	if err != nil {
		return err
	}
	if p.readOnly || p.dryRun {
		i, err := host.Look(ctx, plan)
		if err == nil {
			p.printInstalled(i)
		}
		return err
	}
	gone, err := host.Remove(ctx, plan)
	for _, g := range gone {
		fmt.Fprintln(p.stdout, "removed "+safetext.Line(g))
	}
	if err == nil && len(gone) == 0 && !p.quiet {
		fmt.Fprintln(p.stderr, "nothing of pgvault's was installed")
	}
	return err
}
