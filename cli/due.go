package cli

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"pgvault/fault"
	"pgvault/safetext"
	"pgvault/vault"
)

// clockText is how lines about schedules write a moment: with its zone.
const clockText = "2006-01-02 15:04:05 MST"

// backupDue is backup --due.
func (p *program) backupDue(ctx context.Context, s *session, names []string, other bool) error {
	switch {
	case other:
		return usage("--due goes with names of databases only")
	case len(s.conf.Schedules()) == 0:
		return noSchedule(s.conf.File)
	case p.dryRun:
		return p.printNext(ctx, s, names)
	}
	p.outliveTerminal()
	tellSystemd(daemon.SdNotifyReady)
	err := s.vault.RunDue(ctx, vault.DueOptions{Names: names, Tell: p.dueLines(false), Sink: func(database string) vault.Sink {
		return besides(p.sink(), statusOf(database))
	}})
	if fault.CodeOf(err) == fault.Running && !p.told { // it does all that is due
		if !p.quiet {
			fmt.Fprintln(p.stderr, "another runner is at it; nothing was started")
		}
		return nil
	}
	return err
}

func noSchedule(file string) error {
	return &fault.Error{What: "no database has a schedule", Why: "neither [defaults] nor a [[database]] says schedule = …", Left: "nothing was started or changed",
		Do: `add schedule = "02:00" under [defaults] in ` + firstOf(file, "a configuration: pgvault init"), Code: fault.Usage}
}

// timerRun is the scheduler in the foreground, anew with each configuration.
func (p *program) timerRun(ctx context.Context) error {
	p.kind = vault.KindBackup
	for {
		w := &configWatch{p: p}
		w.look() // before it is read: what changes from now on is a change
		s, err := p.open()
		if err != nil {
			return err
		}
		if err = p.timerRound(ctx, s, w); !errors.Is(err, errChanged) {
			return err
		}
		p.dueLine("", "the configuration has changed, and holds from now on")
	}
}

// timerRound is timerRun with one configuration, until that changes.
func (p *program) timerRound(ctx context.Context, s *session, w *configWatch) error {
	backups, drills := len(s.conf.Schedules()) > 0, s.conf.DrillSchedule() != nil
	if !backups && !drills {
		return noSchedule(s.conf.File)
	}
	if p.dryRun {
		return p.dryTimer(ctx, s, backups, drills)
	}
	if err := p.drillKeyThere(s.conf.Drill, drills); err != nil {
		if !backups {
			return err
		}
		p.printError(err) // backups do not wait for it; it is looked for again at each drill
	}
	s.vault.ActAs("timer")
	p.dueLine("", "waiting for what is due; SIGTERM or Ctrl-C ends this, and a run that is broken off by it is made up for by the next start")
	tellSystemd(daemon.SdNotifyReady)
	var lines sync.Mutex // one event's lines stand together
	sink := func(database string) vault.Sink {
		told := statusOf(database)
		if p.verbose {
			told = besides(p.sink(), told)
		}
		return func(e vault.Event) {
			lines.Lock()
			defer lines.Unlock()
			told(e)
		}
	}
	var loops [2]loop
	if backups {
		tell := p.dueLines(true)
		loops[0] = func(ctx context.Context, wait waiting) error {
			return s.vault.RunDue(ctx, vault.DueOptions{Forever: true, Sink: sink, Wait: wait, Tell: func(e vault.DueEvent) {
				lines.Lock()
				defer lines.Unlock()
				tell(e)
			}})
		}
	}
	if drills {
		loops[1] = func(ctx context.Context, wait waiting) error { return p.runDrills(ctx, s, wait, &lines, sink) }
	}
	err := together(ctx, w.watched(loops[0], loops[1]))
	if err == nil {
		p.dueLine("", "ended")
	}
	return err
}

// together runs all until ctx ends or one of them fails; then the others are
// told to end, and waited for.
func together(ctx context.Context, loops []func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, len(loops))
	for _, loop := range loops {
		go func() { ended <- loop(ctx) }()
	}
	var first error
	for range loops {
		if err := <-ended; err != nil && first == nil {
			first = err
			cancel()
		}
	}
	return first
}

// dryTimer shows what the scheduler in the foreground would wait for.
func (p *program) dryTimer(ctx context.Context, s *session, backups, drills bool) error {
	if backups { // a drill machine may have no server to ask
		if err := p.printNext(ctx, s, nil); err != nil {
			return err
		}
	}
	if drills {
		fmt.Fprintln(p.stdout, "restore drill: looks next "+s.conf.DrillSchedule().Next(time.Now()).Format(clockText))
	}
	return nil
}

// dueLine prints one line of the scheduler.
func (p *program) dueLine(database, text string) {
	if p.quiet {
		return
	}
	if database != "" {
		text = safetext.Line(database) + ": " + text
	}
	fmt.Fprintf(p.stdout, "%s  %s\n", time.Now().Format(clockText), safetext.Line(text))
}

// dueLines prints what a runner tells: for the one in the foreground each
// start and end, for the other only what its runs do not tell themselves.
func (p *program) dueLines(foreground bool) func(vault.DueEvent) {
	started, next := time.Time{}, ""
	return func(e vault.DueEvent) {
		switch {
		case e.Kind == "waiting":
			text := "next: " + safetext.Line(e.Database) + " at " + e.Until.In(e.Scheduled.Location()).Format(clockText)
			tellSystemd("STATUS=" + text)
			if foreground && text != next {
				p.dueLine("", text)
			}
			next = text
		case e.Kind == "problem":
			if !p.quiet {
				p.printError(e.Err)
			}
			p.dueLine("", "what is due cannot be found out; looking again at "+e.Until.Local().Format(clockText))
		case e.Kind == "told":
			if !p.quiet { // status shows it too
				p.printError(e.Err)
			}
		case e.Kind == "started":
			if started = e.At; foreground {
				p.dueLine(e.Database, "started, scheduled for "+e.Scheduled.Format(clockText))
			}
		case e.Err == nil:
			if foreground {
				p.dueLine(e.Database, "ok, took "+e.At.Sub(started).Round(time.Second).String())
			}
		default:
			if foreground {
				p.dueLine(e.Database, "failed after "+e.At.Sub(started).Round(time.Second).String())
			}
			if !foreground || !p.quiet {
				p.printError(e.Err)
			}
		}
	}
}

// tellSystemd reports to systemd, where that started this process and waits
// for it; elsewhere it does nothing. A report that is lost changes nothing.
func tellSystemd(state string) { _, _ = daemon.SdNotify(false, state) }

// statusOf tells systemd how far a backup is, at most every two seconds.
func statusOf(database string) vault.Sink {
	var stage vault.Stage
	var last time.Time
	return func(e vault.Event) {
		name := safetext.Line(database)
		switch e := e.(type) {
		case vault.StageStarted:
			stage, last = e.Stage, e.At
			tellSystemd(fmt.Sprintf("STATUS=%s: %s", name, stage))
		case vault.Progress:
			if e.BytesTotal > 0 && e.At.Sub(last) >= 2*time.Second {
				last = e.At
				tellSystemd(fmt.Sprintf("STATUS=%s: %s %d %%", name, stage, min(100, e.Bytes*100/e.BytesTotal)))
			}
		case vault.RunDone:
			tellSystemd(fmt.Sprintf("STATUS=%s: %s", name, e.Result))
		}
	}
}

// besides is both sinks.
func besides(a, b vault.Sink) vault.Sink {
	return func(e vault.Event) { a(e); b(e) }
}
