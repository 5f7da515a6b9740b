package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"pgvault/safetext"
)

// cmdExits runs a program that must end with the status: exits CODE PROGRAM ARGS...
func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	if neg || err != nil {
		ts.Fatalf("usage: exits CODE PROGRAM ARGS...")
	}
	var exit *exec.ExitError
	switch err := ts.Exec(args[1], args[2:]...); {
	case err == nil && want == 0, errors.As(err, &exit) && exit.ExitCode() == want:
	case err == nil:
		ts.Fatalf("exit status 0, not %d", want)
	default:
		ts.Fatalf("%v, not exit status %d", err, want)
	}
}

// fourLines is what every error says: what happened, why, what is left as it
// was, what to do.
var fourLines = regexp.MustCompile(`(?m)^pgvault: \S.*\n  why   \S.*\n  left  \S.*\n  do    \S.*$`)

// cmdFails is exits, and the last of standard error must be the four lines.
func cmdFails(ts *testscript.TestScript, neg bool, args []string) {
	cmdExits(ts, neg, args)
	said := strings.TrimSpace(ts.ReadFile("stderr"))
	all := fourLines.FindAllStringIndex(said, -1)
	if len(all) == 0 || all[len(all)-1][1] != len(said) {
		ts.Fatalf("standard error does not end with the four lines")
	}
	checkClean(ts, "stderr", said)
}

// cmdSQL runs SQL in a database and leaves psql's output: sql DB FILE|STATEMENT.
func cmdSQL(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: sql DB FILE|STATEMENT")
	}
	what := []string{"-c", args[1]}
	if _, err := os.Stat(ts.MkAbs(args[1])); err == nil {
		what = []string{"-f", args[1]}
	}
	ts.Setenv("PGDATABASE", args[0]) // an argument could be taken for a connection string
	err := ts.Exec("psql", append([]string{"-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"}, what...)...)
	ts.Setenv("PGDATABASE", "")
	ts.Check(err)
}

// cmdNewKey makes NAME.txt and NAME.pub with Debian's age: newkey NAME...
func cmdNewKey(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args {
		ts.Check(ts.Exec("age-keygen", "-o", name+".txt"))
		ts.Check(ts.Exec("age-keygen", "-y", name+".txt"))
		ts.Check(os.WriteFile(ts.MkAbs(name+".pub"), []byte("# "+name+"\n"+ts.ReadFile("stdout")), 0o644))
	}
}

// cmdWorld makes what most stories begin with: the database $DB filled from
// data.sql, the keys alice and safe, and a vault in place/ by config.toml.
func cmdWorld(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(ts.Exec("createdb", ts.Getenv("DB")))
	if _, err := os.Stat(ts.MkAbs("data.sql")); err == nil {
		cmdSQL(ts, false, []string{ts.Getenv("DB"), "data.sql"})
	}
	cmdNewKey(ts, false, []string{"alice", "safe"})
	ts.Check(ts.Exec("pgvault", "-c", "config.toml", "init", "--place", "file:"+ts.MkAbs("place"),
		"--recipient", "alice.pub", "--recipient", "safe.pub", "--database", ts.Getenv("DB")))
}

// cmdFlip turns one bit of a file: flip FILE OFFSET, where a negative offset
// counts from the end and "middle" is the middle.
func cmdFlip(ts *testscript.TestScript, neg bool, args []string) {
	name := ts.MkAbs(args[0])
	src, err := os.ReadFile(name)
	ts.Check(err)
	at := len(src) / 2
	if args[1] != "middle" {
		at, err = strconv.Atoi(args[1])
		ts.Check(err)
	}
	if at < 0 {
		at += len(src)
	}
	src[at] ^= 1
	ts.Check(os.WriteFile(name, src, 0o600))
}

