package cli

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/coreos/go-systemd/v22/daemon"

	"pgvault/config"
	"pgvault/fault"
	"pgvault/safetext"
	"pgvault/vault"
)

// dueFlags are what verify --due was called with.
type dueFlags struct {
	level   string
	leveled bool // a person gave the level
	other   bool // and something that does not go with it
}

// verifyDue is verify --due: the restore drill.
func (p *program) verifyDue(ctx context.Context, s *session, names []string, f dueFlags) error {
	if f.other {
		return usage("--due goes with names of databases, --level and -i only")
	}
	d, o := s.conf.Drill, drillOf(s.conf)
	if f.leveled {
		o.Level = vault.Proof(f.level)
	}
	if len(names) > 0 {
		o.Wants = func(database string) bool { return slices.Contains(names, database) }
	}
	if p.dryRun {
		round, err := s.vault.PlanRestoreDrill(ctx, o)
		if err != nil {
			return err
		}
		return p.printRound(round)
	}
	if err := p.drillIdentity(d); err != nil {
		return err
	}
	p.outliveTerminal()
	tellSystemd(daemon.SdNotifyReady)
	round, err := s.vault.RunRestoreDrill(ctx, o, p.secrets(ctx), nil, func(database string) vault.Sink { return besides(p.sink(), statusOf(database)) })
	if round != nil && err == nil && !p.quiet {
		p.sayRound(round)
	}
	if round != nil && round.Now && ctx.Err() == nil { // what it found is told as a backup's end is
		if told := s.vault.Tell(ctx); told != nil {
			p.printError(told)
		}
	}
	return err
}

// sayRound tells why nothing was done, where that is so.
func (p *program) sayRound(r *vault.DrillRound) {
	switch {
	case !r.Now:
		fmt.Fprintln(p.stderr, "the drill's turn is "+r.At.Format(clockText)+"; nothing was started")
	case !slices.ContainsFunc(r.Databases, func(t vault.DrillTurn) bool { return t.Due }):
		fmt.Fprintln(p.stderr, "no proof is older than drill.every; nothing was started")
	}
}

// drillIdentity takes the key that the configuration names, where none was
// given with -i. Nobody may be there to give a passphrase.
func (p *program) drillIdentity(d config.Drill) error {
	if len(p.identities)+len(p.texts) > 0 {
		return p.readIdentities(func(name string) bool { return name == "-" })
	}
	path, err := drillKey(d)
	if err != nil {
		return err
	}
	p.identities = []string{path}
	return nil
}

// drillKey is the file of the key that the configuration names.
func drillKey(d config.Drill) (string, error) {
	if d.Identity == "" {
		return "", &fault.Error{What: "there is no key for a drill", Why: "neither -i nor drill.identity in the configuration names one", Left: "nothing was started",
			Do: "-i KEY; on a machine of its own, never on the one that makes the backups: [drill] with identity = \"/path\"", Code: fault.NoKey}
	}
	path := d.IdentityFile(os.Getenv("CREDENTIALS_DIRECTORY"))
	if path == "" {
		return "", &fault.Error{What: "the drill's key " + d.Identity + " is a credential of its service", Why: "CREDENTIALS_DIRECTORY is not set: systemd did not start this", Left: "nothing was started",
			Do: "systemctl start pgvault-drill.service, or give a key with -i", Code: fault.NoKey}
	}
	return path, privateFile(path, d.Credential() != "")
}

// privateFile refuses a key that others can read. Who can read a credential of
// its service, systemd sees to.
func privateFile(path string, credential bool) error {
	fi, err := os.Stat(path)
	switch {
	case err != nil:
		return &fault.Error{What: "the drill's key cannot be read", Why: err.Error(), Left: "nothing was started", Do: "check drill.identity", Code: fault.NoKey, Err: err}
	case !credential && fi.Mode().Perm()&0o077 != 0:
		return &fault.Error{What: "others can read the drill's key " + path, Why: fmt.Sprintf("its mode is %04o; it opens every archive", fi.Mode().Perm()), Left: "nothing was started",
			Do: "chmod 600 " + safetext.Word(path) + ", and ask who may have read it", Code: fault.Refused}
	}
	return nil
}

// printRound shows what a drill would do now.
func (p *program) printRound(r *vault.DrillRound) error {
	if p.json {
		return writeJSON(p.stdout, r, "  ")
	}
	rows := [][]string{}
	for _, t := range r.Databases {
		row := []string{safetext.Line(t.Database), orNone(t.ID), "never", "not due"}
		if t.Proven != nil {
			row[2] = t.Proven.Local().Format("2006-01-02 15:04")
			if t.DueAt != nil && !t.Due {
				row[3] = "due " + t.DueAt.Local().Format("2006-01-02 15:04")
			}
		}
		switch {
		case t.ID == "":
			row[3] = "! no good archive"
		case t.Due:
			row[3] = "due"
		}
		rows = append(rows, row)
	}
	if err := p.table(p.stdout, []string{"DATABASE", "ARCHIVE", "LAST PROVEN WITH A KEY", "DUE"}, rows); err != nil || r.Now {
		return err
	}
	fmt.Fprintln(p.stdout, "\nthe drill's turn is "+r.At.Format(clockText))
	return nil
}

// checkDrill is config check's line of the restore drill.
func (p *program) checkDrill(conf *config.Config, report func(string, error, string)) {
	d := conf.Drill
	if d.Identity == "" {
		return
	}
	ok := "proves up to " + d.Level + " what is older than " + config.FormatDuration(d.Every) + " with " + d.Identity
	if s := conf.DrillSchedule(); s != nil {
		ok += ", looks " + s.String()
	}
	var err error
	if path := d.IdentityFile(os.Getenv("CREDENTIALS_DIRECTORY")); path != "" {
		err = privateFile(path, d.Credential() != "")
	}
	report("drill", err, ok)
	if len(conf.Schedules()) > 0 {
		fmt.Fprintln(p.stdout, "!   drill       this host makes backups and holds a key: who takes it over can open every archive; let another machine drill")
	}
}
