package archive

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
)

// PartReader is a part decrypted and decompressed as it is read. io.EOF
// comes only after age's last chunk, with nothing behind it, and after size
// and SHA-256 of the stored bytes agreed with the manifest.
type PartReader struct {
	o      *Opened
	name   string
	object io.Closer
	sum    *sumReader
	age    *endReader
	zstd   *zstd.Decoder
	plain  int64 // uncompressed bytes given so far
	most   int64 // more cannot be: the manifest says so, or the format
	err    error
}

// Part opens a part from its beginning with the given identities.
func (o *Opened) Part(ctx context.Context, name string, keys *Keys) (*PartReader, error) {
	object, sum, plain, err := o.decrypting(ctx, name, keys)
	if err != nil {
		return nil, err
	}
	end := &endReader{r: plain}
	dec, err := newDecoder(end)
	if err != nil {
		object.Close()
		return nil, err
	}
	r := &PartReader{o: o, name: name, object: object, sum: sum, age: end, zstd: dec, most: MaxContents}
	if name == MainPart {
		r.most = o.Manifest.Bytes
	}
	return r, nil
}

// decrypting opens a part for reading in order: what is to be closed, the sum
// of the stored bytes that passed, and what age makes of them.
func (o *Opened) decrypting(ctx context.Context, name string, keys *Keys) (io.Closer, *sumReader, io.Reader, error) {
	ids, err := keys.forPart(o.Manifest.ID, name)
	if err != nil {
		return nil, nil, nil, err
	}
	part, object, err := o.object(ctx, name)
	if err != nil {
		return nil, nil, nil, err
	}
	sum := newSumReader(object, part)
	plain, err := unseal(o.label(name), sum, ids)
	if err != nil {
		object.Close()
		return nil, nil, nil, o.noMatch(ctx, name, keys, err)
	}
	return object, sum, plain, nil
}

// unseal decrypts stored bytes in order. Each chunk is authentic as it is
// given, but only io.EOF says that none is missing.
func unseal(label string, r io.Reader, ids []namedIdentity) (io.Reader, error) {
	out, err := age.Decrypt(bufio.NewReaderSize(r, 256<<10), plain(ids)...)
	if err != nil {
		return nil, opening(label, err)
	}
	return out, nil
}

// unsealAt decrypts size stored bytes at random; the size is authentic.
func unsealAt(label string, r io.ReaderAt, size int64, ids []namedIdentity) (io.ReaderAt, int64, error) {
	out, n, err := age.DecryptReaderAt(r, size, plain(ids)...)
	if err != nil {
		return nil, 0, opening(label, err)
	}
	return out, n, nil
}

// noMatch looks behind "no identity opens it": a flipped bit in age's header
// says that too. All parts are sealed to the same recipients, and contents
// is small, so that is where the identities are tried and the bytes checked.
func (o *Opened) noMatch(ctx context.Context, name string, keys *Keys, err error) error {
	var none *age.NoIdentityMatchError
	if !errors.As(err, &none) {
		return err
	}
	if cerr := o.CheckPart(ctx, ContentsPart, nil); cerr != nil {
		return cerr
	}
	if name == ContentsPart {
		return err
	}
	_, object, cerr := o.object(ctx, ContentsPart)
	if cerr != nil {
		return cerr
	}
	defer object.Close()
	ids, cerr := keys.forPart(o.Manifest.ID, ContentsPart)
	if cerr != nil {
		return cerr
	}
	if _, cerr := unseal(o.label(ContentsPart), object, ids); cerr != nil {
		return err
	}
	return damaged(o.label(name), "an identity that opens "+ContentsPart+" does not open it", none)
}

// Read gives the next uncompressed bytes. After an error it gives that error
// again.
func (r *PartReader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.zstd.Read(p)
	if r.plain += int64(n); r.plain > r.most {
		n, err = 0, fmt.Errorf("it unpacks to more than %d bytes", r.most)
	}
	if err == io.EOF {
		err = r.ended()
	}
	switch {
	case err == nil || err == io.EOF:
	case r.sum.err != nil:
		err = r.sum.err // the place failed: that says nothing of the archive
	default:
		err = r.o.readError(r.name, err)
	}
	r.err = err
	return n, err
}

// ended gives io.EOF if age and the sum have come to their ends too. zstd
// takes an early end between two frames for its own.
func (r *PartReader) ended() error {
	if _, err := io.Copy(io.Discard, r.age); err != nil {
		return err
	}
	switch {
	case !r.sum.ended:
		return errors.New("something follows its encrypted end")
	case r.name == MainPart && r.plain != r.o.Manifest.Bytes:
		return fmt.Errorf("it unpacks to %d bytes and should to %d", r.plain, r.o.Manifest.Bytes)
	}
	return io.EOF
}

// endReader remembers how r ended.
type endReader struct {
	r   io.Reader
	err error
}

func (e *endReader) Read(p []byte) (int, error) {
	if e.err != nil {
		return 0, e.err
	}
	n, err := e.r.Read(p)
	e.err = err
	return n, err
}

// Stored is how many encrypted bytes were read so far.
func (r *PartReader) Stored() int64 { return r.sum.n.get() }

// Close frees what the reader holds. It says nothing about the part.
func (r *PartReader) Close() error {
	r.zstd.Close()
	return r.object.Close()
}

// maxWindow is the largest zstd window of the format: what RFC 8878 asks of
// every decoder. It bounds the memory of each.
const maxWindow = 8 << 20

func newDecoder(r io.Reader) (*zstd.Decoder, error) {
	return zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
}

// ReadPart reads a small part whole, at most max uncompressed bytes.
func (o *Opened) ReadPart(ctx context.Context, name string, keys *Keys, max int64) ([]byte, error) {
	r, err := o.Part(ctx, name, keys)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	src, err := io.ReadAll(io.LimitReader(r, max+1))
	if err != nil {
		return nil, err
	}
	if int64(len(src)) > max {
		return nil, damaged(o.label(name), fmt.Sprintf("it unpacks to more than %d bytes", max), nil)
	}
	return src, nil
}

// Contents decrypts and checks the contents part.
func (o *Opened) Contents(ctx context.Context, keys *Keys) (*Contents, error) {
	src, err := o.ReadPart(ctx, ContentsPart, keys, MaxContents)
	if err != nil {
		return nil, err
	}
	return ParseContents(src, o.Manifest)
}

// sumReader passes stored bytes on and, at their end, compares size and
// SHA-256 with the manifest before it says io.EOF.
type sumReader struct {
	r     io.Reader
	want  Part
	hash  hash.Hash
	n     counter
	ended bool
	err   error // of the place
}

func newSumReader(r io.Reader, want Part) *sumReader {
	return &sumReader{r: r, want: want, hash: sha256.New()}
}

func (s *sumReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.hash.Write(p[:n])
	s.n.add(int64(n))
	if s.n.get() > s.want.Size {
		return 0, fmt.Errorf("it is longer than the %d bytes that it should have", s.want.Size)
	}
	if err != io.EOF {
		s.err = err
		return n, err
	}
	if !s.ended {
		if got := s.n.get(); got != s.want.Size {
			return n, fmt.Errorf("it ends after %d bytes and should have %d", got, s.want.Size)
		}
		if hex.EncodeToString(s.hash.Sum(nil)) != s.want.SHA256 {
			return n, errors.New("its SHA-256 is not the one that was recorded")
		}
		s.ended = true
	}
	return n, io.EOF
}
