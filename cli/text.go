package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"pgvault/safetext"
	"pgvault/vault"
)

// textSink prints a run for people: a line a stage, notices, what differs,
// and progress as one moving line on a terminal or a line each 10 % or 30 s
// elsewhere.
type textSink struct {
	w       io.Writer
	tty     bool
	quiet   bool
	verbose bool

	width   int // of the moving line on the screen now
	height  int // or of the block of places
	byPlace map[string]*placeTold
	tenth   int64
	printed time.Time
	since   time.Time
	stage   vault.Stage
}

func (t *textSink) sink(e vault.Event) {
	if t.quiet {
		return
	}
	switch e := e.(type) {
	case vault.RunStarted:
		if e.Kind == vault.KindCopy && e.ID == "" {
			t.line("copy of all that is missing")
			break
		}
		if e.Kind == vault.KindReseal && e.ID == "" {
			t.line("reseal of several archives")
			break
		}
		if e.Kind == vault.KindRecover {
			break // the plan was shown
		}
		if e.Kind == vault.KindRetention {
			t.line("retention of %s", safetext.Line(firstOf(e.Database, "all databases")))
			break
		}
		t.line("%s of %s, %s", e.Kind, safetext.Line(e.Database), safetext.Line(e.ID))
	case vault.StageStarted:
		t.stage, t.since, t.printed, t.tenth = e.Stage, e.At, e.At, 0
	case vault.Progress:
		t.progress(e)
	case vault.TableDone:
		t.table(e)
	case vault.PlaceDone:
		t.placeDone(e)
	case vault.DatabaseDone:
		t.line("%d of %d: %s is %s", e.N, e.Of, safetext.Line(e.Row.Database), safetext.Line(e.Row.Result))
	case vault.Notice:
		mark := "   "
		if e.Level == "warning" {
			mark = " ! "
		}
		t.line("%s%s", mark, safetext.Line(e.Text))
	case vault.StageDone:
		t.line("ok %-10s %6.1f s", e.Stage, e.Seconds)
	case vault.RunDone:
		t.done(e)
	}
}

// line prints one line, over the moving one if there is one.
func (t *textSink) line(format string, a ...any) {
	t.clear()
	fmt.Fprintf(t.w, format+"\n", a...)
}

func (t *textSink) clear() {
	if t.height > 0 {
		fmt.Fprintf(t.w, "\x1b[%dA\x1b[J", t.height)
		t.height = 0
	}
	if t.width > 0 {
		fmt.Fprintf(t.w, "\r%s\r", strings.Repeat(" ", t.width))
		t.width = 0
	}
}

func (t *textSink) progress(e vault.Progress) {
	if len(e.Places) > 0 {
		t.places(e)
		return
	}
	text := progressText(e)
	if t.tty {
		pad := max(0, t.width-len([]rune(text)))
		fmt.Fprintf(t.w, "\r%s%s", text, strings.Repeat(" ", pad))
		t.width = len([]rune(text))
		return
	}
	tenth := int64(0)
	if e.RowsTotal > 0 {
		tenth = e.Rows * 10 / e.RowsTotal
	} else if e.Stage == vault.StageReseal && e.BytesTotal > 0 {
		tenth = e.Bytes * 10 / e.BytesTotal
	}
	if tenth > t.tenth || e.At.Sub(t.printed) >= 30*time.Second {
		t.tenth, t.printed = tenth, e.At
		t.line("   %s", text)
	}
}

