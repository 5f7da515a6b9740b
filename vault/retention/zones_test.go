package retention

import (
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"
)

// TestClocks: which of the archives of these moments each rule keeps, newest
// first, where a day has 23, 24 or 25 hours, a year 366 days, or a day is
// left out of the calendar.
func TestClocks(t *testing.T) {
	for _, c := range []struct {
		name, zone string
		p          Policy
		at         []string // newest first, UTC; those that stay have a + before them
	}{
		// 29 March 2026: Berlin goes from 01:59 to 03:00.
		{"spring: the day of 23 hours is one day", "Europe/Berlin", Policy{Daily: 9}, []string{"+2026-03-29T21:59:00Z", "2026-03-28T23:00:00Z", "+2026-03-28T22:59:00Z"}},
		{"spring: no hour between 1 and 3", "Europe/Berlin", Policy{Hourly: 9}, []string{"+2026-03-29T01:00:00Z", "+2026-03-29T00:59:00Z", "2026-03-29T00:00:00Z", "+2026-03-28T23:30:00Z"}},
		{"spring: that week has 167 hours", "Europe/Berlin", Policy{Weekly: 9}, []string{"+2026-03-29T22:00:00Z", "+2026-03-29T21:59:00Z", "2026-03-22T23:00:00Z", "+2026-03-22T22:59:00Z"}},
		{"spring: daily at 02:30, which is not there", "Europe/Berlin", Policy{Daily: 3}, []string{"+2026-03-30T00:30:00Z", "+2026-03-29T01:30:00Z", "+2026-03-28T01:30:00Z", "2026-03-27T01:30:00Z"}},
		// 25 October 2026: Berlin has the hour from 2 to 3 twice.
		{"autumn: the day of 25 hours is one day", "Europe/Berlin", Policy{Daily: 9}, []string{"+2026-10-25T23:00:00Z", "+2026-10-25T22:59:00Z", "2026-10-24T22:00:00Z", "+2026-10-24T21:59:00Z"}},
		{"autumn: the hour that comes twice is two hours", "Europe/Berlin", Policy{Hourly: 9}, []string{"+2026-10-25T01:59:00Z", "2026-10-25T01:00:00Z", "+2026-10-25T00:59:00Z", "2026-10-25T00:00:00Z"}},
		{"half an hour of summer time", "Australia/Lord_Howe", Policy{Daily: 9}, []string{"+2026-04-05T13:29:00Z", "2026-04-04T13:00:00Z", "+2026-04-04T12:59:00Z"}},
		{"within counts hours, not the clock's", "Europe/Berlin", Policy{Within: day}, []string{"+2026-03-29T10:00:00Z", "+2026-03-28T10:00:00Z", "2026-03-28T09:59:59Z"}},
		// The year's end.
		{"New Year where the vault is", "Europe/Berlin", Policy{Yearly: 9}, []string{"+2026-12-31T23:00:00Z", "+2026-12-31T22:59:59Z", "2025-12-31T23:00:00Z", "+2025-12-31T22:59:59Z"}},
		{"New Year a day before UTC's", "Pacific/Kiritimati", Policy{Yearly: 9, Monthly: 9}, []string{"+2026-12-31T10:00:00Z", "+2026-12-31T09:59:59Z"}},
		{"New Year five hours after UTC's", "America/New_York", Policy{Yearly: 9}, []string{"+2027-01-01T05:00:00Z", "+2027-01-01T04:59:59Z", "2026-01-01T05:00:00Z"}},
		{"week 53 goes on into the next year", "Europe/Berlin", Policy{Weekly: 9}, []string{"+2027-01-03T22:59:00Z", "2026-12-27T23:00:00Z", "+2026-12-27T22:59:00Z"}},
		{"week 1 begins in the year before", "UTC", Policy{Weekly: 9}, []string{"+2025-01-05T23:59:00Z", "2024-12-30T00:00:00Z", "+2024-12-29T23:59:00Z"}},
		// Leap days.
		{"29 February is a day", "Europe/Berlin", Policy{Daily: 9}, []string{"+2028-02-29T23:00:00Z", "+2028-02-29T22:59:00Z", "2028-02-28T23:00:00Z", "+2028-02-28T22:59:00Z"}},
		{"and of February", "Europe/Berlin", Policy{Monthly: 9}, []string{"+2028-02-29T23:00:00Z", "+2028-02-29T22:59:00Z", "2028-01-31T23:00:00Z", "+2028-01-31T22:59:00Z"}},
		{"and of its year", "Europe/Berlin", Policy{Yearly: 9}, []string{"+2029-02-28T12:00:00Z", "+2028-02-29T12:00:00Z", "+2027-03-01T12:00:00Z"}},
		{"1900 and 2100 have none", "UTC", Policy{Daily: 3}, []string{"+2100-03-01T12:00:00Z", "+2100-02-28T12:00:00Z", "+2100-02-27T12:00:00Z", "2100-02-26T12:00:00Z"}},
		// Samoa had no 30 December 2011.
		{"a day that was left out", "Pacific/Apia", Policy{Daily: 2}, []string{"+2011-12-30T10:00:00Z", "+2011-12-30T09:59:59Z", "2011-12-29T10:00:00Z"}},
		{"a quarter of an hour", "Asia/Kathmandu", Policy{Daily: 9}, []string{"+2026-06-01T18:15:00Z", "+2026-06-01T18:14:59Z"}},
	} {
		loc, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		var in []Archive
		for i, at := range c.at {
			when, err := time.Parse(time.RFC3339, strings.TrimPrefix(at, "+"))
			if err != nil {
				t.Fatal(err)
			}
			in = append(in, Archive{ID: at, Database: "db", Time: when, Seq: int64(len(c.at) - i), Good: true})
		}
		slices.Reverse(in) // the order of the input does not matter
		got, err := Decide(in[len(in)-1].Time, loc, c.p, in)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		for i, d := range got {
			if d.ID != c.at[i] || d.Keep != strings.HasPrefix(d.ID, "+") {
				t.Errorf("%s: %s: keep %v, %v", c.name, d.ID, d.Keep, d.Reasons)
			}
		}
	}
}

// TestClockOfThisHost: neither the zone in which an archive's time is written
// nor that of now changes a decision; only the vault's does.
func TestClockOfThisHost(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	p := Policy{Daily: 3, Weekly: 2, Hourly: 4}
	list := every(7*time.Hour, 40)
	want, err := Decide(now, berlin, p, list)
	if err != nil {
		t.Fatal(err)
	}
	for _, zone := range []string{"UTC", "Asia/Tokyo", "America/St_Johns"} {
		loc, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		for i := range list {
			list[i].Time = list[i].Time.In(loc)
		}
		got, err := Decide(now.In(loc), berlin, p, list)
		if err != nil {
			t.Fatal(err)
		}
		for i := range got {
			if got[i].Keep != want[i].Keep || !slices.Equal(got[i].Reasons, want[i].Reasons) {
				t.Errorf("%s: %+v, not %+v", zone, got[i], want[i])
			}
		}
	}
}
