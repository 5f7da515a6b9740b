package disk

import (
	"context"
	"testing"

	"pgvault/vault/store"
	"pgvault/vault/store/storetest"
)

// modes are the three ways to publish; the last two are what other file
// systems than this one need.
var modes = map[string]func(*Disk){
	"unnamed file":    func(*Disk) {},
	"rename":          func(d *Disk) { d.noTmpfile = true },
	"link and unlink": func(d *Disk) { d.noTmpfile, d.noRename = true, true },
}

// newDisk gives an empty place on the real disk.
func newDisk(t *testing.T) *Disk {
	t.Helper()
	d, err := Init("file:" + t.TempDir() + "/place")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func TestContract(t *testing.T) {
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) store.Store {
				d := newDisk(t)
				mode(d)
				t.Cleanup(func() {
					if left, err := d.Leftovers(context.Background(), ""); err != nil || len(left) > 0 {
						t.Errorf("temporary files are left: %v %v", left, err)
					}
				})
				return d
			})
		})
	}
}
