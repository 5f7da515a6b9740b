package tui

import (
	"fmt"

	"pgvault/fault"
	"pgvault/vault"
)

// reportLines is what stands where the bar was when the run has ended: the
// result, what came of it, and on a failure what, why, left and do.
func reportLines(e env, j *job) []string {
	d := j.done
	word := " " + e.th.bold(resultWord(e.th, d.Result))
	if d.TablesTotal > 0 && j.kind != vault.KindSwitch {
		word += "  " + equalWords(d)
	} else {
		word += "  " + j.title(e.th)
	}
	out := []string{spread(word, exitWord(d), e.w-1)}
	add := func(label, text string) { out = append(out, labelled(label, text, 8, e.w)...) }
	if d.Result == vault.ResultOK || d.Result == vault.ResultPartial {
		if j.kind == vault.KindBackup {
			add("archive", e.th.text(j.id))
		}
		content := fmt.Sprintf("%s, %s, %s", plural(int64(d.Tables), "table"), plural(d.Rows, "row"), size(d.Bytes))
		if d.Stored > 0 {
			content += ", " + size(d.Stored) + " stored encrypted"
		}
		if d.Tables > 0 {
			add("content", content)
		}
		if j.target != "" && j.kind != vault.KindSwitch {
			add("target", e.th.text(j.target))
		}
	}
	if r := d.Retained; r != nil {
		text := fmt.Sprintf("%s kept, %d marked, %d gone", plural(int64(r.Kept), "archive"), r.Marked, r.Gone)
		if r.Unmarked > 0 {
			text += ", " + plural(int64(r.Unmarked), "mark") + " taken away"
		}
		if r.Freed > 0 {
			text += "; freed " + size(r.Freed)
		}
		add("did", text)
	}
	for _, l := range switchReport(e, j) {
		add(l[0], l[1])
	}
	out = append(out, placeReport(e, d)...)
	if d.Proof != vault.ProofNone && d.Result != vault.ResultFailed && d.Result != vault.ResultCancelled {
		add("proof", string(d.Proof)+": "+proofMeaning(d.Proof))
	}
	if n := max(d.Warnings, j.warnings); n > 0 {
		add("note", "! "+plural(int64(n), "warning")+"; l shows the log")
	}
	if d.Err != nil {
		out = append(out, faultLines(e, fault.As(d.Err), e.w)...)
	}
	return out
}

// equalWords counts what was compared equal: "111 of 112 tables equal, 1 not".
func equalWords(d *vault.RunDone) string {
	s := fmt.Sprintf("%d of %d tables equal", d.TablesEqual, d.TablesTotal)
	if n := d.TablesTotal - d.TablesEqual; n > 0 {
		s += fmt.Sprintf(", %d not", n)
	}
	return s
}

func exitWord(d *vault.RunDone) string {
	if d.Result == vault.ResultOK {
		return ""
	}
	return fmt.Sprintf("exit code %d", d.Exit)
}

// comparisonTable lists what was compared with the archive's record.
func comparisonTable(e env, list []comparison, found string) (titles, rows []string) {
	cols := []column{
		{title: "TABLE", min: 18, flex: true},
		{title: "IN BACKUP", right: true, drop: 2},
		{title: found, right: true, drop: 3},
		{title: "DIGEST", min: 7, drop: 1},
		{title: "RESULT", min: 16, flex: true, style: func(s string) string { return stateColor(e.th, s) }},
	}
	cells := make([][]string, 0, len(list))
	wide := e.w >= 110
	for _, c := range list {
		expected, got, digest := count(c.expected), count(c.found), "differs"
		if !c.rows {
			expected, got, digest = "-", "-", "-"
		}
		if c.equal {
			digest = "equal"
		}
		result, note := verdict(c), e.th.text(c.note)
		if wide {
			result += after(": ", note)
		}
		cells = append(cells, []string{e.th.text(c.name), expected, got, digest, result})
	}
	widths := tableWidths(cols, cells, e.w)
	for i, c := range cells {
		marker := "  "
		if !list[i].equal {
			marker = " >"
		}
		rows = append(rows, tableRow(cols, widths, c, marker))
		if note := e.th.text(list[i].note); note != "" && !wide {
			rows = append(rows, "     "+cutEnd(note, e.w-5))
		}
	}
	return []string{tableTitles(cols, widths)}, rows
}

// verdict is the last column: ok, or x and in what it differs.
func verdict(c comparison) string {
	n := c.found - c.expected
	switch {
	case c.equal:
		return "ok"
	case !c.rows:
		return "x differs"
	case n < 0:
		return "x " + plural(-n, "row") + " fewer"
	case n > 0:
		return "x " + plural(n, "row") + " more"
	}
	return "x same rows, other digest"
}

// after gives s behind sep, and nothing for an empty s.
func after(sep, s string) string {
	if s == "" {
		return ""
	}
	return sep + s
}
