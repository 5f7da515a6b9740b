package vault

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgvault/fault"
	"pgvault/vault/archive"
)

// two gives an old archive and a newer one of a database, in all places.
func (w *world) two(database string) (old, newest string) {
	w.t.Helper()
	old = w.fabricate(made{database: database, at: noon.AddDate(0, 0, -9), seq: 1})
	newest = w.fabricate(made{database: database, at: noon, seq: 2})
	for _, p := range w.conf.Places[1:] {
		w.bring(p.Name, database, old, nil)
		w.bring(p.Name, database, newest, nil)
	}
	return old, newest
}

// has tells which places hold objects of an archive, and which of those its
// manifest.
func (w *world) has(database, id string) (objects, manifests string) {
	w.t.Helper()
	var some, whole []string
	for _, dir := range []string{"place", "s3", "nas"} {
		files, _ := filepath.Glob(w.path(dir + "/main/" + database + "/" + id + "/*"))
		if len(files) > 0 {
			some = append(some, dir)
		}
		if _, err := os.Stat(w.path(dir + "/main/" + database + "/" + id + "/" + archive.ManifestName)); err == nil {
			whole = append(whole, dir)
		}
	}
	return strings.Join(some, " "), strings.Join(whole, " ")
}

func (w *world) delete(id, place string) (*DeletePlan, error) {
	w.t.Helper()
	v := w.vault()
	plan := func() (*DeletePlan, error) {
		if place != "" {
			return v.PlanDeleteCopy(w.t.Context(), id, place)
		}
		return v.PlanDelete(w.t.Context(), id)
	}
	p, err := plan()
	if err != nil {
		return nil, err
	}
	return p, v.Delete(w.t.Context(), p)
}

func TestDeleteInAllPlaces(t *testing.T) {
	w := newWorld(t)
	w.threePlaces()
	old, newest := w.two("shop")
	p, err := w.delete(old, "")
	if err != nil || len(p.Copies) != 3 || p.Objects() != 3*len(p.Files) || p.Bytes < 300 {
		t.Fatalf("%+v, %v", p, err)
	}
	if some, _ := w.has("shop", old); some != "" {
		t.Errorf("left in %s", some)
	}
	if _, whole := w.has("shop", newest); whole != "place s3 nas" {
		t.Errorf("the other one lies in %s", whole)
	}
	if p, err := w.delete(newest, ""); fault.CodeOf(err) != fault.Refused || !strings.Contains(p.Refused, "newest good") {
		t.Errorf("%+v, %v", p, err)
	}
	if left, _ := filepath.Glob(w.path("state/pending/*")); len(left) > 0 {
		t.Errorf("something still waits: %v", left)
	}
}

// TestDeleteWaitsForAPlace: what cannot go now is told, nobody makes copies of
// it again, and the next deletion finishes it, also in another process.
func TestDeleteWaitsForAPlace(t *testing.T) {
	for name, c := range map[string]struct {
		set   func(n *network, manifest string)
		unset func(n *network)
		later bool // seen by the plan
	}{
		"down":       {func(n *network, _ string) { n.down = true }, func(n *network) { n.down = false }, true},
		"locked":     {func(n *network, m string) { n.locked = map[string]time.Time{m: time.Now().Add(time.Hour)} }, func(n *network) { n.locked = nil }, true},
		"refuses":    {func(n *network, _ string) { n.before = noRemoval("") }, func(n *network) { n.before = nil }, false},
		"in between": {func(n *network, _ string) { n.before = noRemoval(archive.MainPart) }, func(n *network) { n.before = nil }, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s3, _ := w.threePlaces()
			old, _ := w.two("shop")
			w.two("wiki")
			other := w.fabricate(made{database: "wiki", at: noon.AddDate(0, 0, -20), seq: 3})
			w.list()
			s3.set(func(n *network) { c.set(n, archive.Folder("main", "shop", old)+archive.ManifestName) })
			p, err := w.delete(old, "")
			if fault.CodeOf(err) != fault.Partial || !strings.Contains(fault.As(err).Why, "s3") {
				t.Fatalf("%v", err)
			}
			fourLines(t, err)
			if c.later != strings.Contains(strings.Join(p.Notes, "\n"), "the copy in s3 stays for now") {
				t.Errorf("the plan says %q", p.Notes)
			}
			if _, whole := w.has("shop", old); whole != "s3" && name != "in between" {
				t.Errorf("it lies in %s", whole)
			}
			if v := w.vault(); !v.condemned("shop", old) || v.condemned("wiki", other) {
				t.Error("copies may be made of it")
			}
			if h := w.health(t); !strings.Contains(h.Warnings[0].What+h.Warnings[len(h.Warnings)-1].What+h.Warnings[len(h.Warnings)/2].What, "waits for s3") {
				t.Errorf("%+v", h.Warnings)
			}
			s3.set(c.unset)
			if _, err := w.delete(other, ""); err != nil {
				t.Fatal(err)
			}
			if some, _ := w.has("shop", old); some != "" {
				t.Errorf("after the next deletion it lies in %s", some)
			}
			if w.vault().condemned("shop", old) {
				t.Error("it still waits")
			}
		})
	}
}

