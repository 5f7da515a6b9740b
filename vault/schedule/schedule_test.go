package schedule

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func parse(t testing.TB, text, where string) *Schedule {
	t.Helper()
	s, err := Parse(text, zone(t, where))
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return s
}

// TestRuns walks through moves of the clock and the corners of the calendar.
// Times are RFC 3339 with the offset of that moment, so that both equal hours
// can be told apart.
func TestRuns(t *testing.T) {
	for name, c := range map[string]struct {
		zone, text, after string
		want              string // the next runs
	}{
		"daily":              {"UTC", "02:00", "2026-06-01T01:59:59Z", "06-01T02:00Z 06-02T02:00Z"},
		"strictly after":     {"UTC", "02:00", "2026-06-01T02:00:00Z", "06-02T02:00Z"},
		"weekly":             {"UTC", "Mon 03:30", "2026-06-01T03:30:00Z", "06-08T03:30Z 06-15T03:30Z"},
		"year end":           {"UTC", "Fri 00:00", "2026-12-31T23:59:59Z", "01-01T00:00Z 01-08T00:00Z"},
		"year end, hourly":   {"Asia/Kolkata", "hourly", "2026-12-31T22:30:00+05:30", "12-31T23:00+05:30 01-01T00:00+05:30"},
		"leap day":           {"UTC", "30 2 29 2 *", "2026-01-01T00:00:00Z", "02-29T02:30Z 02-29T02:30Z"},
		"no leap day, 2100":  {"UTC", "30 2 29 2 *", "2096-03-01T00:00:00Z", "02-29T02:30Z"},
		"either day":         {"UTC", "0 0 13 * 5", "2026-11-01T00:00:00Z", "11-06T00:00Z 11-13T00:00Z 11-20T00:00Z 11-27T00:00Z 12-04T00:00Z 12-11T00:00Z 12-13T00:00Z"},
		"either day, a step": {"UTC", "0 0 */2 * 1", "2026-11-01T00:00:00Z", "11-02T00:00Z 11-03T00:00Z"},
		"months end":         {"UTC", "0 4 31 * *", "2026-01-31T04:00:00Z", "03-31T04:00Z 05-31T04:00Z"},

		"Berlin, spring, left out":          {"Europe/Berlin", "02:30", "2026-03-28T02:30:00+01:00", "03-29T03:00+02:00 03-30T02:30+02:00"},
		"Berlin, spring, the gap begins":    {"Europe/Berlin", "02:00", "2026-03-28T02:00:00+01:00", "03-29T03:00+02:00 03-30T02:00+02:00"},
		"Berlin, spring, just before":       {"Europe/Berlin", "01:59", "2026-03-28T02:00:00+01:00", "03-29T01:59+01:00 03-30T01:59+02:00"},
		"Berlin, spring, just after":        {"Europe/Berlin", "03:00", "2026-03-28T03:00:00+01:00", "03-29T03:00+02:00 03-30T03:00+02:00"},
		"Berlin, spring, several left out":  {"Europe/Berlin", "*/20 2,3 * * *", "2026-03-29T00:00:00+01:00", "03-29T03:00+02:00 03-29T03:20+02:00 03-29T03:40+02:00 03-30T02:00+02:00"},
		"Berlin, spring, another weekday":   {"Europe/Berlin", "Mon 02:30", "2026-03-28T00:00:00+01:00", "03-30T02:30+02:00"},
		"Berlin, spring, hourly":            {"Europe/Berlin", "hourly", "2026-03-29T00:30:00+01:00", "03-29T01:00+01:00 03-29T03:00+02:00 03-29T04:00+02:00"},
		"Berlin, spring, half past":         {"Europe/Berlin", "30 * * * *", "2026-03-29T01:00:00+01:00", "03-29T01:30+01:00 03-29T03:30+02:00"},
		"Berlin, autumn, twice":             {"Europe/Berlin", "02:30", "2026-10-24T02:30:00+02:00", "10-25T02:30+02:00 10-26T02:30+01:00"},
		"Berlin, autumn, between":           {"Europe/Berlin", "02:30", "2026-10-25T02:45:00+02:00", "10-26T02:30+01:00"},
		"Berlin, autumn, the second begins": {"Europe/Berlin", "02:30", "2026-10-25T02:00:00+01:00", "10-26T02:30+01:00"},
		"Berlin, autumn, the end":           {"Europe/Berlin", "03:00", "2026-10-25T02:00:00+01:00", "10-25T03:00+01:00"},
		"Berlin, autumn, hourly":            {"Europe/Berlin", "hourly", "2026-10-25T00:30:00+02:00", "10-25T01:00+02:00 10-25T02:00+02:00 10-25T02:00+01:00 10-25T03:00+01:00"},
		"New York, spring":                  {"America/New_York", "02:15", "2026-03-07T12:00:00-05:00", "03-08T03:00-04:00 03-09T02:15-04:00"},
		"New York, autumn":                  {"America/New_York", "01:30", "2026-10-31T12:00:00-04:00", "11-01T01:30-04:00 11-02T01:30-05:00"},
		"New York, autumn, hourly":          {"America/New_York", "hourly", "2026-11-01T00:30:00-04:00", "11-01T01:00-04:00 11-01T01:00-05:00 11-01T02:00-05:00"},
		"Lord Howe, spring, 30 minutes":     {"Australia/Lord_Howe", "02:15", "2026-10-03T12:00:00+10:30", "10-04T02:30+11:00 10-05T02:15+11:00"},
		"Lord Howe, spring, after":          {"Australia/Lord_Howe", "02:30", "2026-10-03T12:00:00+10:30", "10-04T02:30+11:00 10-05T02:30+11:00"},
		"Lord Howe, autumn, twice":          {"Australia/Lord_Howe", "01:45", "2026-04-04T12:00:00+11:00", "04-05T01:45+11:00 04-06T01:45+10:30"},
		"Lord Howe, autumn, half hours":     {"Australia/Lord_Howe", "*/30 * * * *", "2026-04-05T01:00:00+11:00", "04-05T01:30+11:00 04-05T01:30+10:30 04-05T02:00+10:30"},
		"Lord Howe, spring, half hours":     {"Australia/Lord_Howe", "*/30 * * * *", "2026-10-04T01:00:00+10:30", "10-04T01:30+10:30 10-04T02:30+11:00"},
		"the last day of 2040":              {"Europe/Berlin", "30 2 31 12 *", "2040-12-30T12:00:00+01:00", "12-31T02:30+01:00 12-31T02:30+01:00"},
		"beyond the zone's table":           {"Europe/Berlin", "hourly", "2040-12-31T22:30:00+01:00", "12-31T23:00+01:00 01-01T00:00+01:00"},
		"Kolkata":                           {"Asia/Kolkata", "00:15", "2026-03-28T20:00:00+05:30", "03-29T00:15+05:30"},
		"midnight left out, Beirut":         {"Asia/Beirut", "00:00", "2026-03-28T00:00:00+02:00", "03-29T01:00+03:00 03-30T00:00+03:00"},
		"a day left out, Apia":              {"Pacific/Apia", "Fri 12:00", "2011-12-29T13:00:00-10:00", "12-31T00:00+14:00 01-06T12:00+14:00"},
	} {
		t.Run(name, func(t *testing.T) {
			s := parse(t, c.text, c.zone)
			at, err := time.Parse(time.RFC3339, c.after)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for range strings.Fields(c.want) {
				next := s.Next(at)
				if last := s.Last(next.Add(time.Nanosecond)); !last.Equal(next) {
					t.Errorf("the last before %v + 1ns is %v", next, last)
				}
				if last := s.Last(next); last.After(at) || s.Last(at.Add(time.Nanosecond)) != last {
					t.Errorf("between %v and %v lies %v", at, next, last)
				}
				got, at = append(got, next.Format("01-02T15:04Z07:00")), next
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("%s", strings.Join(got, " "))
			}
		})
	}
}

