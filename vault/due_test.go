package vault

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgvault/fault"
	"pgvault/pg"
	"pgvault/vault/job"
)

// TestDueOf: at noon, of a run at 02:00 with an offset of ten minutes.
func TestDueOf(t *testing.T) {
	s := mustSchedule(t, "02:00", "UTC")
	two := noon.Add(-10 * time.Hour)
	const offset = 10 * time.Minute
	for name, c := range map[string]struct {
		now    time.Time
		newest time.Time
		busy   bool
		tried  triedRun
		want   string // "now" or when
	}{
		"no archive":              {noon, time.Time{}, false, triedRun{}, "now"},
		"older than the run":      {noon, two.Add(-time.Second), false, triedRun{}, "now"},
		"as new as the run":       {noon, two, false, triedRun{}, "06-21 02:10"},
		"by hand, after it":       {noon, two.Add(4 * time.Hour), false, triedRun{}, "06-21 02:10"},
		"it runs":                 {noon, time.Time{}, true, triedRun{}, "06-21 02:10"},
		"it was tried":            {noon, time.Time{}, false, triedRun{two, two, 1, true, false}, "06-21 02:10"},
		"its process ended":       {noon, time.Time{}, false, triedRun{two, noon.Add(-time.Hour), 1, false, false}, "now"},
		"it ended a moment ago":   {noon, time.Time{}, false, triedRun{two, noon.Add(-time.Minute), 1, false, false}, "06-20 12:04"},
		"it ended three times":    {noon, time.Time{}, false, triedRun{two, two, 3, false, false}, "06-21 02:10"},
		"the one before was":      {noon, time.Time{}, false, triedRun{two.Add(-day), two.Add(-day), 3, true, false}, "now"},
		"its turn is to come":     {two.Add(9 * time.Minute), two.Add(-20 * time.Hour), false, triedRun{}, "06-20 02:10"},
		"its turn has come":       {two.Add(10 * time.Minute), two.Add(-23 * time.Hour), false, triedRun{two.Add(-day), two.Add(-day), 1, true, false}, "now"},
		"the clock was set back":  {noon, time.Time{}, false, triedRun{two.Add(day), two.Add(day), 1, true, false}, "now"},
		"set back a little":       {two.Add(-5 * time.Minute), time.Time{}, false, triedRun{two, two, 1, true, false}, "06-21 02:10"},
		"done before its turn":    {two.Add(5 * time.Minute), two.Add(time.Minute), false, triedRun{}, "06-21 02:10"},
		"tried by a clock ahead":  {noon, time.Time{}, false, triedRun{two, noon.Add(time.Hour), 1, false, false}, "now"},
		"it was tried blindly":    {noon, time.Time{}, false, triedRun{two, noon.Add(-time.Minute), 0, false, true}, "now"},
		"an archive of yesterday": {two.Add(-time.Hour), two.Add(-day), false, triedRun{}, "06-20 02:10"},
	} {
		d := dueOf(c.now, s, offset, c.newest, c.busy, c.tried)
		got := d.At.Format("01-02 15:04")
		if d.Now {
			got = "now"
		}
		if got != c.want {
			t.Errorf("%s: %s, not %s", name, got, c.want)
		}
	}
}

// machine is a clock that a runner's waits move on, and what the runner told.
type machine struct {
	mu    sync.Mutex
	now   time.Time
	waits []time.Duration
	sleep map[int]time.Duration // the nth wait takes so much longer: the machine slept, or its clock jumped
	stop  func()
	until time.Time // stop is called when the clock reaches this
	told  []string
}

func (m *machine) clock() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

func (m *machine) wait(ctx context.Context, d time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waits = append(m.waits, d)
	m.now = m.now.Add(d + m.sleep[len(m.waits)])
	if m.stop != nil && !m.now.Before(m.until) {
		m.stop()
	}
	return ctx.Err()
}

func (m *machine) tell(e DueEvent) {
	switch e.Kind {
	case "started", "problem":
		m.told = append(m.told, fmt.Sprintf("%s %s %s", e.At.Format("02 15:04"), e.Kind, e.Database))
	case "ended":
		m.told = append(m.told, fmt.Sprintf("%s %s %d", e.Kind, e.Database, fault.CodeOf(e.Err)))
	}
}

