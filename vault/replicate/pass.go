package replicate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"slices"
	"time"

	"pgvault/vault/archive"
)

// part brings the nth part to targets side by side and gives those that have
// it. Sources are tried until one was read right.
func (c *copier) part(ctx context.Context, ts []*target, n int) []*target {
	ts = c.each(ctx, ts, n, func(ctx context.Context, t *target) error { return t.inspect(ctx, n) })
	var have, need []*target
	for _, t := range ts {
		if t.right[n] {
			have = append(have, t)
		} else {
			need = append(need, t)
		}
	}
	for len(need) > 0 {
		src, err := c.source(ctx)
		if err != nil {
			c.fail(need, err)
			break
		}
		good, again := c.pass(ctx, src, n, need)
		have, need = append(have, good...), again
	}
	return have
}

// pass reads the nth part once and writes it to targets. good are those that
// have it now; again those for which it is to be read again, because what was
// read was not right. Others have failed, or go on alone.
func (c *copier) pass(ctx context.Context, src *source, n int, ts []*target) (good, again []*target) {
	f := &feed{c: c, src: src, n: n, part: c.opened.Manifest.Parts[n], sum: sha256.New()}
	done := make(chan ended, len(ts))
	for _, t := range ts {
		f.live = append(f.live, t.send(ctx, n, done))
	}
	err := f.run(ctx)
	if err != nil && ctx.Err() == nil {
		c.misread(src, n, err)
	}
	// Those that were parted from the pass tell their end elsewhere.
	count := len(ts) - f.parted
	if err == nil {
		return c.gather(ctx, done, count, n, n+1), nil
	}
	for range count {
		if e := <-done; e.err == errUnfit {
			again = append(again, e.t)
		} else {
			c.failed(ctx, e.t, n, e.err)
		}
	}
	return nil, again
}

// feed is one reading of a part and where its bytes go.
type feed struct {
	c      *copier
	src    *source
	n      int
	part   archive.Part
	offset int64     // where the next piece begins
	sum    hash.Hash // of all bytes before that; from start on only the summer's
	live   []*sender
	parted int // senders that go on alone

	began   time.Time
	from    int64 // offset at that time
	summing *summer
}

// run reads to the end of the part, gives each piece to all senders, and
// tells them whether the bytes were right. The error is that of the source.
func (f *feed) run(ctx context.Context) error {
	f.began, f.from = time.Now(), f.offset
	f.summing = newSummer(f.sum)
	err := f.read(ctx)
	sum := f.summing.end()
	if err == nil && len(f.live) > 0 {
		switch {
		case f.offset != f.part.Size:
			err = f.c.damage(f.src.Place, f.part, fmt.Sprintf("it ends after %d bytes and should have %d", f.offset, f.part.Size))
		case hex.EncodeToString(sum) != f.part.SHA256:
			err = f.c.damage(f.src.Place, f.part, "its SHA-256 is not the one that was recorded")
		}
	}
	for _, s := range f.live {
		s.end(err == nil)
	}
	return err
}

// read reads until the part ends, the source fails, or no sender is left.
func (f *feed) read(ctx context.Context) error {
	r, err := f.src.Store.Open(ctx, f.c.folder()+f.part.Name, f.offset, f.part.Size-f.offset+1)
	if err != nil {
		return f.unreadable(err)
	}
	defer r.Close()
	for len(f.live) > 0 {
		p := f.c.pieces.Get().(*piece)
		n, err := io.ReadFull(r, p.buf)
		p.n = n
		if over := f.offset+int64(n) > f.part.Size; over || n == 0 {
			f.c.pieces.Put(p)
			if over {
				return f.c.damage(f.src.Place, f.part, fmt.Sprintf("it is longer than the %d bytes that it should have", f.part.Size))
			}
		} else {
			f.hand(ctx, p)
		}
		switch err {
		case nil:
		case io.EOF, io.ErrUnexpectedEOF:
			return nil
		default:
			return f.unreadable(err)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}

// unreadable gives a source's error; a part that is not there is damage.
func (f *feed) unreadable(err error) error {
	if isMissing(err) {
		return f.c.damage(f.src.Place, f.part, "it is missing")
	}
	return err
}

// hand gives one piece to every sender and to the sum. It waits for those
// that are behind, and parts those that are too far behind.
func (f *feed) hand(ctx context.Context, p *piece) {
	f.live = slices.DeleteFunc(f.live, func(s *sender) bool { return s.ended() })
	p.refs.Store(int32(len(f.live)) + 1)
	keep := make([]*sender, 0, len(f.live))
	var behind []*sender
	for _, s := range f.live {
		select {
		case s.queue <- p:
			keep = append(keep, s)
		default:
			behind = append(behind, s)
		}
	}
	for i, s := range behind {
		if f.await(ctx, s, p, i == len(behind)-1) {
			keep = append(keep, s)
		} else {
			f.live = slices.DeleteFunc(f.live, func(o *sender) bool { return o == s })
		}
	}
	f.live = keep
	f.offset += int64(p.n)
	f.summing.add(p)
}

// await waits until a sender takes the piece. last says that it is the only
// one that keeps the others waiting. False says that the sender has left:
// its writing failed, or it goes on alone.
func (f *feed) await(ctx context.Context, s *sender, p *piece, last bool) bool {
	tick := time.NewTicker(max(time.Millisecond, f.c.Patience/8))
	defer tick.Stop()
	began, held := time.Now(), s.held
	for {
		select {
		case s.queue <- p:
			if last {
				s.held = held + time.Since(began)
			}
			return true
		case <-s.dead:
		case <-ctx.Done():
		case <-tick.C:
			if !last {
				continue
			}
			if s.held = held + time.Since(began); !f.tooSlow(s) {
				continue
			}
			p.release()
			f.letGo(ctx, s)
			return false
		}
		p.release()
		s.end(false)
		return false
	}
}

// tooSlow tells whether a sender has kept another waiting for longer than
// Patience that is at least four times as fast, and would go on to.
func (f *feed) tooSlow(s *sender) bool {
	if s.held < f.c.Patience {
		return false
	}
	took := time.Since(f.began)
	rest := time.Duration(float64(took) * float64(f.part.Size-f.offset) / max(1, float64(f.offset-f.from)))
	if rest < f.c.Patience {
		return false
	}
	busy := s.busy()
	for _, o := range f.live {
		if o != s && 4*o.busy() < busy {
			return true
		}
	}
	return false
}

// letGo parts a sender from the others: it goes on with a reading of its own
// from the byte where it stands, and the sum of all before that.
func (f *feed) letGo(ctx context.Context, s *sender) {
	f.parted++
	f.c.Note("info", fmt.Sprintf("%s takes its bytes much more slowly than the others and goes on by itself", s.t.Name))
	own := &feed{c: f.c, src: f.src, n: f.n, part: f.part, offset: f.offset, sum: f.summing.state(), live: []*sender{s}}
	done := make(chan ended, 1)
	s.done = done
	f.c.others.Go(func() {
		err := own.run(ctx)
		if err == nil {
			f.c.alone(ctx, done, 1, f.n, f.n+1)
			return
		}
		if ctx.Err() == nil {
			f.c.misread(own.src, own.n, err)
		}
		if e := <-done; e.err != errUnfit {
			f.c.failed(ctx, e.t, f.n, e.err)
		} else {
			f.c.together(ctx, []*target{e.t}, f.n)
		}
	})
}
