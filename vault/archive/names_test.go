package archive

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgvault/fault"
	"pgvault/vault/store"
)

func TestEncodeName(t *testing.T) {
	for name, want := range map[string]string{
		"shop":              "shop",
		"Shop_1-a":          "Shop_1-a",
		"host=evil port=1":  "host%3Devil%20port%3D1",
		"../../etc":         "%2E%2E%2F%2E%2E%2Fetc",
		"..":                "%2E%2E",
		"bücher":            "b%C3%BCcher",
		"100%":              "100%25",
		"a\x00\n\xff":       "a%00%0A%FF",
		"vault.json":        "vault%2Ejson",
		"postgresql://evil": "postgresql%3A%2F%2Fevil",
	} {
		got := EncodeName(name)
		if got != want {
			t.Errorf("EncodeName(%q) = %q, want %q", name, got, want)
		}
		if back, err := DecodeName(got); err != nil || back != name {
			t.Errorf("DecodeName(%q) = %q, %v", got, back, err)
		}
	}
	for _, folder := range []string{"", "%", "%2", "%2e", "%41", "%zz", "a b", "a/b", "..", "shop%", "ü"} {
		if got, err := DecodeName(folder); err == nil {
			t.Errorf("DecodeName(%q) = %q", folder, got)
		}
	}
	longest := strings.Repeat("\xff", 63) // PostgreSQL's longest name
	if err := store.ValidName(Folder("v", longest, "20261122T213000Z-7f3a") + MainPart); err != nil {
		t.Error(err)
	}
}

func FuzzName(f *testing.F) {
	f.Add("host=evil")
	f.Add("%2E")
	f.Fuzz(func(t *testing.T, s string) {
		folder := EncodeName(s)
		if s != "" {
			if back, err := DecodeName(folder); err != nil || back != s {
				t.Fatalf("%q became %q and then %q, %v", s, folder, back, err)
			}
			if strings.ContainsAny(folder, "/\\. \x00") {
				t.Fatalf("%q became %q", s, folder)
			}
		}
		if back, err := DecodeName(s); err == nil && EncodeName(back) != s {
			t.Fatalf("%q is taken for %q, which is %q", s, back, EncodeName(back))
		}
	})
}

func TestNewID(t *testing.T) {
	zone := time.FixedZone("x", 5*3600)
	id, err := NewID(time.Date(2026, 11, 23, 2, 30, 5, 999, zone), bytes.NewReader([]byte{0x7f, 0x3a}))
	if err != nil || id != "20261122T213005Z-7f3a" || !ValidID(id) {
		t.Errorf("%q, %v", id, err)
	}
	if _, err := NewID(testTime, bytes.NewReader(nil)); err == nil {
		t.Error("an id without randomness")
	}
	for _, s := range []string{"", "20261122T213005Z-7F3A", "20261122T213005Z-7f3a\n", "x20261122T213005Z-7f3a", "20261122T213005Z-7f3a/", "..", "20261122T213005-7f3a"} {
		if ValidID(s) {
			t.Errorf("%q is no id", s)
		}
	}
	for name, want := range map[string]bool{"proof-20261122T213005Z-7f3a.json": true, "proof-20261122T213005Z-7f3a.json.sig": false,
		"told-20261122T213005Z-7f3a.json": true, "told-20261122T213005Z-7f3a.json.sig": false, "told-x.json": false, "proof-.json": false, "manifest.json": false, "proof-20261122T213005Zx7f3a.json": false} {
		if IsProof(name) != want {
			t.Errorf("IsProof(%q) is %t", name, !want)
		}
	}
}

