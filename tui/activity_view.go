package tui

import (
	"fmt"
	"strings"
	"time"

	"pgvault/fault"
	"pgvault/vault"
)

// activityColumns are the columns of the list. Narrow screens drop TOOK, then
// BY, then KIND; STARTED, WHAT and RESULT stay.
func activityColumns(e env) []column {
	return []column{
		{title: "STARTED", right: true},
		{title: "TOOK", right: true, drop: 1},
		{title: "KIND", drop: 3},
		{title: "WHAT", min: 8, max: 40, flex: true},
		{title: "BY", drop: 2, max: 10},
		{title: "RESULT", min: max(10, e.w*3/10), rest: true, style: func(s string) string { return resultColor(e.th, s) }},
	}
}

func resultColor(th theme, s string) string {
	switch {
	case strings.HasPrefix(s, "ok"):
		return th.good(s)
	case strings.HasPrefix(s, "x "):
		return th.bad(s)
	case strings.HasPrefix(s, "!"), strings.HasPrefix(s, "- "):
		return th.warn(s)
	}
	return th.live(s)
}

// activityResult is the column RESULT: a mark, a word, and what there is to
// say.
func activityResult(e env, r activityRow) string {
	text := e.th.text(r.Text)
	switch r.Result {
	case "ok":
		return "ok" + after("  ", text)
	case "running":
		if !r.known {
			return "~ running"
		}
		s := jobState(r.job)
		if share := jobShare(r.job); share != "" && !strings.Contains(s, "%") {
			s += " " + share
		}
		return s
	case "missed":
		return "! missed" + after(": ", text)
	case "partial":
		return "! in part" + after(": ", text)
	case "cancelled":
		return "- cancelled" + after(": ", text)
	case "died":
		s := "x died"
		if share := jobShare(r.job); r.known && share != "" {
			s += " at " + share
		}
		return s + after(": ", text)
	case "failed":
		return "x " + first(text, "failed")
	}
	return e.th.text(r.Result) + after(": ", text)
}

// startedAt is the time of the last day, else the day too.
func startedAt(e env, t time.Time) string {
	if e.w < 50 {
		return shortWhen(t, e.now, e.loc)
	}
	if d := e.now.Sub(t); d < 20*time.Hour && d > -time.Hour {
		return t.In(e.loc).Format("15:04:05")
	}
	return when(t, e.now, e.loc)
}

func activityCells(e env, r activityRow) []string {
	long := "-"
	switch {
	case r.live():
		long = roughly(e.now.Sub(r.At))
	case r.Took > 0:
		long = took(r.Took)
	}
	return []string{startedAt(e, r.At), long, e.th.text(r.Kind), e.th.text(r.What), e.th.text(byWhom(r.Actor)), activityResult(e, r)}
}

// roughly is a duration that goes on, in one unit, so that the cell changes
// once a minute and not each second.
func roughly(d time.Duration) string {
	if d < time.Minute {
		return "<1m"
	}
	return age(d)
}

func (s *activity) view(e env) block {
	all := e.know.rows
	if len(all) == 0 {
		return block{lines: s.empty(e)}
	}
	items := s.items(e)
	s.find(items)
	b := block{}
	if e.h >= 5 || s.active() {
		b = s.headline(e, all, items)
	}
	paneH := 0
	if e.w >= 60 && e.h >= 14 {
		paneH = min(max(e.h/3, 6), 9)
	}
	s.rows = max(e.h-len(b.lines)-1-paneH, 1)
	s.top = window(s.top, s.sel, len(items), s.rows)
	b.lines = append(b.lines, s.table(e, items, len(b.lines))...)
	if len(items) == 0 {
		if s.failures && !s.active() {
			b.lines = append(b.lines, " nothing failed, died, was cancelled or missed. f shows everything.")
		} else {
			b.lines = append(b.lines, s.nothing(e, len(all))...)
		}
		return b
	}
	if paneH > 0 {
		pane := activityPane(e, items[s.sel])
		b.lines = fill(b.lines, e.h-paneH)
		b.lines = append(b.lines, pane[:min(len(pane), paneH)]...)
	}
	return b
}

