package vault

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"pgvault/fault"
)

// tellCanary is the secret part of every address here.
const tellCanary = "Canary7Secret8Never9Shown"

// hook is a web server that keeps the messages it gets.
type hook struct {
	*httptest.Server
	mu    sync.Mutex
	texts []string // of webhooks: title and message; of pings: path and body
}

func newHook(t *testing.T, status int) *hook {
	t.Helper()
	h := &hook{}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		src, _ := io.ReadAll(r.Body)
		var doc struct{ Title, Message string }
		text := strings.TrimPrefix(r.URL.Path, "/"+tellCanary) + "\n" + string(src)
		if json.Unmarshal(src, &doc) == nil {
			text = doc.Title + "\n" + doc.Message
		}
		h.mu.Lock()
		h.texts = append(h.texts, text)
		h.mu.Unlock()
		w.WriteHeader(status)
		fmt.Fprint(w, "no such token: "+tellCanary)
	}))
	t.Cleanup(h.Close)
	return h
}

// take gives what has arrived since it was last called.
func (h *hook) take() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := h.texts
	h.texts = nil
	return out
}

// tells lets a world's vault tell a hook, by a clock that the test turns.
func (w *world) tells(t *testing.T, addresses ...string) (v *Vault, turn func(time.Duration)) {
	t.Helper()
	w.conf.Tell = Tell{OnFailure: addresses, Reminder: day}
	now := time.Now()
	v = w.vault()
	v.now = func() time.Time { return now }
	return v, func(d time.Duration) { now = now.Add(d) }
}

func (w *world) runTold(t *testing.T, v *Vault, o BackupOptions) *tape {
	t.Helper()
	p := &tape{}
	p.err = v.RunBackup(t.Context(), o, func(e Event) {
		if d, ok := e.(RunDone); ok {
			p.done = d
		}
		p.sink(e)
	})
	return p
}

// oneMessage fails the test unless there is exactly one message with all words.
func oneMessage(t *testing.T, texts []string, words ...string) {
	t.Helper()
	if len(texts) != 1 {
		t.Fatalf("%d messages: %q", len(texts), texts)
	}
	for _, word := range words {
		if !strings.Contains(texts[0], word) {
			t.Errorf("%q is not in\n%s", word, texts[0])
		}
	}
}

// TestTell tells the story of a backup that fails, is late, and recovers.
func TestTell(t *testing.T) {
	create(t, "origin", "")
	sql(t, "origin", "CREATE TABLE a AS SELECT 1 AS i")
	w := newWorld(t)
	w.db.MaxAge = day
	w.conf.Select = func([]string) []string { return []string{"origin"} }
	h := newHook(t, 200)
	v, turn := w.tells(t, h.URL+"/"+tellCanary)

	recipients := w.read("recipients")
	if p := w.runTold(t, v, BackupOptions{Database: "origin"}); p.err != nil {
		t.Fatal(p.err)
	}
	if got := h.take(); len(got) != 0 {
		t.Fatalf("told of a good backup: %q", got)
	}
	turn(time.Hour)
	w.write("recipients", "")
	p := w.runTold(t, v, BackupOptions{Database: "origin"})
	e := fault.As(p.err)
	oneMessage(t, h.take(), "origin: backup failed", "  what  the last backup failed", e.What, "  left  1 good archive is there", "  do    "+e.Do, "host "+hostName(), "vault main")
	for range 20 {
		turn(10 * time.Minute)
		w.runTold(t, v, BackupOptions{Database: "origin"})
	}
	if got := h.take(); len(got) != 0 {
		t.Fatalf("told again: %q", got)
	}
	turn(22 * time.Hour)
	if err := v.Tell(t.Context()); err != nil {
		t.Fatal(err)
	}
	oneMessage(t, h.take(), "origin: late", "no good backup for 26 hours; you allow 1 day")
	w.write("recipients", recipients)
	turn(time.Hour)
	if p = w.runTold(t, v, BackupOptions{Database: "origin"}); p.err != nil || p.done.Warnings != 0 {
		t.Fatalf("%v, %d warnings", p.err, p.done.Warnings)
	}
	oneMessage(t, h.take(), "origin: well again", "a good backup is there: finished", "  left  2 good archives are there")
	if err := v.Tell(t.Context()); err != nil || len(h.take()) != 0 {
		t.Errorf("told of nothing: %v", err)
	}
	w.noCanary(t, v)
}

