package archive

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgvault/fault"
)

// TestSealText seals a text to a fresh identity of each kind, and opens it
// with that one only.
func TestSealText(t *testing.T) {
	for _, pq := range []bool{false, true} {
		id, err := MakeIdentity(pq)
		if err != nil {
			t.Fatal(err)
		}
		r, err := ParseRecipients([]byte("# mine\n"+id.Recipient+"\n"), "here")
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := SealText(r, "able baker charlie dog")
		if err != nil || !strings.HasPrefix(sealed, "-----BEGIN AGE ENCRYPTED FILE-----\n") || strings.Contains(sealed, "able") {
			t.Fatalf("%v\n%s", err, sealed)
		}
		path := filepath.Join(t.TempDir(), "key.txt")
		if err := id.Save(path); err != nil {
			t.Fatal(err)
		}
		if err := id.Save(path); !os.IsExist(err) {
			t.Errorf("saved over an existing file: %v", err)
		}
		if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%v %v", st, err)
		}
		keys, err := LoadKeys([]string{path}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := OpenText(keys, sealed); err != nil || got != "able baker charlie dog" {
			t.Errorf("%q, %v", got, err)
		}
		other := filepath.Join(t.TempDir(), "other.txt")
		if err := WriteNewIdentity(other); err != nil {
			t.Fatal(err)
		}
		stranger, err := LoadKeys([]string{other}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := OpenText(stranger, sealed); fault.CodeOf(err) != fault.NoKey {
			t.Errorf("a stranger: %v", err)
		}
		if _, err := OpenText(keys, sealed[:len(sealed)/2]); err == nil {
			t.Error("half a text was opened")
		}
		id.Wipe()
		if id.Secret() != "" || id.Save(filepath.Join(t.TempDir(), "late")) == nil {
			t.Error("the secret outlived its wiping")
		}
	}
}
