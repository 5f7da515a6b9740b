package cli

import (
	"strings"
	"testing"
	"time"

	"pgvault/fault"
	"pgvault/vault"
)

// copySteps are a copy to two places, with a progress at every percent of the
// first.
func copySteps(seconds int) []vault.Event {
	events := []vault.Event{vault.StageStarted{Stage: vault.StageCopies, At: noon}}
	for i := range int64(100) {
		events = append(events, vault.Progress{Stage: vault.StageCopies, At: noon.Add(time.Duration(i) * time.Duration(seconds) * time.Second / 100), Places: []vault.PlaceProgress{
			{Place: "s3", State: vault.PlaceCopying, Bytes: (i + 1) << 20, Total: 100 << 20, Rate: 5 << 20, Archives: 3, ArchivesDone: 1},
			{Place: "nas", State: vault.PlaceWaiting, Total: 100 << 20, Archives: 1}}})
	}
	return events
}

// TestPlacesOffTerminal: a line for each busy place at each 10 %, or each
// 30 s; none for a place that waits.
func TestPlacesOffTerminal(t *testing.T) {
	out := told(textSink{}, copySteps(1)...)
	if n := strings.Count(out, "\n"); n != 10 || strings.Contains(out, "nas") || strings.Contains(out, "\x1b") {
		t.Errorf("%d lines:\n%s", n, out)
	}
	if !strings.Contains(out, "   s3             copying   10 %, 10.0 MiB of 100.0 MiB, 5.0 MiB/s, 1 of 3 done\n") || strings.Contains(out, "100 %") {
		t.Errorf("the lines are\n%s", out)
	}
	if n := strings.Count(told(textSink{}, copySteps(3000)...), "\n"); n != 99 {
		t.Errorf("%d lines in 50 minutes", n)
	}
}

// TestBlockOfPlaces: on a terminal the lines of the places are drawn over one
// another, and what is printed next begins where they stood.
func TestBlockOfPlaces(t *testing.T) {
	p := vault.Progress{Places: []vault.PlaceProgress{{Place: "s3", State: vault.PlaceWaiting}, {Place: "n\x1bas", State: vault.PlaceReady}}}
	out := told(textSink{tty: true}, p, p, vault.StageDone{Stage: vault.StageCopies, Seconds: 1})
	block := "   s3             waiting  \n   n\\x1bas        done     \n"
	if want := block + "\x1b[2A\x1b[J" + block + "\x1b[2A\x1b[Jok copies        1.0 s\n"; out != want {
		t.Errorf("got  %q\nwant %q", out, want)
	}
}

// TestTextOfPlaces: how each copy ended, with the four lines of what failed.
func TestTextOfPlaces(t *testing.T) {
	failed := &fault.Error{What: "no \x1bspace", Why: "it is full", Left: "all is as it was", Do: "make room"}
	out := told(textSink{},
		vault.RunStarted{Kind: vault.KindCopy},
		vault.PlaceDone{Place: "s3", ID: "ID", Database: "shop", Result: vault.Copied, Bytes: 1 << 20, There: 1024, ReadBack: true, Seconds: 1},
		vault.PlaceDone{Place: "s3", ID: "ID", Database: "shop", Result: vault.CopyThere, There: 1024},
		vault.PlaceDone{Place: "s3", ID: "ID", Database: "shop", Result: vault.CopyHealed, Bytes: 1024},
		vault.PlaceDone{Place: "nas", ID: "ID", Result: vault.CopyStopped, Err: failed},
		vault.RunDone{Kind: vault.KindCopy, Stored: 1 << 20, Places: []vault.PlaceResult{{Place: "s3", Archives: 2}}},
		vault.RunDone{Kind: vault.KindCopy, Stored: 1 << 20, Places: []vault.PlaceResult{{Place: "s3", Archives: 1}}},
		vault.RunDone{Kind: vault.KindCopy})
	want := `copy of all that is missing
ok s3: ID of shop is copied, 1.0 MiB sent, 1.0 KiB were there, read back, 1.0 s
ok s3: ID of shop was there, every byte compared, 0.0 s
ok s3: ID of shop is healed, 1.0 KiB sent, 0.0 s
 x nas: no \x1bspace
     why   it is full
     left  all is as it was
     do    make room
ok 2 copies made, 1.0 MiB sent, 0.0 s
ok 1 copy made, 1.0 MiB sent, 0.0 s
ok nothing was missing, 0.0 s
`
	if out != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
}

func TestCopyInAListOfJobs(t *testing.T) {
	got := progressText(vault.Progress{Stage: vault.StageCopies, Bytes: 1 << 20, BytesTotal: 4 << 20, Places: []vault.PlaceProgress{
		{Place: "s3", State: vault.PlaceCopying}, {Place: "usb", State: vault.PlaceReadBack}, {Place: "nas", State: vault.PlaceFailed}}})
	if got != "copies: 25 %, 1.0 MiB of 4.0 MiB to s3, usb" {
		t.Errorf("%q", got)
	}
}
