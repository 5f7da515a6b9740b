package limit

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"pgvault/vault/store"
	"pgvault/vault/store/disk"
	"pgvault/vault/store/storetest"
)

// frozen is a clock that stands still: the longest wait that was asked for is
// how long all of it would have taken.
type frozen struct {
	mu      sync.Mutex
	longest time.Duration
	fail    error
}

func (f *frozen) now() time.Time { return time.Unix(1e9, 0) }
func (f *frozen) sleep(_ context.Context, d time.Duration) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.longest = max(f.longest, d)
	return f.fail
}

// took tells the time to within one burst, and begins anew.
func (f *frozen) took(t *testing.T, s *Store, want time.Duration) {
	t.Helper()
	if got := f.longest; got > want || got < want-2*time.Second/share {
		t.Errorf("%v, want %v and at most half a second less", got, want)
	}
	f.longest = 0
	s.bucket = newStore(nil, int64(s.bucket.Limit()), nil, nil).bucket
}

func place(t *testing.T) store.Store {
	t.Helper()
	d, err := disk.Init("file:" + t.TempDir() + "/place")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// bare hides all that a Store offers beside the contract.
type bare struct{ store.Store }

func TestContract(t *testing.T) {
	for name, wrap := range map[string]func(store.Store) store.Store{"disk": func(s store.Store) store.Store { return s }, "bare": func(s store.Store) store.Store { return bare{s} }} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) store.Store { return New(wrap(place(t)), 8<<30) })
		})
	}
}

func TestNoLimitIsNoWrapper(t *testing.T) {
	d := place(t)
	if New(d, 0) != d || New(d, -1) != d {
		t.Error("a place without a limit is wrapped")
	}
}

func TestRate(t *testing.T) {
	const perSecond = 1 << 20
	clock := &frozen{}
	s := newStore(place(t), perSecond, clock.now, clock.sleep)
	data := storetest.Bytes(10*perSecond, 1)

	storetest.Put(t, s, "main/a", data)
	clock.took(t, s, 10*time.Second)

	w, err := store.CreateSized(t.Context(), s, "main/sized", int64(len(data)))
	if err == nil {
		_, err = w.Write(data)
	}
	if err == nil {
		err = w.Commit(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	clock.took(t, s, 10*time.Second)

	if got := storetest.Get(t, s, "main/a"); !bytes.Equal(got, data) {
		t.Error("other bytes are read")
	}
	clock.took(t, s, 10*time.Second)

	r := store.NewReaderAt(t.Context(), s, "main/a", int64(len(data)))
	p := make([]byte, 5*perSecond)
	if n, err := r.ReadAt(p, 3); n != len(p) || err != nil || !bytes.Equal(p, data[3:3+len(p)]) {
		t.Error(n, err)
	}
	clock.took(t, s, 5*time.Second)
	if err := r.Close(); err != nil {
		t.Error(err)
	}

	got, err := s.ReadFolder(t.Context(), "main/", []store.Info{{Name: "a", Size: int64(len(data))}})
	if err != nil || !bytes.Equal(got["a"], data) {
		t.Errorf("%d objects, %v", len(got), err)
	}
	clock.took(t, s, 10*time.Second)
}

// TestShared: several writers and a reader at once get the rate together.
func TestShared(t *testing.T) {
	const perSecond = 1 << 20
	clock := &frozen{}
	s := newStore(place(t), perSecond, clock.now, clock.sleep)
	var all sync.WaitGroup
	for _, name := range []string{"a", "b", "c", "d"} {
		all.Go(func() { storetest.Put(t, s, name, storetest.Bytes(2*perSecond, 1)) })
	}
	all.Wait()
	all.Go(func() { storetest.Get(t, s, "a") })
	all.Go(func() { storetest.Put(t, s, "e", storetest.Bytes(2*perSecond, 1)) })
	all.Wait()
	clock.took(t, s, 12*time.Second)
}

// TestCancelledWhileWaiting: what waits for its turn ends with the context,
// and nothing of it is published.
func TestCancelledWhileWaiting(t *testing.T) {
	clock := &frozen{}
	s := newStore(place(t), 1000, clock.now, clock.sleep)
	storetest.Put(t, s, "there", make([]byte, 5000))
	clock.fail = context.Canceled
	w, err := s.Create(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 5000)); !errors.Is(err, context.Canceled) {
		t.Errorf("write: %v", err)
	}
	if err := w.Commit(t.Context()); !errors.Is(err, context.Canceled) {
		t.Errorf("commit: %v", err)
	}
	if _, err := s.Stat(t.Context(), "x"); !errors.Is(err, store.ErrNotExist) {
		t.Errorf("stat: %v", err)
	}
	r, err := s.Open(t.Context(), "there", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(r); !errors.Is(err, context.Canceled) {
		t.Errorf("read: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func TestSleepEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := sleep(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := sleep(t.Context(), time.Nanosecond); err != nil {
		t.Error(err)
	}
}

// clocked is a Store that offers something of its own.
type clocked struct{ store.Store }

func (clocked) ServerTime(context.Context) (time.Time, error) { return time.Unix(7, 0), nil }

func TestOffersPassThrough(t *testing.T) {
	s := New(clocked{place(t)}, 1<<20)
	c, ok := store.As[store.Clock](s)
	if !ok {
		t.Fatal("the clock is hidden")
	}
	if at, err := c.ServerTime(t.Context()); err != nil || at.Unix() != 7 {
		t.Error(at, err)
	}
	if _, ok := store.As[store.Retained](s); ok {
		t.Error("a lock is found that is not there")
	}
	if free, total, err := s.(store.Capacity).Capacity(t.Context()); free <= 0 || total != -1 || err != nil {
		t.Error(free, total, err)
	}
}
