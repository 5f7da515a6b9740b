package tui

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// update writes the goldens anew: go test ./tui -update. Look at the diff.
var update = flag.Bool("update", false, "write the golden screens anew")

// golden compares a screen with the one that was looked at and kept.
func golden(t *testing.T, name, got string) {
	t.Helper()
	lines := strings.Split(got, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	got = strings.Join(lines, "\n") + "\n"
	file := filepath.Join("testdata", "golden", strings.ReplaceAll(name, " ", "-")+".txt")
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got {
		t.Errorf("%s is not as it was:\n%s\nwanted:\n%s", name, got, want)
	}
}

func TestGoldenScreens(t *testing.T) {
	for _, name := range []string{"health", "database", "archives", "activity", "running", "report", "failed", "delete", "tables", "help", "palette", "cancel"} {
		t.Run(name, func(t *testing.T) { golden(t, name, everyScreen[name](t, 80, 24, Options{}).screen()) })
	}
	for _, name := range []string{"health", "activity", "running"} {
		for size, wh := range map[string][2]int{"60x20": {60, 20}, "30x8": {30, 8}, "120x40": {120, 40}} {
			t.Run(name+" "+size, func(t *testing.T) {
				golden(t, name+" "+size, everyScreen[name](t, wh[0], wh[1], Options{ASCII: true}).screen())
			})
		}
	}
}
