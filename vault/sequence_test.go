package vault

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgvault/fault"
	"pgvault/vault/archive"
	"pgvault/vault/store"
)

// host is a Vault of its own on the world's places, as another machine has.
func (w *world) host(name string) *Vault {
	conf := w.conf
	conf.StateDir = w.path("state-" + name)
	return New(conf)
}

// sealOne seals an archive of a few bytes as a backup does, from the look at
// what was before to the manifest.
func sealOne(ctx context.Context, v *Vault, database string) (*archive.Manifest, error) {
	id, err := archive.NewID(time.Now(), rand.Reader)
	if err != nil {
		return nil, err
	}
	b := &backup{v: v, o: BackupOptions{Database: database}, id: id, conf: v.c.Of(database)}
	b.run = newRun(nil, v.now, RunStarted{Kind: KindBackup, ID: id, Database: database})
	if err := b.openKeys(ctx); err != nil {
		return nil, err
	}
	if err := b.preflight(ctx); err != nil {
		return nil, err
	}
	b.manifest = archive.Manifest{Format: archive.Format, Vault: b.vf.ID, ID: id, Database: database, Server: "15.18", DumpVersion: "15.18", Pgvault: "test",
		Started: v.now().UTC(), Finished: v.now().UTC(), Scope: "whole", Tables: 3, Tags: []string{}, Recipients: b.to.Public}
	for _, name := range []string{archive.MainPart, archive.ContentsPart} {
		data := []byte(name + " of " + id)
		sum := sha256.Sum256(data)
		b.manifest.Parts = append(b.manifest.Parts, archive.Part{Name: name, Size: int64(len(data)), SHA256: hex.EncodeToString(sum[:])})
		if err := archive.Publish(ctx, b.home.Store, b.folder+name, data); err != nil {
			return nil, err
		}
	}
	if err := b.sealManifest(ctx); err != nil {
		b.discard(ctx)
		return nil, err
	}
	return &b.manifest, nil
}

