package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"pgvault/fault"
	"pgvault/safetext"
	"pgvault/vault/job"
)

var _ Runs = (*Vault)(nil)

// Jobs implements Runs: this vault's, newest first.
func (v *Vault) Jobs(ctx context.Context) ([]Job, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	list, err := v.jobs().List()
	if err != nil {
		return nil, err
	}
	out := []Job{}
	for _, s := range list {
		if j := v.jobOf(s); j.Vault == v.c.Name {
			out = append(out, j)
		}
	}
	return out, nil
}

// Job gives one job by its id, or the beginning or end of one that no other
// id has.
func (v *Vault) Job(part string) (Job, error) {
	id, err := v.jobs().Find(part)
	if err != nil {
		return Job{}, err
	}
	s, err := v.jobs().Read(id)
	if err != nil {
		return Job{}, err
	}
	return v.jobOf(s), nil
}

// Cancel implements Runs.
func (v *Vault) Cancel(ctx context.Context, id string) error {
	if err := v.writable(); err != nil {
		return err
	}
	id, err := v.jobs().Find(id)
	if err != nil {
		return err
	}
	return v.jobs().Cancel(ctx, id)
}

// jobOf reads what a job's folder says. What cannot be read is left empty.
func (v *Vault) jobOf(s job.Status) Job {
	var o writtenOrder
	var f jobFacts
	_ = json.Unmarshal(s.Order, &o) // a foreign folder: it is then no vault's
	_ = json.Unmarshal(s.Facts, &f)
	if s.State == job.Died {
		f = v.deadFacts(s.ID, f)
	}
	j := Job{ID: s.ID, Vault: o.Vault, Order: o.Order, Archive: f.Archive, Target: orElse(f.Target, o.Order.ToNew+o.Order.ToEmpty), Actor: o.Actor,
		State: JobState(s.State), PID: s.PID, Started: s.Started, Ended: s.Ended, Stage: f.Stage}
	j.Order.Database = orElse(j.Order.Database, f.Database)
	if p, ok := decodeAs[Progress](f.Progress); ok {
		j.Progress = &p
	}
	if d, ok := decodeAs[RunDone](f.Done); ok {
		j.Done, j.State = &d, JobState(d.Result)
	}
	switch j.State {
	case JobDied:
		d := diedDone(j)
		j.Done = &d
	case JobOK, JobFailed, JobPartial, JobCancelled:
		j.Progress = nil
	case JobRunning:
	default:
		j.State = JobFailed
	}
	return j
}

// deadFacts brings the facts of a job that died up to its journal: its
// status may be a moment older, and it is the last stage that tells what is
// left. The end may be there too: it died between the two.
func (v *Vault) deadFacts(id string, f jobFacts) jobFacts {
	if known, ok := v.dead.Load(id); ok {
		return known.(jobFacts)
	}
	newest, _ := decodeAs[Progress](f.Progress)
	recovers := false // its restores' events are in its own journal
	err := v.jobs().Replay(context.Background(), id, func(line []byte) bool {
		if bytes.HasPrefix(line, []byte(`{"schema":1,"type":"table_done"`)) {
			return false // the many
		}
		e, _ := DecodeEvent(line) // a damaged line tells nothing
		switch e := e.(type) {
		case RunStarted:
			if recovers = recovers || e.Kind == KindRecover; !recovers {
				f.Archive, f.Database, f.Target = e.ID, e.Database, e.Target
			}
		case StageStarted:
			f.Stage = e.Stage
		case Progress:
			if !e.At.Before(newest.At) {
				newest, f.Progress = e, slices.Clone(line)
			}
		case RunDone:
			f.Done = slices.Clone(line)
		}
		return false
	})
	if newest.Stage != f.Stage { // of a stage before
		f.Progress = nil
	}
	if err == nil {
		v.dead.Store(id, f)
	}
	return f
}

func decodeAs[E Event](line []byte) (E, bool) {
	e, err := DecodeEvent(line)
	x, ok := e.(E)
	return x, ok && err == nil
}

