package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/rogpeppe/go-internal/testscript"
)

// The commands of this file show a program in tmux, press keys and read the
// screen, as a person would. Each story has a tmux server of its own.

// screenLimit is how long a screen may take to show what is waited for.
const screenLimit = 30 * time.Second

// tmux runs one tmux command on the story's own server.
func tmux(ts *testscript.TestScript, args ...string) error {
	return ts.Exec("tmux", append([]string{"-S", ts.MkAbs("tmux.sock"), "-f", os.DevNull}, args...)...)
}

// cmdTerminal opens a program on a screen: terminal NAME WxH PROGRAM ARGS...
func cmdTerminal(ts *testscript.TestScript, neg bool, args []string) {
	w, h, ok := strings.Cut(args[1], "x")
	if neg || !ok {
		ts.Fatalf("usage: terminal NAME WxH PROGRAM ARGS...")
	}
	// The server stays when its last program has ended: the next one would
	// otherwise meet it while it goes.
	stay := []string{"start-server", ";", "set-option", "-s", "exit-empty", "off", ";"}
	ts.Check(tmux(ts, append(append(stay, "new-session", "-d", "-s", args[0], "-x", w, "-y", h), args[2:]...)...))
	ts.Defer(func() { _ = tmux(ts, "kill-server") })
}

// cmdKeys presses keys as tmux names them: keys NAME KEY...
func cmdKeys(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(tmux(ts, append([]string{"send-keys", "-t", args[0]}, args[1:]...)...))
}

// cmdType types text as it is: type NAME TEXT
func cmdType(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(tmux(ts, "send-keys", "-t", args[0], "-l", args[1]))
}

// cmdTmux gives any other command to the story's tmux: tmux ARGS...
func cmdTmux(ts *testscript.TestScript, neg bool, args []string) {
	if err := tmux(ts, args...); (err != nil) != neg {
		ts.Fatalf("tmux %v: %v", args, err)
	}
}

// look reads a screen; with colours, as escape sequences.
func look(ts *testscript.TestScript, name string, colours bool) string {
	args := []string{"-S", ts.MkAbs("tmux.sock"), "capture-pane", "-p", "-t", name}
	if colours {
		args = append(args, "-e")
	}
	out, err := exec.Command("tmux", args...).Output() // not in the story's log: it is asked often
	if err != nil {
		return "" // the program has ended, and its screen with it
	}
	return string(out)
}

// cmdShows waits until a screen matches, or with ! until it does not, and
// leaves it as the file NAME.screen: [!] shows [-e] NAME REGEXP
func cmdShows(ts *testscript.TestScript, neg bool, args []string) {
	colours := args[0] == "-e"
	if colours {
		args = args[1:]
	}
	want, err := regexp.Compile(`(?m)` + args[1])
	ts.Check(err)
	text := ""
	await(ts, "the screen of "+args[0]+" gets to "+args[1], func() bool {
		text = look(ts, args[0], colours)
		return want.MatchString(text) != neg
	}, func() string { return text })
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".screen"), []byte(text), 0o600))
}

// cmdCopied waits until tmux's buffer matches, leaves its text in the file
// copied, and empties the buffer: copied REGEXP
func cmdCopied(ts *testscript.TestScript, neg bool, args []string) {
	want := regexp.MustCompile(args[0])
	text := ""
	await(ts, "the clipboard matches "+args[0], func() bool {
		out, err := exec.Command("tmux", "-S", ts.MkAbs("tmux.sock"), "show-buffer").Output()
		text = string(out)
		return err == nil && want.MatchString(text)
	}, func() string { return text })
	ts.Check(os.WriteFile(ts.MkAbs("copied"), []byte(text), 0o600))
	ts.Check(tmux(ts, "delete-buffer"))
}

// await asks again and again until holds, and fails with what is there.
func await(ts *testscript.TestScript, what string, holds func() bool, is func() string) {
	every := time.NewTicker(50 * time.Millisecond)
	defer every.Stop()
	limit := time.After(screenLimit)
	for !holds() {
		select {
		case <-every.C:
		case <-limit:
			ts.Fatalf("not within %s: %s:\n%s", screenLimit, what, is())
		}
	}
}

// cmdColumn reads the screen a program shows now: in the rows below the title
// of a column, down to the first empty line, what begins in the cell where
// the title does must match: column NAME TITLE REGEXP
func cmdColumn(ts *testscript.TestScript, neg bool, args []string) {
	want, at, rows := regexp.MustCompile("^(?:"+args[2]+")"), 0, 0
	for _, l := range strings.Split(look(ts, args[0], false), "\n") {
		switch before, _, ok := strings.Cut(l, args[1]); {
		case at == 0 && ok:
			at = ansi.StringWidth(before)
			continue
		case at == 0:
			continue
		case strings.TrimSpace(l) == "" && rows > 1:
			return
		}
		rows++
		if cell := ansi.TruncateLeft(l, at, ""); want.MatchString(cell) == neg {
			ts.Fatalf("cell %d of %q begins %q", at, l, cell)
		}
	}
	ts.Fatalf("%d rows below %s", rows, args[1])
}

// cmdGone waits until no process runs whose command line matches: gone REGEXP
func cmdGone(ts *testscript.TestScript, neg bool, args []string) {
	want := regexp.MustCompile(args[0])
	var left []string
	await(ts, "processes "+args[0], func() bool {
		left = processes(want, ts.Getenv("WORK"))
		return (len(left) == 0) != neg
	}, func() string { return strings.Join(left, "\n") })
}

// processes gives the command lines that match, of this story only: its
// folder is in them, or in their environment where that can be read.
func processes(want *regexp.Regexp, work string) []string {
	var out []string
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range all {
		line, err := os.ReadFile(f)
		text := strings.TrimSpace(strings.ReplaceAll(string(line), "\x00", " "))
		if err != nil || text == "" || !want.MatchString(text) {
			continue
		}
		env, _ := os.ReadFile(filepath.Join(filepath.Dir(f), "environ"))
		if strings.Contains(text, work) || strings.Contains(string(env), work) {
			out = append(out, text)
		}
	}
	return out
}
