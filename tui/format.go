package tui

import (
	"fmt"
	"strconv"
	"time"
)

// count writes n in groups of three: "48 210 114".
func count(n int64) string {
	s := strconv.FormatInt(n, 10)
	neg := ""
	if n < 0 {
		neg, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + " " + s[i:]
	}
	return neg + s
}

// size writes bytes in binary units with about three digits: "1.9 GiB".
func size(n int64) string {
	if n < 1024 {
		return strconv.FormatInt(n, 10) + " B"
	}
	f, units := float64(n), []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	u := 0
	for f >= 1023.5 && u < len(units)-1 {
		f /= 1024
		u++
	}
	if f < 9.95 {
		return fmt.Sprintf("%.1f %s", f, units[u])
	}
	return fmt.Sprintf("%.0f %s", f, units[u])
}

// speed writes bytes per second in MiB/s (KiB/s below 0.1 MiB/s).
func speed(bps float64) string {
	switch mib := bps / (1 << 20); {
	case mib >= 99.95:
		return fmt.Sprintf("%.0f MiB/s", mib)
	case mib >= 0.1:
		return fmt.Sprintf("%.1f MiB/s", mib)
	}
	return fmt.Sprintf("%.0f KiB/s", bps/1024)
}

// age writes how long ago something was, in one unit: "12h", "3d".
func age(d time.Duration) string {
	switch {
	case d < 0:
		return "future"
	case d < time.Minute:
		return "now"
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	case d < 100*24*time.Hour:
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	case d < 2*365*24*time.Hour:
		return fmt.Sprintf("%dw", int(d.Hours()/24/7))
	}
	return fmt.Sprintf("%dy", int(d.Hours()/24/365))
}

// allowance writes a limit of seconds as a person set it: "2h", "1d", "36h".
func allowance(secs int64) string {
	switch {
	case secs >= 86400 && secs%86400 == 0:
		return fmt.Sprintf("%dd", secs/86400)
	case secs >= 3600 && secs%3600 == 0:
		return fmt.Sprintf("%dh", secs/3600)
	}
	return fmt.Sprintf("%dm", (secs+59)/60)
}

// ago is age in a sentence: "3d ago", "just now".
func ago(d time.Duration) string {
	switch s := age(d); s {
	case "now":
		return "just now"
	case "future":
		return "in the future"
	default:
		return s + " ago"
	}
}

// took writes a duration in two units: "21m 38s".
func took(d time.Duration) string {
	s := int(d.Round(time.Second).Seconds())
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", max(d.Seconds(), 0))
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm %02ds", s/60, s%60)
	}
	return fmt.Sprintf("%dh %02dm", s/3600, s/60%60)
}

// elapsed is took without tenths, for a counter that runs.
func elapsed(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%ds", max(int(d.Seconds()), 0))
	}
	return took(d)
}

// when writes a moment for a list: day, month, time, with the year where it
// is not this one.
func when(t, now time.Time, loc *time.Location) string {
	if t.IsZero() {
		return "-"
	}
	t, now = t.In(loc), now.In(loc)
	if t.Year() != now.Year() {
		return t.Format("02 Jan 2006")
	}
	return t.Format("02 Jan 15:04")
}

// shortWhen is when for the narrowest lists: the time of the last 24 hours,
// else the day.
func shortWhen(t, now time.Time, loc *time.Location) string {
	if d := now.Sub(t); d >= 0 && d < 24*time.Hour {
		return t.In(loc).Format("15:04")
	}
	return t.In(loc).Format("02 Jan")
}

// both writes a moment in the zone shown and in UTC.
func both(t time.Time, loc *time.Location) string {
	if t.IsZero() {
		return "-"
	}
	if name, _ := zone(t, loc); name == "UTC" {
		return t.UTC().Format("02 Jan 2006 15:04:05 UTC")
	}
	return t.In(loc).Format("02 Jan 15:04:05 MST") + " = " + t.UTC().Format("15:04:05Z")
}

// zone names the zone shown: "CEST (UTC+02:00)", or "UTC". Zones that have
// no letters of their own show only the offset.
func zone(t time.Time, loc *time.Location) (name, offset string) {
	t = t.In(loc)
	name, secs := t.Zone()
	if loc == time.UTC || name == "UTC" && secs == 0 {
		return "UTC", ""
	}
	offset = t.Format("UTC-07:00")
	if name == "" || name[0] == '+' || name[0] == '-' {
		return offset, ""
	}
	return name, offset
}

// plural gives "1 table", "2 tables".
func plural(n int64, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + one + "s"
}
