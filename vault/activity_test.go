package vault

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgvault/fault"
)

func TestMissed(t *testing.T) {
	day := 24 * time.Hour
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	archive := func(database, state string, ago time.Duration) Archive {
		return Archive{Database: database, State: state, Finished: now.Add(-ago)}
	}
	for _, c := range []struct {
		name string
		list []Archive
		want []string // moment before now, and text
	}{
		{"nothing", nil, nil},
		{"in time", []Archive{archive("a", "good", 0), archive("a", "good", day), archive("a", "good", 2*day)}, nil},
		{"since the newest", []Archive{archive("a", "good", 3*day)}, []string{"48h0m0s a: no good backup for 3 days; 1 day is allowed"}},
		{"between two", []Archive{archive("a", "good", 0), archive("a", "good", 2*day+time.Hour)}, []string{"25h0m0s a: no good backup for 2 days; 1 day is allowed"}},
		{"damaged ones do not count", []Archive{archive("a", "good", 0), archive("a", "damaged", day), archive("a", "partial", day), archive("a", "good", 2*day)},
			[]string{"24h0m0s a: no good backup for 2 days; 1 day is allowed"}},
		{"each database for itself", []Archive{archive("a", "good", 0), archive("b", "good", day), archive("c", "good", 26*time.Hour)},
			[]string{"2h0m0s c: no good backup for 26 hours; 1 day is allowed"}},
		{"no limit", []Archive{archive("free", "good", 100*day)}, nil},
		{"hours", []Archive{archive("hourly", "good", 5*time.Hour)}, []string{"3h0m0s hourly: no good backup for 5 hours; 2 hours are allowed"}},
		{"a clock that went wrong", []Archive{archive("a", "good", -day), archive("a", "good", day/2)}, nil},
	} {
		var got []string
		for _, a := range joinMissed(lateGaps(now, c.list, func(name string) punctual {
			return punctual{maxAge: map[string]time.Duration{"a": day, "b": day, "c": day, "hourly": 2 * time.Hour}[name]}
		}, func(string) bool { return false }), nil) {
			if a.Kind != "missed" || a.Result != "missed" || a.Seq != 0 {
				t.Errorf("%s: %+v", c.name, a)
			}
			got = append(got, now.Sub(a.At).String()+" "+a.What+": "+a.Text)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, not %q", c.name, got, c.want)
		}
	}
}

