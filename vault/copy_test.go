package vault

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgvault/fault"
	"pgvault/vault/archive"
	"pgvault/vault/job"
	"pgvault/vault/store"
	"pgvault/vault/store/disk"
)

// places gives the world further places on disk, beside the first one.
func (w *world) places(names ...string) {
	w.t.Helper()
	for _, name := range names {
		if err := os.Mkdir(w.path(name), 0o700); err != nil {
			w.t.Fatal(err)
		}
		d, err := disk.Open(w.path(name))
		if err != nil {
			w.t.Fatal(err)
		}
		w.conf.Places = append(w.conf.Places, Place{Name: name, Store: d})
	}
}

// folderOf is where a place of the world lies on this host.
func (w *world) placeDir(name string) string {
	if name == "disk" {
		name = "place"
	}
	return w.path(name)
}

func (w *world) copyAll(v *Vault, o CopyOptions) *tape {
	w.t.Helper()
	p := &tape{}
	p.err = v.Copy(w.t.Context(), o, p.sink)
	p.check(w.t)
	return p
}

// copyStates are the states of an archive's copies by place.
func copyStates(a Archive) map[string]string {
	out := map[string]string{}
	for _, c := range a.Copies {
		out[c.Place] = c.State
	}
	return out
}

// wholeIn fails the test unless a place holds every byte of an archive that
// was fabricated.
func (w *world) wholeIn(place, database, id string) {
	w.t.Helper()
	if why := w.wrongIn(place, database, id); why != "" {
		w.t.Errorf("%s in %s: %s", id, place, why)
	}
}

// wrongIn tells what is wrong with a copy, "" for nothing.
func (w *world) wrongIn(place, database, id string) string {
	d, err := disk.Open(w.placeDir(place))
	if err != nil {
		return err.Error()
	}
	signer := w.signer()
	trust, err := archive.NewTrust([]string{signer.Public()})
	if err != nil {
		return err.Error()
	}
	vf, err := archive.ReadVault(w.t.Context(), d, "main")
	if err != nil {
		return err.Error()
	}
	o, err := archive.Open(w.t.Context(), d, trust, vf.ID, "main", database, id)
	if err != nil {
		return err.Error()
	}
	for _, p := range o.Manifest.Parts {
		if err := o.CheckPart(w.t.Context(), p.Name, nil); err != nil {
			return err.Error()
		}
	}
	return ""
}

// TestBackupCopies: a backup brings its archive everywhere, tells so for each
// place, and reads copies on a disk back.
func TestBackupCopies(t *testing.T) {
	create(t, "origin", "")
	w := newWorld(t)
	w.places("nas", "usb")
	p := w.backup(BackupOptions{Database: "origin"}).ok(t)
	a := w.list()[0]
	for _, c := range a.Copies {
		if c.State != CopyGood || c.ReadBack == nil {
			t.Errorf("%+v", c)
		}
	}
	if len(a.Copies) != 3 || len(p.done.Places) != 2 || p.done.Places[0].Bytes != a.Stored {
		t.Errorf("%+v, %+v", a.Copies, p.done.Places)
	}
	done := all[PlaceDone](p)
	if len(done) != 2 || !done[0].ReadBack || done[0].ID != a.ID || done[0].Result != Copied || done[0].Stage != StageCopies {
		t.Errorf("%+v", done)
	}
	w.wholeIn("nas", "origin", a.ID)
	w.wholeIn("usb", "origin", a.ID)
	// Without copies there is no such stage, and they come the next time.
	if p := w.backup(BackupOptions{Database: "origin", NoCopy: true}).ok(t); len(all[PlaceDone](p)) != 0 {
		t.Error("copies were made")
	}
	if got := copyStates(w.list()[0]); got["nas"] != CopyMissing {
		t.Errorf("%v", got)
	}
	w.backup(BackupOptions{Database: "origin"}).ok(t)
	for _, a := range w.list() {
		w.wholeIn("usb", "origin", a.ID)
	}
}

