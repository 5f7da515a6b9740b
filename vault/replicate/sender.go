package replicate

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"pgvault/fault"
	"pgvault/vault/archive"
	"pgvault/vault/store"
)

// errUnfit ends a sender whose source was not right: nothing of it is
// visible, and it says nothing of the target.
var errUnfit = errors.New("what was read is not the archive")

// piece is some bytes on their way to several senders; the last one that is
// done with it gives it back.
type piece struct {
	buf  []byte
	n    int
	refs atomic.Int32
	home *sync.Pool
}

func (p *piece) release() {
	if p.refs.Add(-1) == 0 {
		p.home.Put(p)
	}
}

// sender writes one part into one target, beside the reading of it.
type sender struct {
	t      *target
	n      int
	part   archive.Part
	queue  chan *piece
	dead   chan struct{} // closed when writing has failed
	done   chan<- ended
	fits   bool // what was read is right: this and done are set before queue is closed
	err    error
	sent   int64
	cancel context.CancelCauseFunc

	spent, since atomic.Int64 // nanoseconds in Create and Write; when the one that goes on began, 0 for none

	// These are the feed's.
	held   time.Duration // for how long others waited for this one alone
	closed bool
}

// send begins to write the nth part. How it ended comes out of done.
func (t *target) send(ctx context.Context, n int, done chan<- ended) *sender {
	s := &sender{t: t, n: n, part: t.c.opened.Manifest.Parts[n], queue: make(chan *piece, queueLength), dead: make(chan struct{}), done: done}
	ctx, s.cancel = context.WithCancelCause(ctx)
	go func() {
		err := s.run(ctx)
		s.cancel(nil)
		s.done <- ended{t, err}
	}()
	return s
}

// end says that no more pieces come; fits, that all of them were right. It
// may be called more than once, the first counts.
func (s *sender) end(fits bool) {
	if !s.closed {
		s.closed, s.fits = true, fits
		close(s.queue)
	}
}

// ended tells, and sees to it, that a sender whose writing failed has ended.
func (s *sender) ended() bool {
	select {
	case <-s.dead:
		s.end(false)
		return true
	default:
		return false
	}
}

// busy is how long the target was at work for this part.
func (s *sender) busy() time.Duration {
	d := s.spent.Load()
	if since := s.since.Load(); since != 0 {
		d += time.Now().UnixNano() - since
	}
	return time.Duration(d)
}

// run writes what comes and publishes it when it was right.
func (s *sender) run(ctx context.Context) error {
	began := time.Now()
	s.since.Store(began.UnixNano())
	w, err := store.CreateSized(ctx, s.t.Store, s.t.c.folder()+s.part.Name, s.part.Size)
	s.since.Store(0)
	s.spent.Add(int64(time.Since(began)))
	if err != nil {
		s.die(err)
	}
	for p := range s.queue {
		if s.err == nil {
			s.write(ctx, w, p.buf[:p.n])
		}
		p.release()
	}
	if w == nil {
		return s.err
	}
	err = s.err
	if err == nil && !s.fits {
		if err = context.Cause(ctx); err == nil {
			err = errUnfit
		}
	}
	if err == nil {
		err = s.publish(ctx, w)
	}
	if err != nil {
		_ = w.Abort()
		s.t.count(-s.sent, 0)
	}
	return err
}

func (s *sender) die(err error) {
	s.err = err
	close(s.dead)
}

// write writes one piece. A target that takes nothing for too long is told
// to end.
func (s *sender) write(ctx context.Context, w store.Writer, b []byte) {
	now := time.Now()
	s.since.Store(now.UnixNano())
	stalled := time.AfterFunc(s.t.c.Stall, func() { s.cancel(s.t.stalled()) })
	n, err := w.Write(b)
	stalled.Stop()
	s.since.Store(0)
	s.spent.Add(int64(time.Since(now)))
	s.sent += int64(n)
	s.t.count(int64(n), 0)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		s.die(err)
	}
}

// publish makes the part visible. Wrong bytes that lie under its name are
// removed first: the right ones are all there.
func (s *sender) publish(ctx context.Context, w store.Writer) error {
	t, n := s.t, s.n
	if t.wrong[n] {
		if err := t.remove(ctx, s.part.Name); err != nil {
			return err
		}
	}
	err := w.Commit(ctx)
	if errors.Is(err, store.ErrExist) {
		return s.meet(ctx)
	}
	if err != nil {
		return err
	}
	if t.wrong[n] {
		t.healed(s.part.Name)
	}
	t.right[n], t.wrong[n] = true, false
	return nil
}

// meet looks at what another host has published under the name meanwhile:
// the same bytes are as good as our own.
func (s *sender) meet(ctx context.Context) error {
	t := s.t
	equal, err := t.compare(ctx, s.part)
	if err != nil {
		return err
	}
	if !equal {
		return fmt.Errorf("%s of %s appeared in %s with other bytes", s.part.Name, t.c.ID, t.Name)
	}
	t.count(-s.sent, 0)
	t.right[s.n], t.wrong[s.n] = true, false
	return nil
}

func (t *target) stalled() error {
	return &fault.Error{Op: "copy", What: t.Name + " takes no more bytes", Why: fmt.Sprintf("not one for %s", t.c.Stall),
		Left: "what is being written is not visible; what lay there is unchanged", Do: "try again when it answers: pgvault copy --missing", Code: fault.PlaceUnreachable}
}

func isMissing(err error) bool { return errors.Is(err, store.ErrNotExist) }
