package vault

import (
	"context"
	"sync"
	"time"

	"pgvault/vault/archive"
)

// soonWait is how long a screen waits for places before it is told what is
// known without those that have not answered yet: less than a person takes to
// read the first line.
const soonWait = 300 * time.Millisecond

// HealthSoon is Health for who must not wait for a place that does not answer:
// when some have not after a moment, early gets, once and from another
// goroutine, what is known by then. Those still being asked are told of as they
// are remembered, with PlaceAsking. After HealthSoon has returned, early is not
// called any more. Where nothing is remembered of any place, it is not either.
func (v *Vault) HealthSoon(ctx context.Context, early func(*Health)) (*Health, error) {
	var mu sync.Mutex
	began, done := v.now(), false
	ctx, stop := context.WithCancel(ctx)
	wait := soonWait
	if v.slow.soon > 0 {
		wait = v.slow.soon
	}
	timer := time.AfterFunc(wait, func() {
		h := v.healthBefore(ctx, began)
		mu.Lock()
		defer mu.Unlock()
		if h != nil && !done {
			early(h)
		}
	})
	h, err := v.Health(ctx)
	timer.Stop()
	stop()
	mu.Lock()
	defer mu.Unlock()
	done = true
	return h, err
}

// healthBefore tells what is known without waiting for any place: of those that
// answered since began what they said, of the others what is remembered. nil
// where that is nothing, or ctx has ended.
func (v *Vault) healthBefore(ctx context.Context, began time.Time) *Health {
	sites, err := v.sites()
	vf := v.rememberedFile()
	if err != nil || vf == nil {
		return nil
	}
	w := &view{at: v.now()}
	known := false
	for _, s := range sites {
		r := v.recall(s)
		if r != nil && r.vaultID != vf.ID {
			r = nil
		}
		at := sight{site: s, seen: r, asking: s.ready() == nil && (r == nil || r.at.Before(began)), err: s.ready()}
		known = known || r != nil
		w.sights = append(w.sights, at)
	}
	if !known {
		return nil
	}
	w.archives = v.merge(w.sights, false)
	h, err := v.unasked(vf).healthOf(ctx, w, nil)
	if err != nil {
		return nil
	}
	return h
}

// unasked is this vault for who asks no place: it knows already which vault it
// is.
func (v *Vault) unasked(vf *archive.VaultFile) *Vault {
	u := New(v.c)
	u.now, u.random, u.free, u.vf = v.now, v.random, v.free, vf
	return u
}
