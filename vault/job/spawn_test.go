package job

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pgvault/fault"
)

// told is what these tests' launcher tells its runner.
type told struct {
	Dir    string
	Secret string
}

// beRunner is the runner: this test binary, started again.
func beRunner(what string) int {
	address := os.Args[len(os.Args)-1]
	if what == "deaf" {
		fmt.Fprintln(os.Stderr, "panic: it fell over")
		return 2
	}
	var m told
	parent, err := Answer(address, &m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if what == "refuses" {
		parent.Reply("", &fault.Error{Op: "o", What: "what", Why: "why", Left: "left", Do: "do", Code: fault.NoSpace})
		return 1
	}
	done := make(chan struct{})
	d := Dir{Path: m.Dir}
	r, err := d.Create(time.Now, rand.Reader, nil, func() { close(done) })
	if err != nil {
		parent.Reply("", err)
		return 1
	}
	sid, _ := unix.Getsid(0)
	r.SetFacts(map[string]any{"secret": len(m.Secret), "pid": os.Getpid(), "sid": sid, "own": os.Getenv("PGVAULT_TEST_OWN")})
	parent.Reply(r.ID(), nil)
	parent.Reply("only the first counts", nil)
	<-done
	if r.End("cancelled", r.Status().Facts) != nil {
		return 1
	}
	return 0
}

// launch starts this binary as a runner.
func launch(t *testing.T, d Dir, system string) (string, error) {
	t.Helper()
	return d.Launch(t.Context(), Start{Command: []string{os.Args[0], "job", "run"}, Name: "pgvault-test", Message: told{d.Path, "s3cret"}, System: system})
}

// checkLaunched holds what is true of a job that was launched, and ends it.
func checkLaunched(t *testing.T, d Dir, id string) {
	t.Helper()
	s := read(t, d, id)
	if s.State != Running || s.PID == os.Getpid() || !strings.Contains(string(s.Facts), `"own":"mine"`) || !strings.Contains(string(s.Facts), `"secret":6`) ||
		!strings.Contains(string(s.Facts), fmt.Sprintf(`"pid":%d,"secret":6,"sid":%d`, s.PID, s.PID)) {
		t.Errorf("%+v, %s", s, s.Facts)
	}
	if err := d.Cancel(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Follow(t.Context(), id, Reader{}); err != nil {
		t.Error(err)
	}
	if s := read(t, d, id); s.State != "cancelled" {
		t.Errorf("%+v", s)
	}
}

func TestLaunchSession(t *testing.T) {
	t.Setenv("PGVAULT_TEST_RUNNER", "works")
	t.Setenv("PGVAULT_TEST_OWN", "mine")
	d := newDir(t)
	id, err := launch(t, d, filepath.Join(t.TempDir(), "absent"))
	if err != nil {
		t.Fatal(err)
	}
	checkNice(t, read(t, d, id).PID)
	checkLaunched(t, d, id)
}

// checkNice: every thread of a runner stands back for who sits at a screen.
func checkNice(t *testing.T, pid int) {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(threads) < 2 {
		t.Fatalf("threads of %d: %v, %v", pid, threads, err)
	}
	for _, path := range threads {
		src, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(src), ") ")
		if f := strings.Fields(rest); f[16] != strconv.Itoa(backNice) { // proc(5), field 19
			t.Errorf("%s: nice %s", path, f[16])
		}
	}
}

// TestLaunchUnit: systemd's program is a stand-in that starts the runner with
// none of our environment or files, as the real one does.
func TestLaunchUnit(t *testing.T) {
	bin, system := t.TempDir(), t.TempDir()
	script := "#!/bin/sh\nprintf '%s\\n' \"$@\" > " + bin + "/args\nwhile [ \"$1\" != -- ]; do shift; done; shift\n" +
		"env -i PGVAULT_TEST_RUNNER=works INVOCATION_ID=1 setsid \"$@\" 3<&- >/dev/null 2>&1 </dev/null &\n"
	if err := os.WriteFile(filepath.Join(bin, "systemd-run"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	t.Setenv("PGVAULT_TEST_OWN", "mine")
	d := newDir(t)
	if !systemd(system) {
		t.Fatal("units are for root and for those who linger: run the tests as root")
	}
	id, err := launch(t, d, system)
	if err != nil {
		t.Fatal(err)
	}
	checkLaunched(t, d, id)
	args, err := os.ReadFile(filepath.Join(bin, "args"))
	if err != nil || !strings.Contains(string(args), "--collect\n") || !strings.Contains(string(args), "--unit=pgvault-test-") || strings.Contains(string(args), "s3cret") {
		t.Errorf("%s, %v", args, err)
	}
	// Where systemd refuses, setsid does it.
	if err := os.WriteFile(filepath.Join(bin, "systemd-run"), []byte("#!/bin/sh\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PGVAULT_TEST_RUNNER", "works")
	if id, err = launch(t, d, system); err != nil {
		t.Fatal(err)
	}
	checkLaunched(t, d, id)
}

func TestLaunchThatFails(t *testing.T) {
	d := newDir(t)
	none := filepath.Join(t.TempDir(), "absent")
	t.Setenv("PGVAULT_TEST_RUNNER", "refuses")
	_, err := launch(t, d, none)
	if e := fault.As(err); e.Op != "o" || e.What != "what" || e.Why != "why" || e.Left != "left" || e.Do != "do" || e.Code != fault.NoSpace {
		t.Errorf("%+v", e)
	}
	t.Setenv("PGVAULT_TEST_RUNNER", "deaf")
	_, err = launch(t, d, none)
	if e := fault.As(err); err == nil || !strings.Contains(e.Why, "it fell over") || e.Left == "" || e.Do == "" {
		t.Errorf("%+v", e)
	}
	_, err = d.Launch(t.Context(), Start{Command: []string{none}, System: none})
	if e := fault.As(err); err == nil || !errors.Is(err, os.ErrNotExist) || e.Do == "" {
		t.Errorf("%+v", e)
	}
	if list, err := d.List(); err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
}

// TestAnswerNobody: the runner's verb, called by hand.
func TestAnswerNobody(t *testing.T) {
	for _, address := range []string{"", "fd:4", "unix:relative", "unix:" + filepath.Join(t.TempDir(), "absent")} {
		_, err := Answer(address, &told{})
		if e := fault.As(err); e.Code != fault.Usage || e.Why == "" {
			t.Errorf("%q: %+v", address, e)
		}
	}
	cmd := exec.Command(os.Args[0], "--start", "fd:3") // which is not open, or no socket
	cmd.Env = append(os.Environ(), "PGVAULT_TEST_RUNNER=works")
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "for pgvault itself") {
		t.Errorf("%s, %v", out, err)
	}
	var nobody *Parent
	nobody.Reply("id", nil) // a run in the foreground
}
