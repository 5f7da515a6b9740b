package vault

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pgvault/fault"
)

func ago(d time.Duration) *time.Time {
	t := noon.Add(-d)
	return &t
}

func good(database string, age time.Duration, proof Proof) Archive {
	at := noon.Add(-age)
	return Archive{ID: at.Format("20060102T150405Z") + "-0001", Database: database, Started: at, Finished: at, State: "good", Proof: proof, Tables: 3, Rows: 7,
		Stored: 1 << 20, Copies: []Copy{{Place: "disk", State: "good"}}}
}

func facts(status []DatabaseStatus, list ...Archive) *healthFacts {
	return &healthFacts{now: noon, status: status, archives: list, wanted: func(string) int { return 1 }, keys: []string{"duty", "safe"},
		failed: map[string]failure{}, running: map[string]string{}, places: []placeFacts{{name: "disk", url: "file:/backup", free: 188 << 30, total: 500 << 30}}}
}

// TestHealthExplains goes through what can be the matter with a database.
func TestHealthExplains(t *testing.T) {
	noSpace := failure{noon.Add(-2 * time.Hour), Explained{What: "not enough space", Why: "needs 212 GiB", Left: "nothing was written", Do: "free space there"}}
	for name, c := range map[string]struct {
		status DatabaseStatus
		list   []Archive
		failed *failure
		job    string
		want   []string // of what, why, left, do; each must be in it
	}{
		"ok, not proven": {DatabaseStatus{Database: "shop", State: "ok", LastGood: ago(12 * time.Hour), MaxAgeSeconds: 86400},
			[]Archive{good("shop", 12*time.Hour, ProofReadable)}, nil, "",
			[]string{"the newest good backup is 12 hours old; you allow 1 day", "never proven by a restore", "1 good archive", "pgvault verify latest:shop --level restored"}},
		"ok, proven": {DatabaseStatus{Database: "shop", State: "ok", LastGood: ago(time.Hour), ProvenAt: ago(time.Hour)},
			[]Archive{good("shop", time.Hour, ProofRestored), good("shop", day, ProofReadable)}, nil, "",
			[]string{"1 hour old", "last proven by a restore 2025-06-20 11:00Z", "2 good archives", "nothing"}},
		"late without a failure": {DatabaseStatus{Database: "a b", State: "late", LastGood: ago(3 * day), MaxAgeSeconds: 86400},
			[]Archive{good("a b", 3*day, ProofReadable)}, nil, "",
			[]string{"no good backup for 3 days; you allow 1 day", "nothing started a backup since 2025-06-17 12:00Z", "1 good", "pgvault backup 'a b'"}},
		"late after a failure": {DatabaseStatus{Database: "shop", State: "failed", LastGood: ago(3 * day), MaxAgeSeconds: 86400},
			[]Archive{good("shop", 3*day, ProofReadable)}, &noSpace, "",
			[]string{"no good backup for 3 days", "the backup of 2025-06-20 10:00Z failed: not enough space: needs 212 GiB", "1 good", "free space there; then pgvault backup shop"}},
		"failed, not late yet": {DatabaseStatus{Database: "shop", State: "failed", LastGood: ago(4 * time.Hour), MaxAgeSeconds: 86400},
			[]Archive{good("shop", 4*time.Hour, ProofReadable)}, &noSpace, "",
			[]string{"the last backup failed; the newest good backup is 4 hours old", "not enough space", "1 good", "free space"}},
		"a failure before the newest good one is past": {DatabaseStatus{Database: "shop", State: "ok", LastGood: ago(time.Hour), ProvenAt: ago(time.Hour)},
			[]Archive{good("shop", time.Hour, ProofRestored)}, &noSpace, "",
			[]string{"1 hour old", "finished", "1 good", "nothing"}},
		"never": {DatabaseStatus{Database: "shop", State: "never", MaxAgeSeconds: 86400}, nil, nil, "",
			[]string{"no good backup yet; you allow 1 day", "nothing has started a backup", "no older archive", "pgvault backup shop"}},
		"only damaged": {DatabaseStatus{Database: "shop", State: "never"}, []Archive{{ID: "x", Database: "shop", State: "damaged", Reason: "part missing"}}, nil, "",
			[]string{"no good backup yet", "x is damaged: part missing", "no older", "pgvault backup"}},
		"running": {DatabaseStatus{Database: "shop", State: "late", LastGood: ago(3 * day), MaxAgeSeconds: 86400},
			[]Archive{good("shop", 3*day, ProofReadable)}, nil, "j1",
			[]string{"a backup is running; before it: no good backup for 3 days", "started", "1 good", "pgvault job"}},
	} {
		f := facts([]DatabaseStatus{c.status}, c.list...)
		if c.failed != nil {
			f.failed[c.status.Database] = *c.failed
		}
		if c.job != "" {
			f.running[c.status.Database] = c.job
		}
		d := f.health().Databases[0]
		for i, line := range []string{d.Explained.What, d.Explained.Why, d.Explained.Left, d.Explained.Do} {
			if !strings.Contains(line, c.want[i]) {
				t.Errorf("%s, line %d: %q, not %q", name, i+1, line, c.want[i])
			}
		}
		if d.Job != c.job || c.job != "" && d.State != "running" {
			t.Errorf("%s: job %q, state %s", name, d.Job, d.State)
		}
	}
}

