package cli

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/user"

	"pgvault/config"
	"pgvault/fault"
	"pgvault/guide"
	"pgvault/safetext"
	"pgvault/setup"
	"pgvault/vault"
)

// wantsSetup tells whether bare pgvault is to begin a set-up, or to go on with
// one that was left: there is no configuration at path, and the environment
// names no place either.
func (p *program) wantsSetup(path string) (guide.Draft, bool) {
	if d, going := setup.Unfinished(config.StateDir(path), path); going {
		return d, true
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) || config.Closed() {
		return guide.Draft{}, false
	}
	conf, err := config.Parse(nil, "", os.LookupEnv)
	return guide.Draft{}, err == nil && len(conf.Places) == 0
}

// firstSetup opens the set-up guide, and the ordinary screen when it has made
// a vault.
func (p *program) firstSetup(ctx context.Context, path string, d guide.Draft) error {
	w, err := p.setupWorld(path)
	if err != nil {
		return err
	}
	g := setup.Guide(w)
	session := guide.New(g, nil)
	if d.Guide != "" {
		session = guide.Resume(g, d)
	}
	if p.accessible() {
		return p.runGuide(ctx, session)
	}
	again, err := p.guideAlone(ctx, session)
	if err != nil {
		return err
	}
	if _, going := setup.LoadDraft(w.StateDir); going {
		fmt.Fprintln(p.stdout, "the set-up is kept as a draft; pgvault goes on with it")
		return nil
	}
	if _, err := os.Lstat(path); err != nil || !again {
		return nil
	}
	p.config = path
	s, err := p.open()
	if err != nil {
		return err
	}
	return p.show(ctx, s)
}

// guideAlone shows a guide before there is a vault, and tells whether it came
// to its end.
func (p *program) guideAlone(ctx context.Context, session *guide.Session) (ended bool, err error) {
	conf, err := config.Parse(nil, "", os.LookupEnv)
	if err != nil {
		return false, err
	}
	theme, err := p.theme(conf)
	if err != nil {
		return false, err
	}
	again := ""
	err = p.screen(ctx, vault.New(p.vaultConfig(conf)), ScreenOptions{
		Theme: theme, ASCII: !utf8Locale(), Mouse: conf.UI.Mouse, ReadOnly: p.readOnly,
		SlowLine: os.Getenv("SSH_TTY") != "", Guide: session, Command: p.anywhere, Again: &again,
	})
	return again != "", err
}

// begin is bare pgvault on a machine without a vault: it goes on with a set-up
// that was left, else asks what the machine is for.
func (p *program) begin(ctx context.Context, path string, d guide.Draft) error {
	if d.Guide != "" {
		return p.firstSetup(ctx, path, d)
	}
	_, going := setup.RecoverUnfinished(recoveryState(path), path)
	welcome := guide.New(setup.Welcome(going), nil)
	if p.accessible() {
		if err := p.runGuide(ctx, welcome); err != nil {
			return err
		}
	} else if _, err := p.guideAlone(ctx, welcome); err != nil {
		return err
	}
	if !welcome.Finished() {
		return nil
	}
	if wanted, anew := setup.WelcomeToRecover(welcome.Values()); wanted {
		return p.recoverGuide(ctx, recoverFlags{anew: anew})
	}
	return p.firstSetup(ctx, path, d)
}

// setupWorld is where a set-up takes place.
func (p *program) setupWorld(path string) (setup.World, error) {
	program, err := os.Executable()
	if err != nil {
		return setup.World{}, &fault.Error{Op: "set-up", What: "pgvault's own path is not known", Left: "nothing was started", Do: "use pgvault init", Err: err}
	}
	state := config.StateDir(path)
	w := setup.World{Path: path, StateDir: state, Program: program, User: "root", Access: vault.AccessTo(state, os.Geteuid()), Random: rand.Reader}
	if u, err := user.Current(); err == nil {
		w.User = u.Username
	}
	if p.readOnly {
		w.Access = vault.Access{User: w.User, Why: "it was started with --read-only"}
	}
	w.Open = func() (setup.Vault, error) {
		p.config = path
		s, err := p.open()
		if err != nil {
			return nil, err
		}
		s.vault.ActAs("tui")
		return s.vault, nil
	}
	return w, nil
}

// noSetup is the error of bare pgvault where there is nobody to ask.
func noSetup(path string) error {
	return &fault.Error{What: "this machine has no vault yet", Why: "there is no configuration at " + safetext.Line(path), Left: "nothing was started",
		Do: "on a terminal pgvault sets one up, or recovers one from a place; without: pgvault init --place file:/DIR --recipient R --recipient R2, or pgvault recover --from URL", Code: fault.NoVault}
}
