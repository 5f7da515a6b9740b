package archive

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"testing"

	"filippo.io/age"

	"pgvault/fault"
)

// TestEveryFlipIsFound flips one bit at a time: in each byte of age's header,
// around each chunk boundary, and at random. The part's name and exit code 5
// come from the check without a key and from decryption alike.
func TestEveryFlipIsFound(t *testing.T) {
	s := newBench(t).seal(t, nil, noise(t, 1000), noise(t, 150_000))
	for _, name := range []string{MainPart, GlobalsPart, ContentsPart} {
		src := readFile(t, s.file(name))
		header := headerLength(t, src)
		at := map[int]bool{len(src) - 1: true}
		for i := range header + 16 {
			at[i] = true
		}
		for k := header + 16; k < len(src); k += 65552 {
			for d := -1; d <= 1; d++ {
				if k+d < len(src) {
					at[k+d] = true
				}
			}
		}
		for range 60 {
			at[rand.IntN(len(src))] = true
		}
		for i := range at {
			bad := bytes.Clone(src)
			bad[i] ^= 1 << rand.IntN(8)
			writeFile(t, s.file(name), bad)
			s.wantDamage(t, name)
			if t.Failed() {
				t.Fatalf("%s, byte %d of %d (header %d)", name, i, len(src), header)
			}
		}
		writeFile(t, s.file(name), src)
	}
}

func headerLength(t testing.TB, src []byte) int {
	t.Helper()
	return len(must(age.ExtractHeader(bytes.NewReader(src)))(t))
}

// wantDamage checks that the archive opens and that the part is then refused
// in all ways to read it.
func (s *sealed) wantDamage(t *testing.T, name string) {
	t.Helper()
	o := must(s.open(t.Context()))(t)
	wantFault(t, "check", o.CheckPart(t.Context(), name, nil), fault.Differs, name, s.id)
	_, err := readPart(t.Context(), o, name, s.keys)
	wantFault(t, "part", err, fault.Differs, name, s.id)
	if name == ContentsPart {
		_, err = o.Contents(t.Context(), s.keys)
		wantFault(t, "contents", err, fault.Differs, name, s.id)
	}
}

// TestEveryLengthIsFound cuts each part short, at all places where a reader
// might stop by itself, and makes it longer.
func TestEveryLengthIsFound(t *testing.T) {
	s := newBench(t).seal(t, nil, noise(t, 1000), noise(t, 150_000))
	for _, name := range []string{MainPart, GlobalsPart, ContentsPart} {
		src := readFile(t, s.file(name))
		header := headerLength(t, src)
		lengths := []int{0, 1, header - 1, header, header + 1, len(src) / 2, len(src) - 1}
		for k := header + 16; k < len(src); k += 65552 {
			lengths = append(lengths, k-1, k, k+1)
		}
		for _, n := range lengths {
			writeFile(t, s.file(name), src[:n])
			s.wantDamage(t, name)
		}
		for _, tail := range [][]byte{{0}, src, must(zstdFrame([]byte("more")))(t)} {
			writeFile(t, s.file(name), append(bytes.Clone(src), tail...))
			s.wantDamage(t, name)
		}
		if err := os.Remove(s.file(name)); err != nil {
			t.Fatal(err)
		}
		s.wantDamage(t, name)
		writeFile(t, s.file(name), src)
	}
}

// TestMainAtRandomFindsDamage: random access reads only what is asked for and
// still refuses each chunk that is not as it was sealed.
func TestMainAtRandomFindsDamage(t *testing.T) {
	s := newBench(t).seal(t, nil, noise(t, 1000), noise(t, 400_000))
	src := readFile(t, s.file(MainPart))
	header := headerLength(t, src)
	for _, i := range []int{0, 30, header - 2, header, header + 16, header + 16 + 65552, header + 20 + 2*65552, len(src) - 1} {
		bad := bytes.Clone(src)
		bad[i] ^= 4
		writeFile(t, s.file(MainPart), bad)
		o := must(s.open(t.Context()))(t)
		m, err := o.Main(t.Context(), &s.contents, s.keys)
		if err == nil {
			err = readAll(m, s.contents.Tables[0])
		}
		if err == nil {
			_, err = m.TOC()
		}
		wantFault(t, "random access", err, fault.Differs, MainPart, s.id)
	}
}

func readAll(m *Main, t Table) error {
	r, err := m.Block(t.Offset, t.Length)
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = bytes.NewBuffer(nil).ReadFrom(r)
	return err
}