// noCanary looks for the secret wherever something is kept.
func (w *world) noCanary(t *testing.T, v *Vault) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(v.c.StateDir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		files++
		src, err := os.ReadFile(path)
		if strings.Contains(string(src), tellCanary) {
			t.Errorf("%s holds the secret", path)
		}
		return err
	})
	if err != nil || files < 3 {
		t.Errorf("%d files, %v", files, err)
	}
}

// TestTellTogether: of several databases in one run the last tells of all.
func TestTellTogether(t *testing.T) {
	w := newWorld(t)
	w.write("recipients", "")
	w.conf.Select = func([]string) []string { return nil }
	h := newHook(t, 200)
	v, _ := w.tells(t, h.URL+"/"+tellCanary)
	if err := v.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.conf.Configured = []string{"one", "two"}
	w.runTold(t, v, BackupOptions{Database: "one", More: true})
	if got := h.take(); len(got) != 0 {
		t.Fatalf("told too early: %q", got)
	}
	v.c.Select = func([]string) []string { return []string{"one", "two"} }
	w.runTold(t, v, BackupOptions{Database: "two"})
	oneMessage(t, h.take(), "one: late; backup failed", "two: late; backup failed")
}

// TestTellBrokenSink: a sink that refuses, with the secret in its answer, is
// a warning of the job and of Health, is told of through the other sink, and
// fails no backup.
func TestTellBrokenSink(t *testing.T) {
	create(t, "origin", "")
	sql(t, "origin", "CREATE TABLE a AS SELECT 1 AS i")
	w := newWorld(t)
	w.conf.Select = func([]string) []string { return []string{"origin"} }
	fine, broken := newHook(t, 200), newHook(t, 500)
	v, turn := w.tells(t, fine.URL+"/"+tellCanary, broken.URL+"/"+tellCanary)
	v.c.Configured = nil
	recipients := w.read("recipients")
	if err := v.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.write("recipients", "")
	p := w.runTold(t, v, BackupOptions{Database: "origin"})
	oneMessage(t, fine.take(), "origin: late; backup failed")
	notices := all[Notice](p)
	if len(notices) != 1 || !strings.Contains(notices[0].Text, broken.URL+" could not be told") || !strings.Contains(notices[0].Text, "500") || strings.Contains(notices[0].Text, tellCanary) {
		t.Fatalf("%+v", notices)
	}
	if _, last := p.events[len(p.events)-1].(RunDone); !last {
		t.Error("the RunDone is not the last event")
	}
	w.write("recipients", recipients)
	turn(time.Minute)
	p = w.runTold(t, v, BackupOptions{Database: "origin"})
	if p.err != nil || p.done.Result != ResultOK || p.done.Warnings != 1 {
		t.Errorf("%v, %s, %d warnings", p.err, p.done.Result, p.done.Warnings)
	}
	oneMessage(t, fine.take(), "origin: well again", "what is to be told does not arrive: "+broken.URL)
	health, err := v.Health(t.Context())
	if err != nil || len(health.Warnings) != 1 || health.Warnings[0].Key != "sink/"+broken.URL {
		t.Errorf("%+v, %v", health, err)
	}
	results, err := v.TestAlerts(t.Context())
	if err != nil || len(results) != 2 || results[0].Err != nil || results[1].Err == nil || strings.Contains(results[1].Err.Error(), tellCanary) {
		t.Errorf("%v, %v", results, err)
	}
	w.noCanary(t, v)
}

// TestTellPlaceGone: a place that cannot be read is told, nothing else is
// taken for over, and it is told when it is back.
func TestTellPlaceGone(t *testing.T) {
	w := newWorld(t)
	w.conf.Select = func([]string) []string { return []string{"origin"} }
	h := newHook(t, 200)
	v, turn := w.tells(t, h.URL+"/"+tellCanary)
	if err := v.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	look := func() []string {
		t.Helper()
		turn(time.Minute)
		if err := v.Tell(t.Context()); err != nil {
			t.Fatal(err)
		}
		return h.take()
	}
	oneMessage(t, look(), "origin: late", "no good backup yet")
	there := v.c.Places
	v.c.Places = []Place{{Name: "disk", Err: &fault.Error{What: "no answer", Why: "the network is down", Left: "nothing was changed", Do: "look at the cable", Code: fault.PlaceUnreachable}}}
	got := look()
	oneMessage(t, got, "place disk: cannot be read", "no answer")
	if strings.Contains(got[0], "well again") {
		t.Errorf("%s", got[0])
	}
	v.c.Places = there
	oneMessage(t, look(), "place disk: well again", "Still the matter:\n\n  origin: late (since ")
}

