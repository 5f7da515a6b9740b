package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"pgvault/fault"
	"pgvault/vault"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// told gives what a text printer writes for events.
func told(s textSink, events ...vault.Event) string {
	var b bytes.Buffer
	s.w = &b
	for _, e := range events {
		s.sink(e)
	}
	return b.String()
}

func TestProgressText(t *testing.T) {
	for _, c := range []struct {
		p    vault.Progress
		want string
	}{
		{vault.Progress{Stage: "data"}, "data: "},
		{vault.Progress{Stage: "data", Rows: 5}, "data: 5 rows"},
		{vault.Progress{Stage: "data", Rows: 5, Bytes: 2048}, "data: 5 rows, 2.0 KiB"},
		{vault.Progress{Stage: "data", Rows: 50, RowsTotal: 100}, "data: 50 %, 50 of 100 rows"},
		{vault.Progress{Stage: "data", Rows: 100, RowsTotal: 100}, "data: 99 %, 100 of 100 rows"},
		{vault.Progress{Stage: "data", Rows: 500, RowsTotal: 100, Estimate: "the server's own"}, "data: ~99 %, 500 of ~100 rows, ~ the server's own"},
		{vault.Progress{Stage: "data", Tables: 7, TablesDone: 3, Active: []vault.Table{{Name: "a\x1b[2J"}}}, `data: 3 of 7 tables, a\x1b[2J`},
		{vault.Progress{Stage: "compare", Rows: 1, RowsTotal: 3, Active: []vault.Table{{Name: strings.Repeat("x", 60)}}},
			"compare: 33 %, 1 of 3 rows, " + strings.Repeat("x", 14) + "~" + strings.Repeat("x", 15)},
	} {
		if got := progressText(c.p); got != c.want {
			t.Errorf("%+v\n got %q\nwant %q", c.p, got, c.want)
		}
	}
}

func TestPercentNeverReaches100(t *testing.T) {
	for rows := range int64(3000) {
		got := progressText(vault.Progress{Rows: rows, RowsTotal: 1000})
		var percent int
		if _, err := fmt.Sscanf(got, ": %d %%", &percent); err != nil || percent > 99 || int64(percent) > rows/10 {
			t.Fatalf("%d of 1000 rows: %q, %v", rows, got, err)
		}
	}
}

// TestLinesOffTerminal: a line each 10 % or 30 s, and no more.
func TestLinesOffTerminal(t *testing.T) {
	at := func(s int) time.Time { return noon.Add(time.Duration(s) * time.Second) }
	events := []vault.Event{vault.StageStarted{Stage: "data", At: at(0)}}
	for rows := int64(1); rows <= 1000; rows++ {
		events = append(events, vault.Progress{Stage: "data", Rows: rows, RowsTotal: 1000, At: at(1)})
	}
	out := told(textSink{}, events...)
	if n := strings.Count(out, "\n"); n != 10 {
		t.Errorf("%d lines for 1000 steps, not 10:\n%s", n, out)
	}
	if strings.Contains(out, "\r") || !strings.Contains(out, "   data: 10 %, 100 of 1000 rows\n") {
		t.Errorf("the lines are\n%s", out)
	}

	events = []vault.Event{vault.StageStarted{Stage: "data", At: at(0)}}
	for s := 1; s <= 95; s++ {
		events = append(events, vault.Progress{Stage: "data", Rows: int64(s), At: at(s)})
	}
	if out := told(textSink{}, events...); out != "   data: 30 rows\n   data: 60 rows\n   data: 90 rows\n" {
		t.Errorf("without a total, one line each 30 s:\n%s", out)
	}
}

// TestMovingLine: on a terminal each Progress overwrites the one before, and
// what is printed next begins on a clean line.
func TestMovingLine(t *testing.T) {
	out := told(textSink{tty: true},
		vault.StageStarted{Stage: "data", At: noon},
		vault.Progress{Stage: "data", Rows: 1000, At: noon},
		vault.Progress{Stage: "data", Rows: 7, At: noon},
		vault.StageDone{Stage: "data", Seconds: 1.25})
	want := "\rdata: 1000 rows\rdata: 7 rows   \r            \rok data          1.2 s\n"
	if out != want {
		t.Errorf("got %q\nwant %q", out, want)
	}
}

