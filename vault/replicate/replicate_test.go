package replicate

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgvault/fault"
	"pgvault/vault/archive"
	"pgvault/vault/store"
)

const someMB = 5<<20 + 12345

// TestOneReadForAll copies to three places at once and counts the bytes that
// the source gives.
func TestOneReadForAll(t *testing.T) {
	w := newWorld(t)
	a := w.place("a", true)
	m := w.make(a, someMB)
	from := &faulty{Store: a.Store, on: ".age"}
	to := []Place{w.place("b", false), w.place("c", true), w.place("d", false)}
	var o told
	r := fine(t, Copy(t.Context(), o.hear(w.task(m, []Place{{Name: "a", Store: from}}, to))))
	o.check(t, r)
	total := int64(someMB + 100 + 1000)
	if from.reads.Load() != total || from.opens.Load() != 3 {
		t.Errorf("%d bytes were read in %d readings, the archive has %d in 3 parts", from.reads.Load(), from.opens.Load(), total)
	}
	for i, p := range to {
		w.whole(p, m)
		if out := r.Outcomes[i]; out.Sent != total || out.There != 0 || out.Healed != nil || out.Place != p.Name {
			t.Errorf("%+v", out)
		}
		vf, err := archive.ReadVault(t.Context(), p.Store, testVault)
		if err != nil || vf.ID != w.vault.ID {
			t.Errorf("vault file in %s: %+v, %v", p.Name, vf, err)
		}
	}
	if r.Used != "a" || r.Manifest.ID != m.id || r.Damaged != nil {
		t.Errorf("%+v", r)
	}
	// Once more: all is there, and nothing is written.
	before := w.names(to[0])
	r = fine(t, Copy(t.Context(), w.task(m, []Place{a}, to)))
	for _, out := range r.Outcomes {
		if out.Sent != 0 || out.There != total {
			t.Errorf("the second time: %+v", out)
		}
	}
	if !slices.Equal(before, w.names(to[0])) {
		t.Errorf("%v became %v", before, w.names(to[0]))
	}
}

// TestOneFails: a target that fails at any byte leaves the others alone, and
// nothing of the archive is listed there.
func TestOneFails(t *testing.T) {
	full := &fault.Error{What: "no space", Why: "full", Left: "all", Do: "make room", Code: fault.NoSpace}
	for name, bad := range map[string]*faulty{
		"at once":       {fail: func(int64) error { return full }},
		"after 3 MiB":   {fail: func(at int64) error { return afterByte(at, 3<<20, full) }},
		"at the end":    {fail: func(at int64) error { return afterByte(at, someMB, full) }},
		"small part":    {on: archive.ContentsPart, fail: func(int64) error { return full }},
		"signature":     {on: archive.SignatureName, fail: func(int64) error { return full }},
		"manifest":      {on: archive.ManifestName, fail: func(int64) error { return full }},
		"unreachable":   {before: func(string, string) error { return errGone }},
		"at its commit": {before: onCall("commit", archive.MainPart, full)},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			a, b, c := w.place("a", true), w.place("b", false), w.place("c", false)
			m := w.make(a, someMB)
			bad.Store = b.Store
			var o told
			r := Copy(t.Context(), o.hear(w.task(m, []Place{a}, []Place{{Name: "b", Store: bad}, c})))
			o.check(t, r)
			if code := fault.CodeOf(r.Outcomes[0].Err); code != fault.NoSpace && code != fault.PlaceUnreachable {
				t.Errorf("%v", r.Outcomes[0].Err)
			}
			if r.Outcomes[1].Err != nil {
				t.Error(r.Outcomes[1].Err)
			}
			w.absent(b, m)
			w.whole(c, m)
			fine(t, Copy(t.Context(), w.task(m, []Place{a}, []Place{b})))
			w.whole(b, m)
		})
	}
}

func afterByte(at, limit int64, err error) error {
	if at >= limit {
		return err
	}
	return nil
}

// onCall gives err at calls of one kind on one object.
func onCall(what, object string, err error) func(string, string) error {
	return func(w, name string) error {
		if w == what && strings.HasSuffix(name, object) {
			return err
		}
		return nil
	}
}

