package tui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pgvault/vault"
)

// job is what the events of one run have told so far. apply is its only
// writer.
type job struct {
	ref        string // the job's id
	actor      vault.Actor
	kind       vault.Kind
	id         string // the archive's id
	database   string
	target     string
	same       string // the command that does the same
	asked      vault.Order
	offer      *vault.SwitchPlan // of a restore that has ended: how it would take the live one's place
	offerErr   error
	stages     []stageRow
	cur        int // the stage under way, -1 before the first
	started    time.Time
	stageStart time.Time
	progress   vault.Progress
	meter      meter
	tables     map[string]*tableState
	order      []*tableState // as they were first heard of
	compared   []comparison
	byName     map[string]int // into compared
	anew       bool           // the next table begins the list anew
	ends       int            // counts the tables that ended
	log        []logLine
	warnings   int
	done       *vault.RunDone
	cancelling bool
	lost       error // why it can no longer be followed
	pump       *pump
}

type stageRow struct {
	stage   vault.Stage
	done    bool
	seconds float64
}

// tableState is one table's row in the current stage.
type tableState struct {
	vault.Table
	seq int // when it last ended; the newest stands on top
}

// comparison is one line of what was compared with the archive's record.
type comparison struct {
	name            string
	expected, found int64
	equal           bool
	rows            bool // the counts are of rows: there is a table behind it
	note            string
}

type logLine struct {
	at   time.Time
	warn bool
	text string
}

// logMax is how many lines of log a run keeps.
const logMax = 500

// newJob makes the picture of a job of which nothing was told yet.
func newJob(o vault.Order, now time.Time) *job {
	return &job{
		kind: o.Kind, id: o.ID, database: o.Database, target: first(o.ToNew, o.ToEmpty), same: orderCommand(o), asked: o,
		cur: -1, started: now, stageStart: now, tables: map[string]*tableState{}, byName: map[string]int{},
	}
}

// know takes what the job's folder tells of it.
func (j *job) know(v vault.Job) {
	j.ref, j.actor, j.started, j.stageStart, j.asked = v.ID, v.Actor, v.Started, v.Started, v.Order
	j.id, j.target = first(v.Archive, j.id), first(v.Target, j.target)
}

// asJob is what a dialog needs to know of the job.
func (j *job) asJob() vault.Job {
	return vault.Job{ID: j.ref, Order: vault.Order{Kind: j.kind, Database: j.database}, Actor: j.actor}
}

// apply takes one event.
func (j *job) apply(ev vault.Event, now time.Time) {
	switch ev := ev.(type) {
	case vault.RunStarted:
		if j.kind == vault.KindRecover && ev.Kind != j.kind {
			j.part(ev, now)
			break
		}
		j.kind = vault.Kind(first(string(ev.Kind), string(j.kind)))
		j.id, j.database, j.target = first(ev.ID, j.id), first(ev.Database, j.database), first(ev.Target, j.target)
		j.started = at(ev.At, j.started)
		for _, s := range ev.Stages {
			j.stages = append(j.stages, stageRow{stage: s})
		}
	case vault.StageStarted:
		j.enter(ev.Stage, at(ev.At, now))
	case vault.Progress:
		j.measure(ev, now)
	case vault.TableDone:
		j.tableDone(ev)
	case vault.Notice:
		j.notice(ev, now)
	case vault.DatabaseDone:
		text, warn := databaseWords(ev)
		j.addLog(logLine{now, warn, text})
	case vault.PlaceDone:
		text, warn := placeWords(ev)
		j.addLog(logLine{now, warn, text})
	case vault.StageDone:
		if i := j.nextStage(ev.Stage); i >= 0 {
			j.stages[i].done, j.stages[i].seconds = true, ev.Seconds
		}
	case vault.RunDone:
		j.end(ev)
	}
}

// part begins one restore of a recovery: its stages take the place of those of
// the one before.
func (j *job) part(ev vault.RunStarted, now time.Time) {
	j.id, j.database, j.target = ev.ID, ev.Database, ev.Target
	j.stages, j.cur = nil, -1
	for _, s := range ev.Stages {
		j.stages = append(j.stages, stageRow{stage: s})
	}
	j.addLog(logLine{now, false, "restoring " + ev.Database})
}

// databaseWords say how one database of a recovery ended.
func databaseWords(e vault.DatabaseDone) (text string, warn bool) {
	text = fmt.Sprintf("%d of %d: %s is %s", e.N, e.Of, e.Row.Database, e.Row.Result)
	if e.Row.Why != "" {
		text += ": " + e.Row.Why
	}
	return text, e.Row.Err() != nil
}

func at(t, or time.Time) time.Time {
	if t.IsZero() {
		return or
	}
	return t
}

// enter begins a stage: its counters start anew; the list of tables too, with
// the first one of a stage that passes over them again.
func (j *job) enter(s vault.Stage, t time.Time) {
	j.cur = j.nextStage(s)
	if j.cur < 0 {
		j.stages = append(j.stages, stageRow{stage: s})
		j.cur = len(j.stages) - 1
	}
	j.stageStart = t
	j.progress = vault.Progress{Stage: s}
	j.meter = meter{}
	j.anew = overTables(s)
}

// nextStage is the first of this name that has not ended: a backup that is
// restored before it ends passes over the rows twice.
func (j *job) nextStage(s vault.Stage) int {
	return slices.IndexFunc(j.stages, func(r stageRow) bool { return r.stage == s && !r.done })
}

