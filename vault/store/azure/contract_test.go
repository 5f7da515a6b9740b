package azure

import (
	"crypto/x509"
	"net/http"
	"testing"
	"time"

	"pgvault/vault/store"
	"pgvault/vault/store/address"
	"pgvault/vault/store/remote"
	"pgvault/vault/store/storetest"
	"pgvault/vault/store/storetest/servers"
)

// trust makes a place trust an authority.
func trust(z *Azure, pool *x509.CertPool) {
	z.http.client.Transport.(*http.Transport).TLSClientConfig.RootCAs = pool
}

// open gives a place in the container of a server, or of a proxy before it.
func open(t *testing.T, s *servers.AzureServer, endpoint string, pool *x509.CertPool, prefix string) *Azure {
	t.Helper()
	z, err := Open(t.Context(), address.Address{Scheme: address.Azure, Account: s.Account, Bucket: s.Container, Prefix: prefix, Endpoint: endpoint},
		address.Options{Getenv: s.Getenv, TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	trust(z, pool)
	z.retry = remote.Retry{First: time.Millisecond, Most: 10 * time.Millisecond}
	t.Cleanup(func() {
		if err := z.Close(); err != nil {
			t.Error(err)
		}
	})
	return z
}

// TestContract runs the suite against one server: each test has a prefix of
// its own, and a neighbour whose name begins like it.
func TestContract(t *testing.T) {
	s := servers.Azure(t)
	n := 0
	storetest.Run(t, func(t *testing.T) store.Store {
		n++
		prefix := "place" + string(rune('a'+n))
		storetest.Put(t, open(t, s, s.Endpoint, s.CA.Pool, prefix+"-"), "main/x", []byte("a neighbour"))
		return open(t, s, s.Endpoint, s.CA.Pool, prefix)
	})
}
