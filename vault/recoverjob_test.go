package vault

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgvault/fault"
)

// TestRecoverJob: a recovery is one job, whose journal tells what its sink was
// told: its own beginning and end, and a DatabaseDone for each restore's end.
func TestRecoverJob(t *testing.T) {
	w, older, _, other := recoverWorld(t)
	b := w.recoverBare(t)
	v := b.vault()
	p := b.recoverPlan(t, RecoverOptions{As: map[string]string{"rec_a": "rec_ja", "rec_b": "rec_jb"}})
	for _, d := range p.Databases {
		dropAfter(t, d.Target)
	}
	from := RecoverOrder{Place: "file:" + w.path("place"), Signers: b.conf.Signers}
	o := p.Order(from)
	if o.Recover.Vault != "main" || !reflect.DeepEqual(o.Recover.Archives, map[string]string{"rec_a": older, "rec_b": other}) || o.Recover.As["rec_a"] != "rec_ja" {
		t.Errorf("%+v", o.Recover)
	}
	var told tape
	if err := v.RunRecover(t.Context(), p, from, told.sink); err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, e := range told.events {
		switch e := e.(type) {
		case RunStarted:
			words = append(words, string(e.Kind)+" "+e.Database)
		case DatabaseDone:
			words = append(words, e.Row.Database+" "+e.Row.Result)
		case RunDone:
			words = append(words, string(e.Kind)+" "+string(e.Result))
			if e.Recovered == nil || len(e.Recovered.Databases) != 2 || e.TablesEqual != 2 || e.TablesTotal != 2 {
				t.Errorf("%+v", e)
			}
		}
	}
	if got := strings.Join(words, ", "); got != "recover , restore rec_a, rec_a ok, restore rec_b, rec_b ok, recover ok" {
		t.Error(got)
	}
	jobs, err := v.Jobs(t.Context())
	if err != nil || len(jobs) != 3 { // each restore is in the list too
		t.Fatalf("%+v, %v", jobs, err)
	}
	job := jobs[2]
	if job.Order.Kind != KindRecover || job.State != JobOK || job.Order.Database != "" || job.Target != "" {
		t.Errorf("%+v", job)
	}
	var again tape
	if err := v.Watch(t.Context(), job.ID, again.sink); err != nil {
		t.Fatal(err)
	}
	rows := 0
	for _, e := range again.events {
		if d, ok := e.(DatabaseDone); ok {
			if rows++; d.N != rows || d.Of != 2 || d.Row.Result != "ok" {
				t.Errorf("%+v", d)
			}
		}
	}
	if last, ok := again.events[len(again.events)-1].(RunDone); !ok || last.Recovered == nil || rows != 2 {
		t.Errorf("%d rows, %+v", rows, again.events[len(again.events)-1])
	}
	activity, _, err := v.Activity(t.Context(), 0)
	// Times are told to a millisecond, so it may come after the first restore of its own.
	if err != nil || !slices.ContainsFunc(activity, func(a Activity) bool { return a.What == "the vault main" && a.Kind == string(KindRecover) }) {
		t.Errorf("%+v, %v", activity, err)
	}
}

// TestRecoverJobPlansTheSame: what is no longer as it was shown is refused
// before anything is made; and a row's four lines are in its JSON.
func TestRecoverJobPlansTheSame(t *testing.T) {
	w, older, newer, other := recoverWorld(t)
	b := w.recoverBare(t)
	plan := b.recoverPlan(t, RecoverOptions{As: map[string]string{"rec_a": "rec_ka", "rec_b": "rec_kb"}})
	o := plan.Order(RecoverOrder{})
	v := b.vault()
	// what the job gets opens both archives of rec_a, the one of rec_b, and no other
	lines, err := v.UnlockRecover(t.Context(), plan)
	if err != nil || len(lines) != 3 {
		t.Fatalf("%d, %v", len(lines), err)
	}
	p, err := v.PlanRecover(t.Context(), RecoverOptions{As: o.Recover.As, Identities: Secrets{Unlocked: lines}.Identities()})
	if err != nil || p.Refused() || p.Databases[0].Chosen.ID != older {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := v.TryKeys(t.Context(), "rec_b/"+other, Secrets{Unlocked: lines[:2]}.Identities()); fault.CodeOf(err) != fault.NoKey {
		t.Errorf("%v", err)
	}
	o.Recover.Archives["rec_a"] = newer
	var told tape
	err = v.runJob(t.Context(), o, v.actor(), nil, told.sink, v.recoverWork(o, b.ids))
	if fault.CodeOf(err) != fault.Refused || !strings.Contains(err.Error(), older) {
		t.Errorf("%v", err)
	}
	fourLines(t, err)
	if len(told.events) != 1 {
		t.Errorf("%+v", told.events)
	}
	if n := one[int](t, "postgres", "SELECT count(*)::int FROM pg_database WHERE datname IN ('rec_ka', 'rec_kb')"); n != 0 {
		t.Errorf("%d databases", n)
	}
	o.Recover = nil
	if err := v.runJob(t.Context(), o, v.actor(), nil, told.sink, v.recoverWork(o, b.ids)); fault.CodeOf(err) != fault.Usage {
		t.Errorf("%v", err)
	}
	line, lerr := EncodeEvent(DatabaseDone{1, 1, RecoverRow{Database: "a", err: err}})
	var doc struct {
		Type     string
		Database string
		Error    struct{ What, Why, Left, Do string }
	}
	if lerr != nil || json.Unmarshal(line, &doc) != nil || doc.Type != "database" || doc.Database != "a" || doc.Error.Why != fault.As(err).Why {
		t.Errorf("%s, %v", line, lerr)
	}
}
