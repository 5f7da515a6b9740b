package vault

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgvault/pg"
	"pgvault/vault/schedule"
)

func mustSchedule(t testing.TB, text, zone string) *schedule.Schedule {
	t.Helper()
	loc, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	s, err := schedule.Parse(text, loc)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestMissedRuns: noon is 2025-06-20 12:00Z, a Friday; Berlin is two hours
// ahead of it.
func TestMissedRuns(t *testing.T) {
	at := func(clock string) time.Time {
		at, err := time.ParseInLocation("01-02 15:04", clock, time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		return at.AddDate(noon.Year(), 0, 0)
	}
	ran := func(clocks ...string) (out []stretch) {
		for _, c := range clocks {
			from, minutes, _ := strings.Cut(c, "+")
			var n int
			_, _ = fmt.Sscan(minutes, &n)
			out = append(out, stretch{at(from), at(from).Add(time.Duration(n) * time.Minute)})
		}
		return out
	}
	for name, c := range map[string]struct {
		schedule, since string
		had             []stretch
		want            []string // first, number, until
	}{
		"none missed":         {"02:00", "06-17 12:00", ran("06-18 02:10", "06-19 02:10", "06-20 02:10"), nil},
		"one between":         {"02:00", "06-17 12:00", ran("06-18 02:10", "06-20 02:10"), []string{"06-19 02:00 1 06-20 02:10"}},
		"made up for":         {"02:00", "06-17 12:00", ran("06-18 02:10", "06-19 23:00", "06-20 02:10"), nil},
		"the newest":          {"02:00", "06-17 12:00", ran("06-18 02:10", "06-19 02:10"), []string{"06-20 02:00 1 06-20 12:00"}},
		"off for days":        {"02:00", "06-15 12:00", ran("06-20 09:00"), []string{"06-16 02:00 4 06-20 09:00"}},
		"all":                 {"02:00", "06-17 12:00", nil, []string{"06-18 02:00 3 06-20 12:00"}},
		"not known then":      {"02:00", "06-20 02:01", nil, nil},
		"two rows":            {"02:00", "06-14 12:00", ran("06-15 02:00", "06-17 02:00", "06-18 02:00", "06-20 02:00"), []string{"06-16 02:00 1 06-17 02:00", "06-19 02:00 1 06-20 02:00"}},
		"may still begin":     {"30 11 * * *", "06-19 12:00", nil, nil},
		"an hour too late":    {"30 10 * * *", "06-19 12:00", nil, []string{"06-20 10:30 1 06-20 12:00"}},
		"hourly":              {"hourly", "06-20 08:30", ran("06-20 09:05"), []string{"06-20 10:00 2 06-20 12:00"}},
		"ran over the next":   {"hourly", "06-20 06:30", ran("06-20 07:01+170", "06-20 10:02"), []string{"06-20 11:00 1 06-20 12:00"}},
		"begun before, ended": {"02:00", "06-19 12:00", ran("06-20 01:30+10"), []string{"06-20 02:00 1 06-20 12:00"}},
	} {
		var got []string
		s := mustSchedule(t, c.schedule, "UTC")
		for _, r := range missedRuns(noon.Add(time.Minute), "shop", s, 5*time.Minute, at(c.since), c.had) {
			until := r.until.Truncate(time.Hour)
			if r.until.Before(noon) {
				until = r.until
			}
			got = append(got, fmt.Sprintf("%s %d %s", r.first.Format("01-02 15:04"), r.n, until.Format("01-02 15:04")))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, not %q", name, got, c.want)
		}
	}
}

// TestMissedOnce: where an age and runs tell of the same time, there is one
// entry.
func TestMissedOnce(t *testing.T) {
	s := mustSchedule(t, "02:00", "Europe/Berlin")
	runs := missedRuns(noon, "shop", s, 0, noon.Add(-10*day), []stretch{{noon.Add(-5 * day), noon.Add(-5 * day)}})
	gaps := []gap{{"shop", noon.Add(-5 * day), noon, day}, {"crm", noon.Add(-3 * day), noon, day}, {"shop", noon.Add(-30 * day), noon.Add(-20 * day), day}}
	var got []string
	for _, a := range joinMissed(gaps, runs) {
		got = append(got, a.At.Format("01-02 15:04")+" "+a.What+": "+a.Text)
	}
	want := []string{
		"06-11 02:00 shop: 4 scheduled runs did not begin, the last of 2025-06-14 02:00 CEST: no archive and no job tells of them",
		"06-16 02:00 shop: 5 scheduled runs did not begin, the last of 2025-06-20 02:00 CEST: no archive and no job tells of them; no good backup for 5 days; 1 day is allowed",
		"06-18 12:00 crm: no good backup for 3 days; 1 day is allowed",
		"05-22 12:00 shop: no good backup for 10 days; 1 day is allowed",
	}
	if !slices.Equal(got, want) {
		t.Errorf("\n%s\nnot\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestActivityTellsMissedRuns goes the whole way: known schedule, archives,
// jobs, a change of the schedule.
func TestActivityTellsMissedRuns(t *testing.T) {
	w := newWorld(t)
	w.conf.Server, w.conf.Configured = pg.Settings{Host: "/nowhere"}, []string{"shop"}
	w.db.Schedule, w.db.MaxAge = mustSchedule(t, "02:00", "UTC"), 2*day
	w.fabricate(made{database: "shop", at: noon.Add(-3*day - 9*time.Hour)})
	now := noon.Add(-3 * day)
	look := func() (out []string) {
		v := w.vault()
		v.now = func() time.Time { return now }
		if _, err := v.Status(t.Context()); err != nil {
			t.Fatal(err)
		}
		list, _, err := v.Activity(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range list {
			if a.Kind == "missed" {
				out = append(out, a.At.Format("01-02 15:04 ")+a.Text)
			}
		}
		return out
	}
	if got := look(); got != nil {
		t.Errorf("before the schedule was known: %q", got)
	}
	now = noon
	if got := look(); len(got) != 1 || !strings.HasPrefix(got[0], "06-18 02:00 3 scheduled runs did not begin, the last of 2025-06-20 02:00 UTC") || !strings.HasSuffix(got[0], "; no good backup for 3 days; 2 days are allowed") {
		t.Errorf("the machine was off: %q", got)
	}
	w.db.Schedule = mustSchedule(t, "hourly", "UTC")
	if got := look(); len(got) != 1 || strings.Contains(got[0], "scheduled") {
		t.Errorf("another schedule: %q", got)
	}
	w.db.Schedule = nil
	if got := look(); len(got) != 1 || strings.Contains(got[0], "scheduled") {
		t.Errorf("no schedule any more: %q", got)
	}
}

func TestNextRun(t *testing.T) {
	w := newWorld(t)
	w.conf.Server, w.conf.Configured = pg.Settings{Host: "/nowhere"}, []string{"shop"}
	w.db.Schedule = mustSchedule(t, "02:00", "Europe/Berlin")
	w.fabricate(made{database: "shop", at: noon.Add(-9 * time.Hour)})
	w.fabricate(made{database: "dropped", at: noon.Add(-9 * time.Hour)})
	v := w.vault()
	v.now = func() time.Time { return noon }
	list, err := v.Status(t.Context())
	if err != nil || len(list) != 2 {
		t.Fatalf("%+v, %v", list, err)
	}
	if list[0].Database != "dropped" || list[0].NextRun != nil {
		t.Errorf("a database that is not configured: %+v", list[0])
	}
	at, early := list[1].NextRun, time.Date(2025, 6, 21, 0, 0, 0, 0, time.UTC)
	if at == nil || at.Before(early) || !at.Before(early.Add(30*time.Minute)) || at.Location() != time.UTC {
		t.Fatalf("next run: %v", at)
	}
	runs := v.NextRuns(t.Context(), "shop", 3)
	if len(runs) != 3 || !runs[0].Equal(*at) || runs[2].Sub(runs[0]) != 2*day || runs[0].Location().String() != "Europe/Berlin" {
		t.Errorf("next runs: %v", runs)
	}
	w.db.Schedule = nil
	if v := w.vault(); v.NextRuns(t.Context(), "shop", 3) != nil {
		t.Error("a database without a schedule has next runs")
	}
}

// TestNothingStarts: with a schedule, what counts is what would start it, or
// that somebody looked for what is due.
func TestNothingStarts(t *testing.T) {
	w := newWorld(t)
	w.conf.Server, w.conf.Configured = pg.Settings{Host: "/nowhere"}, []string{"shop"}
	w.db.Schedule, w.db.MaxAge = mustSchedule(t, "02:00", "UTC"), 2*day
	w.fabricate(made{database: "shop", at: noon.Add(-9 * time.Hour)})
	starter := ""
	w.conf.Starts = func() string { return starter }
	now := noon
	says := func() string {
		v := w.vault()
		v.now = func() time.Time { return now }
		h, err := v.Health(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range h.Warnings {
			if strings.HasPrefix(e.What, "nothing starts") {
				return e.Do
			}
		}
		return ""
	}
	if got := says(); got != "pgvault timer install" {
		t.Errorf("a schedule alone: %q", got)
	}
	starter = "a systemd timer"
	if got := says(); got != "" {
		t.Errorf("with a timer: %q", got)
	}
	now = noon.Add(9 * day)
	if got := says(); got != "pgvault timer show" {
		t.Errorf("with a timer that starts nothing: %q", got)
	}
	starter, now = "", noon
	v := w.vault()
	if err := v.writeSchedule("tried", triedRuns{Looked: noon.Add(-8 * time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if got := says(); got != "" {
		t.Errorf("something not of this host looks for what is due: %q", got)
	}
	now = noon.Add(day)
	if got := says(); got != "pgvault timer install" {
		t.Errorf("it looks no more: %q", got)
	}
	w.db.Schedule = nil
	if got := says(); got != "" {
		t.Errorf("no schedule, and a young archive: %q", got)
	}
}
