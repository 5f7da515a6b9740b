package cli

import (
	"context"
	"sync"
	"time"

	"pgvault/config"
	"pgvault/safetext"
	"pgvault/vault"
)

// runDrills is the part of timer run that proves archives by restore, with
// the key that the configuration names.
func (p *program) runDrills(ctx context.Context, s *session, wait waiting, lines *sync.Mutex, sink func(string) vault.Sink) error {
	tell := p.drillLines(ctx, s)
	return s.vault.RunRestoreDrills(ctx, vault.DrillLoop{
		Drill: drillOf(s.conf),
		Identities: func() (vault.Identities, error) {
			path, err := drillKey(s.conf.Drill)
			return vault.Identities{Files: []string{path}}, err
		},
		Tell: func(e vault.DrillEvent) {
			lines.Lock()
			defer lines.Unlock()
			tell(e)
		},
		Sink: sink,
		Wait: wait,
	})
}

// drillOf is the drill that the configuration asks for.
func drillOf(conf *config.Config) vault.RestoreDrill {
	return vault.RestoreDrill{Level: vault.Proof(conf.Drill.Level), Every: conf.Drill.Every, Schedule: conf.DrillSchedule(), Wants: conf.Drill.Wants}
}

// drillKeyThere refuses where a drill is asked for and its key is not there.
func (p *program) drillKeyThere(d config.Drill, drills bool) error {
	if !drills {
		return nil
	}
	_, err := drillKey(d)
	return err
}

// drillLines prints what a loop of drills tells: each start and end, and what
// it waits for when that is another moment.
func (p *program) drillLines(ctx context.Context, s *session) func(vault.DrillEvent) {
	var next, began time.Time
	var problem string
	return func(e vault.DrillEvent) {
		switch e.Kind {
		case "waiting":
			if !e.Until.Equal(next) {
				p.dueLine("", "next: restore drill at "+e.Until.Format(clockText))
			}
			next = e.Until
		case "problem":
			if text := e.Err.Error(); !p.quiet && text != problem {
				p.printError(e.Err)
				problem = text
			}
			p.dueLine("", "the restore drill cannot begin; trying again at "+e.Until.Local().Format(clockText))
		case "started":
			began, problem = e.At, ""
			p.dueLine(e.Database, "proving "+safetext.Line(e.ID)+" by a drill")
		case "ended":
			took := e.At.Sub(began).Round(time.Second).String()
			if e.Err == nil {
				p.dueLine(e.Database, "proven, took "+took)
				return
			}
			p.dueLine(e.Database, "not proven, after "+took)
			if !p.quiet {
				p.printError(e.Err)
			}
		case "round":
			if told := s.vault.Tell(ctx); told != nil {
				p.printError(told)
			}
		}
	}
}
