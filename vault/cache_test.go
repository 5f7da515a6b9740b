package vault

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pgvault/fault"
	"pgvault/vault/archive"
)

// settle lets the files of the place be older than a stamp wants, as if a
// while had passed since they were written: it waits on the one clock that
// cannot be set, the file system's.
func (w *world) settle() {
	w.t.Helper()
	until(w.t, "all files have a stamp", func() bool {
		infos, err := w.store().List(w.t.Context(), "")
		if err != nil {
			w.t.Fatal(err)
		}
		for _, i := range infos {
			if i.Stamp == "" {
				return false
			}
		}
		return true
	})
}

func (w *world) fresh(v *Vault) []Archive {
	w.t.Helper()
	l, err := v.Listing(w.t.Context(), true)
	if err != nil || l.Cached {
		w.t.Fatalf("cached %v, %v", l.Cached, err)
	}
	return l.Archives
}

// same compares what people and scripts see of two listings.
func same(t *testing.T, a, b []Archive) bool {
	t.Helper()
	x, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Equal(x, y)
}

// TestListingIsRemembered: at once and without the place, the same as when
// it was asked.
func TestListingIsRemembered(t *testing.T) {
	w := newWorld(t)
	w.fabricate(made{database: "shop", at: noon, proof: ProofReadable})
	w.fabricate(made{database: "wiki", at: noon, partial: true})
	if l, err := w.vault().Listing(t.Context(), false); err != nil || l.Cached || len(l.Archives) != 2 {
		t.Fatalf("nothing is remembered yet: %+v, %v", l, err)
	}
	want := w.fresh(w.vault())
	w.setPlace(gone{w.store()})
	l, err := w.vault().Listing(t.Context(), false)
	if err != nil || !l.Cached || l.At.IsZero() || !same(t, l.Archives, want) {
		t.Errorf("remembered: %+v, %v\nlisted: %+v", l, err, want)
	}
	if _, err := w.vault().Listing(t.Context(), true); fault.CodeOf(err) != fault.PlaceUnreachable {
		t.Errorf("a fresh listing without the place: %v", err)
	}
	for _, f := range w.listingFiles() {
		if fi, err := os.Stat(f); err != nil || fi.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f, fi.Mode(), err)
		}
	}
}

func (w *world) listingFiles() []string {
	w.t.Helper()
	files, err := filepath.Glob(w.path("state/listing/*"))
	if err != nil || len(files) != 1 {
		w.t.Fatalf("%v, %v", files, err)
	}
	return files
}

// TestRememberedHidesNothing changes an archive in every way that leaves
// names and sizes as they are, also with the old time of change, and looks
// with a new process's eyes.
func TestRememberedHidesNothing(t *testing.T) {
	w := newWorld(t)
	id := w.fabricate(made{database: "shop", at: noon, proof: ProofRestored, key: "duty"})
	other := w.fabricate(made{database: "shop", at: noon.Add(time.Hour), seq: 2, proof: ProofReadable})
	w.settle()
	w.fresh(w.vault())
	folder := w.path("place/main/shop/"+id) + "/"
	for _, name := range []string{archive.ManifestName, archive.SignatureName} {
		src, err := os.ReadFile(folder + name)
		if err != nil {
			t.Fatal(err)
		}
		fi, err := os.Stat(folder + name)
		if err != nil {
			t.Fatal(err)
		}
		bad := append([]byte(nil), src...)
		bad[len(bad)/2] ^= 1
		put := func(data []byte) {
			if err := os.WriteFile(folder+name, data, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(folder+name, fi.ModTime(), fi.ModTime()); err != nil {
				t.Fatal(err)
			}
		}
		put(bad)
		for _, a := range w.fresh(w.vault()) {
			if a.ID == id && a.State == "good" {
				t.Errorf("%s was changed, and the archive is %s", name, a.State)
			}
			if a.ID == other && a.State != "good" {
				t.Errorf("the other one is %s", a.State)
			}
		}
		put(src)
		if a := w.archive(id); a.State != "good" || a.Proof != ProofRestored {
			t.Errorf("%s is as it was, the archive %s, %s: %s", name, a.State, a.Proof, a.Reason)
		}
		w.settle()
		w.fresh(w.vault())
	}
	if err := os.Truncate(folder+archive.MainPart, 3); err != nil {
		t.Fatal(err)
	}
	if a := w.archive(id); a.State != "damaged" {
		t.Errorf("a part was cut, and the archive is %s", a.State)
	}
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	if l := w.fresh(w.vault()); len(l) != 1 || l[0].ID != other {
		t.Errorf("one was removed: %+v", l)
	}
}

// TestRememberedUnderOtherTrust: what was good under one set of keys is
// looked at again under another.
func TestRememberedUnderOtherTrust(t *testing.T) {
	w := newWorld(t)
	id := w.fabricate(made{database: "shop", at: noon})
	w.settle()
	w.fresh(w.vault())
	if s := w.archive(id).State; s != "good" {
		t.Fatal(s)
	}
	stranger := newWorld(t)
	w.conf.SigningKey = stranger.conf.SigningKey
	if s := w.archive(id).State; s != "foreign" {
		t.Errorf("signed by a key that is not trusted any more, and %s", s)
	}
}

// TestRememberedIsTakenOver: what has not changed is not read again.
func TestRememberedIsTakenOver(t *testing.T) {
	w := newWorld(t)
	w.fabricate(made{database: "shop", at: noon, proof: ProofReadable})
	w.settle()
	want := w.fresh(w.vault())
	w.setPlace(onlyLists{w.store(), t})
	if got := w.fresh(w.vault()); !same(t, got, want) {
		t.Errorf("taken over: %+v\nlisted: %+v", got, want)
	}
	for _, f := range w.listingFiles() {
		if err := os.WriteFile(f, []byte("rubbish"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.setPlace(w.disk())
	if got := w.fresh(w.vault()); !same(t, got, want) {
		t.Errorf("with a listing that cannot be read: %+v", got)
	}
}

// TestDecisionsDoNotTrustWhatIsRemembered: a remembered listing that says
// otherwise does not let the newest good archive go.
func TestDecisionsDoNotTrustWhatIsRemembered(t *testing.T) {
	w := newWorld(t)
	id := w.fabricate(made{database: "shop", at: noon})
	v := w.vault()
	w.fresh(v)
	for _, r := range v.listed {
		r.archives[0].State = "damaged"
	}
	p, err := v.PlanDelete(t.Context(), id)
	if err != nil || p.Refused == "" {
		t.Errorf("%+v, %v", p, err)
	}
}
