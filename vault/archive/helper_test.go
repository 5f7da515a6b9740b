package archive

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"pgvault/fault"
	"pgvault/vault/store/disk"
)

const (
	testVault = "test"
	testDB    = "shop"
)

var testTime = time.Date(2026, 11, 22, 21, 30, 0, 0, time.UTC)

// bench is a place with one vault in it, its signer, and one X25519 key pair
// beside a second recipient whose identity nobody has.
type bench struct {
	place  *disk.Disk
	path   string
	vault  *VaultFile
	signer *Signer
	trust  *Trust
	to     *Recipients
	keys   *Keys
}

func must[T any](v T, err error) func(t testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func newSigner(t testing.TB) *Signer {
	t.Helper()
	path := filepath.Join(t.TempDir(), "signing.key")
	writeFile(t, path, must(NewSigningKey(rand.Reader, "test"))(t))
	return must(LoadSigner(path))(t)
}

func newBench(t testing.TB) *bench {
	t.Helper()
	path := filepath.Join(t.TempDir(), "place")
	b := &bench{path: path, place: must(disk.Init(path))(t), signer: newSigner(t)}
	b.trust = must(NewTrust([]string{b.signer.Public()}))(t)
	b.vault = must(NewVault(testVault, testTime, rand.Reader, b.signer))(t)
	if err := b.vault.Write(t.Context(), b.place); err != nil {
		t.Fatal(err)
	}
	id := must(age.GenerateX25519Identity())(t)
	other := must(age.GenerateX25519Identity())(t)
	b.to = must(ParseRecipients([]byte("# duty\n"+id.Recipient().String()+"\n# safe\n"+other.Recipient().String()+"\n"), "recipients.txt"))(t)
	b.keys = loadKey(t, id.String())
	return b
}

// loadKey goes the way of a key file, as a user's does.
func loadKey(t testing.TB, identity string) *Keys {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key.txt")
	writeFile(t, path, []byte("# a comment\n"+identity+"\n"))
	return must(LoadKeys([]string{path}, nil))(t)
}

func writeFile(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	return must(os.ReadFile(path))(t)
}

// sealed is one archive as it was made.
type sealed struct {
	*bench
	id       string
	dump     []byte
	contents Contents
	manifest Manifest
	folder   string // on this file system
}

func (s *sealed) file(name string) string { return filepath.Join(s.folder, name) }

func (s *sealed) open(ctx context.Context) (*Opened, error) {
	return Open(ctx, s.place, s.trust, s.vault.ID, testVault, testDB, s.id)
}

// seal makes an archive: a table of contents of tocLen bytes and one data
// block for each of blocks.
func (b *bench) seal(t testing.TB, once *OneTime, toc []byte, blocks ...[]byte) *sealed {
	t.Helper()
	s := &sealed{bench: b, id: must(NewID(testTime, rand.Reader))(t)}
	s.folder = filepath.Join(b.path, testVault, testDB, s.id)
	c, m := &s.contents, &s.manifest
	c.Format, c.ID, c.Catalog = Format, s.id, json.RawMessage(`{"server":{"version":"15.18"}}`)
	sealer := NewSealer(b.place, Folder(testVault, testDB, s.id), b.to, once)
	w := must(sealer.Part(t.Context(), MainPart))(t)
	write := func(p []byte) {
		if n, err := w.Write(p); err != nil || n != len(p) {
			t.Fatal(n, err)
		}
		s.dump = append(s.dump, p...)
	}
	write(toc)
	c.Dump = DumpIndex{ArchiveVersion: "1.14.0", TOCLength: int64(len(toc)), TOCSHA256: hexSum(toc)}
	for i, blk := range blocks {
		if err := w.Cut(); err != nil {
			t.Fatal(err)
		}
		c.Tables = append(c.Tables, Table{DumpID: 100 + i, Schema: "public", Name: fmt.Sprintf("t%d", i), Rows: 1, Bytes: int64(len(blk)),
			SHA256: hexSum(blk), Offset: int64(len(s.dump)), Length: int64(len(blk))})
		write(blk)
	}
	main := must(w.Close(t.Context()))(t)
	c.Dump.Frames, c.Dump.Length = w.Frames(), int64(len(s.dump))
	globals := writePart(t, sealer, GlobalsPart, []byte("CREATE ROLE shop;\n"))
	contents := writePart(t, sealer, ContentsPart, must(json.Marshal(c))(t))
	*m = Manifest{Format: Format, Vault: b.vault.ID, ID: s.id, Database: testDB, Sequence: 1, Server: "15.18", DumpVersion: "15.18", Pgvault: "test",
		Started: testTime, Finished: testTime, Scope: "whole", Tables: len(c.Tables), Rows: int64(len(c.Tables)), Bytes: c.Dump.Length,
		Tags: []string{}, Recipients: b.to.Public, Parts: []Part{main, globals, contents}}
	if err := Seal(t.Context(), b.place, Folder(testVault, testDB, s.id), m, b.signer); err != nil {
		t.Fatal(err)
	}
	return s
}

func writePart(t testing.TB, s *Sealer, name string, data []byte) Part {
	t.Helper()
	w := must(s.Part(t.Context(), name))(t)
	must(w.Write(data))(t)
	return must(w.Close(t.Context()))(t)
}

// resign signs the manifest anew after change has been at it.
func (s *sealed) resign(t testing.TB, change func(m *Manifest)) {
	t.Helper()
	m := s.manifest
	m.Parts = append([]Part(nil), m.Parts...)
	change(&m)
	s.resignRaw(t, must(m.Encode())(t))
}

func (s *sealed) resignRaw(t testing.TB, src []byte) {
	t.Helper()
	writeFile(t, s.file(ManifestName), src)
	writeFile(t, s.file(SignatureName), must(s.signer.Sign(src, ManifestNamespace))(t))
}

func hexSum(p []byte) string {
	sum := sha256.Sum256(p)
	return hex.EncodeToString(sum[:])
}

// noise is data that does not compress.
func noise(t testing.TB, n int) []byte {
	t.Helper()
	p := make([]byte, n)
	must(io.ReadFull(rand.Reader, p))(t)
	return p
}

// readPart decrypts a part to its end.
func readPart(ctx context.Context, o *Opened, name string, keys *Keys) ([]byte, error) {
	r, err := o.Part(ctx, name, keys)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// wantFault checks an error's code and that it says each of words.
func wantFault(t testing.TB, what string, err error, code fault.Code, words ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error", what)
		return
	}
	f := fault.As(err)
	text := strings.Join([]string{f.What, f.Why, f.Left, f.Do}, "\n")
	if f.Code != code || f.What == "" || f.Left == "" || f.Do == "" {
		t.Errorf("%s: code %d, want %d, of: %s", what, f.Code, code, text)
	}
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%s: %q is not said in: %s", what, w, text)
		}
	}
}

func sameBytes(t testing.TB, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("%s: %d bytes with SHA-256 %.12s…, want %d with %.12s…", what, len(got), hexSum(got), len(want), hexSum(want))
	}
}
