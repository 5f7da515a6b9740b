// Package cli is the command line: one verb, one file, and the text and
// JSON printers of the engine's events. Data goes to standard output, talk
// to standard error.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"pgvault/config"
	"pgvault/fault"
	"pgvault/guide"
	"pgvault/safetext"
	"pgvault/setup"
	"pgvault/vault"
)

// Version is stamped at build time.
var Version = "dev"

// ScreenOptions is what the command line and the configuration say of the
// screen.
type ScreenOptions struct {
	ASCII, Mouse, UTC, ReadOnly, SlowLine bool

	Theme    string // auto, light, dark or none
	Identity []string

	Guide   *guide.Session              // a guide before there is a vault; the screen ends with it
	Setup   *setup.Desk                 // for the Setup page
	AtSetup bool                        // begin there
	Say     string                      // stands in the message line at the start
	Command func(command string) string // completes a command so that it runs as it is
	Again   *string                     // takes what to say when the screen begins anew with a changed configuration
}

// Desk is what the screen is shown on.
type Desk interface {
	vault.Desk
	vault.Runs
	vault.Keeper
}

// Screen shows the terminal UI until the user leaves. main gives it, so
// that the two faces do not know each other.
type Screen func(ctx context.Context, d Desk, o ScreenOptions) error

// program is one call of pgvault: its streams and its common flags.
type program struct {
	stdin  *os.File
	stdout io.Writer
	stderr io.Writer
	screen Screen

	config     string
	vaultName  string
	plain      bool
	quiet      bool
	verbose    bool
	dryRun     bool
	noInput    bool
	noColor    bool
	readOnly   bool
	plainUI    bool
	json       bool
	identities []string
	texts      []string // of identity files, where root has become another user

	onScreen bool        // the screen is opened, so that the configuration may be edited
	keeper   *confKeeper // saves it, where this process may not

	kind vault.Kind // of the run that was asked for, if any
	told bool       // a run began to tell its events
}

// Main runs one command and gives the process's exit code. Errors are
// printed here, in four lines, and nowhere else.
func Main(ctx context.Context, args []string, screen Screen) int {
	p := &program{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, screen: screen}
	root := p.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var quiet *exitCode
	if errors.As(err, &quiet) {
		return int(quiet.code)
	}
	if err != nil {
		if ctx.Err() != nil && fault.CodeOf(err) != fault.Cancelled {
			err = &fault.Error{What: "stopped", Why: "a signal asked to", Left: "nothing half-made was left behind", Do: "start it again when you like", Code: fault.Cancelled, Err: err}
		}
		p.printError(err)
		p.closeLines(err)
	}
	return int(fault.CodeOf(err))
}

// exitCode ends a command whose printer has said all there is to say.
type exitCode struct{ code fault.Code }

func (e *exitCode) Error() string { return fmt.Sprintf("exit %d", e.code) }

// printError writes what, why, left and do, each on one safe line.
func (p *program) printError(err error) {
	e := fault.As(err)
	what := e.What
	if e.Op != "" && !strings.Contains(what, e.Op) {
		what = e.Op + ": " + what
	}
	fmt.Fprintf(p.stderr, "pgvault: %s\n", safetext.Line(what))
	for _, l := range [][2]string{{"why ", e.Why}, {"left", e.Left}, {"do  ", e.Do}} {
		if l[1] != "" {
			fmt.Fprintf(p.stderr, "  %s  %s\n", l[0], safetext.Line(l[1]))
		}
	}
}

// root builds the command tree; help, completions and man pages come from
// these definitions alone.
func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "pgvault",
		Short: "An encrypted, proven backup vault for PostgreSQL",
		Long:  "pgvault backs up PostgreSQL databases, encrypted from the first byte, and proves\nthat they can be brought back. Without a verb it opens the screen on a terminal;\nelsewhere it prints the status. On a host without a vault it\nleads through a set-up, or through the recovery of one from a place.",
		Example: "  pgvault                    the screen\n" +
			"  pgvault backup             all that is configured\n" +
			"  pgvault status             exit 4 if something could not be brought back\n" +
			"  pgvault restore latest:shop --to-new shop_check -i key.txt",
		Version:       Version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          usageArgs(cobra.NoArgs),
		RunE:          func(cmd *cobra.Command, _ []string) error { return p.bare(cmd) },
	}
	f := root.PersistentFlags()
	f.StringVarP(&p.config, "config", "c", "", "configuration file")
	f.StringVar(&p.vaultName, "vault", "", "vault to use instead of the configured one")
	f.BoolVar(&p.plain, "plain", false, "tab-separated text without alignment")
	f.BoolVarP(&p.quiet, "quiet", "q", false, "no talk, only data and errors")
	f.BoolVarP(&p.verbose, "verbose", "v", false, "say more: every table as it passes")
	f.BoolVarP(&p.dryRun, "dry-run", "n", false, "show what would be done, change nothing")
	f.BoolVar(&p.noInput, "no-input", false, "never ask, fail instead")
	f.BoolVar(&p.noColor, "no-color", false, "no colours (also NO_COLOR)")
	f.BoolVar(&p.plainUI, "plain-ui", false, "guides as numbered lines, for a screen reader (also ACCESSIBLE=1)")
	f.BoolVar(&p.readOnly, "read-only", false, "refuse all that starts or changes something")
	f.StringArrayVarP(&p.identities, "identity", "i", nil, "identity file (secret key) as age reads it, - for standard input; may be repeated")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage(err.Error()) })
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.AddCommand(p.backupCmd(), p.listCmd(), p.showCmd(), p.verifyCmd(), p.restoreCmd(), p.switchCmd(), p.recoverCmd(), p.dumpCmd(), p.importCmd(),
		p.statusCmd(), p.retentionCmd(), p.copyCmd(), p.pinCmd(), p.unpinCmd(), p.deleteCmd(), p.placeCmd(), p.jobCmd(), p.unlockCmd(), p.timerCmd(), p.initCmd(), p.configCmd(), p.alertCmd(), p.keyCmd(), p.sheetCmd(), p.demoCmd(), p.versionCmd())
	return root
}

