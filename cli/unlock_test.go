package cli

import (
	"bufio"
	"strings"
	"testing"

	"pgvault/fault"
)

// TestPastedRequest: where a paste ends, without a terminal.
func TestPastedRequest(t *testing.T) {
	for what, c := range map[string]struct {
		typed string
		code  fault.Code
		says  string
		rest  string
	}{
		"^C":          {"pgvault-unlock-1:AA\x03", fault.Cancelled, "stopped", ""},
		"^D":          {"hello\x04", fault.NoKey, "does not begin with", ""},
		"hang-up":     {"hello", fault.NoKey, "does not begin with", ""},
		"empty line":  {"pgvault-unlock-1:AAAA\r\nBBBB\r\r left", fault.NoKey, "cut or was altered", " left"},
		"enter first": {"\r\rAGE-SECRET-KEY-1QQ\r\r", fault.NoKey, "secret key", ""},
	} {
		r := bufio.NewReader(strings.NewReader(c.typed))
		_, err := pastedRequest(r)
		f := fault.As(err)
		if f.Code != c.code || !strings.Contains(f.What+f.Why, c.says) {
			t.Errorf("%s: %d %v", what, f.Code, err)
		}
		if rest, _ := r.ReadString(0); rest != c.rest {
			t.Errorf("%s: left %q", what, rest)
		}
	}
}
