package job

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"pgvault/fault"
)

// TestMain is also the other process of these tests: it takes a lock and
// holds it until its standard input ends, or is a runner (spawn_test.go).
func TestMain(m *testing.M) {
	if what := os.Getenv("PGVAULT_TEST_RUNNER"); what != "" {
		os.Exit(beRunner(what))
	}
	if dir := os.Getenv("PGVAULT_TEST_LOCK"); dir != "" {
		unlock, err := Lock(dir, "db", "a backup of db", "")
		fmt.Println(fault.CodeOf(err))
		if err == nil {
			_, _ = bufio.NewReader(os.Stdin).ReadString(0)
			unlock()
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// holder is another process that was told to take the lock in dir; code is
// what it came to.
func holder(t *testing.T, dir string) (cmd *exec.Cmd, code string) {
	t.Helper()
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "PGVAULT_TEST_LOCK="+dir)
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return cmd, strings.TrimSpace(line)
}

func TestLockOfAnotherProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "locks")
	if Held(dir, "db") {
		t.Error("held before any file was there")
	}
	cmd, code := holder(t, dir)
	if code != "0" || !Held(dir, "db") || Held(dir, "other") {
		t.Errorf("the other process got code %s, Held %v", code, Held(dir, "db"))
	}
	_, err := Lock(dir, "db", "a backup of db", "")
	if e := fault.As(err); strings.Contains(e.Why, "job ") || Holder(dir, "db") != "" {
		t.Errorf("the lock of no job names one: %+v", e)
	}
	e := fault.As(err)
	if e.Code != fault.Running || e.What == "" || e.Why == "" || e.Left == "" || e.Do == "" {
		t.Errorf("%+v", e)
	}
	if unlock, err := Lock(dir, "other", "x", ""); err != nil {
		t.Error(err)
	} else {
		unlock()
	}
	// Killed, it leaves nothing that would have to be cleared away.
	cmd.Process.Kill()
	cmd.Wait()
	if Held(dir, "db") {
		t.Error("held by a dead process")
	}
	unlock, err := Lock(dir, "db", "a backup of db", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, code := holder(t, dir); code != fmt.Sprint(int(fault.Running)) {
		t.Errorf("another process got code %s", code)
	}
	unlock()
	if Held(dir, "db") {
		t.Error("held after unlock")
	}
}

// TestTwentyAtOnce: one gets the lock, whatever the order.
func TestTwentyAtOnce(t *testing.T) {
	dir := t.TempDir()
	var got, refused atomic.Int32
	var wg sync.WaitGroup
	release := make(chan struct{})
	for range 20 {
		wg.Go(func() {
			unlock, err := Lock(dir, "db", "x", "")
			if err != nil {
				if fault.CodeOf(err) != fault.Running {
					t.Error(err)
				}
				if refused.Add(1) == 19 {
					close(release)
				}
				return
			}
			got.Add(1)
			<-release
			unlock()
		})
	}
	wg.Wait()
	if got.Load() != 1 {
		t.Errorf("%d got the lock", got.Load())
	}
}

// TestLookingIsNotHolding: a screen that asks every moment whether a backup
// runs must not keep one from starting.
func TestLookingIsNotHolding(t *testing.T) {
	dir := t.TempDir()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					Held(dir, "db")
				}
			}
		})
	}
	for range 2000 {
		unlock, err := Lock(dir, "db", "x", "")
		if err != nil {
			t.Errorf("refused though nobody held it: %v", err)
			break
		}
		unlock()
	}
	close(stop)
	wg.Wait()
}

func TestStateFolderUnusable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Lock(filepath.Join(file, "locks"), "db", "x", "")
	if e := fault.As(err); err == nil || e.Why == "" || e.Left == "" || e.Do == "" {
		t.Errorf("%+v", e)
	}
}

func TestLockFilesArePrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state", "locks")
	unlock, err := Lock(dir, "db", "x", "")
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, "db.lock"): 0o600} {
		if st, err := os.Stat(path); err != nil || st.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, st.Mode(), err)
		}
	}
}

// TestLockNamesItsJob for whom it keeps out.
func TestLockNamesItsJob(t *testing.T) {
	dir, id := t.TempDir(), "20261122T213000Z-7f3a"
	unlock, err := Lock(dir, "db", "a backup of db", id)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Lock(dir, "db", "a backup of db", "20261122T213001Z-0000")
	if e := fault.As(err); e.Code != fault.Running || !strings.Contains(e.Why, id) || !strings.Contains(e.Do, id) || Holder(dir, "db") != id {
		t.Errorf("%+v, holder %q", e, Holder(dir, "db"))
	}
	unlock()
	if got := Holder(dir, "db"); got != "" {
		t.Errorf("a free lock is held by %q", got)
	}
}
