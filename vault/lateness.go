package vault

import (
	"context"
	"time"

	"pgvault/vault/archive"
	"pgvault/vault/job"
	"pgvault/vault/schedule"
)

// Late tells whether, at a moment, a database could lose more than is allowed:
// there is no good archive, or the newest is older than allowed and the one
// that follows is not being made as planned.
func (s DatabaseStatus) Late(at time.Time) bool {
	switch {
	case s.LastGood == nil:
		return true
	case s.MaxAgeSeconds <= 0:
		return false
	case s.LateFrom != nil:
		return at.After(*s.LateFrom)
	}
	return at.After(s.LastGood.Add(allowed(s)))
}

// AtRisk tells that a database could lose more than is allowed, or that its
// last backup failed. A backup that is running has saved nothing yet.
func (s DatabaseStatus) AtRisk(at time.Time) bool {
	return s.State != "ok" && s.State != "running" || s.State == "running" && s.Late(at)
}

// punctual judges how old a database's newest archive may be. A schedule
// "02:00" and an age of one day mean a backup each night, yet from the end of
// one to the end of the next it is always a little more or less than a day.
// So the age is over when it is over, but for what the schedule brings about
// by itself: an hour that the clock is moved back, and the time for which the
// next backup, begun in time, is being made. Its methods have no clock, and no
// input or output.
type punctual struct {
	maxAge   time.Duration      // 0: no limit
	schedule *schedule.Schedule // nil: backups are started by hand, or by something else
	offset   time.Duration      // of the database in the window of its schedule
}

// from is when an archive that was made then is too old; zero: never. An age
// of days is counted as a schedule is that names hours, on the clock of its
// zone, where that is longer.
func (p punctual) from(made stretch) time.Time {
	if p.maxAge <= 0 {
		return time.Time{}
	}
	at := made.to.Add(p.maxAge)
	if p.schedule != nil && p.schedule.OnClock() && p.maxAge >= 24*time.Hour {
		_, before := p.meant(made).In(p.schedule.Zone()).Zone()
		if _, after := at.In(p.schedule.Zone()).Zone(); after < before {
			at = at.Add(time.Duration(before-after) * time.Second)
		}
	}
	return at
}

// meant is the scheduled moment of an archive's own run; of one that was made
// by hand, or long after its time, when it began.
func (p punctual) meant(made stretch) time.Time {
	nominal := p.schedule.Last(made.from.Add(1))
	if nominal.IsZero() || made.from.Sub(nominal) > p.offset+startsWithin {
		return made.from
	}
	return nominal
}

// next is when the run is planned that follows an archive, and whether that is
// before the archive is too old: else the schedule itself is too seldom, and
// excuses nothing.
func (p punctual) next(made stretch) (nominal time.Time, intended bool) {
	if p.schedule == nil {
		return time.Time{}, false
	}
	nominal = p.schedule.Next(made.from)
	return nominal, !nominal.IsZero() && !nominal.After(p.from(made))
}

// while is from for as long as the next backup is being made. It is excused
// for an hour more than twice as long as the last one took, at most for
// maxAge: one that hangs makes its database late like none at all. began is
// when it began, for databases without a schedule.
func (p punctual) while(made stretch, began time.Time) time.Time {
	from := p.from(made)
	if nominal, intended := p.next(made); intended {
		began = nominal.Add(p.offset)
	} else if p.schedule != nil || began.IsZero() || began.After(from) {
		return from
	}
	took := min(p.maxAge, max(0, made.to.Sub(made.from)))
	if until := began.Add(min(p.maxAge, startsWithin+2*took)); until.After(from) {
		return until
	}
	return from
}

// punctual is how a database is judged.
func (v *Vault) punctual(vf *archive.VaultFile, database string) punctual {
	d := v.c.Of(database)
	p := punctual{maxAge: d.MaxAge, schedule: d.Schedule}
	if p.schedule != nil {
		p.offset = v.offset(vf, p.schedule, database)
	}
	return p
}

// lateFrom is when a database is late whose newest good archive was made then;
// nil: never. waits tells that it is too old already, and excused because its
// scheduled run waits for its turn.
func (v *Vault) lateFrom(vf *archive.VaultFile, database string, made stretch) (at *time.Time, waits bool) {
	p := v.punctual(vf, database)
	from, now := p.from(made), v.now()
	if from.IsZero() {
		return nil, false
	}
	if now.After(from) && vf != nil {
		nominal, intended := p.next(made)
		runs := job.Held(v.lockDir(), lockName(vf, database))
		waits = !runs && intended && !nominal.After(now) && v.RunsSchedules() && !v.wasTried(database, nominal)
		if runs || waits {
			from = p.while(made, v.begun(database, runs && p.schedule == nil))
		}
	}
	from = from.UTC()
	return &from, waits && !now.After(from)
}

// wasTried tells that a scheduled run is over, whatever became of it.
func (v *Vault) wasTried(database string, nominal time.Time) bool {
	var t triedRuns
	v.readSchedule("tried", &t)
	r := t.Databases[database]
	return r.Scheduled.After(nominal) || r.Scheduled.Equal(nominal) && (r.Done || r.Tries >= maxTries)
}

// begun is when the backup of a database began that runs now; zero: not asked,
// or not known.
func (v *Vault) begun(database string, ask bool) time.Time {
	if !ask {
		return time.Time{}
	}
	var at time.Time
	jobs, err := v.Jobs(context.Background())
	for _, j := range jobs {
		if err == nil && j.State == JobRunning && j.Order.Kind == KindBackup && j.Order.Database == database {
			at = j.Started
		}
	}
	return at
}
