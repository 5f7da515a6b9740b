package cli

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"pgvault/config"
	"pgvault/fault"
)

// TestTheKeeperSavesOneSoundFile: for its owner and the vault's group, whatever
// the mode was before, and nothing that could not be read again.
func TestTheKeeperSavesOneSoundFile(t *testing.T) {
	dir := t.TempDir()
	state := filepath.Join(dir, "state")
	if err := os.Mkdir(state, 0o750); err != nil {
		t.Fatal(err)
	}
	gid := os.Getegid()
	if os.Geteuid() == 0 {
		gid = 54322
		if err := os.Chown(state, 54321, gid); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("STATE_DIRECTORY", state)
	path := filepath.Join(dir, "config.toml")
	old := []byte("[vault]\nlabel = \"OLD\"\n")
	if err := os.WriteFile(path, old, 0o666); err != nil {
		t.Fatal(err)
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error)
	its := os.NewFile(uintptr(pair[1]), "screen")
	go func() { defer its.Close(); served <- (&program{config: path}).serveConfig(its) }()
	k := &confKeeper{conn: os.NewFile(uintptr(pair[0]), "keeper")}

	if err := k.replace(path, config.Digest(old), []byte("[vault]\nlable = 1\n")); fault.CodeOf(err) != fault.Usage {
		t.Errorf("a text with errors: %v", err)
	}
	sound := []byte("[vault]\nlabel = \"NEW\"\n")
	if err := k.replace(path, config.Digest([]byte("another")), sound); !errors.Is(err, config.ErrChanged) {
		t.Errorf("a file that was changed meanwhile: %v", err)
	}
	if there, _ := os.ReadFile(path); string(there) != string(old) {
		t.Fatalf("refused, and there is %q", there)
	}
	if err := k.replace(path, config.Digest(old), sound); err != nil {
		t.Fatal(err)
	}
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	st := fi.Sys().(*syscall.Stat_t)
	if there, _ := os.ReadFile(path); string(there) != string(sound) || fi.Mode().Perm() != 0o640 || int(st.Uid) != os.Geteuid() || int(st.Gid) != gid {
		t.Errorf("%q, mode %o, %d:%d", there, fi.Mode().Perm(), st.Uid, st.Gid)
	}
	k.conn.Close()
	if err := <-served; err != nil {
		t.Errorf("when the screen has ended: %v", err)
	}
	if err := k.replace(path, config.Digest(sound), old); err == nil {
		t.Error("saved by nobody")
	}
}
