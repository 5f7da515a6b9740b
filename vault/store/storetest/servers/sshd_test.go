package servers

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestSFTP logs in with the system's own client, before and after the server
// was killed and started again.
func TestSFTP(t *testing.T) {
	s := SFTP(t)
	list := func() (string, error) {
		cmd := exec.Command("sftp", "-F", "none", "-b", "-", "-P", strconv.Itoa(s.Port), "-i", s.KeyFile,
			"-o", "UserKnownHostsFile="+s.KnownHosts, "-o", "StrictHostKeyChecking=yes", s.User+"@"+s.Host)
		cmd.Stdin = strings.NewReader("ls " + s.Dir + "\n")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if err := os.WriteFile(filepath.Join(s.Dir, "here"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := list(); err != nil || !strings.Contains(out, "/here") {
		t.Fatalf("%v: %s", err, out)
	}
	s.Kill()
	if out, err := list(); err == nil {
		t.Fatalf("a server that was killed answers: %s", out)
	}
	s.Start()
	if out, err := list(); err != nil || !strings.Contains(out, "/here") {
		t.Fatalf("after another start: %v: %s", err, out)
	}
}