// noRemoval refuses to remove objects of this name, or any.
func noRemoval(object string) func(context.Context, string) error {
	return func(_ context.Context, call string) error {
		if !strings.HasPrefix(call, "remove ") || !strings.HasSuffix(call, object) {
			return nil
		}
		return &fault.Error{What: "these credentials may not delete", Why: "a test wants it", Left: "all", Do: "ask", Code: fault.Refused}
	}
}

// TestWaitingDeletionIsThoughtOver: a pin, or the loss of all newer archives,
// keeps what is left of an archive that was to go.
func TestWaitingDeletionIsThoughtOver(t *testing.T) {
	for _, pinned := range []bool{true, false} {
		w := newWorld(t)
		s3, _ := w.threePlaces()
		old, newest := w.two("shop")
		w.two("wiki")
		other := w.fabricate(made{database: "wiki", at: noon.AddDate(0, 0, -20), seq: 3})
		w.list()
		s3.set(func(n *network) { n.down = true })
		if _, err := w.delete(old, ""); fault.CodeOf(err) != fault.Partial {
			t.Fatal(err)
		}
		s3.set(func(n *network) { n.down = false })
		if pinned {
			w.write("s3/main/shop/"+old+"/pin.json", "{}")
		} else {
			for _, dir := range []string{"place", "s3", "nas"} {
				if err := os.RemoveAll(w.path(dir + "/main/shop/" + newest)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if _, err := w.delete(other, ""); err != nil {
			t.Fatal(err)
		}
		if _, whole := w.has("shop", old); whole != "s3" {
			t.Errorf("pinned %v: it lies in %q", pinned, whole)
		}
	}
}

// TestDeleteOneCopy: it goes alone; the last good one only as the archive
// itself would, confirmed in full.
func TestDeleteOneCopy(t *testing.T) {
	w := newWorld(t)
	s3, nas := w.threePlaces()
	old, newest := w.two("shop")
	if p, err := w.delete(newest, "s3"); err != nil || p.Confirm != newest || len(p.Copies) != 1 {
		t.Fatalf("%+v, %v", p, err)
	}
	if _, whole := w.has("shop", newest); whole != "place nas" {
		t.Errorf("it lies in %s", whole)
	}
	if _, err := w.delete(newest, "s3"); fault.CodeOf(err) != fault.Usage {
		t.Errorf("a second time: %v", err)
	}
	if _, err := w.delete(newest, "tape"); fault.CodeOf(err) != fault.Usage {
		t.Errorf("no such place: %v", err)
	}
	// A copy that is remembered to be good is none that could be relied on.
	w.list()
	nas.set(func(n *network) { n.down = true })
	if p, err := w.delete(newest, "disk"); fault.CodeOf(err) != fault.Refused || p.Confirm != "shop/"+newest {
		t.Errorf("the last one that answers: %+v, %v", p, err)
	}
	nas.set(func(n *network) { n.down = false })
	w.mark("nas", "shop", newest, archive.MainPart, func(b []byte) []byte { return b[1:] })
	if _, err := w.delete(newest, "disk"); fault.CodeOf(err) != fault.Refused {
		t.Errorf("the last good one: %v", err)
	}
	if p, err := w.delete(newest, "nas"); err != nil || p.Confirm != newest {
		t.Errorf("the damaged one: %+v, %v", p, err)
	}
	for _, place := range []string{"disk", "s3"} {
		if _, err := w.delete(old, place); err != nil {
			t.Fatal(err)
		}
	}
	p, err := w.vault().PlanDeleteCopy(t.Context(), old, "nas")
	if err != nil || p.Refused != "" || p.Confirm != "shop/"+old || !strings.Contains(strings.Join(p.Notes, "\n"), "the archive goes with it") {
		t.Errorf("the last copy of an old one: %+v, %v", p, err)
	}
	s3.set(func(n *network) { n.down = true })
	if _, err := w.vault().PlanDeleteCopy(t.Context(), old, "s3"); fault.CodeOf(err) != fault.PlaceUnreachable {
		t.Errorf("a place that is down: %v", err)
	}
}

// TestPinInAllPlaces: pinned in any is pinned; what a place did not take is
// done later.
func TestPinInAllPlaces(t *testing.T) {
	w := newWorld(t)
	s3, nas := w.threePlaces()
	old, newest := w.two("shop")
	pins := func(id string) int {
		n := 0
		for _, dir := range []string{"place", "s3", "nas"} {
			if _, err := os.Stat(w.path(dir + "/main/shop/" + id + "/" + archive.PinName)); err == nil {
				n++
			}
		}
		return n
	}
	if err := w.vault().Pin(t.Context(), old, true); err != nil || pins(old) != 3 {
		t.Fatalf("%d pins, %v", pins(old), err)
	}
	w.list()
	s3.set(func(n *network) { n.down = true })
	nas.set(func(n *network) { n.before = noRemoval("") })
	err := w.vault().Pin(t.Context(), old, false)
	if fault.CodeOf(err) != fault.Partial || !strings.Contains(fault.As(err).Why, "nas, s3") || pins(old) != 2 {
		t.Fatalf("%d pins, %v", pins(old), err)
	}
	if !w.archive(old).Pinned {
		t.Error("a pin in one place keeps the archive")
	}
	s3.set(func(n *network) { n.down = false })
	nas.set(func(n *network) { n.before = nil })
	if err := w.vault().Pin(t.Context(), newest, true); err != nil || pins(newest) != 3 || pins(old) != 0 {
		t.Errorf("%d and %d pins, %v", pins(newest), pins(old), err)
	}
	s3.set(func(n *network) { n.down = true })
	nas.set(func(n *network) { n.down = true })
	w.conf.Places[0].Store = gone{w.conf.Places[0].Store}
	if err := w.vault().Pin(t.Context(), old, true); fault.CodeOf(err) != fault.PlaceUnreachable {
		t.Errorf("nobody answers: %v", err)
	}
}

// TestBackupTakesTheNextPlace: the first one of copies that answers and has
// room; a remote one takes it without a copy on a disk.
func TestBackupTakesTheNextPlace(t *testing.T) {
	create(t, "origin", "")
	sql(t, "origin", "CREATE TABLE t AS SELECT 1 AS one")
	w := newWorld(t)
	s3, _ := w.threePlaces()
	w.db.Copies = []string{"s3", "disk"}
	p := w.backup(BackupOptions{Database: "origin", NoCopy: true}).ok(t)
	if states(w.list()[0]) != "disk missing, s3 good" || p.done.Proof != ProofReadable || told(p, "goes to") {
		t.Fatalf("%s", states(w.list()[0]))
	}
	if _, err := os.Stat(w.path("place/main/origin")); !os.IsNotExist(err) {
		t.Errorf("something of it is on the disk: %v", err)
	}
	if a := w.list()[0]; a.Copies[1].ReadBack == nil {
		t.Error("the self-check did not read it there")
	}
	s3.set(func(n *network) { n.down = true })
	p = w.backup(BackupOptions{Database: "origin", NoCopy: true}).ok(t)
	if !told(p, "the backup goes to disk") {
		t.Error("nothing says why it went to the disk")
	}
	s3.set(func(n *network) { n.down = false })
	list := w.list()
	if len(list) != 2 || list[0].Seq != 2 || states(list[0]) != "disk good, s3 missing" {
		t.Errorf("number %d: %s", list[0].Seq, states(list[0]))
	}
	w.db.Copies = []string{"disk", "s3"}
	w.conf.Places[0].MinFree = 1 << 60
	p = w.backup(BackupOptions{Database: "origin", NoCopy: true}).ok(t)
	if a := w.list()[0]; !told(p, "are to stay free") || a.Seq != 3 || states(a) != "disk missing, s3 good" {
		t.Errorf("number %d: %s", a.Seq, states(a))
	}
	s3.set(func(n *network) { n.before = func(context.Context, string) error { return errors.New("no") } })
	w.backup(BackupOptions{Database: "origin", NoCopy: true}).failed(t, fault.NoSpace)
	quiet(t)
}
