package vault

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgvault/fault"
	"pgvault/vault/archive"
	"pgvault/vault/retention"
	"pgvault/vault/store"
)

// TestRetentionRemovesWhatCannotBeRead: an archive whose manifest is damaged
// is marked once, and goes when its grace is over.
func TestRetentionRemovesWhatCannotBeRead(t *testing.T) {
	w, ids := aged(t, 4)
	w.harm("place", "shop", ids[0], archive.ManifestName)
	if err := os.Truncate(w.path("place/main/shop/"+ids[1]+"/"+archive.MainPart), 3); err != nil {
		t.Fatal(err)
	}
	if got := w.steps(noon); got != "keep keep mark mark" {
		t.Fatal(got)
	}
	if _, err := w.retain(noon); err != nil {
		t.Fatal(err)
	}
	if got := w.steps(noon.Add(47 * time.Hour)); got != "keep keep wait wait" {
		t.Fatal(got)
	}
	if _, err := w.retain(noon.Add(48 * time.Hour)); err != nil {
		t.Fatal(err)
	}
	if n := len(w.list()); n != 2 {
		t.Errorf("%d are left", n)
	}
}

// TestRetentionKeepsTheNewestUnread: an archive whose manifest is damaged has
// no number any more; it is newer than every good one all the same, by its
// name, and goes only when a good one was made after it.
func TestRetentionKeepsTheNewestUnread(t *testing.T) {
	w, ids := aged(t, 4)
	w.harm("place", "shop", ids[3], archive.ManifestName)
	if got := w.steps(noon); got != "keep keep keep mark" {
		t.Error(got)
	}
	for _, at := range []time.Time{noon, noon.Add(48 * time.Hour)} {
		if _, err := w.retain(at); err != nil {
			t.Fatal(err)
		}
	}
	if a := w.archive(ids[3]); a.Expires != nil || len(w.list()) != 3 {
		t.Errorf("%+v", w.list())
	}
	w.fabricate(made{database: "shop", at: noon.Add(49 * time.Hour), seq: 5})
	if got := w.steps(noon.Add(50 * time.Hour)); got != "keep mark keep mark" {
		t.Error(got)
	}
}

