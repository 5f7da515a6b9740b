package tui

import (
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"pgvault/vault"
)

// activity is place 3: what runs on top, then all that ran, whoever started
// it, and what should have run.
type activity struct {
	filterBox
	failures bool // only what did not go well
	id       string
	sel      int
	top      int
	rows     int // lines of the list as last drawn
	listTop  int // first line of it
}

// cmdFailures shows only what did not go well.
const cmdFailures command = "failures"

func newActivity() *activity { return &activity{} }

// activityRow is one line: an entry of the past, or a job that goes on.
type activityRow struct {
	vault.Activity
	job   vault.Job
	known bool // job is its folder's word
}

// live tells whether the row's job goes on.
func (r *activityRow) live() bool { return r.known && r.job.State == vault.JobRunning }

// key names the row among the others.
func (r *activityRow) key() string {
	return first(r.Job, r.At.Format(time.RFC3339Nano)+r.Kind+r.What)
}

// failed tells whether a person should look at it.
func (r *activityRow) failed() bool { return r.Result != "ok" && r.Result != "running" }

// rowsOf merges jobs and activity: those that run first, then the newest. A
// job that the activity does not name yet is told by its folder.
func rowsOf(k *known) []*activityRow {
	jobs := make(map[string]vault.Job, len(k.jobs))
	for _, j := range k.jobs {
		jobs[j.ID] = j
	}
	out := make([]*activityRow, 0, len(k.activity)+4)
	told := map[string]bool{}
	for _, a := range k.activity {
		r := &activityRow{Activity: a}
		r.job, r.known = jobs[a.Job]
		if r.known {
			r.take(r.job)
			told[a.Job] = true
		}
		out = append(out, r)
	}
	for _, j := range k.jobs {
		if !told[j.ID] {
			r := &activityRow{
				Activity: vault.Activity{At: j.Started, Kind: string(j.Order.Kind), What: jobWhat(j), Actor: j.Actor, Job: j.ID},
				job:      j, known: true,
			}
			r.take(j)
			out = append(out, r)
		}
	}
	slices.SortStableFunc(out, func(a, b *activityRow) int {
		if a.live() != b.live() {
			if a.live() {
				return -1
			}
			return 1
		}
		return b.At.Compare(a.At)
	})
	return out
}

// take lets the folder's newer word on a job's state win over the trail's.
func (r *activityRow) take(j vault.Job) {
	r.Result = string(j.State)
	if !j.Ended.IsZero() && r.Took == 0 {
		r.Took = j.Ended.Sub(j.Started)
	}
}

// database is what a switch is of.
func (r *activityRow) database() string {
	name, _, _ := strings.Cut(r.What, " > ")
	return first(r.job.Order.Database, name)
}

func jobWhat(j vault.Job) string {
	what := first(j.Order.Database, j.Order.ID)
	if t := first(j.Target, j.Order.ToNew, j.Order.ToEmpty); t != "" {
		what += " > " + t
	}
	return what
}

// items gives the rows that the filter lets through.
func (s *activity) items(e env) []*activityRow {
	if !s.failures && len(s.in.r) == 0 {
		return e.know.rows
	}
	var out []*activityRow
	for _, r := range e.know.rows {
		if (!s.failures || r.failed()) && s.match(r.Kind, r.What, r.Result, r.Text, byWhom(r.Actor), r.Actor.User, r.Actor.By, r.Job) {
			out = append(out, r)
		}
	}
	return out
}

func (s *activity) find(items []*activityRow) {
	if i := slices.IndexFunc(items, func(r *activityRow) bool { return r.key() == s.id }); i >= 0 && s.id != "" {
		s.sel = i
	}
	s.sel = max(min(s.sel, len(items)-1), 0)
}

func (s *activity) choose(items []*activityRow, i int) {
	s.sel = max(min(i, len(items)-1), 0)
	if s.sel < len(items) {
		s.id = items[s.sel].key()
	}
}

func (s *activity) row(e env) (*activityRow, bool) {
	items := s.items(e)
	s.find(items)
	if s.sel >= len(items) {
		return &activityRow{}, false
	}
	return items[s.sel], true
}

