package tui

import (
	"fmt"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"pgvault/fault"
	"pgvault/vault"
)

func TestPinTakesBackAndReadsAgain(t *testing.T) {
	d := sampleDesk()
	r := onBackups(t, d, Options{}, 80, 24)
	d.list[0].Pinned = true
	r.keys("m")
	r.settle()
	r.wants("pinned: kept whatever the rules say", "2 of 2   pinned")
	r.keys("m")
	r.settle()
	if got := fmt.Sprint(d.calls()); got != "[pin "+d.list[0].ID+" true pin "+d.list[0].ID+" false]" {
		t.Error(got)
	}
}

func TestDeleteNeedsTheWholeID(t *testing.T) {
	d := sampleDesk()
	id := d.list[0].ID
	r := onBackups(t, d, Options{}, 80, 24)
	open := func() {
		r.keys("D")
		r.settle()
		r.wants("delete 1 archive for good", id, "It is NOT the newest good one.", "[ Keep it ]", "Delete (off until the id is typed)")
	}
	open()
	r.keys("enter")
	r.wants("kept")
	open()
	r.keys("y", "enter")
	open()
	r.typeText(id[:len(id)-1])
	r.keys("tab")
	r.wants("Delete is off until the id above is typed", "[ Keep it ]")
	r.keys("enter")
	open()
	r.typeText(id)
	r.keys("shift+tab")
	r.wants("[ Keep it ]")
	r.keys("enter")
	open()
	r.update(tea.PasteMsg{Content: id + "x"})
	r.wants("[ Keep it ]")
	r.keys("backspace")
	r.wants("[ Delete ]")
	r.keys("backspace")
	r.wants("[ Keep it ]")
	if len(d.calls()) > 0 {
		t.Fatalf("%v", d.calls())
	}
	r.typeText(id[len(id)-1:])
	r.keys("enter")
	r.settle()
	r.wants("deleted " + id)
	if got := fmt.Sprint(d.calls()); got != "[delete "+id+"]" {
		t.Error(got)
	}
}

func TestDeleteThatIsRefusedSaysWhy(t *testing.T) {
	d := sampleDesk()
	d.del = &vault.DeletePlan{Archive: d.list[0], Refused: "it is the newest good archive of shop"}
	r := onBackups(t, d, Options{}, 80, 24)
	r.keys("D")
	r.settle()
	r.wants("not deleted: it is the newest good archive of shop")
	if len(r.m.dialogs) > 0 {
		t.Error("a dialog for what is refused anyway")
	}
}

func TestTablesAskForAnIdentityFirst(t *testing.T) {
	d := sampleDesk()
	d.try = func(ids vault.Identities) error {
		if len(ids.Files) != 1 || ids.Files[0] != "/root/key" {
			return &fault.Error{What: "no identity opens it", Do: "another file", Code: fault.NoKey}
		}
		return nil
	}
	r := onBackups(t, d, Options{}, 80, 24)
	r.keys("t", "enter")
	r.wants("tables of shop", "type the path of an identity file")
	r.typeText("/root/other")
	r.keys("enter")
	r.settle()
	r.wants("the archive's contents could not be opened", "exit code 12")
	r.keys("enter", "t")
	r.typeText("/root/key")
	r.keys("enter")
	r.settle()
	r.wants("2 tables, 9 101 466 rows, 3.0 GiB uncompressed", "public.orders", "9 101 465", "3.0 GiB", "abababababababab")
	r.keys("t")
	r.wants("these are the tables")
	r.keys("esc")
	r.wants("6 archives")
}

func TestWideShowsMoreColumns(t *testing.T) {
	r := onBackups(t, sampleDesk(), Options{}, 80, 24)
	r.lacks("TABLES")
	r.keys("w")
	r.wants("TABLES", "ID", "20260904T100000Z-7f30", "DATABASE", "PROOF")
	r.keys("w")
	r.lacks("TABLES")
}

func TestRememberedListSaysHowOldItIs(t *testing.T) {
	d := sampleDesk()
	d.cached = d.list[:2]
	r := newRig(t, d, Options{}, 80, 24)
	r.keys("2")
	r.wants("6 archives, newest first")
	r.lacks("as of")
	r.update(told{listMsg{list: d.cached, at: clockAt.Add(-3 * 3600e9), old: true, fresh: true}})
	r.m.g.pending++
	r.wants("2 archives, newest first, as of 3h ago")
}

func TestPaletteFindsByNameAndRuns(t *testing.T) {
	r := onBackups(t, sampleDesk(), Options{}, 80, 24)
	r.keys(":")
	r.typeText("act")
	r.wants("Activity")
	r.keys("enter")
	r.wants("[3 Activity]")
	r.keys(":")
	r.typeText("utc")
	r.keys("enter")
	r.wants("12:07 UTC")
	r.keys("2", ":")
	r.typeText("delete")
	r.keys("enter")
	r.settle()
	r.wants("delete 1 archive for good")
	r.keys("esc", ":")
	r.typeText("zzz")
	r.wants("no key does that here")
}

func TestTabsByMouse(t *testing.T) {
	r := newRig(t, sampleDesk(), Options{Mouse: true}, 80, 24)
	for _, name := range []string{"Setup", "Activity", "Backups", "Health"} {
		line := strings.Split(r.screen(), "\n")[1]
		r.update(tea.MouseClickMsg{X: strings.Index(line, name), Y: 1, Button: tea.MouseLeft})
		if !strings.Contains(strings.Split(r.screen(), "\n")[1], name+"]") {
			t.Errorf("%s: %q", name, strings.Split(r.screen(), "\n")[1])
		}
	}
}