func TestHealthWorstFirst(t *testing.T) {
	s := func(name, state string, last *time.Time) DatabaseStatus {
		return DatabaseStatus{Database: name, State: state, LastGood: last, MaxAgeSeconds: 86400}
	}
	h := facts([]DatabaseStatus{s("b", "ok", ago(time.Hour)), s("a", "ok", ago(time.Hour)), s("older", "ok", ago(20*time.Hour)), s("run", "running", ago(time.Hour)),
		s("failed", "failed", ago(time.Hour)), s("late", "late", ago(2*day)), s("later", "late", ago(5*day)), s("never", "never", nil)}).health()
	var got []string
	for _, d := range h.Databases {
		got = append(got, d.Database)
	}
	if want := []string{"never", "later", "late", "failed", "run", "older", "a", "b"}; !slices.Equal(got, want) {
		t.Errorf("%v, not %v", got, want)
	}
	if h.AtRisk() != 4 {
		t.Errorf("%d at risk", h.AtRisk())
	}
}

// TestHealthOfRunning: a backup that is running has saved nothing yet.
func TestHealthOfRunning(t *testing.T) {
	for _, c := range []struct {
		last *time.Time
		want int
	}{{nil, 1}, {ago(2 * day), 1}, {ago(time.Hour), 0}} {
		f := facts([]DatabaseStatus{{Database: "a", State: "running", LastGood: c.last, MaxAgeSeconds: 86400}})
		f.running["a"] = "j1"
		if h := f.health(); h.AtRisk() != c.want {
			t.Errorf("last good %v: %d at risk", c.last, h.AtRisk())
		}
	}
}

func TestHealthWarns(t *testing.T) {
	ok := []DatabaseStatus{{Database: "shop", State: "ok", LastGood: ago(time.Hour), MaxAgeSeconds: 86400}}
	late := []DatabaseStatus{{Database: "shop", State: "late", LastGood: ago(3 * day), MaxAgeSeconds: 86400}}
	for name, c := range map[string]struct {
		status []DatabaseStatus
		change func(f *healthFacts)
		want   []string
	}{
		"all well":        {ok, func(*healthFacts) {}, nil},
		"one recipient":   {ok, func(f *healthFacts) { f.keys = f.keys[:1] }, []string{"there is only one recipient"}},
		"no recipients":   {ok, func(f *healthFacts) { f.keysErr = errors.New("no file") }, []string{"no file"}},
		"drills only":     {late, func(f *healthFacts) { f.drillsOnly, f.keys, f.keysErr = true, nil, errors.New("no file") }, nil},
		"broken trail":    {ok, func(f *healthFacts) { f.trail = Trail{Lines: 9, Broken: 4} }, []string{"the audit trail is broken"}},
		"server down":     {ok, func(f *healthFacts) { f.serverErr = errors.New("refused") }, []string{"the server does not say"}},
		"nothing starts":  {late, func(*healthFacts) {}, []string{"nothing starts backups"}},
		"it was tried":    {late, func(f *healthFacts) { f.failed["shop"] = failure{At: noon.Add(-time.Hour)} }, nil},
		"tried long ago":  {late, func(f *healthFacts) { f.failed["shop"] = failure{At: noon.Add(-9 * day)} }, []string{"nothing starts backups"}},
		"one is running":  {late, func(f *healthFacts) { f.runningAny = true }, nil},
		"there are none":  {nil, func(*healthFacts) {}, nil},
		"no limit is set": {[]DatabaseStatus{{Database: "shop", State: "ok", LastGood: ago(300 * day)}}, func(*healthFacts) {}, nil},
	} {
		f := facts(c.status)
		c.change(f)
		var got []string
		for _, w := range f.health().Warnings {
			got = append(got, w.What)
			if w.What == "" {
				t.Errorf("%s: %+v", name, w)
			}
		}
		if len(got) != len(c.want) || len(got) == 1 && !strings.HasPrefix(got[0], c.want[0]) {
			t.Errorf("%s: %q, not %q", name, got, c.want)
		}
	}
}

