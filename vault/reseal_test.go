package vault

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgvault/fault"
	"pgvault/pg"
	"pgvault/vault/archive"
	"pgvault/vault/retention"
)

// resealWorld is a vault with so many backups of a small database, sealed to
// duty and safe, whose present recipients are safe and new.
func resealWorld(t *testing.T, database string, n int) (w *world, ids []string) {
	t.Helper()
	s := settings()
	sqlAs(t, s, "", "CREATE DATABASE "+pg.QuoteIdent(database)+" TEMPLATE template0")
	t.Cleanup(func() {
		if err := pg.DropDatabase(context.Background(), s, database); err != nil {
			t.Error(err)
		}
	})
	sqlAs(t, s, database, "CREATE TABLE a AS SELECT i, md5(i::text) AS v FROM generate_series(1, 500) i", "CREATE TABLE b AS SELECT 7 AS x")
	w = newWorld(t)
	if err := archive.WriteNewIdentity(w.path("new")); err != nil {
		t.Fatal(err)
	}
	for range n {
		ids = append(ids, w.backup(BackupOptions{Database: database}).ok(t).done.ID)
	}
	w.write("recipients", "# in the safe\n"+w.read("safe.pub")+"# new\n"+w.read("new.pub"))
	return w, ids
}

func (w *world) reseal(o ResealOptions) *tape {
	w.t.Helper()
	if o.Identities.Files == nil {
		o.Identities = w.ids
	}
	v := w.vault()
	plan, err := v.PlanReseal(w.t.Context(), o)
	if err != nil {
		w.t.Fatal(err)
	}
	p := &tape{}
	p.err = v.Reseal(w.t.Context(), plan, p.sink)
	p.check(w.t)
	return p
}

func (w *world) withKey(name string) Identities {
	return Identities{Files: []string{w.path(name)}}
}

// TestResealKeepsItsPlace: what was resealed is as old as its dump wherever
// the order matters, and the newest backup stays the newest.
func TestResealKeepsItsPlace(t *testing.T) {
	w, ids := resealWorld(t, "reseal_place", 3)
	before := w.list()
	w.reseal(ResealOptions{IDs: ids[:1]}).ok(t)
	list := w.list()
	if len(list) != 4 || list[0].ID != ids[2] || list[1].ID != ids[1] || list[3].ID != ids[0] {
		t.Fatalf("the order is %v", idsOf(list))
	}
	made, old := list[2], list[3]
	if made.ResealedFrom != ids[0] || old.ResealedAs != made.ID || made.Seq != old.Seq || !made.Started.Equal(old.Started) || !made.Finished.Equal(old.Finished) {
		t.Errorf("made %+v\nof %+v", made, old)
	}
	if made.Proof != ProofReadable || made.State != "good" || made.Bytes != old.Bytes || made.Rows != old.Rows {
		t.Errorf("made %+v", made)
	}
	if strings.Join(made.Recipient, ",") != "in the safe,new" {
		t.Errorf("sealed to %v", made.Recipient)
	}
	f, err := w.vault().locate(t.Context(), "latest:reseal_place", "")
	if err != nil || f.ID != ids[2] {
		t.Errorf("latest is %v, %v", f, err)
	}
	was, _ := w.vault().statusFrom(t.Context(), before)
	now, err := w.vault().Status(t.Context())
	if err != nil || len(now) != len(was) {
		t.Fatal(err)
	}
	for i := range now {
		if now[i].Database == "reseal_place" && (now[i].State != was[i].State || !now[i].LastGood.Equal(*was[i].LastGood)) {
			t.Errorf("status was %+v and is %+v", was[i], now[i])
		}
	}
	w.backup(BackupOptions{Database: "reseal_place"}).ok(t)
	if l := w.list(); l[0].Seq != 4 {
		t.Errorf("the next backup has number %d", l[0].Seq)
	}
	p, err := w.vault().PlanDelete(t.Context(), ids[0])
	if err != nil || p.Refused != "" {
		t.Errorf("the old one cannot be deleted: %+v, %v", p, err)
	}
}

