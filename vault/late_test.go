package vault

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgvault/pg"
)

// TestLateFromTheArchives: what is late is told from the archives' own dates
// alone, in any zone, with no run on this host, no failure and no scheduler.
func TestLateFromTheArchives(t *testing.T) {
	for name, c := range map[string]struct {
		made   []made // of shop
		now    time.Duration
		maxAge time.Duration
		want   string
	}{
		"young":                            {[]made{{at: noon}}, 23 * time.Hour, day, "ok"},
		"to the second":                    {[]made{{at: noon}}, day + time.Minute, day, "ok"}, // it was finished a minute after noon
		"a second later":                   {[]made{{at: noon}}, day + time.Minute + time.Second, day, "late"},
		"the machine was off for a year":   {[]made{{at: noon}}, 365 * day, day, "late"},
		"no limit":                         {[]made{{at: noon}}, 3650 * day, 0, "ok"},
		"a partial one does not count":     {[]made{{at: noon.Add(-3 * day)}, {at: noon, partial: true}}, time.Hour, day, "late"},
		"of two, the newest counts":        {[]made{{at: noon.Add(-3 * day)}, {at: noon}}, time.Hour, day, "ok"},
		"none":                             {nil, 0, day, "never"},
		"one an hour ahead, clocks differ": {[]made{{at: noon}}, -59 * time.Minute, day, "ok"},
		"one of another year":              {[]made{{at: noon.Add(-3 * day)}, {at: noon.AddDate(10, 0, 0)}}, 0, day, "late"},
		"only one of another year":         {[]made{{at: noon.AddDate(10, 0, 0)}}, 0, day, "never"},
	} {
		w := newWorld(t)
		w.conf.Server, w.conf.Configured = pg.Settings{Host: "/nowhere"}, []string{"shop"}
		w.db.MaxAge = c.maxAge
		for i, m := range c.made {
			m.database, m.seq = "shop", int64(i+1)
			w.fabricate(m)
		}
		for _, zone := range []string{"UTC", "Pacific/Kiritimati", "America/New_York"} {
			loc, err := time.LoadLocation(zone)
			if err != nil {
				t.Fatal(err)
			}
			w.conf.StateDir = w.path("host-" + strings.ReplaceAll(zone, "/", "-")) // one that has run nothing
			h, err := w.vaultAt(noon.Add(c.now).In(loc)).Report(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got := h.Databases[0]; got.State != c.want || got.AtRisk(h.At) != (c.want != "ok") {
				t.Errorf("%s, in %s: %s, last good %v", name, zone, got.State, got.LastGood)
			}
		}
	}
}

// TestAheadIsTold: an archive of the future is named, with what to do; when a
// backup was made after it, it can be deleted, and not before.
func TestAheadIsTold(t *testing.T) {
	w := newWorld(t)
	w.conf.Server, w.conf.Configured, w.db.MaxAge = pg.Settings{Host: "/nowhere"}, []string{"shop"}, day
	w.fabricate(made{database: "shop", at: noon.Add(-3 * day), seq: 1})
	id := w.fabricate(made{database: "shop", at: noon.AddDate(10, 0, 0), seq: 2})
	h, err := w.vaultAt(noon).Health(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(h.Warnings, func(e Explained) bool { return e.Key == "ahead/shop" })
	if i < 0 || !strings.Contains(h.Warnings[i].Why, id+" is of 2035-06-20 12:00Z, and here it is 2025-06-20 12:00Z") {
		t.Fatalf("%+v", h.Warnings)
	}
	if d := h.Databases[0]; d.State != "late" || !strings.Contains(d.Explained.Why, id+" is dated 2035-06-20 12:01Z") || !strings.HasPrefix(d.Explained.Do, "set the clock") {
		t.Errorf("%+v", d)
	}
	refused := func() string {
		p, err := w.vaultAt(noon).PlanDelete(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return p.Refused
	}
	if got := refused(); !strings.Contains(got, "newest good") {
		t.Errorf("nothing was made after it: %q", got)
	}
	young := w.fabricate(made{database: "shop", at: noon.Add(-time.Hour), seq: 3})
	if got := refused(); got != "" {
		t.Errorf("a backup was made after it: %q", got)
	}
	if p, err := w.vaultAt(noon).PlanDelete(t.Context(), young); err != nil || !strings.Contains(p.Refused, "newest good") {
		t.Errorf("that one: %+v, %v", p, err)
	}
}

// TestAheadAndProven: the only archive that a restore has proven stays, also
// where it is of the future, until a later one is proven.
func TestAheadAndProven(t *testing.T) {
	w := newWorld(t)
	w.conf.Server, w.conf.Configured = pg.Settings{Host: "/nowhere"}, []string{"shop"}
	id := w.fabricate(made{database: "shop", at: noon.AddDate(10, 0, 0), seq: 1, proof: ProofRestored, key: "duty"})
	for seq, c := range []struct {
		proof Proof
		want  string
	}{{ProofReadable, "a restore has proven"}, {ProofRestored, ""}} {
		w.fabricate(made{database: "shop", at: noon.Add(time.Duration(seq-5) * time.Hour), seq: int64(seq + 2), proof: c.proof})
		p, err := w.vaultAt(noon).PlanDelete(t.Context(), id)
		if err != nil || !strings.Contains(p.Refused, c.want) || (p.Refused == "") != (c.want == "") {
			t.Errorf("beside one that is %s: %+v, %v", c.proof, p, err)
		}
	}
	h, err := w.vaultAt(noon).Health(t.Context())
	if err != nil || !slices.ContainsFunc(h.Warnings, func(e Explained) bool {
		return e.Key == "ahead/shop" && strings.Contains(e.Do, "prove it (pgvault verify --level restored), then pgvault delete shop/"+id)
	}) {
		t.Errorf("%+v, %v", h.Warnings, err)
	}
}

// TestProofLate: the age of the newest proof is a limit of its own.
func TestProofLate(t *testing.T) {
	status := []DatabaseStatus{{Database: "new", State: "ok", LastGood: ago(time.Hour)}, {Database: "old", State: "ok", LastGood: ago(time.Hour), ProvenAt: ago(8 * day)},
		{Database: "proven", State: "ok", LastGood: ago(time.Hour), ProvenAt: ago(6 * day)}, {Database: "unproven", State: "ok", LastGood: ago(time.Hour)}}
	f := facts(status, good("new", time.Hour, ProofReadable), good("old", time.Hour, ProofReadable), good("proven", time.Hour, ProofReadable),
		good("unproven", time.Hour, ProofReadable), good("unproven", 9*day, ProofReadable))
	for limit, want := range map[time.Duration][]string{0: nil, 7 * day: {"old", "unproven"}, 30 * day: nil} {
		f.proofMaxAge = limit
		var got []string
		for _, d := range f.health().Databases {
			if d.ProofLate {
				got = append(got, d.Database)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, not %v", limit, got, want)
		}
	}
}

// TestMissedOverClockChanges: runs that were missed where an hour is left out
// or comes twice, at the year's end and on a leap day, each once.
func TestMissedOverClockChanges(t *testing.T) {
	for name, c := range map[string]struct {
		schedule, zone, since, now string
		first, last                string
		n                          int
	}{
		"spring, at an hour that is not there": {"02:30", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z", "2026-03-29 03:00 CEST", "2026-03-30 02:30 CEST", 2},
		"autumn, at an hour that comes twice":  {"02:30", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-26T12:00:00Z", "2026-10-25 02:30 CEST", "2026-10-26 02:30 CET", 2},
		"autumn, hourly":                       {"hourly", "Europe/Berlin", "2026-10-24T23:30:00Z", "2026-10-25T03:30:00Z", "2026-10-25 02:00 CEST", "2026-10-25 03:00 CET", 3},
		"the year's end":                       {"00:00", "Asia/Tokyo", "2026-12-31T10:00:00Z", "2027-01-01T03:00:00Z", "2027-01-01 00:00 JST", "2027-01-01 00:00 JST", 1},
		"a leap day":                           {"0 3 29 2 *", "UTC", "2026-01-01T00:00:00Z", "2028-03-01T00:00:00Z", "2028-02-29 03:00 UTC", "2028-02-29 03:00 UTC", 1},
	} {
		at := func(text string) time.Time {
			at, err := time.Parse(time.RFC3339, text)
			if err != nil {
				t.Fatal(err)
			}
			return at
		}
		s := mustSchedule(t, c.schedule, c.zone)
		got := missedRuns(at(c.now), "shop", s, 0, at(c.since), nil)
		const layout = "2006-01-02 15:04 MST"
		if len(got) != 1 || got[0].n != c.n || got[0].first.In(s.Zone()).Format(layout) != c.first || got[0].last.In(s.Zone()).Format(layout) != c.last {
			for _, r := range got {
				t.Errorf("%s: %d from %s to %s", name, r.n, r.first.In(s.Zone()).Format(layout), r.last.In(s.Zone()).Format(layout))
			}
			if len(got) == 0 {
				t.Errorf("%s: none", name)
			}
		}
	}
}