func TestHealthOfPlaces(t *testing.T) {
	for name, c := range map[string]struct {
		p           placeFacts
		state, text string
	}{
		"ok":      {placeFacts{free: 188 << 30, total: 500 << 30}, "ok", "188 GiB of 500 GiB free"},
		"unknown": {placeFacts{free: -1, total: -1}, "ok", "free space unknown"},
		"narrow":  {placeFacts{free: 1 << 20, total: 5 << 30, newest: 3 << 30}, "!", "1.0 MiB of 5.0 GiB free; less than the largest archive needs (3.0 GiB)"},
		"empty":   {placeFacts{free: 1 << 20, total: -1, empty: true}, "ok", "1.0 MiB free; no vault yet, the first backup makes it"},
		"gone":    {placeFacts{err: &fault.Error{What: "the folder is gone", Why: "it does not exist"}, free: -1, total: -1, archives: 41, listedAt: *ago(57 * time.Minute)}, "x", "cannot be read: the folder is gone: it does not exist; 57 minutes ago it held 41 archives"},
		"unseen":  {placeFacts{err: errors.New("stale handle")}, "x", "cannot be read: stale handle"},
	} {
		if h := c.p.health(noon); h.State != c.state || h.Text != c.text {
			t.Errorf("%s: %s %q", name, h.State, h.Text)
		}
	}
}

func TestKeyUsed(t *testing.T) {
	a := good("shop", day, ProofReadable)
	a.Proofs = []ProofRecord{{At: noon, Level: ProofReadable, Result: "ok", Key: "one-time key"}, {At: noon, Level: ProofIntact, Result: "ok"},
		{At: noon, Level: ProofRestored, Result: "failed", Key: "duty"}}
	if at := keyUsed([]Archive{a}); at != nil {
		t.Errorf("the self-check's key, no key and a failure count as a use at %v", at)
	}
	a.Proofs = append(a.Proofs, ProofRecord{At: noon.Add(-day), Level: ProofReadable, Result: "ok", Key: "duty"}, ProofRecord{At: noon.Add(-2 * day), Level: ProofRestored, Result: "ok", Key: "duty"})
	if at := keyUsed([]Archive{a}); at == nil || !at.Equal(noon.Add(-day)) {
		t.Errorf("last used %v", at)
	}
}

// TestHealthWithoutAnything: neither a server nor a place keeps Health from
// telling what is known.
func TestHealthWithoutAnything(t *testing.T) {
	w := newWorld(t)
	w.conf.Server.Host = "/nowhere"
	w.conf.Configured = []string{"billing"}
	h := w.health(t)
	if len(h.Databases) != 1 || h.Databases[0].State != "never" || h.Places[0].State != "ok" || !strings.Contains(h.Places[0].Text, "no vault yet") {
		t.Errorf("an empty place: %+v", h)
	}
	w.fabricate(made{database: "shop", at: noon})
	if h = w.health(t); len(h.Databases) != 2 || h.Places[0].Free <= 0 || h.Places[0].Total < h.Places[0].Free {
		t.Errorf("with one archive: %+v", h)
	}
	w.setPlace(gone{w.store()})
	h = w.health(t)
	if p := h.Places[0]; p.State != "x" || !strings.Contains(p.Text, "it held 1 archives") {
		t.Errorf("a place that is gone: %+v", p)
	}
	i := slices.IndexFunc(h.Databases, func(d DatabaseHealth) bool { return d.Database == "shop" })
	if i < 0 || h.Databases[i].Archives != 1 || h.Databases[i].Copies != 0 {
		t.Errorf("what is remembered: %+v", h.Databases)
	}
}

func (w *world) health(t *testing.T) *Health {
	t.Helper()
	h, err := w.vault().Health(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return h
}