// TestResealNewest: of the newest backup and what was made of it, latest: is
// the one that the present keys open; the rules keep that one, and let the
// other go.
func TestResealNewest(t *testing.T) {
	w, ids := resealWorld(t, "reseal_newest", 2)
	w.db.Keep = retention.Policy{Last: 2}
	w.reseal(ResealOptions{All: true}).ok(t)
	if p := w.reseal(ResealOptions{All: true}).ok(t); p.done.Stored != 0 {
		t.Errorf("resealed twice: %+v", p.done)
	}
	list := w.list()
	if len(list) != 4 || list[0].ResealedFrom != ids[1] || list[2].ResealedFrom != ids[0] {
		t.Fatalf("the order is %v", idsOf(list))
	}
	if f, err := w.vault().locate(t.Context(), "latest:reseal_newest", ""); err != nil || f.ID != list[0].ID {
		t.Errorf("latest is %v, %v", f, err)
	}
	verdicts, err := w.vault().RetentionPreview(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range verdicts {
		if want := i%2 == 0; v.Keep != want || v.ID != list[i].ID {
			t.Errorf("%s (from %q): kept %v, %v", v.ID, list[i].ResealedFrom, v.Keep, v.Reasons)
		}
	}
	if p, err := w.vault().PlanDelete(t.Context(), list[0].ID); err != nil || !strings.Contains(p.Refused, "newest good") {
		t.Errorf("what was resealed may be deleted: %+v, %v", p, err)
	}
	for _, id := range []string{list[0].ID, list[2].ID} {
		p := &tape{}
		p.err = w.vault().Verify(t.Context(), VerifyOptions{ID: id, Level: ProofReadable, Identities: w.withKey("new")}, p.sink)
		p.ok(t)
		p.err = w.vault().Verify(t.Context(), VerifyOptions{ID: id, Level: ProofReadable, Identities: w.withKey("duty")}, p.sink)
		if fault.CodeOf(p.err) != fault.NoKey {
			t.Errorf("the old key opens %s: %v", id, p.err)
		}
	}
	if info, err := os.Stat(w.path("state/reseal/main.json")); err == nil {
		t.Errorf("%s is left", info.Name())
	}
}

// withoutManifest gives what lies in folders of a database that are no
// archive's.
func (w *world) withoutManifest(database string) (out []string) {
	w.t.Helper()
	folders, err := filepath.Glob(w.path("place/main/" + database + "/2*"))
	if err != nil || len(folders) == 0 {
		w.t.Fatal(folders, err)
	}
	for _, f := range folders {
		names, err := os.ReadDir(f)
		if err != nil {
			w.t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(f, archive.ManifestName)); err == nil {
			continue
		}
		for _, n := range names {
			out = append(out, filepath.Join(f, n.Name()))
		}
	}
	return out
}

func idsOf(list []Archive) (out []string) {
	for _, a := range list {
		out = append(out, a.ID+" "+a.ResealedFrom)
	}
	return out
}

// TestResealWrongKey: a key that opens none writes nothing; one that opens
// some does those, and says which it left out.
func TestResealWrongKey(t *testing.T) {
	w, ids := resealWorld(t, "reseal_key", 1)
	w.reseal(ResealOptions{All: true, Identities: w.withKey("new")}).failed(t, fault.NoKey)
	if l := w.list(); len(l) != 1 {
		t.Fatalf("%v", idsOf(l))
	}
	second := w.backup(BackupOptions{Database: "reseal_key"}).ok(t).done.ID // for safe and new
	w.write("recipients", "# on duty\n"+w.read("duty.pub")+"# new\n"+w.read("new.pub"))
	w.reseal(ResealOptions{All: true, Identities: w.withKey("duty")}).failed(t, fault.Partial)
	made := 0
	for _, a := range w.list() {
		if a.ResealedFrom == ids[0] {
			made++
		}
		if a.ResealedFrom == second {
			t.Error("an archive was resealed by a key that does not open it")
		}
	}
	if made != 1 {
		t.Errorf("%d made of %s", made, ids[0])
	}
}

// TestResealFailures: a place that fails at one call after the other. No half
// archive is ever listed, nothing is left over, and the next run does the rest.
func TestResealFailures(t *testing.T) {
	w, ids := resealWorld(t, "reseal_fails", 1)
	real := w.store()
	for at := int64(1); ; at++ {
		var n atomic.Int64
		w.setPlace(&refusingOnce{Store: real, fails: func() bool { return n.Add(1) == at }})
		w.reseal(ResealOptions{All: true})
		w.setPlace(real)
		for _, a := range w.list() {
			if a.State != "good" {
				t.Fatalf("call %d: half an archive is listed: %+v", at, a)
			}
		}
		w.reseal(ResealOptions{All: true}).ok(t)
		list := w.list()
		if len(list) != 2 || list[0].ResealedFrom != ids[0] {
			t.Fatalf("call %d: %v", at, idsOf(list))
		}
		if o := w.withoutManifest("reseal_fails"); len(o) > 0 {
			t.Fatalf("call %d left %v", at, o)
		}
		if err := os.RemoveAll(w.path("place/main/reseal_fails/" + list[0].ID)); err != nil {
			t.Fatal(err)
		}
		if n.Load() < at {
			return
		}
		if at > 50 {
			t.Fatal("it never ends")
		}
	}
}

// TestKilledReseal kills pgvault itself after each line of what it tells.
func TestKilledReseal(t *testing.T) {
	w, ids := resealWorld(t, "reseal_killed", 2)
	env := w.setUp(t)
	run := func(kill int) (ended bool) {
		cmd := exec.Command(binary, "-c", w.path("config.toml"), "key", "reseal", "--all", "-i", w.path("duty"), "--json")
		cmd.Env = env
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		lines := 0
		for in := bufio.NewScanner(out); in.Scan(); {
			if lines++; lines == kill {
				_ = cmd.Process.Kill()
			}
		}
		return cmd.Wait() == nil
	}
	for kill := 1; ; kill++ {
		ended := run(kill)
		for _, a := range w.list() {
			if a.State != "good" {
				t.Fatalf("killed after line %d: half an archive is listed: %+v", kill, a)
			}
		}
		if !run(0) {
			t.Fatalf("killed after line %d: the next run failed", kill)
		}
		list := w.list()
		if len(list) != 4 || list[0].ResealedFrom != ids[1] || list[2].ResealedFrom != ids[0] {
			t.Fatalf("killed after line %d: %v", kill, idsOf(list))
		}
		if o := w.withoutManifest("reseal_killed"); len(o) > 0 {
			t.Fatalf("killed after line %d: %v is left", kill, o)
		}
		if ended {
			return
		}
		for _, a := range list {
			if a.ResealedFrom != "" {
				if err := os.RemoveAll(w.path("place/main/reseal_killed/" + a.ID)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// TestLinkResealed: the rules count what was resealed only when nothing is
// lost by it.
func TestLinkResealed(t *testing.T) {
	at := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	pair := func(change func(made, old *Archive)) string {
		copies := []Copy{{Place: "disk", State: CopyGood}}
		list := []Archive{
			{ID: "20261123T000000Z-0002", Database: "shop", Seq: 1, State: "good", Proof: ProofReadable, ResealedFrom: "20261123T000000Z-0001", fromDigest: "d", resealed: at, Copies: copies},
			{ID: "20261123T000000Z-0001", Database: "shop", Seq: 1, State: "good", Proof: ProofReadable, digest: "d", Copies: copies},
		}
		change(&list[0], &list[1])
		if !newer(&list[0], &list[1]) || newer(&list[1], &list[0]) {
			t.Error("what was resealed does not stand before what it was made from")
		}
		linkResealed(list)
		return list[1].ResealedAs
	}
	if got := pair(func(_, _ *Archive) {}); got != "20261123T000000Z-0002" {
		t.Errorf("a whole one: %q", got)
	}
	for name, change := range map[string]func(made, old *Archive){
		"not read back":         func(made, _ *Archive) { made.Proof = ProofStored },
		"damaged":               func(made, _ *Archive) { made.State = "damaged" },
		"of another manifest":   func(made, _ *Archive) { made.fromDigest = "e" },
		"without a second copy": func(_, old *Archive) { old.Copies = append(old.Copies[:1:1], Copy{Place: "nas", State: CopyGood}) },
		"with a damaged copy":   func(made, _ *Archive) { made.Copies = []Copy{{Place: "disk", State: CopyDamaged}} },
	} {
		if got := pair(change); got != "" {
			t.Errorf("%s: %q", name, got)
		}
	}
}
