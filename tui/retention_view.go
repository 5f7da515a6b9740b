package tui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pgvault/config"
	"pgvault/fault"
	"pgvault/vault"
	"pgvault/vault/retention"
)

func (s *retentionPage) view(e env) block {
	if !s.ready() {
		return block{lines: s.empty(e)}
	}
	lines := append([]string{s.title(e)}, s.fields(e)...)
	if s.planErr != nil {
		lines = append(lines, faultLines(e, fault.As(s.planErr), e.w)...)
		return block{lines: lines[:min(len(lines), e.h)]}
	}
	if e.h >= 14 && e.w >= 40 {
		lines = append(lines, timeline(e, s.plan, e.h >= 17)...)
	}
	foot := s.foot(e)
	if refused := s.refused(e); len(refused) > 0 && e.h-len(lines)-len(foot)-len(refused) >= 3 {
		lines = append(lines, refused...)
	}
	titles := e.h-len(lines)-len(foot) >= 4
	s.rows = max(e.h-len(lines)-len(foot), 1)
	if titles {
		s.rows--
	}
	s.top = window(s.top, s.sel, len(s.plan.Verdicts), s.rows)
	s.listTop = len(lines)
	lines = append(lines, s.table(e, titles)...)
	if titles {
		s.listTop++
	}
	lines = fill(lines, max(e.h-len(foot), min(len(lines), e.h)))
	return block{lines: append(lines, foot...)}
}

// empty is the page before there is anything to decide.
func (s *retentionPage) empty(e env) []string {
	switch {
	case s.err != nil:
		return append([]string{"", " " + e.th.bad("x") + " " + e.th.bold("what retention would do cannot be told"), ""}, faultLines(e, fault.As(s.err), e.w)...)
	case s.look == nil:
		return []string{"", " asking the places for their archives..."}
	}
	return append([]string{s.title(e)}, noBackups(e)...)
}

// title names what is shown and whose rules these are.
func (s *retentionPage) title(e env) string {
	left := " " + e.th.bold("RETENTION PREVIEW") + " "
	if e.w < 50 {
		left = " " + e.th.bold("RETENTION") + " "
	}
	name := "all databases"
	if s.database != "" {
		name = fmt.Sprintf("%s (%d of %d)", e.th.text(s.database), slices.Index(s.names, s.database)+1, len(s.names))
	}
	left += cutMiddle(name, max(e.w-textWidth(left)-1, 4))
	right := ""
	switch {
	case !s.ready():
	case s.asking:
		right = "looking again"
	case s.err != nil:
		right = e.th.warn("! as of " + ago(e.now.Sub(s.look.At)))
	case len(s.tries) > 0:
		right = e.th.live("a try: nothing is changed")
	default:
		right = "as configured; nothing is changed"
	}
	return spread(left, right, e.w-1)
}

// fields are the numbers of the policy. Where they need more than a quarter
// of the page, only the one that keys change is shown.
func (s *retentionPage) fields(e env) []string {
	p, held := s.policy(), s.held()
	one := func(i int) string {
		text := fmt.Sprint(ruleNumber(p, i))
		if i == ruleWithin {
			if text = config.FormatDuration(p.Within); p.Within == 0 {
				text = "0d"
			}
		}
		if p != held && text != fmt.Sprint(ruleNumber(held, i)) && (i != ruleWithin || p.Within != held.Within) {
			text += "*"
		}
		if i == s.field {
			return ruleNames[i] + " " + e.th.inverse("["+text+"]")
		}
		return ruleNames[i] + " " + text
	}
	whose := "rules of " + config.KeepTable(s.from()) + ", for " + plural(int64(s.follow(s.from())), "database")
	out := []string{}
	line := " "
	for i := range ruleNames {
		f := one(i)
		if line != " " && textWidth(line+f) >= e.w {
			out, line = append(out, line), " "
		}
		line += f + "  "
	}
	out = append(out, line)
	if e.h >= 12 {
		return append(out, " "+cutEnd(e.th.text(whose), e.w-1))
	}
	if len(out) > max(e.h/4, 1) {
		return []string{" " + one(s.field)}
	}
	return out
}

// refused are the four lines of why nothing may go now.
func (s *retentionPage) refused(e env) []string {
	if s.plan.Refused == "" {
		return nil
	}
	return faultLines(e, &fault.Error{What: "nothing may be marked or removed now", Why: s.plan.Refused, Left: "every archive is as it was", Do: s.plan.Do}, e.w)
}

