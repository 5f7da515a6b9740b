package tui

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"pgvault/guide"
	"pgvault/setup"
	"pgvault/vault"
	"pgvault/vault/retention"
)

// auditDesk is a made-up vault that weighs rules and keeps an audit trail.
type auditDesk struct {
	*fakeDesk
	trail []string
}

func (d *auditDesk) Audit(_ context.Context, kind, what, result, _ string) error {
	d.trail = append(d.trail, kind+" "+what+" "+result)
	return nil
}

// PreviewPolicy keeps as many archives as the policy's last says.
func (d *auditDesk) PreviewPolicy(_ context.Context, _ []string, keep func(string) retention.Policy) ([]vault.Verdict, error) {
	var out []vault.Verdict
	for i, a := range d.list {
		out = append(out, vault.Verdict{ID: a.ID, Database: a.Database, Time: a.Started, Keep: i < keep(a.Database).Last, Reasons: []string{"no rule keeps it"}})
	}
	return out, nil
}

// What editors do to the file that they are given.
const (
	editErrors    = `sed -i 's/^label.*/label = 5/; $a\nonsense = 1'`
	editLabel     = `sed -i 's/^label.*/label = "TEST"\t# a tab/'`
	editKeep      = `sed -i 's/last = 9/last = 4/'`
	editNothing   = `true`
	editMeanwhile = `f() { sed -i 's/^label.*/label = "THEIRS"/' "$CONF"; sed -i 's/^label.*/label = "MINE"/' "$1"; }; f`
	editFails     = `f() { sed -i 's/PROD/GONE/' "$1"; exit 3; }; f`
)

// onSetup shows the Setup page of a vault that cannot reach its server; the
// names in its configuration are hostile.
func onSetup(t *testing.T, w, h int, o Options) *rig {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("TMPDIR", t.TempDir())
	path := filepath.Join(dir, "config.toml")
	text := "# ours\n[vault]\nlabel = \"PROD\"\n[server]\ndbname = \"host=/nonexistent/ev\\u001bil user=x\"\n" +
		"[keys]\nrecipients_file = \"none\\u202e.txt\"\n[defaults]\nkeep = { last = 9 }\n[[place]]\nname = \"disk\"\nurl = \"file:/nonexistent/place\"\n"
	if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CONF", path)
	d := &auditDesk{fakeDesk: sampleDesk()}
	o.Setup = &setup.Desk{Path: path, Vault: d, Program: setup.Program{Version: "1.4.0", StateDir: "/var/lib/pgvault", Theme: "auto", Mouse: true}}
	o.exec = func(c *exec.Cmd, done tea.ExecCallback) tea.Cmd {
		return func() tea.Msg { return done(c.Run()) }
	}
	r := newRig(t, d.fakeDesk, o, w, h)
	r.keys("4")
	r.settle()
	return r
}

// edited opens the editor, which is a small script, and shows what came of it.
func edited(t *testing.T, w, h int, o Options, editor string) *rig {
	t.Helper()
	t.Setenv("VISUAL", editor)
	r := onSetup(t, w, h, o)
	r.keys("enter")
	r.settle()
	return r
}

func (r *rig) config() string {
	r.t.Helper()
	src, err := os.ReadFile(r.m.o.Setup.Path)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(src)
}

func (r *rig) trail() []string { return r.m.o.Setup.Vault.(*auditDesk).trail }

// copies are the copies of configurations that lie about.
func (r *rig) copies() int {
	r.t.Helper()
	found, err := filepath.Glob(filepath.Join(os.TempDir(), "pgvault-edit-*"))
	if err != nil {
		r.t.Fatal(err)
	}
	return len(found)
}

func TestSetupShowsTodaysTruth(t *testing.T) {
	r := onSetup(t, 80, 24, Options{})
	r.wants("SECTION", "Databases", "x no answer", "Keys", "x unusable", "Places", "x 1 down", "Keep", "9 last", "When", "! by hand",
		"Verify", "This program    1.4.0", "-- Databases"[3:], "a change is shown as a diff")
	r.keys("down", "down", "down")
	r.wants("> Keep", "never given up: the newest good archive")
	r.keys("d")
	r.wants("pgvault retention shows what the rules would keep")
	r.keys("esc")
	r.wants("SECTION")
	r.keys("Y")
	if !strings.Contains(r.m.message, "config check") {
		t.Errorf("message %q", r.m.message)
	}
	r.keys("T")
	r.wants("looking again")
	r.settle()
	r.lacks("looking again")
}

