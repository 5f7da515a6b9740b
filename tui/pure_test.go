package tui

import (
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"

	"pgvault/vault"
)

func TestColumnsDropInOrder(t *testing.T) {
	cols := archiveColumns(theme{}, false)
	row := []string{"04 Sep 02:00", "12h", "shop_production", "1.9 GiB", "48 210 114", "restored", "3 of 3", "-"}
	last := map[string]bool{}
	var gone []string
	for w := 100; w >= 28; w-- {
		widths := tableWidths(cols, [][]string{row}, w)
		for i, c := range cols {
			if last[c.title] && widths[i] == 0 {
				gone = append(gone, c.title)
			}
			last[c.title] = widths[i] > 0
		}
		if got := ansi.StringWidth(tableRow(cols, widths, row, " >")); got > w {
			t.Fatalf("%d cells in %d", got, w)
		}
	}
	if got := strings.Join(gone, " "); got != "ROWS STORED KEEP COPIES AGE" {
		t.Errorf("dropped: %s", got)
	}
	for _, title := range []string{"WHEN", "DATABASE", "PROOF"} {
		if !last[title] {
			t.Errorf("%s was dropped", title)
		}
	}
}

func TestWideNamesLineUp(t *testing.T) {
	cols := archiveColumns(theme{}, false)
	rows := [][]string{
		{"04 Sep 02:00", "12h", "shop", "1.9 GiB", "5", "restored", "3 of 3", "-"},
		{"04 Sep 02:00", "3d", "データベース", "12 B", "48 210 114", "none", "1 of 3!", "pinned"},
		{"04 Sep 02:00", "3d", "cafe\u0301", "12 B", "1", "intact", "3 of 3", "-"},
	}
	widths := tableWidths(cols, rows, 80)
	at := func(line, word string) int {
		before, _, ok := strings.Cut(line, word)
		if !ok {
			t.Fatalf("%q lacks %q", line, word)
		}
		return ansi.StringWidth(before)
	}
	want := at(tableRow(cols, widths, rows[0], "  "), "restored")
	for i, word := range []string{"restored", "none", "intact"} {
		if got := at(tableRow(cols, widths, rows[i], "  "), word); got != want {
			t.Errorf("row %d: PROOF begins in cell %d, not %d", i, got, want)
		}
	}
}

func TestCutMiddleKeepsBothEnds(t *testing.T) {
	for w := 0; w < 40; w++ {
		for _, s := range []string{"order_lines_2026_09", "データベース名前です", "short"} {
			got := cutMiddle(s, w)
			if ansi.StringWidth(got) > w {
				t.Fatalf("%q in %d cells: %q", s, w, got)
			}
		}
	}
	if got := cutMiddle("order_lines_2026_09", 12); got != "order..26_09" {
		t.Errorf("%q", got)
	}
}

