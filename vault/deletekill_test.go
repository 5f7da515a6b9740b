package vault

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"pgvault/vault/archive"
	"pgvault/vault/store"
)

var errKilled = errors.New("killed")

// dying is a place for a process that is killed after so many changes:
// nothing it asks for happens any more.
type dying struct {
	store.Store
	left *int
}

func (d dying) Create(ctx context.Context, name string) (store.Writer, error) {
	if *d.left--; *d.left < 0 {
		return nil, errKilled
	}
	return d.Store.Create(ctx, name)
}

func (d dying) Remove(ctx context.Context, name string) error {
	if *d.left--; *d.left < 0 {
		return errKilled
	}
	return d.Store.Remove(ctx, name)
}

// TestDeleteKilled stops a deletion before each of its changes: the archive
// is whole or not there, and the next deletion leaves nothing of it, and
// does not touch what another host is just writing.
func TestDeleteKilled(t *testing.T) {
	for after := 0; ; after++ {
		w := newWorld(t)
		id := w.fabricate(made{database: "shop", at: noon, proof: ProofReadable})
		second := w.fabricate(made{database: "shop", at: noon.Add(1), seq: 2})
		w.fabricate(made{database: "shop", at: noon.Add(2), seq: 3})
		foreign := "main/wiki/20250601T000000Z-0001/" + archive.MainPart
		if err := archive.Publish(t.Context(), w.store(), foreign, []byte("half a dump")); err != nil {
			t.Fatal(err)
		}
		place := w.store()
		left := after
		w.setPlace(dying{place, &left})
		v := w.vault()
		p, err := v.PlanDelete(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		killed := v.Delete(t.Context(), p)
		w.setPlace(place)
		list := w.list()
		there := slices.IndexFunc(list, func(a Archive) bool { return a.ID == id })
		if there >= 0 && list[there].State != "good" {
			t.Errorf("killed after %d changes, the archive is %s: %s", after, list[there].State, list[there].Reason)
		}
		if left < 0 && !errors.Is(killed, errKilled) {
			t.Errorf("killed after %d changes, and it says %v", after, killed)
		}
		if gone := after >= 2; gone != (there < 0) { // the mark, then the manifest
			t.Errorf("killed after %d changes, found at %d", after, there)
		}
		if p, err = w.vault().PlanDelete(t.Context(), second); err == nil {
			err = errors.Join(err, w.vault().Delete(t.Context(), p))
		}
		if err != nil {
			t.Fatal(err)
		}
		rest := strings.Join(w.files(), "\n")
		if there < 0 && strings.Contains(rest, id) {
			t.Errorf("killed after %d changes, the next deletion left %s", after, rest)
		}
		if !strings.Contains(rest, foreign) {
			t.Error("the unfinished backup of another host was touched")
		}
		if left >= 0 { // it was not killed at all
			if after < 8 || there >= 0 || killed != nil {
				t.Errorf("a whole deletion after %d changes: %v", after, killed)
			}
			return
		}
	}
}

// TestDeleteKeepsWhatIsNotIts: a file that pgvault did not write stays, and
// the plan says so.
func TestDeleteKeepsWhatIsNotIts(t *testing.T) {
	w := newWorld(t)
	id := w.fabricate(made{database: "shop", at: noon})
	w.fabricate(made{database: "shop", at: noon.Add(1), seq: 2})
	w.write("place/main/shop/"+id+"/README", "mine")
	p, err := w.vault().PlanDelete(t.Context(), id)
	if err != nil || !strings.Contains(strings.Join(p.Notes, "\n"), "README") {
		t.Fatalf("%+v, %v", p, err)
	}
	if err := w.vault().Delete(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(w.path("place/main/shop/" + id))
	if err != nil || len(left) != 1 || left[0].Name() != "README" {
		t.Errorf("%v, %v", left, err)
	}
}
