package tui

import (
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"pgvault/fault"
	"pgvault/vault"
)

// TestPlacesOfACopy: each place has its line while copies are made, its end
// in the log, and its line in the report, whatever its name is.
func TestPlacesOfACopy(t *testing.T) {
	hostile := "n\x1b[2Jas"
	for _, w := range []int{45, 80, 120} {
		e := env{th: theme{noColor: true, ascii: true}, now: clockAt, loc: time.UTC, know: &known{}, w: w, h: 30}
		j := &job{byName: map[string]int{}}
		full := &fault.Error{What: "no space", Why: "it is full", Left: "all", Do: "make room", Code: fault.NoSpace}
		for _, ev := range []vault.Event{
			vault.RunStarted{Kind: vault.KindCopy, Stages: []vault.Stage{vault.StagePreflight, vault.StageCopies}, At: clockAt},
			vault.StageStarted{Stage: vault.StageCopies, At: clockAt},
			vault.Progress{Stage: vault.StageCopies, Bytes: 3 << 20, BytesTotal: 8 << 20, At: clockAt, Places: []vault.PlaceProgress{
				{Place: "s3", State: vault.PlaceCopying, Bytes: 1 << 20, Total: 4 << 20, Rate: 2 << 20, Archives: 2, ArchivesDone: 1},
				{Place: hostile, State: vault.PlaceFailed, Bytes: 2 << 20, Total: 4 << 20}}},
			vault.PlaceDone{Stage: vault.StageCopies, Place: hostile, ID: "ID", Result: vault.CopyStopped, Err: full},
		} {
			j.apply(ev, clockAt)
		}
		page := (&jobPage{j: j}).head(e)
		text := strings.Join(page, "\n")
		for _, want := range []string{"s3", "1.0 MiB of 4.0 MiB", "copying", "x failed"} {
			if !strings.Contains(text, want) {
				t.Errorf("%d wide: no %q in\n%s", w, want, text)
			}
		}
		for _, l := range placeLines(e, j.progress) {
			if ansi.StringWidth(l) > w || strings.Contains(l, "\x1b[2J") {
				t.Errorf("%d wide: %q", w, l)
			}
		}
		if l := j.log[len(j.log)-1]; !l.warn || !strings.Contains(l.text, "no space: it is full") {
			t.Errorf("%+v", l)
		}
		j.apply(vault.RunDone{Kind: vault.KindCopy, Result: vault.ResultPartial, Exit: fault.Partial, Err: full, Places: []vault.PlaceResult{
			{Place: "s3", Archives: 2, Bytes: 5 << 20}, {Place: hostile, Missing: 3, Err: full}}}, clockAt)
		text = strings.Join((&jobPage{j: j}).head(e), "\n")
		if !strings.Contains(text, "copy of what is missing") || !strings.Contains(text, "2 archives") || !strings.Contains(text, "3 missing") {
			t.Errorf("%d wide:\n%s", w, text)
		}
	}
	for o, want := range map[*vault.Order]string{
		{Kind: vault.KindCopy, Missing: true}:                            "pgvault copy --missing",
		{Kind: vault.KindCopy, ID: "X", To: []string{"s3", "two words"}}: "pgvault copy X --to s3 --to 'two words'",
	} {
		if got := orderCommand(*o); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestTheHeaderNamesWhoElseIsHere(t *testing.T) {
	d := sampleDesk()
	r := newRig(t, d, Options{}, 120, 24)
	r.lacks("here")
	d.setScreens("dba-1", "dba-1", hostile, "")
	r.poll()
	r.wants("5 here (dba-1, ev", ")  14:07 CEST (UTC+02:00)")
	d.setScreens("dba-1")
	for _, narrow := range []struct {
		w    int
		want string
	}{{100, "2 here (dba-1)  14:07 CEST (UTC+02:00)"}, {60, "2 here"}, {40, "[PROD]"}, {24, "14:07"}} {
		r.update(tea.WindowSizeMsg{Width: narrow.w, Height: 24})
		r.poll()
		r.wants(narrow.want)
	}
	r.update(tea.WindowSizeMsg{Width: 100, Height: 24})
	d.setScreens()
	r.poll()
	r.lacks("here")
}
