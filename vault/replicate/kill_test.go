package replicate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"pgvault/vault/archive"
	"pgvault/vault/store"
	"pgvault/vault/store/disk"
)

// childWord as its first argument makes this test binary copy one archive and
// kill itself on the way.
const childWord = "copy-and-die"

// order is what such a child is to do.
type order struct {
	Dir, ID, VaultID, Signer string
	Targets                  []string
	Calls                    int  // after so many calls of a place it is killed
	After                    bool // after the call has been done, not before
}

// killing is a place that kills its process at one of its calls.
type killing struct {
	store.Store
	o     *order
	calls *int
}

func (k killing) call(do func()) {
	*k.calls++
	now := *k.calls == k.o.Calls
	if now && !k.o.After {
		die()
	}
	do()
	if now {
		die()
	}
}

func die() { _ = syscall.Kill(os.Getpid(), syscall.SIGKILL); select {} }

func (k killing) Create(ctx context.Context, name string) (w store.Writer, err error) {
	k.call(func() { w, err = k.Store.Create(ctx, name) })
	return killingWriter{w, k}, err
}

func (k killing) Remove(ctx context.Context, name string) (err error) {
	k.call(func() { err = k.Store.Remove(ctx, name) })
	return err
}

type killingWriter struct {
	store.Writer
	k killing
}

func (w killingWriter) Write(b []byte) (n int, err error) {
	w.k.call(func() { n, err = w.Writer.Write(b) })
	return n, err
}

func (w killingWriter) Commit(ctx context.Context) (err error) {
	w.k.call(func() { err = w.Writer.Commit(ctx) })
	return err
}

// child does the order in its argument, one target after the other, so that
// its calls have one order. It says so when it was not killed.
func child(src string) int {
	var o order
	fail := func(err error) int { fmt.Println(err); return 1 }
	if err := json.Unmarshal([]byte(src), &o); err != nil {
		return fail(err)
	}
	trust, err := archive.NewTrust([]string{o.Signer})
	if err != nil {
		return fail(err)
	}
	place := func(name string) Place {
		d, derr := disk.Open(o.Dir + "/" + name)
		err = errors.Join(err, derr)
		return Place{Name: name, Store: d}
	}
	calls := 0
	for _, name := range o.Targets {
		to := place(name)
		to.Store = killing{to.Store, &o, &calls}
		t := Task{Vault: testVault, VaultID: o.VaultID, Trust: trust, Database: testDB, ID: o.ID, Sources: []Place{place("a")}, Targets: []Place{to}}
		if err != nil {
			return fail(err)
		}
		for _, out := range Copy(context.Background(), t).Outcomes {
			if out.Err != nil {
				return fail(out.Err)
			}
		}
	}
	fmt.Printf("whole after %d calls\n", calls)
	return 0
}

// TestKilledProcess kills a copying process with SIGKILL before and after
// each call of the places that changes something: into one that is empty, and
// into one whose copy is damaged. What is listed is whole, and the next copy
// completes the rest.
func TestKilledProcess(t *testing.T) {
	kills := 0
	for n := 1; ; n++ {
		for _, after := range []bool{false, true} {
			w := newWorld(t)
			a, b, c := w.place("a", true), w.place("b", false), w.place("c", true)
			m := w.make(a, 3*pieceSize)
			fine(t, Copy(t.Context(), w.task(m, []Place{a}, []Place{c})))
			w.spoil(c, m, archive.MainPart)
			w.spoil(c, m, archive.SignatureName)
			src, err := json.Marshal(order{w.dir, m.id, w.vault.ID, w.signer.Public(), []string{"b", "c"}, n, after})
			w.ok(err)
			out, err := exec.Command(os.Args[0], childWord, string(src)).CombinedOutput()
			var ended *exec.ExitError
			killed := errors.As(err, &ended) && ended.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
			if !killed && (err != nil || !bytes.Contains(out, []byte("whole after"))) {
				t.Fatalf("%v: %s", err, out)
			}
			if slices.ContainsFunc(w.names(b), func(name string) bool { return strings.HasSuffix(name, archive.ManifestName) }) {
				w.whole(b, m)
			}
			fine(t, Copy(t.Context(), w.task(m, []Place{a}, []Place{b, c})))
			for _, p := range []Place{a, b, c} {
				w.whole(p, m)
			}
			if left, err := w.leftovers(); err != nil || len(left) > 0 {
				t.Errorf("killed at call %d: %v, %v", n, left, err)
			}
			if !killed {
				if kills < 40 {
					t.Errorf("only %d kills", kills)
				}
				return
			}
			kills++
		}
	}
}
