package guide

import (
	"errors"
	"slices"

	"pgvault/fault"
	"pgvault/vault"
)

// Session is one walk through a Guide: where it stands, what was answered,
// and the Works that wait to be run. Its methods are called from one
// goroutine; after each of them the face runs what Pending gives.
type Session struct {
	g  *Guide
	v  *Values
	at int

	err     error  // of Load, Do or Job at this step
	lines   []Line // of the newest Check
	busy    *Work  // Load, Do, Job or an Action under way
	check   *Work  // the newest Check, under way or waiting
	follow  []*Work
	queue   []*Work
	done    bool
	closed  bool
	reached int // no step before this one can be gone back to
}

// New begins g with what v knows already; nil: nothing. A step whose answer
// is known is left with GoTo.
func New(g *Guide, v *Values) *Session {
	if v == nil {
		v = NewValues()
	}
	s := begin(g, v)
	s.at = s.next(-1)
	s.enter()
	return s
}

func begin(g *Guide, v *Values) *Session {
	for _, st := range g.Steps {
		for _, f := range st.Fields {
			if f.Kind == Secret {
				v.SecretOf(f.Key) // so that every copy of v shares it
			}
		}
	}
	return &Session{g: g, v: v}
}

// GoTo goes to the step with this key without asking for those before it;
// false when there is none that applies.
func (s *Session) GoTo(key string) bool {
	i := s.index(key)
	if i < 0 || s.skipped(i) || i < s.reached {
		return false
	}
	s.leave()
	s.at = i
	s.enter()
	return true
}

// Guide is what is shown.
func (s *Session) Guide() *Guide { return s.g }

// Values is what is known. A face that changes an answer calls Edited.
func (s *Session) Values() *Values { return s.v }

// Step is the step shown.
func (s *Session) Step() *Step { return &s.g.Steps[s.at] }

// Err is what Load, Do or Job said of this step, nil for nothing.
func (s *Session) Err() error { return s.err }

// Lines are what the newest Check of this step said.
func (s *Session) Lines() []Line { return s.lines }

// Busy says what goes on, empty for nothing.
func (s *Session) Busy() string {
	if s.busy == nil {
		return ""
	}
	return s.busy.Say
}

// Finished tells whether the last step was left forwards, or an Action ended
// the guide.
func (s *Session) Finished() bool { return s.done }

// Running tells whether the step's job goes on.
func (s *Session) Running() bool {
	return s.Step().Job != nil && s.v.Run(s.Step().Key) != nil && s.v.Ended(s.Step().Key) == nil
}

// Crumb is one step in the trail of steps.
type Crumb struct {
	Name  string
	State string // "ok" for those behind, "now", or empty for those to come
}

// Trail gives the steps that apply, and the place of the step shown among
// them, from 1.
func (s *Session) Trail() (trail []Crumb, place int) {
	for i := range s.g.Steps {
		if s.skipped(i) && i != s.at {
			continue
		}
		c := Crumb{Name: s.g.Steps[i].Name}
		if c.Name == "" && len(trail) > 0 {
			if i == s.at {
				trail[len(trail)-1].State, place = "now", len(trail)
			}
			continue
		}
		switch {
		case i < s.at:
			c.State = "ok"
		case i == s.at:
			c.State, place = "now", len(trail)+1
		}
		trail = append(trail, c)
	}
	return trail, place
}

// Fields gives the fields of the step that apply now.
func (s *Session) Fields() []*Field {
	var out []*Field
	for i := range s.Step().Fields {
		f := &s.Step().Fields[i]
		if f.When == nil || f.When(s.v) {
			out = append(out, f)
		}
	}
	return out
}

// Edited says that the answer under key was changed: its check is made anew.
func (s *Session) Edited(key string) {
	s.v.touched[key] = true
	s.settle()
	if s.Step().Job == nil && s.busy == nil {
		s.err = nil
	}
	s.queueCheck()
}

// Problem tells why the step cannot be left forwards, empty when it can.
func (s *Session) Problem() string {
	for _, f := range s.Fields() {
		if p := s.problem(f); p != "" {
			return p
		}
	}
	return ""
}

func (s *Session) problem(f *Field) string {
	value := []byte(s.v.Get(f.Key))
	said := Line{}
	switch f.Kind {
	case Secret:
		n := 0
		s.v.SecretOf(f.Key).Use(func(b []byte) {
			if n = len(b); n > 0 && f.Valid != nil {
				said = f.Valid(s.v, b)
			}
		})
		value = make([]byte, min(n, 1))
	case Many:
		value = make([]byte, min(len(s.v.List(f.Key)), 1))
	case Choice:
		for _, o := range f.Options(s.v) {
			if o.Value == string(value) && o.Off != "" {
				return o.Off
			}
		}
	}
	switch {
	case len(value) == 0 && !f.Optional:
		return f.Label + ": nothing is given yet"
	case len(value) == 0:
		return ""
	case f.Kind == Number && !digits(value):
		return f.Label + ": a whole number is needed"
	case f.Kind != Secret && f.Valid != nil:
		said = f.Valid(s.v, value)
	}
	if said.State == "x" {
		return said.Text
	}
	return ""
}

func digits(b []byte) bool {
	return len(b) < 19 && !slices.ContainsFunc(b, func(c byte) bool { return c < '0' || c > '9' })
}

// Next leaves the step forwards, or says in one line why not. Where the step
// has something to do first, that is Pending, and the step is left when it
// is done.
func (s *Session) Next() string {
	st := s.Step()
	switch {
	case s.closed || s.done:
		return ""
	case s.busy != nil:
		return "wait: " + s.busy.Say
	case s.Running():
		return "the job still runs"
	case s.err != nil && s.failedToLoad():
		s.load()
		return ""
	}
	if p := s.Problem(); p != "" {
		return p
	}
	s.err = nil
	if st.Do != nil {
		w := s.start(kindDo, first(st.Doing, "checking"))
		w.run = st.Do
		return ""
	}
	s.advance()
	return ""
}

