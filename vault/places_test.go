package vault

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgvault/fault"
	"pgvault/vault/archive"
	"pgvault/vault/store"
)

// TestCopiesInSeveralPlaces: one list of what lies where.
func TestCopiesInSeveralPlaces(t *testing.T) {
	w := newWorld(t)
	w.threePlaces()
	day := func(n int) time.Time { return noon.AddDate(0, 0, -n) }
	all := w.fabricate(made{database: "shop", at: day(1), seq: 5, proof: ProofReadable})
	two := w.fabricate(made{database: "shop", at: day(2), seq: 4})
	part := w.fabricate(made{database: "shop", at: day(3), seq: 3})
	bad := w.fabricate(made{database: "shop", at: day(4), seq: 2})
	alone := w.fabricate(made{database: "shop", at: day(5), seq: 1})
	for _, id := range []string{all, two, bad, alone} {
		w.bring("s3", "shop", id, nil)
	}
	w.bring("nas", "shop", all, nil)
	w.bring("s3", "shop", part, func(n string) bool { return n == archive.MainPart })
	w.mark("s3", "shop", bad, archive.MainPart, func(b []byte) []byte { return b[1:] })
	w.mark("place", "shop", alone, archive.ManifestName, func(b []byte) []byte { return append(b, ' ') })
	want := map[string]string{
		all:   "disk good, s3 good, nas good",
		two:   "disk good, s3 good, nas missing",
		part:  "disk good, s3 incomplete, nas missing",
		bad:   "disk good, s3 damaged, nas missing",
		alone: "disk damaged, s3 good, nas missing",
	}
	list := w.list()
	if len(list) != 5 {
		t.Fatalf("%d archives", len(list))
	}
	for _, a := range list {
		if states(a) != want[a.ID] || a.State != "good" {
			t.Errorf("seq %d: %s, not %s; the archive is %s: %s", a.Seq, states(a), want[a.ID], a.State, a.Reason)
		}
	}
	if a := w.archive(all); a.Copies[0].ReadBack == nil || a.Copies[1].ReadBack != nil || a.Proof != ProofReadable {
		t.Errorf("read back on the disk alone: %+v", a.Copies)
	}
	for words, n := range map[string]int{"copies:<2": 3, "copies:3": 1, "place:s3": 5, "place:nas": 1, "is:missing": 4, "is:damaged": 2} {
		got := 0
		f := ParseFilter(words)
		for _, a := range list {
			if f.Match(a, noon) {
				got++
			}
		}
		if got != n || f.Wrong != "" {
			t.Errorf("%s: %d archives, not %d %s", words, got, n, f.Wrong)
		}
	}
	// What is not asked for is not missed.
	w.db.Copies = []string{"s3"}
	if got := states(w.archive(two)); got != "disk good, s3 good" {
		t.Errorf("with copies = s3: %s", got)
	}
}

// TestPlaceThatDoesNotAnswer: the others are listed, and of it what is
// remembered, with its age; a place that hangs holds nobody up.
func TestPlaceThatDoesNotAnswer(t *testing.T) {
	for name, fail := range map[string]func(n *network){
		"an error": func(n *network) { n.down = true },
		"stalls":   func(n *network) { n.stall = true },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s3, _ := w.threePlaces()
			old := w.fabricate(made{database: "shop", at: noon, seq: 1})
			w.bring("s3", "shop", old, nil)
			w.list()
			newer := w.fabricate(made{database: "shop", at: time.Now(), seq: 2})
			w.bring("s3", "shop", newer, nil)
			w.bring("nas", "shop", newer, nil)
			s3.set(fail)
			v := w.vault()
			v.slow.waiting = 200 * time.Millisecond
			l, err := v.Listing(t.Context(), true)
			if err != nil || len(l.Archives) != 2 {
				t.Fatalf("%d archives, %v", len(l.Archives), err)
			}
			if got := states(l.Archives[0]); got != "disk good, s3 unknown, nas good" {
				t.Errorf("the new one: %s", got)
			}
			if got := states(l.Archives[1]); got != "disk good, s3 good then, nas missing" {
				t.Errorf("the old one: %s", got)
			}
			if l.Archives[1].Copies[1].Known == nil || l.Archives[1].Copies[1].Known.IsZero() {
				t.Error("nothing says how old that is")
			}
		})
	}
}

