package vault

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgvault/fault"
	"pgvault/vault/archive"
	"pgvault/vault/job"
)

// provenAt is a good archive of a database with a proof of a key, so long ago.
func provenAt(database, id string, age time.Duration, level Proof, key string) Archive {
	a := good(database, age, level)
	a.ID = id
	a.Proofs = []ProofRecord{{At: noon.Add(-age), Level: level, Result: "ok", Key: key}}
	return a
}

func TestDrillTurns(t *testing.T) {
	bad := provenAt("shop", "bad", time.Minute, ProofRestored, "duty")
	bad.State = "damaged"
	future := provenAt("shop", "future", -2*day, ProofRestored, "duty")
	failed := provenAt("shop", "failed", time.Hour, ProofRestored, "duty")
	failed.Proofs[0].Result = "failed"
	week := RestoreDrill{Level: ProofRestored, Every: 7 * day}
	for name, c := range map[string]struct {
		list []Archive
		o    RestoreDrill
		want string // database:id, a star where it is due
	}{
		"no archive":           {nil, week, ""},
		"never proven":         {[]Archive{provenAt("shop", "2", time.Hour, ProofReadable, "duty"), provenAt("shop", "1", day, ProofReadable, "duty")}, week, "shop:2*"},
		"by the one-time key":  {[]Archive{provenAt("shop", "2", time.Hour, ProofRestored, archive.OneTimeName)}, week, "shop:2*"},
		"an older one, lately": {[]Archive{provenAt("shop", "2", time.Hour, ProofReadable, "duty"), provenAt("shop", "1", 6*day, ProofRestored, "duty")}, week, "shop:2"},
		"an older one, once":   {[]Archive{provenAt("shop", "2", time.Hour, ProofReadable, "duty"), provenAt("shop", "1", 7*day, ProofRestored, "duty")}, week, "shop:2*"},
		"it failed":            {[]Archive{failed}, week, "shop:failed*"},
		"the newest is bad":    {[]Archive{bad, provenAt("shop", "1", 8*day, ProofRestored, "duty")}, week, "shop:1*"},
		"none is good":         {[]Archive{bad}, week, "shop:"},
		"a clock that was off": {[]Archive{future, provenAt("shop", "1", 8*day, ProofRestored, "duty")}, week, "shop:1*"},
		"readable is enough":   {[]Archive{provenAt("shop", "1", day, ProofReadable, "duty")}, RestoreDrill{Level: ProofReadable, Every: 7 * day}, "shop:1"},
		"more than readable":   {[]Archive{provenAt("shop", "1", day, ProofRestored, "duty")}, RestoreDrill{Level: ProofReadable, Every: 7 * day}, "shop:1"},
		"who waits longest":    {[]Archive{provenAt("a", "1", 8*day, ProofRestored, "duty"), provenAt("b", "2", 9*day, ProofRestored, "duty"), provenAt("c", "3", day, ProofStored, "")}, week, "c:3* b:2* a:1*"},
		"some only":            {[]Archive{provenAt("a", "1", 8*day, ProofRestored, "duty"), provenAt("b", "2", 9*day, ProofRestored, "duty")}, RestoreDrill{Level: ProofRestored, Wants: func(n string) bool { return n == "a" }}, "a:1*"},
	} {
		var got []string
		for _, d := range drillTurns(noon, c.list, c.o) {
			mark := ""
			if d.Due {
				mark = "*"
			}
			got = append(got, d.Database+":"+d.ID+mark)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, not %s", name, got, c.want)
		}
	}
}

