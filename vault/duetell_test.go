package vault

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"pgvault/fault"
	"pgvault/pg"
)

// dueTold has w's schedules run by a machine, once, and gives what a hook and
// a watchdog heard of it.
func (w *world) dueTold(t *testing.T, m *machine, v *Vault, h, watchdog *hook) (messages, pings []string, err error) {
	t.Helper()
	v.now = m.clock
	err = v.RunDue(t.Context(), DueOptions{Tell: m.tell, Wait: m.wait})
	return h.take(), watchdog.take(), err
}

// TestRunDueTells: a timer that wakes a runner up each hour, with nothing to
// do: a backup that is late though none failed, a place that cannot be read,
// and that both are over, each told once.
func TestRunDueTells(t *testing.T) {
	w := scheduledWorld(t, map[string]string{"told_a": "02:00"})
	w.db.MaxAge = day
	h, watchdog := newHook(t, 200), newHook(t, 200)
	w.write("ping.url", watchdog.URL+"/"+tellCanary)
	w.conf.Tell = Tell{OnFailure: []string{h.URL + "/" + tellCanary}, PingFile: w.path("ping.url"), Reminder: day}
	m := &machine{now: noon}
	w.fabricate(made{database: "told_a", at: noon.Add(-9 * time.Hour)})
	v := w.vault()
	wake := func(after time.Duration) (messages, pings []string) {
		t.Helper()
		m.now = m.now.Add(after)
		messages, pings, err := w.dueTold(t, m, v, h, watchdog)
		if err != nil || len(m.told) != 0 {
			t.Fatalf("%q, %v", m.told, err)
		}
		return messages, pings
	}
	if messages, pings := wake(0); len(messages) != 0 || len(pings) != 1 || pings[0] != "\n1 database are well\n" {
		t.Fatalf("all is well: %q, %q", messages, pings)
	}
	// Each run since was begun, and none made an archive.
	tried := triedRuns{Databases: map[string]triedRun{"told_a": {Scheduled: time.Date(2025, 6, 21, 2, 0, 0, 0, time.UTC), Done: true}}}
	if err := v.writeSchedule("tried", tried); err != nil {
		t.Fatal(err)
	}
	messages, pings := wake(day)
	oneMessage(t, messages, "told_a: late", "no good backup for 32 hours; you allow 1 day")
	if len(pings) != 1 || !strings.HasPrefix(pings[0], "/fail\n") {
		t.Errorf("%q", pings)
	}
	if messages, _ = wake(time.Hour); len(messages) != 0 {
		t.Errorf("told again: %q", messages)
	}
	there := v.c.Places
	v.c.Places = []Place{{Name: "disk", Err: &fault.Error{What: "no answer", Why: "the network is down", Left: "nothing was changed", Do: "look at the cable", Code: fault.PlaceUnreachable}}}
	messages, _ = wake(time.Hour)
	oneMessage(t, messages, "place disk: cannot be read", "look at the cable")
	v.c.Places = there
	messages, _ = wake(time.Hour)
	oneMessage(t, messages, "place disk: well again")
	w.fabricate(made{database: "told_a", at: m.now.Add(-10 * time.Minute), seq: 2})
	messages, _ = wake(time.Minute)
	oneMessage(t, messages, "told_a: well again")
	w.noCanary(t, v)
}

// TestRunDueTellsForever: the scheduler in the foreground tells at its start
// and then each hour, for as long as it waits.
func TestRunDueTellsForever(t *testing.T) {
	w := scheduledWorld(t, map[string]string{"told_b": "02:00"})
	w.db.MaxAge = day
	watchdog := newHook(t, 200)
	w.write("ping.url", watchdog.URL+"/"+tellCanary)
	w.conf.Tell = Tell{PingFile: w.path("ping.url")}
	w.fabricate(made{database: "told_b", at: noon.Add(-9 * time.Hour)})
	m := &machine{now: noon}
	if err := w.run(t, m, 5*time.Hour+30*time.Minute); err != nil {
		t.Fatal(err)
	}
	if got := watchdog.take(); len(got) != 6 {
		t.Errorf("in five hours and a half: %q", got)
	}
}

