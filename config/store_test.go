package config

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"pgvault/fault"
)

func put(t *testing.T, path, text string, mode fs.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// TestReplace keeps the mode, goes through a link, refuses what was changed,
// and leaves nothing beside the file.
func TestReplace(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "config.toml"), filepath.Join(dir, "link")
	put(t, path, "old\n", 0o640)
	if err := os.Symlink("config.toml", link); err != nil {
		t.Fatal(err)
	}
	if err := Replace(link, Digest([]byte("old\n")), []byte("new\n")); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Lstat(path); err != nil || st.Mode().Perm() != 0o640 || !st.Mode().IsRegular() {
		t.Errorf("%v %v", st, err)
	}
	err := Replace(path, Digest([]byte("old\n")), []byte("newer\n"))
	if !errors.Is(err, ErrChanged) || fault.CodeOf(err) != fault.Refused {
		t.Errorf("changed meanwhile: %v", err)
	}
	if src, err := os.ReadFile(path); string(src) != "new\n" {
		t.Errorf("%q %v", src, err)
	}
	if err := Replace(filepath.Join(dir, "none"), "", nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	names, err := os.ReadDir(dir)
	if err != nil || len(names) != 2 {
		t.Errorf("%v %v", names, err)
	}
}

func TestReplaceKeepsTheOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		// An unprivileged user cannot give a file away: all there is to see is
		// that it stays his.
		t.Log("not root: the owner is this user before and after")
	}
	path := filepath.Join(t.TempDir(), "config.toml")
	put(t, path, "old", 0o644)
	if os.Geteuid() == 0 {
		if err := os.Chown(path, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	before := ownerOf(t, path)
	if err := Replace(path, Digest([]byte("old")), []byte("new")); err != nil {
		t.Fatal(err)
	}
	if after := ownerOf(t, path); after != before {
		t.Errorf("owner %s became %s", before, after)
	}
}

func ownerOf(t *testing.T, path string) string {
	t.Helper()
	out, err := exec.Command("stat", "-c", "%u:%g", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestCreate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	put(t, filepath.Join(filepath.Dir(path), ".f.new-123"), "left by a killed process", 0o600)
	if err := Create(path, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Create(path, []byte("two"), 0o600); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second time: %v", err)
	}
	src, err := os.ReadFile(path)
	st, _ := os.Stat(path)
	if string(src) != "one" || st.Mode().Perm() != 0o600 {
		t.Errorf("%q %v %v", src, st.Mode(), err)
	}
	if names, _ := os.ReadDir(filepath.Dir(path)); len(names) != 1 {
		t.Errorf("%v", names)
	}
	if err := Create(filepath.Join(path, "below"), nil, 0o600); err == nil {
		t.Error("below a file")
	}
}

// TestDiffIsPatchable: what Diff gives, patch applies to the old text and
// gets the new one; so any piece of it is where it says.
func TestDiffIsPatchable(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "f")
	rapid.Check(t, func(r *rapid.T) {
		lines := rapid.SliceOfN(rapid.StringMatching(`[ab]`), 0, 30)
		a, b := lines.Draw(r, "a"), lines.Draw(r, "b")
		text := func(l []string) string { return strings.Join(append(l, "end"), "\n") + "\n" }
		old, changed := text(a), text(b)
		diff := Diff([]byte(old), []byte(changed))
		if old == changed {
			if diff != nil {
				r.Fatalf("equal, and %v", diff)
			}
			return
		}
		patch := "--- f\n+++ f\n"
		for _, l := range diff {
			patch += l.String() + "\n"
		}
		if err := os.WriteFile(file, []byte(old), 0o600); err != nil {
			r.Fatal(err)
		}
		cmd := exec.Command("git", "apply", "--unidiff-zero", "-p0", "-")
		cmd.Dir, cmd.Stdin = dir, strings.NewReader(patch)
		if out, err := cmd.CombinedOutput(); err != nil {
			r.Fatalf("%v %s\n%s", err, out, patch)
		}
		got, err := os.ReadFile(file)
		if err != nil || string(got) != changed {
			r.Fatalf("%v: %q, want %q, by\n%s", err, got, changed, patch)
		}
	})
}

func TestDiffOfALineEnd(t *testing.T) {
	d := Diff([]byte("a\nb"), []byte("a\nb\n"))
	if len(d) != 4 || d[0].Mark != '@' || d[2].Mark != '-' || !strings.Contains(d[2].Text, "no line end") || d[3].Text != "b" {
		t.Errorf("%q", d)
	}
	big := strings.Repeat("x\n", 3000)
	other := strings.Repeat("y\n", 3000)
	if d := Diff([]byte(big), []byte(other)); len(d) != 6001 {
		t.Errorf("%d lines", len(d))
	}
}

func TestChanges(t *testing.T) {
	old := parse(t, "[defaults]\nmax_age = \"1d\"\n[server]\ndbname = \"postgresql://u:hunter2@h/x\"\n[[database]]\nname = \"shop\"\n[[place]]\nname=\"disk\"\nurl=\"file:/a\"\n")
	changed := parse(t, "[defaults]\nmax_age = \"2d\"\nkeep = { daily = 5 }\n[server]\ndbname = \"postgresql://u:hunter3@h/x\"\n[[database]]\nname = \"billing\"\nkeep = { last = 2 }\n[[place]]\nname=\"disk\"\nurl=\"file:/b\"\n")
	var got []string
	for _, c := range Changes(old, changed) {
		got = append(got, c.String())
	}
	want := []string{
		"database billing (none) > there",
		"database billing.keep (none) > 2 last",
		"database shop there > (none)",
		"defaults.keep 3 last, 7 daily, 4 weekly, 6 monthly > 5 daily",
		"defaults.max_age 1d > 2d",
		"place disk.url file:/a > file:/b",
		"server.dbname a connection > another",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if c := Changes(old, old); len(c) != 0 {
		t.Errorf("%v", c)
	}
}
