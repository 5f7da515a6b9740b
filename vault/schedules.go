package vault

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"pgvault/vault/archive"
	"pgvault/vault/schedule"
)

// What is remembered of schedules lies in two files of the state folder, so
// that nobody writes over what another one has learnt: since when each
// schedule is known (whoever sees it first writes that), and what became of
// the newest scheduled run (only the runner that holds the lock writes that).

// knownSchedule is since when a database has this schedule: before that no
// run of it can have been missed.
type knownSchedule struct {
	Schedule string    `json:"schedule"`
	Zone     string    `json:"zone"`
	Since    time.Time `json:"since"`
}

// triedRuns is what the runner remembers.
type triedRuns struct {
	Looked    time.Time           `json:"looked"` // when it last looked what is due
	Databases map[string]triedRun `json:"databases"`
}

// triedRun is the newest scheduled run of a database that was begun.
type triedRun struct {
	Scheduled time.Time `json:"scheduled"`
	Last      time.Time `json:"last"`  // when it was last begun
	Tries     int       `json:"tries"` // times that it was begun, those that never ended among them
	Done      bool      `json:"done"`  // it ended, in whatever way, and is not tried again
	// Blind tells that it failed without anybody knowing what was due, see
	// dueRunner.blind: it is not tried so again, and still due.
	Blind bool `json:"blind,omitempty"`
}

func (v *Vault) schedulePath(name string) string {
	return filepath.Join(v.c.StateDir, "schedule", v.c.Name+"."+name+".json")
}

// readSchedule fills to from a file; one that is absent or torn is an empty
// one.
func (v *Vault) readSchedule(name string, to any) {
	if src, err := os.ReadFile(v.schedulePath(name)); err == nil {
		_ = json.Unmarshal(src, to) // what cannot be read is learnt anew
	}
}

func (v *Vault) writeSchedule(name string, from any) error {
	src, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return v.writeState(v.schedulePath(name), src)
}

// offset is a database's place in the window of its schedule.
func (v *Vault) offset(vf *archive.VaultFile, s *schedule.Schedule, database string) time.Duration {
	id := v.c.Name
	if vf != nil {
		id = vf.ID
	}
	return s.Offset(id, database)
}

// nextRun is when a backup of database begins next by its schedule, nil for
// one without.
func (v *Vault) nextRun(vf *archive.VaultFile, database string) *time.Time {
	s := v.c.Of(database).Schedule
	if s == nil {
		return nil
	}
	offset := v.offset(vf, s, database)
	next := s.Next(v.now().Add(-offset)).Add(offset).UTC()
	return &next
}

// NextRuns gives the next n moments at which a backup of database begins by
// its schedule, in the schedule's zone; none for one without.
func (v *Vault) NextRuns(ctx context.Context, database string, n int) []time.Time {
	s := v.c.Of(database).Schedule
	if s == nil {
		return nil
	}
	offset := v.offset(v.knownVault(ctx), s, database)
	out := make([]time.Time, 0, n)
	for at := v.now().Add(-offset); len(out) < n; {
		at = s.Next(at)
		out = append(out, at.Add(offset))
	}
	return out
}

// noteSchedules remembers since when the databases have their schedules, and
// gives that. whole says that names are all there are: what is not among them
// has no schedule any more. Where nothing can be written, nothing new is
// known.
func (v *Vault) noteSchedules(names []string, whole bool) map[string]knownSchedule {
	known, changed := map[string]knownSchedule{}, false
	v.readSchedule("known", &known)
	if known == nil {
		known = map[string]knownSchedule{}
	}
	now := map[string]bool{}
	for _, name := range names {
		s := v.c.Of(name).Schedule
		if s == nil {
			continue
		}
		now[name] = true
		if k := known[name]; k.Schedule != s.String() || k.Zone != s.Zone().String() || k.Since.After(v.now()) {
			known[name], changed = knownSchedule{s.String(), s.Zone().String(), v.now().UTC()}, true
		}
	}
	for name := range known {
		if (whole || v.c.Of(name).Schedule == nil) && !now[name] {
			delete(known, name)
			changed = true
		}
	}
	if changed && v.c.StateDir != "" && v.writable() == nil {
		_ = v.writeSchedule("known", known) // the next one who looks tries again
	}
	return known
}

// idle tells that there is a schedule, and nothing on this host that would
// start what it wants: neither is something installed, nor did a runner look
// for what is due since the last run became due, whoever started that. what
// is what is installed.
func (v *Vault) idle(status []DatabaseStatus) (idle bool, what string) {
	if v.c.Starts == nil {
		return false, ""
	}
	what = v.c.Starts()
	var latest time.Time // of the runs that should have begun
	for _, d := range status {
		if s := v.c.Of(d.Database).Schedule; s != nil && d.NextRun != nil {
			idle = true
			if at := s.Last(v.now().Add(-s.Spread() - startsWithin)); at.After(latest) {
				latest = at
			}
		}
	}
	if looked := v.LookedForDue(); what != "" || v.RunsSchedules() || !looked.IsZero() && !looked.Before(latest) {
		return false, what
	}
	return idle, what
}
