package tui

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"pgvault/fault"
	"pgvault/guide"
	"pgvault/vault"
)

// atStep fails unless the guide that is open stands at this step.
func atStep(t *testing.T, r *rig, want string) *guidePage {
	t.Helper()
	p := r.m.guideOpen()
	if p == nil || p.s.Step().Key != want {
		t.Fatalf("not at the step %s:\n%s", want, r.screen())
	}
	return p
}

// keyed stands at the key step of a restore, nothing chosen.
func keyed(t *testing.T, d *fakeDesk, o Options) *rig {
	r := onBackups(t, d, o, 80, 24)
	r.keys("r")
	r.settle()
	atStep(t, r, "key")
	return r
}

func TestRestoreShowsThePlanFirst(t *testing.T) {
	r := planned(t, sampleDesk(), 80, 24, Options{})
	r.wants("Checks ok > PLAN > Run", "5/7", "NEW database shop__r_0904_7f30", "ok  key opens it", "!   role ev", "> create / leave out", "1  create the database", "same as  pgvault restore X")
	if len(r.d.calls()) > 0 {
		t.Fatalf("before Enter: %v", r.d.calls())
	}
	r.keys("e")
	r.settle()
	atStep(t, r, "where")
	r.keys("tab", "ctrl+u")
	r.typeText("other")
	r.keys("enter")
	r.settle()
	r.keys("enter")
	r.settle()
	r.wants("NEW database other")
	last := r.d.planned[len(r.d.planned)-1]
	if last.ToNew != "other" || len(last.Identities.Unlocked) != 1 || last.Identities.Files != nil {
		t.Errorf("%+v", last)
	}
	r.keys("Y")
	r.until("the copy", func() bool { return r.copied != "" })
	if !strings.Contains(r.copied, "pgvault restore X") || !strings.HasSuffix(strings.TrimRight(r.copied, "}"), "-i /root/key") {
		t.Errorf("copied %q", r.copied)
	}
	p := atStep(t, r, "plan")
	r.keys("enter")
	r.until("the job", func() bool { return r.m.job != nil })
	o, s := r.d.orders[0], r.d.secrets[0]
	if o.Kind != vault.KindRestore || o.ToNew != "other" || len(s.Unlocked) != 1 || !strings.HasPrefix(s.Unlocked[0], "opens 2026") || s.Files != nil || s.Texts != nil || s.Passphrases != nil {
		t.Errorf("%+v %+v", o, s)
	}
	if r.m.guideOpen() != nil || p.s.Values().SecretOf("unlocked").Len() != 0 {
		t.Error("the guide is still there, or what it held")
	}
}

func TestRefusedPlanStartsNothing(t *testing.T) {
	d := sampleDesk()
	d.plan.Checks = append(d.plan.Checks, vault.Check{State: "x", Text: "the target is not empty", Do: "choose another"})
	r := planned(t, d, 80, 24, Options{})
	atStep(t, r, "checks")
	r.keys("enter")
	r.settle()
	r.wants("the restore is refused", "the target is not empty", "choose another")
	if len(d.calls()) > 0 {
		t.Errorf("%v", d.calls())
	}
}

// TestUnlockElsewhere: the request is copied, and its answer pasted; a key
// in that field is named as one.
func TestUnlockElsewhere(t *testing.T) {
	d := sampleDesk()
	r := keyed(t, d, Options{})
	r.wants("> unlock elsewhere", "pgvault unlock -i KEYFILE")
	r.keys("c")
	r.until("the copy", func() bool { return r.copied != "" })
	if !strings.Contains(r.copied, "pgvault-unlock-1:") {
		t.Errorf("copied %q", r.copied)
	}
	r.keys("enter")
	r.wants("! answer: nothing is given yet")
	r.update(tea.PasteMsg{Content: "pgvault-unlock-1:AAAA\n"})
	r.wants("this is the request itself")
	r.keys("ctrl+u")
	r.lacks("hidden:")
	r.update(tea.PasteMsg{Content: "pgvault-key-1:AAAA"})
	r.wants("hidden: pgvault-key-1:..., 18 characters, not whole yet")
	r.keys("enter")
	r.settle()
	atStep(t, r, "where")
	if got := d.unlocked[0].Unlocked; len(got) != 1 || got[0] != "pgvault-key-1:AAAA" {
		t.Errorf("%q", got)
	}
	// Back, with what was given kept; forward again without asking twice.
	r.keys("esc")
	r.settle()
	r.wants("hidden: pgvault-key-1:")
	r.keys("enter")
	r.settle()
	if atStep(t, r, "where"); len(d.unlocked) != 1 {
		t.Errorf("opened %d times", len(d.unlocked))
	}
}

