package vault

import (
	"context"

	"golang.org/x/sys/unix"

	"pgvault/fault"
	"pgvault/vault/job"
)

// launchMessage is what a runner is told through its socket.
type launchMessage struct {
	Order   Order   `json:"order"`
	Secrets Secrets `json:"secrets"`
	Actor   Actor   `json:"actor"`
	Advice  string  `json:"advice,omitempty"` // for the journal
}

// Launch implements Runs. With an error the Job is that of the run that
// failed at its start, if it came so far that it has one.
func (v *Vault) Launch(ctx context.Context, o Order, s Secrets) (Job, error) {
	if err := v.writable(); err != nil {
		return Job{}, err
	}
	if len(v.c.Runner) == 0 {
		return Job{}, &fault.Error{Op: "launch", What: "a job cannot be started from here", Why: "this process does not know how pgvault was called", Left: "nothing was started", Do: "run pgvault " + string(o.Kind) + " instead", Code: fault.Refused}
	}
	command := append(v.c.Runner[:len(v.c.Runner):len(v.c.Runner)], "job", "run")
	id, err := v.jobs().Launch(ctx, job.Start{Command: command, Name: "pgvault-" + string(o.Kind),
		Message: launchMessage{o, s, v.actor(), job.Advice()}})
	if id == "" {
		return Job{}, err
	}
	j, rerr := v.Job(id)
	if err == nil {
		err = rerr
	}
	return j, err
}

// Start is a runner's order from its launcher.
type Start struct {
	m      launchMessage
	parent *job.Parent
}

// ReceiveStart takes the order at address, in the process that Launch
// started. The launcher's environment is set by it where it is not
// inherited, so it comes before the configuration is read.
func ReceiveStart(address string) (*Start, error) {
	s := &Start{}
	var err error
	s.parent, err = job.Answer(address, &s.m)
	return s, err
}

// Order is what was ordered.
func (s *Start) Order() Order { return s.m.Order }

// Refuse tells the launcher why the runner does not begin.
func (s *Start) Refuse(err error) { s.parent.Reply("", err) }

// RunStart does what the launcher ordered, as a job in this process.
func (v *Vault) RunStart(ctx context.Context, s *Start) error {
	o, ids := s.m.Order, s.m.Secrets.Identities()
	s.m.Secrets = Secrets{}
	var do work
	switch o.Kind {
	case KindBackup:
		do = v.backupWork(BackupOptions{Database: o.Database, Tags: o.Tags, NoCopy: o.NoCopy})
	case KindVerify:
		do = v.verifyWork(VerifyOptions{ID: o.ID, Level: o.Level, Place: o.Place, Identities: ids, AsSuperuser: o.AsSuperuser})
	case KindRestore:
		do = v.restoreWork(RestoreOptions{ID: o.ID, Place: o.Place, ToNew: o.ToNew, ToEmpty: o.ToEmpty, Tables: o.Tables, Jobs: o.Workers, Identities: ids,
			NoOwner: o.NoOwner, CreateRoles: o.CreateRoles, NoTablespaces: o.NoTablespaces, FullRoles: o.FullRoles, IntoSchema: o.IntoSchema, SkipCompare: o.SkipCompare})
	case KindCopy:
		do = v.copyWork(CopyOptions{ID: o.ID, Missing: o.Missing, To: o.To})
	case KindRetention:
		do = v.retentionWork(o)
	case KindSwitch:
		do = v.switchWork(o)
	case KindRecover:
		do = v.recoverWork(o, ids)
	default:
		err := &fault.Error{Op: "launch", What: "a job of an unknown kind was ordered", Why: "kind " + string(o.Kind), Left: "nothing was started", Do: "start it with the same version of pgvault", Code: fault.Usage}
		s.Refuse(err)
		return err
	}
	if advice := s.m.Advice; advice != "" {
		do = advised(do, Notice{Level: "info", Text: advice, At: v.now()})
	}
	return v.runJob(ctx, o, s.m.Actor, s.parent, nil, do)
}

func advised(do work, n Notice) work {
	return func(ctx context.Context, r *recorder) error {
		r.held = append(r.held, n)
		return do(ctx, r)
	}
}

func (v *Vault) restoreWork(o RestoreOptions) work {
	return func(ctx context.Context, r *recorder) error {
		plan, err := v.PlanRestore(ctx, o)
		if err != nil {
			return err
		}
		return v.Restore(ctx, plan, r.tell)
	}
}

// ownStderr lets a runner without a terminal write the trace of a panic into
// its job's folder.
func (r *recorder) ownStderr() {
	f, err := r.run.Stderr()
	if err != nil {
		return
	}
	defer f.Close()
	_ = unix.Dup3(int(f.Fd()), 2, 0)
}
