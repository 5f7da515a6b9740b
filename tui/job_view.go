package tui

import (
	"fmt"
	"strings"
	"time"

	"pgvault/vault"
)

// head is everything above the tables.
func (s *jobPage) head(e env) []string {
	j := s.j
	out := []string{jobTitle(e, j)}
	out = append(out, phaseLines(e, j)...)
	out = append(out, "")
	if j.done != nil {
		return append(out, append(reportLines(e, j), "")...)
	}
	out = append(out, barLine(e, j))
	for _, l := range append(append(counterLines(e, j), placeLines(e, j.progress)...), basisLine(e, j)) {
		if l != "" {
			out = append(out, l)
		}
	}
	switch {
	case j.lost != nil:
		out = append(out, cutEnd(e.th.warn(" ! it can no longer be followed: "+e.th.text(j.lost.Error())), e.w), " The job itself may go on: Esc, then Enter looks again.")
	case j.cancelling:
		out = append(out, e.th.warn(" cancelling: the job ends its work and cleans up"))
	default:
		own := " This job runs by itself: you may leave (q) or lose the connection."
		if e.w < len(own) {
			own = " This job runs by itself: you may leave (q)."
		}
		out = append(out, own)
	}
	return append(out, "")
}

// small is head for a screen of few lines.
func (s *jobPage) small(e env) []string {
	j := s.j
	at := fmt.Sprintf(" %d/%d %s", j.cur+1, len(j.stages), e.th.bold(strings.ToUpper(string(j.stage()))))
	if j.cur < 0 {
		at = " starting"
	}
	out := []string{spread(" "+e.th.bold(strings.ToUpper(string(j.kind)))+" "+e.th.text(j.database), elapsed(e.now.Sub(j.started)), e.w-1), at, barLine(e, j)}
	return out[:max(min(len(out), e.h-1), 1)]
}

// jobTitle names the run, its id, when it began and how long it takes.
func jobTitle(e env, j *job) string {
	left := " " + e.th.bold(strings.ToUpper(string(j.kind))) + " " + e.th.text(j.database)
	if j.target != "" {
		left += j.into() + e.th.text(j.target)
	}
	took := elapsed(e.now.Sub(j.started)) + " so far"
	if j.done != nil {
		took = "took " + elapsed(time.Duration(j.done.Seconds*float64(time.Second)))
	}
	right := "started " + j.started.In(e.loc).Format("15:04:05") + ", " + took
	if j.actor.By != "" || j.actor.User != "" {
		right = "started " + j.started.In(e.loc).Format("15:04:05") + " by " + e.th.text(byWhom(j.actor)) + ", " + took
	}
	if j.ref != "" {
		long := "job " + e.th.text(jobShort(j.ref)) + ", " + right
		if textWidth(left)+textWidth(long)+2 <= e.w {
			right = long
		}
	}
	if textWidth(left)+textWidth(right)+2 > e.w {
		right = took
	}
	return spread(left, right, e.w-1)
}

