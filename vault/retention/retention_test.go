package retention

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

var now = time.Date(2026, 11, 22, 21, 30, 0, 0, time.UTC) // a Sunday

// back gives an archive of "db" made so long before now; marks are its kind:
// ! damaged, * proven, ^ pinned.
func back(ago time.Duration, marks string) Archive {
	t := now.Add(-ago)
	return Archive{
		ID: t.Format("20060102T150405Z"), Database: "db", Time: t, Seq: 1_000_000 - int64(ago/time.Minute),
		Good:   !strings.Contains(marks, "!"),
		Proven: strings.Contains(marks, "*"), Pinned: strings.Contains(marks, "^"),
	}
}

const day = 24 * time.Hour

func every(step time.Duration, n int) (list []Archive) {
	for i := range n {
		list = append(list, back(time.Duration(i)*step, ""))
	}
	return list
}

func TestDecide(t *testing.T) {
	for _, c := range []struct {
		name   string
		policy Policy
		in     []Archive
		want   []string // "keep: reasons" or "drop: reasons", newest first
	}{
		{"nothing there", Policy{Last: 1}, nil, nil},
		{"last", Policy{Last: 2}, every(day, 3), []string{
			"keep: last 1 of 2, newest good", "keep: last 2 of 2", "drop: no rule keeps it",
		}},
		{"the only good one", Policy{Daily: 1}, []Archive{back(900*day, "")}, []string{"keep: daily 1 of 1, newest good"}},
		{"daily takes the newest of each day", Policy{Daily: 2}, every(12*time.Hour, 5), []string{
			"keep: daily 1 of 2, newest good", "drop: no rule keeps it", "keep: daily 2 of 2", "drop: no rule keeps it", "drop: no rule keeps it",
		}},
		{"days without archives do not count", Policy{Daily: 2}, []Archive{back(0, ""), back(40*day, ""), back(90*day, "")}, []string{
			"keep: daily 1 of 2, newest good", "keep: daily 2 of 2", "drop: no rule keeps it",
		}},
		{"several rules", Policy{Daily: 2, Weekly: 2, Monthly: 2}, every(7*day, 4), []string{
			"keep: daily 1 of 2, weekly 1 of 2, monthly 1 of 2, newest good",
			"keep: daily 2 of 2, weekly 2 of 2", "drop: no rule keeps it", "drop: no rule keeps it",
		}},
		{"hourly and yearly", Policy{Hourly: 2, Yearly: 2}, []Archive{back(0, ""), back(29*time.Minute, ""), back(31*time.Minute, ""), back(365*day, ""), back(800*day, "")}, []string{
			"keep: hourly 1 of 2, yearly 1 of 2, newest good", "drop: no rule keeps it", "keep: hourly 2 of 2",
			"keep: yearly 2 of 2", "drop: no rule keeps it",
		}},
		{"within, to the second", Policy{Within: 2 * day}, []Archive{back(0, ""), back(2*day, ""), back(2*day+time.Second, "")}, []string{
			"keep: within 2d, newest good", "keep: within 2d", "drop: no rule keeps it",
		}},
		{"within counts from the newest good, not from now", Policy{Within: 2 * day}, []Archive{back(30*day, "!"), back(60*day, ""), back(61*day, ""), back(63*day, "")}, []string{
			"keep: damaged: does not count, but newer than the newest good",
			"keep: within 2d, newest good", "keep: within 2d", "drop: no rule keeps it",
		}},
		{"damaged ones do not count", Policy{Last: 1}, []Archive{back(0, "!"), back(day, ""), back(2*day, "!"), back(3*day, "!*")}, []string{
			"keep: damaged: does not count, but newer than the newest good", "keep: last 1 of 1, newest good",
			"drop: damaged: does not count", "drop: damaged: does not count",
		}},
		{"no good one at all", Policy{Last: 1}, []Archive{back(0, "!"), back(day, "!")}, []string{
			"keep: damaged: does not count, but no archive is good", "keep: damaged: does not count, but no archive is good",
		}},
		{"newest proven", Policy{Last: 1}, []Archive{back(0, ""), back(day, ""), back(2*day, "*"), back(3*day, "*")}, []string{
			"keep: last 1 of 1, newest good", "drop: no rule keeps it", "keep: newest proven by restore", "drop: no rule keeps it",
		}},
		{"pinned, good and damaged", Policy{Last: 1}, []Archive{back(0, ""), back(day, "^"), back(2*day, "!^")}, []string{
			"keep: last 1 of 1, newest good", "keep: pinned", "keep: pinned, damaged: does not count",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for range 2 { // also from the oldest to the newest
				got, err := Decide(now, time.UTC, c.policy, c.in)
				if err != nil {
					t.Fatal(err)
				}
				var lines []string
				for _, d := range got {
					lines = append(lines, map[bool]string{true: "keep: ", false: "drop: "}[d.Keep]+strings.Join(d.Reasons, ", "))
				}
				if !slices.Equal(lines, c.want) {
					t.Fatalf("got\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(c.want, "\n"))
				}
				slices.Reverse(c.in)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	good := []Archive{back(0, "")}
	for _, p := range []Policy{{Last: -1}, {Daily: math.MinInt}, {Yearly: MaxCount + 1, Last: 1}, {Within: -1}, {Monthly: 1_000_000_000_000_000_000}} {
		if d, err := Decide(now, time.UTC, p, good); err == nil || d != nil {
			t.Errorf("%+v is accepted", p)
		}
	}
	if _, err := Decide(now, time.UTC, Policy{}, good); !errors.Is(err, ErrEmpty) {
		t.Errorf("an empty policy: %v", err)
	}
	for name, list := range map[string][]Archive{
		"future":   {back(0, ""), back(-Skew-time.Second, "")},
		"undated":  {back(0, ""), {ID: "x", Database: "db", Good: true}},
		"repeated": {back(0, ""), back(0, "!")},
	} {
		if d, err := Decide(now, time.UTC, Policy{Last: 1}, list); err == nil || d != nil {
			t.Errorf("%s: decided %v", name, d)
		}
	}
	if _, err := Decide(now, time.UTC, Policy{Last: 1}, []Archive{back(-Skew, "")}); err != nil {
		t.Errorf("dated exactly %s ahead: %v", Skew, err)
	}
}

// TestClockJumpedBack: the sequence says which is newest, not the date.
func TestClockJumpedBack(t *testing.T) {
	a, b := back(0, ""), back(10*365*day, "")
	b.Seq = a.Seq + 1
	got, err := Decide(now, time.UTC, Policy{Last: 1}, []Archive{a, b})
	if err != nil {
		t.Fatal(err)
	}
	if got[0].ID != b.ID || !got[0].Keep || got[1].Keep {
		t.Fatalf("%+v", got)
	}
}

func TestDatabasesApart(t *testing.T) {
	var in []Archive
	for _, db := range []string{"b", "a", "host=evil"} {
		for i := range 3 {
			x := back(time.Duration(i)*day, "")
			x.Database = db
			in = append(in, x)
		}
	}
	got, err := Decide(now, nil, Policy{Last: 1}, in)
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range got {
		if want := []string{"a", "b", "host=evil"}[i/3]; d.Database != want || d.Keep != (i%3 == 0) {
			t.Errorf("%d: %+v", i, d)
		}
	}
}

// TestPeriods: the zone and its clock changes decide what a day, an hour and
// a week are.
func TestPeriods(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	at := func(s string) time.Time {
		x, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	for _, c := range []struct {
		name string
		p    Policy
		loc  *time.Location
		a, b string
		both bool
	}{
		{"one day in UTC", Policy{Daily: 9}, time.UTC, "2026-07-01T21:59:00Z", "2026-07-01T22:01:00Z", false},
		{"two days in Berlin", Policy{Daily: 9}, berlin, "2026-07-01T21:59:00Z", "2026-07-01T22:01:00Z", true},
		{"the two hours from 2 to 3 in October", Policy{Hourly: 9}, berlin, "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", true},
		{"the day of 25 hours is one day", Policy{Daily: 9}, berlin, "2026-10-24T22:01:00Z", "2026-10-25T22:59:00Z", false},
		{"Sunday and Monday", Policy{Weekly: 9}, time.UTC, "2026-11-22T10:00:00Z", "2026-11-23T10:00:00Z", true},
		{"one ISO week over New Year", Policy{Weekly: 9}, time.UTC, "2025-12-29T10:00:00Z", "2026-01-04T10:00:00Z", false},
		{"the same ISO week number of two years", Policy{Weekly: 9}, time.UTC, "2025-01-08T10:00:00Z", "2026-01-08T10:00:00Z", true},
		{"months", Policy{Monthly: 9}, time.UTC, "2026-01-31T23:59:59Z", "2026-02-01T00:00:00Z", true},
		{"the same month of two years", Policy{Monthly: 9}, time.UTC, "2025-02-01T00:00:00Z", "2026-02-01T00:00:00Z", true},
		{"years", Policy{Yearly: 9}, time.UTC, "2025-12-31T23:59:59Z", "2026-01-01T00:00:00Z", true},
	} {
		in := []Archive{
			{ID: "a", Database: "db", Time: at(c.a), Seq: 1, Good: true},
			{ID: "b", Database: "db", Time: at(c.b), Seq: 2, Good: true},
		}
		got, err := Decide(at(c.b), c.loc, c.p, in)
		if err != nil {
			t.Fatal(err)
		}
		if !got[0].Keep || got[1].Keep != c.both {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		30 * day: "30d", 36 * time.Hour: "36h", 90 * time.Minute: "1h30m", time.Minute: "1m", 5 * time.Second: "5s", 10 * time.Minute: "10m",
	} {
		if got := span(d); got != want {
			t.Errorf("span(%s) = %s, want %s", d, got, want)
		}
	}
}

func ExampleDecide() {
	now := time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)
	var list []Archive
	for i := range 4 {
		t := now.AddDate(0, 0, -i)
		list = append(list, Archive{ID: t.Format("20060102"), Database: "school", Time: t, Seq: int64(9 - i), Good: i != 1})
	}
	decisions, err := Decide(now, time.UTC, Policy{Daily: 2}, list)
	if err != nil {
		fmt.Println(err)
	}
	for _, d := range decisions {
		fmt.Println(d.ID, d.Keep, d.Reasons)
	}
	// Output:
	// 20261122 true [daily 1 of 2 newest good]
	// 20261121 false [damaged: does not count]
	// 20261120 true [daily 2 of 2]
	// 20261119 false [no rule keeps it]
}
