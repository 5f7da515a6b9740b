package archive

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"pgvault/fault"
)

// goodManifest is one that a reader takes.
func goodManifest() *Manifest {
	sum := strings.Repeat("ab", 32)
	return &Manifest{Format: 1, Vault: "00112233445566778899aabbccddeeff", ID: "20261122T213000Z-7f3a", Database: "shop", Sequence: 2, Previous: sum,
		Server: "15.18", DumpVersion: "15.18", Pgvault: "1", Started: testTime, Finished: testTime, Scope: "whole", Tables: 3, Rows: 10, Bytes: 1000,
		Tags: []string{"<tag>"}, Recipients: []Recipient{{Name: `"parts": null`, Kind: KindX25519, Fingerprint: "SHA256:x"}},
		Parts: []Part{{sum, 10, MainPart}, {sum, 20, ContentsPart}}}
}

// TestManifestText: what is written reads back equal, one part a line.
func TestManifestText(t *testing.T) {
	m := goodManifest()
	src := must(m.Encode())(t)
	back := must(ParseManifest(src))(t)
	if !reflect.DeepEqual(m, back) {
		t.Errorf("came back as %+v", back)
	}
	if n := strings.Count(string(src), "\n    {\"sha256\":\""); n != 2 || m.Stored() != 30 {
		t.Errorf("%d lines of parts in\n%s", n, src)
	}
	later := bytes.Replace(src, []byte(`"format": 1,`), []byte(`"format": 1, "later": {"a": [1, {"b": null}]},`), 1)
	if back := must(ParseManifest(later))(t); !reflect.DeepEqual(m, back) {
		t.Errorf("an unknown key changed what was read: %+v", back)
	}
}

// TestHostileManifests are signed by a trusted key, so that only the reader's
// own strictness stands between them and the rest.
func TestHostileManifests(t *testing.T) {
	good := string(must(goodManifest().Encode())(t))
	replace := func(old, new string) []byte {
		if strings.Count(good, old) == 0 {
			t.Fatalf("%q is not in the manifest", old)
		}
		return []byte(strings.Replace(good, old, new, 1))
	}
	many := goodManifest()
	for i := range 2000 {
		many.Parts = append(many.Parts, Part{many.Previous, 1, fmt.Sprintf("data-%d", i)})
	}
	twice := *goodManifest()
	twice.Parts = append(twice.Parts, twice.Parts[1])
	million := append([]byte(good[:len(good)-2]), `, "x": [`+strings.Repeat("{},", 1_000_000)+"{}]}"...)
	cases := map[string][]byte{
		"empty":            nil,
		"no object":        []byte("null"),
		"array":            []byte("[]"),
		"half":             []byte(good[:len(good)/2]),
		"two objects":      []byte(good + good),
		"tail":             []byte(good + "x"),
		"parent folder":    replace(MainPart, "../"+MainPart),
		"absolute":         replace(MainPart, "/etc/passwd"),
		"other folder":     replace(MainPart, "x/"+MainPart),
		"NUL":              replace(MainPart, `main\u0000.dump.zst.age`),
		"backslash":        replace(MainPart, `..\\main`),
		"case":             replace(MainPart, "MAIN.dump.zst.age"),
		"part twice":       replace(ContentsPart, MainPart),
		"contents twice":   must((&twice).Encode())(t),
		"no contents":      replace(ContentsPart, GlobalsPart),
		"no main":          replace(MainPart, GlobalsPart),
		"manifest as part": replace(MainPart, ManifestName),
		"no parts":         replace(`"parts": [`, `"parts": [], "more": [`),
		"null parts":       replace(`"parts": [`, `"parts": null, "more": [`),
		"key twice":        replace(`"rows": 10,`, `"rows": 10, "rows": 11,`),
		"key twice folded": replace(`"rows": 10,`, `"rows": 10, "Rows": 11,`),
		"long s":           replace(`"rows": 10,`, `"rows": 10, "row\u017f": 11,`),
		"deep key twice":   replace(`"size":10`, `"size":10,"size":11`),
		"size 2^63":        replace(`"size":10`, `"size":9223372036854775808`),
		"size 2^63-1":      replace(`"size":10`, `"size":9223372036854775807`),
		"size 0":           replace(`"size":10`, `"size":0`),
		"size -1":          replace(`"size":10`, `"size":-1`),
		"size 1.5":         replace(`"size":10`, `"size":1.5`),
		"size 1e99":        replace(`"size":10`, `"size":1e99`),
		"rows 2^63":        replace(`"rows": 10`, `"rows": 9223372036854775808`),
		"rows 2^62":        replace(`"rows": 10`, `"rows": 4611686018427387904`),
		"bytes -1":         replace(`"bytes": 1000`, `"bytes": -1`),
		"tables -1":        replace(`"tables": 3`, `"tables": -1`),
		"sequence 0":       replace(`"sequence": 2`, `"sequence": 0`),
		"sequence -5":      replace(`"sequence": 2`, `"sequence": -5`),
		"format 0":         replace(`"format": 1`, `"format": 0`),
		"format 2":         replace(`"format": 1`, `"format": 2`),
		"format text":      replace(`"format": 1`, `"format": "1"`),
		"id":               replace(`T213000Z-7f3a`, `T213000Z-../`),
		"id new line":      replace(`7f3a"`, `7f3a\n"`),
		"no database":      replace(`"database": "shop"`, `"database": ""`),
		"long database":    replace(`"database": "shop"`, `"database": "`+strings.Repeat("x", 253)+`"`),
		"NUL database":     replace(`"database": "shop"`, `"database": "sh\u0000p"`),
		"scope":            replace(`"whole"`, `"Whole"`),
		"previous":         replace(`"previous": "ab`, `"previous": "AB`),
		"sum upper case":   replace(`"sha256":"ab`, `"sha256":"AB`),
		"sum short":        replace(`"sha256":"ab`, `"sha256":"`),
		"time":             replace("2026-11-22T21:30:00Z", "yesterday"),
		"many parts":       must(many.Encode())(t),
		"a million":        million,
		"deep":             replace(`"rows": 10,`, `"rows": 10, "x": `+strings.Repeat("[", 33)+strings.Repeat("]", 33)+","),
		"very deep":        replace(`"rows": 10,`, `"rows": 10, "x": `+strings.Repeat(`{"a":`, 200_000)),
		"over 1 MiB":       []byte(good + strings.Repeat(" ", MaxManifest)),
	}
	for name, src := range cases {
		_, err := ParseManifest(src)
		wantFault(t, name, err, fault.Differs, ManifestName)
		if err != nil && len(err.Error()) > 500 {
			t.Errorf("%s: a message of %d bytes", name, len(err.Error()))
		}
	}
	s := newBench(t).seal(t, nil, noise(t, 10), noise(t, 10))
	for name, src := range cases {
		s.resignRaw(t, src)
		_, err := s.open(t.Context())
		wantFault(t, name, err, fault.Differs, ManifestName, s.id)
	}
}

