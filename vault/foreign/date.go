package foreign

import (
	"regexp"
	"strconv"
	"time"
)

// nameDate finds what may be a date, with or without a time of day. The time
// is 4 or 6 digits, also with separators, and may end with Z.
var nameDate = regexp.MustCompile(`(\d{4})([-_.]?)(\d{2})([-_.]?)(\d{2})(?:[T _.@-]{0,2}(\d{2})[-_:.h]?(\d{2})(?:[-_:.m]?(\d{2}))?)?(Z?)`)

// DateFromName reads the date in a file's name: backup-2024-01-01.sql,
// shop_20240101_0200.dump.gz, 2024.01.01T02-00-00Z.tar. Without Z it is of
// loc, and without a time of day it is midnight. It is refused, ok false,
// where the name has no date, one that no calendar knows, or two different
// ones.
func DateFromName(name string, loc *time.Location) (at time.Time, ok bool) {
	found := map[time.Time]bool{}
	for i := 0; i < len(name); {
		m := nameDate.FindStringSubmatchIndex(name[i:])
		if m == nil {
			break
		}
		begin, end := i+m[0], i+m[1]
		if begin > 0 && digit(name[begin-1]) {
			for i = begin; i < len(name) && digit(name[i]); i++ {
			}
			continue
		}
		i = end
		part := func(n int) string {
			if m[2*n] < 0 {
				return ""
			}
			return name[begin-m[0]+m[2*n] : begin-m[0]+m[2*n+1]]
		}
		if t, ok := calendar(part, end < len(name) && digit(name[end]), loc); ok {
			found[t] = true
			at = t
		}
	}
	return at, len(found) == 1
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// calendar makes a time of the parts of a match; longer says that more digits
// follow, so that the last of them are no time of day.
func calendar(part func(int) string, longer bool, loc *time.Location) (time.Time, bool) {
	if part(2) != part(4) { // 2024-0101 is a number of something else
		return time.Time{}, false
	}
	n := func(i int) int {
		v, err := strconv.Atoi(part(i))
		if err != nil {
			return 0
		}
		return v
	}
	y, mo, d, h, mi, s := n(1), n(3), n(5), n(6), n(7), n(8)
	if longer && part(6) == "" {
		return time.Time{}, false
	}
	if longer || h > 23 || mi > 59 || s > 59 { // 20240101_1234567: a date and a number
		h, mi, s = 0, 0, 0
	}
	if part(9) == "Z" {
		loc = time.UTC
	}
	t := time.Date(y, time.Month(mo), d, h, mi, s, 0, loc)
	return t, y >= 1996 && y < 2200 && t.Month() == time.Month(mo) && t.Day() == d // PostgreSQL is of 1996
}