// table draws titles and the verdicts in sight.
func (s *retentionPage) table(e env, titles bool) []string {
	cols := []column{
		{title: "WHEN"}, {title: "AGE", right: true, drop: 3}, {title: "DATABASE", min: 8, max: 18, flex: true},
		{title: "STORED", right: true, drop: 2}, {title: "VERDICT", style: func(w string) string { return verdictColor(e.th, w) }}, {title: "WHY", rest: true, min: 10, drop: 1},
	}
	if e.w >= 60 {
		cols[5].min, cols[5].drop = 24, 4
	}
	if s.database != "" {
		cols = slices.Delete(cols, 2, 3)
	}
	var cells [][]string
	for _, v := range s.plan.Verdicts[s.top:min(s.top+s.rows, len(s.plan.Verdicts))] {
		began := when(v.Time, e.now, e.loc)
		if e.w < 40 {
			began = shortWhen(v.Time, e.now, e.loc)
		}
		row := []string{began, age(e.now.Sub(v.Time)), e.th.text(v.Database), size(v.Stored), verdictWord(v, e.now, e.loc), e.th.text(strings.Join(v.Reasons, "; "))}
		if s.database != "" {
			row = slices.Delete(row, 2, 3)
		}
		cells = append(cells, row)
	}
	widths := tableWidths(cols, cells, e.w)
	var out []string
	if titles {
		out = append(out, tableTitles(cols, widths))
	}
	for i, c := range cells {
		marker := "  "
		if s.top+i == s.sel {
			marker = e.th.bold(" >")
		}
		out = append(out, tableRow(cols, widths, c, marker))
	}
	return out
}

// verdictWord says what becomes of an archive.
func verdictWord(v vault.Verdict, now time.Time, loc *time.Location) string {
	switch {
	case v.Step == retention.StepRemove:
		return "x goes now"
	case v.Step == retention.StepUnmark:
		return "keep again"
	case v.Step == retention.StepWait && v.Keep:
		return "- waits"
	case v.Step == retention.StepWait && v.Until != nil:
		return "x goes " + day2(*v.Until, now, loc)
	case v.Step == retention.StepMark:
		return "x to mark"
	}
	return "keep"
}

// day2 is a day of this year, else with the year; of today the time.
func day2(t, now time.Time, loc *time.Location) string {
	if t, now := t.In(loc), now.In(loc); t.Year() == now.Year() && t.YearDay() == now.YearDay() {
		return t.Format("15:04")
	} else if t.Year() != now.Year() {
		return t.Format("02 Jan 2006")
	}
	return t.In(loc).Format("02 Jan")
}

func verdictColor(th theme, w string) string {
	switch {
	case strings.HasPrefix(w, "x "):
		return th.bad(w)
	case strings.HasPrefix(w, "- "):
		return th.warn(w)
	}
	return th.good(w)
}

// foot sums up: what stays, what goes and from where, and what a run would
// do now.
func (s *retentionPage) foot(e env) []string {
	goes, places := s.plan.Going()
	var kept, freed int64
	for _, v := range s.plan.Verdicts {
		if v.Keep {
			kept += v.Stored
		} else {
			freed += v.Stored
		}
	}
	keep := fmt.Sprintf("keep %d (%s)", len(s.plan.Verdicts)-goes, size(kept))
	gone := fmt.Sprintf("goes %d (%s)", goes, size(freed))
	if goes > 0 && e.w >= 60 {
		var at []string
		for _, p := range places {
			at = append(at, e.th.text(p.Place)+" "+size(p.Bytes))
		}
		gone = fmt.Sprintf("goes %d, freeing %s", goes, strings.Join(at, ", "))
	}
	run := fmt.Sprintf("now: marks %d, removes %d", s.plan.Count(retention.StepMark), s.plan.Count(retention.StepRemove))
	if e.h < 10 {
		return []string{" " + cutEnd(fmt.Sprintf("keep %d  goes %d (%s)", len(s.plan.Verdicts)-goes, goes, size(freed)), e.w-1)}
	}
	out := flow([]string{keep, gone, run}, " ", e.w)
	for i := range out {
		out[i] = cutEnd(out[i], e.w)
	}
	if e.h >= 19 {
		out = append(out, s.ahead(e)...)
	}
	if e.h >= 17 {
		out = append(out, s.standing(e)...)
	}
	return append([]string{""}, out...)
}

// ahead says what the rules come to in the long run.
func (s *retentionPage) ahead(e env) []string {
	if s.holds == 0 || s.plan.Refused != "" { // why nothing goes has the room
		return nil
	}
	return []string{" " + cutEnd(fmt.Sprintf("in 6 months these rules hold about %s of it, %s in all places", plural(int64(s.holds), "archive"), size(s.holdsBytes)), e.w-1)}
}

// standing are the words about what no rule can do, or of rules that nobody
// chose.
func (s *retentionPage) standing(e env) []string {
	if s.database != "" && !s.look.Rules[s.database].Chosen {
		return []string{" " + cutEnd("nobody chose these rules: backups remove nothing by themselves until w writes some", e.w-1)}
	}
	if n := len(s.plan.Excess); n > 0 {
		return []string{" " + e.th.warn(cutEnd("! so much at once waits for a person: backups do not do it by themselves", e.w-1))}
	}
	return []string{" " + cutEnd("never given up: newest good, newest proven, only copy, pinned, locked", e.w-1)}
}