func TestSetupSavesAfterTheDiff(t *testing.T) {
	again := ""
	r := edited(t, 80, 24, Options{Again: &again}, editLabel)
	r.wants("save this change?", "vault.label PROD > TEST", `-label = "PROD"`, `+label = "TEST"    # a tab`, "Keep the old file", "Save it")
	before := r.config()
	r.keys("enter")
	r.settle()
	if r.config() != before || r.copies() != 0 || !strings.Contains(r.m.message, "as it was") {
		t.Fatalf("the first answer saved: %q, %d copies\n%s", r.m.message, r.copies(), r.config())
	}
	r.keys("enter")
	r.settle()
	r.keys("tab", "enter")
	r.until("leaving", func() bool { return r.quit })
	if !strings.Contains(r.config(), "# ours\n[vault]") || !strings.Contains(r.config(), "TEST") || r.copies() != 0 {
		t.Errorf("%d copies\n%s", r.copies(), r.config())
	}
	if got := r.trail(); len(got) != 1 || got[0] != "settings vault.label PROD > TEST ok" {
		t.Errorf("trail %q", got)
	}
	if !strings.HasPrefix(again, "saved: vault.label PROD") {
		t.Errorf("what is said afterwards: %q", again)
	}
}

func TestSetupWithoutAgainStays(t *testing.T) {
	r := edited(t, 80, 24, Options{}, editLabel)
	r.keys("tab", "enter")
	r.settle()
	r.wants("saved: vault.label PROD >", "SECTION")
	if r.quit {
		t.Error("it left")
	}
}

func TestSetupShowsErrorsWithTheirLines(t *testing.T) {
	r := edited(t, 80, 24, Options{}, editErrors)
	before := r.config()
	r.wants("x the configuration has errors", "    3 label = 5", "label must be a text in quotes", `unknown key "nonsense"`, "Edit again", "Discard")
	t.Setenv("VISUAL", editLabel)
	r.keys("enter") // the same copy once more: its other error is still there
	r.settle()
	r.wants("nonsense")
	r.lacks("label must be")
	r.keys("tab", "enter")
	r.settle()
	if r.config() != before || r.copies() != 0 {
		t.Errorf("%d copies\n%s", r.copies(), r.config())
	}
}

func TestSetupNeverOverwritesWhatOthersSaved(t *testing.T) {
	r := edited(t, 80, 24, Options{}, editMeanwhile)
	r.wants("! the file was changed meanwhile", `+label = "THEIRS"`, "your text stays in")
	r.keys("pgdown", "pgdown")
	r.wants(`+label = "MINE"`)
	r.keys("enter")
	r.settle()
	if !strings.Contains(r.config(), "THEIRS") || r.copies() != 1 || r.trail() != nil {
		t.Errorf("%d copies\n%s", r.copies(), r.config())
	}
}

// TestSetupChangedAtTheLastMoment: the file changes while the diff is looked
// at.
func TestSetupChangedAtTheLastMoment(t *testing.T) {
	r := edited(t, 80, 24, Options{}, editLabel)
	theirs := strings.Replace(r.config(), "PROD", "LATE", 1)
	if err := os.WriteFile(r.m.o.Setup.Path, []byte(theirs), 0o640); err != nil {
		t.Fatal(err)
	}
	r.keys("tab", "enter")
	r.settle()
	r.wants("! the file was changed meanwhile", `+label = "LATE"`)
	if r.config() != theirs {
		t.Error("it was overwritten")
	}
}

