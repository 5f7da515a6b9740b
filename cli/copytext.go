package cli

import (
	"fmt"
	"strings"
	"time"

	"pgvault/fault"
	"pgvault/safetext"
	"pgvault/vault"
)

// places prints where a copy stands: on a terminal a block that is drawn over
// and over, a line a place; elsewhere a line for each place each 10 % or 30 s.
func (t *textSink) places(e vault.Progress) {
	if t.tty {
		t.clear()
		for _, p := range e.Places {
			fmt.Fprintln(t.w, placeText(p))
			t.height++
		}
		return
	}
	if t.byPlace == nil {
		t.byPlace = map[string]*placeTold{}
	}
	for _, p := range e.Places {
		told := t.byPlace[p.Place]
		if told == nil {
			told = &placeTold{printed: e.At}
			t.byPlace[p.Place] = told
		}
		tenth := int64(0)
		if p.Total > 0 {
			tenth = p.Bytes * 10 / p.Total
		}
		busy := p.State == vault.PlaceCopying || p.State == vault.PlaceReadBack
		if busy && (tenth > told.tenth || e.At.Sub(told.printed) >= 30*time.Second) {
			told.tenth, told.printed = tenth, e.At
			t.line("%s", placeText(p))
		}
	}
}

// placeTold is what was last printed of a place.
type placeTold struct {
	tenth   int64
	printed time.Time
}

// placeText is one place in a line of fewer than 80 cells. Only the end of
// the run is the end, so it never says 100 %.
func placeText(p vault.PlaceProgress) string {
	s := fmt.Sprintf("   %-14s %-9s", middle(safetext.Line(p.Place), 14), p.State)
	if p.Total > 0 && (p.State == vault.PlaceCopying || p.State == vault.PlaceReadBack) {
		s += fmt.Sprintf(" %2d %%, %s of %s", min(99, p.Bytes*100/p.Total), size(p.Bytes), size(p.Total))
		if p.Rate > 0 {
			s += ", " + size(p.Rate) + "/s"
		}
	}
	if p.Archives > 1 {
		s += fmt.Sprintf(", %d of %d done", p.ArchivesDone, p.Archives)
	}
	return s
}

// copyText is a whole copy in a few words, for a list of jobs.
func copyText(e vault.Progress) string {
	s := string(e.Stage) + ":"
	if e.BytesTotal > 0 {
		s += fmt.Sprintf(" %d %%, %s of %s", min(99, e.Bytes*100/e.BytesTotal), size(e.Bytes), size(e.BytesTotal))
	}
	var names []string
	for _, p := range e.Places {
		if p.State == vault.PlaceCopying || p.State == vault.PlaceReadBack {
			names = append(names, middle(safetext.Line(p.Place), 30))
		}
	}
	if len(names) > 0 {
		s += " to " + strings.Join(names, ", ")
	}
	return s
}

// placeDone prints how one archive came to one place.
func (t *textSink) placeDone(e vault.PlaceDone) {
	place := safetext.Line(e.Place)
	if e.Err != nil {
		f := fault.As(e.Err)
		t.line(" x %s: %s", place, safetext.Line(f.What))
		for _, l := range [][2]string{{"why ", f.Why}, {"left", f.Left}, {"do  ", f.Do}} {
			if l[1] != "" {
				t.line("     %s  %s", l[0], safetext.Line(l[1]))
			}
		}
		return
	}
	var words []string
	switch e.Result {
	case vault.CopyThere:
		words = append(words, "was there, every byte compared")
	case vault.CopyHealed:
		words = append(words, "is healed")
	default:
		words = append(words, "is copied")
	}
	if e.Bytes > 0 {
		words = append(words, size(e.Bytes)+" sent")
	}
	if e.Bytes > 0 && e.There > 0 {
		words = append(words, size(e.There)+" were there")
	}
	if e.ReadBack {
		words = append(words, "read back")
	}
	t.line("ok %s: %s of %s %s, %.1f s", place, e.ID, safetext.Line(e.Database), strings.Join(words, ", "), e.Seconds)
}

// copied is the last line of a copy that went well.
func copied(e vault.RunDone) string {
	archives := 0
	for _, p := range e.Places {
		archives += p.Archives
	}
	if archives == 0 {
		return fmt.Sprintf("ok nothing was missing, %.1f s", e.Seconds)
	}
	word := "copies"
	if archives == 1 {
		word = "copy"
	}
	return fmt.Sprintf("ok %d %s made, %s sent, %.1f s", archives, word, size(e.Stored), e.Seconds)
}