func TestTextOfRun(t *testing.T) {
	hostile := "\x1b[31mred\u202e\n"
	events := []vault.Event{
		vault.RunStarted{Kind: vault.KindRestore, ID: hostile, Database: hostile},
		vault.Notice{Level: "warning", Text: hostile},
		vault.Notice{Level: "info", Text: "plain"},
		vault.TableDone{Name: hostile, State: vault.StateDiffers, Rows: 1, RowsExpected: 2, Note: hostile},
		vault.TableDone{Name: hostile, State: vault.StateEqual, Rows: 1, Note: hostile},
		vault.RunDone{Kind: vault.KindRestore, Target: hostile, TablesEqual: 3, TablesTotal: 4, Err: errors.New("x"),
			Differences: []vault.Difference{{Table: hostile, Why: hostile}}},
		vault.RunDone{Kind: vault.KindRestore, Target: hostile, TablesEqual: 4, TablesTotal: 4},
	}
	out := told(textSink{verbose: true}, events...)
	if strings.ContainsAny(out, "\x1b\u202e\r") {
		t.Errorf("raw control characters in %q", out)
	}
	for _, want := range []string{` ! \x1b[31mred`, "   plain\n", " x \\x1b[31mred\\u{202e}\\n: 1 rows, the archive has 2", "4 of 4 tables equal"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	if out := told(textSink{quiet: true, verbose: true}, events...); out != "" {
		t.Errorf("quiet says %q", out)
	}
	if out := told(textSink{}, events[4]); out != "" {
		t.Errorf("an equal table is told without -v: %q", out)
	}
}

func TestTextOfEnds(t *testing.T) {
	for _, c := range []struct {
		e    vault.RunDone
		want string
	}{
		{vault.RunDone{Kind: vault.KindBackup, ID: "ID", Tables: 2, Rows: 3, Bytes: 4096, Stored: 512, Proof: vault.ProofReadable, Seconds: 1.5},
			"ok ID: 2 tables, 3 rows, 4.0 KiB in 512 B stored, proof: readable, 1.5 s\n"},
		{vault.RunDone{Kind: vault.KindVerify, ID: "ID", Proof: vault.ProofIntact, Seconds: 1.5}, "ok ID is intact, 1.5 s\n"},
		{vault.RunDone{Kind: vault.KindRestore, Target: "new", TablesEqual: 2, TablesTotal: 2, Seconds: 1.5}, "ok new is restored: 2 of 2 tables equal, 1.5 s\n"},
		{vault.RunDone{Kind: vault.KindBackup, Err: errors.New("the four lines follow from Main")}, ""},
	} {
		if got := told(textSink{}, c.e); got != c.want {
			t.Errorf("got %q\nwant %q", got, c.want)
		}
	}
}

func TestPrintError(t *testing.T) {
	whole := &fault.Error{Op: "verify", What: "it failed\x1b[2J", Why: "a\nb", Left: "c\td", Do: "e\u202ef", Code: fault.Differs}
	for _, c := range []struct {
		err  error
		want string
	}{
		{whole, "pgvault: verify: it failed\\x1b[2J\n  why   a\\nb\n  left  c\\td\n  do    e\\u{202e}f\n"},
		{fmt.Errorf("around: %w", whole), "pgvault: verify: it failed\\x1b[2J\n  why   a\\nb\n  left  c\\td\n  do    e\\u{202e}f\n"},
		{&fault.Error{Op: "verify", What: "verify it again", Err: fs.ErrNotExist}, "pgvault: verify it again\n  why   file does not exist\n"},
		{errors.New("plain\r"), "pgvault: plain\\r\n"},
	} {
		var b bytes.Buffer
		(&program{stderr: &b}).printError(c.err)
		if b.String() != c.want {
			t.Errorf("got %q\nwant %q", b.String(), c.want)
		}
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 1 << 20: "1.0 MiB", 5 << 30: "5.0 GiB", 1 << 50: "1.0 PiB", 1 << 61: "2048.0 PiB"} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %q, not %q", n, got, want)
		}
	}
}

func TestMiddle(t *testing.T) {
	for _, c := range []struct {
		in    string
		width int
		want  string
	}{
		{"short", 5, "short"}, {"public.orders", 8, "pub~ders"}, {"學生姓名班級成績", 5, "學生~成績"}, {"abc", 1, "~"}, {"", 3, ""},
	} {
		got := middle(c.in, c.width)
		if got != c.want || len([]rune(got)) > c.width {
			t.Errorf("middle(%q, %d) = %q, not %q", c.in, c.width, got, c.want)
		}
	}
}

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0s", 59 * time.Second: "59s", 60 * time.Second: "1m", 59 * time.Minute: "59m",
		time.Hour: "1h", 47*time.Hour + 59*time.Minute: "47h", 48 * time.Hour: "2d", 400 * 24 * time.Hour: "400d"} {
		if got := age(d); got != want {
			t.Errorf("age(%s) = %q, not %q", d, got, want)
		}
	}
}