func TestEvery(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"hourly": time.Hour, "02:00": 24 * time.Hour, "Mon 03:30": 7 * 24 * time.Hour, "0 2,14 * * *": 12 * time.Hour, "0 2,6 * * *": 4 * time.Hour,
		"0 22,2 * * *": 4 * time.Hour, "*/7 * * * *": 4 * time.Minute, "* * * * *": time.Minute, "0 0 1 * *": 28 * 24 * time.Hour,
		"0 0 29 2 *": 1461 * 24 * time.Hour, "0 2 * * 1,4": 3 * 24 * time.Hour, "0 0 1 1 *": 365 * 24 * time.Hour, "30 5 13 * 5": 24 * time.Hour,
		"0 23 * * 1": 7 * 24 * time.Hour, "59 23 31 12 *": 365 * 24 * time.Hour, "0 0,23 1,2 * *": time.Hour,
	} {
		if got := parse(t, text, "UTC").Every(); got != want {
			t.Errorf("%s: every %v, want %v", text, got, want)
		}
	}
}

// anySchedule draws schedules of all forms.
func anySchedule(t *rapid.T, loc *time.Location) *Schedule {
	field := func(name string, low, high int) string {
		switch rapid.IntRange(0, 3).Draw(t, name) {
		case 0:
			return "*"
		case 1:
			return "*/" + itoa(rapid.IntRange(2, high-low).Draw(t, name+" step"))
		case 2:
			a := rapid.IntRange(low, high).Draw(t, name+" from")
			return itoa(a) + "-" + itoa(rapid.IntRange(a, high).Draw(t, name+" to"))
		}
		return itoa(rapid.IntRange(low, high).Draw(t, name+" value"))
	}
	text := strings.Join([]string{field("minute", 0, 59), field("hour", 0, 23), field("day", 1, 28), field("month", 1, 12), field("week", 0, 6)}, " ")
	s, err := Parse(text, loc)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return s
}

