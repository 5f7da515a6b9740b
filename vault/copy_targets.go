package vault

import (
	"errors"
	"sync"
	"time"

	"pgvault/fault"
	"pgvault/vault/replicate"
)

// copyTarget is a place that copies go to in one run.
type copyTarget struct {
	site
	archives int   // that it is to get
	total    int64 // their bytes, at most
	busy     bool  // the scheduler's: something is on its way there

	mu             sync.Mutex
	state          PlaceStage
	sent           int64
	there          int64
	ready          int   // archives that it has now
	err            error // why it lacks some: the first reason
	over           bool  // nothing more is sent to it
	skip           int   // archives that another job brings
	failed, inARow int   // archives that did not come, and those since one did
	meter          []moment
}

// moment is how many bytes had passed at a time.
type moment struct {
	at    time.Time
	bytes int64
}

// rateSpan is how far back a rate looks.
const rateSpan = 8 * time.Second

func (t *copyTarget) passed(sent, there int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sent += sent
	t.there += there
}

func (t *copyTarget) is(s PlaceStage) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.state = s
}

// fail notes why an archive did not come to the place.
func (t *copyTarget) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil {
		t.err = err
	}
	t.failed++
	t.inARow++
	code := fault.CodeOf(err)
	switch {
	case errors.Is(err, replicate.ErrNoSource): // nothing is said of this place
		t.inARow = 0
	case code == fault.PlaceUnreachable, code == fault.NoSpace, t.inARow >= failuresInARow:
		t.over = true
	}
}

// failuresInARow is after how many failures nothing more is sent to a place.
const failuresInARow = 3

func (t *copyTarget) succeed() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ready++
	t.inARow = 0
}

// closed tells that nothing more is sent to the place.
func (t *copyTarget) closed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.over
}

// rest is the state between two archives: what is still to come, or how it
// ended.
func (t *copyTarget) rest() {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.over, t.failed > 0 && t.ready+t.skip+t.failed >= t.archives:
		t.state = PlaceFailed
	case t.ready+t.skip >= t.archives:
		t.state = PlaceReady
	default:
		t.state = PlaceWaiting
	}
}

func (t *copyTarget) result() PlaceResult {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := PlaceResult{Place: t.Name, Archives: t.ready, Bytes: t.sent, There: t.there, Err: t.err}
	if t.err != nil {
		r.Missing = t.archives - t.ready - t.skip
	}
	return r
}

// progress is where the place stands now.
func (t *copyTarget) progress(now time.Time) PlaceProgress {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := PlaceProgress{Place: t.Name, State: t.state, Bytes: min(t.sent+t.there, t.total), There: min(t.there, t.total), Total: t.total, Archives: t.archives, ArchivesDone: t.ready}
	t.meter = append(t.meter, moment{now, t.sent + t.there})
	for len(t.meter) > 2 && now.Sub(t.meter[0].at) > rateSpan {
		t.meter = t.meter[1:]
	}
	if span := now.Sub(t.meter[0].at).Seconds(); span > 0 && t.state == PlaceCopying {
		p.Rate = max(0, int64(float64(p.Bytes-t.meter[0].bytes)/span))
	}
	return p
}

// tell tells a Progress with all places.
func (c *copying) tell() {
	c.progress(func(p *Progress) {
		for _, t := range c.targets {
			at := t.progress(p.At)
			p.Places = append(p.Places, at)
			p.Bytes += at.Bytes
			p.BytesTotal += at.Total
		}
	})
}