// TestTriedOnceMore: an error of a target that may pass is tried again, once,
// beside the others.
func TestTriedOnceMore(t *testing.T) {
	w := newWorld(t)
	a, b, c := w.place("a", true), w.place("b", false), w.place("c", false)
	m := w.make(a, someMB)
	failures := 1
	bad := &faulty{Store: b.Store, on: archive.MainPart, fail: func(at int64) error {
		if at > 1<<20 && failures > 0 {
			failures--
			return errors.New("bytes did not arrive as they were sent")
		}
		return nil
	}}
	r := fine(t, Copy(t.Context(), w.task(m, []Place{a}, []Place{{Name: "b", Store: bad}, c})))
	if r.Outcomes[0].Sent != r.Outcomes[1].Sent {
		t.Errorf("%+v", r.Outcomes)
	}
	w.whole(b, m)
	bad.fail = func(int64) error { return errors.New("never") }
	w.ok(os.RemoveAll(w.dir + "/b/main/shop"))
	if r := Copy(t.Context(), w.task(m, []Place{a}, []Place{{Name: "b", Store: bad}})); r.Outcomes[0].Err == nil {
		t.Error("it went well")
	}
}

// TestSourceThatLies: a byte that is read wrongly once is read again; a
// source that is wrong is named, and the next is taken. Nothing wrong is
// ever visible.
func TestSourceThatLies(t *testing.T) {
	w := newWorld(t)
	a, b, c := w.place("a", true), w.place("b", true), w.place("c", false)
	m := w.make(a, someMB)
	w.write(b, m)
	once := &faulty{Store: a.Store, on: archive.MainPart, change: func(opening, at int64, p []byte) {
		if opening == 1 && at > 1<<20 && len(p) > 0 {
			p[0] ^= 1
		}
	}}
	r := fine(t, Copy(t.Context(), w.task(m, []Place{{Name: "a", Store: once}}, []Place{c})))
	if w.whole(c, m); once.opens.Load() != 2 || r.Damaged != nil || r.Outcomes[0].Sent != someMB+1100 {
		t.Errorf("%d readings, %+v", once.opens.Load(), r)
	}
	w.ok(os.RemoveAll(w.dir + "/c/main/shop"))
	w.spoil(a, m, archive.MainPart)
	var o told
	r = fine(t, Copy(t.Context(), o.hear(w.task(m, []Place{a, b}, []Place{c}))))
	o.check(t, r)
	w.whole(c, m)
	if len(r.Damaged) != 1 || r.Damaged[0].Place != "a" || !strings.Contains(r.Damaged[0].Err.Error(), archive.MainPart) || r.Used != "b" {
		t.Errorf("%+v", r)
	}
	// With all sources wrong, in whatever way, it is damaged: exit 5.
	w.ok(os.RemoveAll(w.dir + "/c/main/shop"))
	w.ok(os.Remove(w.file(b, m, archive.GlobalsPart)))
	r = Copy(t.Context(), w.task(m, []Place{a, b}, []Place{c}))
	if fault.CodeOf(r.Outcomes[0].Err) != fault.Differs || len(r.Damaged) != 2 {
		t.Errorf("%+v", r)
	}
	w.absent(c, m)
	for name, want := range m.parts { // a part that one of them still had right may be there
		if have, err := os.ReadFile(w.file(c, m, name)); err == nil && !bytes.Equal(have, want) {
			t.Errorf("%s was published, and is wrong", name)
		}
	}
	// With one that does not answer, it is not known.
	r = Copy(t.Context(), w.task(m, []Place{{Name: "a", Store: &faulty{Store: a.Store, before: func(string, string) error { return errGone }}}, b}, []Place{c}))
	if fault.CodeOf(r.Outcomes[0].Err) != fault.PlaceUnreachable {
		t.Errorf("%+v", r)
	}
}

// TestSourceOfAnotherLength: shorter and longer than the manifest says.
func TestSourceOfAnotherLength(t *testing.T) {
	for _, change := range []int64{-1, -someMB, 1, 2 * pieceSize} {
		w := newWorld(t)
		a, c := w.place("a", true), w.place("c", false)
		m := w.make(a, someMB)
		path := w.file(a, m, archive.MainPart)
		w.ok(os.Chmod(path, 0o600))
		w.ok(os.Truncate(path, someMB+change))
		r := Copy(t.Context(), w.task(m, []Place{a}, []Place{c}))
		if fault.CodeOf(r.Outcomes[0].Err) != fault.Differs {
			t.Errorf("%d bytes: %v", change, r.Outcomes[0].Err)
		}
		w.absent(c, m)
	}
}