// progressText never claims more than 99 %, marks every estimate with ~
// and shows counts alone where no total is known.
func progressText(e vault.Progress) string {
	if len(e.Places) > 0 {
		return copyText(e)
	}
	var parts []string
	mark := ""
	if e.Estimate != "" {
		mark = "~"
	}
	if e.RowsTotal > 0 {
		parts = append(parts, fmt.Sprintf("%s%d %%", mark, min(99, e.Rows*100/e.RowsTotal)),
			fmt.Sprintf("%d of %s%d rows", e.Rows, mark, e.RowsTotal))
	} else if e.Rows > 0 {
		parts = append(parts, fmt.Sprintf("%d rows", e.Rows))
	}
	switch {
	case e.Stage == vault.StageReseal && e.BytesTotal > 0: // read, and read back
		parts = append(parts, fmt.Sprintf("%d %%", min(99, e.Bytes*100/e.BytesTotal)), size(e.Bytes)+" of "+size(e.BytesTotal))
	case e.Bytes > 0:
		parts = append(parts, size(e.Bytes))
	}
	if e.Tables > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d tables", e.TablesDone, e.Tables))
	}
	if len(e.Active) > 0 {
		parts = append(parts, middle(safetext.Line(e.Active[0].Name), 30))
	}
	if e.Estimate != "" {
		parts = append(parts, "~ "+e.Estimate)
	}
	return string(e.Stage) + ": " + strings.Join(parts, ", ")
}

func (t *textSink) table(e vault.TableDone) {
	switch {
	case e.State == vault.StateDiffers:
		t.line(" x %s: %d rows, the archive has %d  %s", safetext.Line(e.Name), e.Rows, e.RowsExpected, safetext.Line(e.Note))
	case t.verbose:
		t.line("   %-9s %12d rows %10s  %s  %s", e.State, e.Rows, size(e.Bytes), safetext.Line(e.Name), safetext.Line(e.Note))
	}
}

func (t *textSink) done(e vault.RunDone) {
	t.clear()
	if e.Err != nil {
		for _, d := range e.Differences {
			t.line(" x %s: %s", safetext.Line(d.Table), safetext.Line(d.Why))
		}
		return // the four lines follow from Main
	}
	switch e.Kind {
	case vault.KindBackup:
		t.line("ok %s: %d tables, %d rows, %s in %s stored, proof: %s, %.1f s", e.ID, e.Tables, e.Rows, size(e.Bytes), size(e.Stored), e.Proof, e.Seconds)
	case vault.KindImport:
		t.line("ok %s: %s with the original, %d rows, %s in %s stored, proof: %s, %.1f s", e.ID, strings.TrimPrefix(equalText(e), ": "), e.Rows, size(e.Bytes), size(e.Stored), e.Proof, e.Seconds)
	case vault.KindCopy:
		t.line("%s", copied(e))
	case vault.KindReseal:
		t.line("ok %s sealed anew, %.1f s", size(e.Stored), e.Seconds)
	case vault.KindRetention:
		if r := e.Retained; r != nil {
			t.line("ok kept %d, marked %d, gone %d (freed %s), %.1f s", r.Kept, r.Marked, r.Gone, size(r.Freed), e.Seconds)
		}
	case vault.KindVerify:
		t.line("ok %s is %s%s, %.1f s", e.ID, e.Proof, equalText(e), e.Seconds)
	case vault.KindRecover:
		if r := e.Recovered; r != nil {
			t.line("ok %d databases came back%s, %.1f s", len(r.Databases), equalText(e), e.Seconds)
		}
	case vault.KindSwitch:
		t.line("ok %s: the names are as planned, %.1f s", safetext.Line(e.Database), e.Seconds)
	case vault.KindRestore:
		t.line("ok %s is restored%s, %.1f s", safetext.Line(e.Target), equalText(e), e.Seconds)
	}
}

func equalText(e vault.RunDone) string {
	if e.TablesTotal == 0 {
		return ""
	}
	return fmt.Sprintf(": %d of %d tables equal", e.TablesEqual, e.TablesTotal)
}

// size writes bytes in binary units.
func size(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	f, unit := float64(n), 0
	for f >= 1024 && unit < 5 {
		f /= 1024
		unit++
	}
	return fmt.Sprintf("%.1f %ciB", f, " KMGTP"[unit])
}

// middle cuts a long name in its middle, by runes.
func middle(s string, width int) string {
	r := []rune(s)
	if len(r) <= width {
		return s
	}
	keep := (width - 1) / 2
	return string(r[:keep]) + "~" + string(r[len(r)-(width-1-keep):])
}