// TestRetentionReplacesAMarkOfNothing: what lies under the mark's name and is
// none does not keep an archive for ever.
func TestRetentionReplacesAMarkOfNothing(t *testing.T) {
	w, ids := aged(t, 3)
	at := archive.Folder("main", "shop", ids[0]) + archive.ExpiresName
	if err := archive.Publish(t.Context(), w.store(), at, []byte(`{"format":1}`)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		steps string
		now   time.Time
	}{{"keep keep mark", noon}, {"keep keep remove", noon.Add(48 * time.Hour)}, {"keep keep", noon.Add(49 * time.Hour)}} {
		if got := w.steps(want.now); got != want.steps {
			t.Fatalf("%s, not %s", got, want.steps)
		}
		if _, err := w.retain(want.now); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRetentionLeavesANewerFormat: what a newer pgvault wrote is not damaged,
// and not for this one to remove.
func TestRetentionLeavesANewerFormat(t *testing.T) {
	w, ids := aged(t, 4)
	path := w.path("place/main/shop/" + ids[0] + "/" + archive.ManifestName)
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	src = []byte(strings.Replace(string(src), `"format": 1`, `"format": 2`, 1))
	sig, err := w.signer().Sign(src, archive.ManifestNamespace)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{archive.ManifestName: src, archive.SignatureName: sig} {
		at := filepath.Join(filepath.Dir(path), name)
		if err := errors.Join(os.Chmod(at, 0o600), os.WriteFile(at, text, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	a := w.archive(ids[0])
	if a.State != "foreign" || !strings.Contains(a.Reason, "its format is 2, this pgvault reads 1") {
		t.Errorf("%s: %s", a.State, a.Reason)
	}
	if got := w.steps(noon); got != "keep keep mark keep" {
		t.Error(got)
	}
}

// TestUndoWhereAPlaceIsAway: a mark that one place still has does not remove
// what was undone in another, whatever its age.
func TestUndoWhereAPlaceIsAway(t *testing.T) {
	w, ids := agedTwice(t, 4)
	places := slices.Clone(w.conf.Places)
	if _, err := w.retain(noon); err != nil {
		t.Fatal(err)
	}
	if got := w.steps(noon.Add(time.Hour)); got != "keep keep wait wait" {
		t.Fatal(got)
	}
	w.conf.Places[1].Store = gone{places[1].Store}
	err := w.vaultAt(noon.Add(time.Hour)).KeepMarked(t.Context(), ids[0])
	if fault.CodeOf(err) != fault.Partial || !strings.Contains(fault.As(err).Left, "not marked any more") {
		t.Fatalf("%v", err)
	}
	w.conf.Places[1].Store = places[1].Store
	later := noon.Add(200 * time.Hour)
	if got := w.steps(later); got != "keep keep remove mark" {
		t.Fatal(got)
	}
	if _, err := w.retain(later); err != nil {
		t.Fatal(err)
	}
	if a := w.archive(ids[0]); a.Expires == nil || !a.Expires.Equal(later.Add(48*time.Hour)) || len(w.list()) != 3 {
		t.Errorf("%+v", a)
	}
	if got := w.steps(later.Add(48 * time.Hour)); got != "keep keep remove" {
		t.Error(got)
	}
}

// agedTwice is aged in two places.
func agedTwice(t *testing.T, n int) (w *world, ids []string) {
	t.Helper()
	w, ids = aged(t, n)
	w.places("second")
	for _, id := range ids {
		if err := os.CopyFS(w.path("second/main/shop/"+id), os.DirFS(w.path("place/main/shop/"+id))); err != nil {
			t.Fatal(err)
		}
	}
	src, err := os.ReadFile(w.path("place/main/" + archive.VaultName))
	if err == nil {
		err = os.WriteFile(w.path("second/main/"+archive.VaultName), src, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return w, ids
}

// undoing is a place in which somebody else does something before the first
// mark of deletion is written.
type undoing struct {
	store.Store
	once func()
}

func (u *undoing) Unwrap() store.Store { return u.Store }
func (u *undoing) Create(ctx context.Context, name string) (store.Writer, error) {
	if strings.HasSuffix(name, archive.DeletedName) && u.once != nil {
		u.once()
		u.once = nil
	}
	return u.Store.Create(ctx, name)
}

// TestUndoWhileOthersGo: a mark that is taken away while a run removes other
// archives keeps its own.
func TestUndoWhileOthersGo(t *testing.T) {
	w, ids := aged(t, 6)
	if _, err := w.retain(noon); err != nil {
		t.Fatal(err)
	}
	later, real := noon.Add(48*time.Hour), w.store()
	other := *w // another host
	other.conf.StateDir = w.path("other-state")
	other.conf.Places = slices.Clone(w.conf.Places)
	w.setPlace(&undoing{Store: real, once: func() {
		for _, id := range ids[:2] {
			if err := other.vaultAt(later).KeepMarked(t.Context(), id); err != nil {
				t.Error(err)
			}
		}
	}})
	v := w.vaultAt(later)
	p, err := v.PlanRetention(t.Context(), nil)
	if err != nil || p.Count(retention.StepRemove) != 4 {
		t.Fatalf("%+v, %v", p, err)
	}
	var gone []string
	if err := v.ApplyRetention(t.Context(), p, 4, func(one Verdict) { gone = append(gone, one.ID) }); err != nil {
		t.Fatal(err)
	}
	w.setPlace(real)
	if want := []string{ids[3], ids[2]}; !slices.Equal(gone, want) {
		t.Errorf("%v went, not %v", gone, want)
	}
	if len(w.list()) != 4 || w.archive(ids[0]).State != "good" || w.archive(ids[1]).Expires != nil {
		t.Errorf("%+v", w.list())
	}
	if got := w.steps(later); got != "keep keep mark mark" {
		t.Errorf("%s", got)
	}
}

// TestUndoOfWhatIsBeingRemoved: on one host, an undo never says that it kept
// what is going.
func TestUndoOfWhatIsBeingRemoved(t *testing.T) {
	w, ids := aged(t, 3)
	if _, err := w.retain(noon); err != nil {
		t.Fatal(err)
	}
	later, real := noon.Add(48*time.Hour), w.store()
	var undo error
	w.setPlace(&undoing{Store: real, once: func() {
		same := *w
		same.conf.Places = slices.Clone(w.conf.Places)
		same.setPlace(real)
		undo = same.vaultAt(later).KeepMarked(t.Context(), ids[0])
	}})
	if _, err := w.retain(later); err != nil {
		t.Fatal(err)
	}
	if fault.CodeOf(undo) != fault.Running || !strings.Contains(undo.Error(), "being deleted") {
		t.Errorf("%v", undo)
	}
	if len(w.list()) != 2 {
		t.Errorf("%+v", w.list())
	}
}

// refusing is a place that removes nothing.
type refusing struct{ store.Store }

func (r refusing) Unwrap() store.Store { return r.Store }

func (r refusing) Remove(context.Context, string) error { return gone{}.unreachable() }

// TestUndoOfWhatWaitsForAPlace: a removal that one place did not take does not
// go on there once the mark is taken away, but does while it is there, and
// where a person asked for it.
func TestUndoOfWhatWaitsForAPlace(t *testing.T) {
	later := noon.Add(48 * time.Hour)
	for name, c := range map[string]struct{ byHand, undo, stays bool }{
		"undone": {undo: true, stays: true}, "not undone": {}, "asked for by a person": {byHand: true, undo: true},
	} {
		t.Run(name, func(t *testing.T) {
			w, ids := agedTwice(t, 3)
			real := w.conf.Places[1].Store
			if _, err := w.retain(noon); err != nil {
				t.Fatal(err)
			}
			w.conf.Places[1].Store = refusing{real}
			var err error
			if c.byHand {
				_, err = w.delete(ids[0], "")
			} else {
				_, err = w.retain(later)
			}
			if fault.CodeOf(err) != fault.Partial {
				t.Fatalf("%v", err)
			}
			w.conf.Places[1].Store = real
			if c.undo {
				if err := w.vaultAt(later).KeepMarked(t.Context(), ids[0]); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := w.retain(later.Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			if n := len(w.list()); n != map[bool]int{true: 3, false: 2}[c.stays] {
				t.Errorf("%d archives are left", n)
			}
			if c.stays {
				if a := w.archive(ids[0]); a.State != "good" || a.Expires == nil || !a.Expires.Equal(later.Add(49*time.Hour)) {
					t.Errorf("its grace is not new: %+v", a)
				}
			}
			if left, _ := filepath.Glob(w.path("state/pending/*")); len(left) > 0 {
				t.Errorf("something still waits: %v", left)
			}
		})
	}
}

// TestCutShort: which listings look as if their end were missing.
func TestCutShort(t *testing.T) {
	names := func(from, to int) (out []string) {
		for i := from; i < to; i++ {
			out = append(out, fmt.Sprintf("shop/2026%04d", i))
		}
		return out
	}
	for name, c := range map[string]struct {
		had, now []string
		lost     int
	}{
		"the same":                   {names(0, 9), names(0, 9), 0},
		"more":                       {names(0, 9), names(0, 12), 0},
		"nothing was known":          {nil, names(0, 9), 0},
		"nothing is listed":          {names(0, 2), nil, 2},
		"the oldest went, by hand":   {names(0, 20), names(3, 20), 0},
		"the oldest went, too many":  {names(0, 20), names(7, 20), 7},
		"the oldest third":           {names(0, 21), names(7, 21), 0},
		"a page of the end":          {names(0, 143), names(0, 100), 43},
		"the end, by hand":           {names(0, 143), names(0, 140), 0},
		"another took the only one":  {names(0, 1), names(1, 2), 0},
		"all are other ones":         {names(0, 9), names(9, 18), 9},
		"a gap before the newest":    {names(0, 100), append(names(0, 70), names(90, 100)...), 0},
		"the end, and newer ones":    {names(0, 40), append(names(0, 35), names(41, 44)...), 0},
		"a database after the other": {append([]string{"crm/1", "crm/2", "crm/3", "crm/4", "crm/5"}, names(0, 20)...), append([]string{"crm/1", "crm/2", "crm/3", "crm/4", "crm/5"}, names(0, 16)...), 4},
	} {
		if got := (retained{"p": c.had}).lost("p", c.now); got != c.lost {
			t.Errorf("%s: %d, not %d", name, got, c.lost)
		}
	}
}

// noClock is a place that ought to tell its time, and does not.
type noClock struct{ clocked }

func (n *noClock) ServerTime(context.Context) (time.Time, error) {
	return time.Time{}, &fault.Error{What: "no answer", Why: "it hung up", Code: fault.PlaceUnreachable}
}

// TestRetentionWantsTheTime: a clock that cannot be compared is as bad as one
// that is wrong.
func TestRetentionWantsTheTime(t *testing.T) {
	w, _ := aged(t, 5)
	w.setPlace(&noClock{clocked{Store: w.store()}})
	p, err := w.retain(noon)
	if fault.CodeOf(err) != fault.Refused || !strings.Contains(p.Refused, "does not tell its time") || !strings.Contains(p.Refused, "it hung up") {
		t.Errorf("%q, %v", p.Refused, err)
	}
}
