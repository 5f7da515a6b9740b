package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"pgvault/fault"
	"pgvault/vault/store"
)

// Opened is an archive whose manifest was read and whose signature fits.
type Opened struct {
	Manifest *Manifest
	Digest   string // SHA-256 of the manifest's bytes
	src, sig []byte // the manifest's bytes and its signature's, as they lie there
	place    store.Store
	folder   string

	mu   sync.Mutex
	head []byte // of the main part, once read: see sameHead
}

// Open reads the manifest and its signature, and believes neither before
// the signature of a trusted key fits. The ids inside must be those of the
// folder, so that an archive cannot stand in for another.
func Open(ctx context.Context, place store.Store, trust *Trust, vaultID, vault, database, id string) (*Opened, error) {
	folder := Folder(vault, database, id)
	src, err := store.ReadAll(ctx, place, folder+ManifestName, MaxManifest)
	if err != nil {
		return nil, missing(id, ManifestName, err)
	}
	sig, err := store.ReadAll(ctx, place, folder+SignatureName, maxSignature)
	if errors.Is(err, store.ErrNotExist) {
		return nil, untrusted(id, "it is not signed: "+SignatureName+" is missing")
	}
	if err != nil {
		return nil, missing(id, SignatureName, err)
	}
	if err := trust.Verify(src, sig, ManifestNamespace); errors.Is(err, errStranger) {
		return nil, untrusted(id, err.Error())
	} else if err != nil {
		return nil, damaged(ManifestName+" of archive "+id, err.Error(), err)
	}
	m, err := ParseManifest(src)
	if err != nil {
		return nil, named(id, err)
	}
	if m.ID != id || m.Database != database || m.Vault != vaultID {
		return nil, untrusted(id, fmt.Sprintf("its manifest belongs to %s of database %q, vault %s", m.ID, m.Database, m.Vault))
	}
	return &Opened{Manifest: m, Digest: Digest(src), src: src, sig: sig, place: place, folder: folder}, nil
}

// Raw gives the bytes of the manifest and of its signature, as they lie in
// the place: what a copy of the archive has to have as well. They are not to
// be changed.
func (o *Opened) Raw() (manifest, signature []byte) { return o.src, o.sig }

// ErrForeign marks an archive that no trusted key signed, or that belongs
// elsewhere; errors.Is finds it in what Open returns.
var ErrForeign = errors.New("not an archive of this vault's signers")

func untrusted(id, why string) *fault.Error {
	return &fault.Error{Err: ErrForeign, Op: "open archive", What: "archive " + id + " cannot be trusted", Why: why,
		Left: "nothing of it was used or changed",
		Do:   "take another archive; add the key to keys.trusted_signers only if you know whose it is", Code: fault.Differs}
}

// named adds the archive's id to what ParseManifest says.
func named(id string, err error) error {
	var f *fault.Error
	if errors.As(err, &f) {
		f.What = ManifestName + " of archive " + id + " cannot be trusted"
	}
	return err
}

func missing(id, object string, err error) error {
	if errors.Is(err, store.ErrTooBig) {
		return damaged(object+" of archive "+id, "it is larger than any that this format allows", err)
	}
	if errors.Is(err, store.ErrNotExist) {
		return &fault.Error{Op: "open archive", What: "archive " + id + " is not whole", Why: object + " is missing",
			Left: "nothing was changed", Do: "take another copy or another archive", Code: fault.Differs, Err: err}
	}
	return err
}

// CheckPart reads a part's stored bytes to the end and compares size and
// SHA-256 with the manifest. No key is needed. read is told how many bytes
// passed.
func (o *Opened) CheckPart(ctx context.Context, name string, read func(n int64)) error {
	return o.FetchPart(ctx, name, io.Discard, read)
}

// FetchPart is CheckPart that also writes the stored bytes to w as they pass.
// Only nil says that w has been given the part and nothing else; an error of
// w is given as it is.
func (o *Opened) FetchPart(ctx context.Context, name string, w io.Writer, read func(n int64)) error {
	part, object, err := o.object(ctx, name)
	if err != nil {
		return err
	}
	defer object.Close()
	sum := newSumReader(object, part)
	buf := make([]byte, 256<<10)
	var head []byte
	for {
		n, err := sum.Read(buf)
		if read != nil && n > 0 {
			read(int64(n))
		}
		if _, werr := w.Write(buf[:n]); werr != nil {
			return werr
		}
		if name == MainPart {
			head = append(head, buf[:min(n, headSize-len(head))]...)
		}
		if err == io.EOF && name == MainPart {
			return o.sameHead(head)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return o.readError(name, err)
		}
	}
}

// In gives the same archive where its parts are read from another place:
// another copy, or a spool. Manifest and signature are those that were
// believed; nothing of the parts is.
func (o *Opened) In(place store.Store) *Opened {
	return &Opened{Manifest: o.Manifest, Digest: o.Digest, src: o.src, sig: o.sig, place: place, folder: o.folder}
}

// PartName is the whole name of a part in the place.
func (o *Opened) PartName(name string) string { return o.folder + name }

func (o *Opened) object(ctx context.Context, name string) (Part, io.ReadCloser, error) {
	part, ok := o.Manifest.Part(name)
	if !ok {
		return Part{}, nil, fmt.Errorf("archive %s has no part %s", o.Manifest.ID, name)
	}
	info, err := o.place.Stat(ctx, o.folder+name)
	if err != nil {
		return Part{}, nil, missing(o.Manifest.ID, name, err)
	}
	if info.Size != part.Size {
		return Part{}, nil, damaged(o.label(name), fmt.Sprintf("it is %d bytes long and should be %d", info.Size, part.Size), nil)
	}
	object, err := o.place.Open(ctx, o.folder+name, 0, -1)
	if err != nil {
		return Part{}, nil, missing(o.Manifest.ID, name, err)
	}
	return part, object, nil
}

func (o *Opened) label(name string) string { return "part " + name + " of archive " + o.Manifest.ID }

// readError names the object in what a lower reader said.
func (o *Opened) readError(name string, err error) error {
	if notOfTheBytes(err) {
		return err
	}
	return damaged(o.label(name), err.Error(), err)
}

// notOfTheBytes tells errors that say nothing of the stored bytes: those of
// the place, of an identity, and of a run that was cancelled.
func notOfTheBytes(err error) bool {
	var f *fault.Error
	return errors.As(err, &f) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
