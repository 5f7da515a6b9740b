package archive

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"

	"pgvault/vault/store"
)

// Main gives random access to the dump: only the frames asked for are read
// from the place and decrypted. Each chunk is authenticated by age as it is
// read; whoever uses the bytes compares them with the digests in contents.
type Main struct {
	o      *Opened
	c      *Contents
	stored *headReaderAt
	zstd   io.ReaderAt
	size   int64 // of what age decrypts to
	start  int64 // where age's chunks begin in the part
}

// Main opens the dump for random access.
func (o *Opened) Main(ctx context.Context, c *Contents, keys *Keys) (*Main, error) {
	ids, err := keys.forPart(o.Manifest.ID, MainPart)
	if err != nil {
		return nil, err
	}
	object, head, err := o.mainHead(ctx)
	if err != nil {
		return nil, err
	}
	stored := &headReaderAt{head: head, r: object}
	size := object.Size()
	at, plain, err := unsealAt(o.label(MainPart), stored, size, ids)
	if perr := stored.failed(); perr != nil {
		_ = stored.Close()
		return nil, perr
	}
	if err != nil {
		_ = stored.Close()
		return nil, o.noMatch(ctx, MainPart, keys, err)
	}
	m := &Main{o: o, c: c, stored: stored, zstd: at, size: plain}
	m.start = size - plain - chunkTag*max(1, (plain+chunkPlain-1)/chunkPlain)
	return m, nil
}

// mainHead opens the main part for reading at random and reads its first
// bytes, age's header among them.
func (o *Opened) mainHead(ctx context.Context) (*store.ReaderAt, []byte, error) {
	part, _ := o.Manifest.Part(MainPart)
	info, err := o.place.Stat(ctx, o.folder+MainPart)
	if err != nil {
		return nil, nil, missing(o.Manifest.ID, MainPart, err)
	}
	if info.Size != part.Size {
		return nil, nil, damaged(o.label(MainPart), fmt.Sprintf("it is %d bytes long and should be %d", info.Size, part.Size), nil)
	}
	object := store.NewReaderAt(ctx, o.place, o.folder+MainPart, part.Size)
	var head []byte
	for want := int64(firstHead); ; want *= 8 { // most headers have a few hundred bytes
		from := len(head)
		head = append(head, make([]byte, min(want, headSize, part.Size)-int64(from))...)
		if _, err = object.ReadAt(head[from:], int64(from)); err != nil && err != io.EOF {
			break
		}
		if headEnd(head) > 0 || want >= headSize || want >= part.Size {
			err = o.sameHead(head)
			break
		}
	}
	if err != nil {
		_ = object.Close()
		return nil, nil, o.readError(MainPart, err)
	}
	return object, head, nil
}

// Use goes on reading from o, which is another copy of the same archive or a
// spool of it: one whose main part CheckPart or FetchPart has found right, or
// that begins with the same bytes. Blocks that are open go on from there, too.
func (m *Main) Use(ctx context.Context, o *Opened) error {
	if o.Digest != m.o.Digest {
		return damaged(o.label(MainPart), "it is not the archive that was opened", nil)
	}
	if err := o.sameHead(m.o.knownHead()); err != nil {
		return err
	}
	object, head, err := o.mainHead(ctx)
	if err != nil {
		return err
	}
	m.stored.use(head, object)
	return nil
}

// Close frees what the place holds open. Blocks cannot be read after it.
func (m *Main) Close() error { return m.stored.Close() }

// headReaderAt gives the first bytes from memory: those that sameHead saw.
// It remembers an error of the place, which says nothing of the archive;
// what reads through it does not pass every error on.
type headReaderAt struct {
	mu     sync.RWMutex
	head   []byte
	r      *store.ReaderAt
	before []*store.ReaderAt // those that were used before r
	err    error
}

// use reads from another object from now on.
func (h *headReaderAt) use(head []byte, r *store.ReaderAt) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.before = append(h.before, h.r)
	h.head, h.r, h.err = head, r, nil
}

func (h *headReaderAt) now() ([]byte, *store.ReaderAt) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.head, h.r
}

func (h *headReaderAt) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	err := h.r.Close()
	for _, r := range h.before {
		err = errors.Join(err, r.Close())
	}
	h.before = nil
	return err
}

func (h *headReaderAt) failed() error {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.err
}

