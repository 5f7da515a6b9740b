package vault

import (
	"context"
	"fmt"
	"slices"
	"time"

	"pgvault/safetext"
	"pgvault/vault/schedule"
)

// missedEvery is how often missed backups are derived anew.
const missedEvery = time.Minute

// listForMissed gives the archives that missed backups are derived from, and
// of when they are known; false where those that were derived last still hold,
// or the places cannot be read now. What is remembered will do: a screen that
// shows Activity lists the places by itself, and a place that does not answer
// must not hold up what the others tell.
func (v *Vault) listForMissed(ctx context.Context) ([]Archive, time.Time, bool) {
	v.mu.Lock()
	fresh := !v.past.archives.IsZero() && v.now().Sub(v.past.archives) < missedEvery
	v.mu.Unlock()
	if fresh {
		return nil, time.Time{}, false
	}
	w := v.recallAll(nil)
	if w == nil {
		var err error
		if w, err = v.look(ctx, screenWait); err != nil {
			return nil, time.Time{}, false
		}
	}
	return w.archives, w.at, true
}

// missedIn gives the missed backups: the times that a database went without a
// good archive for too long, and the scheduled runs of which neither an
// archive nor a job tells. Where both tell of the same, the runs tell of the
// age.
func (v *Vault) missedIn(list []Archive, entries []Activity) []Activity {
	now := v.now()
	busy, runner := map[string]bool{}, v.RunsSchedules()
	for _, a := range entries {
		if a.Kind == string(KindBackup) && a.Result == "running" {
			busy[a.What] = true
		}
	}
	gaps := lateGaps(now, list, func(database string) punctual {
		d := v.c.Of(database)
		p := punctual{maxAge: d.MaxAge, schedule: d.Schedule}
		if p.schedule != nil {
			p.offset = v.offsetKnown(p.schedule, database)
		}
		return p
	}, func(database string) bool { return runner || busy[safetext.Line(database)] })
	known := map[string]knownSchedule{}
	v.readSchedule("known", &known)
	runs, had := []missedRun{}, seen(list, entries)
	for database, k := range known {
		if s := v.c.Of(database).Schedule; s != nil && s.String() == k.Schedule && s.Zone().String() == k.Zone {
			runs = append(runs, missedRuns(now, database, s, v.offsetKnown(s, database), k.Since, had[safetext.Line(database)])...)
		}
	}
	return joinMissed(gaps, runs)
}

// offsetKnown is offset for who holds the lock.
func (v *Vault) offsetKnown(s *schedule.Schedule, database string) time.Duration {
	return v.offset(v.vf, s, database)
}

// gap is a time for which a database had no good archive that was young
// enough: from last on, late from last + allowed to until.
type gap struct {
	database    string
	last, until time.Time
	allowed     time.Duration
}

func (g gap) text() string {
	return fmt.Sprintf("no good backup for %s; %s allowed", span(g.until.Sub(g.last)), are(g.allowed))
}

// lateGaps gives each time that a database went without a good archive for
// longer than is allowed: between two good archives, and since the newest. busy
// tells that its next backup is being made, or waits for its turn. No clock, no
// input or output.
func lateGaps(now time.Time, list []Archive, judge func(database string) punctual, busy func(database string) bool) []gap {
	good := map[string][]stretch{}
	for _, a := range list {
		if a.State == "good" && !a.Finished.After(now) {
			good[a.Database] = append(good[a.Database], stretch{a.Started, a.Finished})
		}
	}
	out := []gap{}
	for database, made := range good {
		p := judge(database)
		if p.maxAge <= 0 {
			continue
		}
		slices.SortFunc(made, func(a, b stretch) int { return a.to.Compare(b.to) })
		for i, last := range made {
			until, late := now, p.from(last)
			switch {
			case i+1 < len(made):
				until, late = made[i+1].to, p.while(last, made[i+1].from)
			case busy(database):
				late = p.while(last, time.Time{})
			}
			if until.After(late) {
				out = append(out, gap{database, last.to, until, p.maxAge})
			}
		}
	}
	return out
}

