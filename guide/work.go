package guide

import (
	"context"
	"errors"
	"slices"
	"sync"

	"pgvault/vault"
)

type workKind int

const (
	kindLoad workKind = iota
	kindCheck
	kindDo
	kindAction
	kindLaunch
	kindFollow
	kindSave
)

// Work is something that may take long. A face calls Run on a goroutine of
// its own and gives the Work back with Session.Done.
type Work struct {
	Say string // what goes on, in a few words

	kind   workKind
	step   string
	v      *Values
	run    func(context.Context, *Values, Talk) error
	check  func(context.Context, *Values) []Line
	act    func(context.Context, *Values, Talk) (Effect, error)
	save   func() error
	launch func(context.Context, *Values, Talk) (vault.Job, error)
	follow func(context.Context, vault.Sink) error

	once   sync.Once
	gone   chan struct{} // closed when the answer no longer counts
	lines  []Line
	effect Effect
	job    vault.Job
	err    error
}

// Live tells whether the Work is a live check: a face may wait a moment
// before it runs one, in case the next letter makes it void.
func (w *Work) Live() bool { return w.kind == kindCheck }

// Follows tells whether the Work tells the events of a job; Run then takes as
// long as the job, and each event goes to Session.Event on the goroutine of
// the session.
func (w *Work) Follows() bool { return w.kind == kindFollow }

// Void tells whether nobody waits for the Work any more.
func (w *Work) Void() bool {
	select {
	case <-w.gone:
		return true
	default:
		return false
	}
}

// Gone is closed when nobody waits for the Work any more.
func (w *Work) Gone() <-chan struct{} { return w.gone }

func (w *Work) void() { w.once.Do(func() { close(w.gone) }) }

// Run does the Work. It ends early when ctx does or when the session no
// longer waits for it. sink gets the events of a Work that Follows; it may be
// nil for the others. A panic in a step is not caught here.
func (w *Work) Run(ctx context.Context, t Talk, sink vault.Sink) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-w.gone:
			stop()
		case <-ended:
		}
	}()
	switch w.kind {
	case kindCheck:
		w.lines = w.check(ctx, w.v)
	case kindAction:
		w.effect, w.err = w.act(ctx, w.v, t)
	case kindSave:
		w.err = w.save()
	case kindLaunch:
		w.job, w.err = w.launch(ctx, w.v, t)
	case kindFollow:
		w.err = w.follow(ctx, sink)
	default:
		w.err = w.run(ctx, w.v, t)
	}
}

// Pending gives the next Work that waits to be run, nil when there is none.
func (s *Session) Pending() *Work {
	for len(s.queue) > 0 {
		w := s.queue[0]
		s.queue = s.queue[1:]
		if !w.Void() {
			return w
		}
	}
	return nil
}

// Done takes a Work back after its Run and gives what the face should do
// now. What a void Work brings is dropped.
func (s *Session) Done(w *Work) Effect {
	switch {
	case w.kind == kindSave:
		if w.err != nil {
			return Effect{Say: "the draft could not be kept: " + w.err.Error()}
		}
		return Effect{}
	case w.Void() || s.closed:
		return Effect{}
	case w.kind == kindFollow:
		return s.followed(w)
	}
	defer w.void()
	if w.kind == kindCheck {
		s.lines, s.check = w.lines, nil
		return Effect{}
	}
	s.busy = nil
	s.v.take(w.v)
	if errors.Is(w.err, context.Canceled) {
		return Effect{Say: "stopped"}
	}
	s.err = w.err
	switch w.kind {
	case kindLoad:
		s.v.Put(failed, nil)
		if w.err != nil {
			s.v.Put(failed, w.step)
		}
		s.settle()
		s.queueCheck()
	case kindLaunch:
		if w.err == nil {
			s.reached = s.at
			s.v.runs[w.step] = &Run{Job: w.job}
			s.watch(w.step)
			s.save()
		}
	case kindAction:
		return s.acted(w)
	case kindDo:
		if w.err == nil {
			s.advance()
		}
	}
	return Effect{}
}

// acted does the part of an Effect that is the session's own.
func (s *Session) acted(w *Work) Effect {
	s.settle()
	e := w.effect
	switch {
	case w.err != nil:
	case e.Done:
		s.leave()
		s.finish()
	case e.Goto != "":
		s.GoTo(e.Goto)
	case e.Reload && s.Step().Load != nil:
		s.load()
	default:
		s.queueCheck()
	}
	return e
}

// start queues the one Work that keeps the step busy.
func (s *Session) start(k workKind, say string) *Work {
	w := &Work{Say: say, kind: k, step: s.Step().Key, v: s.v.copy(), gone: make(chan struct{})}
	s.busy = w
	s.queue = append(s.queue, w)
	return w
}

// queueCheck makes the older check void and queues a new one.
func (s *Session) queueCheck() {
	if s.check != nil {
		s.check.void()
		s.check = nil
	}
	st := s.Step()
	if st.Check == nil {
		return
	}
	s.check = &Work{Say: "checking", kind: kindCheck, step: st.Key, v: s.v.copy(), check: st.Check, gone: make(chan struct{})}
	s.queue = append(s.queue, s.check)
}

// save queues the keeping of a draft.
func (s *Session) save() {
	if s.g.Save == nil || s.done || s.closed {
		return
	}
	d := s.Draft()
	s.queue = append(s.queue, &Work{kind: kindSave, save: func() error { return s.g.Save(d) }, gone: make(chan struct{})})
}

// launch queues the start of the step's job.
func (s *Session) launch() {
	st := s.Step()
	w := s.start(kindLaunch, first(st.Loading, "starting the job"))
	w.launch = func(ctx context.Context, v *Values, t Talk) (vault.Job, error) {
		if s.g.Runs == nil {
			return vault.Job{}, errNoRuns
		}
		if st.Launched != nil {
			jobs, err := s.g.Runs.Jobs(ctx)
			if err != nil {
				return vault.Job{}, err
			}
			if i := slices.IndexFunc(jobs, func(j vault.Job) bool { return st.Launched(v, j) }); i >= 0 {
				return jobs[i], nil
			}
		}
		order, secrets, err := st.Job(ctx, v, t)
		if err != nil {
			return vault.Job{}, err
		}
		return s.g.Runs.Launch(ctx, order, secrets)
	}
}

// watch queues the following of a step's job.
func (s *Session) watch(step string) {
	id := s.v.runs[step].Job.ID
	for _, w := range s.follow {
		if w.step == step && !w.Void() {
			return
		}
	}
	w := &Work{Say: "following the job", kind: kindFollow, step: step, gone: make(chan struct{})}
	w.follow = func(ctx context.Context, sink vault.Sink) error {
		if s.g.Runs == nil {
			return errNoRuns
		}
		return s.g.Runs.Watch(ctx, id, sink)
	}
	s.follow = append(s.follow, w)
	s.queue = append(s.queue, w)
}
