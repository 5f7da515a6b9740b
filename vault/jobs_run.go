package vault

import (
	"context"
	"encoding/json"
	"path/filepath"
	"time"

	"pgvault/fault"
	"pgvault/safetext"
	"pgvault/vault/job"
)

// journalProgress is how often a job's journal gets a Progress at most; the
// newest is always in its status.
const journalProgress = 5 * time.Second

// writtenOrder is what a job's folder says of its order.
type writtenOrder struct {
	Order Order  `json:"order"`
	Actor Actor  `json:"actor"`
	Vault string `json:"vault"`
}

// jobFacts is what a job's status says beside its order. Progress and Done
// are lines as in the journal.
type jobFacts struct {
	Database string          `json:"database,omitempty"`
	Archive  string          `json:"archive,omitempty"`
	Target   string          `json:"target,omitempty"`
	Stage    Stage           `json:"stage,omitempty"`
	Progress json.RawMessage `json:"progress,omitempty"`
	Done     json.RawMessage `json:"done,omitempty"`
}

// lockedJob ties a backup's lock to its job. A nil one is a run that is no
// job.
type lockedJob struct {
	name  string
	ready func()
}

func (l *lockedJob) id() string {
	if l == nil {
		return ""
	}
	return l.name
}

func (l *lockedJob) locked() {
	if l != nil {
		l.ready()
	}
}

func (v *Vault) jobs() job.Dir {
	return job.Dir{Path: filepath.Join(v.c.StateDir, "jobs"), Shared: v.stateShared()}
}

// RunBackup is Backup as a job in this process: it has a journal, can be
// seen and cancelled from elsewhere, and is in the audit trail.
func (v *Vault) RunBackup(ctx context.Context, o BackupOptions, sink Sink) error {
	return v.runJob(ctx, Order{Kind: KindBackup, Database: o.Database, Tags: o.Tags, NoCopy: o.NoCopy}, v.actor(), nil, sink, v.backupWork(o))
}

// RunVerify is Verify as a job in this process.
func (v *Vault) RunVerify(ctx context.Context, o VerifyOptions, sink Sink) error {
	return v.runJob(ctx, Order{Kind: KindVerify, ID: o.ID, Level: o.Level, Place: o.Place, AsSuperuser: o.AsSuperuser}, v.actor(), nil, sink, v.verifyWork(o))
}

// RunCopy is Copy as a job in this process.
func (v *Vault) RunCopy(ctx context.Context, o CopyOptions, sink Sink) error {
	return v.runJob(ctx, o.Order(), v.actor(), nil, sink, v.copyWork(o))
}

// Order is the copy as an order for Launch.
func (o CopyOptions) Order() Order {
	return Order{Kind: KindCopy, ID: o.ID, Missing: o.Missing, To: o.To}
}

// RunRestore is Restore as a job in this process.
func (v *Vault) RunRestore(ctx context.Context, p *RestorePlan, sink Sink) error {
	return v.runJob(ctx, p.Order(), v.actor(), nil, sink, func(ctx context.Context, r *recorder) error {
		return v.Restore(ctx, p, r.tell)
	})
}

// Order is the plan as an order for Launch: what a job of it is to do.
func (p *RestorePlan) Order() Order {
	o := Order{Kind: KindRestore, Database: p.Archive.Database, ID: p.Archive.ID, Place: p.o.Place, ToNew: p.Target, Tables: p.o.Tables,
		Workers: p.o.Jobs, NoOwner: p.o.NoOwner, CreateRoles: p.o.CreateRoles, NoTablespaces: p.o.NoTablespaces, FullRoles: p.o.FullRoles, IntoSchema: p.o.IntoSchema, SkipCompare: p.o.SkipCompare}
	if p.Empty {
		o.ToNew, o.ToEmpty = "", p.Target
	}
	return o
}

// work is a run whose events go to a recorder.
type work func(ctx context.Context, r *recorder) error