// headline counts what runs and what was, and says when the trail is broken.
func (s *activity) headline(e env, all, items []activityRow) block {
	week, run := 0, 0
	for _, r := range all {
		if r.live() {
			run++
		} else if e.now.Sub(r.At) < 7*24*time.Hour {
			week++
		}
	}
	right := fmt.Sprintf("%d running, %d in the last 7 days", run, week)
	if s.active() || s.failures {
		right = fmt.Sprintf("%d of %d shown", len(items), len(all))
	}
	left := " / filters"
	switch {
	case e.know.trail.Broken > 0:
		left = " " + e.th.bad("x "+trailWords(e.know.trail))
		right = ""
	case e.know.activityErr != nil:
		left = " " + e.th.warn("! could not be read again: "+e.th.text(e.know.activityErr.Error()))
		right = ""
	case e.know.jobsErr != nil:
		left = " " + e.th.warn("! the jobs could not be read: "+e.th.text(e.know.jobsErr.Error()))
		right = ""
	case s.failures:
		left = " failures only"
	}
	return s.line(e, left, right)
}

// table draws titles and the rows in sight; at is the line it begins on.
func (s *activity) table(e env, items []activityRow, at int) []string {
	cols := activityColumns(e)
	end := min(s.top+s.rows, len(items))
	var cells [][]string
	for _, r := range items[s.top:end] {
		cells = append(cells, activityCells(e, r))
	}
	widths := tableWidths(cols, cells, e.w)
	var out []string
	if e.h >= 4 {
		out = append(out, tableTitles(cols, widths))
	}
	s.listTop = at + len(out)
	for i, c := range cells {
		marker := "  "
		if s.top+i == s.sel {
			marker = e.th.bold(" >")
		}
		out = append(out, tableRow(cols, widths, c, marker))
	}
	return out
}

// activityPane tells of one row in four lines.
func activityPane(e env, r activityRow) []string {
	title := r.At.In(e.loc).Format("02 Jan 15:04:05") + " " + e.th.text(r.Kind) + " " + e.th.text(r.What)
	right := ""
	if r.known && r.job.Done != nil && r.job.Done.Exit != 0 {
		right = fmt.Sprintf("exit code %d", r.job.Done.Exit)
	}
	out := []string{e.th.titled(e.w, title, right)}
	add := func(label, text string) { out = append(out, labelled(label, text, 6, e.w)...) }
	switch d := r.job.Done; {
	case r.known && d != nil && d.Err != nil:
		out = append(out, faultLines(e, fault.As(d.Err), e.w)...)
	case r.live():
		add("now", e.th.text(strings.TrimSpace(string(r.job.Stage)+" "+jobShare(r.job)))+after(", ", progressWords(r.job.Progress)))
		add("so far", roughly(e.now.Sub(r.At)))
	case r.Result == "died":
		add("what", first(e.th.text(r.Text), "its process ended without a word"))
		add("left", "no archive of it is listed; older archives are untouched")
		add("do", "Enter shows how far it came    b starts it again")
	case r.Result == "missed":
		add("what", first(e.th.text(r.Text), "a backup that should have run did not"))
		add("do", "b backs it up now")
	default:
		add("what", first(e.th.text(r.Text), e.th.text(r.Result)))
	}
	add("by", wholeActor(e.th, r.Actor))
	add("job", e.th.text(r.Job))
	return out
}

func progressWords(p *vault.Progress) string {
	if p == nil || p.Rows == 0 {
		return ""
	}
	return plural(p.Rows, "row") + " so far"
}

// empty is the page of a vault in which nothing ever ran, or of an activity
// that cannot be read.
func (s *activity) empty(e env) []string {
	err := e.know.activityErr
	if err == nil {
		err = e.know.jobsErr
	}
	switch {
	case err != nil:
		lines := []string{"", " " + e.th.bad("x") + " " + e.th.bold("the activity could not be read"), ""}
		return append(lines, faultLines(e, fault.As(err), e.w)...)
	case !e.know.heard:
		return []string{"", " reading the activity..."}
	}
	out := []string{""}
	for _, l := range wrapAt("Nothing has run yet. Everything that runs is listed here, whoever starts it: this screen, the command line, cron or a timer.", max(e.w-2, 1)) {
		out = append(out, " "+l)
	}
	return out
}
