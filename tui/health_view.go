package tui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pgvault/fault"
	"pgvault/vault"
)

// healthColumns are the columns of the list. Narrow screens drop ALLOWED,
// then NEXT RUN, then COPIES (a NEXT RUN that names no run goes first);
// STATE, LAST GOOD and the proof stay, but where a name could not be read for
// them. With short the titles are the short ones.
func healthColumns(e env, short bool) []column {
	last, proven, next := "LAST GOOD", "PROVEN BY RESTORE", "NEXT RUN"
	state, keep, dropProven, dropLast := 8, 13, 0, 0
	if short || e.w < 78 {
		proven, next = "PROVEN", "NEXT"
	}
	if e.w < 56 {
		last, state = "GOOD", 6
	}
	if e.w < 40 {
		keep, dropProven, dropLast = 10, 5, 6
	}
	dropNext := 1
	if h := e.know.health; h != nil && slices.ContainsFunc(h.Databases, func(d vault.DatabaseHealth) bool { return d.NextRun != nil }) {
		dropNext = 3
	}
	return []column{
		{title: "DATABASE", min: 8, flex: true, keep: keep},
		{title: "STATE", min: state, style: func(s string) string { return healthColor(e.th, s) }},
		{title: last, right: true, drop: dropLast},
		{title: "ALLOWED", right: true, drop: 2},
		{title: proven, drop: dropProven, style: func(s string) string {
			if strings.HasPrefix(s, "! ") {
				return e.th.warn(s)
			}
			return s
		}},
		{title: "COPIES", drop: 4, style: func(s string) string {
			if strings.HasSuffix(s, "!") {
				return e.th.warn(s)
			}
			return s
		}},
		{title: next, drop: dropNext},
	}
}

// healthWidths lays the rows out: where they do not fit as they are, the
// titles are shortened before a column goes or a name is cut that is no
// longer than 20 cells.
func healthWidths(e env, cells [][]string) (cols []column, widths []int) {
	names := 0
	for _, c := range cells {
		if n := textWidth(c[0]); n <= 20 {
			names = max(names, n)
		}
	}
	cols = healthColumns(e, false)
	if widths = tableWidths(cols, cells, e.w); widths[0] < names || slices.Contains(widths, 0) {
		cols = healthColumns(e, true)
		widths = tableWidths(cols, cells, e.w)
	}
	return cols, widths
}

func healthColor(th theme, s string) string {
	switch {
	case s == "ok":
		return th.good(s)
	case strings.HasPrefix(s, "! "), strings.HasPrefix(s, "x "):
		return th.bad(s)
	case strings.HasPrefix(s, "~ "):
		return th.live(s)
	}
	return s
}

// healthState is the word of the column STATE.
func healthState(e env, r healthRow) string {
	if j, ok := e.know.runningOn(vault.KindBackup, r.Database); ok && !r.vault {
		return jobState(j)
	}
	switch r.State {
	case "":
		return "-"
	case "ok":
		return "ok"
	case "running":
		if r.Job == "" {
			return "~ waits" // for its turn
		}
		return "~ ends" // the health is older than what is known of the jobs
	case "failed":
		return "x FAILED"
	}
	return "! " + strings.ToUpper(e.th.text(r.State))
}