// diedDone is the end of a job that had none.
func diedDone(j Job) RunDone {
	at := "the beginning"
	if j.Stage != "" {
		at = string(j.Stage)
	}
	if p := percent(j.Progress); p != "" {
		at += " (" + p + ")"
	}
	heard := ""
	if !j.Ended.IsZero() {
		heard = "; it was last heard of at " + j.Ended.UTC().Format(time.RFC3339)
	}
	name := orElse(j.Order.Database, orElse(j.Order.ID, allMissing(j.Order)))
	return RunDone{Kind: j.Order.Kind, Result: ResultFailed, Exit: fault.Failed, ID: j.Archive, Database: j.Order.Database, Target: j.Target,
		Seconds: max(0, j.Ended.Sub(j.Started).Seconds()),
		Err: &fault.Error{Op: string(j.Order.Kind), What: fmt.Sprintf("the %s of %s died at %s", j.Order.Kind, name, at),
			Why:  "its process ended without a word: it was killed, ran out of memory, or the machine went down; or the disk of the state folder was full" + heard,
			Left: leftByDead(j), Do: "start it again; what kills it again may be in the kernel's log (dmesg)", Code: fault.Failed}}
}

// leftByDead says what a runner that was killed leaves behind, by how far it
// had come.
func leftByDead(j Job) string {
	switch j.Order.Kind {
	case KindBackup:
		switch j.Stage {
		case "", StagePreflight, StageSnapshot, StageData:
			return "no archive was made; all older ones are as they were"
		case StageSeal:
			return "archive " + j.Archive + " is there if its manifest was written, and whole then; pgvault list tells; all older ones are as they were"
		}
		if j.Stage == StageCopies {
			return "archive " + j.Archive + " is there and proven; some place may not have its copy yet: the next backup sends it, or pgvault copy --missing"
		}
		return "archive " + j.Archive + " is there, whole as it was written; it is not yet proven readable"
	case KindReseal:
		return "the archives are as they were; what was resealed whole stays, and the next resealing goes on with the rest"
	case KindCopy:
		return "every copy that was listed is as it was; what came whole is listed, the next copy goes on from there"
	case KindImport:
		return "the original is as it was; its archive is there if pgvault list shows it; what the scratch server held is removed by the next run"
	case KindRetention:
		return "every archive is whole, or gone and not listed; the next run of retention goes on"
	case KindRestore:
		switch j.Stage {
		case "", StageCheck:
			return "nothing was made or changed"
		case StageCompare:
			return "database " + j.Target + " is there with all its rows, but is not proven equal; no other was touched"
		}
		return "database " + j.Target + " may be there, half made: drop it by hand; no other was touched"
	case KindRecover:
		if j.Stage == "" {
			return "no database was made; roles may have been"
		}
		return "each database that was reported is there; the one under way may be half made: the next recovery says which; no other was touched"
	case KindSwitch:
		if j.Stage == "" || j.Stage == StagePrepare {
			return "no name was changed"
		}
		return "both databases are whole, under their old names or their new ones; neither may accept logins: pgvault switch " + safetext.Word(j.Order.Database) + " --resume"
	}
	return "the archive is as it was"
}

// percent is how far a progress has come, "" where nobody can say. An
// estimate bears a ~.
func percent(p *Progress) string {
	if p == nil || p.RowsTotal <= 0 && len(p.Places) == 0 && p.Stage != StageReseal {
		return ""
	}
	if len(p.Places) > 0 || p.Stage == StageReseal {
		if p.BytesTotal <= 0 {
			return ""
		}
		return fmt.Sprintf("%d %%", min(99, p.Bytes*100/p.BytesTotal))
	}
	mark := ""
	if p.Estimate != "" {
		mark = "~"
	}
	return fmt.Sprintf("%s%d %%", mark, min(99, p.Rows*100/p.RowsTotal))
}