// overTables tells the stages that pass over every table.
func overTables(s vault.Stage) bool {
	switch s {
	case vault.StageData, vault.StageDecrypt, vault.StageCompare, vault.StageReadBack:
		return true
	}
	return false
}

func (j *job) measure(p vault.Progress, now time.Time) {
	if j.cur >= 0 && p.Stage != "" && p.Stage != j.stages[j.cur].stage {
		return // the late word of a stage that is over
	}
	p.At = at(p.At, now)
	j.progress = p
	f, _ := fraction(p)
	j.meter.add(sample{p.At, p.Rows, p.Bytes, f})
	for _, t := range p.Active {
		j.table(t)
	}
}

// table takes what a Progress says of one table. One that has ended stays
// ended.
func (j *job) table(t vault.Table) *tableState {
	if j.anew {
		j.tables, j.order, j.anew = map[string]*tableState{}, nil, false
	}
	s, ok := j.tables[t.Name]
	if !ok {
		s = &tableState{Table: t}
		j.tables[t.Name] = s
		j.order = append(j.order, s)
		return s
	}
	if s.State != vault.StateRunning && t.State == vault.StateRunning {
		return s
	}
	if t.RowsTotal == 0 {
		t.RowsTotal = s.RowsTotal
	}
	s.Table = t
	return s
}

func (j *job) tableDone(d vault.TableDone) {
	t := vault.Table{Name: d.Name, State: d.State, Rows: d.Rows, RowsTotal: d.RowsExpected, Bytes: d.Bytes}
	if j.kind == vault.KindBackup {
		t.RowsTotal = d.Rows
	}
	j.ends++
	j.table(t).seq = j.ends
	if j.kind == vault.KindBackup || d.State != vault.StateEqual && d.State != vault.StateDiffers {
		return
	}
	c := comparison{d.Name, d.RowsExpected, d.Rows, d.State == vault.StateEqual, true, d.Note}
	if i, ok := j.byName[d.Name]; ok {
		j.compared[i] = c
		return
	}
	j.byName[d.Name] = len(j.compared)
	j.compared = append(j.compared, c)
}

func (j *job) notice(n vault.Notice, now time.Time) {
	l := logLine{at(n.At, now), n.Level == "warning", n.Text}
	if l.warn {
		j.warnings++
	}
	j.addLog(l)
}

func (j *job) addLog(l logLine) {
	j.log = append(j.log, l)
	if len(j.log) > logMax {
		j.log = j.log[len(j.log)-logMax:]
	}
}

// end takes the result; differences that no TableDone told (sequences,
// indexes) become lines of the comparison.
func (j *job) end(d vault.RunDone) {
	j.done = &d
	j.id, j.database, j.target = first(d.ID, j.id), first(d.Database, j.database), first(d.Target, j.target)
	for _, x := range d.Differences {
		if i, ok := j.byName[x.Table]; ok {
			j.compared[i].equal = false
			j.compared[i].note = first(j.compared[i].note, x.Why)
			continue
		}
		j.byName[x.Table] = len(j.compared)
		j.compared = append(j.compared, comparison{x.Table, x.RowsExpected, x.RowsFound, false, x.RowsExpected != 0 || x.RowsFound != 0, x.Why})
	}
}

// stage is the stage under way.
func (j *job) stage() vault.Stage {
	if j.cur < 0 || j.cur >= len(j.stages) {
		return ""
	}
	return j.stages[j.cur].stage
}

// estimated tells whether the totals of the run are estimates.
func (j *job) estimated() bool { return j.progress.Estimate != "" }

// title is the run in words: "backup of shop".
func (j *job) title(th theme) string {
	s := string(j.kind) + " of " + th.text(first(j.database, "what is missing"))
	switch {
	case j.kind == vault.KindSwitch && j.asked.Goal == vault.GoalOriginal:
		s = "undo of the " + s
	case j.target != "":
		s += j.into() + th.text(j.target)
	}
	return s
}

// into is the word before the other database.
func (j *job) into() string {
	if j.kind == vault.KindSwitch {
		return " with "
	}
	return " into "
}

// resultWord is the result with its mark and its colour.
func resultWord(th theme, r vault.Result) string {
	switch r {
	case vault.ResultOK:
		return th.good("ok")
	case vault.ResultFailed:
		return th.bad("x failed")
	case vault.ResultPartial:
		return th.warn("! partial")
	}
	return th.warn("- " + strings.ToLower(string(r)))
}

// sorted gives the tables of the stage: running ones first, then what
// differs, then the others, the newest on top.
func (j *job) sorted() []*tableState {
	out := slices.Clone(j.order)
	rank := func(s *tableState) int {
		switch s.State {
		case vault.StateRunning:
			return 0
		case vault.StateDiffers:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(out, func(a, b *tableState) int {
		if r := rank(a) - rank(b); r != 0 {
			return r
		}
		return b.seq - a.seq
	})
	return out
}

// comparisons gives the lines of the comparison, differences first; with
// only, nothing else.
func (j *job) comparisons(only bool) []comparison {
	var out []comparison
	for _, c := range j.compared {
		if !c.equal {
			out = append(out, c)
		}
	}
	if !only {
		for _, c := range j.compared {
			if c.equal {
				out = append(out, c)
			}
		}
	}
	return out
}