// healthCells are the cells of a database's row.
func healthCells(e env, r healthRow) []string {
	last, proven, next, allowed := "never", "never yet", "-", "-"
	if r.LastGood != nil {
		last = ago(e.now.Sub(*r.LastGood))
	}
	if e.w < 78 {
		proven = "never"
	}
	if r.ProvenAt != nil {
		proven = ago(e.now.Sub(*r.ProvenAt))
	} else if r.guess {
		proven = "-"
	}
	if r.MaxAgeSeconds > 0 {
		allowed = allowance(r.MaxAgeSeconds)
	}
	_, runs := e.know.runningOn(vault.KindBackup, r.Database)
	switch {
	case runs:
		next = "now"
	case r.NextRun != nil && r.NextRun.After(e.now):
		next = "in " + age(r.NextRun.Sub(e.now))
	case r.NextRun != nil:
		next = "! due"
	}
	if r.ProofLate {
		proven = "! " + proven
	}
	if e.w < 56 {
		last, proven = strings.TrimSuffix(last, " ago"), strings.TrimSuffix(proven, " ago")
	}
	copies := fmt.Sprintf("%d of %d", r.Copies, r.Places)
	if e.w < 78 {
		copies = fmt.Sprintf("%d/%d", r.Copies, r.Places)
	}
	if r.Copies < r.Places {
		copies += "!"
	}
	return []string{e.th.text(r.Database), healthState(e, r), last, allowed, proven, copies, next}
}

func (s *health) view(e env) block {
	if h := e.know.health; len(e.know.list) == 0 && (h == nil || len(h.Databases)+len(h.Warnings) == 0) {
		return block{lines: emptyHealth(e)}
	}
	b := s.headline(e)
	items := s.items(e)
	s.find(items)
	foot := healthFoot(e)
	var pane []string
	if s.sel < len(items) && e.w >= 60 && e.h >= 12 {
		pane = healthPane(e, items[s.sel])
	}
	room := e.h - len(b.lines) - 1
	if len(pane)+len(foot)+min(len(items), 4) > room {
		foot = shortFoot(e)
	}
	if len(pane)+len(foot)+min(len(items), 3) > room {
		foot = nil
	}
	if len(pane)+min(len(items), 2) > room {
		pane = nil
	}
	if e.h >= 14 && room-len(pane)-len(foot) > len(items)+1 {
		b.lines = append(b.lines, "")
		room--
	}
	s.rows = max(room-len(pane)-len(foot), 1)
	s.top = window(s.top, s.sel, len(items), s.rows)
	b.lines = append(b.lines, s.table(e, items, len(b.lines))...)
	if len(items) == 0 && s.active() {
		b.lines = append(b.lines, s.nothing(e, allRows(e))...)
		return b
	}
	if len(e.know.list) == 0 && e.know.listed && e.h > 10 {
		b.lines = append(b.lines, noBackups(e)...)
	}
	// The pane follows the list; what is always the same stands at the foot.
	b.lines = append(b.lines, pane...)
	b.lines = fill(b.lines, max(e.h-len(foot), min(len(b.lines), e.h)))
	b.lines = append(b.lines, foot...)
	return b
}

func allRows(e env) int {
	if h := e.know.health; h != nil {
		return len(h.Databases) + len(h.Warnings)
	}
	return len(provisional(e.know.list))
}

// table draws titles and the rows in sight; at is the line it begins on.
func (s *health) table(e env, items []healthRow, at int) []string {
	end := min(s.top+s.rows, len(items))
	var cells [][]string
	for _, r := range items[s.top:end] {
		if !r.vault {
			cells = append(cells, healthCells(e, r))
		}
	}
	cols, widths := healthWidths(e, cells)
	var out []string
	if e.h >= 4 {
		out = append(out, tableTitles(cols, widths))
	}
	s.listTop = at + len(out)
	n := 0
	for i, r := range items[s.top:end] {
		marker := "  "
		if s.top+i == s.sel {
			marker = e.th.bold(" >")
		}
		if r.vault {
			out = append(out, marker+" "+e.th.warn("! ")+cutEnd(e.th.text(r.Explained.What), e.w-6))
			continue
		}
		out = append(out, tableRow(cols, widths, cells[n], marker))
		n++
	}
	return out
}

