package archive

import (
	"bytes"
	"compress/zlib"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"

	agetest "c2sp.org/CCTV/age"
	"filippo.io/age"

	"pgvault/fault"
)

// vector is one test vector of the age specification.
type vector struct {
	expect, payload string
	passphrase      []string
	ids             []age.Identity
	armored         bool
	file            []byte
}

// parseVector reads the header of a vector; a key that it does not know fails
// the test rather than being passed over.
func parseVector(t *testing.T, src []byte) (v vector) {
	t.Helper()
	head, file, _ := bytes.Cut(src, []byte("\n\n"))
	v.file = file
	for line := range strings.SplitSeq(string(head), "\n") {
		key, value, _ := strings.Cut(line, ": ")
		switch key {
		case "expect":
			v.expect = value
		case "payload":
			v.payload = value
		case "identity":
			if strings.HasPrefix(value, "AGE-SECRET-KEY-PQ-") {
				v.ids = append(v.ids, must(age.ParseHybridIdentity(value))(t))
				break
			}
			v.ids = append(v.ids, must(age.ParseX25519Identity(value))(t))
		case "passphrase":
			v.passphrase = append(v.passphrase, value)
			v.ids = append(v.ids, must(age.NewScryptIdentity(value))(t))
		case "armored":
			v.armored = value == "yes"
		case "compressed":
			v.file = must(io.ReadAll(must(zlib.NewReader(bytes.NewReader(file)))(t)))(t)
		case "comment", "file key":
		default:
			t.Fatalf("unknown key %q", key)
		}
	}
	if v.ids == nil { // its header fails whoever reads it
		v.ids = append(v.ids, must(age.GenerateX25519Identity())(t))
	}
	return v
}

// TestVectors runs all test vectors of the age specification through the
// functions that open parts and identity files.
func TestVectors(t *testing.T) {
	files := must(fs.ReadDir(agetest.Vectors, "."))(t)
	verdicts := map[string]int{}
	for _, f := range files {
		t.Run(f.Name(), func(t *testing.T) {
			v := parseVector(t, must(fs.ReadFile(agetest.Vectors, f.Name()))(t))
			verdicts[v.expect]++
			if v.armored {
				v.armoredFile(t)
				return
			}
			v.stream(t)
			v.random(t)
			if len(v.passphrase) == 1 && len(v.ids) == 1 {
				v.identityFile(t)
			}
		})
	}
	for _, verdict := range []string{"success", "no match", "HMAC failure", "header failure", "payload failure", "armor failure"} {
		if verdicts[verdict] == 0 {
			t.Errorf("no vector expects %q: %v", verdict, verdicts)
		}
	}
}

// verdict is the code that a vector's expectation has here.
func (v *vector) verdict() fault.Code {
	switch v.expect {
	case "success":
		return fault.OK
	case "no match":
		return fault.NoKey
	}
	return fault.Differs
}

// stream reads as PartReader does. All that was given before an error must be
// what the vector says.
func (v *vector) stream(t *testing.T) {
	r, err := unseal("x", bytes.NewReader(v.file), asNamed(v.ids))
	var got []byte
	if err == nil {
		if got, err = io.ReadAll(r); err != nil {
			err = (&Opened{Manifest: &Manifest{}}).readError("x", err)
			if v.expect != "payload failure" {
				t.Errorf("the payload failed, expected %s: %v", v.expect, err)
			}
		}
		v.wantPayload(t, got)
	}
	if code := fault.CodeOf(err); code != v.verdict() {
		t.Errorf("stream: code %d, expected %s: %v", code, v.expect, err)
	}
}

// random reads as Main does: the last chunk at once, the others when asked.
func (v *vector) random(t *testing.T) {
	r, size, err := unsealAt("x", bytes.NewReader(v.file), int64(len(v.file)), asNamed(v.ids))
	if err == nil {
		var got []byte
		if got, err = io.ReadAll(io.NewSectionReader(r, 0, size)); err == nil {
			v.wantPayload(t, got)
		} else {
			err = damaged("x", err.Error(), err)
		}
	}
	if code := fault.CodeOf(err); code != v.verdict() {
		t.Errorf("random access: code %d, expected %s: %v", code, v.expect, err)
	}
}

// armoredFile: identity files may be armored; parts may not.
func (v *vector) armoredFile(t *testing.T) {
	r, err := openFile(v.file, v.ids...)
	if err == nil {
		var got []byte
		if got, err = io.ReadAll(r); err == nil || v.payload != "" {
			v.wantPayload(t, got)
		}
	}
	if (err == nil) != (v.expect == "success") {
		t.Errorf("armored, expected %s: %v", v.expect, err)
	}
	if errors.Is(err, age.ErrIncorrectIdentity) != (v.expect == "no match") {
		t.Errorf("armored, expected %s: %v", v.expect, err)
	}
	_, err = unseal("x", bytes.NewReader(v.file), asNamed(v.ids))
	wantFault(t, "armored part", err, fault.Differs)
}

func (v *vector) identityFile(t *testing.T) {
	got, err := decryptIdentities(v.file, "key.age", func(string) (string, error) { return v.passphrase[0], nil })
	if (err == nil) != (v.expect == "success") {
		t.Errorf("identity file, expected %s: %v", v.expect, err)
	}
	if err == nil {
		v.wantPayload(t, got)
	}
}

func (v *vector) wantPayload(t *testing.T, got []byte) {
	t.Helper()
	sum := sha256.Sum256(got)
	if hex.EncodeToString(sum[:]) != v.payload {
		t.Errorf("%d bytes with SHA-256 %x, expected %s", len(got), sum, v.payload)
	}
}

// asNamed gives identities the form that unseal takes.
func asNamed(ids []age.Identity) []namedIdentity {
	out := make([]namedIdentity, len(ids))
	for i, id := range ids {
		out[i].Identity = id
	}
	return out
}
