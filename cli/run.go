package cli

import (
	"os"

	"golang.org/x/term"

	"pgvault/vault"
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
