package disk

import (
	"fmt"
	"testing"

	"pgvault/vault/store/storetest"
)

// BenchmarkWrite writes 256 MiB in pieces of 64 KiB, fsync and all.
func BenchmarkWrite(b *testing.B) {
	d, err := Init(b.TempDir() + "/p")
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	piece := storetest.Bytes(64<<10, 1)
	b.SetBytes(256 << 20)
	for i := range b.N {
		name := fmt.Sprint("main/", i)
		w, err := d.Create(b.Context(), name)
		if err != nil {
			b.Fatal(err)
		}
		for range 4096 {
			if _, err := w.Write(piece); err != nil {
				b.Fatal(err)
			}
		}
		if err := w.Commit(b.Context()); err != nil {
			b.Fatal(err)
		}
		if err := d.Remove(b.Context(), name); err != nil {
			b.Fatal(err)
		}
	}
}