// TestBackupWithAPlaceThatFails: the archive is good and so are the other
// copies; the run says who lacks it and why, and the next one sends it.
func TestBackupWithAPlaceThatFails(t *testing.T) {
	create(t, "origin", "")
	w := newWorld(t)
	w.places("nas", "usb")
	w.backup(BackupOptions{Database: "origin"}).ok(t)
	nas := w.conf.Places[1].Store
	w.conf.Places[1].Store = gone{nas}
	p := w.backup(BackupOptions{Database: "origin"})
	e := p.failed(t, fault.Partial)
	if !strings.Contains(e.Why, "nas: the disk is not mounted") || !strings.Contains(e.Left, "whole in disk and usb") || p.done.Result != ResultPartial {
		t.Errorf("%+v, %v", e, p.done.Result)
	}
	a := w.list()[0]
	if got := copyStates(a); a.State != "good" || got["usb"] != CopyGood || got["nas"] != CopyUnknown {
		t.Errorf("%s, %v", a.State, got)
	}
	if s := w.status(t, "origin"); s.State != "ok" {
		t.Errorf("a backup whose copies failed is %s", s.State)
	}
	// It answers, and fails while it takes the bytes.
	w.conf.Places[1].Store = &spoilt{Store: nas, fail: fmt.Errorf("%w", &fault.Error{What: "no space", Why: "full", Left: "all", Do: "make room", Code: fault.NoSpace})}
	p = w.backup(BackupOptions{Database: "origin"})
	if e := p.failed(t, fault.Partial); !strings.Contains(e.Why, "nas: no space") {
		t.Errorf("%+v", e)
	}
	r := p.done.Places[slices.IndexFunc(p.done.Places, func(r PlaceResult) bool { return r.Place == "nas" })]
	if r.Missing != 2 || r.Archives != 0 || fault.CodeOf(r.Err) != fault.NoSpace {
		t.Errorf("%+v", r)
	}
	for _, d := range all[PlaceDone](p) {
		if d.Err != nil {
			fourLines(t, d.Err)
		}
	}
	w.conf.Places[1].Store = nas
	w.backup(BackupOptions{Database: "origin"}).ok(t)
	for _, a := range w.list() {
		w.wholeIn("nas", "origin", a.ID)
	}
}

// spoilt is a place that takes no objects, or not before it may.
type spoilt struct {
	store.Store
	fail error
	gate chan struct{}
}