// outcome says how a run ended in a few words.
func outcome(d RunDone) string {
	switch {
	case d.Result == ResultCancelled:
		return "cancelled"
	case d.Err != nil:
		return oneLine(d.Err)
	case d.Kind == KindCopy:
		return outcomeOfCopy(d)
	case d.Kind == KindSwitch:
		return "the names are switched"
	case d.Recovered != nil:
		return fmt.Sprintf("%s, %d of %d tables equal", plural(int64(len(d.Recovered.Databases)), "database"), d.TablesEqual, d.TablesTotal)
	case d.Kind == KindReseal:
		return bytesText(d.Stored) + " sealed anew"
	case d.Retained != nil:
		return fmt.Sprintf("kept %d, marked %d, gone %d", d.Retained.Kept, d.Retained.Marked, d.Retained.Gone)
	case d.TablesTotal > 0:
		return fmt.Sprintf("%s: %d of %d tables equal", d.Proof, d.TablesEqual, d.TablesTotal)
	case d.Kind == KindBackup:
		return fmt.Sprintf("%s: %s, %s", d.Proof, plural(int64(d.Tables), "table"), plural(d.Rows, "row"))
	}
	return string(d.Proof)
}

func outcomeOfCopy(d RunDone) string {
	archives := 0
	for _, p := range d.Places {
		archives += p.Archives
	}
	if archives == 0 {
		return "nothing was missing"
	}
	return fmt.Sprintf("%s sent to %s: %s", bytesText(d.Stored), plural(int64(len(d.Places)), "place"), copies(archives))
}

func copies(n int) string {
	if n == 1 {
		return "1 copy"
	}
	return fmt.Sprintf("%d copies", n)
}

// Watch implements Runs.
func (v *Vault) Watch(ctx context.Context, id string, sink Sink) error {
	id, err := v.jobs().Find(id)
	if err != nil {
		return err
	}
	w := &watcher{v: v, sink: sink}
	ended, err := v.jobs().Follow(ctx, id, job.Reader{Line: w.line, Status: w.status})
	if err != nil || ended {
		return err
	}
	j, err := v.Job(id)
	if err != nil {
		return err
	}
	if j.Done == nil { // it runs again? Only a clock or a hand could do that
		return &fault.Error{Op: "watch", What: "the journal of job " + id + " has no end", Left: "nothing was changed", Do: "pgvault job list tells its state"}
	}
	sink(*j.Done)
	return nil
}

// Log tells the events that a job has told so far, without waiting for more.
func (v *Vault) Log(ctx context.Context, id string, sink Sink) error {
	j, err := v.Job(id)
	if err != nil {
		return err
	}
	w := &watcher{v: v, sink: sink}
	if err := v.jobs().Replay(ctx, j.ID, w.line); err != nil {
		return err
	}
	if !w.ended && j.State != JobRunning && j.Done != nil {
		sink(*j.Done)
	}
	return nil
}

// watcher turns a journal's lines into events.
type watcher struct {
	v     *Vault
	sink  Sink
	stage Stage
	told  time.Time // of the newest Progress
	ended bool
}

func (w *watcher) line(line []byte) (last bool) {
	e, err := DecodeEvent(line)
	switch e := e.(type) {
	case nil:
		if err != nil {
			w.sink(Notice{Level: "warning", Text: "a line of the job's journal cannot be read", At: w.v.now()})
		}
		return false
	case StageStarted:
		w.stage = e.Stage
	case Progress:
		if e.At.Before(w.told) {
			return false
		}
		w.told = e.At
	case RunDone:
		w.ended = true
	}
	w.sink(e)
	return w.ended
}

// status gives the newest Progress, which the journal has only now and then.
func (w *watcher) status(s job.Status) {
	var f jobFacts
	if json.Unmarshal(s.Facts, &f) != nil || s.State != job.Running {
		return
	}
	if p, ok := decodeAs[Progress](f.Progress); ok && p.Stage == w.stage && p.At.After(w.told) {
		w.told = p.At
		w.sink(p)
	}
}
