// Package schedule says when a database is to be backed up: pure decisions in
// a time zone, without a clock, input or output.
//
// # Forms
//
// "02:00" is every day, "Mon 03:30" every week, "hourly" every full hour, and
// five fields are those of a crontab: minute, hour, day of the month, month,
// day of the week (0 and 7 are Sunday), with *, lists, ranges and steps. As in
// cron, a day matches when either of its two fields does, if neither is *.
//
// # When clocks are moved
//
// A schedule that names hours means times of the clock: a time that a forward
// move of the clock leaves out comes once, at the moment of the move; a time
// that a backward move brings twice comes once, the first time. One that
// names none ("hourly", "*/10 * * * *") follows real time: it comes in both
// of two equal hours, and not again for an hour that never was. Where clocks
// are moved by half an hour, the wait for a full hour is once half an hour
// longer.
package schedule

import (
	"time"
)

// Schedule is a schedule in its zone. It is immutable and may be used from
// several goroutines. There is no zero one: see [Parse].
type Schedule struct {
	text  string
	spec  wall
	zone  *time.Location
	every time.Duration
}

// String is the schedule as it was written.
func (s *Schedule) String() string { return s.text }

// Zone is the zone in which it is counted.
func (s *Schedule) Zone() *time.Location { return s.zone }

// Every is the shortest time between two runs, by the clock on the wall: a
// move of the clock may bring two closer together.
func (s *Schedule) Every() time.Duration { return s.every }

// OnClock tells that the schedule names hours: it means times of the clock of
// its zone, and a day of it is as long as the clock makes it. One that does not
// follows real time.
func (s *Schedule) OnClock() bool { return !s.spec.everyHour() }

// horizon bounds the search: between two 29ths of February there are at most
// eight years.
const horizon = 12 * 366 * 24 * time.Hour

// Next is the first time of the schedule after t, in the schedule's zone and
// in whole minutes of its clock but for a move of it. It is zero only where
// the calendar ends.
func (s *Schedule) Next(t time.Time) time.Time {
	u := t.Unix() + 1 // the first whole second that is strictly later
	for end := u + int64(horizon/time.Second); u < end; {
		p := s.period(u)
		if s.jumps(p) && u == p.start {
			return s.at(u)
		}
		from := u + p.offset
		if s.repeats(p) {
			from = max(from, p.start+p.before)
		}
		w, ok := s.spec.next(from)
		if ok && (p.open || w-p.offset < p.end) {
			return s.at(w - p.offset)
		}
		if p.open {
			break
		}
		u = p.end
	}
	return time.Time{}
}

// Last is the latest time of the schedule before t, strictly: Last(Next(t)+1ns)
// is Next(t). It is zero only where the calendar begins.
func (s *Schedule) Last(t time.Time) time.Time {
	u := t.Unix()
	if t.Nanosecond() == 0 {
		u--
	}
	for end := u - int64(horizon/time.Second); u > end; {
		p := s.period(u)
		w, ok := s.spec.last(u + p.offset)
		low := p.start + p.offset
		if s.repeats(p) {
			low = p.start + p.before
		}
		switch {
		case ok && (!p.begun || w >= low):
			return s.at(w - p.offset)
		case s.jumps(p):
			return s.at(p.start)
		case !p.begun:
			return time.Time{}
		}
		u = p.start - 1
	}
	return time.Time{}
}

func (s *Schedule) at(u int64) time.Time { return time.Unix(u, 0).In(s.zone) }

// period is a stretch of time in which the zone's offset is the same. All are
// seconds: start and end of the Unix clock, the offsets east of UTC.
type period struct {
	start, end     int64 // [start, end)
	begun, open    bool  // whether start counts; whether there is no end
	offset, before int64 // before: the offset until start
}

// period is the one that u lies in. Beyond the years that a zone's file lists,
// ZoneBounds gives the last day of a leap year (2040) an end that is not later:
// the end is that of the day then, and the offset goes on.
func (s *Schedule) period(u int64) period {
	t := s.at(u)
	_, offset := t.Zone()
	p := period{offset: int64(offset), before: int64(offset), open: true}
	start, end := t.ZoneBounds()
	if !start.IsZero() {
		p.start, p.begun = min(start.Unix(), u), true
		_, before := s.at(p.start - 1).Zone()
		p.before = int64(before)
	}
	if !end.IsZero() {
		p.end, p.open = end.Unix(), false
		if p.end <= u {
			p.end = floor(u, day) + day
		}
	}
	return p
}

// jumps tells that the move of the clock at p's start left out a time of the
// schedule, which comes at the move then.
func (s *Schedule) jumps(p period) bool {
	if s.spec.everyHour() || !p.begun || p.offset <= p.before {
		return false
	}
	w, ok := s.spec.next(p.start + p.before)
	return ok && w < p.start+p.offset
}

// repeats tells that the first times of p were there already, before the
// clock was moved back.
func (s *Schedule) repeats(p period) bool {
	return !s.spec.everyHour() && p.begun && p.offset < p.before
}
