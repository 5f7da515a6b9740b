package retention

import (
	"slices"
	"testing"
	"time"
)

func TestAhead(t *testing.T) {
	half := now.AddDate(0, 6, 0)
	for _, c := range []struct {
		name string
		p    Policy
		in   []Archive
		want int // -1: it cannot be told
	}{
		{"none", Policy{Last: 3}, nil, -1},
		{"one has no pace", Policy{Last: 3}, daily(1), -1},
		{"last", Policy{Last: 3}, daily(9), 3},
		{"a year of days, half of them made by then", Policy{Daily: 365}, daily(30), 211},
		{"days, weeks and months meet", Policy{Daily: 7, Weekly: 4, Monthly: 6}, daily(400), 14}, // 16 to 22 May; 2 and 9 May; the last days of five months,
		{"hours", Policy{Hourly: 24}, every(time.Hour, 30), 24},
		{"within", Policy{Within: 30 * day}, every(12*time.Hour, 9), 61},
		{"a pin stays, and the newest that was proven", Policy{Last: 2}, []Archive{back(0, ""), back(day, "^"), back(2*day, "*"), back(3*day, "")}, 4},
		{"damaged ones are no pace", Policy{Last: 2}, []Archive{back(0, ""), back(time.Minute, "!"), back(2*time.Minute, "!"), back(day, "")}, 2},
		{"one gap changes no pace", Policy{Within: 10 * day}, append(every(day, 9), back(300*day, "")), 11},
		{"late backups go on from now", Policy{Last: 1}, []Archive{back(90*day, ""), back(91*day, "")}, 1},
		{"too many to come", Policy{Last: 1}, every(time.Minute, 9), -1},
		{"no rule", Policy{}, daily(9), -1},
	} {
		before := slices.Clone(c.in)
		n, ok := Ahead(now, half, time.UTC, c.p, c.in)
		if !ok {
			n = -1
		}
		if n != c.want {
			t.Errorf("%s: %d, not %d", c.name, n, c.want)
		}
		if !slices.Equal(before, c.in) {
			t.Errorf("%s: it changed what it was given", c.name)
		}
	}
}
