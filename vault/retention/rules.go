package retention

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// rule keeps the first archive it is shown of each period, until want
// periods are full.
type rule struct {
	name   string
	want   int
	period func(time.Time) string // nil: each archive is its own period
	seen   map[string]bool
	taken  int
}

// rules gives the policy's counting rules, none of them filled yet.
func (p Policy) rules(loc *time.Location) []rule {
	in := func(layout string) func(time.Time) string {
		return func(t time.Time) string { return t.In(loc).Format(layout) }
	}
	week := func(t time.Time) string {
		y, w := t.In(loc).ISOWeek()
		return fmt.Sprintf("%d-W%02d", y, w)
	}
	return []rule{
		{name: "last", want: p.Last},
		// With the offset: in autumn there are two different hours "02".
		{name: "hourly", want: p.Hourly, period: in("2006-01-02T15 -0700")},
		{name: "daily", want: p.Daily, period: in("2006-01-02")},
		{name: "weekly", want: p.Weekly, period: week},
		{name: "monthly", want: p.Monthly, period: in("2006-01")},
		{name: "yearly", want: p.Yearly, period: in("2006")},
	}
}

// take gives the number of the period that t fills, from 1, or 0 when the
// rule does not keep it.
func (r *rule) take(t time.Time) int {
	if r.taken >= r.want {
		return 0
	}
	if r.period != nil {
		p := r.period(t)
		if r.seen[p] {
			return 0
		}
		if r.seen == nil {
			r.seen = map[string]bool{}
		}
		r.seen[p] = true
	}
	r.taken++
	return r.taken
}

// span writes a duration as a person configured it: 30d, 36h, 1h30m.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= day && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
