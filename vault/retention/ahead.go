package retention

import (
	"slices"
	"strconv"
	"time"
)

// The future that Ahead looks at: so many of the newest archives tell the
// pace, and more than so many to come are not thought through.
const (
	paceOf   = 20
	maxAhead = 20_000
)

// Ahead tells how many archives of one database the policy keeps at a moment
// to come, if good ones go on being made at the pace of the newest ones and
// none is damaged or deleted by hand. What is marked by then, and waits, is
// not counted. ok is false where there is no pace: fewer than two backups, or
// too many to come. archives are those of the database; now is between them
// and then.
func Ahead(now, then time.Time, loc *time.Location, p Policy, archives []Archive) (n int, ok bool) {
	var made []time.Time
	top := int64(0)
	for _, a := range archives {
		top = max(top, a.Seq)
		if a.Good && !a.Imported && a.Resealed == "" {
			made = append(made, a.Time)
		}
	}
	pace := paceBetween(made)
	if pace <= 0 || then.Sub(now)/pace > maxAhead {
		return 0, false
	}
	list := slices.Clone(archives)
	last := slices.MaxFunc(made, time.Time.Compare)
	if last.Before(now.Add(-pace)) {
		last = now.Add(-pace) // what was missed is not made up for
	}
	for at := last.Add(pace); !at.After(then); at = at.Add(pace) {
		top++
		list = append(list, Archive{ID: "ahead " + strconv.FormatInt(top, 10), Database: archives[0].Database, Time: at, Seq: top, Good: true})
	}
	decided, err := Decide(then, loc, p, list)
	if err != nil {
		return 0, false
	}
	for _, d := range decided {
		if d.Keep {
			n++
		}
	}
	return n, true
}

// paceBetween is the middle one of the times between the newest moments; 0
// where there are not two.
func paceBetween(made []time.Time) time.Duration {
	slices.SortFunc(made, func(a, b time.Time) int { return b.Compare(a) })
	made = made[:min(len(made), paceOf)]
	var between []time.Duration
	for i := 1; i < len(made); i++ {
		between = append(between, made[i-1].Sub(made[i]))
	}
	if len(between) == 0 {
		return 0
	}
	slices.Sort(between)
	return between[len(between)/2]
}
