package archive

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"pgvault/vault/store"
)

// ProofFile records one verification, signed and never changed afterwards.
type ProofFile struct {
	Format   int       `json:"format"`
	Archive  string    `json:"archive"`
	Manifest string    `json:"manifest"` // SHA-256 of the manifest that was verified
	At       time.Time `json:"at"`
	Level    string    `json:"level"`  // intact, readable or restored
	Result   string    `json:"result"` // ok or failed
	By       string    `json:"by"`     // user@host
	Key      string    `json:"key"`    // which identity opened it, empty where none was needed
	Tables   int       `json:"tables"`
	Equal    int       `json:"tables_equal"`
	Note     string    `json:"note"`
	Place    string    `json:"place,omitempty"` // whose copy was read, by its name in the configuration; empty: the one it lies in

	// Name is the object's, within the archive's folder: not part of it, and
	// signed by nobody.
	Name string `json:"-"`
}

// Tells says of each proof of one archive whether it speaks of the archive
// and not of one copy's bytes, so that every place should have it: one of a
// level above intact that succeeded and names the place that was read, or that
// failed and was not answered. all is ordered by time.
func Tells(all []ProofFile) []bool {
	out := make([]bool, len(all))
	for i, p := range all {
		switch {
		case p.Level == "intact":
		case p.Result == "ok":
			out[i] = p.Place != ""
		default:
			out[i] = !slices.ContainsFunc(all[i+1:], p.AnsweredBy)
		}
	}
	return out
}

// levels are the levels of proofs, each proving more than the one before.
var levels = []string{"intact", "readable", "restored"}

// AnsweredBy tells whether a failed proof says nothing any more after a later
// one: it went as far, and succeeded.
func (p ProofFile) AnsweredBy(later ProofFile) bool {
	return later.Result == "ok" && slices.Index(levels, later.Level) >= slices.Index(levels, p.Level)
}

const maxProof = 64 << 10

// SignedProof is a proof as its bytes lie in a place.
type SignedProof struct {
	Name     string // of the object, within the archive's folder
	Src, Sig []byte
}

// AddProof appends a signed proof to the archive's folder.
func (o *Opened) AddProof(ctx context.Context, p ProofFile, signer *Signer, random io.Reader) error {
	s, err := o.SignProof(p, signer, random)
	if err != nil {
		return err
	}
	return o.PutProof(ctx, s)
}

// SignProof makes a proof of the archive, and puts it nowhere.
func (o *Opened) SignProof(p ProofFile, signer *Signer, random io.Reader) (*SignedProof, error) {
	p.Format, p.Archive, p.Manifest = Format, o.Manifest.ID, o.Digest
	src, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return nil, err
	}
	src = append(src, '\n')
	sig, err := signer.Sign(src, ProofNamespace)
	if err != nil {
		return nil, err
	}
	id, err := NewID(p.At, random)
	if err != nil {
		return nil, err
	}
	return &SignedProof{proofPrefix + id + ".json", src, sig}, nil
}

// PutProof publishes a proof in the archive's folder, its signature first.
func (o *Opened) PutProof(ctx context.Context, s *SignedProof) error {
	if err := Publish(ctx, o.place, o.folder+s.Name+".sig", s.Sig); err != nil {
		return err
	}
	return Publish(ctx, o.place, o.folder+s.Name, s.Src)
}

// TellProof publishes a proof that lies beside another copy of the archive
// here, unless it is here already. Where the archive itself is not, nothing
// is written and told is false.
func (o *Opened) TellProof(ctx context.Context, s *SignedProof) (told bool, err error) {
	src, err := store.ReadAll(ctx, o.place, o.folder+ManifestName, MaxManifest)
	switch {
	case errors.Is(err, store.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case !bytes.Equal(src, o.src):
		return false, nil
	}
	name := o.folder + ToldName(s.Name)
	if _, err := o.place.Stat(ctx, o.folder+HomeName(s.Name)); err == nil {
		return true, nil
	} else if !errors.Is(err, store.ErrNotExist) {
		return false, err
	}
	for _, object := range []struct {
		name string
		data []byte
	}{{name + ".sig", s.Sig}, {name, s.Src}} {
		if err := Publish(ctx, o.place, object.name, object.data); err != nil && !errors.Is(err, store.ErrExist) {
			return false, err
		}
	}
	return true, nil
}

// ReadProof reads one proof of this archive as its bytes lie in the place. It
// is an error unless a trusted key signed it.
func (o *Opened) ReadProof(ctx context.Context, trust *Trust, name string) (*SignedProof, *ProofFile, error) {
	s := &SignedProof{Name: name}
	var err error
	if s.Src, err = store.ReadAll(ctx, o.place, o.folder+name, maxProof); err != nil {
		return nil, nil, err
	}
	if s.Sig, err = store.ReadAll(ctx, o.place, o.folder+name+".sig", maxSignature); err != nil {
		return nil, nil, err
	}
	if err := trust.Verify(s.Src, s.Sig, ProofNamespace); err != nil {
		return nil, nil, err
	}
	p := &ProofFile{}
	if err := decodeStrict(s.Src, p); err != nil {
		return nil, nil, err
	}
	if p.Format != Format || p.Archive != o.Manifest.ID || p.Manifest != o.Digest {
		return nil, nil, fmt.Errorf("about another archive")
	}
	p.Name = name
	return s, p, nil
}

// Proofs reads the proofs among names (objects of the archive's folder,
// whole names). One that is unsigned, signed by a stranger or about another
// manifest is passed over: it proves nothing.
func (o *Opened) Proofs(ctx context.Context, trust *Trust, names []string) []ProofFile {
	var out []ProofFile
	for _, n := range names {
		base, ok := strings.CutPrefix(n, o.folder)
		if !ok || !IsProof(base) {
			continue
		}
		if _, p, err := o.ReadProof(ctx, trust, base); err == nil {
			out = append(out, *p)
		}
	}
	return out
}
