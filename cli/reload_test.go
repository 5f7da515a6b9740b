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
	said.Reset()
	write("")
	if err := wait(); err != nil || !strings.Contains(said.String(), "schedule") {
		t.Errorf("nothing to do: %v, %s", err, said.String())
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

// TestConfigWatchLeavesABackup: a change while a backup runs holds when that
// has ended; a drill beside it neither breaks it off nor hides the change.
func TestConfigWatchLeavesABackup(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.toml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Error(err)
		}
	}
	write("[defaults]\nschedule = \"02:00\"\n")
	w := &configWatch{p: &program{config: file, stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}}}
	w.look()
	brokenOff := false
	backups := func(ctx context.Context, wait waiting) error {
		write("[defaults]\nschedule = \"03:00\"\n")
		select {
		case <-ctx.Done():
			brokenOff = true
			return ctx.Err()
		case <-time.After(100 * time.Millisecond): // the backup
		}
		return wait(ctx, time.Nanosecond)
	}
	drills := func(ctx context.Context, wait waiting) error {
		for ctx.Err() == nil {
			if wait == nil {
				<-ctx.Done()
			} else if err := wait(ctx, time.Millisecond); err != nil {
				return err
			}
		}
		return nil
	}
	if err := together(t.Context(), w.watched(backups, drills)); !errors.Is(err, errChanged) || brokenOff {
		t.Errorf("%v, broken off: %v", err, brokenOff)
	}
	write("[defaults]\nschedule = \"02:00\"\n")
	if err := together(t.Context(), w.watched(nil, drills)); !errors.Is(err, errChanged) {
		t.Errorf("drills alone: %v", err)
	}
}