// cmdCanary looks for a word in every file below folders, which must be in
// at least one, or with ! in none: [!] canary WORD DIR...
func cmdCanary(ts *testscript.TestScript, neg bool, args []string) {
	found, files := "", 0
	for _, dir := range args[1:] {
		ts.Check(filepath.WalkDir(ts.MkAbs(dir), func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return err
			}
			src, err := os.ReadFile(path)
			files++
			if bytes.Contains(src, []byte(args[0])) {
				found = path
			}
			return err
		}))
	}
	switch {
	case files == 0:
		ts.Fatalf("there is no file in %v", args[1:])
	case neg && found != "":
		ts.Fatalf("%s holds %q", found, args[0])
	case !neg && found == "":
		ts.Fatalf("none of %d files holds %q", files, args[0])
	}
}

// cmdJSON looks at a value of a JSON document, or of one of several lines:
// json [-env NAME] FILE PATH [REGEXP]. In PATH, numbers are positions (from
// the end if negative), and len is the length of a list.
func cmdJSON(ts *testscript.TestScript, neg bool, args []string) {
	name := ""
	if args[0] == "-env" {
		name, args = args[1], args[2:]
	}
	value := ts.ReadFile(args[0])
	var docs []any
	for d := json.NewDecoder(strings.NewReader(value)); ; {
		var v any
		if err := d.Decode(&v); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			ts.Fatalf("not JSON: %v", err)
		}
		docs = append(docs, v)
	}
	v := any(docs)
	if len(docs) == 1 {
		v = docs[0]
	}
	for _, key := range strings.Split(args[1], ".") {
		v = step(ts, v, key)
	}
	text := fmt.Sprint(v)
	if f, ok := v.(float64); ok {
		text = strconv.FormatFloat(f, 'f', -1, 64)
	}
	if len(args) > 2 && regexp.MustCompile(`^(?:`+args[2]+`)$`).MatchString(text) == neg {
		ts.Fatalf("%s is %q", args[1], text)
	}
	if name != "" {
		ts.Setenv(name, text)
	}
}

func step(ts *testscript.TestScript, v any, key string) any {
	switch v := v.(type) {
	case map[string]any:
		if value, ok := v[key]; ok {
			return value
		}
		ts.Fatalf("no key %q among %v", key, slices.Sorted(maps.Keys(v)))
	case []any:
		if key == "len" {
			return float64(len(v))
		}
		i, err := strconv.Atoi(key)
		if i < 0 {
			i += len(v)
		}
		if err == nil && i >= 0 && i < len(v) {
			return v[i]
		}
		ts.Fatalf("no item %s in a list of %d", key, len(v))
	}
	ts.Fatalf("%v has no %q", v, key)
	return nil
}

// doneKeys are promised for the last line of every run; compared are those
// that verify and restore add.
var (
	doneKeys = []string{"type", "schema", "kind", "result", "exit", "id", "database", "tables", "rows", "bytes", "stored", "seconds", "proof"}
	compared = []string{"tables_equal", "tables_total", "differences"}
)

// cmdLines checks standard output against the promise of JSON Lines: lines
// KIND RESULT EXIT.
func cmdLines(ts *testscript.TestScript, neg bool, args []string) {
	var last map[string]any
	done := 0
	for i, line := range strings.Split(strings.TrimSpace(ts.ReadFile("stdout")), "\n") {
		last = nil
		if err := json.Unmarshal([]byte(line), &last); err != nil {
			ts.Fatalf("line %d is not JSON: %v", i+1, err)
		}
		if word, _ := last["type"].(string); word == "" || last["schema"] != 1.0 {
			ts.Fatalf("line %d has type %v, schema %v", i+1, last["type"], last["schema"])
		}
		if last["type"] == "done" {
			done++
		}
	}
	if done != 1 || last["type"] != "done" {
		ts.Fatalf("%d lines of the type done, the last line is of type %v", done, last["type"])
	}
	keys := doneKeys
	if args[0] != "backup" && args[0] != "copy" && args[0] != "reseal" {
		keys = append(slices.Clone(doneKeys), compared...)
	}
	for _, k := range keys {
		if _, ok := last[k]; !ok {
			ts.Fatalf("the line of type done has no key %q", k)
		}
	}
	if got := fmt.Sprint(last["kind"], " ", last["result"], " ", last["exit"]); got != strings.Join(args, " ") {
		ts.Fatalf("done says %s, not %s", got, strings.Join(args, " "))
	}
}

