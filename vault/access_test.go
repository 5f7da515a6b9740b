package vault

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgvault/fault"
)

// stranger is a user id that owns nothing here.
const stranger = 54321

func TestAccess(t *testing.T) {
	dir := t.TempDir()
	me := os.Geteuid()
	for _, c := range []struct {
		mode        os.FileMode
		uid         int
		act, system bool
	}{{0o700, me, true, false}, {0o750, me, true, true}, {0o755, me, true, false}, {0o750, stranger, false, true}, {0o700, stranger, false, false}} {
		if err := os.Chmod(dir, c.mode); err != nil {
			t.Fatal(err)
		}
		a := AccessTo(dir, c.uid)
		if a.Act != c.act || a.System != c.system || a.Owner != userName(me) || a.User != userName(c.uid) || (a.Why == "") != c.act {
			t.Errorf("mode %o, user %d: %+v", c.mode, c.uid, a)
		}
		if !c.act && !strings.Contains(a.Why, "You are uid 54321; the vault belongs to "+userName(me)+". sudo -u "+userName(me)+" pgvault") {
			t.Errorf("why: %s", a.Why)
		}
	}
	if a := AccessTo(filepath.Join(dir, "none"), stranger); !a.Act || a.System {
		t.Errorf("no state folder yet: %+v", a)
	}
}

// TestLookersChangeNothing: whose state folder it is not lists and looks,
// and every call that changes or starts something is refused.
func TestLookersChangeNothing(t *testing.T) {
	w := newWorld(t)
	id := w.fabricate(made{database: "shop", at: noon})
	w.fabricate(made{database: "shop", at: noon.Add(1), seq: 2})
	w.conf.StateDir = "/usr" // root's
	if os.Geteuid() == 0 {
		w.conf.StateDir = w.path("state")
		if err := os.Mkdir(w.conf.StateDir, 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(w.conf.StateDir, stranger, stranger); err != nil {
			t.Fatal(err)
		}
	}
	before := w.files()
	v := w.vault()
	if l := w.list(); len(l) != 2 {
		t.Errorf("%d archives are seen", len(l))
	}
	if h := w.health(t); len(h.Databases) == 0 {
		t.Error("no health is seen")
	}
	p, err := v.PlanDelete(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	_, planErr := v.PlanRestore(t.Context(), RestoreOptions{ID: id, Identities: w.ids})
	for what, err := range map[string]error{
		"delete": v.Delete(t.Context(), p), "pin": v.Pin(t.Context(), id, true), "unpin": v.Pin(t.Context(), id, false), "restore": planErr,
		"backup": v.Backup(t.Context(), BackupOptions{Database: "shop"}, nil),
		"verify": v.Verify(t.Context(), VerifyOptions{ID: id, Level: ProofIntact}, nil),
	} {
		if fault.CodeOf(err) != fault.Refused || !strings.Contains(fault.As(err).Why, "the vault belongs to ") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if after := w.files(); strings.Join(before, " ") != strings.Join(after, " ") {
		t.Errorf("before %v, after %v", before, after)
	}
}

// TestSharedState: in a state folder of 0750 all that is made lets the group
// read, and nobody else.
func TestSharedState(t *testing.T) {
	for mode, want := range map[os.FileMode][2]os.FileMode{0o750: {0o750, 0o640}, 0o700: {0o700, 0o600}, 0o755: {0o700, 0o600}} {
		w := newWorld(t)
		if err := os.Mkdir(w.path("state"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(w.path("state"), mode); err != nil {
			t.Fatal(err)
		}
		w.fabricate(made{database: "shop", at: noon})
		w.list()
		v := w.vault()
		vf, err := v.vaultFile(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		v.rememberEnd(vf, "shop", &fault.Error{What: "no space", Why: "full", Left: "nothing", Do: "make room"})
		if f := v.failed(vf, "shop"); f == nil || f.Why != "full" {
			t.Errorf("the reason is not remembered: %+v", f)
		}
		for _, path := range []string{filepath.Dir(w.listingFiles()[0]), w.listingFiles()[0], w.path("state/last"), v.failedPath(vf, "shop")} {
			fi, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			expected := want[1]
			if fi.IsDir() {
				expected = want[0]
			}
			if fi.Mode().Perm() != expected {
				t.Errorf("in a folder of %o, %s has %o, not %o", mode, path, fi.Mode().Perm(), expected)
			}
		}
	}
}