// bare is pgvault without a verb.
func (p *program) bare(cmd *cobra.Command) error {
	path, err := p.configPath()
	if err != nil {
		return err
	}
	draft, first := p.wantsSetup(path)
	if !p.terminal() || os.Getenv("TERM") == "dumb" || p.accessible() && !first {
		if first && draft.Guide == "" {
			return noSetup(path)
		}
		err := p.status(cmd.Context(), nil)
		fmt.Fprintln(p.stderr, "\nverbs: backup list show verify restore switch recover dump import copy job status retention pin delete unlock key recovery-sheet alert timer init config demo; pgvault help VERB tells more")
		return err
	}
	p.onScreen = true
	if first {
		return p.begin(cmd.Context(), path, draft)
	}
	s, err := p.open()
	if err != nil {
		return err
	}
	return p.show(cmd.Context(), s)
}

// show opens the screen, and again with the new configuration when one was
// saved in it.
func (p *program) show(ctx context.Context, s *session) error {
	say := ""
	for first := true; ; first = false {
		path := s.conf.File
		if path != "" {
			var err error
			if path, err = filepath.Abs(path); err != nil {
				return err
			}
		}
		again := ""
		theme, err := p.theme(s.conf)
		if err != nil {
			return err
		}
		s.vault.ActAs("tui")
		desk := &setup.Desk{Path: path, Vault: s.vault, Program: setup.Program{Version: Version, StateDir: config.StateDir(s.conf.File), Theme: theme, Mouse: s.conf.UI.Mouse, Starts: p.starter(s.conf)}}
		if p.keeper != nil {
			desk.Replace = p.keeper.replace
		}
		err = p.screen(ctx, s.vault, ScreenOptions{
			Theme: theme, ASCII: s.conf.UI.ASCII || !utf8Locale(), Mouse: s.conf.UI.Mouse,
			UTC: s.conf.UI.Times == "utc", ReadOnly: p.readOnly, SlowLine: os.Getenv("SSH_TTY") != "", Identity: p.identities,
			Command: p.anywhere,
			Setup:   desk,
			AtSetup: !first, Say: say, Again: &again,
		})
		if err != nil || again == "" {
			return err
		}
		if s, err = p.open(); err != nil {
			return err
		}
		say = again
	}
}

// theme is how the screen is coloured: not at all where one of the ways to say
// so is used, else as the environment or the configuration has it.
func (p *program) theme(conf *config.Config) (string, error) {
	theme, err := conf.UI.ThemeIn(os.Getenv)
	if err == nil && (p.noColor || os.Getenv("NO_COLOR") != "") {
		theme = "none"
	}
	return theme, err
}

// terminal tells whether a person sits at both ends.
func (p *program) terminal() bool {
	return term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stdout.Fd()))
}

func utf8Locale() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := os.Getenv(name); v != "" {
			v = strings.ToLower(v)
			return strings.Contains(v, "utf-8") || strings.Contains(v, "utf8")
		}
	}
	return false
}

// usage is an error in how pgvault was called.
func usage(why string) error {
	return &fault.Error{What: "this call cannot be understood", Why: why, Left: "nothing was started", Do: "pgvault help VERB shows how it is called", Code: fault.Usage}
}

// usageArgs turns cobra's complaints about arguments into usage errors.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usage(err.Error())
		}
		return nil
	}
}

// secrets is how identities are loaded: files from -i, passphrases from the
// terminal, never from a flag or the environment.
func (p *program) secrets(ctx context.Context) vault.Identities {
	ids := vault.Identities{Files: p.identities, Texts: p.texts}
	if !p.noInput {
		ids.Passphrase = func(prompt string) (string, error) { return askPassphrase(ctx, prompt) }
	}
	return ids
}