// TestSlowOneIsParted: a target that stands still does not keep another from
// ending, and when it moves again it is whole, without a third reading.
func TestSlowOneIsParted(t *testing.T) {
	w := newWorld(t)
	a, b, c := w.place("a", true), w.place("b", false), w.place("c", false)
	m := w.make(a, 20<<20)
	from := &faulty{Store: a.Store, on: archive.MainPart}
	slow := &faulty{Store: b.Store, on: archive.MainPart, gate: make(chan struct{})}
	task := w.task(m, []Place{{Name: "a", Store: from}}, []Place{{Name: "b", Store: slow}, c})
	task.Patience = 20 * time.Millisecond
	var o told
	task = o.hear(task)
	ended := task.Ended
	task.Ended = func(which []Outcome) {
		ended(which)
		if which[0].Place == "c" { // only now may the other one go on
			w.whole(c, m)
			close(slow.gate)
		}
	}
	r := fine(t, Copy(t.Context(), task))
	o.check(t, r)
	w.whole(b, m)
	if !slices.Equal(o.ended, []string{"c", "b"}) || r.Outcomes[0].Sent != r.Outcomes[1].Sent {
		t.Errorf("%v, %+v", o.ended, r.Outcomes)
	}
	if n := from.reads.Load(); n <= 20<<20 || n >= 40<<20 || from.opens.Load() != 2 {
		t.Errorf("%d bytes in %d readings: the second begins where the slow one stood", n, from.opens.Load())
	}
}

// TestEqualOnesStayTogether: two that are equally slow are one reading,
// however long it takes.
func TestEqualOnesStayTogether(t *testing.T) {
	w := newWorld(t)
	a, b, c := w.place("a", true), w.place("b", false), w.place("c", false)
	m := w.make(a, 20<<20)
	from := &faulty{Store: a.Store, on: archive.MainPart}
	gate := make(chan struct{})
	task := w.task(m, []Place{{Name: "a", Store: from}}, []Place{
		{Name: "b", Store: &faulty{Store: b.Store, on: archive.MainPart, gate: gate}},
		{Name: "c", Store: &faulty{Store: c.Store, on: archive.MainPart, gate: gate}}})
	task.Patience = 30 * time.Millisecond
	release := time.AfterFunc(10*task.Patience, func() { close(gate) })
	defer release.Stop()
	fine(t, Copy(t.Context(), task))
	if from.opens.Load() != 1 {
		t.Errorf("%d readings", from.opens.Load())
	}
}

// TestStalledTarget: one that takes nothing any more is given up; the other
// is whole.
func TestStalledTarget(t *testing.T) {
	w := newWorld(t)
	a, b, c := w.place("a", true), w.place("b", false), w.place("c", false)
	m := w.make(a, someMB)
	task := w.task(m, []Place{a}, []Place{{Name: "b", Store: &faulty{Store: b.Store, on: archive.MainPart, gate: make(chan struct{})}}, c})
	task.Stall = time.Second // no write into memory takes as long
	r := Copy(t.Context(), task)
	if fault.CodeOf(r.Outcomes[0].Err) != fault.PlaceUnreachable || r.Outcomes[1].Err != nil {
		t.Errorf("%+v", r.Outcomes)
	}
	w.whole(c, m)
	w.absent(b, m)
}

// TestCancelled: a copy that is told to end does, and leaves nothing that is
// listed.
func TestCancelled(t *testing.T) {
	w := newWorld(t)
	a, b := w.place("a", true), w.place("b", false)
	m := w.make(a, someMB)
	ctx, cancel := context.WithCancel(t.Context())
	task := w.task(m, []Place{a}, []Place{{Name: "b", Store: &faulty{Store: b.Store, on: archive.MainPart, gate: make(chan struct{})}}})
	task.Passed = func(_ string, sent, _ int64) { cancel() }
	time.AfterFunc(50*time.Millisecond, cancel)
	r := Copy(ctx, task)
	if !errors.Is(r.Outcomes[0].Err, context.Canceled) || r.Damaged != nil {
		t.Errorf("%+v", r)
	}
	w.absent(b, m)
}

