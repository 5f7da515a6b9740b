package tui

import (
	"fmt"

	"pgvault/fault"
	"pgvault/vault"
)

// placeLines are the places of a run that copies, a line for each: how far,
// how fast, or how it ended.
func placeLines(e env, p vault.Progress) []string {
	var out []string
	for _, s := range p.Places {
		word := padRight(string(s.State), 9)
		switch s.State {
		case vault.PlaceReady:
			word = e.th.good(padRight("ok", 9))
		case vault.PlaceFailed:
			word = e.th.bad(padRight("x failed", 9))
		}
		line := "           " + padRight(e.th.text(s.Place), 12) + " " + word
		if e.w < 50 {
			line = " " + padRight(e.th.text(s.Place), 12) + " " + word
		}
		if s.Total > 0 {
			line += " " + size(s.Bytes) + " of " + size(s.Total)
		}
		if s.Rate > 0 && s.State == vault.PlaceCopying {
			line += "   " + speed(float64(s.Rate))
		}
		if s.Archives > 1 {
			line += fmt.Sprintf("   %d of %d", s.ArchivesDone, s.Archives)
		}
		out = append(out, truncate(line, e.w, ""))
	}
	return out
}

// placeWords is the end of one copy as a line of the log.
func placeWords(d vault.PlaceDone) (text string, warn bool) {
	if d.Err != nil {
		f := fault.As(d.Err)
		text = d.Place + ": " + f.What
		if f.Why != "" {
			text += ": " + f.Why
		}
		return text, true
	}
	text = d.Place + " has " + d.ID
	switch d.Result {
	case vault.CopyHealed:
		text += " again, healed"
	case vault.CopyThere:
		text += ", every byte compared"
	}
	if d.ReadBack {
		text += ", read back"
	}
	return text, false
}

// placeReport are the places in the report of a run that copied.
func placeReport(e env, d *vault.RunDone) []string {
	var out []string
	for _, p := range d.Places {
		text := plural(int64(p.Archives), "archive") + " here, " + size(p.Bytes) + " sent"
		if p.Err != nil {
			text = "x " + fault.As(p.Err).What
			if p.Missing > 0 {
				text += fmt.Sprintf("; %d missing", p.Missing)
			}
		}
		out = append(out, labelled(e.th.text(p.Place), e.th.text(text), 8, e.w)...)
	}
	return out
}