func TestMergeOfTrailAndJobs(t *testing.T) {
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	order := Order{Kind: KindBackup, Database: "shop"}
	line := func(seq int64, job, result string, seconds float64) auditLine {
		return auditLine{Seq: seq, At: at, Vault: "main", Kind: "backup", What: "shop", Result: result, Job: job, Seconds: seconds}
	}
	died := Job{ID: "died", Order: order, State: JobDied, Started: at, Ended: at.Add(time.Minute), Stage: StageData, Progress: &Progress{Rows: 43, RowsTotal: 100, Estimate: "x"}}
	end := diedDone(died)
	died.Done = &end
	lines := []auditLine{
		line(1, "ended", "started", 0), line(2, "ended", "ok", 60),
		line(3, "runs", "started", 0), line(4, "died", "started", 0), line(5, "pruned", "started", 0),
		{Seq: 6, At: at, Vault: "other", Kind: "pin", What: "not ours"}, {Seq: 7, At: at, Vault: "main", Kind: "pin", What: "x", Result: "ok"},
		line(8, "", "failed", 0),
	}
	jobs := []Job{
		{ID: "runs", Order: order, State: JobRunning, Started: at, Stage: StageData, Progress: &Progress{Rows: 43, RowsTotal: 100}},
		died, {ID: "ended", Order: order, State: JobOK, Started: at.Add(-time.Minute), Ended: at},
		{ID: "unwritten", Order: Order{Kind: KindRestore, Database: "shop", ToNew: "new"}, State: JobFailed, Started: at, Ended: at.Add(time.Second), Done: &RunDone{Err: &fault.Error{What: "no", Why: "full"}}},
	}
	var got []string
	for _, a := range merge(lines, jobs, "main", at.Add(2*time.Minute)) {
		got = append(got, a.Job+"|"+a.Kind+"|"+a.What+"|"+a.Result+"|"+a.Text+"|"+a.Took.String()+"|"+a.At.Format("15:04"))
	}
	want := []string{
		"ended|backup|shop|ok||1m0s|11:59",
		"runs|backup|shop|running|data 43 %|2m0s|12:00",
		"died|backup|shop|died|the backup of shop died at data (~43 %)|1m0s|12:00",
		"pruned|backup|shop|died|its end is not known|0s|12:00",
		"|pin|x|ok||0s|12:00",
		"|backup|shop|failed||0s|12:00",
		"unwritten|restore|shop > new|failed|no: full|1s|12:00",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestLeftByDead: for each kind and stage, what is really left.
func TestLeftByDead(t *testing.T) {
	for _, c := range []struct {
		kind  Kind
		stage Stage
		want  string
	}{
		{KindBackup, "", "no archive was made"}, {KindBackup, StageData, "no archive was made"}, {KindBackup, StageSeal, "if its manifest was written"},
		{KindBackup, StageReadBack, "is there, whole"}, {KindBackup, StageCompare, "is there, whole"},
		{KindVerify, StageScratch, "the archive is as it was"},
		{KindRestore, StageCheck, "nothing was made"}, {KindRestore, StageData, "drop it by hand"}, {KindRestore, StageCompare, "not proven equal"},
	} {
		d := diedDone(Job{Order: Order{Kind: c.kind, Database: "shop"}, Archive: "ID", Target: "new", Stage: c.stage})
		fourLines(t, d.Err)
		if e := fault.As(d.Err); !strings.Contains(e.Left, c.want) || d.Result != ResultFailed || d.Exit != fault.Failed {
			t.Errorf("%s at %q leaves %q", c.kind, c.stage, e.Left)
		}
	}
}

func TestActorOfAProcess(t *testing.T) {
	env := func(vars map[string]string) func(string) string { return func(k string) string { return vars[k] } }
	for _, c := range []struct {
		name string
		p    proc
		want Actor
	}{
		{"a user at a terminal", proc{getenv: env(nil), uid: 1000, name: "dba", tty: "pts/3"}, Actor{"dba", "", "pts/3", "cli"}},
		{"over SSH", proc{getenv: env(map[string]string{"SSH_CONNECTION": "192.0.2.7 50000 192.0.2.1 22"}), uid: 1000, name: "dba", tty: "pts/3"}, Actor{"dba", "", "192.0.2.7", "cli"}},
		{"an old sshd", proc{getenv: env(map[string]string{"SSH_CLIENT": "2001:db8::7 50000 22"}), uid: 1000, name: "dba"}, Actor{"dba", "", "2001:db8::7", "cli"}},
		{"behind sudo", proc{getenv: env(map[string]string{"SUDO_USER": "dba"}), name: "root", tty: "pts/3", ancestors: []ancestor{{name: "sudo"}, {name: "bash", ssh: "192.0.2.7"}}}, Actor{"dba", "root", "192.0.2.7", "cli"}},
		{"the kernel knows better", proc{getenv: env(map[string]string{"SUDO_USER": "somebody"}), name: "root", login: "dba", tty: "pts/3"}, Actor{"dba", "root", "pts/3", "cli"}},
		{"a user who says he is another", proc{getenv: env(map[string]string{"SUDO_USER": "boss"}), uid: 1000, name: "dba", tty: "pts/3"}, Actor{"dba", "", "pts/3", "cli"}},
		{"root himself", proc{getenv: env(nil), name: "root", login: "root", tty: "tty1"}, Actor{"root", "", "tty1", "cli"}},
		{"cron", proc{getenv: env(map[string]string{"INVOCATION_ID": "1"}), name: "postgres", ancestors: []ancestor{{name: "sh"}, {name: "cron"}}}, Actor{"postgres", "", "", "cron"}},
		{"a timer", proc{getenv: env(map[string]string{"INVOCATION_ID": "1"}), name: "postgres", ancestors: []ancestor{{name: "systemd"}}}, Actor{"postgres", "", "", "timer"}},
		{"a desktop that systemd started", proc{getenv: env(map[string]string{"INVOCATION_ID": "1"}), uid: 1000, name: "dba", tty: "pts/0"}, Actor{"dba", "", "pts/0", "cli"}},
		{"a pipe over SSH", proc{getenv: env(map[string]string{"SSH_CONNECTION": "192.0.2.7 1 192.0.2.1 22"}), uid: 1000, name: "dba"}, Actor{"dba", "", "192.0.2.7", "cli"}},
	} {
		if got := c.p.actor(); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, not %+v", c.name, got, c.want)
		}
	}
	v := New(Config{})
	if a := v.actor(); a.User == "" || a.By == "" {
		t.Errorf("this process: %+v", a)
	}
	v.ActAs("tui")
	if a := v.actor(); a.By != "tui" {
		t.Errorf("%+v", a)
	}
}

// TestActivityOfRealRuns: one entry a job, with who and how it ended.
func TestActivityOfRealRuns(t *testing.T) {
	create(t, "origin", "")
	sql(t, "origin", "CREATE TABLE t AS SELECT 1 AS v")
	w := newWorld(t)
	w.db.MaxAge = time.Hour
	v := w.vault()
	p := &tape{}
	if err := v.RunBackup(t.Context(), BackupOptions{Database: "origin"}, p.sink); err != nil {
		t.Fatal(err)
	}
	dropAfter(t, "new")
	plan, err := v.PlanRestore(t.Context(), RestoreOptions{ID: "latest:origin", ToNew: "new", Identities: w.ids})
	if err != nil {
		t.Fatal(err)
	}
	if err := v.RunRestore(t.Context(), plan, nil); err != nil {
		t.Fatal(err)
	}
	if err := v.RunVerify(t.Context(), VerifyOptions{ID: "latest:origin", Level: ProofReadable}, nil); fault.CodeOf(err) != fault.NoKey {
		t.Fatal(err)
	}
	real := v.now
	v.now = func() time.Time { return real().Add(3 * time.Hour) }
	list, tr, err := v.Activity(t.Context(), 0)
	if err != nil || tr.Broken != 0 || tr.Lines != 5 { // a verification without a key never started
		t.Fatalf("%+v, %v", tr, err)
	}
	var got []string
	for _, a := range list {
		got = append(got, a.Kind+"|"+a.What+"|"+a.Result+"|"+a.Text)
	}
	jobs, err := v.Jobs(t.Context())
	if err != nil || len(jobs) != 3 || jobs[0].Done == nil {
		t.Fatalf("%+v, %v", jobs, err)
	}
	want := []string{
		"missed|origin|missed|no good backup for 3 hours; 1 hour is allowed",
		"verify|origin|failed|" + oneLine(jobs[0].Done.Err),
		"restore|origin > new|ok|restored: 1 of 1 tables equal",
		"backup|origin|ok|readable: 1 table, 1 row",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
