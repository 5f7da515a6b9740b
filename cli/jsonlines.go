package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"

	"pgvault/fault"
	"pgvault/safetext"
	"pgvault/vault"
)

// jsonSink prints one JSON line an event, each with "type" and "schema":1;
// the last has the type "done".
func jsonSink(w io.Writer) vault.Sink {
	return func(e vault.Event) {
		if line, err := vault.EncodeEvent(e); err == nil { // every event can be encoded
			_, _ = w.Write(append(line, '\n'))
		}
	}
}

// closeLines ends the JSON Lines of a run that failed before it could begin:
// the last line has the type "done" whatever happened.
func (p *program) closeLines(err error) {
	if p.json && !p.told && !p.dryRun && p.kind != "" {
		jsonSink(p.stdout)(vault.RunDone{Kind: p.kind, Result: vault.ResultFailed, Exit: fault.CodeOf(err), Err: err})
	}
}

// printJSON prints one document.
func (p *program) printJSON(v any) error {
	return writeJSON(p.stdout, v, "  ")
}

// printJSONArray prints what printJSON prints of the list, an element at a
// time: of ten thousand archives in one piece most of the time goes into
// copies of it that grow.
func printJSONArray[T any](p *program, list []T) error {
	if len(list) == 0 {
		return p.printJSON([]T{})
	}
	w := bufio.NewWriterSize(p.stdout, 64<<10)
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("  ", "  ")
	before := "[\n  "
	for i := range list {
		b.Reset()
		if err := enc.Encode(&list[i]); err != nil {
			return err
		}
		w.WriteString(before) // Flush tells of an error
		w.Write(safetext.JSON(bytes.TrimSuffix(b.Bytes(), []byte("\n"))))
		before = ",\n  "
	}
	w.WriteString("\n]\n")
	return w.Flush()
}

// writeJSON writes v and a newline in one write, safe for a terminal.
func writeJSON(w io.Writer, v any, indent string) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(safetext.JSON(b.Bytes()))
	return err
}
