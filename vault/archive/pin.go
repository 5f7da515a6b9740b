package archive

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"pgvault/vault/store"
)

// Note is a small public object beside an archive: its pin, or the mark of
// its deletion.
type Note struct {
	Format   int       `json:"format"`
	Archive  string    `json:"archive"`
	Manifest string    `json:"manifest"` // SHA-256 of the manifest; empty where it could not be read
	At       time.Time `json:"at"`
	By       string    `json:"by"` // user@host
}

// Pin publishes the pin of the archive in folder, signed where signer is not
// nil: the signature tells who pinned it, a pin without one counts as well.
// One that is there already is left as it is.
func Pin(ctx context.Context, place store.Store, folder string, n Note, signer *Signer) error {
	src, err := n.encode()
	if err != nil {
		return err
	}
	if signer != nil {
		sig, err := signer.Sign(src, PinNamespace)
		if err != nil {
			return err
		}
		if err := publishOnce(ctx, place, folder+PinName+".sig", sig); err != nil {
			return err
		}
	}
	return publishOnce(ctx, place, folder+PinName, src)
}

// Unpin takes the pin of the archive in folder away, whoever set it.
func Unpin(ctx context.Context, place store.Store, folder string) error {
	for _, name := range []string{PinName, PinName + ".sig"} {
		if err := place.Remove(ctx, folder+name); err != nil && !errors.Is(err, store.ErrNotExist) {
			return err
		}
	}
	return nil
}

// MarkDeleted publishes the mark that the objects in folder are those of an
// archive that is being deleted, so that another deletion may finish it.
func MarkDeleted(ctx context.Context, place store.Store, folder string, n Note) error {
	src, err := n.encode()
	if err != nil {
		return err
	}
	return publishOnce(ctx, place, folder+DeletedName, src)
}

func (n Note) encode() ([]byte, error) {
	n.Format = Format
	src, err := json.MarshalIndent(n, "", "  ")
	return append(src, '\n'), err
}

func publishOnce(ctx context.Context, place store.Store, name string, data []byte) error {
	if err := Publish(ctx, place, name, data); err != nil && !errors.Is(err, store.ErrExist) {
		return err
	}
	return nil
}

// Removal gives, of the names in an archive's folder, those that belong to
// an archive, in the order of their removal: the manifest first, because
// without it there is no archive; what holds the rows last. Names that this
// format does not know, and the mark of deletion, are not in it.
func Removal(there func(name string) bool, names []string) []string {
	var out []string
	add := func(list ...string) {
		for _, n := range list {
			if there(n) {
				out = append(out, n)
			}
		}
	}
	add(ManifestName, SignatureName, PinName, PinName+".sig", ExpiresName)
	for _, n := range names {
		if IsProof(n) {
			add(n, n+".sig")
		}
	}
	for _, n := range names { // signatures whose proof was never written
		if p, ok := proofOfSignature(n); ok && !there(p) {
			add(n)
		}
	}
	add(ContentsPart, GlobalsPart, MainPart)
	return out
}

func proofOfSignature(name string) (string, bool) {
	const sig = ".sig"
	if len(name) <= len(sig) || name[len(name)-len(sig):] != sig {
		return "", false
	}
	p := name[:len(name)-len(sig)]
	return p, IsProof(p)
}