func (s *Session) failedToLoad() bool {
	st := s.Step()
	return s.v.Fact(failed) == st.Key || st.Job != nil && s.v.Run(st.Key) == nil
}

// failed is the fact that names the step whose Load failed.
const failed = "guide: failed to load"

// Back goes to the step before, with all answers kept, or ends what goes on.
// It says in one line why it did neither; ok is false at the first step,
// from where a face leaves.
func (s *Session) Back() (say string, ok bool) {
	switch {
	case s.busy != nil && s.busy.kind != kindLoad && s.busy.kind != kindLaunch:
		s.busy.void()
		s.busy = nil
		return "stopped", true
	case s.busy != nil && s.busy.kind == kindLaunch:
		return "wait: " + s.busy.Say, true
	case s.Running():
		return "the job runs by itself; leaving does not stop it", true
	}
	for i := s.at - 1; i >= 0; i-- {
		if s.skipped(i) {
			continue
		}
		if i < s.reached {
			return "what is done cannot be taken back from here", true
		}
		s.leave()
		s.at = i
		s.enter()
		return "", true
	}
	return "", false
}

// Act begins the step's action with this key, or says why not.
func (s *Session) Act(key string) string {
	for _, a := range s.Step().Actions {
		if a.Key != key {
			continue
		}
		if a.Off != nil {
			if why := a.Off(s.v); why != "" {
				return why
			}
		}
		if s.busy != nil {
			return "wait: " + s.busy.Say
		}
		w := s.start(kindAction, a.Name)
		w.act = a.Do
		return ""
	}
	return key + " does nothing here"
}

// Leave keeps a draft where the guide does; the face closes the session
// afterwards. It is Pending like everything else.
func (s *Session) Leave() { s.save() }

// Close ends what goes on and wipes every secret. Jobs go on.
func (s *Session) Close() {
	s.leave()
	for _, w := range s.follow {
		w.void()
	}
	s.queue, s.closed = nil, true
	s.v.wipe()
}

// leave makes void what belongs to this step.
func (s *Session) leave() {
	for _, w := range []*Work{s.busy, s.check} {
		if w != nil {
			w.void()
		}
	}
	s.busy, s.check = nil, nil
}

// enter begins the step that at names.
func (s *Session) enter() {
	s.err, s.lines = nil, nil
	st := s.Step()
	for i := range st.Fields {
		if f := &st.Fields[i]; s.v.Get(f.Key) == "" && f.Default != "" {
			s.v.Propose(f.Key, f.Default)
		}
	}
	s.settle()
	switch {
	case st.Job != nil && s.v.Run(st.Key) != nil:
		s.reached = s.at
		s.watch(st.Key)
	case st.Job != nil:
		s.launch()
	case st.Load != nil:
		s.load()
	default:
		s.queueCheck()
	}
}

func (s *Session) load() {
	st := s.Step()
	s.err = nil
	if st.Job != nil {
		s.launch()
		return
	}
	w := s.start(kindLoad, first(st.Loading, "looking"))
	w.run = st.Load
}

// settle gives every Choice a value that can be chosen.
func (s *Session) settle() {
	for _, f := range s.Fields() {
		if f.Kind == YesNo && s.v.Get(f.Key) == "" {
			s.v.Propose(f.Key, "no")
		}
		if f.Kind != Choice {
			continue
		}
		now, best, there := s.v.Get(f.Key), "", false
		for _, o := range f.Options(s.v) {
			there = there || o.Value == now
			if best == "" && o.Off == "" {
				best = o.Value
			}
		}
		if !there && best != "" {
			s.v.texts[f.Key] = best
			s.v.touched[f.Key] = false
		}
	}
}

// advance goes to the next step that applies; after the last one the guide
// is done.
func (s *Session) advance() {
	if st := s.Step(); st.Final || st.Job != nil {
		s.reached = s.at + 1
	}
	s.leave()
	n := s.next(s.at)
	if n < 0 {
		s.finish()
		return
	}
	s.at = n
	s.enter()
	s.save()
}

func (s *Session) finish() {
	s.done = true
	if s.g.Drop != nil {
		s.queue = append(s.queue, &Work{kind: kindSave, save: s.g.Drop, gone: make(chan struct{})})
	}
}

// next is the first step after i that applies, -1 when there is none.
func (s *Session) next(i int) int {
	for i++; i < len(s.g.Steps); i++ {
		if !s.skipped(i) {
			return i
		}
	}
	return -1
}

func (s *Session) skipped(i int) bool {
	skip := s.g.Steps[i].Skip
	return skip != nil && skip(s.v)
}

func (s *Session) index(key string) int {
	return slices.IndexFunc(s.g.Steps, func(st Step) bool { return st.Key == key })
}

// errNoRuns is what a guide says whose author forgot the Runs.
var errNoRuns = &fault.Error{What: "this guide cannot start a job", Why: "nothing is there to start it with", Left: "nothing was started", Do: "use the command line", Code: fault.Failed}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// Ended tells how a job that is given as an error ended well or not: nil for
// ok, else what it said.
func Ended(d *vault.RunDone) error {
	switch {
	case d == nil:
		return errors.New("the job has not ended")
	case d.Err != nil:
		return d.Err
	case d.Result != vault.ResultOK:
		return errors.New("the job ended: " + string(d.Result))
	}
	return nil
}
