package vault

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// setUp writes the configuration of a world for the real binary and gives
// its environment.
func (w *world) setUp(t *testing.T) []string {
	t.Helper()
	q := strconv.Quote
	w.write("config.toml", fmt.Sprintf("[vault]\nname = \"main\"\n[server]\ndbname = %s\nbin_dir = %s\n[keys]\nrecipients_file = %s\nsigning_key = %s\n[[place]]\nname = \"disk\"\nurl = %s\n",
		q(settings().Conninfo), q(cluster.BinDir), q(w.path("recipients")), q(w.path("signing")), q("file:"+w.path("place"))))
	return append(os.Environ(), "XDG_STATE_HOME="+w.path("xdg"), "HOME="+w.dir)
}

// TestKilledBackup kills pgvault itself, with SIGKILL, after some line of
// what it tells, and between lines. It leaves no program, no session, no
// plaintext and no archive but whole ones, and the next backup needs no help.
func TestKilledBackup(t *testing.T) {
	c := makeVictim(t, settings(), "victim")
	w := newWorld(t)
	env := w.setUp(t)
	run := func(kill int) (events int, ended bool) {
		cmd := exec.Command(binary, "-c", w.path("config.toml"), "backup", "victim", "--json")
		cmd.Env = env
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		var stderr strings.Builder
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			if events++; events == kill {
				cmd.Process.Kill()
			}
		}
		err = cmd.Wait()
		if kill == 0 && err != nil {
			t.Fatalf("%v\n%s", err, &stderr)
		}
		until(t, "pg_dump has gone with pgvault", func() bool { return len(children(t, cmd.Process.Pid)) == 0 && len(orphans(t, w)) == 0 })
		return events, err == nil
	}
	whole, _ := run(0)
	archives := 1
	for i := range 25 {
		if _, ended := run(1 + i*whole/25); ended {
			t.Logf("kill %d came after the end", i)
		}
		noSessions(t)
		list := w.list()
		for _, a := range list[:len(list)-archives] { // new ones
			if a.State != "good" {
				t.Errorf("after kill %d: %+v", i, a)
			}
			w.verify(a.ID, ProofReadable).ok(t)
		}
		archives = len(list)
	}
	c.absent(t, w.dir)
	run(0)
	if a := w.list()[0]; len(w.list()) != archives+1 || a.State != "good" || a.Proof != ProofReadable {
		t.Errorf("the backup after all kills: %+v", a)
	}
	// Sequence numbers have no holes and no doubles, whatever was killed.
	seen := map[int64]bool{}
	for _, a := range w.list() {
		seen[a.Seq] = true
	}
	if len(seen) != archives+1 || !seen[int64(archives+1)] {
		t.Errorf("numbers %v of %d archives", seen, archives+1)
	}
}

// orphans are client programs whose environment tells that this world's
// pgvault started them.
func orphans(t *testing.T, w *world) []string {
	t.Helper()
	var out []string
	for pid, name := range children(t, 1) {
		env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err == nil && strings.Contains(string(env), w.path("xdg")) {
			out = append(out, name)
		}
	}
	return out
}

// TestBinaryTellsTheSame: the real program's last line is the run's end.
func TestBinaryTellsTheSame(t *testing.T) {
	create(t, "origin", "")
	w := newWorld(t)
	cmd := exec.Command(binary, "-c", w.path("config.toml"), "backup", "origin", "--json")
	cmd.Env = w.setUp(t)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	var last struct{ Type, Result, ID string }
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || last.Type != "done" || last.ID != w.list()[0].ID {
		t.Errorf("%s: %v", lines[len(lines)-1], err)
	}
}
