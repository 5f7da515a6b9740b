package tui

import (
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"pgvault/vault"
)

// known is what the screen has learnt of the vault; nil and false where
// nothing has come yet. Errors are those of the newest reading: what an older
// one brought stays.
type known struct {
	health    *vault.Health
	healthErr error

	list    []vault.Archive
	listAt  time.Time
	listed  bool
	listOld bool // the list is the remembered one; the place was not asked yet
	listErr error
	good    map[string]bool // databases with a good archive
	goodIn  *vault.Archive  // the first of the list that good was made of

	jobs    []vault.Job
	seen    bool // the jobs came once
	jobsErr error
	others  []string // whose other screens are open, as far as they can be told

	activity    []vault.Activity
	trail       vault.Trail
	heard       bool // the activity came once
	activityErr error

	rows []*activityRow // jobs and activity, merged
}

// running gives the jobs that go on, newest first.
func (k *known) running() []vault.Job {
	var out []vault.Job
	for _, j := range k.jobs {
		if j.State == vault.JobRunning {
			out = append(out, j)
		}
	}
	return out
}

// job gives the job with this id.
func (k *known) job(id string) (vault.Job, bool) {
	for _, j := range k.jobs {
		if id != "" && j.ID == id {
			return j, true
		}
	}
	return vault.Job{}, false
}

// runningOn gives the job of this kind that goes on for a database.
func (k *known) runningOn(kind vault.Kind, database string) (vault.Job, bool) {
	for _, j := range k.running() {
		if j.Order.Kind == kind && j.Order.Database == database {
			return j, true
		}
	}
	return vault.Job{}, false
}

// pollMsg is the time to look at the jobs again.
type pollMsg struct{}

// nextPoll waits between the answer of one look and the next, so that slow
// answers never pile up.
func (m *model) nextPoll() tea.Cmd {
	return tea.Tick(m.g.poll, func(time.Time) tea.Msg { return pollMsg{} })
}

// reading is one kind of question of which never two are under way: a second
// one that is wanted meanwhile follows the first.
type reading struct{ busy, again bool }

// begin tells whether to ask now.
func (r *reading) begin() bool {
	if r.busy {
		r.again = true
		return false
	}
	r.busy = true
	return true
}

// end tells whether to ask again.
func (r *reading) end() bool {
	again := r.again
	r.busy, r.again = again, false
	return again
}

// refresh reads list, health and activity again.
func (m *model) refresh() tea.Cmd {
	var cmds []tea.Cmd
	if m.readList.begin() {
		cmds = append(cmds, m.g.list(true))
	}
	if m.readHealth.begin() {
		cmds = append(cmds, m.g.health())
	}
	return tea.Batch(append(cmds, m.refreshActivity())...)
}

func (m *model) refreshActivity() tea.Cmd {
	if m.readActivity.begin() {
		return m.g.activity()
	}
	return nil
}

// gotList keeps a list; the remembered one is followed by a fresh one. The
// first one, whichever it is, is followed by the health: listing the place
// takes all processors, and is not to hold up the first frame.
func (m *model) gotList(msg listMsg) tea.Cmd {
	k := m.know
	old := k.listOld
	k.listErr = msg.err
	if m.message == readingAgain {
		m.message = ""
	}
	if msg.err == nil {
		k.list, k.listAt, k.listed, k.listOld = msg.list, msg.at, true, msg.old
	} else if k.listed {
		m.message = "! the list could not be read again: " + m.th.text(msg.err.Error())
	}
	m.archives.apply(m.env())
	var cmds []tea.Cmd
	if !msg.fresh && msg.old || m.readList.end() {
		cmds = append(cmds, m.g.list(true))
	}
	if !msg.fresh {
		cmds = append(cmds, m.g.health())
	}
	if old && !k.listOld { // missed runs are told from what is listed
		cmds = append(cmds, m.refreshActivity())
	}
	if !msg.fresh && msg.old {
		cmds = []tea.Cmd{m.g.later(m.g.frame, cmds)}
	}
	return tea.Batch(cmds...)
}

// firstFrame is how long the first frame, with what is remembered, may take
// to be drawn.
const firstFrame = 6 * time.Second / framesPerSecond

func (m *model) gotHealth(msg healthMsg) tea.Cmd {
	m.know.healthErr = msg.err
	if msg.err == nil {
		m.know.health = msg.health
	}
	if m.readHealth.end() {
		return m.g.health()
	}
	return nil
}

// gotEarlyHealth shows what is known before a slow place has answered, where
// nothing was known before: a place that stays silent is not to be asked anew
// on the screen each minute.
func (m *model) gotEarlyHealth(msg earlyHealthMsg) {
	if m.know.health == nil {
		m.know.health = msg.health
		m.stir()
	}
}

func (m *model) gotActivity(msg activityMsg) tea.Cmd {
	m.know.activityErr = msg.err
	if msg.err == nil {
		m.know.activity, m.know.trail, m.know.heard = msg.list, msg.trail, true
		m.know.rows = rowsOf(m.know)
	}
	if m.readActivity.end() {
		return m.g.activity()
	}
	return nil
}

// gotJobs keeps the jobs and reads again what a job that began or ended has
// changed.
func (m *model) gotJobs(msg jobsMsg) tea.Cmd {
	k := m.know
	k.jobsErr = msg.err
	if !slices.Equal(k.others, msg.others) {
		k.others = msg.others
		m.stir()
	}
	var cmds []tea.Cmd
	if msg.next {
		cmds = append(cmds, m.nextPoll())
	}
	if msg.err != nil {
		return tea.Batch(cmds...)
	}
	before, first := k.jobs, !k.seen
	k.jobs, k.seen = msg.jobs, true
	began, ended := jobChanges(before, msg.jobs)
	if first || began || ended || len(before) != len(msg.jobs) || len(k.running()) > 0 {
		k.rows = rowsOf(k)
	}
	switch {
	case first:
		m.greet()
	case ended:
		cmds = append(cmds, m.refresh())
	case began:
		cmds = append(cmds, m.refreshActivity())
	}
	if !first && (began || ended) {
		m.stir()
	}
	return tea.Batch(cmds...)
}

// greet tells, once, what went on before this screen was opened.
func (m *model) greet() {
	if run := m.know.running(); len(run) > 0 && m.message == "" {
		m.message = goesOn(m.th, run, "still running") + "   (3 shows it)"
	}
}

// jobChanges compares two lists of jobs.
func jobChanges(before, after []vault.Job) (began, ended bool) {
	state := make(map[string]vault.JobState, len(before))
	for _, j := range before {
		state[j.ID] = j.State
	}
	for _, j := range after {
		was, ok := state[j.ID]
		began = began || !ok
		ended = ended || j.State != vault.JobRunning && (!ok || was == vault.JobRunning)
	}
	return began, ended
}

// addJob makes a job that was just launched known at once.
func (k *known) addJob(j vault.Job) {
	if _, ok := k.job(j.ID); !ok {
		k.jobs = slices.Insert(slices.Clone(k.jobs), 0, j)
		k.rows = rowsOf(k)
	}
}

// newer lets what a followed job told win over the older look at the jobs, so
// that two pages never show two numbers.
func (k *known) newer(j *job) {
	for i := range k.jobs {
		if k.jobs[i].ID == j.ref && k.jobs[i].State == vault.JobRunning {
			p := j.progress
			k.jobs[i].Stage, k.jobs[i].Progress = j.stage(), &p
			for _, r := range k.rows {
				if r.Job == j.ref {
					r.job = k.jobs[i]
				}
			}
		}
	}
}