// deaf hangs without heeding its context, as a dead NFS does.
type deaf struct {
	store.Store
	asked atomic.Int64
	end   chan struct{}
}

func (d *deaf) List(ctx context.Context, prefix string) ([]store.Info, error) {
	d.asked.Add(1)
	<-d.end
	return d.Store.List(ctx, prefix)
}

// TestPlaceThatIsDeaf: nobody waits for it twice, and it is asked again when
// the last question has ended.
func TestPlaceThatIsDeaf(t *testing.T) {
	w := newWorld(t)
	s3, _ := w.threePlaces()
	id := w.fabricate(made{database: "shop", at: noon})
	w.bring("s3", "shop", id, nil)
	d := &deaf{Store: s3, end: make(chan struct{})}
	w.conf.Places[1].Store = d
	var told []string
	w.conf.Waits = func(place, address string, most time.Duration) { told = append(told, place) }
	v := w.vault()
	v.slow.waiting, v.slow.notice = 100*time.Millisecond, 10*time.Millisecond
	for range 3 {
		l, err := v.Listing(t.Context(), true)
		if err != nil || len(l.Archives) != 1 || states(l.Archives[0]) != "disk good, s3 unknown, nas missing" {
			t.Fatalf("%+v, %v", l.Archives, err)
		}
	}
	if n := d.asked.Load(); n != 1 {
		t.Errorf("asked %d times while it did not answer", n)
	}
	if !slices.Equal(told, []string{"s3"}) {
		t.Errorf("told that these are waited for: %v", told)
	}
	close(d.end)
	until(t, "it answers again", func() bool {
		l, err := v.Listing(t.Context(), true)
		return err == nil && states(l.Archives[0]) == "disk good, s3 good, nas missing"
	})
}

// TestAllPlacesDown: then it is an error, and what is remembered stays to be
// seen.
func TestAllPlacesDown(t *testing.T) {
	w := newWorld(t)
	s3, nas := w.threePlaces()
	w.fabricate(made{database: "shop", at: noon})
	w.list()
	w.conf.Places[0].Store = gone{w.conf.Places[0].Store}
	s3.set(func(n *network) { n.down = true })
	nas.set(func(n *network) { n.down = true })
	if _, err := w.vault().List(t.Context()); fault.CodeOf(err) != fault.PlaceUnreachable {
		t.Errorf("%v", err)
	}
	l, err := w.vault().Listing(t.Context(), false)
	if err != nil || !l.Cached || len(l.Archives) != 1 {
		t.Errorf("%+v, %v", l, err)
	}
	h := w.health(t)
	if len(h.Places) != 3 || h.Places[1].State != "x" || h.Places[1].Reachable || h.Databases[0].Copies != 0 || h.Databases[0].Places != 3 {
		t.Errorf("%+v", h)
	}
}

