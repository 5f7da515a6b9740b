package tui

import (
	"strings"
	"time"

	"pgvault/vault"
	"pgvault/vault/retention"
)

// lineMarks are the marks of a timeline, what hides the others first.
const lineMarks = "x-YMWDHLIPo"

// ruleMark is the mark of a kept archive: that of the rule with the longest
// span that keeps it.
func ruleMark(reasons []string) byte {
	best := byte('o')
	for _, r := range reasons {
		word, _, _ := strings.Cut(r, " ")
		m, ok := map[string]byte{"yearly": 'Y', "monthly": 'M', "weekly": 'W', "daily": 'D', "hourly": 'H', "last": 'L', "within": 'I', "pinned": 'P'}[word]
		if ok && strings.IndexByte(lineMarks, m) < strings.IndexByte(lineMarks, best) {
			best = m
		}
	}
	return best
}

// timeline draws the archives of a plan from the oldest to now, under the
// months or days they fall into. legend adds what the marks mean.
func timeline(e env, p *vault.RetentionPlan, legend bool) []string {
	w := min(e.w-4, 96)
	oldest := p.At
	for i := range p.Verdicts {
		if t := p.Verdicts[i].Time; t.Before(oldest) {
			oldest = t
		}
	}
	span := max(p.At.Sub(oldest), time.Hour)
	oldest = p.At.Add(-span)
	line := []byte(strings.Repeat(".", w))
	for i := range p.Verdicts {
		v := &p.Verdicts[i]
		mark := byte('x')
		switch {
		case v.Keep && v.Step == retention.StepWait:
			mark = '-'
		case v.Keep:
			mark = ruleMark(v.Reasons)
		}
		at := max(min(int(float64(w-1)*float64(v.Time.Sub(oldest))/float64(span)), w-1), 0)
		if line[at] == '.' || strings.IndexByte(lineMarks, mark) < strings.IndexByte(lineMarks, line[at]) {
			line[at] = mark
		}
	}
	out := []string{"  " + axis(oldest, span, w, e.loc), "  " + string(line)}
	if legend {
		words := []string{}
		for _, m := range []string{"Y yearly", "M monthly", "W weekly", "D daily", "H hourly", "L last", "I within", "P pinned", "o kept", "x goes", "- waits"} {
			if strings.IndexByte(string(line), m[0]) >= 0 {
				words = append(words, m)
			}
		}
		out = append(out, "  "+cutEnd(strings.Join(append(words, ". none"), "  "), e.w-2))
	}
	return append(out, "")
}

// axis writes months, days or hours over the columns in which they begin.
func axis(from time.Time, span time.Duration, w int, loc *time.Location) string {
	form := "15:00"
	same := func(a, b time.Time) bool { return a.Hour() == b.Hour() && a.YearDay() == b.YearDay() }
	switch {
	case span > 3*365*day:
		form, same = "2006", func(a, b time.Time) bool { return a.Year() == b.Year() }
	case span > 60*day:
		form, same = "Jan", func(a, b time.Time) bool { return a.Month() == b.Month() && a.Year() == b.Year() }
	case span > 2*day:
		form, same = "02 Jan", func(a, b time.Time) bool { return a.YearDay() == b.YearDay() }
	}
	out := []byte(strings.Repeat(" ", w))
	end := 0
	before := from.In(loc)
	for i := range w {
		t := from.Add(time.Duration(float64(span) * float64(i) / float64(max(w-1, 1)))).In(loc)
		if word := t.Format(form); (i == 0 || !same(t, before)) && i >= end && i+len(word) <= w {
			copy(out[i:], word)
			end = i + len(word) + 2
		}
		before = t
	}
	return strings.TrimRight(string(out), " ")
}
