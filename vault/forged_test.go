package vault

import (
	"bytes"
	"fmt"
	"os"
	"testing"
	"time"

	"pgvault/vault/archive"
)

// TestListingFindsForged: signatures of many archives are checked together,
// and of all of them just the manifest and the proof that were changed do not
// count.
func TestListingFindsForged(t *testing.T) {
	w := newWorld(t)
	const n, forged, unproven = 40, 11, 23
	ids := make([]string, n)
	for i := range ids {
		ids[i] = w.fabricate(made{database: fmt.Sprint("db", i%4), at: noon.Add(-time.Duration(i) * time.Hour), seq: int64(n - i), proof: ProofReadable})
	}
	change := func(name, from, to string) {
		path := w.path("place") + "/" + name
		src, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(src, []byte(from)) {
			t.Fatalf("%s: %v", src, err)
		}
		if err := os.WriteFile(path, bytes.Replace(src, []byte(from), []byte(to), 1), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	folder := func(i int) string { return archive.Folder("main", fmt.Sprint("db", i%4), ids[i]) }
	change(folder(forged)+archive.ManifestName, `"rows": 6002`, `"rows": 6003`)
	infos, err := w.store().List(t.Context(), folder(unproven))
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range infos {
		if archive.IsProof(o.Name[len(folder(unproven)):]) {
			change(o.Name, `"tables_equal": 3`, `"tables_equal": 2`)
		}
	}
	for _, a := range w.fresh(w.vault()) {
		state, proof := "good", ProofReadable
		switch a.ID {
		case ids[forged]:
			state, proof = "damaged", ProofNone
		case ids[unproven]:
			proof = ProofStored
		}
		if a.State != state || a.Proof != proof {
			t.Errorf("%s is %s and %q (%s), not %s and %q", a.ID, a.State, a.Proof, a.Reason, state, proof)
		}
	}
}
