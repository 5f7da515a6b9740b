package gcs

import (
	"testing"
	"time"

	"pgvault/vault/store"
	"pgvault/vault/store/address"
	"pgvault/vault/store/remote"
	"pgvault/vault/store/storetest"
	"pgvault/vault/store/storetest/servers"
)

// open gives a place in the bucket of a server, or of a proxy before it.
func open(t *testing.T, endpoint, bucket, prefix string) *GCS {
	t.Helper()
	g, err := Open(t.Context(), address.Address{Scheme: address.GCS, Bucket: bucket, Prefix: prefix, Endpoint: endpoint}, address.Options{})
	if err != nil {
		t.Fatal(err)
	}
	g.retry = remote.Retry{First: time.Millisecond, Most: 10 * time.Millisecond}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

// TestContract runs the suite against one server: each test has a prefix of
// its own, and a neighbour whose name begins like it.
func TestContract(t *testing.T) {
	s := servers.GCS(t)
	n := 0
	storetest.Run(t, func(t *testing.T) store.Store {
		n++
		prefix := "place" + string(rune('a'+n))
		storetest.Put(t, open(t, s.Endpoint, s.Bucket, prefix+"-"), "main/x", []byte("a neighbour"))
		return open(t, s.Endpoint, s.Bucket, prefix)
	})
}