// phaseLines is the line of phases: those done, the one under way in
// capitals, those to come.
func phaseLines(e env, j *job) []string {
	var lines []string
	line := ""
	for i, st := range j.stages {
		name := fmt.Sprintf("%d %s", i+1, st.stage)
		shown := name
		switch {
		case st.done:
			shown = name + " " + e.th.good("ok")
		case i == j.cur && j.done == nil:
			shown = e.th.bold(strings.ToUpper(name))
		case i == j.cur && j.done.Result != vault.ResultOK:
			shown = name + " " + e.th.bad("x")
		}
		if i < len(j.stages)-1 {
			shown += " >"
		}
		if line != "" && textWidth(line)+1+textWidth(shown) > e.w {
			lines, line = append(lines, line), ""
		}
		line += " " + shown
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

// barLine shows the stage under way: a bar only where a total is known.
func barLine(e env, j *job) string {
	name := padRight(first(string(j.stage()), "starting"), 9)
	f, ok := fraction(j.progress)
	if !ok {
		return " " + name + " " + elapsed(e.now.Sub(j.stageStart)) + ", total not known"
	}
	right := percent(f, j.estimated())
	_, _, recent := j.meter.rates()
	if lo, hi, ok := timeLeft(f, e.now.Sub(j.stageStart), recent); ok {
		right += "  " + rangeText(lo, hi)
	} else {
		right += "  " + elapsed(e.now.Sub(j.stageStart)) + " in this phase"
	}
	w := min(e.w-textWidth(name)-textWidth(right)-5, 60)
	if w < 6 {
		return " " + name + " " + e.th.bold(right)
	}
	return " " + name + " " + e.th.bar(w, f) + "  " + e.th.bold(right)
}

// counterLines are the counters: rows, tables, speeds, and what was written.
// They follow one another as long as they fit on a line.
func counterLines(e env, j *job) []string {
	p := j.progress
	rows, bytes, _ := j.meter.rates()
	tilde := ""
	if j.estimated() {
		tilde = "~"
	}
	var parts []string
	switch {
	case p.RowsTotal > 0:
		parts = append(parts, count(p.Rows)+" of "+tilde+plural(p.RowsTotal, "row"))
	case p.Rows > 0:
		parts = append(parts, plural(p.Rows, "row"))
	}
	if p.Tables > 0 {
		parts = append(parts, fmt.Sprintf("%d of %s", p.TablesDone, plural(int64(p.Tables), "table")))
	}
	switch {
	case p.BytesTotal > 0:
		parts = append(parts, size(p.Bytes)+" of "+tilde+size(p.BytesTotal))
	case p.Bytes > 0:
		parts = append(parts, size(p.Bytes)+" passed")
	}
	if rows > 0 {
		parts = append(parts, count(int64(rows))+" rows/s")
	}
	if bytes > 0 {
		parts = append(parts, speed(bytes)+" now")
	}
	if p.Stored > 0 {
		word := " read"
		if j.kind == vault.KindBackup && j.stage() == vault.StageData {
			word = " sealed"
		}
		parts = append(parts, size(p.Stored)+word)
	}
	return flow(parts, "           ", e.w)
}

// flow puts parts on as few lines as they need, three cells apart.
func flow(parts []string, indent string, w int) []string {
	if w < 50 {
		indent = " "
	}
	var out []string
	line := ""
	for _, p := range parts {
		if line != "" && textWidth(indent+line+"   "+p) > w {
			out, line = append(out, indent+line), ""
		}
		if line != "" {
			line += "   "
		}
		line += p
	}
	if line != "" {
		out = append(out, indent+line)
	}
	return out
}

// basisLine says where an estimate comes from.
func basisLine(e env, j *job) string {
	indent := "           "
	if e.w < 50 {
		indent = " "
	}
	if j.estimated() {
		basis := e.th.text(j.progress.Estimate)
		if !strings.HasPrefix(basis, "estimate") {
			basis = "estimated " + basis
		}
		return indent + "~ " + basis
	}
	if f, ok := fraction(j.progress); ok {
		_, _, recent := j.meter.rates()
		if _, _, ok := timeLeft(f, e.now.Sub(j.stageStart), recent); ok {
			return indent + "~ time left from the speed of this phase so far; the totals are exact"
		}
	}
	return ""
}

// tableList is the list of tables while a run goes on, and after a backup.
func tableList(e env, j *job) (titles, rows []string) {
	list := j.sorted()
	if len(list) == 0 {
		return nil, nil
	}
	cols := []column{
		{title: "TABLE", min: 20, flex: true},
		{title: "ROWS", right: true, min: 10},
		{title: "OF", right: true, min: 10, drop: 1},
		{title: "READ", right: true, min: 8, drop: 2},
		{title: "STATE", min: 7, style: func(s string) string { return stateColor(e.th, s) }},
	}
	tilde := ""
	if j.kind == vault.KindBackup {
		tilde = "~"
	}
	cells := make([][]string, 0, len(list))
	for _, t := range list {
		of := "-"
		switch {
		case t.State == vault.StateRunning && t.RowsTotal > 0:
			of = tilde + count(t.RowsTotal)
		case t.RowsTotal > 0 || t.State != vault.StateRunning && j.kind == vault.KindBackup:
			of = count(t.RowsTotal)
		}
		cells = append(cells, []string{e.th.text(t.Name), count(t.Rows), of, size(t.Bytes), tableWord(t, tilde)})
	}
	widths := tableWidths(cols, cells, e.w)
	for i, c := range cells {
		marker := "  "
		if list[i].State == vault.StateRunning {
			marker = " >"
		}
		rows = append(rows, tableRow(cols, widths, c, marker))
	}
	return []string{tableTitles(cols, widths)}, rows
}

// tableWord is a table's state; a running one's share only where its total is
// known.
func tableWord(t *tableState, tilde string) string {
	switch t.State {
	case vault.StateDone, vault.StateEqual:
		return "ok"
	case vault.StateDiffers:
		return "x differs"
	}
	if t.RowsTotal > 0 {
		return percent(min(float64(t.Rows)/float64(t.RowsTotal), 0.99), tilde != "")
	}
	return "running"
}

func stateColor(th theme, s string) string {
	switch {
	case strings.HasPrefix(s, "ok"):
		return th.good(s)
	case strings.HasPrefix(s, "x "):
		return th.bad(s)
	}
	return th.live(s)
}

func logLines(e env, log []logLine) []string {
	var out []string
	for _, l := range log {
		text := e.th.text(l.text)
		if l.warn {
			text = e.th.warn("! " + text)
		}
		out = append(out, labelled(l.at.In(e.loc).Format("15:04:05"), text, 8, e.w)...)
	}
	return out
}
