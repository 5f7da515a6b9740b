package archive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"filippo.io/age"

	"pgvault/vault/store"
)

// Resealed says from which archive another one was made: the same dump of the
// same moment, encrypted anew to other recipients. Id, manifest and parts are
// its own; started, finished, sequence, previous and all that tells of the
// dump are those of the archive that it was made from.
type Resealed struct {
	ID       string    `json:"id"`       // of the archive it was made from
	Manifest string    `json:"manifest"` // SHA-256 of that one's manifest
	At       time.Time `json:"at"`
}

// idSecond is the length of the time in an id.
const idSecond = 16

// check: both ids tell the same moment, so that an old dump sealed today is
// listed where it belongs and never passes for today's.
func (r *Resealed) check(id string) error {
	switch {
	case r == nil:
		return nil
	case !ValidID(r.ID) || !isDigest(r.Manifest):
		return fmt.Errorf("resealed from %q, which cannot be", r.ID)
	case r.ID == id || r.ID[:idSecond] != id[:idSecond]:
		return fmt.Errorf("resealed from %s, which is of another moment", r.ID)
	}
	return nil
}

// ResealID makes an id of the same moment as that of an archive.
func ResealID(id string, random io.Reader) (string, error) {
	if !ValidID(id) {
		return "", fmt.Errorf("%q is not an archive id", id)
	}
	made, err := NewID(time.Time{}, random)
	if err != nil {
		return "", err
	}
	return id[:idSecond] + made[idSecond:], nil
}

// ResealedManifest is the manifest of what m becomes when it is sealed anew.
// Parts and recipients are still to be filled in.
func (o *Opened) ResealedManifest(id, version string, now time.Time) Manifest {
	m := *o.Manifest
	m.ID, m.Pgvault, m.Parts, m.Recipients = id, version, nil, nil
	m.Resealed = &Resealed{ID: o.Manifest.ID, Manifest: o.Digest, At: now.UTC().Truncate(time.Second)}
	return m
}

// ResealedContents are the contents for the new id; keys that this version
// does not know stay. src was read by Contents or ReadPart, so its bytes are
// what the manifest says.
func ResealedContents(src []byte, from *Manifest, id string) ([]byte, error) {
	if _, err := ParseContents(src, from); err != nil {
		return nil, err
	}
	var doc map[string]json.RawMessage
	if err := decodeStrict(src, &doc); err != nil {
		return nil, err
	}
	name, err := json.Marshal(id)
	if err != nil {
		return nil, err
	}
	doc["id"] = name
	return json.Marshal(doc)
}

// Unsealed is a part decrypted and still compressed. io.EOF comes only after
// age's last chunk and after size and SHA-256 of the stored bytes agreed with
// the manifest.
func (o *Opened) Unsealed(ctx context.Context, name string, keys *Keys) (io.ReadCloser, error) {
	object, sum, plain, err := o.decrypting(ctx, name, keys)
	if err != nil {
		return nil, err
	}
	return &unsealed{o: o, name: name, object: object, sum: sum, age: plain}, nil
}

type unsealed struct {
	o      *Opened
	name   string
	object io.Closer
	sum    *sumReader
	age    io.Reader
}

func (u *unsealed) Read(p []byte) (int, error) {
	n, err := u.age.Read(p)
	switch {
	case err == nil:
		return n, nil
	case u.sum.err != nil:
		return n, u.sum.err // the place failed: that says nothing of the archive
	case err == io.EOF && u.sum.ended:
		return n, io.EOF
	case err == io.EOF:
		err = errors.New("something follows its encrypted end")
	}
	return n, u.o.readError(u.name, err)
}

func (u *unsealed) Close() error { return u.object.Close() }

// Reseal seals a compressed stream as it is: its frames stay where contents
// say. read is told how many bytes have passed. Nothing of the part is
// visible unless r came to its end.
func (s *Sealer) Reseal(ctx context.Context, name string, r io.Reader, read func(n int64)) (Part, error) {
	object, err := s.place.Create(ctx, s.folder+name)
	if err != nil {
		return Part{}, err
	}
	part, err := s.reseal(ctx, object, name, r, read)
	if err != nil {
		_ = object.Abort()
	}
	return part, err
}

func (s *Sealer) reseal(ctx context.Context, object store.Writer, name string, r io.Reader, read func(n int64)) (Part, error) {
	sum := newSumWriter(object)
	sealed, err := age.Encrypt(sum, s.recipients...)
	if err != nil {
		return Part{}, fmt.Errorf("sealing %s: %w", name, err)
	}
	buf := make([]byte, 1<<20)
	for err == nil {
		var n int
		n, err = r.Read(buf)
		if cerr := ctx.Err(); cerr != nil {
			return Part{}, context.Cause(ctx)
		}
		if _, werr := sealed.Write(buf[:n]); werr != nil {
			return Part{}, werr
		}
		read(int64(n))
	}
	if err != io.EOF {
		return Part{}, err
	}
	if err := sealed.Close(); err != nil {
		return Part{}, err
	}
	if err := object.Commit(ctx); err != nil {
		return Part{}, err
	}
	return sum.part(name), nil
}

// Unpublished is an archive whose parts are written and whose manifest is
// not: for who sealed it, to read it back before anybody else can see it.
func Unpublished(place store.Store, folder string, m *Manifest) (*Opened, error) {
	src, err := m.Encode()
	if err != nil {
		return nil, err
	}
	if _, err := ParseManifest(src); err != nil {
		return nil, err
	}
	return &Opened{Manifest: m, Digest: Digest(src), src: src, place: place, folder: folder}, nil
}
