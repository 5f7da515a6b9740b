package archive

import (
	"context"
	"encoding/json"
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
}

// levels are the levels of proofs, each proving more than the one before.
var levels = []string{"intact", "readable", "restored"}

// AnsweredBy tells whether a failed proof says nothing any more after a later
// one: it went as far, and succeeded.
func (p ProofFile) AnsweredBy(later ProofFile) bool {
	return later.Result == "ok" && slices.Index(levels, later.Level) >= slices.Index(levels, p.Level)
}

const maxProof = 64 << 10

// AddProof appends a signed proof to the archive's folder.
func (o *Opened) AddProof(ctx context.Context, p ProofFile, signer *Signer, random io.Reader) error {
	p.Format, p.Archive, p.Manifest = Format, o.Manifest.ID, o.Digest
	src, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	src = append(src, '\n')
	sig, err := signer.Sign(src, ProofNamespace)
	if err != nil {
		return err
	}
	id, err := NewID(p.At, random)
	if err != nil {
		return err
	}
	name := o.folder + "proof-" + id + ".json"
	if err := Publish(ctx, o.place, name+".sig", sig); err != nil {
		return err
	}
	return Publish(ctx, o.place, name, src)
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
		p, err := o.proof(ctx, trust, n)
		if err == nil {
			out = append(out, *p)
		}
	}
	return out
}

func (o *Opened) proof(ctx context.Context, trust *Trust, name string) (*ProofFile, error) {
	src, err := store.ReadAll(ctx, o.place, name, maxProof)
	if err != nil {
		return nil, err
	}
	sig, err := store.ReadAll(ctx, o.place, name+".sig", maxSignature)
	if err != nil {
		return nil, err
	}
	if err := trust.Verify(src, sig, ProofNamespace); err != nil {
		return nil, err
	}
	var p ProofFile
	if err := decodeStrict(src, &p); err != nil {
		return nil, err
	}
	if p.Format != Format || p.Archive != o.Manifest.ID || p.Manifest != o.Digest {
		return nil, fmt.Errorf("about another archive")
	}
	return &p, nil
}
