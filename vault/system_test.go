package vault

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestSystemMode runs the program itself as the owner of a vault, as a
// member of its group, as neither, and as root, who must leave nothing of
// root's behind. Who is not root when testing can only be the owner.
func TestSystemMode(t *testing.T) {
	const owner, group, member = 54321, 54322, 54323
	root := os.Geteuid() == 0
	w := newWorld(t)
	id := w.fabricate(made{database: "shop", at: noon})
	w.write("signing.pub", w.signerLine())
	w.write("config.toml", fmt.Sprintf("[vault]\nname = \"main\"\n[keys]\nrecipients_file = %q\nsigning_key = %q\n[[place]]\nname = \"disk\"\nurl = %q\n",
		w.path("recipients"), w.path("signing"), "file:"+w.path("place")))
	if err := os.Mkdir(w.path("state"), 0o750); err != nil {
		t.Fatal(err)
	}
	give := func(path string, mode os.FileMode, uid int) {
		err := os.Chmod(path, mode)
		if root && err == nil {
			err = os.Chown(path, uid, group)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{filepath.Dir(w.dir), w.dir, filepath.Dir(binary)} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{"config.toml", "recipients", "signing.pub"} {
		give(w.path(f), 0o640, os.Geteuid())
	}
	give(w.path("signing"), 0o600, owner)
	give(w.path("state"), 0o750, owner)
	err := filepath.WalkDir(w.path("place"), func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			give(path, map[bool]os.FileMode{true: 0o750, false: 0o640}[d.IsDir()], owner)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	run := func(who *syscall.Credential, want int, says string, args ...string) {
		t.Helper()
		cmd := exec.Command(binary, append([]string{"-c", w.path("config.toml")}, args...)...)
		cmd.Dir, cmd.Env = "/", []string{"HOME=/nonexistent", "STATE_DIRECTORY=" + w.path("state"), "PGHOST=" + cluster.SocketDir}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who}
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) || cmd.ProcessState.ExitCode() != want || !strings.Contains(string(out), says) {
			t.Errorf("%v as %+v: %v\n%s", args, who, err, out)
		}
	}
	if !root {
		run(nil, 0, "is pinned", "pin", id)
		return
	}
	run(&syscall.Credential{Uid: owner, Gid: group}, 0, id, "list")
	looker := &syscall.Credential{Uid: member, Gid: 65534, Groups: []uint32{group}}
	run(looker, 0, `"state":"good"`, "list", "--json")
	run(looker, 13, "You are uid 54323; the vault belongs to uid 54321", "pin", id)
	run(looker, 13, "the vault belongs to uid 54321", "delete", id, "--confirm", id)
	run(&syscall.Credential{Uid: member, Gid: 65534}, 64, "cannot be read", "list")
	run(nil, 0, "is pinned", "pin", id) // root
	run(nil, 0, "pinned", "list")
	run(looker, 0, "pinned", "list")
	pins := 0
	for _, dir := range []string{"state", "place"} {
		err := filepath.WalkDir(w.path(dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			fi, err := d.Info()
			if err != nil {
				return err
			}
			if st := fi.Sys().(*syscall.Stat_t); st.Uid != owner || fi.Mode().Perm()&0o007 != 0 {
				t.Errorf("%s belongs to %d, mode %o", path, st.Uid, fi.Mode().Perm())
			}
			if strings.HasPrefix(d.Name(), "pin.json") {
				pins++
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if pins != 2 {
		t.Errorf("%d files of a signed pin", pins)
	}
}
