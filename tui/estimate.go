package tui

import (
	"fmt"
	"math"
	"time"

	"pgvault/vault"
)

// etaAfter is how long a stage must have run before a time left is shown:
// before that it is noise.
const etaAfter = 30 * time.Second

// fraction tells how far a stage is: the mean of rows and bytes where both
// totals are known, because a table of few large rows stands still in rows
// and one of many small rows in bytes; else by the one that is known. It
// never exceeds 0.99: only the end of the run is the end. ok is false where
// no total is known; then no percentage may be shown.
func fraction(p vault.Progress) (f float64, ok bool) {
	sum, n := 0.0, 0
	for _, x := range [][2]int64{{p.Rows, p.RowsTotal}, {p.Bytes, p.BytesTotal}} {
		if x[1] > 0 {
			sum += min(max(float64(x[0])/float64(x[1]), 0), 1)
			n++
		}
	}
	if n == 0 {
		return 0, false
	}
	return min(sum/float64(n), 0.99), true
}

// percent writes a fraction, with ~ where it is an estimate.
func percent(f float64, estimate bool) string {
	s := fmt.Sprintf("%d%%", min(int(f*100), 99))
	if estimate {
		return "~" + s
	}
	return s
}

// timeLeft gives the time left of a stage as a range, from its average speed
// and from its speed of late (fraction per second, 0 unknown). ok is false
// as long as nothing sensible can be said.
func timeLeft(f float64, elapsed time.Duration, recent float64) (lo, hi time.Duration, ok bool) {
	if elapsed < etaAfter || f < 0.01 {
		return 0, 0, false
	}
	a := (1 - f) / (f / elapsed.Seconds())
	b := a
	if recent > 0 {
		b = (1 - f) / recent
	}
	l, h := math.Min(a, b)*0.9, math.Max(a, b)*1.1
	if h > 100*3600 {
		return 0, 0, false
	}
	return time.Duration(l * float64(time.Second)), time.Duration(h * float64(time.Second)), true
}

// rangeText writes a range of time left: "~6 to 8 min left".
func rangeText(lo, hi time.Duration) string {
	unit, name := time.Second, "s"
	switch {
	case hi >= 3*time.Hour:
		unit, name = time.Hour, "h"
	case hi >= 2*time.Minute:
		unit, name = time.Minute, "min"
	default:
		lo, hi = lo.Round(5*time.Second), hi.Round(5*time.Second)
	}
	l := int64(lo / unit)
	h := int64((hi + unit - 1) / unit)
	h = max(h, 1)
	if l >= h || l == 0 && name != "s" {
		return fmt.Sprintf("~up to %d %s left", h, name)
	}
	return fmt.Sprintf("~%d to %d %s left", l, h, name)
}

// sample is where a stage stood at a moment.
type sample struct {
	at    time.Time
	rows  int64
	bytes int64
	frac  float64
}

// meter keeps the last seconds of a stage, for "now" speeds.
type meter struct{ s []sample }

// meterSpan is how far back "now" reaches.
const meterSpan = 8 * time.Second

// add takes a sample; older ones than meterSpan go, but two always stay.
func (m *meter) add(x sample) {
	if n := len(m.s); n > 0 && !x.at.After(m.s[n-1].at) {
		m.s[n-1] = x
		return
	}
	m.s = append(m.s, x)
	for len(m.s) > 2 && x.at.Sub(m.s[0].at) > meterSpan {
		m.s = m.s[1:]
	}
}

// rates gives rows, bytes and fraction per second over the span kept; zeros
// with fewer than two samples.
func (m *meter) rates() (rows, bytes, frac float64) {
	if len(m.s) < 2 {
		return 0, 0, 0
	}
	a, b := m.s[0], m.s[len(m.s)-1]
	secs := b.at.Sub(a.at).Seconds()
	if secs <= 0 {
		return 0, 0, 0
	}
	return float64(b.rows-a.rows) / secs, float64(b.bytes-a.bytes) / secs, (b.frac - a.frac) / secs
}
