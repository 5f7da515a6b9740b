// Package replicate brings one archive from a place that has it to several
// places at once.
//
// # Promises
//
// The bytes are read once for all targets; a target that is much slower than
// another goes on by itself, see Patience. Nothing becomes visible in a target
// before the source's SHA-256 and size were found to be the manifest's, and
// the manifest comes last: a copy is whole or not there. What lies in a
// target already is kept if its bytes are right, which is found by reading
// them, never by a date or a size alone. What is wrong there is replaced
// after, and only after, the source was found right. A source whose bytes are
// wrong is read once more, then named and left, and the next one is tried.
//
// A target that fails never fails the others. It fails alone, with its error;
// what it had got stays, and the next copy goes on from there.
//
// The package knows places and the archive's format, neither servers nor
// faces.
package replicate

import (
	"context"
	"sync"
	"time"

	"pgvault/vault/archive"
	"pgvault/vault/store"
)

// Place is one end of a copy.
type Place struct {
	Name    string // what the configuration calls it
	Store   store.Store
	MinFree int64 // bytes that have to stay free there; 0: none
}

// Task is one archive that is to be brought to several places.
type Task struct {
	Vault    string // the vault's name
	VaultID  string
	File     *archive.VaultFile // the vault file, where a source has lost its own; may be nil
	Trust    *archive.Trust
	Database string
	ID       string

	Sources []Place // those that have it, the best first; one at a time is read
	Targets []Place // those that lack it, or whose copy is damaged

	// Patience is for how long a target may hold back one that is four times
	// as fast before the two are parted: it then goes on from where it
	// stands, with a reading of the source of its own. 0: 10 s.
	Patience time.Duration
	// Stall is after how long a target that takes no bytes is given up.
	// 0: 15 min.
	Stall time.Duration

	Now func() time.Time // nil: the clock

	// These may be nil. They are called from several goroutines, and must
	// not block.

	// Passed tells that so many bytes of parts more were written to a place,
	// or were found there; less than 0 where they turned out to be wrong.
	Passed func(place string, sent, there int64)
	// Note is told what a person should know: level is info or warning.
	Note func(level, text string)
	// Ended is told when targets that went together have come to their end.
	Ended func(which []Outcome)
}

// Outcome is how one target ended.
type Outcome struct {
	Place  string
	Sent   int64    // bytes of parts that were written
	There  int64    // bytes of parts that lay there and were read and found right
	Healed []string // objects that lay there with wrong bytes and were replaced
	Err    error    // nil: the place holds the whole archive, every byte of it compared
}

// Damage is a source whose bytes are not the archive's.
type Damage struct {
	Place string
	Err   error
}

// Result is how a copy ended.
type Result struct {
	Manifest *archive.Manifest // nil when no source could be opened
	Outcomes []Outcome         // in the order of Task.Targets
	Damaged  []Damage
	Used     string // name of the last source read from, empty for none
}

// pieceSize and queueLength bound the memory of a copy: for each target so
// many pieces wait at most.
const (
	pieceSize   = 512 << 10
	queueLength = 8
)

// copier is one Copy at work.
type copier struct {
	Task
	pieces sync.Pool
	others sync.WaitGroup // targets that go on by themselves

	mu      sync.Mutex // guards what follows
	sources []*source
	opened  *archive.Opened // of the first source that could be
	used    string
	targets []*target
}

// Copy does the task and returns when every target has come to an end. It
// never fails as a whole: each target has its error.
func Copy(ctx context.Context, t Task) Result {
	c := &copier{Task: t}
	c.pieces.New = func() any { return &piece{buf: make([]byte, pieceSize), home: &c.pieces} }
	c.defaults()
	for _, p := range t.Sources {
		c.sources = append(c.sources, &source{Place: p, tries: map[int]int{}})
	}
	for _, p := range t.Targets {
		c.targets = append(c.targets, newTarget(c, p))
	}
	if _, err := c.source(ctx); err != nil {
		c.fail(c.targets, err)
	} else {
		c.together(ctx, c.targets, 0)
		c.others.Wait()
	}
	return c.result()
}

