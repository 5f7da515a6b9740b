package archive

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"testing"
	"testing/iotest"

	"filippo.io/edwards25519"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	return must(hex.DecodeString(s))(t)
}

// known are test vectors: 1 to 3 of RFC 8032, 7.1, and number 65 of the list
// that came with Ed25519 itself; public key, message, signature.
var known = [][3]string{
	{"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
		"e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
	{"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
		"92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
	{"fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
		"6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"},
	{"ba8e2ad929bdcea538741042b57f2067d3153707a453770db9f3c4ca75504d24",
		"131d8f4c2c94b153565b86592e770c987a443461b39aa2408b29e213ab057affc598b583739d6603a83fef0afc514721db0e76f9bd1b72b98c565cc8881af5747c0ba6f58c53dd2377da6c0d3aa805620cc4e75d52aabcba1f9b2849e08bd1b6b92e6f06615b814519606a02dc65a8609f5b29e9c2af5a894f7116ef28cfd1e7b76b64061732f7a5a3f8aa4c2e569e627a3f9749aa597be49d6b94436c352dd5fa7b83c92d2610faa32095ca302152d91a3c9776750e758ee8e9e402c6f5385eaa5df23850e54beb1be437a416c7115ed6aa6de13b55482532787e0bee34b83f3084406765635497c931b62a0518f1fbc2b891dc7262c7c6b67eda594fa530d74c9329bad5be94c287fbcde53aa80272b83322613d9368e5904076fdbcc88b2c0e59c10b02c448e00d1b3e7a9c9640feffb9523a8a60e1d83f04a4b8df69153b",
		"7a9b736b01cc92a3349f1a3c32dbd91959825394ff443c567405e899c8185ce8fad9500e1fce89d95a6253c00477435acf04bff993de1b00495def0834ee1f07"},
}

// TestBatchVectors: signatures of several keys in one batch, and the batch
// fails for any one bit that is turned in key, message or signature.
func TestBatchVectors(t *testing.T) {
	fill := func(turn func(i int, key, message, sig []byte)) (b batch, all bool) {
		all = true
		for i, v := range known {
			key, message, sig := unhex(t, v[0]), unhex(t, v[1]), unhex(t, v[2])
			turn(i, key, message, sig)
			all = b.add(key, message, sig) && all
		}
		return b, all
	}
	b, all := fill(func(int, []byte, []byte, []byte) {})
	if !all || !b.good(0, b.len(), rand.Reader) || !b.good(1, 3, rand.Reader) {
		t.Fatal("the test vectors are refused")
	}
	if b.good(0, b.len(), iotest.ErrReader(errors.New("no randomness"))) {
		t.Error("good without randomness")
	}
	for bit := range 512 {
		for name, turn := range map[string]func(i int, key, message, sig []byte){
			"signature": func(i int, _, _, sig []byte) {
				if i == 2 {
					sig[bit/8] ^= 1 << (bit % 8)
				}
			},
			"key": func(i int, key, _, _ []byte) {
				if i == 2 {
					key[bit/8%32] ^= 1 << (bit % 8)
				}
			},
			"message": func(i int, _, message, _ []byte) {
				if i == 3 {
					message[bit/8] ^= 1 << (bit % 8)
				}
			},
		} {
			if b, all := fill(turn); all && b.good(0, b.len(), rand.Reader) {
				t.Fatalf("bit %d of the %s turned, and good", bit, name)
			}
		}
	}
}

// TestBatchSwaps: errors that would cancel out if all numbers were 1.
func TestBatchSwaps(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	one, two := ed25519.Sign(private, []byte("one")), ed25519.Sign(private, []byte("two"))
	mixed := func(r, s []byte) []byte { return append(append([]byte{}, r[:32]...), s[32:]...) }
	var b batch
	if !b.add(public, []byte("one"), mixed(one, two)) || !b.add(public, []byte("two"), mixed(two, one)) {
		t.Fatal("not taken")
	}
	if b.good(0, 2, rand.Reader) {
		t.Error("two halves that were swapped are good")
	}
}

// orderL is the group's order L, little-endian.
const orderL = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010"

// TestBatchForms: what has a second way of writing, or no secret, is not
// taken into a batch.
func TestBatchForms(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := ed25519.Sign(private, []byte("m"))
	point := func(y string, s []byte) []byte { return append(unhex(t, y), s...) }
	ff := "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
	for name, sig := range map[string][]byte{
		"short":        good[:63],
		"s is L":       append(append([]byte{}, good[:32]...), unhex(t, orderL)...),
		"R is p":       point("ed"+ff+"7f", good[32:]),
		"R is p+1":     point("ee"+ff+"7f", good[32:]),
		"R is 2^255-1": point("ff"+ff+"7f", good[32:]),
		"R is -1":      point("ec"+ff+"7f", good[32:]),
		"R is 1, sign": point("0100000000000000000000000000000000000000000000000000000000000080", good[32:]),
		"R off curve":  point("0200000000000000000000000000000000000000000000000000000000000000", good[32:]),
	} {
		var b batch
		if b.add(public, []byte("m"), sig) {
			t.Errorf("%s: taken", name)
		}
	}
	for _, small := range []string{
		"0000000000000000000000000000000000000000000000000000000000000000",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	} {
		var b batch
		if b.add(unhex(t, small), []byte("m"), good) {
			t.Errorf("the key %s of small order is taken", small)
		}
	}
}

// TestBatchCofactor: a signer who adds a point of small order to R is judged
// the same way every time, whatever the random numbers are.
func TestBatchCofactor(t *testing.T) {
	seed := sha512.Sum512([]byte("a signer who plays"))
	a := must(new(edwards25519.Scalar).SetBytesWithClamping(seed[:32]))(t)
	r := must(new(edwards25519.Scalar).SetUniformBytes(seed[:]))(t)
	public := new(edwards25519.Point).ScalarBaseMult(a).Bytes()
	small := must(new(edwards25519.Point).SetBytes(unhex(t, "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")))(t)
	big := new(edwards25519.Point).ScalarBaseMult(r)
	sig := big.Add(big, small).Bytes()
	h := sha512.Sum512(append(append(append([]byte{}, sig...), public...), 'm'))
	k := must(new(edwards25519.Scalar).SetUniformBytes(h[:]))(t)
	sig = append(sig, new(edwards25519.Scalar).MultiplyAdd(k, a, r).Bytes()...)
	if ed25519.Verify(public, []byte("m"), sig) {
		t.Fatal("the signature is an ordinary one")
	}
	var b batch
	if !b.add(public, []byte("m"), sig) {
		t.Fatal("not taken")
	}
	for range 64 {
		if !b.good(0, 1, rand.Reader) {
			t.Fatal("chance decides")
		}
	}
}

// TestKnowingFindsTheForged: among thousands of signed manifests a single
// forged one is found and named, and all others are known.
func TestKnowingFindsTheForged(t *testing.T) {
	s := newSigner(t)
	trust := must(NewTrust([]string{s.Public()}))(t)
	const n, forged = 3000, 1234
	list := make([]Signed, n)
	for i := range list {
		message := fmt.Appendf(nil, "manifest %d", i)
		list[i] = Signed{message, must(s.Sign(message, ManifestNamespace))(t), ManifestNamespace}
	}
	list[forged].Message = []byte("manifest 1234, with another database")
	knowing := trust.Knowing(list, rand.Reader)
	for i, l := range list {
		if err := knowing.Verify(l.Message, l.Sig, l.Namespace); (err != nil) != (i == forged) {
			t.Fatalf("signature %d: %v", i, err)
		}
		if i == forged && knowing.knows(l.Message, l.Sig, l.Namespace) {
			t.Fatal("the forged one is known")
		}
	}
	if missing := n - len(knowing.known); missing > 2*batchAtLeast {
		t.Errorf("%d signatures are left to be checked one by one", missing)
	}
}

// TestKnowingIsExact: a signature that is known counts for its own bytes and
// namespace only.
func TestKnowingIsExact(t *testing.T) {
	s, stranger := newSigner(t), newSigner(t)
	only := must(NewTrust([]string{`namespaces="pgvault-manifest@v1" ` + s.Public()}))(t)
	var list []Signed
	for i := range 8 {
		message := fmt.Appendf(nil, "m%d", i)
		list = append(list, Signed{message, must(s.Sign(message, ManifestNamespace))(t), ManifestNamespace},
			Signed{message, must(s.Sign(message, ProofNamespace))(t), ProofNamespace},
			Signed{message, must(stranger.Sign(message, ManifestNamespace))(t), ManifestNamespace})
	}
	k := only.Knowing(list, rand.Reader)
	if len(k.known) != 8 {
		t.Fatalf("%d are known, not the 8 of the key and its namespace", len(k.known))
	}
	m := list[0]
	if err := k.Verify(m.Message, m.Sig, ManifestNamespace); err != nil {
		t.Error(err)
	}
	for name, err := range map[string]error{
		"other bytes":     k.Verify([]byte("m1"), m.Sig, ManifestNamespace),
		"other namespace": k.Verify(m.Message, m.Sig, ProofNamespace),
		"not allowed":     k.Verify(list[1].Message, list[1].Sig, ProofNamespace),
	} {
		if err == nil {
			t.Errorf("%s: good", name)
		}
	}
	if err := k.Verify(list[2].Message, list[2].Sig, ManifestNamespace); !errors.Is(err, errStranger) {
		t.Errorf("a stranger's: %v", err)
	}
}

// TestPlainReadsWhatUnarmorReads: both ways of wrapping base64 lines, and
// each damaged byte of a signature is refused or leaves it as it was.
func TestPlainReadsWhatUnarmorReads(t *testing.T) {
	s := newSigner(t)
	trust := must(NewTrust([]string{s.Public()}))(t)
	message := []byte("manifest")
	sig := must(s.Sign(message, ManifestNamespace))(t)
	ok := func(sig []byte) bool {
		public, signed, raw, ok := trust.plain(Signed{message, sig, ManifestNamespace})
		return ok && ed25519.Verify(public, signed, raw)
	}
	lines := bytes.SplitAfter(sig, []byte("\n"))
	long := bytes.Join([][]byte{lines[0], bytes.ReplaceAll(bytes.Join(lines[1:len(lines)-2], nil), []byte("\n"), nil), []byte("\n"), lines[len(lines)-2]}, nil)
	if !ok(sig) || !ok(long) {
		t.Fatalf("refused:\n%s%s", sig, long)
	}
	for i := range sig {
		for _, c := range []byte{sig[i] ^ 1, '\n', '=', '-', 0} {
			bad := bytes.Clone(sig)
			bad[i] = c
			if ok(bad) && trust.Verify(message, bad, ManifestNamespace) != nil {
				t.Fatalf("byte %d as %q: good here only", i, c)
			}
		}
		if ok(sig[:i]) {
			t.Fatalf("good when cut at %d", i)
		}
	}
}

func BenchmarkKnowing(b *testing.B) {
	s := newSigner(b)
	trust := must(NewTrust([]string{s.Public()}))(b)
	for _, n := range []int{64, 256, 1024, 4096} {
		list := make([]Signed, n)
		for i := range list {
			message := bytes.Repeat(fmt.Appendf(nil, "manifest %d", i), 80)
			list[i] = Signed{message, must(s.Sign(message, ManifestNamespace))(b), ManifestNamespace}
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				if len(trust.Knowing(list, rand.Reader).known) != n {
					b.Fatal("not all are good")
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "µs/signature")
		})
	}
	b.Run("single", func(b *testing.B) {
		m := bytes.Repeat([]byte("manifest 1"), 80)
		sig := must(s.Sign(m, ManifestNamespace))(b)
		for b.Loop() {
			if err := trust.Verify(m, sig, ManifestNamespace); err != nil {
				b.Fatal(err)
			}
		}
	})
}
