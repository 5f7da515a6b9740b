package replicate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"

	"pgvault/vault/archive"
	"pgvault/vault/store"
)

// hollow is a place whose main parts are zeros that nobody keeps: they are
// read from nowhere, and written to nowhere.
type hollow struct {
	store.Store
	size int64
	mu   sync.Mutex
	have map[string]int64
}

func (h *hollow) main(name string) bool { return strings.HasSuffix(name, archive.MainPart) }

func (h *hollow) Open(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	if !h.main(name) {
		return h.Store.Open(ctx, name, offset, length)
	}
	return io.NopCloser(io.LimitReader(zeros{}, h.size-offset)), nil
}

func (h *hollow) List(ctx context.Context, prefix string) ([]store.Info, error) {
	infos, err := h.Store.List(ctx, prefix)
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, size := range h.have {
		infos = append(infos, store.Info{Name: name, Size: size})
	}
	return infos, err
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func (h *hollow) Create(ctx context.Context, name string) (store.Writer, error) {
	if !h.main(name) {
		return h.Store.Create(ctx, name)
	}
	return &hollowWriter{h: h, name: name}, nil
}

type hollowWriter struct {
	h    *hollow
	name string
	n    int64
}

func (w *hollowWriter) Write(p []byte) (int, error) { w.n += int64(len(p)); return len(p), nil }
func (w *hollowWriter) Abort() error                { return nil }
func (w *hollowWriter) Commit(context.Context) error {
	w.h.mu.Lock()
	defer w.h.mu.Unlock()
	w.h.have[w.name] = w.n
	return nil
}

// TestMemoryIsFlat copies 2 GiB to four places and looks at the memory on the
// way.
func TestMemoryIsFlat(t *testing.T) {
	const size, limit = 2 << 30, 48 << 20
	w := newWorld(t)
	place := func(name string) Place {
		p := w.place(name, name == "a")
		p.Store = &hollow{Store: p.Store, size: size, have: map[string]int64{}}
		return p
	}
	a := place("a")
	w.count++
	m := w.build(100)
	sum := sha256.New()
	_, _ = io.CopyN(sum, zeros{}, size)
	w.writeAs(a, m, func(p *archive.Part) {
		if p.Name == archive.MainPart {
			p.Size, p.SHA256 = size, hex.EncodeToString(sum.Sum(nil))
		}
	})
	to := []Place{place("b"), place("c"), place("d"), place("e")}
	task := w.task(m, []Place{a}, to)
	var mu sync.Mutex
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	peak, calls := uint64(0), 0
	task.Passed = func(string, int64, int64) {
		mu.Lock()
		defer mu.Unlock()
		if calls++; calls%256 == 0 {
			runtime.ReadMemStats(&now)
			peak = max(peak, now.HeapInuse)
		}
	}
	fine(t, Copy(t.Context(), task))
	for _, p := range to {
		if n := p.Store.(*hollow).have[archive.Folder(testVault, testDB, m.id)+archive.MainPart]; n != size {
			t.Errorf("%s has %d bytes", p.Name, n)
		}
	}
	if peak == 0 || peak > before.HeapInuse+limit {
		t.Errorf("%d MiB in use on the way, %d before", peak>>20, before.HeapInuse>>20)
	}
	t.Logf("%d MiB in use on the way, %d before", peak>>20, before.HeapInuse>>20)
}
