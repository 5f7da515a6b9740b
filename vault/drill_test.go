package vault

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgvault/fault"
	"pgvault/vault/archive"
)

// TestDrill: each recipient's key opens all archives by some KiB of them,
// which every host then knows; a stranger's opens none, and a damaged header
// is no matter of the key.
func TestDrill(t *testing.T) {
	create(t, "origin", "")
	sql(t, "origin", "CREATE TABLE a AS SELECT i, sha256(i::text::bytea) AS s FROM generate_series(1, 20000) i")
	w := newWorld(t)
	id := w.backup(BackupOptions{Database: "origin"}).ok(t).done.ID
	w.backup(BackupOptions{Database: "origin"}).ok(t)
	d, err := w.vault().Drill(t.Context(), DrillOptions{Identities: w.ids})
	if err != nil || d.Opened != 2 || d.Recorded != "vault" || d.NotKept != "" || d.Bytes > 2*3*8<<10 || d.Bytes < 600 || !strings.HasPrefix(d.Archives[0].Key, "age1") {
		t.Fatalf("%+v, %v", d, err)
	}
	if list := w.list(); d.Archives[0].ID != list[0].ID || list[0].State != "good" || list[0].Proof != ProofReadable {
		t.Errorf("%+v", list[0])
	}
	other := w.conf
	other.StateDir = w.path("another host") // where drill.json is not
	h, err := New(other).Health(t.Context())
	if err != nil || h.KeyUsed == nil || h.KeyUsed.Before(d.At) {
		t.Errorf("another host: %+v, %v", h.KeyUsed, err)
	}
	activity, _, err := w.vault().Activity(t.Context(), 1)
	if err != nil || activity[0].Kind != "key" || activity[0].Result != "ok" || !strings.Contains(activity[0].Text, "2 of 2 archives opened by age1") {
		t.Errorf("%+v, %v", activity, err)
	}

	if err := archive.WriteNewIdentity(w.path("stranger")); err != nil {
		t.Fatal(err)
	}
	d, err = w.vault().Drill(t.Context(), DrillOptions{Databases: []string{"origin"}, Latest: 1, Identities: Identities{Files: []string{w.path("stranger")}}})
	if fault.CodeOf(err) != fault.NoKey || d.Closed != 1 || len(d.Archives) != 1 || d.Recorded != "" || !strings.Contains(err.Error(), d.Archives[0].ID) {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err = w.vault().Drill(t.Context(), DrillOptions{Databases: []string{"none"}, Identities: w.ids}); fault.CodeOf(err) != fault.Usage {
		t.Errorf("%v", err)
	}

	parts, err := filepath.Glob(filepath.Join(w.path("place"), "main", "*", id, "*.age"))
	if err != nil || len(parts) == 0 {
		t.Fatal(parts, err)
	}
	src, err := os.ReadFile(parts[0])
	if err != nil {
		t.Fatal(err)
	}
	src[0] ^= 1
	if err := os.WriteFile(parts[0], src, 0o600); err != nil {
		t.Fatal(err)
	}
	d, err = w.vault().Drill(t.Context(), DrillOptions{Identities: w.ids})
	if fault.CodeOf(err) != fault.Differs || d.Damaged != 1 || d.Opened != 1 || !strings.Contains(err.Error(), id) {
		t.Errorf("%+v, %v", d, err)
	}
}
