package vault

import (
	"context"
	"time"

	"pgvault/vault/retention"
)

// NextRetention is what retention frees next, by itself: of the databases for
// which somebody chose what to keep, with their next scheduled backup.
type NextRetention struct {
	Chosen  bool       `json:"chosen"`         // somebody chose what to keep; else nothing is ever removed by itself
	At      *time.Time `json:"at,omitempty"`   // the first scheduled backup of those databases; nil: none is scheduled
	Goes    int        `json:"goes"`           // marked archives whose grace is over when their database's next backup ends
	Frees   int64      `json:"frees"`          // their bytes, in all places
	Waits   int        `json:"waits"`          // archives that no rule keeps and that stay longer
	Asks    []string   `json:"asks,omitempty"` // databases of which so many would go at once that a person is asked
	Refused string     `json:"refused,omitempty"`
}

// nextRetention is nil where it cannot be told: no place was listed. The
// clocks of the places are not asked: a run asks them itself.
func (v *Vault) nextRetention(ctx context.Context, w *view, status []DatabaseStatus) *NextRetention {
	if w == nil {
		return nil
	}
	l, err := v.retentionLook(ctx, w, status)
	if err != nil {
		return nil
	}
	n := &NextRetention{}
	next := map[string]time.Time{}
	for _, s := range status {
		if s.NextRun == nil || !v.c.Of(s.Database).Removes {
			continue
		}
		next[s.Database] = *s.NextRun
		if n.At == nil || s.NextRun.Before(*n.At) {
			n.At = s.NextRun
		}
	}
	for _, s := range w.sights {
		if s.err != nil {
			n.Refused = "the place " + s.Name + " could not be listed"
		}
	}
	p, err := l.Plan(nil, nil)
	if err != nil {
		n.Chosen, n.Refused = true, oneLine(err)
		return n
	}
	n.take(p, l.Rules, next)
	return n
}

func (n *NextRetention) take(p *RetentionPlan, rules map[string]RetentionRules, next map[string]time.Time) {
	asked := map[string]bool{}
	for i := range p.Verdicts {
		one := &p.Verdicts[i]
		if !rules[one.Database].Chosen {
			continue
		}
		n.Chosen = true
		if p.Excess[one.Database] > 0 {
			if !asked[one.Database] {
				asked[one.Database] = true
				n.Asks = append(n.Asks, one.Database)
			}
			continue
		}
		run, scheduled := next[one.Database]
		switch {
		case one.Keep:
		case one.Step == retention.StepRemove, one.Step == retention.StepWait && scheduled && !one.Until.After(run):
			n.Goes++
			n.Frees += one.Stored
		default:
			n.Waits++
		}
	}
}