func itoa(n int) string { return set(1<<n, 0, 0, 1) }

var zones = []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC", "America/St_Johns", "Asia/Beirut", "Pacific/Apia", "Africa/Casablanca"}

func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		loc, err := time.LoadLocation(rapid.SampledFrom(zones).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		s := anySchedule(t, loc)
		// Half of the moments lie within two days of a move of the clock.
		at := time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "at"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns"))
		if _, end := at.In(loc).ZoneBounds(); !end.IsZero() && rapid.Bool().Draw(t, "near") {
			at = end.Add(time.Duration(rapid.Int64Range(-172800, 172800).Draw(t, "off"))*time.Second + time.Duration(at.Nanosecond()))
		}
		next := s.Next(at)
		if !next.After(at) {
			t.Fatalf("%s: next of %v is %v", s, at, next)
		}
		if last := s.Last(next.Add(1)); !last.Equal(next) {
			t.Fatalf("%s: last before %v + 1ns is %v", s, next, last)
		}
		if last := s.Last(next); last.After(at) {
			t.Fatalf("%s: %v lies between %v and %v", s, last, at, next)
		}
		later := at.Add(time.Duration(rapid.Int64Range(0, int64(72*time.Hour)).Draw(t, "later")))
		if s.Next(later).Before(next) {
			t.Fatalf("%s: next of %v is before next of %v", s, later, at)
		}
		onClock(t, s, next)
		if after := s.Next(next); after.Sub(next) < s.Every()-25*time.Hour {
			t.Fatalf("%s: every %v at least, yet %v and %v", s, s.Every(), next, after)
		}
	})
}

// onClock: a run is at a time that the schedule names, or at a move of the
// clock that left one out.
func onClock(t *rapid.T, s *Schedule, at time.Time) {
	_, offset := at.Zone()
	wall := at.Unix() + int64(offset)
	if w, ok := s.spec.next(wall); ok && w == wall {
		return
	}
	start, _ := at.ZoneBounds()
	if _, before := start.Add(-1).Zone(); !start.Equal(at) || before >= offset {
		t.Fatalf("%s: %v is no time of it", s, at)
	}
}

// TestEveryTimeOfTheClock: each time that a schedule names comes exactly
// once on each day, whatever is done to the clocks, but where several are left
// out by one move.
func TestEveryTimeOfTheClock(t *testing.T) {
	for _, where := range zones {
		for _, text := range []string{"00:00", "00:30", "01:45", "02:00", "02:30", "03:00", "23:59"} {
			s := parse(t, text, where)
			at := time.Date(2026, 1, 1, 0, 0, 0, 0, s.Zone()).Add(-time.Nanosecond)
			seen := map[string]bool{}
			for range 365 {
				at = s.Next(at)
				seen[at.Format("01-02")] = true
			}
			if len(seen) != 365 || at.Format("2006-01-02") != "2026-12-31" {
				t.Errorf("%s in %s: %d days, the last is %v", text, where, len(seen), at)
			}
		}
	}
}

func TestHourlyIsEveryRealHour(t *testing.T) {
	for _, where := range []string{"Europe/Berlin", "America/New_York", "Asia/Kolkata", "UTC"} {
		s := parse(t, "hourly", where)
		at := s.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, s.Zone()))
		for range 365 * 24 {
			next := s.Next(at)
			if next.Sub(at) != time.Hour {
				t.Fatalf("%s: from %v to %v", where, at, next)
			}
			at = next
		}
	}
}

func TestSpread(t *testing.T) {
	for text, want := range map[string]time.Duration{"hourly": 5 * time.Minute, "02:00": 30 * time.Minute, "Mon 03:30": 30 * time.Minute, "*/15 * * * *": 75 * time.Second, "* * * * *": 5 * time.Second} {
		s := parse(t, text, "UTC")
		if s.Spread() != want {
			t.Errorf("%s is spread over %v", text, s.Spread())
		}
		var all []time.Duration
		for i := range 500 {
			o := s.Offset("0123456789abcdef", "db"+itoa(i%64)+strings.Repeat("x", i/64))
			if o < 0 || o >= want || o%time.Second != 0 {
				t.Fatalf("%s: an offset of %v", text, o)
			}
			all = append(all, o)
		}
		if slices.Min(all) > want/10 || slices.Max(all) < want*7/10 {
			t.Errorf("%s: from %v to %v only", text, slices.Min(all), slices.Max(all))
		}
	}
	s := parse(t, "02:00", "UTC")
	// A new version must not move everybody's backups: these are for good.
	if a, b := s.Offset("0123456789abcdef", "shop"), s.Offset("fedcba9876543210", "shop"); a != 1470*time.Second || b == a {
		t.Errorf("shop starts %v and %v later", a, b)
	}
}
