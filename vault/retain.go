package vault

import (
	"context"
	"maps"
	"slices"
	"time"

	"pgvault/vault/retention"
)

// Verdict is what the retention policy says of one archive.
type Verdict struct {
	ID       string    `json:"id"`
	Database string    `json:"database"`
	Time     time.Time `json:"time"`
	Stored   int64     `json:"stored"` // bytes of all its copies
	// Places are the bytes of each copy, whole or not.
	Places  []PlaceBytes `json:"places,omitempty"`
	Keep    bool         `json:"keep"`
	Reasons []string     `json:"reasons"`

	Step  retention.Step `json:"step"`            // what a run would do now
	Until *time.Time     `json:"until,omitempty"` // mark and wait: when it may be removed
}

// RetentionPlan is what a run of retention would do now, as data. It changes
// nothing.
type RetentionPlan struct {
	At       time.Time      `json:"at"`
	Verdicts []Verdict      `json:"verdicts"` // by database, newest first
	Refused  string         `json:"refused"`  // why nothing may be marked or removed now; empty when it may
	Do       string         `json:"do"`       // what to do about that
	Excess   map[string]int `json:"excess"`   // databases of which more goes at once than without being asked

	names []string
	lost  bool     // Refused is about a listing that a person may confirm
	known retained // the archives that were listed
}

// Count gives how many archives have this step.
func (p *RetentionPlan) Count(step retention.Step) int {
	n := 0
	for _, v := range p.Verdicts {
		if v.Step == step {
			n++
		}
	}
	return n
}

// Confirm is the number that a person types to have the plan applied: of the
// archives that it would mark or remove.
func (p *RetentionPlan) Confirm() int {
	return p.Count(retention.StepMark) + p.Count(retention.StepRemove)
}

// Frees is how many bytes removing gives back now, in all places.
func (p *RetentionPlan) Frees() (bytes int64) {
	for _, v := range p.Verdicts {
		if v.Step == retention.StepRemove {
			bytes += v.Stored
		}
	}
	return bytes
}

// Confirmable tells whether the plan may be applied once a person typed its
// number.
func (p *RetentionPlan) Confirmable() bool { return p.Refused == "" || p.lost }

// Going are the archives that no rule keeps, whether they are marked, wait or
// are removed, with their bytes in each place, in the order of the names.
func (p *RetentionPlan) Going() (n int, places []PlaceBytes) {
	sums := map[string]int64{}
	for _, v := range p.Verdicts {
		if v.Keep {
			continue
		}
		n++
		for _, at := range v.Places {
			sums[at.Place] += at.Bytes
		}
	}
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		places = append(places, PlaceBytes{name, sums[name]})
	}
	return n, places
}

// RetentionPreview gives the verdicts of the policies that hold, of the named
// databases, or of all. It deletes nothing.
func (v *Vault) RetentionPreview(ctx context.Context, names []string) ([]Verdict, error) {
	return v.PreviewPolicy(ctx, names, nil)
}

// PreviewPolicy is RetentionPreview with other policies than those that
// hold: keep gives the one of a database; nil: those that hold.
func (v *Vault) PreviewPolicy(ctx context.Context, names []string, keep func(database string) retention.Policy) ([]Verdict, error) {
	p, err := v.planRetention(ctx, names, keep)
	if err != nil {
		return nil, err
	}
	return p.Verdicts, nil
}

// PlanRetention decides about all archives of the named databases, or of all
// of them, as the places show them now.
func (v *Vault) PlanRetention(ctx context.Context, names []string) (*RetentionPlan, error) {
	return v.planRetention(ctx, names, nil)
}

func (v *Vault) planRetention(ctx context.Context, names []string, keep func(string) retention.Policy) (*RetentionPlan, error) {
	l, err := v.LookRetention(ctx)
	if err != nil {
		return nil, err
	}
	return l.Plan(names, keep)
}