func TestSetupAsksForTheNumberWhenLessIsKept(t *testing.T) {
	r := edited(t, 80, 24, Options{}, editKeep)
	before := r.config()
	r.wants("the new rules give up 2 archives", "defaults.keep 9 last > 4 last")
	r.lacks("type 2 to save")
	r.keys("tab", "enter")
	if !strings.Contains(r.m.message, "type 2") || r.config() != before {
		t.Fatalf("%q\n%s", r.m.message, r.config())
	}
	r.wants("type 2 to save")
	r.keys("tab", "1", "enter")
	if !strings.Contains(r.m.message, "type 2") || r.config() != before {
		t.Fatalf("%q\n%s", r.m.message, r.config())
	}
	r.keys("backspace", "2", "enter")
	r.settle()
	if !strings.Contains(r.config(), "last = 4") {
		t.Errorf("%q\n%s", r.m.message, r.config())
	}
}

func TestSetupEditorThatFailsOrDoesNothing(t *testing.T) {
	for editor, want := range map[string]string{editFails: "the editor ended with exit status 3; nothing was changed", editNothing: "nothing was changed"} {
		r := edited(t, 80, 24, Options{}, editor)
		if !strings.Contains(r.m.message, want) || !strings.Contains(r.config(), "PROD") || r.copies() != 0 || len(r.m.dialogs) != 0 {
			t.Errorf("%s: %q, %d copies", editor, r.m.message, r.copies())
		}
	}
}

func TestSetupEscKeepsTheTextAside(t *testing.T) {
	r := edited(t, 80, 24, Options{}, editLabel)
	r.keys("esc")
	r.settle()
	if r.copies() != 1 || !strings.Contains(r.m.message, "your text stays in ") || !strings.Contains(r.config(), "PROD") {
		t.Errorf("%q %d", r.m.message, r.copies())
	}
	r.wants("SECTION")
}

func TestSetupOfWhoMayNotAct(t *testing.T) {
	r := onSetup(t, 80, 24, Options{ReadOnly: true})
	r.keys("enter")
	r.settle()
	if !strings.Contains(r.m.message, "read only") || len(r.m.dialogs) != 0 || r.copies() != 0 {
		t.Errorf("%q", r.m.message)
	}
	// What the screen does not know of is refused behind it.
	r = onSetup(t, 80, 24, Options{})
	r.d.access = &vault.Access{Why: "You are dba-1; the vault belongs to pgvault"}
	r.keys("enter")
	r.settle()
	r.wants("the configuration cannot be edited", "You are dba-1")
}

func TestSetupMouse(t *testing.T) {
	r := onSetup(t, 80, 24, Options{Mouse: true})
	page := r.m.setup
	r.update(tea.MouseClickMsg{Button: tea.MouseLeft, X: 5, Y: r.m.bodyTop + page.listAt + 4})
	if page.sel != 4 {
		t.Errorf("row %d", page.sel)
	}
	r.update(tea.MouseWheelMsg{Button: tea.MouseWheelUp})
	if page.sel != 3 {
		t.Errorf("row %d", page.sel)
	}
	r = edited(t, 80, 24, Options{Mouse: true}, editLabel)
	d := r.m.top().(*review)
	r.update(tea.MouseClickMsg{Button: tea.MouseLeft, X: 2 + len("Keep the old file") + 8, Y: r.m.overTop + d.foot})
	if d.sel != 1 {
		t.Errorf("answer %d", d.sel)
	}
}

// TestFirstSetupIsAloneOnTheScreen: before there is a vault the guide is all
// there is, and the screen ends with it.
func TestFirstSetupIsAloneOnTheScreen(t *testing.T) {
	world := setup.World{Path: filepath.Join(t.TempDir(), "config.toml"), StateDir: t.TempDir(), Access: vault.Access{Act: true}}
	for _, size := range [][2]int{{80, 24}, {60, 20}, {30, 8}, {20, 5}} {
		again := ""
		r := newRig(t, sampleDesk(), Options{Guide: guide.New(setup.Guide(world), nil), Again: &again}, size[0], size[1])
		if size[0] >= 60 {
			r.wants("this machine has no vault yet", "Which PostgreSQL server")
			r.lacks("1 Health")
		}
		r.typeText("host=/nonexistent")
		r.settle()
		r.keys("ctrl+s")
		if len(r.m.pages) != 1 || again != "" {
			t.Errorf("%d pages, %q", len(r.m.pages), again)
		}
	}
}
