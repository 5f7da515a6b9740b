package cli

import (
	"context"
	"fmt"
	"slices"
	"time"

	"pgvault/safetext"
	"pgvault/timer"
)

// timerJSON is timer show --json. A key may be added.
type timerJSON struct {
	timer.Installed
	Starts    string         `json:"starts"` // what starts backups: "a systemd timer", "a crontab", "pgvault timer run"; empty: nothing
	Looked    *time.Time     `json:"looked"` // when a runner last looked what is due
	Zone      string         `json:"zone"`
	Databases []timerRunJSON `json:"databases"`
	DrillNext *time.Time     `json:"drill_next"` // of the restore drill, null for none
}

type timerRunJSON struct {
	Database string      `json:"database"`
	Schedule string      `json:"schedule"` // empty: by hand
	Offset   int64       `json:"offset_seconds"`
	Next     []time.Time `json:"next"` // three
}

func (p *program) timerShow(ctx context.Context) error {
	conf, err := p.load()
	if err != nil {
		return err
	}
	var out timerJSON
	if conf.File != "" {
		plan, host, err := p.timerPlan(conf) // as who calls: root sees every crontab
		if err == nil {
			out.Installed, err = host.Look(ctx, plan)
		}
		if err != nil {
			return err
		}
	}
	s, err := p.open()
	if err != nil {
		return err
	}
	if out.Starts = out.Installed.Starts(); s.vault.RunsSchedules() && out.Starts == "" {
		out.Starts = "pgvault timer run"
	}
	if at := s.vault.LookedForDue(); !at.IsZero() {
		out.Looked = &at
	}
	out.Zone = conf.Vault.Location().String()
	if len(conf.Schedules()) > 0 || conf.DrillSchedule() == nil { // a drill machine may have no server to ask
		if out.Databases, err = p.nextRuns(ctx, s, nil); err != nil {
			return err
		}
	}
	if s := conf.DrillSchedule(); s != nil {
		next := s.Next(time.Now())
		out.DrillNext = &next
	}
	if p.json {
		return writeJSON(p.stdout, out, "  ")
	}
	p.printInstalled(out.Installed)
	if out.Databases != nil {
		starts := firstOf(out.Starts, "! nothing starts backups by itself; do: pgvault timer install")
		fmt.Fprintf(p.stdout, "starts backups: %s\n", starts)
	}
	if out.Looked != nil {
		fmt.Fprintf(p.stdout, "last looked:    %s\n", out.Looked.Local().Format(clockText))
	}
	if out.DrillNext != nil {
		fmt.Fprintf(p.stdout, "restore drill:  looks next %s; pgvault verify --due -n shows what is due\n", out.DrillNext.Format(clockText))
	}
	if out.Databases == nil {
		return nil
	}
	fmt.Fprintln(p.stdout)
	return p.printRuns(out.Databases)
}

func (p *program) printInstalled(i timer.Installed) {
	for _, f := range i.Units {
		state := f.State
		if state == "differs" {
			state = "! differs from what install would write now: pgvault timer install writes it anew"
		}
		if state == "stray" {
			state = "! the configuration has no such schedule any more: pgvault timer install takes it away"
		}
		fmt.Fprintf(p.stdout, "%s: %s\n", safetext.Line(f.Path), state)
	}
	if len(i.Units) > 0 && i.Units[1].State != "absent" {
		active := "! not active: systemctl status says more"
		if i.Active {
			active = "active"
		}
		fmt.Fprintf(p.stdout, "timer: %s\n", active)
	}
	if len(i.Units) > 3 && i.Units[3].State != "absent" {
		active := "! not active: systemctl status says more"
		if i.Drill {
			active = "active"
		}
		fmt.Fprintf(p.stdout, "timer of the restore drill: %s\n", active)
	}
	if i.Cron != "" {
		cron := i.Cron
		if i.Why != "" {
			cron += ": " + i.Why
		}
		fmt.Fprintf(p.stdout, "crontab: %s\n", safetext.Line(cron))
	}
}

// nextRuns are the next three runs of each database, or of names.
func (p *program) nextRuns(ctx context.Context, s *session, names []string) ([]timerRunJSON, error) {
	if len(names) == 0 {
		var err error
		if names, err = s.vault.Databases(ctx); err != nil {
			return nil, err
		}
	}
	out := []timerRunJSON{}
	for _, name := range names {
		r := timerRunJSON{Database: name, Next: s.vault.NextRuns(ctx, name, 3)}
		if sched := s.conf.Schedule(name); sched != nil {
			r.Schedule = sched.String()
			r.Offset = int64(r.Next[0].Sub(sched.Last(r.Next[0].Add(1))) / time.Second)
		}
		out = append(out, r)
	}
	slices.SortStableFunc(out, func(a, b timerRunJSON) int {
		switch {
		case len(a.Next) == 0 || len(b.Next) == 0:
			return len(b.Next) - len(a.Next)
		}
		return a.Next[0].Compare(b.Next[0])
	})
	return out, nil
}

func (p *program) printNext(ctx context.Context, s *session, names []string) error {
	runs, err := p.nextRuns(ctx, s, names)
	if err != nil {
		return err
	}
	return p.printRuns(runs)
}

func (p *program) printRuns(runs []timerRunJSON) error {
	rows := [][]string{}
	for _, r := range runs {
		row := []string{safetext.Line(r.Database), firstOf(r.Schedule, "by hand"), (time.Duration(r.Offset) * time.Second).String(), "-", "-", "-"}
		for i, at := range r.Next {
			row[3+i] = at.Format("2006-01-02 15:04 MST")
		}
		rows = append(rows, row)
	}
	return p.table(p.stdout, []string{"DATABASE", "SCHEDULE", "SPREAD", "NEXT RUN", "THEN", "THEN"}, rows)
}
