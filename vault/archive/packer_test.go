package archive

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"pgvault/vault/store"
)

// manyThreads lets the packer have all its threads, however small the machine.
func manyThreads(t *testing.T) {
	t.Helper()
	old := store.Processors
	store.Processors = maxThreads
	t.Cleanup(func() { store.Processors = old })
}

// words are compressible bytes that differ from place to place.
func words(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, 0, n+16)
	for len(b) < n {
		b = append(b, "row "...)
		for range r.IntN(12) {
			b = append(b, byte('a'+r.IntN(26)))
		}
	}
	return b[:n]
}

func TestPackerKeepsTheOrder(t *testing.T) {
	manyThreads(t)
	src := words(25*pieceSize + 4321)
	var out bytes.Buffer
	var ends []int
	p, err := newPacker(&out, func() { ends = append(ends, out.Len()) })
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(3, 4))
	cuts, at := []int{}, 0
	for at < len(src) {
		n := min(r.IntN(3*pieceSize), len(src)-at)
		if r.IntN(4) == 0 { // end a piece where a frame ends anyway
			n = min(pieceSize-len(p.buf), len(src)-at)
		}
		if _, err := p.Write(src[at : at+n]); err != nil {
			t.Fatal(err)
		}
		at += n
		if r.IntN(2) == 0 {
			if err := p.Cut(); err != nil {
				t.Fatal(err)
			}
			cuts = append(cuts, at)
		}
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if len(ends) != len(cuts) || len(cuts) == 0 {
		t.Fatalf("%d cuts were called, %d asked for", len(ends), len(cuts))
	}
	dec, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	for i, end := range append([]int{0}, ends...) {
		from := append([]int{0}, cuts...)[i]
		got, err := dec.DecodeAll(out.Bytes()[end:], nil)
		if err != nil {
			t.Fatalf("from frame %d: %v", i, err)
		}
		if !bytes.Equal(got, src[from:]) {
			t.Fatalf("what frame %d begins is not what was written from byte %d on", i, from)
		}
	}
}

func TestPackerOfNothing(t *testing.T) {
	var out bytes.Buffer
	p, err := newPacker(&out, func() {})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
	r, err := zstd.NewReader(&out)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if out.Len() == 0 {
		t.Fatal("no bytes are no zstd frame")
	}
	if n, err := r.WriteTo(&bytes.Buffer{}); n != 0 || err != nil {
		t.Fatalf("%d bytes, %v", n, err)
	}
}

// fullDisk takes so many bytes.
type fullDisk struct {
	left   int
	err    error
	failed bool
	after  int // writes after the failed one
}

func (d *fullDisk) Write(b []byte) (int, error) {
	if d.failed {
		d.after++
	}
	if d.left -= len(b); d.left < 0 {
		d.failed = true
		return 0, d.err
	}
	return len(b), nil
}

func TestPackerStopsAtTheFirstError(t *testing.T) {
	manyThreads(t)
	disk := &fullDisk{left: 3 * pieceSize / 2, err: errors.New("no space left")}
	p, err := newPacker(disk, func() {})
	if err != nil {
		t.Fatal(err)
	}
	noise := make([]byte, pieceSize)
	r := rand.NewChaCha8([32]byte{5})
	deadline := time.Now().Add(time.Minute)
	for err == nil {
		if time.Now().After(deadline) {
			t.Fatal("the writer was never told")
		}
		_, _ = r.Read(noise)
		_, err = p.Write(noise)
	}
	if !errors.Is(err, disk.err) {
		t.Fatal(err)
	}
	if err := p.Close(); !errors.Is(err, disk.err) {
		t.Fatalf("Close: %v", err)
	}
	if disk.after != 0 {
		t.Fatalf("%d frames were written after one had failed", disk.after)
	}
}

func TestPackerAborted(t *testing.T) {
	manyThreads(t)
	var out bytes.Buffer
	p, err := newPacker(&out, func() {})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Write(words(9*pieceSize + 1)); err != nil {
		t.Fatal(err)
	}
	p.Abort()
	if err := p.Close(); !errors.Is(err, errAborted) {
		t.Fatalf("Close after Abort: %v", err)
	}
	if _, err := p.Write([]byte("more")); !errors.Is(err, errAborted) {
		t.Fatalf("Write after Abort: %v", err)
	}
}

func TestPackersGiveTheirRoomBack(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	one, err := newPacker(io.Discard, func() {})
	if err != nil {
		t.Fatal(err)
	}
	two, err := newPacker(io.Discard, func() {})
	if err != nil {
		t.Fatal(err)
	}
	if now, want := runtime.GOMAXPROCS(0), before+2*min(store.Processors+1, maxThreads); now != want {
		t.Errorf("two packers run: room for %d goroutines, want %d", now, want)
	}
	two.Abort()
	if err := one.Close(); err != nil {
		t.Error(err)
	}
	if err := one.Close(); err != nil {
		t.Error(err)
	}
	if now := runtime.GOMAXPROCS(0); now != before {
		t.Errorf("room for %d goroutines is left, was %d", now, before)
	}
}