func (s *spoilt) Create(ctx context.Context, name string) (store.Writer, error) {
	if s.fail != nil && strings.HasSuffix(name, ".age") {
		return nil, s.fail
	}
	if s.gate != nil && strings.HasSuffix(name, ".age") {
		select {
		case <-s.gate:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return s.Store.Create(ctx, name)
}

// TestCopyExitCodes: what a copy that could not be done says.
func TestCopyExitCodes(t *testing.T) {
	w := newWorld(t)
	w.places("nas", "usb")
	id := w.fabricate(made{database: "shop", at: noon})
	nas := w.conf.Places[1].Store
	w.conf.Places[1].Store = gone{nas}
	w.copyAll(w.vault(), CopyOptions{ID: id, To: []string{"nas"}}).failed(t, fault.PlaceUnreachable)
	w.copyAll(w.vault(), CopyOptions{Missing: true}).failed(t, fault.Partial)
	w.wholeIn("usb", "shop", id)
	w.copyAll(w.vault(), CopyOptions{Missing: true, To: []string{"nas"}}).failed(t, fault.PlaceUnreachable)
	w.copyAll(w.vault(), CopyOptions{Missing: true, To: []string{"usb"}}).ok(t)
	w.copyAll(w.vault(), CopyOptions{ID: id, To: []string{"attic"}}).failed(t, fault.Usage)
	w.copyAll(w.vault(), CopyOptions{ID: "latest:wiki"}).failed(t, fault.PlaceUnreachable) // it may lie in nas
	w.conf.Places[1].Store = nas
	w.copyAll(w.vault(), CopyOptions{ID: "latest:wiki"}).failed(t, fault.Usage)
	w.copyAll(w.vault(), CopyOptions{}).failed(t, fault.Usage)
	for _, place := range []string{"place", "usb"} {
		w.harm(place, "shop", id, archive.MainPart)
	}
	w.copyAll(w.vault(), CopyOptions{ID: id, To: []string{"nas"}}).failed(t, fault.Differs)
	if a := w.list()[0]; a.State != "damaged" {
		t.Errorf("after that, it is %s", a.State)
	}
	w.conf.ReadOnly = true
	w.copyAll(w.vault(), CopyOptions{Missing: true}).failed(t, fault.Refused)
}

// harm changes one byte of an object, and leaves its length.
func (w *world) harm(place, database, id, object string) {
	w.t.Helper()
	path := filepath.Join(w.placeDir(place), "main", database, id, object)
	src, err := os.ReadFile(path)
	if err != nil {
		w.t.Fatal(err)
	}
	src[len(src)/2] ^= 1
	if err := os.Chmod(path, 0o600); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, src, 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// TestDamagedSourceIsNamed: a copy that turns out to be damaged when it is
// read is said to be, and the next run heals it from the one that was made of
// another.
func TestDamagedSourceIsNamed(t *testing.T) {
	w := newWorld(t)
	w.places("nas", "usb")
	id := w.fabricate(made{database: "shop", at: noon})
	w.copyAll(w.vault(), CopyOptions{Missing: true, To: []string{"nas"}}).ok(t)
	w.harm("disk", "shop", id, archive.MainPart)
	w.copyAll(w.vault(), CopyOptions{Missing: true}).ok(t)
	w.wholeIn("usb", "shop", id)
	if got := copyStates(w.list()[0]); got["disk"] != CopyDamaged || got["nas"] != CopyGood || got["usb"] != CopyGood {
		t.Errorf("%v", got)
	}
	p := w.copyAll(w.vault(), CopyOptions{Missing: true}).ok(t)
	w.wholeIn("disk", "shop", id)
	if done := all[PlaceDone](p); len(done) != 1 || done[0].Place != "disk" || done[0].Result != CopyHealed {
		t.Errorf("%+v", done)
	}
	if got := copyStates(w.list()[0]); got["disk"] != CopyGood {
		t.Errorf("%v", got)
	}
}

// TestHealedWithoutReadingBack: in a place that is never read back, a healed
// copy is good again all the same.
func TestHealedWithoutReadingBack(t *testing.T) {
	w := newWorld(t)
	w.places("nas")
	w.conf.Places[1].ReadBack = ReadBackNever
	id := w.fabricate(made{database: "shop", at: noon})
	w.copyAll(w.vault(), CopyOptions{Missing: true}).ok(t)
	if c := w.list()[0].Copies[1]; c.ReadBack != nil {
		t.Errorf("%+v", c)
	}
	w.harm("nas", "shop", id, archive.GlobalsPart)
	p := &tape{}
	p.err = w.vault().Verify(t.Context(), VerifyOptions{ID: id, Level: ProofIntact, Place: "nas"}, p.sink)
	p.check(t)
	p.failed(t, fault.Differs)
	if got := copyStates(w.list()[0]); got["nas"] != CopyDamaged {
		t.Errorf("%v", got)
	}
	w.copyAll(w.vault(), CopyOptions{Missing: true}).ok(t)
	if got := copyStates(w.list()[0]); got["nas"] != CopyGood {
		t.Errorf("%v", got)
	}
	w.wholeIn("nas", "shop", id)
}

// TestReadBackWeekly: the newest copy of a database is read back when none was
// for a week.
func TestReadBackWeekly(t *testing.T) {
	w := newWorld(t)
	w.places("nas")
	w.conf.Places[1].ReadBack = ReadBackWeekly
	day := noon
	read := func() int { // of archives that were read back in nas
		n := 0
		for _, a := range w.list() {
			for _, c := range a.Copies {
				if c.Place == "nas" && c.ReadBack != nil {
					n++
				}
			}
		}
		return n
	}
	for i, want := range []int{1, 1, 1, 2, 2} {
		w.fabricate(made{database: "shop", at: day, seq: int64(i + 1)})
		v := w.vault()
		v.now = func() time.Time { return day }
		w.copyAll(v, CopyOptions{Missing: true}).ok(t)
		if got := read(); got != want {
			t.Errorf("on day %d, %d copies were read back, not %d", i*3, got, want)
		}
		day = day.Add(3 * 24 * time.Hour)
	}
	// Damage that is found so is said.
	id := w.fabricate(made{database: "shop", at: day, seq: 9})
	w.conf.Places[1].Store = &lyingAfter{Store: w.conf.Places[1].Store}
	v := w.vault()
	v.now = func() time.Time { return day.Add(8 * 24 * time.Hour) }
	p := w.copyAll(v, CopyOptions{Missing: true})
	if e := p.failed(t, fault.Partial); !strings.Contains(e.Why, "nas") {
		t.Errorf("%+v", e)
	}
	if a := w.list()[0]; a.ID != id || copyStates(a)["nas"] != CopyDamaged {
		t.Errorf("%v", copyStates(a))
	}
}

// lyingAfter is a place that keeps bytes wrong once their writer has ended.
type lyingAfter struct{ store.Store }

func (l *lyingAfter) Open(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	r, err := l.Store.Open(ctx, name, offset, length)
	if err != nil || !strings.HasSuffix(name, archive.MainPart) {
		return r, err
	}
	return struct {
		io.Reader
		io.Closer
	}{flippingFirst{r}, r}, nil
}

type flippingFirst struct{ io.Reader }

func (f flippingFirst) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	if n > 0 {
		p[0] ^= 1
	}
	return n, err
}

// TestSlowPlaceKeepsNobody: a place that stands still at the first archive
// does not keep another one from all of them.
func TestSlowPlaceKeepsNobody(t *testing.T) {
	w := newWorld(t)
	w.places("nas", "usb")
	var ids []string
	for i := range 4 {
		ids = append(ids, w.fabricate(made{database: "shop", at: noon.Add(time.Duration(i) * time.Hour), seq: int64(i + 1)}))
	}
	slow := &spoilt{Store: w.conf.Places[1].Store, gate: make(chan struct{})}
	w.conf.Places[1].Store = slow
	var once sync.Once
	usb := 0
	p := &tape{hook: func(e Event) {
		if d, ok := e.(PlaceDone); ok && d.Place == "usb" {
			if usb++; usb == len(ids) {
				once.Do(func() { close(slow.gate) })
			}
		}
	}}
	p.err = w.vault().copyPatiently(t.Context(), CopyOptions{Missing: true}, time.Millisecond, p.sink)
	p.check(t)
	p.ok(t)
	for _, id := range ids {
		w.wholeIn("nas", "shop", id)
		w.wholeIn("usb", "shop", id)
	}
	// The newest come first.
	var order []string
	for _, d := range all[PlaceDone](p) {
		if d.Place == "nas" {
			order = append(order, d.ID)
		}
	}
	slices.Reverse(order)
	if !slices.Equal(order, ids) {
		t.Errorf("nas got %v, of %v", order, ids)
	}
}

// TestPlaceThatIsFull: nothing more is sent to it, and all it lacks is
// counted.
func TestPlaceThatIsFull(t *testing.T) {
	w := newWorld(t)
	w.places("nas")
	for i := range 4 {
		w.fabricate(made{database: "shop", at: noon.Add(time.Duration(i) * time.Hour), seq: int64(i + 1)})
	}
	for code, attempts := range map[fault.Code]int{fault.NoSpace: 1, fault.Refused: failuresInARow} {
		w.conf.Places[1].Store = &spoilt{Store: w.conf.Places[1].Store, fail: &fault.Error{What: "no", Why: "it is so", Left: "all", Do: "something", Code: code}}
		p := w.copyAll(w.vault(), CopyOptions{Missing: true})
		p.failed(t, code)
		if r := p.done.Places[0]; r.Missing != 4 || len(all[PlaceDone](p)) != attempts {
			t.Errorf("%+v, %d attempts", r, len(all[PlaceDone](p)))
		}
	}
}

// TestTwoCopiersAtOnce: two jobs of one host share the work by their locks;
// two hosts may do it twice. Every copy is whole in the end.
func TestTwoCopiersAtOnce(t *testing.T) {
	for _, hosts := range []int{1, 2} {
		w := newWorld(t)
		w.places("nas")
		var ids []string
		for i := range 6 {
			ids = append(ids, w.fabricate(made{database: "shop", at: noon.Add(time.Duration(i) * time.Hour), seq: int64(i + 1)}))
		}
		var both sync.WaitGroup
		for i := range 2 {
			conf := w.conf
			if hosts == 2 {
				conf.StateDir = w.path(fmt.Sprintf("state%d", i))
			}
			both.Go(func() {
				p := &tape{}
				p.err = New(conf).Copy(t.Context(), CopyOptions{Missing: true}, p.sink)
				p.check(t)
				if p.err != nil {
					t.Error(p.err)
				}
			})
		}
		both.Wait()
		for _, id := range ids {
			w.wholeIn("nas", "shop", id)
		}
	}
}

// TestDeletionWaitsForACopy: an archive that is being copied is in use.
func TestDeletionWaitsForACopy(t *testing.T) {
	w := newWorld(t)
	w.places("nas")
	id := w.fabricate(made{database: "shop", at: noon})
	w.fabricate(made{database: "shop", at: noon.Add(time.Hour), seq: 2})
	slow := &spoilt{Store: w.conf.Places[1].Store, gate: make(chan struct{})}
	conf := w.conf
	conf.Places = []Place{w.conf.Places[0], {Name: "nas", Store: slow}}
	plan, err := w.vault().PlanDelete(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	p := &tape{hook: func(e Event) {
		if pr, ok := e.(Progress); ok && slices.ContainsFunc(pr.Places, func(s PlaceProgress) bool { return s.State == PlaceCopying }) {
			return
		}
	}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.err = New(conf).Copy(t.Context(), CopyOptions{ID: id}, p.sink)
	}()
	v := w.vault()
	vf, err := v.vaultFile(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the copy holds its lock", func() bool { return v.copied(vf, "shop", id) })
	if err := v.Delete(t.Context(), plan); fault.CodeOf(err) != fault.Running {
		t.Errorf("%v", err)
	}
	close(slow.gate)
	<-done
	p.check(t)
	p.ok(t)
	w.wholeIn("nas", "shop", id)
}

// littered is a place in which killed writers left something.
type littered struct {
	store.Store
	left []store.Upload
	gone []string
}

func (l *littered) Unfinished(context.Context) ([]store.Upload, error) { return l.left, nil }

func (l *littered) Discard(_ context.Context, u store.Upload) error {
	l.gone = append(l.gone, u.ID)
	return nil
}

// TestUnfinishedUploads: those of this vault that are older than a day go, and
// no others.
func TestUnfinishedUploads(t *testing.T) {
	w := newWorld(t)
	w.places("nas")
	w.fabricate(made{database: "shop", at: noon})
	name := func(database string) string { return "main/" + database + "/20260101T000000Z-0001/" + archive.MainPart }
	old, young := noon.Add(-25*time.Hour), noon.Add(-23*time.Hour)
	l := &littered{Store: w.conf.Places[1].Store, left: []store.Upload{
		{Name: name("shop"), ID: "old", Started: old, Size: 5}, {Name: name("shop"), ID: "young", Started: young},
		{Name: "other" + name("shop"), ID: "of another vault", Started: old}, {Name: "main/vault.json", ID: "vault file", Started: old},
		{Name: name("busy"), ID: "of a backup that runs", Started: old}, {Name: "main/x/y/z/q", ID: "no archive's", Started: old},
		{ID: "main/shop/20260101T000000Z-0001/.partial-ABC", Started: old}, {ID: "lost+found/.partial-ABC", Started: old}}}
	w.conf.Places[1].Store = l
	v := w.vault()
	v.now = func() time.Time { return noon }
	vf, err := v.vaultFile(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	unlock, err := job.Lock(v.lockDir(), lockName(vf, "busy"), "a backup", "")
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	p := w.copyAll(v, CopyOptions{Missing: true}).ok(t)
	if !slices.Equal(l.gone, []string{"old", "vault file", "main/shop/20260101T000000Z-0001/.partial-ABC"}) {
		t.Errorf("%q", l.gone)
	}
	if !slices.ContainsFunc(all[Notice](p), func(n Notice) bool { return strings.HasPrefix(n.Text, "3 unfinished uploads discarded in nas") }) {
		t.Errorf("%+v", all[Notice](p))
	}
}
