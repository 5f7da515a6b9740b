package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"pgvault/vault/archive"
	"pgvault/vault/store"
	"pgvault/vault/store/disk"
)

// many makes a vault of n archives with real signed manifests and proofs over
// parts of a few bytes, spread over eight databases, and gives its
// configuration.
func (b *bench) many(ctx context.Context, n int) (conf string, err error) {
	url := "file:" + b.path("out", "many")
	if err := os.MkdirAll(b.path("out", "many"), 0o700); err != nil {
		return "", err
	}
	place, err := disk.Init(url)
	if err != nil {
		return "", err
	}
	defer place.Close()
	signer, err := archive.LoadSigner(b.path("out", "signing_key"))
	if err != nil {
		return "", err
	}
	trust, err := archive.NewTrust([]string{signer.Public()})
	if err != nil {
		return "", err
	}
	now := time.Now().UTC().Truncate(time.Second)
	vf, err := archive.NewVault("bench", now, rand.Reader, signer)
	if err != nil {
		return "", err
	}
	if err := vf.Write(ctx, place); err != nil {
		return "", err
	}
	const databases = 8
	quick := unsynced{place, b.path("out", "many")}
	for i := range n {
		at := now.Add(-time.Duration(i/databases+1) * time.Hour)
		if err := fabricate(ctx, quick, signer, trust, vf.ID, fmt.Sprintf("many-%d", i%databases), at, int64(n-i)); err != nil {
			return "", err
		}
	}
	text, err := os.ReadFile(b.config(false))
	if err != nil {
		return "", err
	}
	conf = b.path("out", "many.toml")
	return conf, os.WriteFile(conf, []byte(strings.Replace(string(text), "file:"+b.path("out", "vault"), url, 1)), 0o600)
}

// unsynced is a place that writes plain files: making ten thousand archives
// durably takes minutes, and is not what is measured.
type unsynced struct {
	store.Store
	path string
}

// Create gives a file that is there from the start.
func (u unsynced) Create(_ context.Context, name string) (store.Writer, error) {
	path := filepath.Join(u.path, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	return plainFile{f}, err
}

type plainFile struct{ *os.File }

// Commit implements store.Writer.
func (f plainFile) Commit(context.Context) error { return f.Close() }

// Abort implements store.Writer.
func (f plainFile) Abort() error {
	_ = f.Close() // after Commit it is closed
	return nil
}

func fabricate(ctx context.Context, place store.Store, signer *archive.Signer, trust *archive.Trust, vault, database string, at time.Time, seq int64) error {
	id, err := archive.NewID(at, rand.Reader)
	if err != nil {
		return err
	}
	m := archive.Manifest{Format: archive.Format, Vault: vault, ID: id, Database: database, Sequence: seq, Server: "15.18", DumpVersion: "15.18",
		Pgvault: "bench", Started: at, Finished: at.Add(time.Minute), Scope: "whole", Tables: 3, Rows: 6002, Bytes: 1896024, Tags: []string{},
		Recipients: []archive.Recipient{{Name: "duty", Kind: archive.KindX25519}, {Name: "safe", Kind: archive.KindX25519}}}
	folder := archive.Folder("bench", database, id)
	for _, name := range []string{archive.MainPart, archive.GlobalsPart, archive.ContentsPart} {
		data := fmt.Appendf(nil, "%s of %s", name, id)
		sum := sha256.Sum256(data)
		m.Parts = append(m.Parts, archive.Part{Name: name, Size: int64(len(data)), SHA256: hex.EncodeToString(sum[:])})
		if err := archive.Publish(ctx, place, folder+name, data); err != nil {
			return err
		}
	}
	if err := archive.Seal(ctx, place, folder, &m, signer); err != nil {
		return err
	}
	o, err := archive.Open(ctx, place, trust, vault, "bench", database, id)
	if err != nil {
		return err
	}
	return o.AddProof(ctx, archive.ProofFile{Level: "readable", Result: "ok", By: "bench", Key: archive.OneTimeName, Tables: 3, Equal: 3,
		Note: "3 of 3 tables equal", At: at.Add(2 * time.Minute)}, signer, rand.Reader)
}