// TestHugeObjects: a hundred megabytes where a manifest, a signature, a proof
// or a vault file should be is refused in little memory.
func TestHugeObjects(t *testing.T) {
	b := newBench(t)
	s := b.seal(t, nil, noise(t, 10), noise(t, 10))
	o := must(s.open(t.Context()))(t)
	huge := func(path string) {
		f := must(os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600))(t)
		if err := f.Truncate(100 << 20); err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
	}
	before := allocated()
	huge(s.file(SignatureName))
	_, err := s.open(t.Context())
	wantFault(t, "signature", err, fault.Differs, SignatureName, s.id)
	huge(s.file(ManifestName))
	_, err = s.open(t.Context())
	wantFault(t, "manifest", err, fault.Differs, ManifestName, s.id)
	huge(filepath.Join(b.path, testVault, VaultName))
	_, err = ReadVault(t.Context(), b.place, testVault)
	wantFault(t, "vault file", err, fault.Differs, VaultName)
	name := "proof-20261122T213000Z-0001.json"
	huge(s.file(name))
	if got := o.Proofs(t.Context(), s.trust, []string{o.folder + name}); len(got) != 0 {
		t.Errorf("proofs %v", got)
	}
	huge(s.file(ContentsPart))
	_, err = o.Contents(t.Context(), b.keys)
	wantFault(t, "contents", err, fault.Differs, ContentsPart)
	if used := allocated() - before; used > 32<<20 {
		t.Errorf("%d MiB were allocated for what is refused", used>>20)
	}
}

// allocated is how many bytes were ever allocated.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// TestSealRefuses: a writer never signs what a reader would refuse, nor a
// name that JSON would change.
func TestSealRefuses(t *testing.T) {
	b := newBench(t)
	for name, change := range map[string]func(m *Manifest){
		"not UTF-8": func(m *Manifest) { m.Database = "shop\xff" },
		"no parts":  func(m *Manifest) { m.Parts = nil },
		"other":     func(m *Manifest) { m.Parts[0].Name = "../x" },
		"too large": func(m *Manifest) { m.Tags = []string{strings.Repeat("x", MaxManifest)} },
	} {
		m := goodManifest()
		change(m)
		if err := Seal(t.Context(), b.place, "test/shop/x/", m, b.signer); err == nil {
			t.Errorf("%s was sealed", name)
		}
	}
	if got := must(b.place.List(t.Context(), "test/shop/"))(t); len(got) != 0 {
		t.Errorf("%v was written", got)
	}
}

