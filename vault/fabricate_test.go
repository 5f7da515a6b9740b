package vault

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"testing"
	"time"

	"pgvault/fault"
	"pgvault/vault/archive"
	"pgvault/vault/store"
)

// made is an archive to fabricate: a real signed manifest over parts of a
// few bytes that hold no dump. It is what listing, keeping and deleting see.
type made struct {
	database string
	at       time.Time // started, and finished a minute later
	seq      int64
	previous string
	partial  bool
	proof    Proof  // readable: a self-check; restored: by a person's key
	key      string // of the proof, empty: the one-time key for readable
}

// signer is the world's own signing key.
func (w *world) signer() *archive.Signer {
	w.t.Helper()
	s, err := archive.LoadSigner(w.conf.SigningKey)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// fabricate puts an archive into the place and gives its id.
func (w *world) fabricate(m made) string {
	w.t.Helper()
	id, err := fabricate(w.t, w.store(), w.signer(), m)
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

func fabricate(t testing.TB, place store.Store, signer *archive.Signer, m made) (string, error) {
	ctx := t.Context()
	vf, err := archive.ReadVault(ctx, place, "main")
	if fault.CodeOf(err) == fault.NoVault {
		if vf, err = archive.NewVault("main", m.at, rand.Reader, signer); err == nil {
			err = vf.Write(ctx, place)
		}
	}
	if err != nil {
		return "", err
	}
	id, err := archive.NewID(m.at, rand.Reader)
	if err != nil {
		return "", err
	}
	man := archive.Manifest{Format: archive.Format, Vault: vf.ID, ID: id, Database: m.database, Sequence: max(1, m.seq), Previous: m.previous,
		Server: "15.18", DumpVersion: "15.18", Pgvault: "test", Started: m.at.UTC(), Finished: m.at.Add(time.Minute).UTC(), Scope: "whole",
		Tables: 3, Rows: 6002, Bytes: 1896024, Tags: []string{},
		Recipients: []archive.Recipient{{Name: "duty", Kind: archive.KindX25519}, {Name: "safe", Kind: archive.KindX25519}}}
	if m.partial {
		man.Scope = "partial"
	}
	folder := archive.Folder("main", m.database, id)
	for _, name := range []string{archive.MainPart, archive.GlobalsPart, archive.ContentsPart} {
		data := fmt.Appendf(nil, "%s of %s", name, id)
		sum := sha256.Sum256(data)
		man.Parts = append(man.Parts, archive.Part{Name: name, Size: int64(len(data)), SHA256: hex.EncodeToString(sum[:])})
		if err := archive.Publish(ctx, place, folder+name, data); err != nil {
			return "", err
		}
	}
	if err := archive.Seal(ctx, place, folder, &man, signer); err != nil || m.proof == "" {
		return id, err
	}
	trust, err := archive.NewTrust([]string{signer.Public()})
	if err != nil {
		return "", err
	}
	o, err := archive.Open(ctx, place, trust, vf.ID, "main", m.database, id)
	if err != nil {
		return "", err
	}
	p := archive.ProofFile{Level: string(m.proof), Result: "ok", Key: m.key, By: "tester@host", Tables: 3, Equal: 3, Note: "3 of 3 tables equal", At: m.at.Add(2 * time.Minute).UTC()}
	if p.Key == "" {
		p.Key = archive.OneTimeName
	}
	return id, o.AddProof(ctx, p, signer, rand.Reader)
}

// gone is a place that does not answer.
type gone struct{ store.Store }

func (gone) unreachable() error {
	return &fault.Error{What: "the disk is not mounted", Why: "it is gone", Code: fault.PlaceUnreachable}
}

func (g gone) List(context.Context, string) ([]store.Info, error) { return nil, g.unreachable() }

func (g gone) Open(context.Context, string, int64, int64) (io.ReadCloser, error) {
	return nil, g.unreachable()
}

// onlyLists is a place in which no object but vault.json may be read.
type onlyLists struct {
	store.Store
	t *testing.T
}

func (o onlyLists) Open(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	if name != "main/"+archive.VaultName {
		o.t.Errorf("%s is read", name)
	}
	return o.Store.Open(ctx, name, offset, length)
}