// headline says how many databases could lose more than is allowed, and how
// old that knowledge is.
func (s *health) headline(e env) block {
	h := e.know.health
	left, right := " checking...", ""
	switch {
	case h == nil && e.know.listed:
		left, right = " looking at the databases...", "archives as of "+ago(e.now.Sub(e.know.listAt))
	case h == nil:
	case e.know.trail.Broken > 0:
		left = e.th.bad(" x ") + e.th.bold(trailWords(e.know.trail))
	case h.AtRisk() > 0:
		left = e.th.bad(" ! ") + e.th.bold(fmt.Sprintf("%d of %s could lose more than you allowed", h.AtRisk(), plural(int64(len(h.Databases)), "database")))
	case len(h.Databases) == 0:
		left = " no database is configured or backed up"
	default:
		left = e.th.good(" ok ") + fmt.Sprintf("%d of %s within what you allowed", len(h.Databases), plural(int64(len(h.Databases)), "database"))
	}
	if h != nil {
		right = "checked " + ago(e.now.Sub(h.At))
	}
	if e.know.healthErr != nil {
		right = e.th.warn("! as of " + strings.TrimPrefix(right, "checked "))
	}
	b := s.line(e, left, right)
	if s.active() {
		b.lines = append(b.lines, left)
	}
	if e.w < 60 || right == "" {
		b.lines[0] = strings.TrimRight(b.lines[0], " ")
	}
	return b
}

// trailWords tells of an audit trail that does not hold together.
func trailWords(t vault.Trail) string {
	return fmt.Sprintf("the audit trail is broken at line %d: it was changed, cut or reordered", t.Broken)
}

// healthPane explains one row in four lines.
func healthPane(e env, r healthRow) []string {
	title := e.th.text(r.Database)
	if r.vault {
		title = "the vault"
	}
	out := []string{"", " " + e.th.bold(title)}
	if r.guess {
		return append(out, "   being looked at")
	}
	lines := explainedLines(e, r.Explained, e.w-2)
	if len(lines) == 0 {
		lines = []string{" nothing is known against it"}
	}
	for _, l := range lines {
		out = append(out, "  "+l)
	}
	return append(out, "")
}

// explainedLines are the four lines of a fact.
func explainedLines(e env, x vault.Explained, w int) []string {
	do := x.Do
	if strings.HasPrefix(do, "pgvault ") {
		do = e.command(do)
	}
	return faultLines(e, &fault.Error{What: x.What, Why: x.Why, Left: x.Left, Do: do}, w)
}

// healthFoot tells of places, keys and jobs.
func healthFoot(e env) []string {
	h := e.know.health
	if h == nil {
		return askedPlaces(e)
	}
	var out []string
	add := func(label, text string) { out = append(out, labelled(label, text, 9, e.w)...) }
	for i, p := range h.Places {
		text := placeLine(e, p)
		for k, l := range labelled(firstOnly(i, "places"), text, 9, e.w) {
			if k == 0 && p.State == vault.PlaceAsking {
				l = strings.Replace(l, "~ ", e.th.live("~ "), 1)
			} else if k == 0 && p.State != "ok" {
				l = strings.Replace(l, "! ", e.th.warn("! "), 1)
			}
			out = append(out, l)
		}
	}
	if s := retentionLine(e, h.Retention); s != "" {
		add("retention", s)
	}
	add("keys", keysLine(e, h))
	if run := e.know.running(); len(run) > 0 {
		add("jobs", goesOn(e.th, run, "goes on")+"   (3 opens Activity)")
	}
	return out
}

// askedPlaces stand at the foot before anything has come.
func askedPlaces(e env) []string {
	var out []string
	for i, name := range e.places {
		out = append(out, labelled(firstOnly(i, "places"), e.th.text(name)+"   ~ asking...", 9, e.w)...)
	}
	return out
}

func placeLine(e env, p vault.PlaceHealth) string {
	name := e.th.text(p.Name) + " " + e.th.text(shortAddress(p.URL))
	if p.State == vault.PlaceAsking {
		return name + "   ~ " + e.th.text(p.Text)
	}
	if p.State != "ok" {
		return name + "   ! " + e.th.text(p.Text)
	}
	return name + "   " + e.th.text(p.Text)
}