func TestProofWarning(t *testing.T) {
	status := func(name string, proven time.Duration) DatabaseStatus {
		s := DatabaseStatus{Database: name, State: "ok"}
		if proven > 0 {
			at := noon.Add(-proven)
			s.ProvenAt = &at
		}
		return s
	}
	for name, c := range map[string]struct {
		status    []DatabaseStatus
		list      []Archive
		max       time.Duration
		what, why string
	}{
		"nothing asked":  {[]DatabaseStatus{status("shop", 0)}, []Archive{good("shop", 90*day, ProofReadable)}, 0, "", ""},
		"young, never":   {[]DatabaseStatus{status("shop", 0)}, []Archive{good("shop", 29*day, ProofReadable)}, 30 * day, "", ""},
		"no archive":     {[]DatabaseStatus{status("shop", 0)}, nil, 30 * day, "", ""},
		"old, never":     {[]DatabaseStatus{status("shop", 0)}, []Archive{good("shop", time.Hour, ProofReadable), good("shop", 31*day, ProofReadable)}, 30 * day, "shop was not proven by a restore for longer than you allow, 30 days", "shop never was"},
		"proven lately":  {[]DatabaseStatus{status("shop", 29*day)}, []Archive{good("shop", 90*day, ProofReadable)}, 30 * day, "", ""},
		"proven too old": {[]DatabaseStatus{status("shop", 31*day)}, []Archive{good("shop", 90*day, ProofReadable)}, 30 * day, "shop was not", "shop last 2025-05-20 12:00Z, 31 days ago"},
		"two of three": {[]DatabaseStatus{status("a", 31*day), status("b", day), status("c", 0)}, []Archive{good("a", 90*day, ProofReadable), good("b", 90*day, ProofReadable), good("c", 90*day, ProofReadable)}, 30 * day,
			"a, c were not", "; c never was"},
	} {
		f := facts(c.status, c.list...)
		f.proofMaxAge = c.max
		e, late := f.proofWarning()
		if late != (c.what != "") || !strings.Contains(e.What, c.what) || !strings.Contains(e.Why, c.why) || late && (e.Left == "" || e.Do == "" || e.Key != "proof") {
			t.Errorf("%s: %v, %+v", name, late, e)
		}
		if h := f.health(); slices.ContainsFunc(h.Warnings, func(w Explained) bool { return w.Key == "proof" }) != late {
			t.Errorf("%s: Health has %+v", name, h.Warnings)
		}
	}
}

// drillMachine is another host that reads the same place: it has a signing key
// and a state folder of its own, trusts the first, and is trusted by it.
func drillMachine(t *testing.T, w *world) *world {
	t.Helper()
	d := newWorld(t)
	d.conf.Places, d.ids, d.conf.RecipientsFile = w.conf.Places, w.ids, ""
	d.conf.Server.Conninfo = "host=/nonexistent"
	for _, pair := range [][2]*world{{d, w}, {w, d}} {
		public, err := archive.PublicOf(pair[1].conf.SigningKey)
		if err != nil {
			t.Fatal(err)
		}
		pair[0].write("trusted", public+"\n")
		pair[0].conf.TrustedSigners = pair[0].path("trusted")
	}
	return d
}

