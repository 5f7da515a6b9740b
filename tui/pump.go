package tui

import (
	"sync"
	"time"

	"pgvault/vault"
)

// pump carries the events of one run from the engine to the screen. put never
// blocks; next gives what came, at most once an interval. Of Progress the
// newest wins, but a stage's last one stays; nothing else is dropped.
type pump struct {
	mu       sync.Mutex
	queue    []vault.Event
	progress *vault.Progress
	ended    bool // a RunDone was put, or it was closed
	last     time.Time
	wake     chan struct{}

	interval time.Duration
	now      func() time.Time
	after    func(time.Duration) <-chan time.Time
}

// newPump makes a pump that gives at most one batch an interval.
func newPump(interval time.Duration, now func() time.Time) *pump {
	return &pump{interval: interval, now: now, after: time.After, wake: make(chan struct{}, 1)}
}

// put is the vault.Sink of the run. What comes after RunDone is dropped, so
// that an engine's own end wins over the one made for it.
func (p *pump) put(e vault.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	switch e := e.(type) {
	case vault.Progress:
		p.coalesce(e)
	case vault.StageStarted, vault.StageDone:
		p.flush()
		p.queue = append(p.queue, e)
	case vault.RunDone:
		p.flush()
		p.queue = append(p.queue, e)
		p.ended = true
	default:
		p.queue = append(p.queue, e)
	}
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// coalesce replaces the waiting Progress; tables that only the older one
// names stay in it, because each Progress names only those that changed.
func (p *pump) coalesce(e vault.Progress) {
	if old := p.progress; old != nil && old.Stage == e.Stage {
		named := make(map[string]bool, len(e.Active))
		for _, t := range e.Active {
			named[t.Name] = true
		}
		var kept []vault.Table
		for _, t := range old.Active {
			if !named[t.Name] {
				kept = append(kept, t)
			}
		}
		e.Active = append(kept, e.Active...)
	} else {
		p.flush()
	}
	p.progress = &e
}

func (p *pump) flush() {
	if p.progress != nil {
		p.queue = append(p.queue, *p.progress)
		p.progress = nil
	}
}

// close ends the pump without a RunDone: what came before it is still given.
func (p *pump) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// next waits for events and gives them in order; nil after the RunDone or
// when the pump was closed.
func (p *pump) next() []vault.Event {
	for {
		p.mu.Lock()
		if p.ended && len(p.queue) == 0 && p.progress == nil {
			p.mu.Unlock()
			return nil
		}
		has := len(p.queue) > 0 || p.progress != nil
		rest := p.interval - p.now().Sub(p.last)
		if has && (p.ended || rest <= 0) {
			p.flush()
			out := p.queue
			p.queue, p.last = nil, p.now()
			p.mu.Unlock()
			return out
		}
		p.mu.Unlock()
		if !has {
			<-p.wake
			continue
		}
		select {
		case <-p.wake:
		case <-p.after(rest):
		}
	}
}
