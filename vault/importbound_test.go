package vault

import (
	"bytes"
	"compress/gzip"
	"os"
	"testing"

	"pgvault/fault"
)

// TestImportBomb: what unpacks to more than there is room for is given up
// when that is plain, and what is cut is told.
func TestImportBomb(t *testing.T) {
	w := newWorld(t)
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	zeros := bytes.Repeat([]byte("SELECT 1;\n"), 100_000)
	for range 64 {
		if _, err := z.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	w.write("bomb.sql.gz", b.String())
	in := &inspector{v: w.vault(), o: ImportOptions{RunSQL: true, At: importDay}, free: 1 << 20, now: importDay.AddDate(1, 0, 0)}
	f := in.inspect(t.Context(), importPath{path: w.path("bomb.sql.gz"), name: "bomb.sql.gz", named: true})
	if f.State != ImportRefused || f.code != fault.NoSpace || f.Plain > 4<<20 {
		t.Errorf("%+v", f)
	}
	for name, cut := range map[string]string{"cut.gz": b.String()[:b.Len()-7], "more.gz": b.String() + "more"} {
		w.write(name, cut)
		in.free = -1
		if f := in.inspect(t.Context(), importPath{path: w.path(name), name: name, named: true}); f.State != ImportRefused || f.code != fault.Differs {
			t.Errorf("%s: %+v", name, f)
		}
	}
	if err := os.Symlink("/dev/zero", w.path("zero")); err != nil {
		t.Fatal(err)
	}
	if f := in.inspect(t.Context(), importPath{path: w.path("zero"), name: "zero", named: true}); f.State != ImportRefused {
		t.Errorf("/dev/zero: %+v", f)
	}
}
