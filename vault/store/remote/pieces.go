package remote

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Sizing says how large the pieces of an upload are, so that neither their
// number nor the memory for small objects becomes too large. With an unknown
// size they grow as slowly as lets 5 TiB fit: they double after a tenth of Parts,
// or sooner.
type Sizing struct {
	First int64 // bytes of the first piece
	Most  int64 // no piece is larger: what the service takes
	Parts int   // no more pieces than this
	Fixed bool  // all pieces but the last have First bytes
}

// Next gives the bytes of piece n, counted from 0. size is the whole
// object's when it is known, else -1. 0 says that no further piece fits.
func (s Sizing) Next(n int, size int64) int64 {
	switch {
	case n >= s.Parts:
		return 0
	case s.Fixed:
		return s.First
	case size >= 0:
		const mib = 1 << 20
		each := (size + int64(s.Parts) - 1) / int64(s.Parts)
		each = (each + mib - 1) / mib * mib
		return min(max(each, s.First), s.Most)
	}
	return min(s.First<<min(n/s.double(), 30), s.Most)
}

// goal is what pieces of an unknown number have to hold: the largest object
// of most services, and far more than a database of one host.
const goal = 5 << 40

// double gives after how many pieces they become twice as large.
func (s Sizing) double() int {
	for _, share := range []int{10, 20, 50, 100} {
		step := max(s.Parts/share, 1)
		var sum int64
		for n, each := 0, s.First; n < s.Parts && sum < goal; n += step {
			sum += each * int64(min(step, s.Parts-n))
			each = min(each*2, s.Most)
		}
		if sum >= goal {
			return step
		}
	}
	return max(s.Parts/200, 1)
}

// inMemory is how large a piece may be that is kept in memory.
const inMemory = 16 << 20

// Buffer is one piece: in memory up to 16 MiB, beyond that in a temporary
// file that never has a name. What it holds is encrypted already. It can be
// read again and again, for a piece that has to be sent twice.
//
// The memory is not the collector's, which would double it before it cleans
// up. Reading is safe at any time: after Reset and Close there is nothing to
// read, also for a client that still sends an attempt that was given up.
type Buffer struct {
	dir string

	mu   sync.RWMutex
	mem  []byte // mapped, inMemory bytes; only what was written to takes space
	file *os.File
	n    int64
}

// NewBuffer makes an empty one; dir is for the file, "" the system's own.
func NewBuffer(dir string) *Buffer { return &Buffer{dir: dir} }

// Len gives the bytes in it.
func (b *Buffer) Len() int64 {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.n
}

// Write appends.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.file == nil && b.n+int64(len(p)) > inMemory {
		if err := b.spill(); err != nil {
			return 0, err
		}
	}
	if b.file == nil {
		if b.mem == nil {
			mem, err := unix.Mmap(-1, 0, inMemory, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
			if err != nil {
				return 0, fmt.Errorf("memory for a piece: %w", err)
			}
			b.mem = mem
		}
		b.n += int64(copy(b.mem[b.n:], p))
		return len(p), nil
	}
	n, err := b.file.WriteAt(p, b.n)
	b.n += int64(n)
	if err != nil {
		return n, fmt.Errorf("temporary file in %s: %w", b.where(), err)
	}
	return n, nil
}

// ReadAt implements io.ReaderAt.
func (b *Buffer) ReadAt(p []byte, off int64) (int, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if off < 0 || off >= b.n {
		return 0, io.EOF
	}
	if b.file != nil {
		return io.NewSectionReader(b.file, 0, b.n).ReadAt(p, off)
	}
	n := copy(p, b.mem[off:b.n])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// WriteTo implements io.WriterTo: what is in memory is not copied.
func (b *Buffer) WriteTo(w io.Writer) (int64, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.file != nil {
		return io.Copy(w, io.NewSectionReader(b.file, 0, b.n))
	}
	n, err := w.Write(b.mem[:b.n])
	return int64(n), err
}

// Reader reads it from the start. Several may be at work at once.
func (b *Buffer) Reader() *io.SectionReader { return io.NewSectionReader(b, 0, b.Len()) }

// Reset empties it, to be filled again.
func (b *Buffer) Reset() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.reset()
}

func (b *Buffer) reset() error {
	b.n = 0
	f := b.file
	b.file = nil
	if f != nil {
		return f.Close()
	}
	return nil
}

// Close frees what it holds. It may be used again after that.
func (b *Buffer) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return errors.Join(b.reset(), b.unmap())
}

func (b *Buffer) unmap() error {
	if b.mem == nil {
		return nil
	}
	mem := b.mem
	b.mem = nil
	return unix.Munmap(mem)
}

// spill moves what is in memory to a file.
func (b *Buffer) spill() error {
	f, err := os.CreateTemp(b.where(), "pgvault-piece-")
	if err != nil {
		return fmt.Errorf("temporary file for a piece: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return errors.Join(err, f.Close())
	}
	if _, err := f.WriteAt(b.mem[:b.n], 0); err != nil {
		return errors.Join(fmt.Errorf("temporary file in %s: %w", b.where(), err), f.Close())
	}
	b.file = f
	return b.unmap()
}

func (b *Buffer) where() string {
	if b.dir != "" {
		return b.dir
	}
	return os.TempDir()
}
