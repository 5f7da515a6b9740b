package vault

import (
	"context"
	"slices"
	"time"

	"pgvault/vault/retention"
)

// Verdict is what the retention policy says of one archive.
type Verdict struct {
	ID       string    `json:"id"`
	Database string    `json:"database"`
	Time     time.Time `json:"time"`
	Stored   int64     `json:"stored"`
	Keep     bool      `json:"keep"`
	Reasons  []string  `json:"reasons"`
}

// RetentionPreview tells what each database's policy would keep and delete
// now, with the reasons. It deletes nothing. No names means all databases.
func (v *Vault) RetentionPreview(ctx context.Context, names []string) ([]Verdict, error) {
	return v.PreviewPolicy(ctx, names, func(name string) retention.Policy { return v.c.Of(name).Keep })
}

// PreviewPolicy is RetentionPreview with other policies than those that hold:
// keep gives the one of a database.
func (v *Vault) PreviewPolicy(ctx context.Context, names []string, keep func(database string) retention.Policy) ([]Verdict, error) {
	list, err := v.List(ctx)
	if err != nil {
		return nil, err
	}
	byName := map[string][]retention.Archive{}
	stored := map[string]int64{}
	var order []string
	for _, a := range list {
		if len(names) > 0 && !slices.Contains(names, a.Database) {
			continue
		}
		if byName[a.Database] == nil {
			order = append(order, a.Database)
		}
		byName[a.Database] = append(byName[a.Database], retention.Archive{ID: a.ID, Database: a.Database, Time: a.Started, Seq: a.Seq,
			Good: a.State == "good", Proven: a.Proof == ProofRestored, Pinned: a.Pinned})
		stored[a.ID] = a.Stored
	}
	out := []Verdict{}
	for _, name := range order {
		decisions, err := retention.Decide(v.now(), time.Local, keep(name), byName[name])
		if err != nil {
			return nil, err
		}
		for _, d := range decisions {
			out = append(out, Verdict{ID: d.ID, Database: d.Database, Time: d.Time, Stored: stored[d.ID], Keep: d.Keep, Reasons: d.Reasons})
		}
	}
	return out, nil
}