// TestHealing: whatever is wrong in a target is replaced, and only that.
func TestHealing(t *testing.T) {
	for _, object := range []string{archive.MainPart, archive.GlobalsPart, archive.SignatureName, archive.ManifestName} {
		for how, harm := range map[string]func(*world, Place, made){
			"changed": func(w *world, p Place, m made) { w.spoil(p, m, object) },
			"removed": func(w *world, p Place, m made) { w.ok(os.Remove(w.file(p, m, object))) },
			"truncated": func(w *world, p Place, m made) {
				w.ok(os.Chmod(w.file(p, m, object), 0o600))
				w.ok(os.Truncate(w.file(p, m, object), 10))
			},
		} {
			t.Run(object+" "+how, func(t *testing.T) {
				w := newWorld(t)
				a, b := w.place("a", true), w.place("b", true)
				m := w.make(a, someMB)
				w.write(b, m)
				fine(t, Copy(t.Context(), w.task(m, []Place{a}, []Place{b}))) // the manifest of b is signed apart, and the same
				harm(w, b, m)
				r := fine(t, Copy(t.Context(), w.task(m, []Place{a}, []Place{b})))
				w.whole(b, m)
				w.whole(a, m)
				want := []string{object}
				if how == "removed" {
					want = nil
				}
				if out := r.Outcomes[0]; !slices.Equal(out.Healed, want) || out.Sent+out.There != someMB+1100 || strings.HasSuffix(object, ".age") && out.Sent != int64(len(m.parts[object])) {
					t.Errorf("%+v", out)
				}
			})
		}
	}
}

// TestHealingNeedsAGoodSource: as long as no source is right, what is wrong
// in the target is not touched.
func TestHealingNeedsAGoodSource(t *testing.T) {
	w := newWorld(t)
	a, b := w.place("a", true), w.place("b", true)
	m := w.make(a, someMB)
	fine(t, Copy(t.Context(), w.task(m, []Place{a}, []Place{b})))
	w.spoil(a, m, archive.MainPart)
	w.spoil(b, m, archive.MainPart)
	before, err := os.ReadFile(w.file(b, m, archive.MainPart))
	w.ok(err)
	r := Copy(t.Context(), w.task(m, []Place{a}, []Place{b}))
	after, err := os.ReadFile(w.file(b, m, archive.MainPart))
	if fault.CodeOf(r.Outcomes[0].Err) != fault.Differs || err != nil || string(before) != string(after) {
		t.Errorf("%v, %v", r.Outcomes[0].Err, err)
	}
}

// TestNotReplaced: what cannot be removed is said, and stays.
func TestNotReplaced(t *testing.T) {
	w := newWorld(t)
	a, b := w.place("a", true), w.place("b", true)
	m := w.make(a, someMB)
	fine(t, Copy(t.Context(), w.task(m, []Place{a}, []Place{b})))
	w.spoil(b, m, archive.MainPart)
	locked := &fault.Error{What: "cannot remove it", Why: "it is locked until 2027-01-01", Code: fault.Refused}
	r := Copy(t.Context(), w.task(m, []Place{a}, []Place{{Name: "b", Store: &faulty{Store: b.Store, deny: locked}}}))
	e := fault.As(r.Outcomes[0].Err)
	if e.Code != fault.Refused || !strings.Contains(e.Why, "locked until") || !strings.Contains(e.What, archive.MainPart) || e.Left == "" || !strings.Contains(e.Do, "--to b") {
		t.Errorf("%+v", e)
	}
}

