package cli

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"pgvault/fault"
	"pgvault/guide"
)

// restoreGuide asks for what a restore needs, line by line.
func (p *program) restoreGuide(ctx context.Context) error {
	s, err := p.open()
	if err != nil {
		return err
	}
	if why := s.vault.Access(); !why.Act {
		return &fault.Error{What: "nothing is restored from here", Why: why.Why, Left: "nothing was started", Do: "start it as the owner of the vault", Code: fault.Refused}
	}
	home, _ := os.UserHomeDir() // without one, ~/ is not known
	files := make([]string, len(p.identities))
	for i, f := range p.identities {
		if files[i], err = filepath.Abs(f); err != nil {
			return err
		}
	}
	session := guide.Restore(guide.RestoreOptions{Vault: s.vault, Runs: s.vault, Files: files, Home: home, Now: time.Now, Again: p.again})
	if err := p.runGuide(ctx, session); err != nil {
		return err
	}
	for _, job := range []string{"swap", "run"} { // a switch that went well accepted what the restore differed in
		if d := session.Values().Ended(job); d != nil && d.Exit != fault.OK {
			return &exitCode{d.Exit}
		} else if d != nil {
			return nil
		}
	}
	return nil
}