func (h *headReaderAt) ReadAt(p []byte, off int64) (int, error) {
	head, r := h.now()
	n, err := readAfter(head, r, p, off)
	if err != nil && err != io.EOF && !errors.Is(err, io.ErrUnexpectedEOF) {
		h.mu.Lock()
		if h.r == r {
			h.err = err
		}
		h.mu.Unlock()
	}
	return n, err
}

func readAfter(head []byte, r io.ReaderAt, p []byte, off int64) (int, error) {
	if off < 0 || off >= int64(len(head)) {
		return r.ReadAt(p, off)
	}
	n := copy(p, head[off:])
	if n == len(p) {
		return n, nil
	}
	k, err := r.ReadAt(p[n:], off+int64(n))
	return n + k, err
}

// TOC gives the dump's header and table of contents, whose SHA-256 agrees
// with contents.
func (m *Main) TOC() ([]byte, error) {
	r, err := m.Block(0, m.c.Dump.TOCLength)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var buf bytes.Buffer
	if _, err := io.Copy(&buf, r); err != nil {
		return nil, m.o.readError(MainPart, err)
	}
	sum := sha256.Sum256(buf.Bytes())
	if int64(buf.Len()) != m.c.Dump.TOCLength || hex.EncodeToString(sum[:]) != m.c.Dump.TOCSHA256 {
		return nil, damaged(m.o.label(MainPart), "the dump's table of contents is not the one that was recorded", nil)
	}
	return buf.Bytes(), nil
}

// Block gives length bytes of the dump from offset, where a frame begins.
func (m *Main) Block(offset, length int64) (io.ReadCloser, error) {
	f, ok := m.c.Dump.frameAt(offset)
	if !ok {
		return nil, damaged(m.o.label(MainPart), fmt.Sprintf("no frame begins at %d", offset), nil)
	}
	end := m.c.Dump.zstdEnd(offset+length, m.size)
	section := io.NewSectionReader(m.zstd, f.Zstd, end-f.Zstd)
	dec, err := newDecoder(bufio.NewReaderSize(section, 128<<10))
	if err != nil {
		return nil, err
	}
	from, to := m.start+f.Zstd/chunkPlain*chunkStored, m.start+(end+chunkPlain-1)/chunkPlain*chunkStored
	_, r := m.stored.now()
	return &blockReader{m: m, dec: dec, left: length, forget: r.Expect(from, to)}, nil
}

type blockReader struct {
	m      *Main
	dec    *zstd.Decoder
	left   int64
	forget func()
}

func (b *blockReader) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, io.EOF
	}
	n, err := b.dec.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	if err == io.EOF && b.left > 0 {
		err = fmt.Errorf("it ends %d bytes before the end of a block", b.left)
	}
	if err != nil && err != io.EOF {
		if perr := b.m.stored.failed(); perr != nil {
			return n, perr
		}
		err = b.m.o.readError(MainPart, err)
	}
	return n, err
}

func (b *blockReader) Close() error {
	b.dec.Close()
	b.forget()
	return nil
}

// The chunks of age's payload: 64 KiB, and a tag of 16 bytes behind each.
const (
	chunkPlain  = 64 << 10
	chunkTag    = 16
	chunkStored = chunkPlain + chunkTag
)

// headSize is more than age's longest header (2 MiB) and the nonce after it.
const headSize = 2<<20 + 4<<10

// firstHead is how much is read at first to find the header's end.
const firstHead = 16 << 10

// headEnd is where age's payload begins: after the line that ends the header
// and a nonce of 16 bytes. 0: that is not within b.
func headEnd(b []byte) int {
	const last = "\n--- "
	i := bytes.Index(b, []byte(last))
	if i < 0 {
		return 0
	}
	i += len(last)
	n := bytes.IndexByte(b[i:], '\n')
	if n < 0 || i+n+1+chunkTag > len(b) {
		return 0
	}
	return i + n + 1 + chunkTag
}

// sameHead remembers the first bytes of the main part and refuses others
// later. They decide which key decrypts all that follows, and only who
// sealed the part knows that key: once CheckPart has found these bytes to be
// those that were signed, each chunk that Main reads is one that was signed,
// whatever the place gives the second time.
func (o *Opened) sameHead(head []byte) error {
	if n := headEnd(head); n > 0 {
		head = head[:n]
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.head == nil {
		o.head = bytes.Clone(head)
	}
	if !bytes.Equal(o.head, head) {
		return damaged(o.label(MainPart), "it changed between two readings", nil)
	}
	return nil
}

// knownHead is what sameHead remembers.
func (o *Opened) knownHead() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.head
}
