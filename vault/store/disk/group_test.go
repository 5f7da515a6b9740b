package disk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"pgvault/fault"
	"pgvault/vault/store"
	"pgvault/vault/store/storetest"
)

// TestModesFollowTheFolder: a place of 0750 lets its group look at all that
// is made in it, any other does not.
func TestModesFollowTheFolder(t *testing.T) {
	for mode, want := range map[fs.FileMode][2]fs.FileMode{0o700: {0o700, 0o600}, 0o750: {0o750, 0o640}, 0o755: {0o700, 0o600}, 0o710: {0o700, 0o600}} {
		dir := t.TempDir()
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		for _, noTmpfile := range []bool{false, true} {
			d, err := Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			d.noTmpfile = noTmpfile
			name := "main/a"
			if noTmpfile {
				name = "other/a"
			}
			storetest.Put(t, d, name, []byte("x"))
			for path, want := range map[string]fs.FileMode{filepath.Dir(name): want[0], name: want[1]} {
				fi, err := os.Stat(filepath.Join(dir, path))
				if err != nil {
					t.Fatal(err)
				}
				if fi.Mode().Perm() != want {
					t.Errorf("in a place of %o, %s has %o, not %o", mode, path, fi.Mode().Perm(), want)
				}
			}
			d.Close()
		}
	}
}

// TestOpenToRead: who looks at a place of somebody else, whom he trusts,
// reads all and changes nothing.
func TestOpenToRead(t *testing.T) {
	dir := t.TempDir()
	d, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	storetest.Put(t, d, "main/shop/a", []byte("bytes"))
	d.Close()
	if _, err := OpenToRead(dir, os.Geteuid()+1); fault.CodeOf(err) != fault.Refused {
		t.Errorf("a place of somebody who is not trusted: %v", err)
	}
	if d, err = OpenToRead(dir, os.Geteuid()); err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if got := string(storetest.Get(t, d, "main/shop/a")); got != "bytes" {
		t.Errorf("read %q", got)
	}
	if names := storetest.Names(t, d, ""); !slices.Equal(names, []string{"main/shop/a"}) {
		t.Errorf("listed %q", names)
	}
	if _, err := d.Create(t.Context(), "main/b"); fault.CodeOf(err) != fault.Refused {
		t.Errorf("create: %v", err)
	}
	if err := d.Remove(t.Context(), "main/shop/a"); fault.CodeOf(err) != fault.Refused {
		t.Errorf("remove: %v", err)
	}
	if names := storetest.Names(t, d, ""); len(names) != 1 {
		t.Errorf("after that: %q", names)
	}
}

func TestReadFolder(t *testing.T) {
	dir := t.TempDir()
	d, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	storetest.Put(t, d, "main/shop/a", []byte("bytes"))
	storetest.Put(t, d, "main/shop/big", make([]byte, 100))
	storetest.Put(t, d, "main/shop/grew", []byte("bytes"))
	storetest.Put(t, d, "main/secret", []byte("no"))
	err = errors.Join(os.Symlink("../secret", filepath.Join(dir, "main/shop/link")), os.Symlink("shop", filepath.Join(dir, "main/other")),
		syscall.Mkfifo(filepath.Join(dir, "main/shop/pipe"), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	var want []store.Info
	for name, size := range map[string]int64{"a": 5, "big": 99, "grew": 4, "none": 3, "link": 2, "../secret": 2, "pipe": 0, "": 1} {
		want = append(want, store.Info{Name: name, Size: size})
	}
	got, err := d.ReadFolder(t.Context(), "main/shop/", want)
	if err != nil || len(got) != 1 || string(got["a"]) != "bytes" {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := d.ReadFolder(t.Context(), "main/none/", want); err != nil || len(got) != 0 {
		t.Errorf("a folder that is not there: %q, %v", got, err)
	}
	if got, err := d.ReadFolder(t.Context(), "main/other/", want); err == nil {
		t.Errorf("through a link: %q", got)
	}
	s, err := store.WithFolder(t.Context(), d, "main/shop/", []store.Info{{Name: "a", Size: 5}, {Name: "big", Size: 100}}, 99)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"main/shop/a": 5, "main/shop/big": 100, "main/secret": 2} {
		if got := storetest.Get(t, s, name); len(got) != want {
			t.Errorf("%s: %d bytes", name, len(got))
		}
	}
	if _, err := store.ReadAll(t.Context(), s, "main/shop/a", 4); err == nil {
		t.Error("the limit does not hold for what was read before")
	}
}

func TestCapacity(t *testing.T) {
	d, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	free, total, err := d.Capacity(t.Context())
	if err != nil || free <= 0 || total < free {
		t.Errorf("%d of %d, %v", free, total, err)
	}
}