// TestTellWatchdogAndMetrics: the watchdog hears of the start and of the end,
// how all databases are; the metrics file says the same.
func TestTellWatchdogAndMetrics(t *testing.T) {
	create(t, "origin", "")
	sql(t, "origin", "CREATE TABLE a AS SELECT 1 AS i")
	w := newWorld(t)
	w.conf.Select = func([]string) []string { return []string{"origin"} }
	h := newHook(t, 200)
	w.write("ping.url", h.URL+"/"+tellCanary)
	v, turn := w.tells(t)
	v.c.Tell.PingFile, v.c.Tell.MetricsFile = w.path("ping.url"), w.path("pgvault.prom")
	if p := w.runTold(t, v, BackupOptions{Database: "origin"}); p.err != nil || p.done.Warnings != 0 {
		t.Fatalf("%v, %d", p.err, p.done.Warnings)
	}
	if got := h.take(); len(got) != 2 || !strings.HasPrefix(got[0], "/start\n") || got[1] != "\n1 database are well\n" {
		t.Errorf("%q", got)
	}
	if m := w.read("pgvault.prom"); !strings.Contains(m, `pgvault_database_late{database="origin",vault="main"} 0`) || !strings.Contains(m, `pgvault_database_newest_tables{database="origin",vault="main"} 1`) ||
		!strings.Contains(m, `pgvault_sink_working{sink="ping `+h.URL+`",vault="main"} 1`) {
		t.Errorf("%s", m)
	}
	turn(time.Hour)
	good := v.c.RecipientsFile
	v.c.RecipientsFile = w.path("none")
	w.runTold(t, v, BackupOptions{Database: "origin"})
	if got := h.take(); len(got) != 1 || !strings.HasPrefix(got[0], "/fail\n") || !strings.Contains(got[0], "  why   the backup of ") {
		t.Errorf("%q", got)
	}
	if m := w.read("pgvault.prom"); !strings.Contains(m, `pgvault_database_last_backup_success{database="origin",vault="main"} 0`) {
		t.Errorf("%s", m)
	}
	v.c.RecipientsFile = good
	h.Close()
	turn(time.Hour)
	p := w.runTold(t, v, BackupOptions{Database: "origin"})
	if p.err != nil || p.done.Warnings != 1 {
		t.Errorf("with nobody there: %v, %d warnings", p.err, p.done.Warnings)
	}
	w.noCanary(t, v)
}

// TestTellFlood: 300 runs of a day fail; two messages are sent.
func TestTellFlood(t *testing.T) {
	w := newWorld(t)
	w.conf.Select = func([]string) []string { return []string{"origin"} }
	h := newHook(t, 200)
	v, turn := w.tells(t, h.URL+"/"+tellCanary)
	w.conf.RecipientsFile = w.path("none")
	v.c.RecipientsFile = w.path("none")
	if err := v.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 301 {
		after := &ended{done: RunDone{Kind: KindBackup, Result: ResultFailed, Exit: fault.Failed, Database: "origin", Err: &fault.Error{What: "oh"}}}
		if _, err := v.tell(t.Context(), after); err != nil {
			t.Fatal(err)
		}
		turn(day / 300)
	}
	got := h.take()
	if len(got) != 2 || !strings.Contains(got[1], "still: origin: late; backup failed") {
		t.Errorf("%d messages: %q", len(got), got)
	}
}

// TestTellRefused: who may only look tells nobody, and nobody is told where
// nothing says whom.
func TestTellRefused(t *testing.T) {
	w := newWorld(t)
	v, _ := w.tells(t)
	if err := v.Tell(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := v.TestAlerts(t.Context()); fault.CodeOf(err) != fault.Usage {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(w.path("state")); err == nil {
		t.Error("a state folder was made")
	}
	w.conf.ReadOnly = true
	v, _ = w.tells(t, "ntfy://127.0.0.1:1/x?scheme=http")
	if err := v.Tell(t.Context()); fault.CodeOf(err) != fault.Refused {
		t.Errorf("%v", err)
	}
}
