package cli

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestConfigWatch: a scheduler goes on with its configuration until there is
// another one that can be used.
func TestConfigWatch(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.toml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out, said bytes.Buffer
	p := &program{config: file, stdout: &out, stderr: &said}
	w := &configWatch{p: p}
	wait := func() error { return w.wait(t.Context(), time.Nanosecond) }
	write("[defaults]\nschedule = \"02:00\"\n")
	w.look()
	if err := wait(); err != nil {
		t.Errorf("as it was: %v", err)
	}
	write("[defaults]\nschedule = \"2:00\"\n")
	if err := wait(); err != nil || !strings.Contains(said.String(), `did you mean "02:00"?`) || !strings.Contains(out.String(), "the one from before goes on") {
		t.Errorf("broken: %v\n%s%s", err, said.String(), out.String())
	}
	said.Reset()
	if err := wait(); err != nil || said.Len() != 0 {
		t.Errorf("told again: %v, %s", err, said.String())
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := wait(); err != nil {
		t.Errorf("in the middle of being replaced: %v", err)
	}
	write("[defaults]\nschedule = \"03:00\"\n")
	if err := wait(); !errors.Is(err, errChanged) {
		t.Errorf("another one: %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := w.wait(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("told to end: %v", err)
	}
}