// TestVaultFile: written once, read back, and refused when it is not what it
// should be.
func TestVaultFile(t *testing.T) {
	b := newBench(t)
	back := must(ReadVault(t.Context(), b.place, testVault))(t)
	if back.ID != b.vault.ID || len(back.ID) != 32 || !back.Created.Equal(testTime) || len(back.Signers) != 1 || back.Signers[0] != b.signer.Public() {
		t.Errorf("came back as %+v", back)
	}
	if err := b.vault.Write(t.Context(), b.place); !errors.Is(err, store.ErrExist) {
		t.Errorf("a second vault file: %v", err)
	}
	_, err := ReadVault(t.Context(), b.place, "other")
	wantFault(t, "no vault", err, fault.NoVault, VaultName)
	path := filepath.Join(b.path, testVault, VaultName)
	good := string(readFile(t, path))
	for name, src := range map[string]string{
		"empty":     "",
		"cut":       good[:20],
		"twice":     strings.Replace(good, `"format": 1`, `"format": 1, "format": 1`, 1),
		"format":    strings.Replace(good, `"format": 1`, `"format": 2`, 1),
		"name":      strings.Replace(good, `"test"`, `"other"`, 1),
		"id":        strings.Replace(good, back.ID, "../..", 1),
		"short id":  strings.Replace(good, back.ID, back.ID[:30], 1),
		"two files": good + good,
	} {
		writeFile(t, path, []byte(src))
		_, err := ReadVault(t.Context(), b.place, testVault)
		wantFault(t, name, err, fault.Differs, testVault)
	}
}

// TestProofs: signed ones about this manifest count; all others are passed
// over, and nothing that was written is ever changed.
func TestProofs(t *testing.T) {
	b := newBench(t)
	s := b.seal(t, nil, noise(t, 10), noise(t, 10))
	other := must(b.seal(t, nil, noise(t, 10), noise(t, 10)).open(t.Context()))(t)
	o := must(s.open(t.Context()))(t)
	random := bytes.NewReader([]byte{0, 1, 0, 2, 0, 3, 0, 4, 0, 1})
	add := func(o *Opened, level string, signer *Signer) error {
		return o.AddProof(t.Context(), ProofFile{At: testTime, Level: level, Result: "ok", By: "root@db1", Tables: 1, Equal: 1}, signer, random)
	}
	for _, err := range []error{add(o, "intact", b.signer), add(o, "readable", b.signer), add(o, "restored", newSigner(t)), add(other, "restored", b.signer)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := add(o, "restored", b.signer); !errors.Is(err, store.ErrExist) {
		t.Errorf("a proof was written over another: %v", err)
	}
	// A proof of another archive does not count in this one's folder.
	for _, end := range []string{".json", ".json.sig"} {
		name := "proof-20261122T213000Z-0004" + end
		writeFile(t, s.file(name), readFile(t, filepath.Join(b.path, other.folder, name)))
	}
	// Nor one that was changed, or that has lost its signature.
	first := readFile(t, s.file("proof-20261122T213000Z-0001.json"))
	writeFile(t, s.file("proof-20261122T213000Z-0005.json"), bytes.Replace(first, []byte("intact"), []byte("restored"), 1))
	writeFile(t, s.file("proof-20261122T213000Z-0005.json.sig"), readFile(t, s.file("proof-20261122T213000Z-0001.json.sig")))
	writeFile(t, s.file("proof-20261122T213000Z-0006.json"), first)
	var levels []string
	for _, p := range o.Proofs(t.Context(), s.trust, b.names(t)) {
		levels = append(levels, p.Level)
		if p.Archive != s.id || p.Manifest != o.Digest || !p.At.Equal(testTime) {
			t.Errorf("proof %+v", p)
		}
	}
	if strings.Join(levels, " ") != "intact readable" {
		t.Errorf("the proofs that count are %q", levels)
	}
}

// names lists all objects of the place.
func (b *bench) names(t testing.TB) []string {
	t.Helper()
	var names []string
	for _, i := range must(b.place.List(context.Background(), ""))(t) {
		names = append(names, i.Name)
	}
	return names
}

// TestModes: all that was written belongs to its owner alone.
func TestModes(t *testing.T) {
	b := newBench(t)
	b.seal(t, nil, noise(t, 10), noise(t, 10))
	err := filepath.WalkDir(b.path, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		st := must(os.Stat(path))(t)
		if st.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, st.Mode())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