// TestOthersAreRefused: another vault's place, objects without a vault,
// another archive of the same id, and one that is being deleted.
func TestOthersAreRefused(t *testing.T) {
	w, x := newWorld(t), newWorld(t)
	a := w.place("a", true)
	m := w.make(a, 1000)
	stranger := x.place("b", true)
	loose := w.place("loose", false)
	w.ok(archive.Publish(t.Context(), loose.Store, "main/shop/README", []byte("mine")))
	twin := w.place("twin", true)
	w.write(twin, made{id: m.id, parts: w.build(1000).parts})
	going := w.place("going", true)
	w.ok(archive.MarkDeleted(t.Context(), going.Store, archive.Folder(testVault, testDB, m.id), archive.Note{Archive: m.id, At: noon, By: "x@y"}))
	lost := w.place("lost", true)
	w.write(lost, m)
	w.ok(os.Remove(w.dir + "/lost/main/vault.json"))
	targets := []Place{stranger, loose, twin, going, lost}
	var before [][]string
	for _, p := range targets {
		before = append(before, w.names(p))
	}
	task := w.task(m, []Place{a}, targets)
	task.Now = func() time.Time { return noon.Add(23 * time.Hour) }
	r := Copy(t.Context(), task)
	for i, code := range []fault.Code{fault.Refused, fault.Refused, fault.Differs, fault.Refused, fault.OK} {
		if out := r.Outcomes[i]; fault.CodeOf(out.Err) != code {
			t.Errorf("%s: %v", out.Place, out.Err)
		}
		if code != fault.OK && !slices.Equal(before[i], w.names(targets[i])) {
			t.Errorf("%s: %v became %v", targets[i].Name, before[i], w.names(targets[i]))
		}
	}
	if vf, err := archive.ReadVault(t.Context(), lost.Store, testVault); err != nil || vf.ID != w.vault.ID {
		t.Errorf("a vault file that was lost: %+v, %v", vf, err)
	}
	// A deletion that was interrupted long ago is ended, and the copy made.
	w.ok(archive.Publish(t.Context(), going.Store, archive.Folder(testVault, testDB, m.id)+archive.GlobalsPart, []byte("its rest")))
	task.Targets, task.Now = []Place{going}, func() time.Time { return noon.Add(25 * time.Hour) }
	r = fine(t, Copy(t.Context(), task))
	w.whole(going, m)
	if slices.ContainsFunc(w.names(going), func(n string) bool { return strings.HasSuffix(n, archive.DeletedName) }) || r.Outcomes[0].Healed != nil {
		t.Errorf("%+v, %v", r.Outcomes, w.names(going))
	}
	// A mark beside a manifest means nothing: anybody could put it there.
	w.ok(archive.MarkDeleted(t.Context(), a.Store, archive.Folder(testVault, testDB, m.id), archive.Note{Archive: m.id, At: noon}))
	w.ok(archive.MarkDeleted(t.Context(), going.Store, archive.Folder(testVault, testDB, m.id), archive.Note{Archive: m.id, At: noon}))
	fine(t, Copy(t.Context(), w.task(m, []Place{a}, []Place{w.place("new", false), going})))
}

// TestVaultFileIsLost: a source that has lost its vault file gives its
// archives all the same.
func TestVaultFileIsLost(t *testing.T) {
	w := newWorld(t)
	a, b := w.place("a", true), w.place("b", false)
	m := w.make(a, 1000)
	w.ok(os.Remove(w.dir + "/a/main/vault.json"))
	task := w.task(m, []Place{a}, []Place{b})
	task.File = w.vault
	fine(t, Copy(t.Context(), task))
	w.whole(b, m)
	if vf, err := archive.ReadVault(t.Context(), b.Store, testVault); err != nil || vf.ID != w.vault.ID {
		t.Errorf("%+v, %v", vf, err)
	}
}

// TestSpaceIsLookedAt before anything is written.
func TestSpaceIsLookedAt(t *testing.T) {
	w := newWorld(t)
	a, b := w.place("a", true), w.place("b", false)
	m := w.make(a, someMB)
	b.MinFree = 1 << 60
	r := Copy(t.Context(), w.task(m, []Place{a}, []Place{b}))
	if fault.CodeOf(r.Outcomes[0].Err) != fault.NoSpace {
		t.Errorf("%v", r.Outcomes[0].Err)
	}
	w.absent(b, m)
}

