package vault

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestHealthSoonDoesNotWaitForADeadPlace: what is known is told before the dead
// place's time is over, and the end is what Health tells.
func TestHealthSoonDoesNotWaitForADeadPlace(t *testing.T) {
	for name, first := range map[string]bool{"the first place": true, "another place": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s3, _ := w.threePlaces()
			id := w.fabricate(made{database: "shop", at: time.Now()})
			w.bring("s3", "shop", id, nil)
			w.bring("nas", "shop", id, nil)
			w.list()
			if first {
				w.conf.Places[0], w.conf.Places[1] = w.conf.Places[1], w.conf.Places[0]
			}
			v := w.vault()
			v.slow.soon, v.slow.waiting = time.Millisecond, time.Minute
			told := make(chan *Health, 2)
			answer := make(chan struct{})
			s3.set(func(n *network) { n.before = func(context.Context, string) error { <-answer; return nil } })
			ended := make(chan *Health)
			go func() {
				h, err := v.HealthSoon(t.Context(), func(h *Health) { told <- h })
				if err != nil {
					t.Error(err)
				}
				ended <- h
			}()
			h := <-told
			for _, p := range h.Places {
				asks := p.State == PlaceAsking && strings.HasPrefix(p.Text, "asking...") && strings.HasSuffix(p.Text, "it held 1 archives") && !p.Reachable
				if p.Name == "s3" && !asks {
					t.Errorf("%+v", p)
				}
			}
			shop := slices.IndexFunc(h.Databases, func(d DatabaseHealth) bool { return d.Database == "shop" })
			if shop < 0 || h.Databases[shop].LastGood == nil || h.Databases[shop].Copies != 3 {
				t.Errorf("%+v", h.Databases)
			}
			close(answer)
			h = <-ended
			for _, p := range h.Places {
				if p.State == PlaceAsking || !p.Reachable {
					t.Errorf("in the end: %+v", p)
				}
			}
			if len(told) != 0 {
				t.Error("told early twice")
			}
		})
	}
}

// TestDeadPlaceWaitsOnce: a place that never answers costs its time once, not
// for each question that a look at the health has.
func TestDeadPlaceWaitsOnce(t *testing.T) {
	w := newWorld(t)
	s3, _ := w.threePlaces()
	id := w.fabricate(made{database: "shop", at: time.Now()})
	w.bring("s3", "shop", id, nil)
	w.list()
	s3.set(func(n *network) { n.stall = true })
	v := w.vault()
	v.slow.waiting = 700 * time.Millisecond
	began := time.Now()
	h, err := v.HealthSoon(t.Context(), func(*Health) {})
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took >= 2*v.slow.waiting {
		t.Errorf("it took %s", took)
	}
	if p := h.Places[1]; p.State != "x" || !strings.Contains(p.Text, "no whole answer") {
		t.Errorf("%+v", p)
	}
}

// TestHealthSoonOfAnUnknownVault tells nothing early: an empty list would say
// that no database was ever backed up.
func TestHealthSoonOfAnUnknownVault(t *testing.T) {
	w := newWorld(t)
	w.threePlaces()
	w.fabricate(made{database: "shop", at: time.Now()})
	if h := w.vault().healthBefore(t.Context(), time.Now()); h != nil {
		t.Errorf("%+v", h)
	}
}