// TestOtherVaultInAPlace: an archive of another vault is never one of ours,
// and the place says what is the matter.
func TestOtherVaultInAPlace(t *testing.T) {
	w, other := newWorld(t), newWorld(t)
	s3, _ := w.threePlaces()
	id := w.fabricate(made{database: "shop", at: noon})
	theirs, err := fabricate(t, s3, other.signer(), made{database: "shop", at: noon.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	list := w.list()
	if len(list) != 1 || list[0].ID != id || states(list[0]) != "disk good, s3 unknown, nas missing" {
		t.Errorf("%+v", list)
	}
	if _, err := w.vault().locate(t.Context(), theirs, "s3"); fault.CodeOf(err) != fault.Refused {
		t.Errorf("the other vault's archive: %v", err)
	}
	h := w.health(t)
	if p := h.Places[1]; p.State != "x" || !strings.Contains(p.Text, "another vault") || p.Explained == nil || p.Explained.Do == "" {
		t.Errorf("%+v", p)
	}
	// The first place is gone for a moment: that does not make the other vault ours.
	w.conf.Places[0].Store = gone{w.conf.Places[0].Store}
	v := w.vault()
	if _, err := v.List(t.Context()); err != nil {
		t.Fatal(err)
	}
	if vf, err := v.vaultFile(t.Context(), nil); err != nil || vf.ID == "" || v.vf != nil {
		t.Errorf("%+v, %v", vf, err)
	}
}

// TestTwoArchivesUnderOneID: both are signed. The first place's is listed; the
// other is named and never counted.
func TestTwoArchivesUnderOneID(t *testing.T) {
	w := newWorld(t)
	s3, _ := w.threePlaces()
	id := w.fabricate(made{database: "shop", at: noon})
	w.bring("s3", "shop", id, func(string) bool { return false }) // the vault file
	vf, err := archive.ReadVault(t.Context(), s3.Store, "main")
	if err != nil {
		t.Fatal(err)
	}
	src := w.read("place/main/shop/" + id + "/manifest.json")
	m, err := archive.ParseManifest([]byte(src))
	if err != nil || m.Vault != vf.ID {
		t.Fatal(err)
	}
	w.bring("s3", "shop", id, func(n string) bool { return !strings.HasPrefix(n, "manifest") })
	m.Rows++
	if err := archive.Seal(t.Context(), s3.Store, archive.Folder("main", "shop", id), m, w.signer()); err != nil {
		t.Fatal(err)
	}
	a := w.archive(id)
	if states(a) != "disk good, s3 damaged, nas missing" || a.Rows != 6002 || !strings.Contains(a.Copies[1].Reason, "another archive") {
		t.Errorf("%s, %d rows: %+v", states(a), a.Rows, a.Copies)
	}
}

// TestVaultIsKnownWithoutItsFirstPlace: a fresh machine knows it from any
// place, another one from what it remembers.
func TestVaultIsKnownWithoutItsFirstPlace(t *testing.T) {
	w := newWorld(t)
	w.threePlaces()
	id := w.fabricate(made{database: "shop", at: noon})
	w.bring("s3", "shop", id, nil)
	w.conf.Places[0].Store = gone{w.conf.Places[0].Store}
	if a := w.archive(id); states(a) != "disk unknown, s3 good, nas missing" || a.State != "good" {
		t.Errorf("%s", states(a))
	}
	f, err := w.vault().locate(t.Context(), id, "")
	if err != nil || f.copies[0].Name != "s3" || len(f.silent) != 1 {
		t.Fatalf("%+v, %v", f, err)
	}
	if f.noAnswer() != "disk" {
		t.Errorf("who did not answer: %q", f.noAnswer())
	}
	if _, err := w.vault().locate(t.Context(), "20200101T000000Z-0000", ""); fault.CodeOf(err) != fault.PlaceUnreachable || !strings.Contains(fault.As(err).Why, "disk") {
		t.Errorf("it may lie where nobody answers: %v", err)
	}
	if _, err := w.vault().locate(t.Context(), id, "tape"); fault.CodeOf(err) != fault.Usage {
		t.Errorf("a place that is not configured: %v", err)
	}
}

// TestNoSecondVault: while a place does not answer, no vault is made beside
// the one that it may hold; and one that all places lack is made once.
func TestNoSecondVault(t *testing.T) {
	w := newWorld(t)
	s3, nas := w.threePlaces()
	s3.set(func(n *network) { n.down = true })
	if err := w.vault().Init(t.Context()); fault.CodeOf(err) != fault.PlaceUnreachable {
		t.Fatalf("%v", err)
	}
	if _, err := os.Stat(w.path("place/main")); !os.IsNotExist(err) {
		t.Errorf("a vault was made: %v", err)
	}
	s3.set(func(n *network) { n.down = false })
	var wg sync.WaitGroup
	for i := range 4 {
		conf := w.conf
		conf.StateDir = w.path("state" + string(rune('a'+i)))
		wg.Go(func() {
			if err := New(conf).Init(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	var ids []string
	for _, p := range []store.Store{w.store(), s3, nas} {
		vf, err := archive.ReadVault(t.Context(), p, "main")
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, vf.ID)
	}
	if ids[0] != ids[1] || ids[1] != ids[2] {
		t.Errorf("several vaults: %v", ids)
	}
}

// TestSlowPlaceIsReadInSteps: what a look has read before its time was over
// is not read again by the next one.
func TestSlowPlaceIsReadInSteps(t *testing.T) {
	w := newWorld(t)
	s3, _ := w.threePlaces()
	var ids []string
	for i := range 200 {
		ids = append(ids, w.fabricate(made{database: "shop", at: noon.Add(time.Duration(i) * time.Minute), seq: int64(i + 1)}))
		w.bring("s3", "shop", ids[i], nil)
	}
	w.settle()
	until(t, "stamps in s3", func() bool {
		infos, err := s3.Store.List(t.Context(), "main/")
		return err == nil && !slices.ContainsFunc(infos, func(i store.Info) bool { return i.Stamp == "" })
	})
	var manifests atomic.Int64
	errStop := errors.New("stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	s3.set(func(n *network) {
		n.before = func(_ context.Context, call string) error {
			if strings.HasSuffix(call, archive.ManifestName) && strings.HasPrefix(call, "open") && manifests.Add(1) > 160 {
				cancel(errStop)
				return context.Cause(ctx)
			}
			return nil
		}
	})
	v := w.vault()
	vf, trust, err := v.identity(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.lookAt(ctx, site{w.conf.Places[1], 1}, vf, trust); !errors.Is(err, errStop) {
		t.Fatalf("%v", err)
	}
	known := v.recall(site{w.conf.Places[1], 1})
	if known == nil || len(known.archives) < 8 || len(known.archives) >= 200 || !known.at.IsZero() {
		t.Fatalf("remembered: %+v", known)
	}
	before := manifests.Load()
	s3.set(func(n *network) {
		n.before = func(_ context.Context, call string) error {
			if strings.HasSuffix(call, archive.ManifestName) {
				manifests.Add(1)
			}
			return nil
		}
	})
	l, err := w.vault().Listing(t.Context(), true)
	if err != nil || len(l.Archives) != 200 || states(l.Archives[7]) != "disk good, s3 good, nas missing" {
		t.Fatalf("%d archives, %v", len(l.Archives), err)
	}
	if n := manifests.Load() - before; n != int64(200-len(known.archives)) {
		t.Errorf("%d manifests were read, %d were known", n, len(known.archives))
	}
}

// TestFindingWaitsForNobody: an archive that one place has is found although
// another hangs; one that no other place has is waited for.
func TestFindingWaitsForNobody(t *testing.T) {
	w := newWorld(t)
	s3, _ := w.threePlaces()
	id := w.fabricate(made{database: "shop", at: noon})
	w.bring("s3", "shop", id, nil)
	v := w.vault()
	v.slow.waiting = 500 * time.Millisecond
	s3.set(func(n *network) { n.stall = true })
	for _, ref := range []string{id, "latest:shop"} {
		f, err := v.locate(t.Context(), ref, "")
		if err != nil || f.ID != id || f.noAnswer() != "s3" || states(f.Archive) != "disk good, s3 unknown, nas missing" {
			t.Fatalf("%s: %+v, %v", ref, f, err)
		}
	}
	if err := os.RemoveAll(w.path("place/main/shop")); err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64
	s3.set(func(n *network) {
		n.stall = false
		n.before = func(ctx context.Context, call string) error {
			if !strings.HasPrefix(call, "list") || asked.Add(1) > 1 { // too slow for the first question
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		}
	})
	if f, err := v.locate(t.Context(), id, ""); err != nil || f.copies[0].Name != "s3" || asked.Load() < 2 {
		t.Errorf("%+v, asked %d times, %v", f, asked.Load(), err)
	}
}
