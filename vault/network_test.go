package vault

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"pgvault/fault"
	"pgvault/vault/archive"
	"pgvault/vault/store"
	"pgvault/vault/store/disk"
)

// network is a folder that behaves as a place over a network: nothing of it
// is near. Its faults are set by a test.
type network struct {
	store.Store
	opens, bytes atomic.Int64 // of objects read
	lists        atomic.Int64

	mu     sync.Mutex
	down   bool                                         // does not answer: an error at once
	stall  bool                                         // does not answer: waits for the context
	locked map[string]time.Time                         // by whole name of a manifest
	change func(name string, r io.Reader) io.Reader     // of what is read
	before func(ctx context.Context, call string) error // of each call
}

func (n *network) set(f func(n *network)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f(n)
}

func (n *network) ask(ctx context.Context, call string) error {
	n.mu.Lock()
	down, stall, before := n.down, n.stall, n.before
	n.mu.Unlock()
	if stall {
		<-ctx.Done()
		return ctx.Err()
	}
	if down {
		return &fault.Error{What: "the network is down", Why: "a test wants it", Left: "all", Do: "wait", Code: fault.PlaceUnreachable}
	}
	if before != nil {
		return before(ctx, call)
	}
	return nil
}

func (n *network) List(ctx context.Context, prefix string) ([]store.Info, error) {
	n.lists.Add(1)
	if err := n.ask(ctx, "list "+prefix); err != nil {
		return nil, err
	}
	return n.Store.List(ctx, prefix)
}

func (n *network) Open(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	n.opens.Add(1)
	if err := n.ask(ctx, "open "+name); err != nil {
		return nil, err
	}
	r, err := n.Store.Open(ctx, name, offset, length)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	var from io.Reader = r
	if n.change != nil {
		from = n.change(name, r)
	}
	return &networkReader{from, r, n}, nil
}

type networkReader struct {
	io.Reader
	io.Closer
	n *network
}

func (r *networkReader) Read(p []byte) (int, error) {
	k, err := r.Reader.Read(p)
	r.n.bytes.Add(int64(k))
	return k, err
}

func (n *network) Stat(ctx context.Context, name string) (store.Info, error) {
	if err := n.ask(ctx, "stat "+name); err != nil {
		return store.Info{}, err
	}
	return n.Store.Stat(ctx, name)
}

func (n *network) Create(ctx context.Context, name string) (store.Writer, error) {
	if err := n.ask(ctx, "create "+name); err != nil {
		return nil, err
	}
	return n.Store.Create(ctx, name)
}

func (n *network) Remove(ctx context.Context, name string) error {
	if err := n.ask(ctx, "remove "+name); err != nil {
		return err
	}
	return n.Store.Remove(ctx, name)
}

func (n *network) Free(ctx context.Context) (int64, error) {
	if err := n.ask(ctx, "free"); err != nil {
		return 0, err
	}
	return -1, nil
}

func (n *network) LockedUntil(_ context.Context, name string) (time.Time, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.locked[name], nil
}

// threePlaces gives the world two more places, over a network: s3 and nas.
func (w *world) threePlaces() (s3, nas *network) {
	w.t.Helper()
	at := func(name string) *network {
		if err := os.Mkdir(w.path(name), 0o700); err != nil {
			w.t.Fatal(err)
		}
		d, err := disk.Open(w.path(name))
		if err != nil {
			w.t.Fatal(err)
		}
		return &network{Store: d}
	}
	s3, nas = at("s3"), at("nas")
	w.conf.Places = append(w.conf.Places[:1:1], Place{Name: "s3", Store: s3}, Place{Name: "nas", Store: nas})
	return s3, nas
}

// bring copies an archive's objects, or those that hold holds for, from the
// first place into another folder of the world, byte for byte, as a copy is.
func (w *world) bring(place, database, id string, holds func(name string) bool) {
	w.t.Helper()
	from, to := w.path("place"), w.path(place)
	put := func(name string) {
		src, err := os.ReadFile(filepath.Join(from, name))
		if err == nil {
			err = os.MkdirAll(filepath.Dir(filepath.Join(to, name)), 0o700)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(to, name), src, 0o600)
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
	put("main/" + archive.VaultName)
	folder := archive.Folder("main", database, id)
	entries, err := os.ReadDir(filepath.Join(from, folder))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range entries {
		if archive.IsProof(strings.TrimSuffix(e.Name(), ".sig")) || holds != nil && !holds(e.Name()) {
			continue // proofs stay where they were made
		}
		put(folder + e.Name())
	}
}

// states gives the copies of an archive as "disk good, s3 missing".
func states(a Archive) string {
	var out []string
	for _, c := range a.Copies {
		s := c.Place + " " + c.State
		if c.Known != nil {
			s += " then"
		}
		out = append(out, s)
	}
	return strings.Join(out, ", ")
}

func (w *world) mark(place, database, id, object string, f func([]byte) []byte) {
	w.t.Helper()
	path := filepath.Join(w.path(place), archive.Folder("main", database, id), object)
	src, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, f(src), 0o600)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}