func (s *activity) keys(e env) keymap {
	if s.editing {
		return editKeys("line")
	}
	r, ok := s.row(e)
	none, noJob, over, again := "", "", "", ""
	if !ok {
		none = "no line is selected"
	}
	if noJob = none; noJob == "" && r.Job == "" {
		noJob = "there is no job behind this line: all that is known of it is below"
	}
	if over = first(e.busy(), noJob); over == "" && !r.live() {
		over = "this job has ended; there is nothing to cancel"
	}
	if again = first(e.busy(), none); again == "" && r.Kind != string(vault.KindBackup) && r.Kind != "missed" {
		again = "only a backup can be started again from here; 2 has the archives"
	}
	failures := "only what failed, died, was cancelled or missed"
	if s.failures {
		failures = "everything again"
	}
	k := keymap{
		{cmd: cmdEnter, keys: []string{"enter"}, show: "Enter", name: "open", help: "the job's own view: as it runs, or as it ran", off: noJob, line: ok},
		{cmd: cmdCancel, keys: []string{"x"}, show: "x", name: "cancel...", help: "asks first; the focus is on keeping it running", off: over, line: r.live()},
		{cmd: cmdBackup, keys: []string{"b"}, show: "b", name: "backup again", help: "back that database up now", off: again, line: again == "" && e.w >= 78},
		filterKey("words that a line must hold; !word for those it must not"),
		{cmd: cmdFailures, keys: []string{"f"}, show: "f", name: "failures", help: failures, line: true},
		{cmd: cmdLog, keys: []string{"l"}, show: "l", name: "log", help: "what the job wrote down", off: noJob, line: e.w >= 100},
		{cmd: cmdCopyID, keys: []string{"y"}, show: "y", name: "copy job id", help: "copy the job's id", off: noJob},
		{cmd: cmdCopyCmd, keys: []string{"Y"}, show: "Y", name: "copy command", help: "copy the command that shows this job", off: noJob},
	}
	if r.Kind == string(vault.KindSwitch) {
		off := ""
		if r.live() {
			off = "it goes on: x cancels it"
		}
		k = append(k, undoKey(off, off == ""))
	}
	return append(k, moveKeys("line")...)
}

func (s *activity) do(e env, c command) []action {
	items := s.items(e)
	s.find(items)
	if n, ok := moved(c, s.sel, len(items), s.rows); ok {
		if n == s.sel {
			return []action{say("no more lines there")}
		}
		s.choose(items, n)
		return nil
	}
	if acts, ok := s.filterBox.do(c, len(e.know.rows)); ok {
		return acts
	}
	r, _ := s.row(e)
	switch c {
	case cmdEnter, cmdLog:
		return []action{openJob{ref: r.Job, log: c == cmdLog}}
	case cmdFailures:
		s.failures = !s.failures
		if s.failures {
			return []action{say("only what did not go well; f shows all")}
		}
		return []action{say("everything shown")}
	case cmdUndo:
		return []action{openSwitch{switchWant{database: r.database(), mode: modeUndo}}}
	case cmdCancel:
		return []action{openDialog{cancelDialog(r.job, e.th)}}
	case cmdBackup:
		return []action{askBackup{first(r.job.Order.Database, r.What)}}
	case cmdCopyID:
		return []action{copyText{r.Job, r.Job}}
	case cmdCopyCmd:
		t := e.command("pgvault job watch " + shellWord(r.Job))
		return []action{copyText{t, t}}
	}
	return nil
}

func (s *activity) typed(e env, k tea.KeyPressMsg) bool {
	if !s.filterBox.typed(e, k) {
		return false
	}
	s.find(s.items(e))
	return true
}

func (s *activity) click(e env, _, y int) []action {
	items := s.items(e)
	if i := y - s.listTop; i >= 0 && i < s.rows && s.top+i < len(items) {
		s.choose(items, s.top+i)
	}
	return nil
}

func (s *activity) wheel(e env, delta int) {
	items := s.items(e)
	s.find(items)
	s.choose(items, s.sel+delta)
}
