package replicate

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgvault/vault/archive"
	"pgvault/vault/store"
	"pgvault/vault/store/disk"
)

const (
	testVault = "main"
	testDB    = "shop"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// TestMain lets the places lie in memory where it can: what a slow disk adds
// proves nothing here.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == childWord {
		os.Exit(child(os.Args[2]))
	}
	dir, err := os.MkdirTemp("/dev/shm", "pgvault-test-")
	if err == nil {
		os.Setenv("TMPDIR", dir)
	}
	code := m.Run()
	if err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// world is some places on disk, and who signs.
type world struct {
	t      testing.TB
	dir    string
	signer *archive.Signer
	trust  *archive.Trust
	vault  *archive.VaultFile
	count  int
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir()}
	key, err := archive.NewSigningKey(rand.Reader, "test")
	w.ok(err)
	w.ok(os.WriteFile(w.dir+"/key", key, 0o600))
	w.signer, err = archive.LoadSigner(w.dir + "/key")
	w.ok(err)
	w.trust, err = archive.NewTrust([]string{w.signer.Public()})
	w.ok(err)
	w.vault, err = archive.NewVault(testVault, noon, rand.Reader, w.signer)
	w.ok(err)
	return w
}

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// place makes a place; with vault it holds the vault file.
func (w *world) place(name string, vault bool) Place {
	w.t.Helper()
	d, err := disk.Init(filepath.Join(w.dir, name))
	w.ok(err)
	if vault {
		w.ok(w.vault.Write(w.t.Context(), d))
	}
	return Place{Name: name, Store: d}
}

// made is an archive: a signed manifest over parts of random bytes.
type made struct {
	id    string
	parts map[string][]byte
}

func (w *world) make(p Place, size int) made {
	w.t.Helper()
	w.count++
	m := w.build(size)
	w.write(p, m)
	return m
}

// build makes the bytes of an archive.
func (w *world) build(size int) made {
	m := made{id: fmt.Sprintf("20261122T%06dZ-%04x", w.count, w.count), parts: map[string][]byte{}}
	var seed [32]byte
	_, _ = rand.Read(seed[:])
	noise := mathrand.NewChaCha8(seed)
	for name, n := range map[string]int{archive.MainPart: size, archive.GlobalsPart: 100, archive.ContentsPart: 1000} {
		m.parts[name] = make([]byte, n)
		_, _ = noise.Read(m.parts[name])
	}
	return m
}

func (w *world) write(p Place, m made) { w.writeAs(p, m, func(*archive.Part) {}) }

// writeAs is write with parts that the manifest describes otherwise.
func (w *world) writeAs(p Place, m made, as func(*archive.Part)) {
	w.t.Helper()
	ctx, folder := w.t.Context(), archive.Folder(testVault, testDB, m.id)
	man := archive.Manifest{Format: archive.Format, Vault: w.vault.ID, ID: m.id, Database: testDB, Sequence: int64(w.count), Server: "15.18", DumpVersion: "15.18",
		Pgvault: "test", Started: noon, Finished: noon, Scope: "whole", Tables: 1, Rows: 1, Bytes: 1, Tags: []string{}, Recipients: []archive.Recipient{{Name: "duty", Kind: archive.KindX25519}}}
	for _, name := range []string{archive.MainPart, archive.GlobalsPart, archive.ContentsPart} {
		sum := sha256.Sum256(m.parts[name])
		man.Parts = append(man.Parts, archive.Part{Name: name, Size: int64(len(m.parts[name])), SHA256: hex.EncodeToString(sum[:])})
		as(&man.Parts[len(man.Parts)-1])
		w.ok(archive.Publish(ctx, p.Store, folder+name, m.parts[name]))
	}
	w.ok(archive.Seal(ctx, p.Store, folder, &man, w.signer))
}

