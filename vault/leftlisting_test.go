package vault

import (
	"context"
	"crypto/rand"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgvault/vault/archive"
	"pgvault/vault/store"
)

// onlyLeft is a place in which nothing but vault.json and the listing that
// lies there may be read; with some set, it counts the others.
type onlyLeft struct {
	store.Store
	t    *testing.T
	some *int
}

func (o onlyLeft) Open(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	if name != "main/"+archive.VaultName && !strings.HasPrefix(name, "main/"+archive.ListingFolder+"/") {
		if o.some == nil {
			o.t.Errorf("%s is read", name)
		} else {
			*o.some++
		}
	}
	return o.Store.Open(ctx, name, offset, length)
}

// leftVault has n archives and a listing of them in the place.
func leftVault(t *testing.T, n int) (w *world, want []Archive) {
	w = newWorld(t)
	for i := range n {
		w.fabricate(made{database: "shop", at: noon.Add(-time.Duration(i) * time.Hour), seq: int64(n - i), proof: ProofReadable})
	}
	w.settle()
	v := w.vault()
	v.lookAfter(t.Context(), false)
	return w, w.fresh(v)
}

// leftNames are the objects of listings in the place.
func leftNames(w *world) (names []string) {
	w.t.Helper()
	infos, err := w.disk().List(w.t.Context(), "main/"+archive.ListingFolder+"/")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, i := range infos {
		names = append(names, i.Name)
	}
	return names
}

// newcomer is a host that remembers nothing.
func newcomer(w *world, s store.Store) *Vault {
	w.conf.StateDir = w.t.TempDir()
	w.setPlace(s)
	return w.vault()
}

func TestLeftListing(t *testing.T) {
	w, want := leftVault(t, leaveFrom+3)
	names := leftNames(w)
	if len(names) != 2 {
		t.Fatalf("in the place: %q", names)
	}
	v := newcomer(w, onlyLeft{w.disk(), t, nil})
	if got := w.fresh(v); !same(t, got, want) {
		t.Errorf("listed %d archives from what was left, %d before", len(got), len(want))
	}
	v.lookAfter(t.Context(), false)
	if again := leftNames(w); again[0] != names[0] {
		t.Errorf("nothing is new, and there is another listing: %q, then %q", names, again)
	}
}

// TestLeftListingIsReplaced: by one that tells of more, and the old one goes.
func TestLeftListingIsReplaced(t *testing.T) {
	w, _ := leftVault(t, leaveFrom)
	before := leftNames(w)
	for i := range leaveFrom {
		w.fabricate(made{database: "wiki", at: noon.Add(-time.Duration(i) * time.Hour), seq: int64(leaveFrom - i)})
	}
	w.settle()
	v := w.vault()
	v.now = func() time.Time { return noon.AddDate(1, 0, 0) }
	v.lookAfter(t.Context(), false)
	after := leftNames(w)
	if len(after) != 2 || after[0] == before[0] {
		t.Errorf("%q, then %q", before, after)
	}
	if got := w.fresh(newcomer(w, onlyLeft{w.disk(), t, nil})); len(got) != 2*leaveFrom {
		t.Errorf("%d archives", len(got))
	}
}

// TestLeftListingHidesNoDamage: an archive that changed since is read.
func TestLeftListingHidesNoDamage(t *testing.T) {
	w, want := leftVault(t, leaveFrom)
	w.change(t, want[5], archive.ManifestName, func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
	w.settle()
	read := 0
	got := w.fresh(newcomer(w, onlyLeft{w.disk(), t, &read}))
	if got[5].State == "good" || got[4].State != "good" || read == 0 || read > 10 {
		t.Errorf("%s beside %s, %d objects read", got[5].State, got[4].State, read)
	}
}

// TestLeftListingOfAStranger is passed over: it says that all is well.
func TestLeftListingOfAStranger(t *testing.T) {
	for _, c := range []string{"signed by a stranger", "no signature", "cut"} {
		t.Run(c, func(t *testing.T) {
			w, want := leftVault(t, leaveFrom)
			names := leftNames(w)
			listing := filepath.Join(w.path("place"), names[0])
			src, err := os.ReadFile(listing)
			if err != nil {
				t.Fatal(err)
			}
			switch c {
			case "no signature":
				err = os.Remove(filepath.Join(w.path("place"), names[1]))
			case "cut":
				err = os.WriteFile(listing, src[:len(src)/2], 0o600)
			default:
				pem, kerr := archive.NewSigningKey(rand.Reader, "stranger")
				if kerr != nil {
					t.Fatal(kerr)
				}
				w.write("stranger", string(pem))
				signer, kerr := archive.LoadSigner(w.path("stranger"))
				if kerr != nil {
					t.Fatal(kerr)
				}
				err = archive.PublishListing(t.Context(), w.disk(), "main", noon.AddDate(1, 0, 0), src, signer, rand.Reader)
			}
			if err != nil {
				t.Fatal(err)
			}
			read := 0
			got := w.fresh(newcomer(w, onlyLeft{w.disk(), t, &read}))
			if !same(t, got, want) || read < 2*leaveFrom {
				t.Errorf("%d archives, %d objects read", len(got), read)
			}
		})
	}
}

func TestWorthLeaving(t *testing.T) {
	for _, c := range []struct {
		n, left int
		want    bool
	}{{10, 0, false}, {63, 0, false}, {64, 0, true}, {64, 64, false}, {127, 64, false}, {128, 64, true}, {10000, 9000, false}, {10000, 8700, true}, {100, 200, true}} {
		if got := worthLeaving(c.n, c.left); got != c.want {
			t.Errorf("%d archives, the last told of %d: %v", c.n, c.left, got)
		}
	}
}
