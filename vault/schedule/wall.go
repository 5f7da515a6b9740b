package schedule

import (
	"math/bits"
	"time"

	"github.com/robfig/cron/v3"
)

// wall is a schedule on a clock that nobody moves: five sets of bits. Times
// of it are seconds since 1970 as a clock in UTC shows them.
type wall struct{ cron.SpecSchedule }

const (
	allMinutes = 1<<60 - 1
	allHours   = 1<<24 - 1
	allDays    = 1<<32 - 2
	allMonths  = 1<<13 - 2
	allWeek    = 1<<7 - 1
	star       = 1 << 63 // the parser's mark of a field that is *
)

const (
	minute = 60
	day    = 24 * 60 * minute
)

// everyHour tells that no hour is named: real time counts then.
func (s wall) everyHour() bool { return s.Hour&allHours == allHours }

// onDay tells whether there are times on the day that begins at w.
func (s wall) onDay(w int64) bool {
	t := time.Unix(w, 0).UTC()
	if s.Month&(1<<t.Month()) == 0 {
		return false
	}
	month, week := s.Dom&(1<<t.Day()) != 0, s.Dow&(1<<t.Weekday()) != 0
	if s.eitherDay() {
		return month || week
	}
	return month && week
}

// eitherDay tells that a day counts when one of its two fields says so.
func (s wall) eitherDay() bool { return s.Dom&star == 0 && s.Dow&star == 0 }

func floor(w, unit int64) int64 {
	if r := w % unit; r < 0 {
		return w - r - unit
	}
	return w - w%unit
}

// horizonDays is the search's bound: see horizon.
const horizonDays = 12 * 366

// next is the first time at or after w.
func (s wall) next(w int64) (int64, bool) {
	w = floor(w+minute-1, minute)
	for d, n := floor(w, day), 0; n < horizonDays; d, n = d+day, n+1 {
		if !s.onDay(d) {
			continue
		}
		from := max(0, w-d) / minute
		if m, ok := s.minuteFrom(from); ok {
			return d + m*minute, true
		}
	}
	return 0, false
}

// last is the latest time at or before w.
func (s wall) last(w int64) (int64, bool) {
	for d, n := floor(w, day), 0; n < horizonDays; d, n = d-day, n+1 {
		if !s.onDay(d) {
			continue
		}
		until := min(w-d, day-minute) / minute
		if m, ok := s.minuteUntil(until); ok {
			return d + m*minute, true
		}
	}
	return 0, false
}

// minuteFrom is the first minute of a day at or after m, which counts from
// midnight.
func (s wall) minuteFrom(m int64) (int64, bool) {
	for h := m / 60; h < 24; h++ {
		if s.Hour&(1<<h) != 0 {
			if left := s.Minute & allMinutes >> (m % 60) << (m % 60); left != 0 {
				return h*60 + int64(bits.TrailingZeros64(left)), true
			}
		}
		m = 0
	}
	return 0, false
}

// minuteUntil is the last minute of a day at or before m.
func (s wall) minuteUntil(m int64) (int64, bool) {
	for h := m / 60; h >= 0; h-- {
		if s.Hour&(1<<h) != 0 {
			if left := s.Minute & (1<<(m%60+1) - 1); left != 0 {
				return h*60 + 63 - int64(bits.LeadingZeros64(left)), true
			}
		}
		m = 59
	}
	return 0, false
}

// shortest is the least time between two times; 0: there are none at all.
// It is the same in each cycle of 28 years, but for centuries.
func (s wall) shortest() time.Duration {
	first, ok := s.minuteFrom(0)
	if !ok {
		return 0
	}
	least := int64(0)
	note := func(seconds int64) {
		if least == 0 || seconds < least {
			least = seconds
		}
	}
	last := first
	for {
		m, ok := s.minuteFrom(last + 1)
		if !ok || last+1 >= 24*60 {
			break
		}
		note((m - last) * minute)
		last = m
	}
	before := int64(-1)
	for d := int64(0); d < 28*366*day; d += day {
		if !s.onDay(d) {
			continue
		}
		if before >= 0 {
			note(d - before - (last-first)*minute)
		}
		if before = d; least > 0 && least <= day-(last-first)*minute {
			break // nothing is shorter
		}
	}
	return time.Duration(least) * time.Second
}