func TestNumbersAndTimes(t *testing.T) {
	for got, want := range map[string]string{
		count(0): "0", count(999): "999", count(48210114): "48 210 114", count(-1234): "-1 234",
		size(0): "0 B", size(1023): "1023 B", size(2041118720): "1.9 GiB", size(10<<20 - 1): "10 MiB", size(1<<40 - 1): "1.0 TiB",
		speed(12.1 * (1 << 20)): "12.1 MiB/s", speed(2048): "2 KiB/s",
		age(30 * time.Second): "now", age(90 * time.Minute): "1h", age(47 * time.Hour): "47h", age(48 * time.Hour): "2d", age(-time.Second): "future",
		took(1298 * time.Second): "21m 38s", took(1400 * time.Millisecond): "1.4s", took(3*time.Hour + 5*time.Minute): "3h 05m",
		plural(1, "table"): "1 table", plural(1200, "row"): "1 200 rows",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	at := time.Date(2026, 9, 4, 0, 0, 12, 0, time.UTC)
	if got := both(at, clockAt.Location()); got != "04 Sep 02:00:12 CEST = 00:00:12Z" {
		t.Errorf("both: %q", got)
	}
	if got := both(at, time.UTC); got != "04 Sep 2026 00:00:12 UTC" {
		t.Errorf("both in UTC: %q", got)
	}
}

func TestPercentNeverClaimsTheEnd(t *testing.T) {
	if _, ok := fraction(vault.Progress{Rows: 5, Bytes: 9}); ok {
		t.Error("a percentage without a total")
	}
	for _, p := range []vault.Progress{{Rows: 100, RowsTotal: 100}, {Rows: 300, RowsTotal: 100}, {Bytes: 7, BytesTotal: 7}} {
		f, ok := fraction(p)
		if got := percent(f, false); !ok || got != "99%" {
			t.Errorf("%+v: %s", p, got)
		}
	}
	if f, _ := fraction(vault.Progress{Rows: 43, RowsTotal: 100, Bytes: 30, BytesTotal: 1000}); percent(f, true) != "~23%" {
		t.Errorf("the mean of both: %v", f)
	}
	if f, _ := fraction(vault.Progress{Rows: 43, RowsTotal: 100, Bytes: 30}); percent(f, true) != "~43%" {
		t.Errorf("rows alone: %v", f)
	}
}

func TestTimeLeftIsARangeAfterHalfAMinute(t *testing.T) {
	if _, _, ok := timeLeft(0.5, 29*time.Second, 0); ok {
		t.Error("a time left before 30 s")
	}
	if _, _, ok := timeLeft(0.001, time.Hour, 0); ok {
		t.Error("a time left at 0.1 %")
	}
	lo, hi, ok := timeLeft(0.43, 300*time.Second, 0.43/300)
	if got := rangeText(lo, hi); !ok || got != "~5 to 8 min left" {
		t.Errorf("%q", got)
	}
	lo, hi, _ = timeLeft(0.5, 60*time.Second, 0.25/60)
	if lo > 54*time.Second || hi < 2*time.Minute {
		t.Errorf("slowing down: %v to %v", lo, hi)
	}
	for _, c := range []struct {
		lo, hi time.Duration
		want   string
	}{
		{9 * time.Second, 11 * time.Second, "~up to 10 s left"}, {20 * time.Second, 41 * time.Second, "~20 to 40 s left"},
		{100 * time.Second, 130 * time.Second, "~1 to 3 min left"}, {4 * time.Hour, 6 * time.Hour, "~4 to 6 h left"},
		{0, time.Second, "~0 to 1 s left"},
	} {
		if got := rangeText(c.lo, c.hi); got != c.want {
			t.Errorf("%v to %v: %q, want %q", c.lo, c.hi, got, c.want)
		}
	}
}

func TestMeterForgetsOldSpeed(t *testing.T) {
	var m meter
	for i := range 100 {
		b := int64(i) * 1000
		if i > 50 {
			b = 50000 + int64(i-50)*10
		}
		m.add(sample{at: clockAt.Add(time.Duration(i) * time.Second), rows: int64(i), bytes: b})
	}
	rows, bytes, _ := m.rates()
	if rows != 1 || bytes != 10 {
		t.Errorf("%v rows/s, %v B/s", rows, bytes)
	}
}

func TestShellWord(t *testing.T) {
	for s, want := range map[string]string{
		"shop": "shop", "": "''", "it's": `'it'\''s'`, "a b": "'a b'", "$(x)": "'$(x)'", "-rf": "-- '-rf'", "a\x1bb\n": `$'a\x1bb\x0a'`,
	} {
		if got := shellWord(s); got != want {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
	}
}

func TestInputEdits(t *testing.T) {
	in := newInput("abc")
	for _, k := range []string{"left", "backspace", "X", "home", "delete", "end", "!"} {
		if !in.key(keyPress(k)) {
			t.Errorf("%s is not taken", k)
		}
	}
	if in.text() != "Xc!" {
		t.Errorf("%q", in.text())
	}
	in.insert("two words\r\n\x1b")
	in.key(keyPress("ctrl+w"))
	if in.text() != "Xc!two " {
		t.Errorf("%q", in.text())
	}
	in.key(keyPress("ctrl+u"))
	if in.text() != "" || in.key(keyPress("f1")) {
		t.Errorf("%q", in.text())
	}
	hidden := input{hidden: true}
	hidden.insert("geheim")
	if s, _ := hidden.view(theme{}, 20); strings.TrimSpace(s) != "******" {
		t.Errorf("hidden shows %q", s)
	}
	old := hidden.r
	hidden.wipe()
	if string(old) != strings.Repeat("\x00", 6) {
		t.Errorf("wipe leaves %q", string(old))
	}
}

func TestWrapBreaksAtSpacesOnly(t *testing.T) {
	for _, c := range []struct {
		s    string
		w    int
		want string
	}{
		{"pgvault verify x --level restored", 20, "pgvault verify x|--level restored"},
		{"one  two", 8, "one  two"},
		{"one  two", 6, "one|two"},
		{"a-very-long-word no", 6, "a-very|-long-|word|no"},
		{"データベース", 5, "デー|タベ|ース"},
		{"デb", 1, "デb"},
		{"a\nb c", 3, "a|b c"},
		{"", 3, ""},
	} {
		if got := strings.Join(wrapAt(c.s, c.w), "|"); got != c.want {
			t.Errorf("%q in %d cells: %q, not %q", c.s, c.w, got, c.want)
		}
	}
}

func TestTextWidthIsThatOfTheTerminal(t *testing.T) {
	th := theme{}
	for _, s := range []string{
		"", "plain ~ text", th.rule(80), th.bar(10, 0.5), th.bad("x FAILED") + " " + th.inverse("[PROD]"), "データ", "e\u0301", "\x1b[2J", "\x1b[", "\x1b[31", "a\tb", "\u25aa\ufe0f", "─\u0301", "\xe2\x94", "é", "🙂",
	} {
		if got, want := textWidth(s), ansi.StringWidth(s); got != want {
			t.Errorf("%q: %d cells, not %d", s, got, want)
		}
		for _, w := range []int{0, 1, 2, 3, 5, 10, 100} {
			if got, want := truncate(s, w, ".."), ansi.Truncate(s, w, ".."); got != want {
				t.Errorf("%q at %d: %q, not %q", s, w, got, want)
			}
		}
	}
	for r := rune(0x2500); r < 0x25c0; r++ {
		if ansi.StringWidth(string(r)) != textWidth(string(r)) {
			t.Errorf("%U", r)
		}
	}
}
