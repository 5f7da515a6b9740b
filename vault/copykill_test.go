package vault

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestKilledCopy kills pgvault itself, with SIGKILL, after each line of what
// it tells of a copy. Every place then lists whole archives only, the job is
// shown as died, and the next copy completes the rest.
func TestKilledCopy(t *testing.T) {
	const archives = 4
	w := newWorld(t)
	env := w.setUp(t)
	text := w.read("config.toml")
	w.places("nas", "usb")
	for _, name := range []string{"nas", "usb"} {
		text += fmt.Sprintf("[[place]]\nname = %q\nurl = %q\n", name, "file:"+w.path(name))
	}
	w.write("config.toml", text)
	var ids []string
	for i := range archives {
		ids = append(ids, w.fabricate(made{database: "shop", at: noon.Add(time.Duration(i) * time.Hour), seq: int64(i + 1)}))
	}
	run := func(kill int) (lines int, ended bool) {
		cmd := exec.Command(binary, "-c", w.path("config.toml"), "copy", "--missing", "--json")
		cmd.Env = env
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		for in := bufio.NewScanner(out); in.Scan(); {
			if lines++; lines == kill {
				_ = cmd.Process.Kill()
			}
		}
		err = cmd.Wait()
		if kill == 0 && err != nil {
			t.Fatal(err)
		}
		return lines, err == nil
	}
	died := 0
	for kill := 1; ; kill++ {
		for _, name := range []string{"nas", "usb"} {
			if err := os.RemoveAll(filepath.Join(w.path(name), "main")); err != nil {
				t.Fatal(err)
			}
		}
		lines, ended := run(kill)
		for _, a := range w.list() {
			for _, c := range a.Copies {
				if c.State != CopyGood && c.State != CopyMissing && c.State != CopyIncomplete {
					t.Errorf("killed after %d lines: %s in %s is %s: %s", kill, a.ID, c.Place, c.State, c.Reason)
				}
				if c.State == CopyGood {
					w.wholeIn(c.Place, "shop", a.ID)
				}
			}
		}
		if !ended {
			died++
		}
		run(0)
		for _, id := range ids {
			w.wholeIn("nas", "shop", id)
			w.wholeIn("usb", "shop", id)
		}
		if lines < kill { // it came to its end before
			break
		}
	}
	if died < archives {
		t.Errorf("only %d were killed", died)
	}
}
