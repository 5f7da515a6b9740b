package tui

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// dump prints screens where a person wants to look at them: go test -v with
// PGVAULT_SHOW=1.
func dump(t *testing.T, r *rig, what string) {
	if os.Getenv("PGVAULT_SHOW") != "" {
		t.Logf("%s\n%s", what, r.screen())
	}
}

func step(t *testing.T, r *rig, want string) {
	t.Helper()
	if p := r.m.guideOpen(); p == nil || p.s.Step().Key != want {
		t.Fatalf("not at the step %s:\n%s", want, r.screen())
	}
}

func TestShow(t *testing.T) {
	for name, open := range everyScreen {
		if strings.HasPrefix(name, "restore") || name == "plan" {
			for _, s := range [][2]int{{80, 24}, {60, 20}, {30, 8}} {
				dump(t, open(t, s[0], s[1], Options{ASCII: true}), fmt.Sprint(name, s))
			}
		}
	}
}
