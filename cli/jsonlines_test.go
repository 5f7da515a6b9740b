package cli

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"pgvault/fault"
	"pgvault/vault"
)

// everyEvent has one of each type that the engine can tell.
var everyEvent = map[string]vault.Event{
	"run_started":   vault.RunStarted{Kind: vault.KindBackup, ID: "ID", Database: "shop", Stages: []vault.Stage{"data"}, At: noon},
	"stage_started": vault.StageStarted{Stage: "data", At: noon},
	"stage_done":    vault.StageDone{Stage: "data", Seconds: 1.5},
	"notice":        vault.Notice{Level: "warning", Text: "look", At: noon},
	"table_done":    vault.TableDone{Stage: "compare", Name: "public.a", State: vault.StateEqual, Rows: 1, RowsExpected: 1, Bytes: 2, SHA256: "00", Note: "n"},
	"progress":      vault.Progress{Stage: "data", Rows: 1, Bytes: 2, Stored: 3, RowsTotal: 4, BytesTotal: 5, TablesDone: 6, Tables: 7, Estimate: "e", Active: []vault.Table{{Name: "t"}}, At: noon},
	"done":          vault.RunDone{Kind: vault.KindBackup, Result: vault.ResultOK, ID: "ID", Database: "shop"},
}

func TestEveryEventIsALine(t *testing.T) {
	for word, e := range everyEvent {
		var b bytes.Buffer
		jsonSink(&b)(e)
		var m map[string]any
		if err := json.Unmarshal(b.Bytes(), &m); err != nil {
			t.Fatalf("%s: %v in %q", word, err, b.String())
		}
		if m["type"] != word || m["schema"] != 1.0 || strings.Count(b.String(), "\n") != 1 {
			t.Errorf("%s: %s", word, b.String())
		}
		if at, ok := m["at"]; ok && at != "2026-11-22T12:00:00Z" {
			t.Errorf("%s: at is %v", word, at)
		}
	}
}

func TestDoneLine(t *testing.T) {
	failed := &fault.Error{What: "what", Why: "why", Left: "left", Do: "do", Code: fault.Differs}
	line := func(e vault.Event) string {
		var b bytes.Buffer
		jsonSink(&b)(e)
		return strings.TrimSpace(b.String())
	}
	got := line(vault.RunDone{Kind: vault.KindRestore, Result: vault.ResultFailed, Exit: fault.Differs, ID: "ID", Database: "shop", Target: "new",
		Tables: 2, Rows: 3, Bytes: 4, Stored: 5, Seconds: 6, Proof: vault.ProofIntact, TablesEqual: 1, TablesTotal: 2, Warnings: 7, Err: failed,
		Differences: []vault.Difference{{Table: "public.a", RowsExpected: 8, RowsFound: 9, Why: "rows are missing"}}})
	want := `{"schema":1,"type":"done","kind":"restore","result":"failed","exit":5,"id":"ID","database":"shop","target":"new",` +
		`"tables":2,"rows":3,"bytes":4,"stored":5,"seconds":6,"proof":"intact","tables_equal":1,"tables_total":2,` +
		`"differences":[{"table":"public.a","rows_expected":8,"rows_found":9,"why":"rows are missing"}],"warnings":7,` +
		`"error":{"what":"what","why":"why","left":"left","do":"do","code":5}}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := line(vault.RunDone{Kind: vault.KindVerify}); !strings.Contains(got, `"differences":[]`) {
		t.Errorf("no differences are not an empty list: %s", got)
	}
}

// TestJSONIsSafeOnATerminal: nothing that a terminal obeys, and the same
// value for a reader.
func TestJSONIsSafeOnATerminal(t *testing.T) {
	in := "a\x00\x1b[2J\x7f\u009b1m\u202e\u2028\U000e0001 ü 學 \U0001f512 <&> \n\t\ufffd"
	var b bytes.Buffer
	if err := writeJSON(&b, map[string]string{"name": in}, "  "); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(b.String(), "\x00\x1b\x7f\u009b\u202e\u2028\U000e0001\t") || strings.Count(b.String(), "\n") != 3 {
		t.Errorf("unsafe: %q", b.String())
	}
	for _, want := range []string{"ü 學 \U0001f512 <&>", `\udb40\udc01`, `\u009b`} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing in %s", want, b.String())
		}
	}
	var out map[string]string
	if err := json.Unmarshal(b.Bytes(), &out); err != nil || out["name"] != in {
		t.Errorf("read back %q, %v", out["name"], err)
	}
}

// TestCloseLines: a run that fails before its first event still ends its
// JSON Lines, once.
func TestCloseLines(t *testing.T) {
	err := &fault.Error{What: "no", Code: fault.NoKey}
	for _, c := range []struct {
		p    program
		want bool
	}{
		{program{json: true, kind: vault.KindRestore}, true},
		{program{json: true, kind: vault.KindRestore, told: true}, false},
		{program{json: true, kind: vault.KindRestore, dryRun: true}, false},
		{program{json: true}, false},
		{program{kind: vault.KindRestore}, false},
	} {
		var b bytes.Buffer
		c.p.stdout = &b
		c.p.closeLines(err)
		if got := strings.Contains(b.String(), `"exit":12`) && strings.Contains(b.String(), `"type":"done"`); got != c.want || c.want == (b.Len() == 0) {
			t.Errorf("%+v: %q", c.p, b.String())
		}
	}
}

// TestJSONArray: an element a line, and some elements at a time or all at
// once, the list is the same.
func TestJSONArray(t *testing.T) {
	type item struct {
		Name string         `json:"name"`
		Tags []string       `json:"tags"`
		More map[string]int `json:"more"`
	}
	many := make([]item, 1000)
	for i := range many {
		many[i].Name = strings.Repeat("n", i)
	}
	for _, list := range [][]item{nil, {{}}, many, many[:256], {{Name: "a<b>\u202e", Tags: []string{"x", "y"}}, {Name: "ü\n", More: map[string]int{"z": 1}}}} {
		var pieces, whole bytes.Buffer
		if err := printJSONArray(&program{stdout: &pieces}, list); err != nil {
			t.Fatal(err)
		}
		if list == nil {
			list = []item{}
		}
		if err := writeJSON(&whole, list, ""); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(pieces.String(), "\n")
		if n := len(list); n > 0 && len(lines) != n+3 {
			t.Errorf("%d lines for %d elements", len(lines), n)
		}
		if got := strings.Join(lines, "") + "\n"; got != whole.String() {
			t.Errorf("%q\nwant %q", got, whole.String())
		}
	}
}
