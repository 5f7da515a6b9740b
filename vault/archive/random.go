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
	"sync/atomic"

	"github.com/klauspost/compress/zstd"

	"pgvault/vault/store"
)

// Main gives random access to the dump: only the frames asked for are read
// from the place and decrypted. Each chunk is authenticated by age as it is
// read; whoever uses the bytes compares them with the digests in contents.
type Main struct {
	o      *Opened
	c      *Contents
	object io.Closer
	stored *headReaderAt
	zstd   io.ReaderAt
	size   int64
}

// Main opens the dump for random access.
func (o *Opened) Main(ctx context.Context, c *Contents, keys *Keys) (*Main, error) {
	ids, err := keys.forPart(o.Manifest.ID, MainPart)
	if err != nil {
		return nil, err
	}
	part, _ := o.Manifest.Part(MainPart)
	info, err := o.place.Stat(ctx, o.folder+MainPart)
	if err != nil {
		return nil, missing(o.Manifest.ID, MainPart, err)
	}
	if info.Size != part.Size {
		return nil, damaged(o.label(MainPart), fmt.Sprintf("it is %d bytes long and should be %d", info.Size, part.Size), nil)
	}
	object := store.NewReaderAt(ctx, o.place, o.folder+MainPart, part.Size)
	head := make([]byte, min(headSize, part.Size))
	if _, err = object.ReadAt(head, 0); err == nil || err == io.EOF {
		err = o.sameHead(head)
	}
	if err != nil {
		_ = object.Close()
		return nil, o.readError(MainPart, err)
	}
	stored := &headReaderAt{head: head, r: object}
	at, size, err := unsealAt(o.label(MainPart), stored, part.Size, ids)
	if perr := stored.failed(); perr != nil {
		_ = object.Close()
		return nil, perr
	}
	if err != nil {
		_ = object.Close()
		return nil, o.noMatch(ctx, MainPart, keys, err)
	}
	return &Main{o: o, c: c, object: object, stored: stored, zstd: at, size: size}, nil
}

// Close frees what the place holds open. Blocks cannot be read after it.
func (m *Main) Close() error { return m.object.Close() }

// headReaderAt gives the first bytes from memory: those that sameHead saw.
// It remembers an error of the place, which says nothing of the archive;
// what reads through it does not pass every error on.
type headReaderAt struct {
	head []byte
	r    io.ReaderAt
	err  atomic.Pointer[error]
}

func (h *headReaderAt) failed() error {
	if e := h.err.Load(); e != nil {
		return *e
	}
	return nil
}

func (h *headReaderAt) ReadAt(p []byte, off int64) (int, error) {
	n, err := h.readAt(p, off)
	if err != nil && err != io.EOF && !errors.Is(err, io.ErrUnexpectedEOF) {
		h.err.Store(&err)
	}
	return n, err
}

func (h *headReaderAt) readAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= int64(len(h.head)) {
		return h.r.ReadAt(p, off)
	}
	n := copy(p, h.head[off:])
	if n == len(p) {
		return n, nil
	}
	k, err := h.r.ReadAt(p[n:], off+int64(n))
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
	section := io.NewSectionReader(m.zstd, f.Zstd, m.size-f.Zstd)
	dec, err := newDecoder(bufio.NewReaderSize(section, 128<<10))
	if err != nil {
		return nil, err
	}
	return &blockReader{m: m, dec: dec, left: length}, nil
}

type blockReader struct {
	m    *Main
	dec  *zstd.Decoder
	left int64
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
	if perr := b.m.stored.failed(); perr != nil {
		return n, perr
	}
	if err != nil && err != io.EOF {
		err = b.m.o.readError(MainPart, err)
	}
	return n, err
}

func (b *blockReader) Close() error {
	b.dec.Close()
	return nil
}

// headSize is more than age's longest header (2 MiB) and the nonce after it.
const headSize = 2<<20 + 4<<10

// sameHead remembers the first bytes of the main part and refuses others
// later. They decide which key decrypts all that follows, and only who
// sealed the part knows that key: once CheckPart has found these bytes to be
// those that were signed, each chunk that Main reads is one that was signed,
// whatever the place gives the second time.
func (o *Opened) sameHead(head []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.head == nil {
		o.head = head
	}
	if !bytes.Equal(o.head, head) {
		return damaged(o.label(MainPart), "it changed between two readings", nil)
	}
	return nil
}
