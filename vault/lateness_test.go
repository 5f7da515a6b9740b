package vault

import (
	"testing"
	"time"

	"pgvault/pg"
	"pgvault/vault/job"
	"pgvault/vault/schedule"
)

// latenessAt reads a moment with the offset that the zone had.
func latenessAt(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse("2006-01-02T15:04Z07:00", text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// TestTooOld goes through the clocks: when an archive is too old, and how long
// that is excused while the one that follows is being made.
func TestTooOld(t *testing.T) {
	for name, c := range map[string]struct {
		schedule, zone string
		maxAge, offset time.Duration
		from, to       string // when the newest archive was made
		began          string // the next, where there is no schedule
		late, while    string
	}{
		"a night":                    {"02:00", "UTC", day, 10 * time.Minute, "2025-06-19T02:10Z", "2025-06-19T02:14Z", "", "2025-06-20T02:14Z", "2025-06-20T03:18Z"},
		"it takes long":              {"02:00", "UTC", day, 10 * time.Minute, "2025-06-19T02:10Z", "2025-06-19T05:10Z", "", "2025-06-20T05:10Z", "2025-06-20T09:10Z"},
		"no excuse is needed":        {"02:00", "UTC", 2 * day, 0, "2025-06-19T02:00Z", "2025-06-19T02:04Z", "", "2025-06-21T02:04Z", "2025-06-21T02:04Z"},
		"by hand before its turn":    {"02:00", "UTC", day, 25 * time.Minute, "2025-06-19T02:05Z", "2025-06-19T02:06Z", "", "2025-06-20T02:06Z", "2025-06-20T03:27Z"},
		"the schedule is too seldom": {"Mon 03:30", "UTC", day, 0, "2025-06-16T03:30Z", "2025-06-16T03:40Z", "", "2025-06-17T03:40Z", "2025-06-17T03:40Z"},
		"half a day":                 {"02:00", "UTC", 12 * time.Hour, 0, "2025-06-19T02:00Z", "2025-06-19T02:10Z", "", "2025-06-19T14:10Z", "2025-06-19T14:10Z"},
		"hourly":                     {"hourly", "UTC", 2 * time.Hour, 3 * time.Minute, "2025-06-19T02:03Z", "2025-06-19T02:04Z", "", "2025-06-19T04:04Z", "2025-06-19T04:05Z"},
		"hourly, an hour":            {"hourly", "UTC", time.Hour, 3 * time.Minute, "2025-06-19T02:03Z", "2025-06-19T02:04Z", "", "2025-06-19T03:04Z", "2025-06-19T04:03Z"},
		"no limit":                   {"02:00", "UTC", 0, 0, "2025-06-19T02:00Z", "2025-06-19T02:10Z", "", "", ""},
		"by hand":                    {"", "", day, 0, "2025-06-19T02:00Z", "2025-06-19T02:10Z", "2025-06-20T02:00Z", "2025-06-20T02:10Z", "2025-06-20T03:20Z"},
		"by hand, too late":          {"", "", day, 0, "2025-06-19T02:00Z", "2025-06-19T02:10Z", "2025-06-20T02:11Z", "2025-06-20T02:10Z", "2025-06-20T02:10Z"},
		"by hand, not running":       {"", "", day, 0, "2025-06-19T02:00Z", "2025-06-19T02:10Z", "", "2025-06-20T02:10Z", "2025-06-20T02:10Z"},

		// The night of 25 to 26 October 2025 has 25 hours in Berlin, that of 29 to
		// 30 March 23.
		"autumn":                        {"02:00", "Europe/Berlin", day, 0, "2025-10-26T02:00+02:00", "2025-10-26T02:10+02:00", "", "2025-10-27T02:10+01:00", "2025-10-27T03:20+01:00"},
		"autumn, the night":             {"02:00", "Europe/Berlin", day, 0, "2025-10-25T02:00+02:00", "2025-10-25T02:10+02:00", "", "2025-10-26T02:10+02:00", "2025-10-26T02:20+01:00"},
		"autumn, hourly":                {"hourly", "Europe/Berlin", 2 * time.Hour, 0, "2025-10-26T01:00+02:00", "2025-10-26T01:10+02:00", "", "2025-10-26T02:10+01:00", "2025-10-26T02:20+01:00"},
		"autumn, two hours":             {"0 */2 * * *", "Europe/Berlin", 3 * time.Hour, 0, "2025-10-26T00:00+02:00", "2025-10-26T00:10+02:00", "", "2025-10-26T02:10+01:00", "2025-10-26T02:20+01:00"},
		"autumn, it runs over the move": {"02:30", "Europe/Berlin", day, 0, "2025-10-26T02:30+02:00", "2025-10-26T02:10+01:00", "", "2025-10-27T03:10+01:00", "2025-10-27T04:50+01:00"},
		"autumn, it begins after":       {"02:30", "Europe/Berlin", day, 0, "2025-10-26T02:15+01:00", "2025-10-26T02:20+01:00", "", "2025-10-27T03:20+01:00", "2025-10-27T03:40+01:00"},
		"autumn, days before":           {"02:30", "Europe/Berlin", 2 * day, 0, "2025-10-25T12:00+02:00", "2025-10-25T12:10+02:00", "", "2025-10-27T12:10+01:00", "2025-10-27T12:10+01:00"},
		"autumn, a week":                {"Sun 04:00", "Europe/Berlin", 7 * day, 0, "2025-10-19T04:00+02:00", "2025-10-19T04:10+02:00", "", "2025-10-26T04:10+01:00", "2025-10-26T05:20+01:00"},
		"spring":                        {"02:00", "Europe/Berlin", day, 0, "2025-03-29T02:00+01:00", "2025-03-29T02:10+01:00", "", "2025-03-30T03:10+02:00", "2025-03-30T04:20+02:00"},
		"spring, after":                 {"02:00", "Europe/Berlin", day, 0, "2025-03-30T03:00+02:00", "2025-03-30T03:10+02:00", "", "2025-03-31T03:10+02:00", "2025-03-31T03:20+02:00"},
		"half an hour":                  {"02:30", "Australia/Lord_Howe", day, 0, "2026-04-04T02:30+11:00", "2026-04-04T02:40+11:00", "", "2026-04-05T02:40+10:30", "2026-04-05T03:50+10:30"},
		"year end":                      {"23:50", "UTC", day, 0, "2025-12-30T23:50Z", "2025-12-31T00:05Z", "", "2026-01-01T00:05Z", "2026-01-01T01:20Z"},
		"leap day":                      {"02:00", "UTC", day, 0, "2028-02-28T02:00Z", "2028-02-28T02:10Z", "", "2028-02-29T02:10Z", "2028-02-29T03:20Z"},
	} {
		p := punctual{maxAge: c.maxAge, offset: c.offset}
		if c.schedule != "" {
			p.schedule = mustSchedule(t, c.schedule, c.zone)
		}
		made, began := stretch{latenessAt(t, c.from), latenessAt(t, c.to)}, time.Time{}
		if c.began != "" {
			began = latenessAt(t, c.began)
		}
		for i, at := range []time.Time{p.from(made), p.while(made, began)} {
			want := []string{c.late, c.while}[i]
			if (want == "") != at.IsZero() || want != "" && !at.Equal(latenessAt(t, want)) {
				t.Errorf("%s: %v, not %s", name, at, want)
			}
		}
	}
}

// TestPunctualYear has a year of nights pass in zones that move their clocks:
// backups that take now five minutes, now fifty, and wait for each other. None
// is late while it is being made, nor before; and one that does not begin is
// late by the time the age says.
func TestPunctualYear(t *testing.T) {
	for _, zone := range []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"} {
		p := punctual{maxAge: day, schedule: mustSchedule(t, "02:30", zone), offset: 12 * time.Minute}
		var made stretch
		at := p.schedule.Next(time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC))
		for n := range 400 {
			began := at.Add(p.offset + time.Duration(n*7%20)*time.Minute)
			now := stretch{began, began.Add(5*time.Minute + time.Duration(n*13%45)*time.Minute)}
			if n > 0 {
				if late := p.from(made); late.Before(at) {
					t.Fatalf("%s: late at %v, before the run of %v", zone, late, at)
				}
				if late := p.while(made, time.Time{}); late.Before(now.to) {
					t.Fatalf("%s: late at %v, while it is made until %v", zone, late, now.to)
				}
				if late := p.from(made); late.Sub(made.to) > day+time.Hour {
					t.Fatalf("%s: %v after %v is not late", zone, late, made.to)
				}
			}
			made, at = now, p.schedule.Next(at)
		}
	}
}