// stretch is a time during which a backup ran.
type stretch struct{ from, to time.Time }

// seen gives the backups of each database, by its name as it is shown, that an
// archive or a job tells of, whatever became of them: the first first.
func seen(list []Archive, entries []Activity) map[string][]stretch {
	out := map[string][]stretch{}
	for _, a := range list {
		if !a.Started.IsZero() && a.Imported == nil {
			name := safetext.Line(a.Database)
			out[name] = append(out[name], stretch{a.Started, a.Finished})
		}
	}
	for _, a := range entries {
		if a.Kind == string(KindBackup) {
			out[a.What] = append(out[a.What], stretch{a.At, a.At.Add(a.Took)})
		}
	}
	for _, had := range out {
		slices.SortFunc(had, func(a, b stretch) int { return a.from.Compare(b.from) })
	}
	return out
}

// missedRun is one or more scheduled runs in a row that nothing tells of.
type missedRun struct {
	database    string
	first, last time.Time
	n           int
	until       time.Time // the run that came again, or now
	zone        *time.Location
}

const (
	// missedFor bounds how far back missed runs are told of: as long as jobs
	// are kept.
	missedFor = 90 * 24 * time.Hour
	// startsWithin is how late a run may begin that waits for others.
	startsWithin = time.Hour
)

// missedRuns gives the runs of a schedule, known since then, that did not
// begin before the next one was due: none of had lies at their time or began
// after it. One is missed an hour after it should have begun, or when the
// next one's time has come. No clock, no input or output.
func missedRuns(now time.Time, database string, s *schedule.Schedule, offset time.Duration, since time.Time, had []stretch) []missedRun {
	if from := now.Add(-missedFor); since.Before(from) {
		since = from
	}
	var out []missedRun
	row, at := -1, 0 // the row that goes on, -1 for none; the first backup that may still count
	for t := s.Next(since); !t.IsZero(); {
		next := s.Next(t)
		latest := t.Add(offset + startsWithin)
		if next.Before(latest) {
			latest = next
		}
		if !latest.Before(now) {
			break
		}
		for at < len(had) && had[at].from.Before(t) && had[at].to.Before(t) {
			at++
		}
		switch {
		case at < len(had) && had[at].from.Before(next):
			if row >= 0 {
				out[row].until = had[at].from
			}
			row = -1
		case row < 0:
			row = len(out)
			out = append(out, missedRun{database, t, t, 1, now, s.Zone()})
		default:
			out[row].last = t
			out[row].n++
		}
		t = next
	}
	if row >= 0 && at < len(had) && had[at].from.After(out[row].last) { // it was made up for
		out[row].until = had[at].from
	}
	return out
}

func (r missedRun) text() string {
	const layout = "2006-01-02 15:04 MST"
	if r.n == 1 {
		return "the scheduled run of " + r.first.In(r.zone).Format(layout) + " did not begin: no archive and no job tells of it"
	}
	return fmt.Sprintf("%d scheduled runs did not begin, the last of %s: no archive and no job tells of them", r.n, r.last.In(r.zone).Format(layout))
}

// joinMissed makes one entry of each. A gap in which runs were missed is told
// by the first of them.
func joinMissed(gaps []gap, runs []missedRun) []Activity {
	out := []Activity{}
	told := map[int]bool{}
	for _, r := range runs {
		a := Activity{At: r.first, Took: max(0, r.until.Sub(r.first)), Kind: "missed", What: safetext.Line(r.database), Result: "missed", Text: r.text()}
		for i, g := range gaps {
			if g.database == r.database && !r.first.Before(g.last) && r.first.Before(g.until) {
				if !told[i] {
					a.Text += "; " + g.text()
				}
				told[i] = true
			}
		}
		out = append(out, a)
	}
	for i, g := range gaps {
		if !told[i] {
			out = append(out, Activity{At: g.last.Add(g.allowed), Took: g.until.Sub(g.last) - g.allowed, Kind: "missed", What: safetext.Line(g.database), Result: "missed", Text: g.text()})
		}
	}
	return out
}