// TestRestoreDrill: on a machine of its own, by its schedule, from the
// beginning to the next round; the host that makes the backups sees it.
func TestRestoreDrill(t *testing.T) {
	for _, name := range []string{"drill_one", "drill_two"} {
		create(t, name, "")
		sql(t, name, "CREATE TABLE t AS SELECT g AS v FROM generate_series(1, 10) g")
	}
	w := newWorld(t)
	one, two := w.backup(BackupOptions{Database: "drill_one"}).ok(t).done.ID, w.backup(BackupOptions{Database: "drill_two"}).ok(t).done.ID
	w.conf.ProofMaxAge = time.Nanosecond
	d := drillMachine(t, w)
	v := d.vault()
	now := time.Now()
	v.now = func() time.Time { return now }
	o := RestoreDrill{Level: ProofRestored, Every: 30 * day, Schedule: mustSchedule(t, "Sun 04:00", "UTC")}
	began := []string{}
	run := func(ctx context.Context, stop func()) (*DrillRound, error) {
		began = []string{}
		return v.RunRestoreDrill(ctx, o, d.ids, func(e DrillEvent) {
			if e.Kind == "started" {
				began = append(began, e.ID)
			} else if stop != nil {
				stop()
			}
		}, nil)
	}
	// Stopped after the first, it goes on with the second.
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := run(ctx, cancel); err == nil || !slices.Equal(began, []string{one}) {
		t.Fatalf("%v, %v", began, err)
	}
	now = now.Add(6 * time.Minute)
	round, err := run(t.Context(), nil)
	if err != nil || !slices.Equal(began, []string{two}) || !round.Now {
		t.Fatalf("%v, %+v, %v", began, round, err)
	}
	// Then it is over, until its next turn; and then until the proofs are old.
	now = now.Add(time.Hour)
	if round, err = run(t.Context(), nil); err != nil || round.Now || len(began) > 0 || round.At.Weekday() != time.Sunday {
		t.Errorf("after its turn: %v, %+v, %v", began, round, err)
	}
	now = now.Add(8 * day)
	if round, err = run(t.Context(), nil); err != nil || !round.Now || len(began) > 0 {
		t.Errorf("a week later: %v, %+v, %v", began, round, err)
	}
	if plan, err := v.PlanRestoreDrill(t.Context(), RestoreDrill{Level: ProofRestored}); err != nil || !plan.Databases[0].Due || !plan.Now {
		t.Errorf("asked without a schedule and an age: %+v, %v", plan, err)
	}
	for _, a := range w.list() {
		last := a.Proofs[len(a.Proofs)-1]
		if a.Proof != ProofRestored || last.Result != "ok" || last.Key == archive.OneTimeName || last.Key == "" {
			t.Errorf("%s as its own host sees it: %+v", a.Database, a.Proofs)
		}
	}
	if s := w.status(t, "drill_one"); s.ProvenAt == nil {
		t.Errorf("%+v", s)
	}
}

// TestDrillThatFails: damage is the result, whatever else went well, and the
// archive before the damaged one is the next to be tried.
func TestDrillThatFails(t *testing.T) {
	create(t, "drill_bad", "")
	sql(t, "drill_bad", "CREATE TABLE t AS SELECT g AS v FROM generate_series(1, 1000) g")
	w := newWorld(t)
	older := w.backup(BackupOptions{Database: "drill_bad"}).ok(t).done.ID
	newer := w.backup(BackupOptions{Database: "drill_bad"}).ok(t).done.ID
	d := drillMachine(t, w)
	part := w.path("place/" + archive.Folder("main", "drill_bad", newer) + archive.MainPart)
	src, err := os.ReadFile(part)
	if err != nil {
		t.Fatal(err)
	}
	src[len(src)/2] ^= 1
	if err := os.WriteFile(part, src, 0o600); err != nil {
		t.Fatal(err)
	}
	o := RestoreDrill{Level: ProofReadable, Every: day}
	if _, err := d.vault().RunRestoreDrill(t.Context(), o, d.ids, nil, nil); fault.CodeOf(err) != fault.Differs {
		t.Fatalf("%v", err)
	}
	round, err := d.vault().RunRestoreDrill(t.Context(), o, d.ids, nil, nil)
	if err != nil || len(round.Databases) != 1 || round.Databases[0].ID != older {
		t.Errorf("%+v, %v", round, err)
	}
	// Without a key nothing is proven and nothing recorded; nor beside another drill.
	n := len(w.list()[1].Proofs)
	d.write("wrong", "")
	if err := archive.WriteNewIdentity(d.path("other")); err != nil {
		t.Fatal(err)
	}
	o.Every = 0
	if _, err := d.vault().RunRestoreDrill(t.Context(), o, Identities{Files: []string{d.path("other")}}, nil, nil); fault.CodeOf(err) != fault.NoKey {
		t.Errorf("another key: %v", err)
	}
	unlock, err := job.Lock(d.vault().lockDir(), "drill-main", "x", "")
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if _, err := d.vault().RunRestoreDrill(t.Context(), o, d.ids, nil, nil); fault.CodeOf(err) != fault.Running {
		t.Errorf("beside another: %v", err)
	}
	if got := len(w.list()[1].Proofs); got != n {
		t.Errorf("%d proofs, before %d", got, n)
	}
	if _, err := d.vault().PlanRestoreDrill(t.Context(), RestoreDrill{Level: ProofIntact}); fault.CodeOf(err) != fault.Usage {
		t.Errorf("a drill without a key: %v", err)
	}
}
