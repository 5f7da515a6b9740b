package vault

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgvault/fault"
	"pgvault/vault/archive"
	"pgvault/vault/job"
)

var noon = time.Date(2025, 6, 20, 12, 0, 0, 0, time.UTC)

// files gives all files of the place, sorted.
func (w *world) files() []string {
	w.t.Helper()
	var out []string
	err := filepath.WalkDir(w.path("place"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			out = append(out, strings.TrimPrefix(path, w.path("place")+"/"))
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func (w *world) archive(id string) Archive {
	w.t.Helper()
	list := w.list()
	i := slices.IndexFunc(list, func(a Archive) bool { return a.ID == id })
	if i < 0 {
		w.t.Fatalf("%s is not listed", id)
	}
	return list[i]
}

func TestPin(t *testing.T) {
	w := newWorld(t)
	id := w.fabricate(made{database: "shop", at: noon.AddDate(0, 0, -40)})
	w.fabricate(made{database: "shop", at: noon, seq: 2})
	w.db.Keep.Last = 1
	before := w.files()
	v := w.vault()
	for range 2 { // the second time nothing changes
		if err := v.Pin(t.Context(), id, true); err != nil {
			t.Fatal(err)
		}
		if !w.archive(id).Pinned {
			t.Fatal("not pinned")
		}
	}
	for _, d := range w.preview() {
		if d.ID == id && (!d.Keep || !slices.Contains(d.Reasons, "pinned")) {
			t.Errorf("the rules say %+v of a pinned archive", d)
		}
	}
	p, err := v.PlanDelete(t.Context(), id)
	if err != nil || !strings.Contains(p.Refused, "pinned") {
		t.Errorf("a pinned archive: %+v, %v", p, err)
	}
	for range 2 {
		if err := v.Pin(t.Context(), "shop/"+id, false); err != nil {
			t.Fatal(err)
		}
		if w.archive(id).Pinned {
			t.Fatal("still pinned")
		}
	}
	if after := w.files(); !slices.Equal(before, after) {
		t.Errorf("the place before: %v, after: %v", before, after)
	}
	if err := v.Pin(t.Context(), "20200101T000000Z-0000", true); fault.CodeOf(err) != fault.Usage {
		t.Errorf("an archive that is not there: %v", err)
	}
}

func (w *world) preview() []Verdict {
	w.t.Helper()
	d, err := w.vault().RetentionPreview(w.t.Context(), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

// TestPinOfAnybody: a pin without a signature, or with a wrong one, keeps.
func TestPinOfAnybody(t *testing.T) {
	w := newWorld(t)
	id := w.fabricate(made{database: "shop", at: noon})
	w.write("place/main/shop/"+id+"/pin.json", "not even JSON")
	if !w.archive(id).Pinned {
		t.Error("an unsigned pin does not count")
	}
	w.conf.SigningKey, w.conf.TrustedSigners = "", w.path("signers")
	w.write("signers", w.signerLine())
	other := w.fabricateWith(made{database: "shop", at: noon.Add(time.Second), seq: 2})
	if err := w.vault().Pin(t.Context(), other, true); err != nil {
		t.Fatalf("a host without a signing key: %v", err)
	}
	if !w.archive(other).Pinned {
		t.Error("not pinned by a host without a signing key")
	}
}

func (w *world) signerLine() string {
	s, err := archive.PublicOf(w.path("signing"))
	if err != nil {
		w.t.Fatal(err)
	}
	return s + "\n"
}

// fabricateWith signs with the world's key although it is not configured.
func (w *world) fabricateWith(m made) string {
	w.t.Helper()
	s, err := archive.LoadSigner(w.path("signing"))
	if err != nil {
		w.t.Fatal(err)
	}
	id, err := fabricate(w.t, w.store(), s, m)
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

func TestDelete(t *testing.T) {
	w := newWorld(t)
	day := func(n int) time.Time { return noon.AddDate(0, 0, -n) }
	old := w.fabricate(made{database: "shop", at: day(9), proof: ProofRestored, key: "duty"})
	proven := w.fabricate(made{database: "shop", at: day(8), seq: 2, proof: ProofRestored, key: "duty"})
	plain := w.fabricate(made{database: "shop", at: day(7), seq: 3, proof: ProofReadable})
	newest := w.fabricate(made{database: "shop", at: day(6), seq: 4})
	left := w.fabricate(made{database: "shop", at: day(5), seq: 5, partial: true})
	other := w.fabricate(made{database: "wiki", at: day(30)})
	v := w.vault()
	for id, why := range map[string]string{newest: "newest good", proven: "restore has proven", other: "newest good"} {
		p, err := v.PlanDelete(t.Context(), id)
		if err != nil || !strings.Contains(p.Refused, why) {
			t.Fatalf("%s: %+v, %v", why, p, err)
		}
		if err := v.Delete(t.Context(), p); fault.CodeOf(err) != fault.Refused {
			t.Errorf("%s: %v", why, err)
		}
	}
	if len(w.list()) != 6 {
		t.Fatal("a refused deletion removed something")
	}
	for n, id := range []string{old, plain, left} {
		p, err := v.PlanDelete(t.Context(), id)
		if err != nil || p.Refused != "" || len(p.Notes) < 2 || p.Bytes < 100 {
			t.Fatalf("%s: %+v, %v", id, p, err)
		}
		if p.Files[0] != "main/shop/"+id+"/manifest.json" {
			t.Errorf("the manifest is not the first to go: %v", p.Files)
		}
		if err := v.Delete(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		if len(w.list()) != 5-n {
			t.Errorf("%d archives are listed", len(w.list()))
		}
		if err := v.Delete(t.Context(), p); fault.CodeOf(err) != fault.Usage {
			t.Errorf("a second time: %v", err)
		}
		if _, err := os.Stat(w.path("place/main/shop/" + id)); !os.IsNotExist(err) {
			t.Errorf("its folder: %v", err)
		}
	}
}

func TestDeleteRefusesAChangedArchive(t *testing.T) {
	w := newWorld(t)
	id := w.fabricate(made{database: "shop", at: noon.AddDate(0, 0, -9)})
	w.fabricate(made{database: "shop", at: noon, seq: 2})
	v := w.vault()
	p, err := v.PlanDelete(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	w.write("place/main/shop/"+id+"/proof-20261123T120000Z-0000.json", "{}")
	if err := v.Delete(t.Context(), p); fault.CodeOf(err) != fault.Refused {
		t.Errorf("with another file: %v", err)
	}
	if len(w.list()) != 2 {
		t.Error("it was deleted")
	}
}

func TestDeleteWhileItIsRead(t *testing.T) {
	w := newWorld(t)
	id := w.fabricate(made{database: "shop", at: noon.AddDate(0, 0, -9)})
	w.fabricate(made{database: "shop", at: noon, seq: 2})
	v := w.vault()
	_, o, err := v.find(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	done, err := v.reading(o)
	if err != nil {
		t.Fatal(err)
	}
	again, err := v.reading(o)
	if err != nil {
		t.Fatalf("a second reader: %v", err)
	}
	again()
	p, err := v.PlanDelete(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Delete(t.Context(), p); fault.CodeOf(err) != fault.Running {
		t.Errorf("while it is read: %v", err)
	}
	done()
	vf, _ := v.vaultFile(t.Context(), nil)
	alone, err := job.Alone(v.lockDir(), lockName(vf, "shop"), archiveLock(id))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.reading(o); fault.CodeOf(err) != fault.Running {
		t.Errorf("reading what is being deleted: %v", err)
	}
	alone()
	if err := v.Delete(t.Context(), p); err != nil {
		t.Errorf("after it was read: %v", err)
	}
}
