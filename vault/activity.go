package vault

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"pgvault/fault"
	"pgvault/safetext"
)

// Activity implements Runs: the audit trail, jobs that it does not know of
// or whose end it does not know, and missed backups.
func (v *Vault) Activity(ctx context.Context, limit int) ([]Activity, Trail, error) {
	jobs, err := v.Jobs(ctx)
	if err != nil {
		return nil, Trail{}, err
	}
	list, at, fresh := v.listForMissed(ctx)
	v.mu.Lock()
	defer v.mu.Unlock()
	c, err := v.checkTrail()
	if err != nil {
		return nil, Trail{}, err
	}
	out := merge(c.entries, jobs, v.c.Name, v.now())
	if fresh {
		v.past.missed, v.past.archives = v.missedIn(list, out), at
	}
	out = append(out, v.past.missed...)
	slices.SortStableFunc(out, func(a, b Activity) int {
		return cmp.Or(b.At.Compare(a.At), cmp.Compare(b.Seq, a.Seq))
	})
	if limit > 0 && len(out) > limit {
		out = out[:limit]
	}
	return out, c.verdict(), nil
}

// trailState tells how the audit trail stands.
func (v *Vault) trailState() (Trail, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	c, err := v.checkTrail()
	if err != nil {
		return Trail{}, err
	}
	return c.verdict(), nil
}

// merge gives one entry for each job and each line that is none's.
func merge(lines []auditLine, jobs []Job, vault string, now time.Time) []Activity {
	ended := map[string]bool{}
	for _, l := range lines {
		if l.Job != "" && l.Result != "started" {
			ended[l.Job] = true
		}
	}
	folder := map[string]*Job{}
	for i := range jobs {
		folder[jobs[i].ID] = &jobs[i]
	}
	out := make([]Activity, 0, len(lines)+8)
	for _, l := range lines {
		if l.Vault != vault && l.Kind != kindNote || l.Result == "started" && ended[l.Job] {
			continue
		}
		a := Activity{Seq: l.Seq, At: l.At, Kind: l.Kind, What: l.What, Actor: l.Actor, Result: l.Result, Text: l.Text, Job: l.Job}
		if l.Seconds > 0 {
			a.Took = time.Duration(l.Seconds * float64(time.Second)).Round(time.Millisecond)
			a.At = l.At.Add(-a.Took)
		}
		if l.Result == "started" {
			a.finishFrom(folder[l.Job], now)
		}
		delete(folder, l.Job)
		out = append(out, a)
	}
	for _, j := range folder { // the trail could not be written then
		a := Activity{At: j.Started, Kind: string(j.Order.Kind), What: jobWhat(j.Order, orElse(j.Order.Database, orElse(j.Order.ID, allMissing(j.Order))), j.Target), Actor: j.Actor, Job: j.ID}
		a.finishFrom(j, now)
		out = append(out, a)
	}
	return out
}

// finishFrom says how a job stands of which the trail has no end. One whose
// folder is gone as well has died long ago.
func (a *Activity) finishFrom(j *Job, now time.Time) {
	a.Result, a.Text = string(JobDied), "its end is not known"
	if j == nil {
		return
	}
	a.At, a.Result = j.Started, string(j.State)
	switch {
	case j.State == JobRunning:
		a.Took, a.Text = now.Sub(j.Started), string(j.Stage)
		if p := percent(j.Progress); p != "" {
			a.Text += " " + p
		}
	case j.Done != nil:
		a.Took, a.Text = max(0, j.Ended.Sub(j.Started)), safetext.Line(outcome(*j.Done))
		if j.State == JobDied {
			a.Text = safetext.Line(fault.As(j.Done.Err).What)
		}
	}
}

func plural(n int64, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

func are(d time.Duration) string {
	s := span(d)
	if s[:2] == "1 " {
		return s + " is"
	}
	return s + " are"
}