// TestRecordsGoAlong: proofs that speak of the archive, and its pin; not what
// was found of one place's bytes.
func TestRecordsGoAlong(t *testing.T) {
	w := newWorld(t)
	a, b := w.place("a", true), w.place("b", false)
	m := w.make(a, 1000)
	o, err := w.open(a, m)
	w.ok(err)
	add := func(after time.Duration, level, result, place string) {
		w.ok(o.AddProof(t.Context(), archive.ProofFile{Level: level, Result: result, Place: place, At: noon.Add(after)}, w.signer, rand.Reader))
	}
	add(0, "readable", "failed", "a") // and answered
	add(1*time.Second, "readable", "ok", "")
	add(2*time.Second, "intact", "ok", "a")
	add(3*time.Second, "readable", "ok", "a")
	add(4*time.Second, "restored", "failed", "a")
	add(5*time.Second, "readable", "ok", "a")
	add(6*time.Second, "intact", "failed", "a")
	w.ok(archive.Pin(t.Context(), a.Store, archive.Folder(testVault, testDB, m.id), archive.Note{Archive: m.id, At: noon}, w.signer))
	fine(t, Copy(t.Context(), w.task(m, []Place{a}, []Place{b})))
	o, err = w.open(b, m)
	w.ok(err)
	var got []string
	for _, p := range o.Proofs(t.Context(), w.trust, w.names(b)) {
		got = append(got, p.Level+" "+p.Result)
	}
	if !slices.Equal(got, []string{"readable ok", "restored failed", "readable ok"}) {
		t.Errorf("%q", got)
	}
	for _, n := range []string{archive.PinName, archive.PinName + ".sig"} {
		if _, err := b.Store.Stat(t.Context(), archive.Folder(testVault, testDB, m.id)+n); err != nil {
			t.Error(err)
		}
	}
}

// TestDeletedMeanwhile: an archive that is deleted while its bytes are on
// their way does not come back.
func TestDeletedMeanwhile(t *testing.T) {
	w := newWorld(t)
	a, b := w.place("a", true), w.place("b", false)
	m := w.make(a, someMB)
	task := w.task(m, []Place{a}, []Place{b})
	gone := false
	task.Passed = func(_ string, sent, _ int64) {
		if !gone {
			gone = true
			if err := os.Remove(w.file(a, m, archive.ManifestName)); err != nil {
				t.Error(err)
			}
		}
	}
	if r := Copy(t.Context(), task); fault.CodeOf(r.Outcomes[0].Err) != fault.Refused {
		t.Errorf("%v", r.Outcomes[0].Err)
	}
	w.absent(b, m)
}

// TestTwoAtOnce copies the same archive to the same place twice at a time,
// as two hosts do: both come to an end, and every byte is right.
func TestTwoAtOnce(t *testing.T) {
	for range 10 {
		w := newWorld(t)
		a, b := w.place("a", true), w.place("b", false)
		m := w.make(a, someMB)
		results := make(chan Result, 2)
		for range 2 {
			go func() { results <- Copy(t.Context(), w.task(m, []Place{a}, []Place{b})) }()
		}
		for range 2 {
			if r := <-results; r.Outcomes[0].Err != nil || r.Outcomes[0].Sent+r.Outcomes[0].There != someMB+1100 {
				t.Errorf("%+v", r.Outcomes[0])
			}
		}
		w.whole(b, m)
	}
}

// TestKilledAnywhere stops all that a copy asks for after so many calls: a
// place lists the archive only when it is whole, and the next copy completes
// it.
func TestKilledAnywhere(t *testing.T) {
	for after := 0; ; after++ {
		w := newWorld(t)
		a, b, c := w.place("a", true), w.place("b", false), w.place("c", true)
		m := w.make(a, 300_000)
		w.write(c, m)
		fine(t, Copy(t.Context(), w.task(m, []Place{a}, []Place{c})))
		w.spoil(c, m, archive.GlobalsPart)
		d := &dying{left: after}
		wrap := func(p Place) Place { return Place{Name: p.Name, Store: &faulty{Store: p.Store, before: d.before}} }
		Copy(t.Context(), w.task(m, []Place{wrap(a)}, []Place{wrap(b), wrap(c)}))
		if slices.ContainsFunc(w.names(b), func(n string) bool { return strings.HasSuffix(n, archive.ManifestName) }) {
			w.whole(b, m)
		}
		fine(t, Copy(t.Context(), w.task(m, []Place{a}, []Place{b, c})))
		w.whole(a, m)
		w.whole(b, m)
		w.whole(c, m)
		if d.left >= 0 { // it was not killed at all
			if after < 20 {
				t.Errorf("a whole copy took %d calls", after)
			}
			return
		}
	}
}

var _ store.Store = (*faulty)(nil)
