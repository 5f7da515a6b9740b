package s3

import (
	"testing"

	"pgvault/vault/store"
	"pgvault/vault/store/address"
	"pgvault/vault/store/storetest"
	"pgvault/vault/store/storetest/servers"
)

// at gives the address of a prefix on a server.
func at(s *servers.S3Server, prefix string) address.Address {
	return address.Address{Scheme: address.S3, Bucket: s.Bucket, Prefix: prefix, Endpoint: s.Endpoint, Region: s.Region, PathStyle: true}
}

// open gives a place on a server.
func open(t *testing.T, s *servers.S3Server, a address.Address) *Place {
	t.Helper()
	p, err := Open(t.Context(), a, address.Options{Getenv: s.Getenv, TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// prefixOf is a name that a test can have for itself in a bucket.
func prefixOf(t *testing.T) string { return "tests/" + t.Name() }

func TestContract(t *testing.T) {
	s := servers.S3(t)
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, s, at(s, prefixOf(t))) })
}
