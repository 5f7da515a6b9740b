package vault

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// hereDirEnv makes the test program a screen on the state folder that it names:
// it tells "here" and stays until its standard input ends.
const hereDirEnv = "PGVAULT_TEST_SCREEN_ON"

func hereAsChild(dir string) int {
	v := New(Config{StateDir: dir})
	v.Screens()
	if v.here == nil {
		return 1
	}
	if _, err := os.Stdout.WriteString("here\n"); err != nil {
		return 1
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// hereChild starts one and waits until it is there; leave ends it.
func hereChild(t *testing.T, dir string) (leave func()) {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env, c.Stderr = append(os.Environ(), hereDirEnv+"="+dir), os.Stderr
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill() })
	if _, err := io.ReadFull(out, make([]byte, len("here\n"))); err != nil {
		t.Fatalf("the other screen: %v", err)
	}
	return func() {
		in.Close()
		if err := c.Wait(); err != nil {
			t.Error(err)
		}
	}
}

func TestScreensKnowEachOther(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	v := New(Config{StateDir: dir})
	if s := v.Screens(); len(s) != 0 || v.here != nil {
		t.Fatalf("without a state folder: %q", s)
	}
	if err := os.Mkdir(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	if s := v.Screens(); len(s) != 0 || v.here == nil {
		t.Fatalf("alone: %q", s)
	}
	if fi, err := os.Stat(filepath.Join(dir, screensFile)); err != nil || fi.Mode().Perm() != 0o640 || fi.Size() != 0 {
		t.Errorf("%v, %v", fi, err)
	}
	first, second := hereChild(t, dir), hereChild(t, dir)
	me := userName(os.Getuid())
	if s := v.Screens(); len(s) != 2 || s[0] == "" || s[0] != s[1] || thisProcess().login == "" && s[0] != me {
		t.Errorf("%q, this is %s", s, me)
	}
	first()
	if s := v.Screens(); len(s) != 1 {
		t.Errorf("after one has left: %q", s)
	}
	second()
	if s := v.Screens(); len(s) != 0 {
		t.Errorf("after both have left: %q", s)
	}
}

func TestAReaderIsSeenAndMakesNothing(t *testing.T) {
	dir := t.TempDir()
	v := New(Config{StateDir: dir, ReadOnly: true})
	if v.Screens(); v.here != nil {
		t.Error("a screen that changes nothing made the file")
	}
	leave := hereChild(t, dir) // the owner
	defer leave()
	if s := v.Screens(); len(s) != 1 {
		t.Errorf("%q", s)
	}
	if err := os.Chmod(filepath.Join(dir, screensFile), 0o400); err != nil {
		t.Fatal(err)
	}
	again := New(Config{StateDir: dir, ReadOnly: true})
	if s := again.Screens(); len(s) != 1 {
		t.Errorf("from a file that may only be read: %q", s)
	}
	if name := whoRuns(0); name != "" {
		t.Errorf("nobody's process is %q's", name)
	}
}
