package disk

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"pgvault/fault"
	"pgvault/vault/store"
	"pgvault/vault/store/storetest"
)

// TestUnfinished: what a killed writer left is named with its age, and can be
// taken away; a published object cannot, by no name.
func TestUnfinished(t *testing.T) {
	d := newDisk(t)
	storetest.Put(t, d, "main/db/part", []byte("x"))
	old := filepath.Join(d.path, "main", "db", store.TempPrefix+"abc")
	if err := os.WriteFile(old, make([]byte, 7), 0o600); err != nil {
		t.Fatal(err)
	}
	then := time.Now().Add(-48 * time.Hour).Truncate(time.Second)
	if err := os.Chtimes(old, then, then); err != nil {
		t.Fatal(err)
	}
	left, err := d.Unfinished(t.Context())
	if err != nil || len(left) != 1 || left[0].Size != 7 || !left[0].Started.Equal(then) || left[0].ID != "main/db/.partial-abc" {
		t.Fatalf("%+v, %v", left, err)
	}
	for _, id := range []string{"main/db/part", "main/db", "", ".partial-/x", "../.partial-x", "main/../.partial-x"} {
		if err := d.Discard(t.Context(), store.Upload{ID: id}); err == nil {
			t.Errorf("%q is discarded", id)
		}
	}
	look, err := OpenToRead(d.path, os.Geteuid())
	if err != nil {
		t.Fatal(err)
	}
	defer look.Close()
	wantCode(t, look.Discard(t.Context(), left[0]), fault.Refused)
	for range 2 { // it may have gone by itself meanwhile
		if err := d.Discard(t.Context(), left[0]); err != nil {
			t.Fatal(err)
		}
	}
	if left, err = d.Unfinished(t.Context()); err != nil || len(left) > 0 {
		t.Fatalf("%+v, %v", left, err)
	}
	storetest.Get(t, d, "main/db/part")
	if p, err := d.Promises(t.Context()); err != nil || p.Durable == "" || p.NoOverwrite == "" {
		t.Errorf("%+v, %v", p, err)
	}
}
