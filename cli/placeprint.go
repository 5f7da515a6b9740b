package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"golang.org/x/term"

	"pgvault/fault"
	"pgvault/safetext"
	"pgvault/vault"
)

func isTerminal(w io.Writer) bool {
	f, ok := w.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(f.Fd()))
}

// placePrinter prints the checks of one place.
type placePrinter struct {
	p     *program
	place string
	tty   bool
	told  bool // lines were printed, and say what is wrong
}

// placeLine is a check as a JSON line.
type placeLine struct {
	Type   string `json:"type"`
	Schema int    `json:"schema"`
	Place  string `json:"place"`
	vault.PlaceCheck
}

func (o *placePrinter) sink(c vault.PlaceCheck) {
	switch {
	case c.State == "" && o.tty:
		fmt.Fprintf(o.p.stdout, "\r   %-10s …", c.Name)
	case c.State == "":
	case o.p.json:
		o.told = true
		_ = writeJSON(o.p.stdout, placeLine{"check", 1, o.place, c}, "") // an error of the stream shows at its end
	default:
		o.told = true
		if o.tty {
			fmt.Fprint(o.p.stdout, "\r              \r")
		}
		fmt.Fprintf(o.p.stdout, "%-2s %-10s %s%s\n", c.State, c.Name, safetext.Line(c.Text), took(c.Seconds))
		if c.State != "ok" {
			fmt.Fprintf(o.p.stdout, "              do: %s\n", safetext.Line(c.Do))
		}
	}
}

// took tells a time that a person would notice.
func took(seconds float64) string {
	if seconds < 0.005 {
		return ""
	}
	return fmt.Sprintf("  %.2f s", seconds)
}

// placeResult ends the JSON lines of a place, and of the whole test.
type placeResult struct {
	Type   string       `json:"type"` // place or done
	Schema int          `json:"schema"`
	Kind   string       `json:"kind"`
	Place  string       `json:"place,omitempty"`
	Result vault.Result `json:"result"`
	Exit   fault.Code   `json:"exit"`
}

func (p *program) placeResult(kind, place string, err error) {
	result := vault.ResultOK
	switch {
	case errors.Is(err, context.Canceled):
		result = vault.ResultCancelled
	case err != nil:
		result = vault.ResultFailed
	}
	if p.json {
		_ = writeJSON(p.stdout, placeResult{kind, 1, "place test", place, result, exitOf(err)}, "")
	}
}

// exitOf is the exit code of an error of which all was said already, too.
func exitOf(err error) fault.Code {
	var quiet *exitCode
	if errors.As(err, &quiet) {
		return quiet.code
	}
	return fault.CodeOf(err)
}

// done ends the lines of one place. What a line has said already is not said
// again.
func (o *placePrinter) done(err error) error {
	o.p.placeResult("place", o.place, err)
	if o.tty {
		fmt.Fprint(o.p.stdout, "\r              \r")
	}
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	if !o.told || o.p.json {
		o.p.printError(err)
	}
	return &exitCode{fault.CodeOf(err)}
}