// TestLateWhileRunning goes the whole way, by a clock that the test turns: at
// 02:00 with an age of one day.
func TestLateWhileRunning(t *testing.T) {
	w := newWorld(t)
	w.conf.Server, w.conf.Configured = pg.Settings{Host: "/nowhere"}, []string{"shop"}
	var s *schedule.Schedule
	w.conf.Of = func(string) Database { return Database{MaxAge: day, Schedule: s} }
	two := time.Date(2025, 6, 20, 2, 0, 0, 0, time.UTC)
	w.fabricate(made{database: "shop", at: two.Add(-day)})
	v := w.vault()
	now := two
	v.now = func() time.Time { return now }
	vf := v.knownVault(t.Context())
	if vf == nil {
		t.Fatal("no vault")
	}
	look := func(at time.Time) (string, *Health) {
		t.Helper()
		now = at
		h, err := v.Health(t.Context())
		if err != nil || len(h.Databases) != 1 {
			t.Fatalf("%+v, %v", h, err)
		}
		return h.Databases[0].State, h
	}
	hold := func(name string) func() {
		t.Helper()
		release, err := job.Lock(v.lockDir(), name, "a test", "")
		if err != nil {
			t.Fatal(err)
		}
		return release
	}
	want := func(at time.Time, state string, risk int) *Health {
		t.Helper()
		got, h := look(at)
		if got != state || h.AtRisk() != risk {
			t.Errorf("at %v: %s, %d at risk; not %s, %d", at, got, h.AtRisk(), state, risk)
		}
		return h
	}
	began := two.Add(-day) // and finished a minute later
	s = mustSchedule(t, "02:00", "UTC")
	offset := v.offset(vf, s, "shop")
	want(began.Add(day), "ok", 0)
	want(began.Add(day+5*time.Minute), "late", 1)
	free := hold(v.dueLock())
	if h := want(began.Add(day+5*time.Minute), "running", 0); h.Databases[0].Explained.What != "its scheduled backup waits for its turn; before it: the newest good backup is 24 hours old; you allow 1 day" {
		t.Errorf("%+v", h.Databases[0].Explained)
	}
	want(two.Add(offset+startsWithin+5*time.Minute), "late", 1) // it waits for too long
	if err := v.writeSchedule("tried", triedRuns{Databases: map[string]triedRun{"shop": {Scheduled: two, Last: two, Tries: 1, Done: true}}}); err != nil {
		t.Fatal(err)
	}
	want(began.Add(day+5*time.Minute), "late", 1) // the run is over, without an archive
	free()
	free = hold(lockName(vf, "shop"))
	want(began.Add(day+5*time.Minute), "running", 0)
	want(two.Add(offset+startsWithin+5*time.Minute), "running", 1) // it hangs
	want(two.Add(3*day), "running", 1)
	s = nil
	want(began.Add(day+5*time.Minute), "running", 1) // nothing says when it began
	s = mustSchedule(t, "Mon 02:00", "UTC")
	want(began.Add(day+5*time.Minute), "running", 1) // the schedule is too seldom
	free()
}