// shortAddress is a place's address without what tells only programs how to
// reach it.
func shortAddress(url string) string {
	short, _, _ := strings.Cut(strings.TrimPrefix(url, "file:"), "?")
	return short
}

func keysLine(e env, h *vault.Health) string {
	names := make([]string, len(h.Keys))
	for i, k := range h.Keys {
		names[i] = e.th.text(k)
	}
	s := plural(int64(len(h.Keys)), "recipient")
	if len(names) > 0 {
		s += " (" + strings.Join(names, ", ") + ")"
	}
	if h.KeyUsed == nil {
		return s + "; no identity has opened an archive yet"
	}
	return s + "; one last opened an archive " + ago(e.now.Sub(*h.KeyUsed))
}

// retentionLine says what retention frees next, empty where that is not known.
func retentionLine(e env, n *vault.NextRetention) string {
	switch {
	case n == nil:
		return ""
	case !n.Chosen:
		return "nobody chose what to keep: nothing goes by itself   (p tries rules)"
	case n.Refused != "":
		return "! nothing goes: " + e.th.text(n.Refused)
	}
	s := "nothing goes"
	if n.Goes > 0 {
		s = fmt.Sprintf("-%d, %s,", n.Goes, size(n.Frees))
	}
	switch {
	case n.At == nil:
		s += " with the next backup"
	case n.Goes > 0 || n.Waits > 0:
		s += " " + nextWords(*n.At, e)
	default:
		s += " next"
	}
	if n.Waits > 0 {
		s += fmt.Sprintf("; %d more later", n.Waits)
	}
	if len(n.Asks) > 0 {
		s += "; ! much of " + e.th.text(n.Asks[0]) + " would go: p asks"
	}
	return s
}

// nextWords is when the next run is, as a person says it.
func nextWords(at time.Time, e env) string {
	t, now := at.In(e.loc), e.now.In(e.loc)
	switch {
	case !at.After(e.now):
		return "now"
	case t.Hour() < 7 && at.Sub(now) < 18*time.Hour && t.YearDay() != now.YearDay():
		return "tonight"
	case t.YearDay() == now.YearDay() && t.Year() == now.Year():
		return "at " + t.Format("15:04")
	}
	return "on " + when(at, e.now, e.loc)
}

// shortFoot is healthFoot in two lines.
func shortFoot(e env) []string {
	h := e.know.health
	if h == nil {
		return nil
	}
	ok, bad := 0, ""
	for _, p := range h.Places {
		if p.State == "ok" {
			ok++
		} else if p.State == vault.PlaceAsking {
			bad = first(bad, ", ~ asking "+e.th.text(p.Name))
		} else if bad == "" {
			bad = ", ! " + e.th.text(p.Name)
		}
	}
	proven := "never used"
	if h.KeyUsed != nil {
		proven = "used " + ago(e.now.Sub(*h.KeyUsed))
	}
	return []string{cutEnd(fmt.Sprintf(" places %d ok%s    keys %d, %s    jobs %d running", ok, bad, len(h.Keys), proven, len(e.know.running())), e.w)}
}

// emptyHealth is the page before anything is known, and of a vault in which
// nothing has been stored.
func emptyHealth(e env) []string {
	switch {
	case e.know.healthErr != nil:
		lines := []string{"", " " + e.th.bad("x") + " " + e.th.bold("the vault could not be read"), ""}
		return append(lines, faultLines(e, fault.As(e.know.healthErr), e.w)...)
	case e.know.listErr != nil:
		lines := []string{"", " " + e.th.bad("x") + " " + e.th.bold("the vault could not be read"), ""}
		return append(lines, faultLines(e, fault.As(e.know.listErr), e.w)...)
	}
	if e.know.health == nil {
		return []string{"", " reading the vault..."}
	}
	return noBackups(e)
}
