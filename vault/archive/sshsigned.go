package archive

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"io"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"pgvault/vault/store"
)

// Signed is bytes with the detached signature that stands beside them.
type Signed struct {
	Message, Sig []byte
	Namespace    string
}

// batchAtLeast is how many signatures a batch has at least; fewer are as fast
// one by one.
const batchAtLeast = 4

// Knowing gives a Trust that has checked all of list at once, and to which
// Verify of one of them is a look-up. It believes what t believes: what is
// not good, and what no batch takes (keys that are not Ed25519, unusual
// forms), Verify looks at by itself and says why. The bytes in list are not
// to be changed afterwards. random must give numbers that cannot be foreseen.
func (t *Trust) Knowing(list []Signed, random io.Reader) *Trust {
	var b batch
	var taken []Signed
	for _, s := range list {
		if public, message, sig, ok := t.plain(s); ok && b.add(public, message, sig) {
			taken = append(taken, s)
		}
	}
	out := &Trust{keys: t.keys, known: make(map[string]Signed, len(taken))}
	out.learn(&b, taken, 0, len(taken), random)
	return out
}

// SignedIn gives what Open and Proofs would check of an archive: the manifest
// and the proofs among names (whole names) in folder, with their signatures.
// What is missing or cannot be read is left out; Open and Proofs tell why.
func SignedIn(ctx context.Context, place store.Store, folder string, names []string) []Signed {
	var out []Signed
	add := func(name, sigName, namespace string, max int64) {
		message, err := store.ReadAll(ctx, place, name, max)
		if err != nil {
			return
		}
		if sig, err := store.ReadAll(ctx, place, sigName, maxSignature); err == nil {
			out = append(out, Signed{message, sig, namespace})
		}
	}
	add(folder+ManifestName, folder+SignatureName, ManifestNamespace, MaxManifest)
	for _, n := range names {
		if base, ok := strings.CutPrefix(n, folder); ok && IsProof(base) {
			add(n, n+".sig", ProofNamespace, maxProof)
		}
	}
	return out
}

// learn keeps those that are good of taken[from:to]. One bad signature is
// found by halves, and left out with its neighbours.
func (t *Trust) learn(b *batch, taken []Signed, from, to int, random io.Reader) {
	switch {
	case to-from < batchAtLeast:
	case b.good(from, to, random):
		for _, s := range taken[from:to] {
			t.known[string(s.Sig)] = s
		}
	default:
		middle := (from + to) / 2
		t.learn(b, taken, from, middle, random)
		t.learn(b, taken, middle, to, random)
	}
}

// knows tells whether this very signature of these very bytes was found good.
func (t *Trust) knows(message, sig []byte, namespace string) bool {
	s, ok := t.known[string(sig)]
	return ok && s.Namespace == namespace && bytes.Equal(s.Message, message)
}

// plain reads an armored SSH signature in the form that pgvault and
// ssh-keygen write: Ed25519, SHA-512, by a key that is trusted for the
// namespace. It gives the key, the bytes that were signed in fact, and the
// signature over them. Not ok says nothing of whether it is good.
func (t *Trust) plain(s Signed) (public ed25519.PublicKey, message, sig []byte, ok bool) {
	blob, ok := unarmorPlain(s.Sig)
	if !ok {
		return nil, nil, nil, false
	}
	f := fields(blob)
	if !f.is("SSHSIG\x00\x00\x00\x01") { // magic and version
		return nil, nil, nil, false
	}
	keyBlob, namespace, reserved, hash, signature := f.next(), f.next(), f.next(), f.next(), f.next()
	if len(f) != 0 || string(namespace) != s.Namespace || len(reserved) != 0 || string(hash) != "sha512" {
		return nil, nil, nil, false
	}
	if public = t.ed25519Key(keyBlob, s.Namespace); public == nil {
		return nil, nil, nil, false
	}
	f = signature
	kind, sig := f.next(), f.next()
	if len(f) != 0 || string(kind) != ssh.KeyAlgoED25519 || len(sig) != ed25519.SignatureSize {
		return nil, nil, nil, false
	}
	digest := sha512.Sum512(s.Message)
	message = append(make([]byte, 0, 160), "SSHSIG"...)
	for _, part := range [][]byte{namespace, nil, hash, digest[:]} {
		message = append(binary.BigEndian.AppendUint32(message, uint32(len(part))), part...)
	}
	return public, message, sig, true
}

// ed25519Key gives the trusted Ed25519 key with this encoding, nil if there is
// none that may sign in the namespace.
func (t *Trust) ed25519Key(blob []byte, namespace string) ed25519.PublicKey {
	for _, k := range t.keys {
		if k.ed25519 != nil && bytes.Equal(k.blob, blob) && (k.namespaces == nil || slices.Contains(k.namespaces, namespace)) {
			return k.ed25519
		}
	}
	return nil
}

// fields is a row of SSH strings: a length in four bytes, big-endian, and
// that many bytes.
type fields []byte

// next takes the first string off; nil, with nothing left over but a byte
// that makes the whole wrong, where there is none.
func (f *fields) next() fields {
	b := *f
	if len(b) < 4 || uint64(binary.BigEndian.Uint32(b)) > uint64(len(b)-4) {
		*f = fields{0}
		return nil
	}
	end := 4 + int(binary.BigEndian.Uint32(b))
	*f = b[end:]
	return b[4:end:end]
}

// is takes a prefix off, and tells whether it was there.
func (f *fields) is(prefix string) bool {
	rest, ok := bytes.CutPrefix(*f, []byte(prefix))
	*f = rest
	return ok
}

// unarmorPlain takes the armor off where it is just three things: the first
// line, lines of base64, the last line.
func unarmorPlain(armored []byte) ([]byte, bool) {
	const begin, end = "-----BEGIN SSH SIGNATURE-----\n", "\n-----END SSH SIGNATURE-----\n"
	body, ok := bytes.CutPrefix(armored, []byte(begin))
	if !ok || len(armored) > maxSignature {
		return nil, false
	}
	if body, ok = bytes.CutSuffix(body, []byte(end)); !ok || bytes.IndexByte(body, '-') >= 0 {
		return nil, false
	}
	blob := make([]byte, base64.StdEncoding.DecodedLen(len(body)))
	n, err := strictBase64.Decode(blob, body)
	return blob[:n], err == nil
}

var strictBase64 = base64.StdEncoding.Strict()
