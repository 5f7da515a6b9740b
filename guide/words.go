package guide

import (
	"fmt"
	"strconv"
	"time"
)

// Count writes n in groups of three: "48 210 114".
func Count(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + " " + s[i:]
	}
	return s
}

// Plural gives "1 table", "2 tables".
func Plural(n int64, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return Count(n) + " " + one + "s"
}

// Size writes bytes in binary units: "1.9 GiB".
func Size(n int64) string {
	f, unit := float64(n), 0
	for ; f >= 1023.5 && unit < 4; unit++ {
		f /= 1024
	}
	name := []string{"B", "KiB", "MiB", "GiB", "TiB"}[unit]
	if unit == 0 || f >= 9.95 {
		return fmt.Sprintf("%.0f %s", f, name)
	}
	return fmt.Sprintf("%.1f %s", f, name)
}

// Age writes a span in one unit: "12h", "3d".
func Age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "now"
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// Ago is Age in a sentence: "3d ago", "just now".
func Ago(d time.Duration) string {
	if d < time.Minute {
		return "just now"
	}
	return Age(d) + " ago"
}
