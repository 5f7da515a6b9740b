package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"time"

	"pgvault/vault/archive"
	"pgvault/vault/store"
	"pgvault/vault/store/disk"
)

// many makes a vault of n archives with real signed manifests over parts of
// a few bytes, spread over eight databases, and gives its configuration.
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
	now := time.Now().UTC().Truncate(time.Second)
	vf, err := archive.NewVault("bench", now, rand.Reader, signer)
	if err != nil {
		return "", err
	}
	if err := vf.Write(ctx, place); err != nil {
		return "", err
	}
	const databases = 8
	for i := range n {
		at := now.Add(-time.Duration(i/databases+1) * time.Hour)
		if err := fabricate(ctx, place, signer, vf.ID, fmt.Sprintf("many-%d", i%databases), at, int64(n-i)); err != nil {
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

func fabricate(ctx context.Context, place store.Store, signer *archive.Signer, vault, database string, at time.Time, seq int64) error {
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
	return archive.Seal(ctx, place, folder, &m, signer)
}