// run runs w's schedules from at on; for longer than 0 it is forever, ended
// after so long.
func (w *world) run(t *testing.T, m *machine, length time.Duration) error {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	o := DueOptions{Tell: m.tell, Wait: m.wait}
	if length > 0 {
		o.Forever, m.stop, m.until = true, stop, m.now.Add(length)
	}
	v := w.vault()
	v.now = m.clock
	return v.RunDue(ctx, o)
}

// scheduledWorld has databases that a real server backs up, at two minutes
// and more after the hours of their schedules.
func scheduledWorld(t *testing.T, schedules map[string]string) *world {
	w := newWorld(t)
	for name := range schedules {
		conn := connect(t, "postgres")
		if _, err := conn.Exec(t.Context(), "CREATE DATABASE "+name); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			conn, err := settings().Connect(context.Background(), "postgres")
			if err == nil {
				_, err = conn.Exec(context.Background(), "DROP DATABASE "+name)
				_ = conn.Close(context.Background())
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	w.conf.Select = func([]string) []string {
		var out []string
		for name := range schedules {
			out = append(out, name)
		}
		slices.Sort(out)
		return out
	}
	w.conf.Of = func(name string) Database {
		d := w.db
		if schedules[name] != "" {
			d.Schedule = mustSchedule(t, schedules[name], "UTC")
		}
		return d
	}
	return w
}

// TestRunDueForever has a day and more pass: a daily and an hourly database,
// one by hand, a sleep over several runs.
func TestRunDueForever(t *testing.T) {
	w := scheduledWorld(t, map[string]string{"due_day": "0 */12 * * *", "due_hour": "0 */6 * * *", "due_hand": ""})
	m := &machine{now: time.Date(2025, 6, 20, 11, 50, 0, 0, time.UTC), sleep: map[int]time.Duration{}}
	// At first start, what has no archive is due at once.
	if err := w.run(t, m, 7*time.Hour); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range m.told {
		if strings.Contains(l, "started") {
			got = append(got, l[:5]+l[strings.LastIndex(l, " "):])
		} else if !strings.HasSuffix(l, " 0") {
			t.Error(l)
		}
	}
	want := []string{"20 11 due_day", "20 11 due_hour", "20 12", "20 12", "20 18 due_hour"}
	if len(got) != len(want) || got[4] != want[4] || got[0][:5] != "20 11" || got[2][:5] != "20 12" || got[3][:5] != "20 12" {
		t.Fatalf("%q, not %q", got, want)
	}
	if slices.Max(m.waits) > time.Minute {
		t.Errorf("a wait of %v: a clock that jumps would not be noticed", slices.Max(m.waits))
	}

	// The machine sleeps over three runs of the one and one of the other:
	// each is made up for once, soon after it wakes.
	m.told, m.sleep = nil, map[int]time.Duration{len(m.waits) + 3: 20 * time.Hour}
	if err := w.run(t, m, 20*time.Hour+10*time.Minute); err != nil {
		t.Fatal(err)
	}
	if len(m.told) != 4 || m.told[1] == m.told[3] || !strings.HasPrefix(m.told[0], "21 14:") && !strings.HasPrefix(m.told[0], "21 15:") {
		t.Errorf("after a sleep: %q", m.told)
	}
}

// TestRunDueOnce: what is due is done, what waits for its turn is waited for,
// and then it ends; a second runner finds nothing.
func TestRunDueOnce(t *testing.T) {
	w := scheduledWorld(t, map[string]string{"once_a": "02:00", "once_b": "02:00"})
	m := &machine{now: time.Date(2025, 6, 20, 2, 0, 30, 0, time.UTC)}
	w.fabricate(made{database: "once_a", at: m.now.Add(-day)})
	w.fabricate(made{database: "once_b", at: m.now.Add(-day)})
	if err := w.run(t, m, 0); err != nil {
		t.Fatal(err)
	}
	if len(m.told) != 4 || m.clock().Hour() != 2 || m.clock().Minute() > 30 {
		t.Fatalf("at %v: %q", m.clock(), m.told)
	}
	m.told = nil
	if err := w.run(t, m, 0); err != nil || len(m.told) != 0 {
		t.Errorf("again: %q, %v", m.told, err)
	}
	v := w.vault()
	if looked := v.LookedForDue(); looked.IsZero() || v.RunsSchedules() {
		t.Errorf("looked at %v, runs %t", looked, v.RunsSchedules())
	}
}

// TestRunDueFails: a run that failed is over; a server that does not answer
// is tried three times; a runner that is stopped leaves the run due.
func TestRunDueFails(t *testing.T) {
	w := scheduledWorld(t, map[string]string{"fails_a": "02:00"})
	w.fabricate(made{database: "fails_a", at: time.Date(2025, 6, 18, 2, 0, 0, 0, time.UTC)})
	recipients := w.conf.RecipientsFile
	w.conf.RecipientsFile = w.path("gone")
	m := &machine{now: time.Date(2025, 6, 20, 3, 0, 0, 0, time.UTC)}
	if err := w.run(t, m, 0); err == nil || len(m.told) != 2 {
		t.Fatalf("without recipients: %q, %v", m.told, err)
	}
	w.conf.RecipientsFile, m.told = recipients, nil
	if err := w.run(t, m, 0); err != nil || len(m.told) != 0 {
		t.Fatalf("it failed, and is tried again at once: %q, %v", m.told, err)
	}

	m.now = m.now.Add(day)
	server := w.conf.Server
	w.conf.Server = pg.Settings{Host: "/nowhere"}
	if err := w.run(t, m, 0); fault.CodeOf(err) != fault.DBUnreachable || len(m.told) != 4 || m.told[3] != "ended fails_a 14" {
		t.Fatalf("no server: %q, %v", m.told, err)
	}
	if passed := m.now.Sub(time.Date(2025, 6, 21, 3, 0, 0, 0, time.UTC)); passed != 10*time.Minute {
		t.Errorf("three tries took %v", passed)
	}
	if s := w.status(t, "fails_a"); s.State != "failed" {
		t.Errorf("the server does not answer, and the state is %s", s.State)
	}
	m.told = nil
	if err := w.run(t, m, 0); fault.CodeOf(err) != fault.DBUnreachable || len(m.told) != 2 {
		t.Fatalf("an hour later, of the same run: %q, %v", m.told, err)
	}
	w.conf.Server, m.told = server, nil

	ctx, stop := context.WithCancel(t.Context())
	v := w.vault()
	v.now = m.clock
	err := v.RunDue(ctx, DueOptions{Tell: m.tell, Wait: m.wait, Forever: true, Sink: func(string) Sink {
		return func(e Event) {
			if _, ok := e.(StageStarted); ok {
				stop()
			}
		}
	}})
	if err != nil || len(m.told) != 2 || m.told[1] != "ended fails_a 130" {
		t.Fatalf("stopped in a backup: %q, %v", m.told, err)
	}
	m.told = nil
	if err := w.run(t, m, 0); err != nil || len(m.told) != 2 || m.told[1] != "ended fails_a 0" {
		t.Errorf("the next runner: %q, %v", m.told, err)
	}
}

// TestRunDueAlone: two runners would start the same backup twice.
func TestRunDueAlone(t *testing.T) {
	w := newWorld(t)
	v := w.vault()
	release, err := job.Lock(filepath.Join(w.conf.StateDir, "locks"), v.dueLock(), "a test", "")
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if err := w.run(t, &machine{now: noon}, 0); fault.CodeOf(err) != fault.Running {
		t.Errorf("beside another runner: %v", err)
	}
	if !v.RunsSchedules() {
		t.Error("a runner at work is not seen")
	}
	w.conf.ReadOnly = true
	if err := w.run(t, &machine{now: noon}, 0); fault.CodeOf(err) != fault.Refused || errors.Is(err, context.Canceled) {
		t.Errorf("read only: %v", err)
	}
}
