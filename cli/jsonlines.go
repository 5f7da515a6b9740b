package cli

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"runtime"
	"slices"
	"sync"

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

// printJSONArray prints a list, an element a line: some elements at a time and
// on all processors, for ten thousand archives in one piece would be copied
// again and again as their text grows, and take most of a listing's time to be
// indented.
func printJSONArray[T any](p *program, list []T) error {
	if len(list) == 0 {
		return p.printJSON([]T{})
	}
	type text struct {
		b   *bytes.Buffer
		err error
	}
	order := make(chan chan text, runtime.GOMAXPROCS(0))
	used := sync.Pool{New: func() any { return new(bytes.Buffer) }}
	go func() {
		defer close(order)
		next := "[\n"
		for some := range slices.Chunk(list, 256) {
			before, t := next, make(chan text, 1)
			next = jsonBetween
			order <- t
			go func() {
				b := used.Get().(*bytes.Buffer)
				b.Reset()
				t <- text{b, jsonElements(b, before, some)}
			}()
		}
	}()
	var failed error
	for t := range order {
		x := <-t
		if failed = cmp.Or(failed, x.err); failed == nil {
			_, failed = p.stdout.Write(safetext.JSON(x.b.Bytes()))
		}
		used.Put(x.b)
	}
	if failed == nil {
		_, failed = io.WriteString(p.stdout, "\n]\n")
	}
	return failed
}

// jsonBetween stands between two elements of an array.
const jsonBetween = ",\n"

// jsonElements writes elements of an array, with before in front of the first.
func jsonElements[T any](b *bytes.Buffer, before string, list []T) error {
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	for i := range list {
		b.WriteString(before)
		if err := enc.Encode(&list[i]); err != nil {
			return err
		}
		b.Truncate(b.Len() - 1) // the newline
		before = jsonBetween
	}
	return nil
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