// TestRunDueTellsBeside: while a backup hangs, it is told that its database is
// late.
func TestRunDueTellsBeside(t *testing.T) {
	w := scheduledWorld(t, map[string]string{"told_c": "02:00"})
	w.db.MaxAge = day
	h := newHook(t, 200)
	w.conf.Tell = Tell{OnFailure: []string{h.URL + "/" + tellCanary}, Reminder: day}
	m := &machine{now: noon}
	w.fabricate(made{database: "told_c", at: noon.Add(-3 * day)})
	v := w.vault()
	v.now, v.slow.tell = m.clock, 5*time.Millisecond
	var during []string
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	err := v.RunDue(ctx, DueOptions{Tell: m.tell, Wait: m.wait, Sink: func(string) Sink {
		return func(e Event) {
			if s, ok := e.(StageStarted); ok && s.Stage == StageData {
				for during == nil && ctx.Err() == nil { // the backup goes on when somebody was told
					during = h.take()
				}
			}
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	oneMessage(t, during, "told_c: late", "no good backup for 2 days")
	oneMessage(t, h.take(), "told_c: well again")
}

// TestTellBrokenOff: who is told to end in the middle of looking tells nobody
// that a place or the server does not answer.
func TestTellBrokenOff(t *testing.T) {
	w := newWorld(t)
	w.conf.Select = func([]string) []string { return []string{"origin"} }
	h := newHook(t, 200)
	v, _ := w.tells(t, h.URL+"/"+tellCanary)
	if err := v.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	v.now = func() time.Time { stop(); return noon } // it is asked for while looking
	if err := v.Tell(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if got := h.take(); len(got) != 0 {
		t.Errorf("told: %q", got)
	}
	if err := v.Tell(t.Context()); err != nil {
		t.Error(err)
	}
	oneMessage(t, h.take(), "origin: late", "no good backup yet")
}

// TestRunDueBlind: at a server that does not answer the run fails as a job,
// which is told and seen in Activity; it is still due, and made when the
// server is back.
func TestRunDueBlind(t *testing.T) {
	w := scheduledWorld(t, map[string]string{"blind_a": "02:00", "blind_b": "02:00"})
	w.db.MaxAge = 2 * day
	h, watchdog := newHook(t, 200), newHook(t, 200)
	w.write("ping.url", watchdog.URL+"/"+tellCanary)
	w.conf.Tell = Tell{OnFailure: []string{h.URL + "/" + tellCanary}, PingFile: w.path("ping.url"), Reminder: day}
	three := time.Date(2025, 6, 20, 3, 0, 0, 0, time.UTC)
	for i, name := range []string{"blind_a", "blind_b"} {
		w.fabricate(made{database: name, at: three.Add(time.Duration(-60+i) * time.Minute), seq: int64(i + 1)})
	}
	m := &machine{now: three}
	if messages, _, err := w.dueTold(t, m, w.vault(), h, watchdog); err != nil || len(messages) != 0 || len(m.told) != 0 {
		t.Fatalf("%q, %q, %v", messages, m.told, err)
	}
	m.now = three.Add(day)
	server := w.conf.Server
	w.conf.Server = pg.Settings{Host: "/nowhere"}
	messages, pings, err := w.dueTold(t, m, w.vault(), h, watchdog)
	if fault.CodeOf(err) != fault.DBUnreachable || len(m.told) != 6 {
		t.Fatalf("no server: %q, %v", m.told, err)
	}
	if all := strings.Join(messages, "\n"); !strings.Contains(all, "blind_a: backup failed") || !strings.Contains(all, "blind_b: backup failed") || len(messages) > 3 {
		t.Errorf("told: %q", messages)
	}
	if last := pings[len(pings)-1]; !strings.HasPrefix(last, "/fail\n") {
		t.Errorf("pings: %q", pings)
	}
	list, _, err := w.vault().Activity(t.Context(), 0)
	failed := 0
	for _, a := range list {
		if a.Kind == string(KindBackup) && a.Result == string(ResultFailed) {
			failed++
		}
	}
	if err != nil || failed != 2 {
		t.Errorf("%d failed runs in Activity, %v", failed, err)
	}
	m.told, m.now = nil, m.now.Add(time.Hour)
	if messages, _, err = w.dueTold(t, m, w.vault(), h, watchdog); fault.CodeOf(err) != fault.DBUnreachable || len(messages) != 0 || len(m.told) != 2 {
		t.Errorf("an hour later: %q, %q, %v", messages, m.told, err)
	}
	w.conf.Server, m.told = server, nil
	if messages, _, err = w.dueTold(t, m, w.vault(), h, watchdog); err != nil || len(m.told) != 4 || m.told[1] != "ended blind_b 0" && m.told[1] != "ended blind_a 0" {
		t.Errorf("the server is back: %q, %v", m.told, err)
	}
	if all := strings.Join(messages, "\n"); !strings.Contains(all, "blind_a: well again") || !strings.Contains(all, "blind_b: well again") {
		t.Errorf("told: %q", messages)
	}
}