func FuzzManifest(f *testing.F) {
	good := must(goodManifest().Encode())(f)
	f.Add(good)
	f.Add(bytes.Replace(good, []byte(`"rows": 10`), []byte(`"rows": 10, "ROWS": 9`), 1))
	f.Add([]byte(`{"format":1,"parts":[{"name":"../x"}]}`))
	f.Fuzz(func(t *testing.T, src []byte) {
		m, err := ParseManifest(src)
		if err != nil {
			wantFault(t, "refused", err, fault.Differs, ManifestName)
			return
		}
		if len(src) > MaxManifest || m.Format != Format || !ValidID(m.ID) || len(m.Parts) > 3 {
			t.Fatalf("accepted %+v", m)
		}
		for _, p := range m.Parts {
			if strings.ContainsAny(p.Name, "/\\\x00") || p.Size <= 0 || p.Size > 1<<50 || len(p.SHA256) != 64 {
				t.Fatalf("accepted the part %+v", p)
			}
		}
		again, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := ParseManifest(again)
		if err != nil && len(again) <= MaxManifest || err == nil && !sameJSON(m, back) {
			t.Fatalf("accepted, encoded, and then: %v\n%+v\n%+v", err, m, back)
		}
	})
}

// sameJSON compares what a reader of the JSON would see.
func sameJSON(a, b any) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && bytes.Equal(x, y)
}

func FuzzContents(f *testing.F) {
	sum := strings.Repeat("cd", 32)
	m := goodManifest()
	c := Contents{Format: 1, ID: m.ID, Catalog: json.RawMessage(`{"a":1}`), Excluded: []string{"x"},
		Dump:   DumpIndex{ArchiveVersion: "1.14.0", Length: m.Bytes, TOCLength: 100, TOCSHA256: sum, Frames: []Frame{{}, {100, 50}, {600, 300}}},
		Tables: []Table{{DumpID: 7, Schema: "public", Name: "t", Rows: 3, Bytes: 400, SHA256: sum, Offset: 100, Length: 500}},
		Large:  []LargeObjects{{DumpID: 8, Count: 1, Bytes: 3, SHA256: sum, Offset: 600, Length: 400}}}
	f.Add(must(json.Marshal(c))(f))
	f.Fuzz(func(t *testing.T, src []byte) {
		c, err := ParseContents(src, m)
		if err != nil {
			wantFault(t, "refused", err, fault.Differs, m.ID)
			return
		}
		d := c.Dump
		if c.ID != m.ID || d.Length != m.Bytes || d.TOCLength <= 0 || d.TOCLength > d.Length || d.Frames[0] != (Frame{}) {
			t.Fatalf("accepted %+v", c)
		}
		seen := map[int]bool{}
		for _, b := range c.Tables {
			if _, ok := d.frameAt(b.Offset); !ok || b.Offset < d.TOCLength || b.Offset+b.Length > d.Length || b.Length <= 0 || b.Bytes > b.Length || seen[b.DumpID] {
				t.Fatalf("accepted the table %+v", b)
			}
			seen[b.DumpID] = true
		}
		for _, b := range c.Large {
			if _, ok := d.frameAt(b.Offset); !ok || b.Offset+b.Length > d.Length || seen[b.DumpID] {
				t.Fatalf("accepted large objects %+v", b)
			}
			seen[b.DumpID] = true
		}
		again, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := ParseContents(again, m); err != nil || !sameJSON(c, back) {
			t.Fatalf("accepted, encoded, and then: %v\n%+v\n%+v", err, c, back)
		}
	})
}

// FuzzSignature: what a hostile place gives for a signature never panics and
// is never taken for one of the trusted key's.
func FuzzSignature(f *testing.F) {
	s := newSigner(f)
	trust := must(NewTrust([]string{s.Public()}))(f)
	f.Add(must(s.Sign([]byte("other"), ManifestNamespace))(f))
	f.Add(must(s.Sign([]byte("message"), ProofNamespace))(f))
	f.Add(must(newSigner(f).Sign([]byte("message"), ManifestNamespace))(f))
	f.Fuzz(func(t *testing.T, sig []byte) {
		if trust.Verify([]byte("message"), sig, ManifestNamespace) == nil {
			t.Fatalf("accepted %q", sig)
		}
	})
}