// TestManifestAndSignatureFlips: each byte of both, one bit at a time. An
// armored signature has bytes that say nothing (which end of line); a flip
// there may be accepted, and then the manifest is the one that was signed.
func TestManifestAndSignatureFlips(t *testing.T) {
	s := newBench(t).seal(t, nil, noise(t, 10), noise(t, 10))
	want := s.manifest
	for _, name := range []string{ManifestName, SignatureName} {
		src := readFile(t, s.file(name))
		accepted := 0
		for i := range src {
			bad := bytes.Clone(src)
			bad[i] ^= 1 << rand.IntN(8)
			writeFile(t, s.file(name), bad)
			o, err := s.open(t.Context())
			if err == nil && name == SignatureName && o.Manifest.Parts[0] == want.Parts[0] {
				accepted++
				continue
			}
			wantFault(t, name, err, fault.Differs, s.id)
		}
		for n := 0; n < len(src); n += 5 {
			writeFile(t, s.file(name), src[:n])
			if _, err := s.open(t.Context()); err == nil && (name == ManifestName || n < len(src)-2) {
				t.Errorf("%s cut to %d of %d bytes was accepted", name, n, len(src))
			}
		}
		if accepted > 8 {
			t.Errorf("%d of %d flips in %s passed", accepted, len(src), name)
		}
		writeFile(t, s.file(name), append(bytes.Clone(src), ' '))
		if _, err := s.open(t.Context()); err == nil && name == ManifestName {
			t.Error("a byte behind the manifest was accepted")
		}
		writeFile(t, s.file(name), src)
	}
	must(s.open(t.Context()))(t)
}

// TestForeign: unsigned, signed by a stranger, or of another archive, vault,
// database or namespace: ErrForeign. Changed after signing: damage.
func TestForeign(t *testing.T) {
	b := newBench(t)
	s, other := b.seal(t, nil, noise(t, 10), noise(t, 10)), b.seal(t, nil, noise(t, 10), noise(t, 10))
	manifest, sig := readFile(t, s.file(ManifestName)), readFile(t, s.file(SignatureName))
	stranger := newSigner(t)
	for name, c := range map[string]struct {
		foreign bool
		do      func()
	}{
		"unsigned":  {true, func() { _ = os.Remove(s.file(SignatureName)) }},
		"stranger":  {true, func() { writeFile(t, s.file(SignatureName), must(stranger.Sign(manifest, ManifestNamespace))(t)) }},
		"namespace": {false, func() { writeFile(t, s.file(SignatureName), must(s.signer.Sign(manifest, ProofNamespace))(t)) }},
		"changed": {false, func() {
			writeFile(t, s.file(ManifestName), bytes.Replace(manifest, []byte("15.18"), []byte("15.17"), 1))
		}},
		"replay": {true, func() {
			writeFile(t, s.file(ManifestName), readFile(t, other.file(ManifestName)))
			writeFile(t, s.file(SignatureName), readFile(t, other.file(SignatureName)))
		}},
		"vault":    {true, func() { s.resign(t, func(m *Manifest) { m.Vault = "00000000000000000000000000000000" }) }},
		"database": {true, func() { s.resign(t, func(m *Manifest) { m.Database = "billing" }) }},
	} {
		c.do()
		_, err := s.open(t.Context())
		wantFault(t, name, err, fault.Differs, s.id)
		if errors.Is(err, ErrForeign) != c.foreign {
			t.Errorf("%s: foreign is %t", name, !c.foreign)
		}
		writeFile(t, s.file(ManifestName), manifest)
		writeFile(t, s.file(SignatureName), sig)
		must(s.open(t.Context()))(t)
	}
}

// TestSwappedParts: a part of another archive, of the same length and sealed
// to the same recipients, is not this one's.
func TestSwappedParts(t *testing.T) {
	b := newBench(t)
	s, other := b.seal(t, nil, noise(t, 1000), noise(t, 1000)), b.seal(t, nil, noise(t, 1000), noise(t, 1000))
	for _, name := range []string{MainPart, GlobalsPart} {
		src, swapped := readFile(t, s.file(name)), readFile(t, other.file(name))
		if len(src) != len(swapped) {
			t.Fatalf("%s: %d and %d bytes", name, len(src), len(swapped))
		}
		writeFile(t, s.file(name), swapped)
		s.wantDamage(t, name)
		writeFile(t, s.file(name), src)
	}
	globals := readFile(t, s.file(GlobalsPart))
	writeFile(t, s.file(ContentsPart), globals)
	s.wantDamage(t, ContentsPart)
}

// TestSwapAfterCheck: a place that gives one file to the check and another to
// the restore. Whoever knows the recipients can make such a file; its first
// bytes tell it from the one that was signed.
func TestSwapAfterCheck(t *testing.T) {
	b := newBench(t)
	s := b.seal(t, nil, noise(t, 1000), noise(t, 1000))
	twin := b.seal(t, nil, s.dump[:1000], noise(t, 1000)) // the same TOC, other rows
	good, bad := readFile(t, s.file(MainPart)), readFile(t, twin.file(MainPart))
	for _, first := range [][]byte{good, bad} {
		o := must(s.open(t.Context()))(t)
		writeFile(t, s.file(MainPart), first)
		m := must(o.Main(t.Context(), &s.contents, b.keys))(t)
		must(m.TOC())(t)
		writeFile(t, s.file(MainPart), good)
		err := o.CheckPart(t.Context(), MainPart, nil)
		if bytes.Equal(first, good) {
			if err != nil {
				t.Errorf("unchanged: %v", err)
			}
			writeFile(t, s.file(MainPart), bad)
			_, err = o.Main(t.Context(), &s.contents, b.keys)
		}
		wantFault(t, "swapped", err, fault.Differs, MainPart, s.id)
	}
}
