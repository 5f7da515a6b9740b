package vault

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgvault/fault"
	"pgvault/vault/retention"
	"pgvault/vault/schedule"
)

// TestLookPlansAnyPolicy: what was looked at once is planned for one policy
// after the other, with the bytes of each place; the vault is not asked again.
func TestLookPlansAnyPolicy(t *testing.T) {
	w, ids := aged(t, 5)
	w.places("second")
	w.db.Removes, w.db.KeepFrom = true, "*"
	l, err := w.vaultAt(noon).LookRetention(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.setPlace(nil) // nobody can be asked any more
	if r := l.Rules["shop"]; !r.Chosen || r.From != "*" || r.Policy != w.db.Keep {
		t.Errorf("%+v", r)
	}
	each := l.Places[0][0].Bytes
	for last := 1; last <= 6; last++ {
		p, err := l.Plan([]string{"shop"}, func(string) retention.Policy { return retention.Policy{Last: last} })
		if err != nil {
			t.Fatal(err)
		}
		goes := max(5-last, 0)
		n, places := p.Going()
		if n != goes || p.Confirm() != goes || len(p.Verdicts) != 5 {
			t.Errorf("last %d: %d go, %d to confirm", last, n, p.Confirm())
		}
		if want := fmt.Sprint([]PlaceBytes{{"disk", int64(goes) * each}}); goes > 0 && fmt.Sprint(places) != want {
			t.Errorf("last %d: %v, want %v", last, places, want)
		}
	}
	if _, err := l.Plan(nil, func(string) retention.Policy { return retention.Policy{} }); fault.CodeOf(err) != fault.Refused || fault.As(err).Do == "" {
		t.Errorf("an empty policy: %v", err)
	}
	if p, err := l.Plan([]string{"other"}, nil); err != nil || len(p.Verdicts) != 0 {
		t.Errorf("%+v, %v", p, err)
	}
	held, err := l.Plan(nil, nil)
	if err != nil || held.Verdicts[4].ID != ids[0] || held.Verdicts[4].Keep {
		t.Errorf("%+v, %v", held, err)
	}
}

// TestNextRetention is the line of Health: what goes with the next backups.
func TestNextRetention(t *testing.T) {
	w, _ := aged(t, 5)
	next := func(now time.Time) *NextRetention {
		t.Helper()
		h, err := w.vaultAt(now).Health(t.Context())
		if err != nil || h.Retention == nil {
			t.Fatalf("%+v, %v", h, err)
		}
		return h.Retention
	}
	if n := next(noon); n.Chosen || n.Goes+n.Waits > 0 {
		t.Errorf("nobody chose what to keep: %+v", n)
	}
	w.db.Removes = true
	w.conf.Select = func([]string) []string { return []string{"shop", "big"} }
	var err error
	if w.db.Schedule, err = schedule.Parse("13:00", time.UTC); err != nil {
		t.Fatal(err)
	}
	if n := next(noon); n.Goes != 0 || n.Waits != 3 || n.At == nil || n.At.Sub(noon.Add(time.Hour)) > 30*time.Minute {
		t.Errorf("before anything is marked: %+v", n)
	}
	if _, err := w.retain(noon); err != nil {
		t.Fatal(err)
	}
	if n := next(noon.Add(2 * time.Hour)); n.Goes != 0 || n.Waits != 3 {
		t.Errorf("marked: %+v", n)
	}
	if n := next(noon.Add(47*time.Hour + time.Minute)); n.Goes != 3 || n.Waits != 0 || n.Frees == 0 {
		t.Errorf("an hour before the backup after the grace: %+v", n)
	}
	for i := range 9 {
		w.fabricate(made{database: "big", at: noon.Add(-time.Duration(i+1) * time.Hour), seq: int64(20 - i)})
	}
	if n := next(noon.Add(time.Minute)); !slices.Equal(n.Asks, []string{"big"}) || n.Waits != 3 {
		t.Errorf("too much of big at once: %+v", n)
	}
}

// TestRetentionAsAJob: an order does what its plan was, once, and is one line
// of Activity; any other plan or number is refused.
func TestRetentionAsAJob(t *testing.T) {
	w, ids := aged(t, 5)
	v := w.vaultAt(noon)
	p, err := v.PlanRetention(t.Context(), []string{"shop"})
	if err != nil {
		t.Fatal(err)
	}
	run := func(o Order) (RunDone, error) {
		var done RunDone
		err := v.runJob(t.Context(), o, v.actor(), nil, func(e Event) {
			if d, ok := e.(RunDone); ok {
				done = d
			}
		}, v.retentionWork(o))
		return done, err
	}
	if _, err := run(p.Order(2)); fault.CodeOf(err) != fault.Refused || !strings.Contains(err.Error(), "3 archives would be") {
		t.Errorf("another number: %v", err)
	}
	done, err := run(p.Order(3))
	if err != nil || done.Retained == nil || *done.Retained != (Retained{Kept: 5, Marked: 3}) {
		t.Fatalf("%+v, %v", done.Retained, err)
	}
	if w.archive(ids[0]).Expires == nil {
		t.Error("nothing was marked")
	}
	if _, err := run(p.Order(3)); fault.CodeOf(err) != fault.Refused || !strings.Contains(err.Error(), "not as the plan found them") {
		t.Errorf("the same order again: %v", err)
	}
	v.now = func() time.Time { return noon.Add(48 * time.Hour) }
	if p, err = v.PlanRetention(t.Context(), []string{"shop"}); err != nil {
		t.Fatal(err)
	}
	if done, err = run(p.Order(3)); err != nil || done.Retained.Gone != 3 || done.Retained.Freed != p.Frees() || done.Retained.Kept != 2 {
		t.Fatalf("%+v, %v", done.Retained, err)
	}
	past, _, err := v.Activity(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, a := range past {
		if a.Kind == "retention" {
			texts = append(texts, a.What+": "+a.Text)
		}
	}
	if len(texts) != 4 || texts[0] != "shop: kept 2, marked 0, gone 3" || texts[2] != "shop: kept 5, marked 3, gone 0" {
		t.Errorf("%q", texts)
	}
	w.conf.ReadOnly = true
	if err := w.vaultAt(noon).retainOrdered(t.Context(), p.Order(3), nil); fault.CodeOf(err) != fault.Refused {
		t.Errorf("read only: %v", err)
	}
}
