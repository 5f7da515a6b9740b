package vault

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"pgvault/fault"
	"pgvault/vault/archive"
)

// flipping changes one byte in the middle of what is read of an object, for
// the first n readings; n < 0: of each.
func flipping(object string, n int64) func(name string, r io.Reader) io.Reader {
	var done atomic.Int64
	return func(name string, r io.Reader) io.Reader {
		if !strings.HasSuffix(name, object) || n >= 0 && done.Add(1) > n {
			return r
		}
		src, err := io.ReadAll(r)
		if err != nil {
			return io.MultiReader(bytes.NewReader(src), failing{err})
		}
		if len(src) > 0 {
			src[len(src)/2] ^= 4
		}
		return bytes.NewReader(src)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// origin makes a database with a table of 4 MiB that hardly shrinks, small
// ones, and large objects; and an archive of it in all three places.
func (w *world) origin(t *testing.T, name string) Archive {
	t.Helper()
	create(t, name, "")
	sql(t, name, "CREATE TABLE wide (i int PRIMARY KEY, v text)", "INSERT INTO wide SELECT i, string_agg(md5(random()::text), '') FROM generate_series(1, 1000) i, generate_series(1, 128) j GROUP BY i",
		"CREATE TABLE other (i int, v text)", "INSERT INTO other SELECT i, string_agg(md5(random()::text), '') FROM generate_series(1, 3000) i, generate_series(1, 128) j GROUP BY i",
		"CREATE TABLE small AS SELECT 1 AS one", "SELECT lo_from_bytea(1000, decode(repeat('00ff', 1000), 'hex'))")
	w.backup(BackupOptions{Database: name, NoCopy: true}).ok(t)
	a := w.list()[0]
	for _, p := range w.conf.Places[1:] {
		w.bring(p.Name, name, a.ID, nil)
	}
	return a
}

func (w *world) verifyIn(place, id string, level Proof) *tape {
	w.t.Helper()
	p := &tape{}
	p.err = w.vault().Verify(w.t.Context(), VerifyOptions{ID: id, Level: level, Place: place, Identities: w.ids}, p.sink)
	p.check(w.t)
	return p
}

func told(p *tape, words string) bool {
	for _, n := range all[Notice](p) {
		if strings.Contains(n.Text, words) {
			return true
		}
	}
	return false
}

// TestVerifyInAPlace: each level reads the copy that was asked for; the proof
// lies beside it and counts for it alone.
func TestVerifyInAPlace(t *testing.T) {
	w := newWorld(t)
	s3, nas := w.threePlaces()
	a := w.origin(t, "origin")
	if c := w.archive(a.ID).Copies; c[0].ReadBack == nil || c[1].ReadBack != nil || c[2].ReadBack != nil {
		t.Fatalf("the self-check read the disk's copy: %+v", c)
	}
	for place, level := range map[string]Proof{"s3": ProofIntact, "nas": ProofReadable} {
		s3.bytes.Store(0)
		nas.bytes.Store(0)
		w.verifyIn(place, a.ID, level).ok(t)
		read := map[string]int64{"s3": s3.bytes.Load(), "nas": nas.bytes.Load()}
		if read[place] < a.Stored || read[place] > a.Stored+a.Stored/10 {
			t.Errorf("%s: %d bytes of %d were read", place, read[place], a.Stored)
		}
	}
	b := w.archive(a.ID)
	if b.Copies[1].ReadBack == nil || b.Copies[2].ReadBack == nil || b.Proof != ProofReadable {
		t.Errorf("%s: %+v", b.Proof, b.Copies)
	}
	proofs, err := filepath.Glob(w.path("s3/main/origin/" + a.ID + "/proof-*.json"))
	if err != nil || len(proofs) != 1 {
		t.Fatalf("%v, %v", proofs, err)
	}
	if src, _ := os.ReadFile(proofs[0]); !bytes.Contains(src, []byte(`"place": "s3"`)) || !bytes.Contains(src, []byte(`"level": "intact"`)) {
		t.Errorf("%s", src)
	}
	w.verifyIn("s3", a.ID, ProofRestored).ok(t)
	if b = w.archive(a.ID); b.Proof != ProofRestored {
		t.Errorf("proof: %s", b.Proof)
	}
	w.verifyIn("tape", a.ID, ProofIntact).failed(t, fault.Usage)
	s3.set(func(n *network) { n.down = true })
	w.verifyIn("s3", a.ID, ProofIntact).failed(t, fault.PlaceUnreachable)
	if b = w.archive(a.ID); b.State != "good" || b.Copies[1].State != CopyGood || b.Copies[1].Known == nil {
		t.Errorf("a place that is down says nothing of its copy: %+v", b.Copies[1])
	}
	quiet(t)
}

// TestVerifyFindsADamagedCopy: it is named and not counted, the archive stays
// good, and it counts again once it was read and found right.
func TestVerifyFindsADamagedCopy(t *testing.T) {
	w := newWorld(t)
	s3, _ := w.threePlaces()
	a := w.origin(t, "origin")
	for level, want := range map[Proof]string{ProofIntact: "intact", ProofReadable: "intact", ProofRestored: "intact"} {
		s3.set(func(n *network) { n.change = flipping(archive.MainPart, -1) })
		p := w.verifyIn("s3", a.ID, level)
		e := p.failed(t, fault.Differs)
		if !strings.Contains(e.What, archive.MainPart) || !told(p, "read once more") {
			t.Errorf("%s: %s: %s", level, e.What, e.Why)
		}
		b := w.archive(a.ID)
		if states(b) != "disk good, s3 damaged, nas good" || b.State != "good" || b.GoodCopies() != 2 {
			t.Errorf("%s: the archive is %s, %s", level, b.State, states(b))
		}
		if last := b.Proofs[len(b.Proofs)-1]; string(last.Level) != want || last.Result != "failed" || last.Place != "s3" {
			t.Errorf("%s: %+v", level, last)
		}
		// The next one takes another copy by itself.
		if p := w.verifyIn("", a.ID, ProofIntact).ok(t); !told(p, "disk is read") {
			t.Error("nothing says which copy is read")
		}
		s3.set(func(n *network) { n.change = nil })
		w.verifyIn("s3", a.ID, ProofIntact).ok(t)
		if b = w.archive(a.ID); states(b) != "disk good, s3 good, nas good" {
			t.Errorf("%s: after it was found right: %s", level, states(b))
		}
	}
	quiet(t)
}

// TestErrorOnTheLine: one wrong reading is no damage.
func TestErrorOnTheLine(t *testing.T) {
	w := newWorld(t)
	s3, _ := w.threePlaces()
	a := w.origin(t, "origin")
	for _, level := range []Proof{ProofIntact, ProofReadable} {
		s3.set(func(n *network) { n.change = flipping(archive.MainPart, 1) })
		if p := w.verifyIn("s3", a.ID, level).ok(t); !told(p, "read once more") {
			t.Errorf("%s: nothing was told", level)
		}
	}
	s3.set(func(n *network) { n.change = flipping(archive.MainPart, 1) })
	dropAfter(t, "again")
	p := w.apply(t.Context(), w.plan(RestoreOptions{ID: a.ID, ToNew: "again", Place: "s3"}), nil)
	p.ok(t)
	if b := w.archive(a.ID); states(b) != "disk good, s3 good, nas good" {
		t.Errorf("%s", states(b))
	}
	quiet(t)
}

// TestRestoreFromANetwork: the parts are fetched once, encrypted, and nothing
// of them stays; no plaintext ever lies on a disk.
func TestRestoreFromANetwork(t *testing.T) {
	w := newWorld(t)
	s3, nas := w.threePlaces()
	can := newCanary()
	create(t, "origin", "")
	sql(t, "origin", "CREATE TABLE t AS SELECT i, md5(i::text) || '"+string(can)+"' AS v FROM generate_series(1, 20000) i", "SELECT lo_from_bytea(1000, decode(repeat('00ff', 1000), 'hex'))")
	w.backup(BackupOptions{Database: "origin", NoCopy: true}).ok(t)
	a := w.list()[0]
	w.bring("s3", "origin", a.ID, nil)
	if err := os.RemoveAll(w.path("place/main")); err != nil {
		t.Fatal(err)
	}
	s3.bytes.Store(0)
	plan := w.plan(RestoreOptions{ID: a.ID, ToNew: "far"})
	if plan.Place != "s3" || !strings.Contains(strings.Join(plan.Steps, "\n"), "from s3, still encrypted") {
		t.Errorf("%s: %q", plan.Place, plan.Steps)
	}
	dropAfter(t, "far")
	w.apply(t.Context(), plan, at(1, startOf(StageData), func() {
		can.absent(t, w.path("state"), w.path("s3"))
		if read := s3.bytes.Load(); read > a.Stored*13/10+100<<10 {
			t.Errorf("%d bytes of %d were read", read, a.Stored)
		}
		s3.set(func(n *network) { n.down = true }) // it is not needed any more
	})).ok(t)
	s3.set(func(n *network) { n.down = false })
	if n := one[int](t, "far", "SELECT count(*) FROM public.t"); n != 20000 {
		t.Errorf("%d rows", n)
	}
	if left, _ := filepath.Glob(w.path("state/spool/*")); len(left) > 0 {
		t.Errorf("left in the spool: %v", left)
	}
	if nas.opens.Load() > 10 {
		t.Errorf("nas was read %d times", nas.opens.Load())
	}
	quiet(t)
}

// TestRestoreGoesOnToTheNextCopy: one that is damaged is named, recorded and
// left, whenever it is found out.
func TestRestoreGoesOnToTheNextCopy(t *testing.T) {
	w := newWorld(t)
	s3, nas := w.threePlaces()
	a := w.origin(t, "origin")
	w.conf.Places = w.conf.Places[1:] // no disk: s3, then nas
	for name, c := range map[string]struct {
		set    func(n *network)
		later  bool // after the plan was made
		tables []string
		state  string
	}{
		"main part, at the plan":    {func(n *network) { n.change = flipping(archive.MainPart, -1) }, false, nil, "s3 damaged, nas good"},
		"main part, later":          {func(n *network) { n.change = flipping(archive.MainPart, -1) }, true, nil, "s3 damaged, nas good"},
		"globals":                   {func(n *network) { n.change = flipping(archive.GlobalsPart, -1) }, false, nil, "s3 damaged, nas good"},
		"contents":                  {func(n *network) { n.change = flipping(archive.ContentsPart, -1) }, false, nil, "s3 damaged, nas good"},
		"goes away":                 {func(n *network) { n.before = noParts(archive.MainPart) }, false, nil, "s3 good, nas good"},
		"goes away later":           {func(n *network) { n.before = noParts(archive.MainPart) }, true, nil, "s3 good, nas good"},
		"in a table, at the plan":   {func(n *network) { n.change = flipping(archive.MainPart, -1) }, false, []string{"wide"}, "s3 damaged, nas good"},
		"in a table, later":         {func(n *network) { n.change = flipping(archive.MainPart, -1) }, true, []string{"wide"}, "s3 good, nas good"},
		"in a table it goes away":   {func(n *network) { n.before = noParts(archive.MainPart) }, true, []string{"wide"}, "s3 good, nas good"},
		"in a table, a single time": {func(n *network) { n.change = flipping(archive.MainPart, 1) }, true, []string{"wide"}, "s3 good, nas good"},
	} {
		t.Run(name, func(t *testing.T) {
			w := *w
			w.t = t
			if !c.later {
				s3.set(c.set)
			}
			plan := w.plan(RestoreOptions{ID: a.ID, ToNew: "next", Tables: c.tables})
			s3.set(c.set)
			dropAfter(t, "next")
			p := w.apply(t.Context(), plan, nil).ok(t)
			s3.set(func(n *network) { n.change, n.before = nil, nil })
			if !told(p, "cannot be used") && !strings.Contains(name, "single") {
				t.Error("nothing was told of it")
			}
			if got := states(w.archive(a.ID)); got != c.state {
				t.Errorf("%s, not %s", got, c.state)
			}
			if n := one[int](t, "next", "SELECT count(*) FROM public.wide"); n != 1000 {
				t.Errorf("%d rows", n)
			}
			w.verifyIn("s3", a.ID, ProofIntact).ok(t)
			w.verifyIn("nas", a.ID, ProofIntact).ok(t)
			w.verifyIn("s3", a.ID, ProofIntact).ok(t) // read back last: it is taken first
		})
	}
	t.Run("both", func(t *testing.T) {
		for _, n := range []*network{s3, nas} {
			n.set(func(n *network) { n.change = flipping(archive.MainPart, -1) })
		}
		plan, err := w.vault().PlanRestore(t.Context(), RestoreOptions{ID: a.ID, ToNew: "none", Identities: w.ids})
		if err == nil {
			err = w.apply(t.Context(), plan, nil).err
		}
		if fault.CodeOf(err) != fault.Differs || exists(t, "none") {
			t.Errorf("%v", err)
		}
	})
	quiet(t)
}

// noParts refuses to open an object of this name from its beginning.
func noParts(object string) func(context.Context, string) error {
	return func(_ context.Context, call string) error {
		if call == "free" || !strings.HasPrefix(call, "open") || !strings.HasSuffix(call, object) {
			return nil
		}
		return &fault.Error{What: "the line is cut", Why: "a test wants it", Left: "all", Do: "wait", Code: fault.PlaceUnreachable}
	}
}

// TestOneTableOverANetwork: of a remote archive only the table's bytes are
// fetched, with what is needed to find and to believe them.
func TestOneTableOverANetwork(t *testing.T) {
	w := newWorld(t)
	s3, _ := w.threePlaces()
	a := w.origin(t, "origin")
	w.conf.Places = w.conf.Places[1:2]
	var contents, table int64
	_, c, err := w.vault().Show(t.Context(), a.ID, w.ids)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range c.Dump.Frames {
		for _, tb := range c.Tables {
			if tb.Name == "wide" && tb.Offset == f.Dump {
				table = c.Dump.Frames[i+1].Zstd - f.Zstd
			}
		}
	}
	if fi, err := os.Stat(w.path("s3/main/origin/" + a.ID + "/" + archive.ContentsPart)); err == nil {
		contents = fi.Size()
	}
	s3.bytes.Store(0)
	s3.opens.Store(0)
	dropAfter(t, "one")
	w.apply(t.Context(), w.plan(RestoreOptions{ID: a.ID, ToNew: "one", Tables: []string{"wide"}}), nil).ok(t)
	read, most := s3.bytes.Load(), 2*table+contents
	t.Logf("%d bytes in %d requests for a table of %d stored bytes of an archive of %d", read, s3.opens.Load(), table, a.Stored)
	if read > most || read < table || table < 1<<20 || a.Stored < 3*table {
		t.Errorf("%d bytes were read; the table has %d, contents %d, the archive %d", read, table, contents, a.Stored)
	}
	if n := s3.opens.Load(); n > 40 {
		t.Errorf("in %d requests", n)
	}
	// A table list costs contents and the manifest.
	s3.bytes.Store(0)
	if l, err := w.vault().Tables(t.Context(), a.ID, w.ids); err != nil || len(l) != 4 || s3.bytes.Load() > contents+64<<10 {
		t.Errorf("%d tables for %d bytes, %v", len(l), s3.bytes.Load(), err)
	}
	// Rows that are not those that were recorded never stay.
	s3.set(func(n *network) { n.change = flipping(archive.MainPart, -1) })
	if plan, err := w.vault().PlanRestore(t.Context(), RestoreOptions{ID: a.ID, ToNew: "two", Tables: []string{"wide"}, Identities: w.ids}); err == nil {
		w.apply(t.Context(), plan, nil).failed(t, fault.Differs)
	} else if fault.CodeOf(err) != fault.Differs {
		t.Error(err)
	}
	if exists(t, "two") {
		t.Error("the database is there")
	}
	quiet(t)
}

// TestDumpFromANetwork: the dump comes from whichever copy is right.
func TestDumpFromANetwork(t *testing.T) {
	w := newWorld(t)
	s3, _ := w.threePlaces()
	a := w.origin(t, "origin")
	w.conf.Places = w.conf.Places[1:]
	for i, set := range []func(n *network){func(n *network) {}, func(n *network) { n.change = flipping(archive.MainPart, -1) }, func(n *network) { n.down = true }} {
		s3.set(func(n *network) { n.change, n.down = nil, false })
		s3.set(set)
		file := w.path(fmt.Sprint("dump", i))
		if err := w.vault().DumpTo(t.Context(), a.ID, file, nil, w.ids); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
		if fi, err := os.Stat(file); err != nil || fi.Size() != a.Bytes {
			t.Errorf("%d: %d bytes of %d, %v", i, fi.Size(), a.Bytes, err)
		}
	}
}

// TestSpoolWithoutRoom: then the place is read twice, and the run says so.
func TestSpoolWithoutRoom(t *testing.T) {
	w := newWorld(t)
	s3, _ := w.threePlaces()
	a := w.origin(t, "origin")
	s3.bytes.Store(0)
	w.write("state/spool", "not a folder")
	if p := w.verifyIn("s3", a.ID, ProofReadable).ok(t); !told(p, "fetched twice") {
		t.Error("nothing was told")
	}
	if read := s3.bytes.Load(); read < 2*a.Stored {
		t.Errorf("%d bytes of %d were read", read, a.Stored)
	}
}
