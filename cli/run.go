package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"golang.org/x/term"

	"pgvault/fault"
	"pgvault/safetext"
	"pgvault/vault"
	"pgvault/vault/archive"
)

// sink is the printer of a run's events: JSON Lines on standard output, or
// text on standard error.
func (p *program) sink() vault.Sink {
	p.told = true
	if p.json {
		return jsonSink(p.stdout)
	}
	t := &textSink{w: p.stderr, tty: term.IsTerminal(int(os.Stderr.Fd())), quiet: p.quiet, verbose: p.verbose}
	return t.sink
}

// outliveTerminal makes a hang-up nothing to this process, nor that nobody
// reads any more what it prints: a run goes on to its end, and its journal
// with it. Ctrl-C and SIGTERM still cancel it. The signals are caught and
// not ignored, so that programs which it starts have them as usual.
func (p *program) outliveTerminal() {
	signal.Ignore(syscall.SIGHUP) // it is no reason to end any more: see main
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGHUP, syscall.SIGPIPE)
}

// runner is how a job's process is called: with the same program and the same
// configuration, whatever its folder.
func (p *program) runner() []string {
	exe, err := os.Executable()
	if err == nil {
		_, err = os.Stat(exe)
	}
	if err != nil { // replaced by an upgrade: what runs here still is the same program
		exe = "/proc/self/exe"
	}
	words := []string{exe}
	if p.config != "" {
		path, err := filepath.Abs(p.config)
		if err != nil {
			path = p.config
		}
		words = append(words, "--config", path)
	}
	if p.vaultName != "" {
		words = append(words, "--vault", p.vaultName)
	}
	return words
}

// launch starts a job and prints its id.
func (p *program) launch(ctx context.Context, s *session, o vault.Order, secrets vault.Secrets) error {
	j, err := s.vault.Launch(ctx, o, secrets)
	if err != nil {
		return err
	}
	if p.json {
		return writeJSON(p.stdout, jobJSON(j), "")
	}
	fmt.Fprintln(p.stdout, j.ID)
	if !p.quiet {
		short := shortID(j.ID)
		fmt.Fprintf(p.stderr, "%s of %s goes on by itself. Look: pgvault job watch %s   Stop: pgvault job cancel %s\n", j.Order.Kind, safetext.Line(firstOf(j.Order.Database, j.Order.ID, "all that is missing")), short, short)
	}
	return nil
}

// launchRestore starts a job that does what the plan says.
func (p *program) launchRestore(ctx context.Context, s *session, plan *vault.RestorePlan) error {
	if plan.Refused() {
		return &exitCode{fault.Refused}
	}
	secrets, err := p.detachedSecrets(ctx)
	if err != nil {
		return err
	}
	return p.launch(ctx, s, plan.Order(), secrets)
}

// detachedSecrets gathers what a job needs that nobody will be there to ask
// for: paths of identity files (or what was in them, where root read them and
// has become another user), and passphrases of those that are encrypted, asked
// for here and now, once.
func (p *program) detachedSecrets(ctx context.Context) (vault.Secrets, error) {
	s := vault.Secrets{Texts: p.texts, Passphrases: map[string]string{}}
	for _, f := range p.identities {
		if f == "-" {
			return s, usage("a job cannot read the standard input of this call: name a file with -i")
		}
		path, err := filepath.Abs(f)
		if err != nil {
			return s, err
		}
		s.Files = append(s.Files, path)
	}
	names := s.Files[:len(s.Files):len(s.Files)]
	for i := range s.Texts {
		names = append(names, archive.TextName(i))
	}
	if len(names) == 0 {
		return s, nil
	}
	ask := p.secrets(ctx).Passphrase
	_, err := archive.Load(archive.Source{Files: s.Files, Texts: s.Texts, Passphrase: func(prompt string) (string, error) {
		if ask == nil {
			return "", errors.New("it is encrypted with a passphrase, and --no-input forbids to ask")
		}
		pass, err := ask(prompt)
		for _, n := range names {
			if err == nil && prompt == archive.PassphrasePrompt(n) {
				s.Passphrases[n] = pass
			}
		}
		return pass, err
	}})
	return s, err
}

func firstOf(words ...string) string {
	for _, w := range words {
		if w != "" {
			return w
		}
	}
	return ""
}