// TestTwoHostsAtOnce: hosts that back up the same database at once into one
// place have numbers of their own, and nobody's archive is lost.
func TestTwoHostsAtOnce(t *testing.T) {
	w := newWorld(t)
	const rounds, hosts = 50, 3
	var mu sync.Mutex
	var made []*archive.Manifest
	var wg sync.WaitGroup
	for h := range hosts {
		v := w.host(fmt.Sprint(h))
		wg.Go(func() {
			for range rounds {
				m, err := sealOne(t.Context(), v, "shop")
				for again := 0; errors.Is(err, store.ErrExist) && again < 5; again++ {
					m, err = sealOne(t.Context(), v, "shop") // both began in one second and drew the same 16 bits
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				made = append(made, m)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	list := w.list()
	if len(list) != rounds*hosts || len(made) != rounds*hosts {
		t.Fatalf("%d archives are listed, %d were made", len(list), len(made))
	}
	slices.SortFunc(made, func(a, b *archive.Manifest) int { return int(a.Sequence - b.Sequence) })
	digests := map[string]int64{"": 0}
	for _, a := range list {
		if a.State != "good" {
			t.Errorf("number %d is %s: %s", a.Seq, a.State, a.Reason)
		}
		digests[a.digest] = a.Seq
	}
	for i, m := range made {
		if i > 0 && m.Sequence == made[i-1].Sequence {
			t.Fatalf("two archives have number %d", m.Sequence)
		}
		before, known := digests[m.Previous]
		if !known || before >= m.Sequence {
			t.Errorf("number %d follows on %d (known: %v)", m.Sequence, before, known)
		}
	}
	t.Logf("numbers up to %d for %d archives", made[len(made)-1].Sequence, len(made))
	var left []string
	for _, f := range w.files() {
		if _, ok := archive.ParseSequence("main", "shop", f); ok {
			left = append(left, path.Base(f))
		}
	}
	if len(left) == 0 || len(left) > hosts {
		t.Errorf("reservations left: %v", left)
	}
}

// TestTwoHostsForReal: whole backups of two hosts at once, of one server.
func TestTwoHostsForReal(t *testing.T) {
	create(t, "origin", "")
	sql(t, "origin", "CREATE TABLE t AS SELECT 1 AS one")
	w := newWorld(t)
	var wg sync.WaitGroup
	for h := range 2 {
		v := w.host(fmt.Sprint(h))
		wg.Go(func() {
			for range 3 {
				if err := v.Backup(t.Context(), BackupOptions{Database: "origin"}, nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	seen := map[int64]bool{}
	for _, a := range w.list() {
		if a.State != "good" || a.Proof != ProofReadable || seen[a.Seq] {
			t.Errorf("%+v", a)
		}
		seen[a.Seq] = true
	}
	if len(seen) != 6 {
		t.Errorf("%d numbers", len(seen))
	}
	quiet(t)
}

// slowHost is a place in which another host does something between two steps
// of ours.
type slowHost struct {
	store.Store
	once    sync.Once
	between func()
	match   func(call string) bool
}

func (s *slowHost) now(call string) {
	if s.match(call) {
		s.once.Do(s.between)
	}
}

func (s *slowHost) Create(ctx context.Context, name string) (store.Writer, error) {
	s.now("create " + path.Base(name))
	return s.Store.Create(ctx, name)
}

// TestNumberTakenInBetween: another host seals, and clears its reservations
// away, between our look and our reservation, or between that and the manifest.
func TestNumberTakenInBetween(t *testing.T) {
	for _, others := range []int{1, 2, 3} {
		w := newWorld(t)
		for range 2 {
			if _, err := sealOne(t.Context(), w.vault(), "shop"); err != nil {
				t.Fatal(err)
			}
		}
		other := w.host("other")
		slow := &slowHost{Store: w.store(), match: func(call string) bool { return strings.HasPrefix(call, "create seq-") }}
		var theirs []int64
		slow.between = func() {
			for range others {
				m, err := sealOne(t.Context(), other, "shop")
				if err != nil {
					t.Error(err)
					return
				}
				theirs = append(theirs, m.Sequence)
			}
		}
		w.setPlace(slow)
		m, err := sealOne(t.Context(), w.vault(), "shop")
		if err != nil || len(theirs) != others || slices.Contains(theirs, m.Sequence) || m.Sequence <= slices.Max(theirs) {
			t.Errorf("ours is %+v, theirs are %v: %v", m, theirs, err)
		}
		list := w.list()
		if len(list) != 3+others || list[0].Seq < list[1].Seq && list[0].ID[:idSecond] == list[1].ID[:idSecond] {
			t.Errorf("%d archives", len(list))
		}
	}
}

// TestNumbersAfterAFailure: a host that dies leaves a reservation, which
// stops nobody; the numbers go on also when the newest archives are gone.
func TestNumbersAfterAFailure(t *testing.T) {
	w := newWorld(t)
	first, err := sealOne(t.Context(), w.vault(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	if err := archive.Reserve(t.Context(), w.store(), "main", "shop", 7, archive.Reservation{Archive: "20250620T120000Z-dead", Host: "gone"}); err != nil {
		t.Fatal(err)
	}
	if err := archive.Reserve(t.Context(), w.store(), "main", "shop", 7, archive.Reservation{}); !errors.Is(err, store.ErrExist) {
		t.Errorf("a second time: %v", err)
	}
	second, err := sealOne(t.Context(), w.vault(), "shop")
	if err != nil || first.Sequence != 1 || second.Sequence != 8 {
		t.Fatalf("%d, then %d: %v", first.Sequence, second.Sequence, err)
	}
	// A failed seal gives its number back, and leaves nothing.
	w.setPlace(failsFor{w.store(), archive.ManifestName})
	if _, err := sealOne(t.Context(), w.vault(), "shop"); err == nil {
		t.Fatal("it went well")
	}
	w.setPlace(w.disk())
	third, err := sealOne(t.Context(), w.vault(), "shop")
	if err != nil || third.Sequence != 9 || third.Previous == "" {
		t.Errorf("%+v, %v", third, err)
	}
	if files := strings.Join(w.files(), "\n"); strings.Count(files, "/seq-") != 1 || !strings.Contains(files, "main/shop/seq-00000009") {
		t.Errorf("%s", files)
	}
	// Reservations are no archives, and no archive's.
	if list := w.list(); len(list) != 3 || list[0].Seq != 9 {
		t.Errorf("%+v", list)
	}
}

// failsFor is a place that takes no object of this name.
type failsFor struct {
	store.Store
	name string
}

func (f failsFor) Create(ctx context.Context, name string) (store.Writer, error) {
	if path.Base(name) == f.name {
		return nil, &fault.Error{What: "not that one", Code: fault.PlaceUnreachable, Err: io.ErrClosedPipe}
	}
	return f.Store.Create(ctx, name)
}
