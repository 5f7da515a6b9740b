package schedule

import (
	"fmt"
	"strings"
	"time"
)

// Crontab is the schedule as the five fields of a crontab. They count on the
// clock of the host that cron runs on, whatever [Schedule.Zone] is.
func (s *Schedule) Crontab() string {
	sp := s.spec
	month, week := set(sp.Dom&allDays, allDays, 1, 1), set(sp.Dow&allWeek, allWeek, 0, 1)
	if sp.eitherDay() && (month == "*" || week == "*") { // every day, as a list
		month, week = "*", "*"
	}
	return strings.Join([]string{set(sp.Minute&allMinutes, allMinutes, 0, 1), set(sp.Hour&allHours, allHours, 0, 1),
		month, set(sp.Month&allMonths, allMonths, 1, 1), week}, " ")
}

// OnCalendar is the schedule as systemd.time writes it, one expression a
// line of a timer, with the zone's name where it has one. systemd leaves out
// what a forward move of the clock leaves out: see the package comment.
func (s *Schedule) OnCalendar() []string {
	sp := s.spec
	clock := set(sp.Hour&allHours, allHours, 0, 2) + ":" + set(sp.Minute&allMinutes, allMinutes, 0, 2) + ":00" + s.zoneName()
	months, allMonth := set(sp.Month&allMonths, allMonths, 1, 2), sp.Dom&allDays == allDays
	date := "*-" + months + "-" + set(sp.Dom&allDays, allDays, 1, 2)
	week := ""
	for i, d := range days {
		if sp.Dow&(1<<i) != 0 && sp.Dow&allWeek != allWeek {
			week += "," + d
		}
	}
	week = strings.TrimPrefix(week, ",")
	switch {
	case week == "" && sp.eitherDay():
		return []string{"*-" + months + "-* " + clock}
	case week == "":
		return []string{date + " " + clock}
	case sp.eitherDay() && !allMonth:
		return []string{date + " " + clock, week + " *-" + months + "-* " + clock}
	case sp.eitherDay():
		return []string{"*-" + months + "-* " + clock}
	}
	return []string{week + " " + date + " " + clock}
}

// zoneName is what systemd adds to a time; the host's own zone has no name
// here.
func (s *Schedule) zoneName() string {
	if s.zone == time.Local {
		return ""
	}
	return " " + s.zone.String()
}

// set writes the numbers of bits as a list with commas, each with at least
// width digits, and all of them as *.
func set(bits, all uint64, first, width int) string {
	if bits == all {
		return "*"
	}
	var out []string
	for i := first; i < 64; i++ {
		if bits&(1<<i) != 0 {
			out = append(out, fmt.Sprintf("%0*d", width, i))
		}
	}
	return strings.Join(out, ",")
}
