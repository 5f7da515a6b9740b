package disk

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestAppendEntries reads what the kernel writes of a real folder, and refuses
// it cut at any byte that is not between two names.
func TestAppendEntries(t *testing.T) {
	dir := t.TempDir()
	want := map[string]uint32{"a": 0, "a name that is longer": 0, "folder": unix.S_IFDIR}
	for name, kind := range want {
		var err error
		if at := filepath.Join(dir, name); kind == unix.S_IFDIR {
			err = os.Mkdir(at, 0o700)
		} else {
			err = os.WriteFile(at, nil, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var room [4 << 10]byte
	n, err := unix.ReadDirent(int(f.Fd()), room[:])
	if err != nil {
		t.Fatal(err)
	}
	whole := 0 // cuts that fall between two names, the end among them
	for cut := range n + 1 {
		got, err := appendEntries(nil, room[:cut])
		if err != nil {
			continue
		}
		whole++
		if cut < n {
			continue
		}
		for _, e := range got {
			if kind, ok := want[e.name]; !ok || kind != e.kind {
				t.Errorf("%+v", e)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%d entries", len(got))
		}
	}
	if names := len(want) + 2; whole != names+1 { // . and ..
		t.Errorf("%d of %d cuts are taken, want %d", whole, n+1, names+1)
	}
}
