package guide

import (
	"fmt"

	"pgvault/fault"
	"pgvault/vault"
)

// Run is how the job of a step stands, from its events.
type Run struct {
	Job      vault.Job
	Stages   []vault.Stage
	Stage    int // index of the stage under way
	Progress vault.Progress
	Notices  []string
	Differs  []vault.TableDone // tables that are not as recorded
	Tables   int               // tables that have passed in this stage
	Done     *vault.RunDone
	Database string             // of a recovery: the one under way
	Rows     []vault.RecoverRow // of a recovery: those that have ended
}

// take brings one event in.
func (r *Run) take(e vault.Event) {
	switch e := e.(type) {
	case vault.RunStarted:
		r.Stages, r.Stage = e.Stages, 0
		r.Database, r.Progress, r.Tables = e.Database, vault.Progress{}, 0
	case vault.StageStarted:
		for i, s := range r.Stages {
			if s == e.Stage {
				r.Stage = i
			}
		}
		r.Progress, r.Tables = vault.Progress{Stage: e.Stage}, 0
	case vault.Progress:
		r.Progress = e
	case vault.TableDone:
		r.Tables++
		if e.State == vault.StateDiffers {
			r.Differs = append(r.Differs, e)
		}
	case vault.Notice:
		r.Notices = append(r.Notices, e.Text)
	case vault.DatabaseDone:
		r.Rows, r.Database, r.Stages = append(r.Rows, e.Row), "", nil
	case vault.RunDone:
		r.Done = &e
	}
}

// Percent is how far the stage under way has come, -1 when that is unknown.
// It is below 100 until the stage has ended.
func (r *Run) Percent() int {
	p := r.Progress
	var n, of int64
	switch {
	case p.RowsTotal > 0:
		n, of = p.Rows, p.RowsTotal
	case p.BytesTotal > 0:
		n, of = p.Bytes, p.BytesTotal
	case p.Tables > 0:
		n, of = int64(p.TablesDone), int64(p.Tables)
	default:
		return -1
	}
	return int(min(max(n*100/of, 0), 99))
}

// Doing says in one line what goes on: "load 3 of 6, ~43%".
func (r *Run) Doing() string {
	switch {
	case r.Done != nil:
		return string(r.Done.Result)
	case len(r.Stages) == 0:
		return "started"
	}
	s := fmt.Sprintf("%s, %d of %d", r.Stages[r.Stage], r.Stage+1, len(r.Stages))
	if n := r.Percent(); n >= 0 {
		about := ""
		if r.Progress.Estimate != "" {
			about = "~"
		}
		s += fmt.Sprintf(", %s%d%%", about, n)
	}
	return s
}

// Event brings an event of the job that w follows.
func (s *Session) Event(w *Work, e vault.Event) {
	if r := s.v.runs[w.step]; r != nil && r.Done == nil && !s.closed {
		r.take(e)
	}
}

// followed is the end of a Work that followed a job. Watch gives a RunDone
// also for a job that died; where it failed itself, that is the end too.
func (s *Session) followed(w *Work) Effect {
	w.void()
	r := s.v.runs[w.step]
	if r.Done == nil {
		err := w.err
		if err == nil {
			err = &fault.Error{What: "the end of the job is not known", Why: "its journal ends without one", Left: "the job may go on", Do: "look at it: pgvault job watch " + r.Job.ID}
		}
		r.Done = &vault.RunDone{Kind: r.Job.Order.Kind, Result: vault.ResultFailed, Exit: fault.CodeOf(err), Err: err}
	}
	if s.Step().Key == w.step {
		s.queueCheck()
	}
	return Effect{}
}
