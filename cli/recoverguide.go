package cli

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"

	"pgvault/config"
	"pgvault/fault"
	"pgvault/guide"
	"pgvault/setup"
	"pgvault/vault"
	"pgvault/vault/store"
)

// recoverGuide asks for what recover was not given, on the screen or by
// lines, and leads through to the take-over. Without anything given, a
// recovery that was left goes on.
func (p *program) recoverGuide(ctx context.Context, f recoverFlags) error {
	if f.rolesGiven && !validRoles(f.roles) {
		return usage("--roles is one of create, bare and leave")
	}
	if p.dryRun {
		return usage("a dry run wants --from, --signer and -i: the guide shows its plan, too, before anything is made")
	}
	path, err := p.configPath()
	if err != nil {
		return err
	}
	w, err := p.recoverWorld(path, f)
	if err != nil {
		return err
	}
	if d, going := setup.RecoverUnfinished(w.StateDir, path); going && !f.anew && f.nothing() && len(p.identities)+len(p.texts) == 0 {
		return p.recoverWith(ctx, path, guide.Resume(setup.RecoverGuide(w), d))
	}
	session, err := setup.RecoverSession(ctx, w)
	if err != nil {
		return err
	}
	return p.recoverWith(ctx, path, session)
}

// nothing tells whether no flag said what to recover.
func (f *recoverFlags) nothing() bool { return f.from == "" && !f.takeOver && len(f.signers) == 0 }

// recoverWith shows a recovery guide, and the vault when it was taken over.
func (p *program) recoverWith(ctx context.Context, path string, session *guide.Session) error {
	if p.accessible() || os.Getenv("TERM") == "dumb" {
		if err := p.runGuide(ctx, session); err != nil {
			return err
		}
	} else {
		again, err := p.guideAlone(ctx, session)
		if err != nil {
			return err
		}
		if _, err := os.Lstat(path); err == nil && again && session.Step().Key == "took" {
			p.config = path
			s, err := p.open()
			if err != nil {
				return err
			}
			return p.show(ctx, s)
		}
	}
	if _, going := setup.RecoverUnfinished(recoveryState(path), path); going && !session.Finished() {
		fmt.Fprintln(p.stdout, "the recovery is kept as a draft, without keys; pgvault goes on with it")
		return nil
	}
	if code := setup.RecoverExit(session.Values()); code != fault.OK {
		return &exitCode{code}
	}
	return nil
}

// jobsIn completes a command about a job whose journal lies in state: beside a
// configuration of another vault that is not where it would be looked for.
func (p *program) jobsIn(path, state string) func(command string) string {
	return func(command string) string {
		command = p.anywhere(command)
		if state != config.StateDir(path) {
			command = "STATE_DIRECTORY=" + guide.Quoted(state) + " " + command
		}
		return command
	}
}

// recoverWorld is where a recovery takes place.
func (p *program) recoverWorld(path string, f recoverFlags) (setup.RecoverWorld, error) {
	w := setup.RecoverWorld{}
	for _, i := range p.identities {
		if i == "-" {
			return w, usage("the guide reads from standard input: name a file with -i")
		}
	}
	if err := p.becomeOwner(config.StateDir(path)); err != nil {
		return w, err
	}
	var files []string
	for _, i := range p.identities {
		abs, err := filepath.Abs(i)
		if err != nil {
			return w, err
		}
		files = append(files, abs)
	}
	as, err := newNames(f)
	if err != nil {
		return w, err
	}
	roles := vault.Roles("")
	if f.rolesGiven {
		roles = vault.Roles(f.roles)
	}
	state := recoveryState(path)
	w = setup.RecoverWorld{Path: path, StateDir: state, Access: vault.AccessTo(state, os.Geteuid()), Random: rand.Reader, Again: p.anywhere, Jobs: p.jobsIn(path, state),
		Given: setup.RecoverGiven{From: f.from, Credentials: f.credentials, Vault: p.vaultName, Signers: f.signers, TrustPlace: f.trustPlace, Files: files, Texts: p.texts,
			Server: f.server, Databases: f.databases, As: as, Latest: f.latest, NoTablespaces: f.noSpaces, Roles: roles, Jobs: f.jobs,
			TakeOver: f.takeOver, Recipients: f.over.recipients, Schedule: f.over.schedule, Keep: f.over.keep}}
	if p.readOnly {
		w.Access = vault.Access{User: w.Access.User, Why: "it was started with --read-only"}
	}
	runs, err := p.recoveryVault(path, config.Place{}, nil, vault.RecoverOrder{})
	if err != nil {
		return w, err
	}
	runs.ActAs("tui")
	w.Runs = runs
	w.Open = func(place config.Place, s store.Store, o vault.RecoverOrder) (setup.RecoverVault, error) {
		v, err := p.recoveryVault(path, place, s, o)
		return v, err
	}
	w.Took = p.openTaken
	return w, nil
}
