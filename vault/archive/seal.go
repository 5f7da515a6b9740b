package archive

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"

	"filippo.io/age"

	"pgvault/fault"
	"pgvault/vault/store"
)

// Sealer writes the parts of one archive: zstd, then age, then SHA-256 of
// the ciphertext, then the place. Memory is constant whatever the size.
type Sealer struct {
	place      store.Store
	folder     string
	recipients []age.Recipient
}

// NewSealer seals to the recipients and the one-time identity (nil: none).
func NewSealer(place store.Store, folder string, r *Recipients, once *OneTime) *Sealer {
	to := append([]age.Recipient(nil), r.age...)
	if once != nil {
		to = append(to, once.recipient)
	}
	return &Sealer{place: place, folder: folder, recipients: to}
}

// PartWriter is one part being written. It is whole only after Close; a
// caller that cannot vouch for every byte calls Abort instead, and nothing
// of the part is ever visible. Never defer Close.
type PartWriter struct {
	name   string
	object store.Writer
	sum    *sumWriter
	age    io.WriteCloser
	packer *packer
	plain  int64
	cuts   []int64 // where frames begin in the uncompressed bytes, after the first
	ends   []int64 // the same in the zstd stream; the packer's until it has ended
}

// Part begins a part.
func (s *Sealer) Part(ctx context.Context, name string) (*PartWriter, error) {
	object, err := s.place.Create(ctx, s.folder+name)
	if err != nil {
		return nil, err
	}
	w := &PartWriter{name: name, object: object, sum: newSumWriter(object)}
	if w.age, err = age.Encrypt(w.sum, s.recipients...); err != nil {
		_ = object.Abort()
		return nil, fmt.Errorf("sealing %s: %w", name, err)
	}
	packed := &countWriter{w: w.age}
	w.packer, err = newPacker(packed, func() { w.ends = append(w.ends, packed.n) })
	if err != nil {
		_ = object.Abort()
		return nil, fmt.Errorf("sealing %s: %w", name, err)
	}
	return w, nil
}

// Write takes the next uncompressed bytes.
func (w *PartWriter) Write(p []byte) (int, error) {
	if w.name != MainPart && w.plain+int64(len(p)) > MaxContents {
		return 0, &fault.Error{Op: "seal", What: fmt.Sprintf("%s would be larger than %d MiB, which no reader takes", w.name, MaxContents>>20),
			Why: "the database has too many objects for this format", Left: "no archive was made; all older ones are as they were", Do: "divide the database, or report this"}
	}
	n, err := w.packer.Write(p)
	w.plain += int64(n)
	return n, err
}

// Cut ends the zstd frame and begins another, so that a reader can start
// there. Two cuts at one place make one frame.
func (w *PartWriter) Cut() error {
	if w.plain == 0 || len(w.cuts) > 0 && w.cuts[len(w.cuts)-1] == w.plain {
		return nil
	}
	w.cuts = append(w.cuts, w.plain)
	return w.packer.Cut()
}

// Frames gives the frame index. It is there after Close.
func (w *PartWriter) Frames() []Frame {
	frames := []Frame{{}}
	for i, at := range w.cuts {
		frames = append(frames, Frame{Dump: at, Zstd: w.ends[i]})
	}
	return frames
}

// Stored is how many encrypted bytes were handed to the place so far; a
// little behind what was written, because compression runs beside it.
func (w *PartWriter) Stored() int64 { return w.sum.count() }

// Close finishes zstd and age and publishes the part. After an error
// nothing of it is visible.
func (w *PartWriter) Close(ctx context.Context) (Part, error) {
	err := w.packer.Close()
	if err == nil {
		err = w.age.Close()
	}
	if err == nil {
		err = w.object.Commit(ctx)
	}
	if err != nil {
		_ = w.object.Abort()
		return Part{}, err
	}
	return w.sum.part(w.name), nil
}

// Abort gives the part up. It may be called after Close.
func (w *PartWriter) Abort() {
	w.packer.Abort()
	_ = w.object.Abort()
}

// Publish writes a small public object (manifest, signature, proof, vault
// file) as it is.
func Publish(ctx context.Context, place store.Store, name string, data []byte) error {
	w, err := place.Create(ctx, name)
	if err != nil {
		return err
	}
	if _, err := w.Write(data); err != nil {
		_ = w.Abort()
		return err
	}
	if err := w.Commit(ctx); err != nil {
		_ = w.Abort()
		return err
	}
	return nil
}

// Seal publishes the signed manifest: the signature first, the manifest
// last, because with it the archive exists.
func Seal(ctx context.Context, place store.Store, folder string, m *Manifest, signer *Signer) error {
	src, err := m.Encode()
	if err == nil {
		err = m.check() // before JSON makes another name of one that is not UTF-8
	}
	if err != nil {
		return fmt.Errorf("refusing to write this manifest: %w", err)
	}
	if _, err := ParseManifest(src); err != nil {
		return fmt.Errorf("refusing to write a manifest that a reader would refuse: %w", err)
	}
	sig, err := signer.Sign(src, ManifestNamespace)
	if err != nil {
		return &fault.Error{Op: "seal", What: "the manifest could not be signed", Left: "no archive was made", Do: "check the signing key or the SSH agent", Err: err}
	}
	if err := Publish(ctx, place, folder+SignatureName, sig); err != nil {
		return err
	}
	return Publish(ctx, place, folder+ManifestName, src)
}

// sumWriter hashes and counts what passes to w.
type sumWriter struct {
	w    io.Writer
	hash hash.Hash
	n    counter
}

func newSumWriter(w io.Writer) *sumWriter { return &sumWriter{w: w, hash: sha256.New()} }

// part is what was written, as a manifest names it.
func (s *sumWriter) part(name string) Part {
	return Part{Name: name, Size: s.count(), SHA256: hex.EncodeToString(s.hash.Sum(nil))}
}

func (s *sumWriter) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	s.hash.Write(p[:n])
	s.n.add(int64(n))
	return n, err
}

func (s *sumWriter) count() int64 { return s.n.get() }

type countWriter struct {
	w io.Writer
	n int64
}

func (c *countWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