func (c *copier) defaults() {
	if c.Patience <= 0 {
		c.Patience = 10 * time.Second
	}
	if c.Stall <= 0 {
		c.Stall = 15 * time.Minute
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Passed == nil {
		c.Passed = func(string, int64, int64) {}
	}
	if c.Note == nil {
		c.Note = func(string, string) {}
	}
	if c.Ended == nil {
		c.Ended = func([]Outcome) {}
	}
}

func (c *copier) result() Result {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := Result{Used: c.used}
	if c.opened != nil {
		r.Manifest = c.opened.Manifest
	}
	for _, s := range c.sources {
		if s.damaged {
			r.Damaged = append(r.Damaged, Damage{s.Name, s.out})
		}
	}
	for _, t := range c.targets {
		r.Outcomes = append(r.Outcomes, t.outcome())
	}
	return r
}

// together brings the parts from the nth on, and then the rest, to targets
// side by side. Those that fail or fall behind leave the others.
func (c *copier) together(ctx context.Context, ts []*target, n int) {
	ts = c.each(ctx, ts, n, func(ctx context.Context, t *target) error { return t.prepare(ctx) })
	for ; n < len(c.opened.Manifest.Parts) && len(ts) > 0; n++ {
		ts = c.part(ctx, ts, n)
	}
	if len(ts) == 0 {
		return
	}
	ts = c.each(ctx, ts, n, func(ctx context.Context, t *target) error { return t.seal(ctx) })
	c.end(ts)
}

// each does f for every target at once and gives those for which it went
// well. One that takes much longer than another goes on alone, from the
// nth part; one that fails is tried again alone, or has failed.
func (c *copier) each(ctx context.Context, ts []*target, n int, f func(context.Context, *target) error) []*target {
	done := make(chan ended, len(ts))
	for _, t := range ts {
		go func() { done <- ended{t, f(ctx, t)} }()
	}
	return c.gather(ctx, done, len(ts), n, n)
}

// ended is a target that was busy and no longer is.
type ended struct {
	t   *target
	err error
}

// gather waits for count busy targets and gives those that ended well. When
// some have and others take longer than Patience beyond that, those go on
// alone: from part next when they end well, again from part n when they do
// not.
func (c *copier) gather(ctx context.Context, done <-chan ended, count, n, next int) []*target {
	var good []*target
	var late <-chan time.Time
	for ; count > 0; count-- {
		select {
		case e := <-done:
			if e.err != nil {
				c.failed(ctx, e.t, n, e.err)
				continue
			}
			good = append(good, e.t)
		case <-late:
			c.others.Go(func() { c.alone(ctx, done, count, n, next) })
			return good
		}
		if late == nil && count > 1 {
			timer := time.NewTimer(c.Patience)
			defer timer.Stop()
			late = timer.C
		}
	}
	return good
}

// alone lets each of count busy targets go on by itself.
func (c *copier) alone(ctx context.Context, done <-chan ended, count, n, next int) {
	for range count {
		e := <-done
		if e.err != nil {
			c.failed(ctx, e.t, n, e.err)
			continue
		}
		c.others.Go(func() { c.together(ctx, []*target{e.t}, next) })
	}
}

// failed tries a target again from the nth part where that may help, once
// for each part; else it has failed.
func (c *copier) failed(ctx context.Context, t *target, n int, err error) {
	if ctx.Err() == nil && mayPass(err) && t.again(n) {
		c.others.Go(func() { c.together(ctx, []*target{t}, n) })
		return
	}
	c.fail([]*target{t}, err)
}

func (c *copier) fail(ts []*target, err error) {
	for _, t := range ts {
		t.fail(err)
	}
	c.end(ts)
}

func (c *copier) end(ts []*target) {
	var out []Outcome
	for _, t := range ts {
		out = append(out, t.outcome())
	}
	if len(out) > 0 {
		c.Ended(out)
	}
}
