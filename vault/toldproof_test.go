package vault

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgvault/fault"
	"pgvault/vault/archive"
)

// toldIn gives the proofs that lie beside an archive in a place: how many of
// its own, and how many that were brought there.
func (w *world) toldIn(place string, a Archive) (home, told int) {
	w.t.Helper()
	entries, err := os.ReadDir(filepath.Join(w.placeDir(place), "main", archive.EncodeName(a.Database), a.ID))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range entries {
		switch {
		case !archive.IsProof(e.Name()):
		case archive.IsTold(e.Name()):
			told++
		default:
			home++
		}
	}
	return home, told
}

// aloneAs is the vault of a machine that knows one of the places only, and
// calls it as it likes.
func (w *world) aloneAs(place, name string) *world {
	o := *w
	o.conf.Places, o.conf.StateDir = nil, filepath.Join(w.t.TempDir(), "state")
	for _, p := range w.conf.Places {
		if p.Name == place {
			p.Name = name
			o.conf.Places = append(o.conf.Places, p)
		}
	}
	return &o
}

// toldWorld has an archive of a database in two places.
func toldWorld(t *testing.T, database string) (*world, Archive) {
	t.Helper()
	create(t, database, "")
	sql(t, database, "CREATE TABLE t AS SELECT g AS v FROM generate_series(1, 100) g")
	w := newWorld(t)
	w.places("second")
	w.backup(BackupOptions{Database: database}).ok(t)
	return w, w.list()[0]
}

// TestProofIsToldEverywhere: what a restore has proven of the copy in one
// place is known from any other alone, which does not pass for read back.
func TestProofIsToldEverywhere(t *testing.T) {
	w, a := toldWorld(t, "told_all")
	if home, told := w.toldIn("second", a); home != 1 || told != 1 { // read back there; the self-check of the first copy
		t.Fatalf("after the backup: %d, %d", home, told)
	}
	p := &tape{}
	p.err = w.vault().Verify(t.Context(), VerifyOptions{ID: a.ID, Level: ProofRestored, Identities: w.ids, Place: "disk"}, p.sink)
	p.check(t)
	p.ok(t)
	if home, told := w.toldIn("second", a); home != 1 || told != 2 {
		t.Errorf("after the proof: %d, %d", home, told)
	}
	both := w.list()[0]
	if len(both.Proofs) != 4-1 || slices.ContainsFunc(both.Proofs, func(p ProofRecord) bool { return p.Told }) {
		t.Errorf("seen from both places: %+v", both.Proofs)
	}
	for _, name := range []string{"second", "disk", "elsewhere"} {
		alone := w.aloneAs("second", name).list()[0]
		if alone.Proof != ProofRestored || alone.State != "good" || !slices.ContainsFunc(alone.Proofs, func(p ProofRecord) bool { return p.Told && p.Place == "disk" && p.Level == ProofRestored }) {
			t.Errorf("as %s: %s, %+v", name, alone.Proof, alone.Proofs)
		}
		back := alone.Copies[0].ReadBack
		if name == "second" && (back == nil || !back.Equal(*both.Copies[1].ReadBack)) || name != "second" && back != nil {
			t.Errorf("as %s, read back %v", name, back)
		}
	}
	// A machine that has nothing but the other place takes it as the proven one.
	b := w.aloneAs("second", "disk").recoverBare(t)
	d := b.recoverPlan(t, RecoverOptions{As: map[string]string{"told_all": "told_all_back"}}).Databases[0]
	if d.Proven == nil || d.Proven.ID != a.ID {
		t.Errorf("recover: %+v", d)
	}
	recoverSays(t, d.Checks, "ok", "a restore has proven it")
	recoverSays(t, d.Checks, "ok", "the copy in disk: not read back since it was written")
}