// cmdClean finds every byte that a terminal could take for more than text:
// clean FILE|stdout|stderr...
func cmdClean(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args {
		checkClean(ts, name, ts.ReadFile(name))
	}
}

func checkClean(ts *testscript.TestScript, name, text string) {
	for _, line := range strings.Split(text, "\n") {
		line = strings.ReplaceAll(line, "\t", " ") // between columns of --plain
		if safe := safetext.Line(line); safe != line {
			ts.Fatalf("%s is not safe for a terminal: %s", name, safe)
		}
	}
}

// cmdKilled starts pgvault with --json, reads its lines up to the first that
// holds a word, kills it, and waits until its children have ended too:
// killed WORD ARGS...
func cmdKilled(ts *testscript.TestScript, neg bool, args []string) {
	cmd, _ := startUntil(ts, args[0], args[1:])
	children := childrenOf(ts, cmd.Process.Pid)
	ts.Check(cmd.Process.Kill())
	waitEnded(ts, children)
	if err := cmd.Wait(); cmd.ProcessState.Exited() {
		ts.Fatalf("it ended by itself (%v) before it was killed", err)
	}
	ts.Logf("killed, and %d children with it", len(children))
}

// cmdInterrupted is cmdKilled with Ctrl-C: the run must end by itself with
// 130 and a last line that says so.
func cmdInterrupted(ts *testscript.TestScript, neg bool, args []string) {
	cmd, lines := startUntil(ts, args[0], args[1:])
	children := childrenOf(ts, cmd.Process.Pid)
	ts.Check(cmd.Process.Signal(os.Interrupt))
	last := ""
	for lines.Scan() {
		last = lines.Text()
	}
	_ = cmd.Wait()
	waitEnded(ts, children)
	if code := cmd.ProcessState.ExitCode(); code != 130 || !strings.Contains(last, `"result":"cancelled"`) {
		ts.Fatalf("exit status %d, last line %s", code, last)
	}
}

// startUntil starts pgvault and reads its lines up to the first that holds a
// word. The unread pipe holds 64 KiB: a run that has more to tell cannot end
// before its reader goes on.
func startUntil(ts *testscript.TestScript, word string, args []string) (*exec.Cmd, *bufio.Scanner) {
	cmd := exec.Command(pathOf(ts, "pgvault"), append(args, "--json")...)
	cmd.Dir = ts.MkAbs(".")
	for _, k := range []string{"HOME", "STATE_DIRECTORY", "PGHOST", "PGPORT", "PGUSER", "PATH", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_CA_BUNDLE"} {
		cmd.Env = append(cmd.Env, k+"="+ts.Getenv(k))
	}
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.Contains(lines.Text(), word) {
			return cmd, lines
		}
	}
	ts.Fatalf("%v: it ended and never said %q", cmd.Wait(), word)
	return nil, nil
}

// waitEnded waits for processes that should have ended.
func waitEnded(ts *testscript.TestScript, pidfds []int) {
	for _, fd := range pidfds {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(poll, 20_000)
		for errors.Is(err, unix.EINTR) {
			n, err = unix.Poll(poll, 20_000)
		}
		if n != 1 || err != nil {
			ts.Fatalf("a child lives on: %d, %v", n, err)
		}
		ts.Check(unix.Close(fd))
	}
}

func pathOf(ts *testscript.TestScript, program string) string {
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if _, err := os.Stat(filepath.Join(dir, program)); err == nil {
			return filepath.Join(dir, program)
		}
	}
	ts.Fatalf("%s is not in PATH", program)
	return ""
}

// childrenOf gives a pidfd for each child of a process.
func childrenOf(ts *testscript.TestScript, pid int) []int {
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	ts.Check(err)
	var fds []int
	for _, list := range lists {
		src, err := os.ReadFile(list)
		if err != nil {
			continue // that thread has ended
		}
		for _, word := range strings.Fields(string(src)) {
			child, err := strconv.Atoi(word)
			ts.Check(err)
			fd, err := unix.PidfdOpen(child, 0)
			if err == nil {
				fds = append(fds, fd)
			} else if !errors.Is(err, unix.ESRCH) {
				ts.Check(err)
			}
		}
	}
	return fds
}