func (w *world) task(m made, sources, targets []Place) Task {
	return Task{Vault: testVault, VaultID: w.vault.ID, Trust: w.trust, Database: testDB, ID: m.id, Sources: sources, Targets: targets}
}

func (w *world) open(p Place, m made) (*archive.Opened, error) {
	return archive.Open(w.t.Context(), p.Store, w.trust, w.vault.ID, testVault, testDB, m.id)
}

// whole fails the test unless the place holds every byte of the archive.
func (w *world) whole(p Place, m made) {
	w.t.Helper()
	o, err := w.open(p, m)
	w.ok(err)
	for name, want := range m.parts {
		w.ok(o.CheckPart(w.t.Context(), name, nil))
		have, err := store.ReadAll(w.t.Context(), p.Store, archive.Folder(testVault, testDB, m.id)+name, int64(len(want)))
		if err != nil || !bytes.Equal(have, want) {
			w.t.Errorf("%s in %s is another one: %v", name, p.Name, err)
		}
	}
}

// absent fails the test if the place lists the archive.
func (w *world) absent(p Place, m made) {
	w.t.Helper()
	for _, n := range w.names(p) {
		if strings.HasSuffix(n, m.id+"/"+archive.ManifestName) {
			w.t.Errorf("%s lists %s", p.Name, m.id)
		}
	}
}

func (w *world) names(p Place) []string {
	w.t.Helper()
	infos, err := p.Store.List(context.Background(), "")
	w.ok(err)
	var out []string
	for _, i := range infos {
		out = append(out, i.Name)
	}
	return out
}

// file is where an object of an archive lies on this host.
func (w *world) file(p Place, m made, object string) string {
	return filepath.Join(w.dir, p.Name, archive.Folder(testVault, testDB, m.id), object)
}

// leftovers names files that are no objects: what a writer was at when it
// was killed.
func (w *world) leftovers() (out []string, err error) {
	err = filepath.WalkDir(w.dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(d.Name(), store.TempPrefix) {
			out = append(out, path)
		}
		return err
	})
	return out, err
}

// spoil changes one byte of an object.
func (w *world) spoil(p Place, m made, object string) {
	w.t.Helper()
	path := w.file(p, m, object)
	w.ok(os.Chmod(path, 0o600))
	src, err := os.ReadFile(path)
	w.ok(err)
	src[len(src)/2] ^= 1
	w.ok(os.WriteFile(path, src, 0o600))
}

// fine fails the test unless every outcome is without an error.
func fine(t testing.TB, r Result) Result {
	t.Helper()
	for _, o := range r.Outcomes {
		if o.Err != nil {
			t.Fatalf("%s: %v", o.Place, o.Err)
		}
	}
	return r
}

// told gathers what a copy tells.
type told struct {
	mu          sync.Mutex
	notes       []string
	sent, there map[string]int64
	ended       []string
}

func (o *told) hear(t Task) Task {
	o.sent, o.there = map[string]int64{}, map[string]int64{}
	t.Passed = func(place string, sent, there int64) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.sent[place] += sent
		o.there[place] += there
	}
	t.Note = func(level, text string) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.notes = append(o.notes, level+": "+text)
	}
	t.Ended = func(which []Outcome) {
		o.mu.Lock()
		defer o.mu.Unlock()
		for _, w := range which {
			o.ended = append(o.ended, w.Place)
		}
	}
	return t
}

// check holds that what was told is what came out.
func (o *told) check(t testing.TB, r Result) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.ended) != len(r.Outcomes) || len(slices.Compact(slices.Sorted(slices.Values(o.ended)))) != len(r.Outcomes) {
		t.Errorf("told the end of %v", o.ended)
	}
	for _, out := range r.Outcomes {
		if o.sent[out.Place] != out.Sent || o.there[out.Place] != out.There {
			t.Errorf("%s: told %d and %d, came to %d and %d", out.Place, o.sent[out.Place], o.there[out.Place], out.Sent, out.There)
		}
	}
}