// TestProofIsToldLater: a place that did not answer is told by the next copy,
// once, and a plan says so before.
func TestProofIsToldLater(t *testing.T) {
	w, a := toldWorld(t, "told_later")
	places := slices.Clone(w.conf.Places)
	w.conf.Places[1].Store, w.conf.Places[1].Err = nil, &fault.Error{What: "second is away", Code: fault.PlaceUnreachable}
	p := w.verify(a.ID, ProofReadable).ok(t)
	if !slices.ContainsFunc(all[Notice](p), func(n Notice) bool { return strings.Contains(n.Text, "does not lie in second yet") }) {
		t.Errorf("%+v", all[Notice](p))
	}
	w.conf.Places = places
	if plan, err := w.vault().PlanCopy(t.Context(), CopyOptions{Missing: true}); err != nil || plan.Proofs != 1 || len(plan.Copies) != 0 {
		t.Fatalf("%+v, %v", plan, err)
	}
	p = w.copyAll(w.vault(), CopyOptions{Missing: true}).ok(t)
	if !slices.ContainsFunc(all[Notice](p), func(n Notice) bool {
		return strings.Contains(n.Text, "1 proof that lay in one place only told to the others")
	}) {
		t.Errorf("%+v", all[Notice](p))
	}
	_, before := w.toldIn("second", a)
	w.copyAll(w.vault(), CopyOptions{Missing: true}).ok(t)
	if _, told := w.toldIn("second", a); told != 2 || before != 2 {
		t.Errorf("%d, then %d were told", before, told)
	}
	if plan, err := w.vault().PlanCopy(t.Context(), CopyOptions{Missing: true}); err != nil || plan.Proofs != 0 {
		t.Errorf("%+v, %v", plan, err)
	}
	// So does the next backup, the other way round.
	p = &tape{}
	p.err = w.aloneAs("second", "second").vault().Verify(t.Context(), VerifyOptions{ID: a.ID, Level: ProofReadable, Identities: w.ids}, p.sink)
	p.check(t)
	p.ok(t)
	if _, told := w.toldIn("disk", a); told != 0 {
		t.Errorf("%d told to a place that was not configured", told)
	}
	w.backup(BackupOptions{Database: "told_later"}).ok(t)
	if _, told := w.toldIn("disk", a); told != 1 {
		t.Errorf("%d told by the backup", told)
	}
}

// TestFailureIsToldEverywhere: what was met after the stored bytes had been
// found right speaks against every copy, also where the other place is not
// known; what was met in the bytes of one copy stays with it; and a success
// anywhere answers the former.
func TestFailureIsToldEverywhere(t *testing.T) {
	w, a := toldWorld(t, "told_bad")
	v := w.vault()
	signer, err := archive.LoadSigner(w.conf.SigningKey)
	if err != nil {
		t.Fatal(err)
	}
	f, err := v.locate(t.Context(), a.ID, "disk")
	if err != nil {
		t.Fatal(err)
	}
	say := func(level Proof, result string) {
		t.Helper()
		if err := v.addProofEverywhere(t.Context(), nil, &f.copies[0], signer, archive.ProofFile{Level: string(level), Result: result, Note: "row 7 is wrong"}); err != nil {
			t.Fatal(err)
		}
	}
	say(ProofIntact, "failed")
	if got := w.aloneAs("second", "second").list()[0]; got.State != "good" {
		t.Errorf("another copy's bytes: %s, %s", got.State, got.Reason)
	}
	say(ProofRestored, "failed")
	if got := w.aloneAs("second", "other").list()[0]; got.State != "damaged" || got.Reason != "row 7 is wrong" {
		t.Errorf("a failure of the archive: %s, %s", got.State, got.Reason)
	}
	say(ProofRestored, "ok")
	if got := w.aloneAs("second", "other").list()[0]; got.State != "good" || got.Proof != ProofRestored {
		t.Errorf("answered: %s, %s", got.State, got.Reason)
	}
	// A stranger's proof, or one of another archive, is not told on.
	if _, _, err := f.copies[0].o.ReadProof(t.Context(), nil, "proof-20200101T000000Z-0000.json"); err == nil {
		t.Error("a proof that is not there was read")
	}
}

// TestNoProofWithoutArchive: a place that does not have the archive, or has
// another one under its id, is told nothing.
func TestNoProofWithoutArchive(t *testing.T) {
	w, a := toldWorld(t, "told_none")
	dir := filepath.Join(w.placeDir("second"), "main", "told_none", a.ID)
	if err := os.Remove(filepath.Join(dir, archive.ManifestName)); err != nil {
		t.Fatal(err)
	}
	_, before := w.toldIn("second", a)
	p := w.verify(a.ID, ProofReadable).ok(t)
	if _, told := w.toldIn("second", a); told != before {
		t.Errorf("%d told, before %d", told, before)
	}
	if slices.ContainsFunc(all[Notice](p), func(n Notice) bool { return strings.Contains(n.Text, "yet") }) {
		t.Errorf("%+v", all[Notice](p))
	}
}

// TestToldProofIsDeleted: it goes with the copy that it lies beside.
func TestToldProofIsDeleted(t *testing.T) {
	w, a := toldWorld(t, "told_gone")
	w.verify(a.ID, ProofReadable).ok(t)
	w.backup(BackupOptions{Database: "told_gone"}).ok(t)
	_, disk := w.toldIn("disk", a)
	if _, second := w.toldIn("second", a); disk+second != 2 { // the self-check to second; this one to where it was not read
		t.Fatalf("%d and %d told", disk, second)
	}
	if _, err := w.delete(a.ID, ""); err != nil {
		t.Fatal(err)
	}
	for _, place := range []string{"disk", "second"} {
		if left, _ := filepath.Glob(filepath.Join(w.placeDir(place), "main", "told_gone", a.ID, "*")); len(left) > 0 {
			t.Errorf("left in %s: %v", place, left)
		}
	}
}
