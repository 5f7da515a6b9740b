package fault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
)

func TestError(t *testing.T) {
	for want, e := range map[string]*Error{
		"the part is damaged":               {What: "the part is damaged"},
		"the part is damaged: bad MAC":      {What: "the part is damaged", Why: "bad MAC", Err: io.EOF},
		"the part is damaged: EOF":          {What: "the part is damaged", Err: io.EOF},
		"outer: inner: unexpected EOF":      {What: "outer", Err: &Error{What: "inner", Err: io.ErrUnexpectedEOF}},
		"verify: the first line stays: why": {Op: "x", What: "verify: the first line stays", Why: "why", Left: "l", Do: "d"},
	} {
		if got := e.Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if err := fmt.Errorf("x: %w", &Error{What: "w", Err: io.EOF}); !errors.Is(err, io.EOF) {
		t.Error("the cause is not found")
	}
}

func TestCodeOf(t *testing.T) {
	differs := &Error{What: "damaged", Code: Differs}
	for _, c := range []struct {
		name string
		err  error
		want Code
	}{
		{"nil", nil, OK},
		{"plain", io.EOF, Failed},
		{"without code", &Error{What: "x"}, Failed},
		{"with code", differs, Differs},
		{"wrapped plainly", fmt.Errorf("x: %w", differs), Differs},
		{"the code of the cause", &Error{What: "x", Err: fmt.Errorf("y: %w", differs)}, Differs},
		{"the outermost code", &Error{What: "x", Code: NoSpace, Err: differs}, NoSpace},
		{"three deep", &Error{Err: &Error{Err: &Error{Code: NoKey}}}, NoKey},
		{"cancelled", fmt.Errorf("x: %w", context.Canceled), Cancelled},
		{"cancelled within", &Error{What: "x", Err: context.Canceled}, Cancelled},
		{"a code before cancelled", &Error{What: "x", Code: Refused, Err: context.Canceled}, Refused},
		{"timed out", context.DeadlineExceeded, Failed},
		{"joined", errors.Join(io.EOF, differs), Differs},
	} {
		if got := CodeOf(c.err); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

// TestCodes: scripts rely on the numbers, and 2 is the Go runtime's.
func TestCodes(t *testing.T) {
	codes := []Code{OK, Failed, Partial, Attention, Differs, NoVault, Running, NoKey, Refused, DBUnreachable, PlaceUnreachable, NoSpace, Usage, Cancelled}
	want := []Code{0, 1, 3, 4, 5, 10, 11, 12, 13, 14, 15, 16, 64, 130}
	for i, c := range codes {
		if c != want[i] || c == 2 {
			t.Errorf("code %d should be %d", c, want[i])
		}
	}
}

func TestAs(t *testing.T) {
	plain := As(io.ErrUnexpectedEOF)
	if plain.What != "unexpected EOF" || plain.Code != Failed || plain.Err != io.ErrUnexpectedEOF {
		t.Errorf("%+v", plain)
	}
	inner := &Error{What: "inner", Why: "because", Code: NoKey}
	outer := &Error{Op: "verify", What: "outer", Left: "all", Do: "that", Err: inner}
	got := As(fmt.Errorf("x: %w", outer))
	if got.What != "outer" || got.Why != "inner: because" || got.Left != "all" || got.Do != "that" || got.Code != NoKey {
		t.Errorf("%+v", got)
	}
	if outer.Why != "" || outer.Code != 0 {
		t.Errorf("As changed the error that it was given: %+v", outer)
	}
	if got := As(&Error{What: "w", Why: "said", Err: io.EOF}); got.Why != "said" {
		t.Errorf("%+v", got)
	}
}