func (v *Vault) backupWork(o BackupOptions) work {
	return func(ctx context.Context, r *recorder) error {
		if r.run != nil {
			o.job = &lockedJob{r.run.ID(), r.ready}
		}
		r.more = o.More
		err := v.Backup(ctx, o, r.tell)
		if err == nil || fault.CodeOf(err) == fault.Partial {
			v.lookAfter(ctx, o.More)
		}
		return err
	}
}

func (v *Vault) copyWork(o CopyOptions) work {
	return func(ctx context.Context, r *recorder) error {
		err := v.Copy(ctx, o, r.tell)
		if err == nil || fault.CodeOf(err) == fault.Partial {
			v.lookAfter(ctx, false)
		}
		return err
	}
}

// lookAfter looks at every place, so that whoever looks next finds it
// remembered; that it fails means that they look themselves.
func (v *Vault) lookAfter(ctx context.Context, more bool) {
	w, err := v.look(ctx, screenWait)
	if err == nil && !more {
		v.leaveListings(ctx, w)
	}
}

func (v *Vault) verifyWork(o VerifyOptions) work {
	return func(ctx context.Context, r *recorder) error { return v.Verify(ctx, o, r.tell) }
}

// runJob does work as a job in this process, for parent if that is not nil.
// It ends with exactly one RunDone, whose error it returns. Where a job's
// folder cannot be made, a run in the foreground goes on without: the folder
// is for those who look, not for the work.
func (v *Vault) runJob(ctx context.Context, o Order, actor Actor, parent *job.Parent, sink Sink, do work) error {
	if sink == nil {
		sink = func(Event) {}
	}
	r := &recorder{v: v, order: o, actor: actor, parent: parent, sink: sink, since: v.now()}
	if v.c.StateDir == "" || v.writable() != nil { // the work refuses by itself
		return r.finish(ctx, do(ctx, r))
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	d := v.jobs()
	d.Prune(v.now())
	run, err := d.Create(v.now, v.random, writtenOrder{o, actor, v.c.Name}, cancel)
	if err != nil && parent != nil {
		parent.Reply("", err)
		return err
	}
	if r.run = run; err != nil {
		r.held = append(r.held, Notice{Level: "warning", Text: "this run has no journal: " + oneLine(err), At: v.now()})
	} else if parent != nil {
		r.ownStderr()
	}
	return r.finish(ctx, do(ctx, r))
}

// recorder writes a run's events into the job's journal and hands them on.
type recorder struct {
	v      *Vault
	order  Order
	more   bool // others follow in the same run, and the last of them tells of all
	actor  Actor
	parent *job.Parent
	run    *job.Run // nil: no folder could be made
	sink   Sink
	since  time.Time

	held  []Event // told after the first event
	begun bool
	facts jobFacts
	kept  time.Time // of the last Progress in the journal
	done  *RunDone
}

// tell is a Sink. The journal has an event before anybody else does: a
// terminal may be slow, or gone.
func (r *recorder) tell(e Event) {
	if d, ok := e.(RunDone); ok && r.done == nil {
		r.done = &d
		if !r.begun && d.Exit == fault.Running { // there will be no job: another one goes on
			r.sink(e)
			return
		}
		e = r.alert(d)
	}
	r.record(e)
	r.sink(e)
	for _, h := range r.held {
		r.record(h)
		r.sink(h)
	}
	r.held = nil
	if _, ok := e.(StageStarted); ok && r.order.Kind != KindBackup { // a backup begins when it has its lock
		r.ready()
	}
}

// record writes an event into the journal and the job's status.
func (r *recorder) record(e Event) {
	if r.run == nil {
		return
	}
	line, err := EncodeEvent(e)
	if err != nil {
		return // every event can be encoded, a test says so
	}
	switch e := e.(type) {
	case RunStarted:
		if r.order.Kind != KindRecover { // whose restores are parts of it
			r.facts.Archive, r.facts.Database, r.facts.Target = e.ID, e.Database, e.Target
		}
	case StageStarted:
		r.facts.Stage, r.kept = e.Stage, time.Time{}
	case Progress:
		r.facts.Progress = line
		r.run.SetFacts(r.facts)
		if e.At.Sub(r.kept) < journalProgress {
			return
		}
		r.kept = e.At
	case RunDone:
		r.facts.Done = shortDone(e)
	}
	r.run.Append(line)
	if _, many := e.(TableDone); !many {
		r.run.SetFacts(r.facts)
	}
}

// shortDone is a RunDone for a status, which is read often: with the first
// hundred differences.
func shortDone(d RunDone) json.RawMessage {
	d.Differences = d.Differences[:min(len(d.Differences), 100)]
	line, err := EncodeEvent(d)
	if err != nil {
		return nil
	}
	return line
}

// ready says that the run has begun: it is in the audit trail from now on,
// and a launcher need not wait any longer.
func (r *recorder) ready() {
	if r.begun {
		return
	}
	r.begun = true
	r.audit("started", "", 0)
	r.v.pingStarted(r.order)
	if r.run != nil {
		r.parent.Reply(r.run.ID(), nil)
	}
}

// finish ends the job. A run that gave no RunDone, because it failed before
// it was one, gets it here.
func (r *recorder) finish(ctx context.Context, err error) error {
	if r.done == nil {
		r.tell(doneWithout(ctx, r.order, err))
	}
	if r.run == nil { // Activity knows it from the trail alone
		r.audit(string(r.done.Result), outcome(*r.done), r.v.now().Sub(r.since))
		return err
	}
	if !r.begun && r.done.Exit == fault.Running {
		r.run.Discard()
		r.parent.Reply("", err)
		r.audit(string(ResultFailed), oneLine(err), 0)
		return err
	}
	_ = r.run.End(string(r.done.Result), r.facts) // what could not be written was for those who look; the run itself is done
	r.audit(string(r.done.Result), outcome(*r.done), r.v.now().Sub(r.since))
	r.parent.Reply(r.run.ID(), err)
	return err
}

func doneWithout(ctx context.Context, o Order, err error) RunDone {
	if err == nil {
		err = &fault.Error{What: "the run ended without a result", Do: "verify the archive before trusting it"}
	}
	d := RunDone{Kind: o.Kind, Result: ResultFailed, Exit: fault.CodeOf(err), ID: o.ID, Database: o.Database, Target: o.ToNew + o.ToEmpty, Err: err}
	if d.Exit == fault.Cancelled || ctx.Err() != nil {
		d.Result = ResultCancelled
	}
	return d
}

// audit writes the job into the audit trail. A trail that cannot be written
// does not stop a backup; Activity then shows the job from its folder.
func (r *recorder) audit(result, text string, took time.Duration) {
	line := auditLine{Actor: r.actor, Kind: string(r.order.Kind), What: r.what(), Result: result, Text: text, Seconds: took.Seconds()}
	switch {
	case r.run == nil && (result == "started" || r.v.writable() != nil || r.v.c.StateDir == ""): // its end says all
		return
	case r.run != nil && (r.begun || r.done.Exit != fault.Running): // else it never was a job
		line.Job = r.run.ID()
	}
	_ = r.v.trail().append(r.v.now(), line)
}

// what is the job's matter in a few words: "shop", "shop > shop_r".
func (r *recorder) what() string {
	database := orElse(r.facts.Database, r.order.Database)
	return jobWhat(r.order, orElse(database, orElse(r.order.ID, allMissing(r.order))), r.facts.Target)
}

// allMissing names what a run without an archive is of.
func allMissing(o Order) string {
	switch {
	case o.Missing:
		return "all that is missing"
	case o.Kind == KindRetention:
		return retainedWhat(o.Names)
	case o.Recover != nil:
		return "the vault " + safetext.Line(o.Recover.Vault)
	}
	if o.Kind == KindReseal {
		return "several archives"
	}
	return ""
}

func jobWhat(o Order, database, target string) string {
	if target = orElse(target, o.ToNew+o.ToEmpty); (o.Kind == KindRestore || o.Kind == KindSwitch) && target != "" {
		return safetext.Line(database) + " > " + safetext.Line(target)
	}
	return safetext.Line(database)
}