func TestKeyFileIsLookedAt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a key")
	if err := os.WriteFile(path, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	d := sampleDesk()
	d.health.Places = []vault.PlaceHealth{{Name: "disk", URL: "file:" + filepath.Dir(path)}}
	r := keyed(t, d, Options{})
	r.keys("down", "tab")
	r.typeText(path + "x")
	r.settle()
	r.wants("there is no such file")
	r.keys("backspace")
	r.settle()
	r.wants("ok  a file of 1 bytes", "others on this host can read it (mode 0644)", "> chmod 600", "a key'", "same disk as the backups")
}

// TestSecretIsNeverShown: what is pasted or typed stands on no screen, in no
// dump of the model, and in no message; it is gone when the guide is.
func TestSecretIsNeverShown(t *testing.T) {
	t.Setenv("TMUX", "/tmp/made-up,1,0")
	const secret = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
	r := keyed(t, sampleDesk(), Options{})
	r.keys("down", "down", "tab")
	r.update(tea.PasteMsg{Content: secret + "\r\n"})
	r.wants("hidden: AGE-SECRET-KEY-1..., 74 characters", "tmux delete-buffer")
	p := atStep(t, r, "key")
	if got := p.s.Values().SecretOf("pasted").Text(); got != secret {
		t.Fatalf("%d characters arrived", len(got))
	}
	for _, s := range []string{r.screen(), fmt.Sprintf("%v", p.s), fmt.Sprintf("%+v", *p), fmt.Sprintf("%#v", p.secrets["pasted"])} {
		if strings.Contains(s, secret[20:40]) {
			t.Errorf("shown: %.200s", s)
		}
	}
	r.keys("ctrl+r")
	r.lacks(secret[20:40])
	for range 74 {
		r.keys("backspace")
	}
	r.wants("hidden: ")
	r.keys("ctrl+u")
	r.typeText("AGE-SECRET-KEY-1Q<?")
	r.wants("19 characters of 74")
	r.keys("ctrl+s")
	r.wants("left the guide; nothing was changed")
	if n := p.s.Values().SecretOf("pasted").Len(); n > 0 || r.m.guideOpen() != nil {
		t.Errorf("%d bytes stay", n)
	}
}

func TestPassphraseInTheGuide(t *testing.T) {
	d := sampleDesk()
	d.try = func(ids vault.Identities) error {
		got, err := ids.Passphrase("passphrase of /root/key")
		if err == nil && got != "ge heim" {
			err = &fault.Error{What: "the passphrase does not open it", Code: fault.NoKey}
		}
		return err
	}
	r := onBackups(t, d, Options{Identity: []string{"/root/key"}}, 80, 24)
	r.keys("r")
	r.settle()
	asks := func() bool { _, ok := r.m.top().(*passphrase); return ok }
	r.keys("enter")
	r.until("the question", asks)
	r.typeText("wrong")
	r.keys("enter")
	r.settle()
	r.wants("this did not work", "the passphrase does not open it")
	r.keys("enter")
	r.until("the question", asks)
	r.keys("esc") // nobody answers
	r.settle()
	r.wants("no passphrase was given")
	r.keys("enter")
	r.until("the question", asks)
	r.typeText("ge heim")
	r.keys("enter")
	r.settle()
	atStep(t, r, "where")
}

