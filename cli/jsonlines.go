package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"

	"pgvault/fault"
	"pgvault/safetext"
	"pgvault/vault"
)

// jsonSink prints one JSON line an event, each with "type" and "schema":1;
// the last has the type "done".
func jsonSink(w io.Writer) vault.Sink {
	return func(e vault.Event) { _ = writeJSON(w, eventJSON(e), "") }
}

// closeLines ends the JSON Lines of a run that failed before it could begin:
// the last line has the type "done" whatever happened.
func (p *program) closeLines(err error) {
	if p.json && !p.told && !p.dryRun && p.kind != "" {
		jsonSink(p.stdout)(vault.RunDone{Kind: p.kind, Result: vault.ResultFailed, Exit: fault.CodeOf(err), Err: err})
	}
}

func eventJSON(e vault.Event) map[string]any {
	m := map[string]any{"schema": 1}
	switch e := e.(type) {
	case vault.RunStarted:
		m["type"], m["kind"], m["id"], m["database"], m["at"] = "run_started", e.Kind, e.ID, e.Database, e.At.UTC()
		m["stages"] = e.Stages
		if e.Target != "" {
			m["target"] = e.Target
		}
	case vault.StageStarted:
		m["type"], m["stage"], m["at"] = "stage_started", e.Stage, e.At.UTC()
	case vault.StageDone:
		m["type"], m["stage"], m["seconds"] = "stage_done", e.Stage, e.Seconds
	case vault.Notice:
		m["type"], m["level"], m["text"], m["at"] = "notice", e.Level, e.Text, e.At.UTC()
	case vault.TableDone:
		m["type"], m["stage"], m["table"], m["state"], m["rows"], m["bytes"] = "table_done", e.Stage, e.Name, e.State, e.Rows, e.Bytes
		optional(m, "sha256", e.SHA256)
		optional(m, "note", e.Note)
		if e.State == vault.StateEqual || e.State == vault.StateDiffers {
			m["rows_expected"] = e.RowsExpected
		}
	case vault.Progress:
		m["type"], m["stage"], m["rows"], m["bytes"], m["stored"] = "progress", e.Stage, e.Rows, e.Bytes, e.Stored
		m["rows_total"], m["bytes_total"], m["tables_done"], m["tables_total"] = e.RowsTotal, e.BytesTotal, e.TablesDone, e.Tables
		m["at"] = e.At.UTC()
		optional(m, "estimate", e.Estimate)
		if len(e.Active) > 0 {
			m["table"] = e.Active[0].Name
		}
	case vault.RunDone:
		doneJSON(m, e)
	}
	return m
}

func doneJSON(m map[string]any, e vault.RunDone) {
	m["type"], m["kind"], m["result"], m["exit"] = "done", e.Kind, e.Result, e.Exit
	m["id"], m["database"], m["tables"], m["rows"] = e.ID, e.Database, e.Tables, e.Rows
	m["bytes"], m["stored"], m["seconds"], m["proof"] = e.Bytes, e.Stored, e.Seconds, e.Proof
	m["warnings"] = e.Warnings
	if e.Kind != vault.KindBackup || e.TablesTotal > 0 {
		m["tables_equal"], m["tables_total"] = e.TablesEqual, e.TablesTotal
		m["differences"] = append([]vault.Difference{}, e.Differences...)
	}
	optional(m, "target", e.Target)
	if e.Err != nil {
		f := fault.As(e.Err)
		m["error"] = map[string]string{"what": f.What, "why": f.Why, "left": f.Left, "do": f.Do}
	}
}

func optional(m map[string]any, key, value string) {
	if value != "" {
		m[key] = value
	}
}

// printJSON prints one document.
func (p *program) printJSON(v any) error {
	return writeJSON(p.stdout, v, "  ")
}

// writeJSON writes v and a newline in one write. Whatever a terminal would
// take for more than text (C1 controls, bidirectional overrides) is written
// as \u and four hex digits, which means the same to a reader.
func writeJSON(w io.Writer, v any, indent string) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	if err := enc.Encode(v); err != nil {
		return err
	}
	var out strings.Builder
	for _, r := range b.String() {
		if r == '\n' || r < 0x7f || safetext.Line(string(r)) == string(r) {
			out.WriteRune(r)
			continue
		}
		for _, u := range utf16.AppendRune(nil, r) {
			fmt.Fprintf(&out, `\u%04x`, u)
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}
