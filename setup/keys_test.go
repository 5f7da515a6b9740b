package setup

import (
	"bytes"
	"crypto/rand"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pgvault/fault"
	"pgvault/vault"
)

// pair makes an identity for a test.
func pair(t *testing.T, name string, pq bool) *Identity {
	t.Helper()
	id, err := NewIdentity(name, pq)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestReadRecipients(t *testing.T) {
	a, b, pq := pair(t, "ops", false), pair(t, "", false), pair(t, "later", true)
	file := filepath.Join(t.TempDir(), "keys.txt")
	if err := os.WriteFile(file, []byte(a.Lines()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := ReadRecipients([]string{file, b.Recipient + "\n" + a.Recipient}, "here")
	if err != nil || len(r.Public()) != 2 || r.Public()[0].Name != "ops" {
		t.Fatalf("%+v %v", r.Public(), err)
	}
	if got := states(r.Check(false)); got != "ok" {
		t.Error(got)
	}
	one, err := ReadRecipients([]string{a.Lines()}, "here")
	if err != nil || states(one.Check(false)) != "x" || states(one.Check(true)) != "!" {
		t.Errorf("%v %v %v", err, one.Check(false), one.Check(true))
	}
	for _, c := range []struct {
		given []string
		want  string
	}{
		{nil, "no recipient"},
		{[]string{"  \n"}, "no recipient"},
		{[]string{"# only a name"}, "no recipient"},
		{[]string{filepath.Join(t.TempDir(), "none")}, "no such file"},
		{[]string{a.Recipient[:40]}, "not a recipient"},
		{[]string{a.Recipient, pq.Recipient}, "mixes post-quantum"},
		{[]string{a.Secret()}, "secret key"},
		{[]string{strings.ToLower(a.Secret())}, "not a recipient"},
	} {
		_, err := ReadRecipients(c.given, "here")
		text := ""
		if err != nil {
			text = err.Error()
		}
		if !strings.Contains(text, c.want) || fault.CodeOf(err) != fault.Usage {
			t.Errorf("%.40q: %v", c.given, err)
		}
		if strings.Contains(text, "SECRET-KEY-1") {
			t.Errorf("the secret is repeated: %s", text)
		}
	}
}

func TestSSHOnly(t *testing.T) {
	key := filepath.Join(t.TempDir(), "k")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	r, err := ReadRecipients([]string{key + ".pub"}, "here")
	if err != nil {
		t.Fatal(err)
	}
	has(t, r.Check(true), "!", "SSH keys only")
}

// TestHold asks Debian's age for the words, as a person would elsewhere.
func TestHold(t *testing.T) {
	mine, safe, stranger := pair(t, "mine", false), pair(t, "safe", false), pair(t, "", false)
	r, err := ReadRecipients([]string{mine.Lines(), safe.Lines()}, "here")
	if err != nil {
		t.Fatal(err)
	}
	h, err := NewHold(r, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	key := filepath.Join(dir, "key.txt")
	if err := safe.Save(key); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("age", "-d", "-i", key)
	cmd.Stdin = strings.NewReader(h.Sealed)
	out, err := cmd.Output()
	if err != nil || len(strings.Fields(string(out))) != holdWords {
		t.Fatalf("%q %v", out, err)
	}
	words := strings.TrimSpace(string(out))
	for given, want := range map[string]bool{
		words: true, "  " + strings.ToUpper(strings.ReplaceAll(words, " ", "\n ")): true, words + " able": false, "": false, "able able able able": words == "able able able able",
	} {
		if h.Answer(given) != want {
			t.Errorf("%q: %t", given, !want)
		}
	}
	if name, err := h.TryFile(key, nil); err != nil || name == "" {
		t.Errorf("%q %v", name, err)
	}
	if _, err := h.TryText(mine.Secret(), nil); err != nil {
		t.Error(err)
	}
	if _, err := h.TryText(stranger.Secret(), nil); fault.CodeOf(err) != fault.NoKey {
		t.Errorf("a stranger: %v", err)
	}
	if _, err := h.TryText("nonsense", nil); fault.CodeOf(err) != fault.NoKey {
		t.Errorf("nonsense: %v", err)
	}
	if _, err := NewHold(r, bytes.NewReader(nil)); err == nil {
		t.Error("no randomness, and words")
	}
}

func TestWordList(t *testing.T) {
	seen := map[string]bool{}
	for _, w := range wordList {
		if seen[w] || w != strings.ToLower(w) {
			t.Errorf("%q", w)
		}
		seen[w] = true
	}
	if len(seen) != 256 {
		t.Errorf("%d words", len(seen))
	}
}

func TestCheckIdentityPath(t *testing.T) {
	dir := t.TempDir()
	state := filepath.Join(dir, "state")
	for _, d := range []string{state, filepath.Join(state, "sub"), filepath.Join(dir, "state-not")} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(state, "sub"), link); err != nil {
		t.Fatal(err)
	}
	taken := filepath.Join(dir, "taken")
	if err := os.WriteFile(taken, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	not := Forbidden{"", state, "/nonexistent"}
	for _, c := range []struct {
		path  string
		here  bool
		state string
		want  string
	}{
		{"", true, "x", "where"},
		{"relative.txt", true, "x", "whole path"},
		{filepath.Join(dir, "none", "key"), true, "x", "no such file"},
		{taken, true, "x", "exists already"},
		{filepath.Join(state, "key"), true, "x", "belongs to pgvault"},
		{filepath.Join(link, "key"), true, "x", "belongs to pgvault"},
		{filepath.Join(state, "sub", "..", "key"), true, "x", "belongs to pgvault"},
		{filepath.Join(dir, "state-not", "key"), false, "x", "is on this host"},
		{filepath.Join(dir, "state-not", "key"), true, "!", "is on this host"},
	} {
		got := CheckIdentityPath(c.path, c.here, not)
		if states(got) != c.state {
			t.Errorf("%s: %+v", c.path, got)
		}
		has(t, got, c.state, c.want)
	}
}

func TestSaveIdentity(t *testing.T) {
	dir := t.TempDir()
	id := pair(t, "ops", false)
	path := filepath.Join(dir, "ops.txt")
	if _, err := SaveIdentity(id, path, false, nil); fault.CodeOf(err) != fault.Refused {
		t.Fatalf("on this host without a yes: %v", err)
	}
	if names, _ := os.ReadDir(dir); len(names) != 0 {
		t.Errorf("%v", names)
	}
	got, err := SaveIdentity(id, path, true, Forbidden{filepath.Join(dir, "state")})
	if err != nil || got != path {
		t.Fatalf("%s %v", got, err)
	}
	out, err := exec.Command("age-keygen", "-y", path).Output()
	if strings.TrimSpace(string(out)) != id.Recipient {
		t.Errorf("%q %v", out, err)
	}
	if _, err := SaveIdentity(id, path, true, nil); fault.CodeOf(err) != fault.Refused {
		t.Errorf("over a file: %v", err)
	}
	if !strings.HasPrefix(id.Lines(), "# ops\nage1") || errors.Is(err, os.ErrExist) {
		t.Error(id.Lines())
	}
}

func TestFindMount(t *testing.T) {
	const table = `22 27 0:21 / / rw shared:1 - ext4 /dev/sda1 rw
30 22 0:33 / /mnt rw - tmpfs tmpfs rw
31 30 0:34 / /mnt/the\040share rw master:1 - nfs4 nas:/pg rw
32 22 8:17 / /media/usb rw - vfat /dev/sdb1 rw
33 32 0:40 / /media/usb rw - fuse.sshfs me@host:/ rw
broken line
`
	for path, want := range map[string][3]string{
		"/srv":               {"/", "ext4", ""},
		"/mnt/x":             {"/mnt", "tmpfs", ""},
		"/mnt/the share/a/b": {"/mnt/the share", "nfs4", "a network share (nfs4)"},
		"/mnt/the shares":    {"/mnt", "tmpfs", ""},
		"/media/usb":         {"/media/usb", "fuse.sshfs", "a network share (fuse.sshfs)"},
	} {
		m := findMount(table, path)
		if got := [3]string{m.point, m.kind, m.away}; got != want {
			t.Errorf("%s: %q", path, got)
		}
	}
	m, err := mountOf(filepath.Join(t.TempDir(), "not", "yet"))
	if err != nil || m.point == "" || m.device == 0 {
		t.Errorf("%+v %v", m, err)
	}
}

func TestAllowed(t *testing.T) {
	if err := Allowed(vault.Access{Act: true}); err != nil {
		t.Error(err)
	}
	err := Allowed(vault.Access{Why: "you are dba-1; the vault belongs to pgvault"})
	if f := fault.As(err); f.Code != fault.Refused || !strings.Contains(f.Why, "dba-1") {
		t.Errorf("%+v", f)
	}
}

// TestOneALine: what was pasted comes out the same whether its line ends were
// kept, dropped or made spaces.
func TestOneALine(t *testing.T) {
	a, b := pair(t, "ops", false), pair(t, "safe 2", true)
	c := pair(t, "", false)
	for _, text := range []string{
		a.Lines() + "\n" + c.Recipient,
		a.Lines() + c.Recipient,
		strings.ReplaceAll(a.Lines(), "\n", " ") + " " + c.Recipient,
		strings.ReplaceAll(a.Lines(), "\n", "") + c.Recipient,
	} {
		r, err := ReadRecipients([]string{oneALine(text)}, "here")
		if err != nil || len(r.Public()) != 2 || r.Public()[0].Name != "ops" {
			t.Errorf("%q: %+v %v", text, r.Public(), err)
		}
	}
	r, err := ReadRecipients([]string{oneALine(strings.ReplaceAll(b.Lines(), "\n", ""))}, "here")
	if err != nil || r.Public()[0].Name != "safe 2" {
		t.Errorf("%v", err)
	}
	if got := oneALine("/media/usb/#1/age1.txt"); got != "/media/usb/#1/age1.txt" {
		t.Errorf("a path became %q", got)
	}
	ssh := "ssh-ed25519 AAAAC3Nz me@host"
	if got := oneALine(ssh + ssh); got != "\n"+ssh+"\n"+ssh {
		t.Errorf("%q", got)
	}
}