// TestGuideAtEverySize: what a step is about can be seen however small the
// screen is.
func TestGuideAtEverySize(t *testing.T) {
	for _, s := range [][2]int{{80, 24}, {60, 20}, {30, 8}} {
		r := planned(t, sampleDesk(), s[0], s[1], Options{})
		r.wants("RESTORE", "PLAN", "5/7", "Enter start", "from")
		if s[1] < 24 {
			r.wants("more lines: PgDn")
			for range 20 {
				r.keys("pgdown")
			}
			r.wants("/root/key")
		}
	}
}

// TestGuideFollowsAJob: a guide that goes on after a job shows it itself and
// lets nobody back while it runs; its draft is kept at every step.
func TestGuideFollowsAJob(t *testing.T) {
	d := sampleDesk()
	events := make(chan vault.Event)
	d.watch = func(_ context.Context, _ string, s vault.Sink) error {
		for e := range events {
			s(e)
		}
		return nil
	}
	var drafts []guide.Draft
	dropped := false
	g := &guide.Guide{Name: "two", Title: "TWO", Runs: d,
		Save: func(x guide.Draft) error { drafts = append(drafts, x); return errors.New("the disk is full") },
		Drop: func() error { dropped = true; return nil },
		Steps: []guide.Step{
			{Key: "ask", Name: "Ask", Fields: []guide.Field{{Key: "go", Label: "go on", Kind: guide.YesNo}, {Key: "pass", Label: "pass", Kind: guide.Secret, Optional: true, Reveal: true}}},
			{Key: "run", Name: "Run", Job: func(context.Context, *guide.Values, guide.Talk) (vault.Order, vault.Secrets, error) {
				return vault.Order{Kind: vault.KindBackup}, vault.Secrets{}, nil
			}, Body: func(v *guide.Values) []guide.Section {
				if r := v.Run("run"); r != nil {
					return []guide.Section{{Label: "now", Lines: []guide.Line{{Text: r.Doing()}}}}
				}
				return nil
			}},
			{Key: "end", Name: "End", Body: func(*guide.Values) []guide.Section {
				return []guide.Section{{Table: &guide.Table{Titles: []string{"WHAT", ">ROWS"}, Rows: [][]string{{hostile, "5"}}}}}
			}},
		}}
	r := onBackups(t, d, Options{}, 80, 24)
	r.m.pages = append(r.m.pages, newGuidePage(guide.New(g, nil)))
	r.keys("space", "tab")
	r.typeText("geheim")
	r.wants("[ yes ]", "hidden: 6 characters")
	r.keys("ctrl+r")
	r.wants("[ geheim")
	r.keys("enter")
	r.until("the launch", func() bool { return r.m.guideOpen().s.Running() })
	events <- vault.RunStarted{Stages: []vault.Stage{vault.StageData}}
	events <- vault.Progress{Rows: 40, RowsTotal: 100, Estimate: "a guess"}
	r.until("progress", func() bool { return strings.Contains(r.screen(), "data, 1 of 1, ~40%") })
	r.keys("esc")
	r.wants("the job runs by itself")
	r.keys("enter")
	r.wants("the job still runs")
	events <- vault.RunDone{Result: vault.ResultOK}
	close(events)
	r.until("the end", func() bool { return !r.m.guideOpen().s.Running() })
	r.keys("enter")
	r.until("the last step", func() bool { return r.m.guideOpen().s.Step().Key == "end" })
	r.wants("WHAT", "ROWS", "END", "3/3")
	r.settle()
	r.keys("enter")
	r.settle()
	if r.m.guideOpen() != nil || !dropped || len(drafts) < 2 || drafts[0].Texts["go"] != "yes" {
		t.Errorf("open %v, dropped %t, drafts %+v", r.m.guideOpen(), dropped, drafts)
	}
}
