package azure

import (
	"fmt"
	"sync/atomic"
	"testing"

	"pgvault/vault/store"
	"pgvault/vault/store/remote"
	"pgvault/vault/store/storetest"
	"pgvault/vault/store/storetest/servers"
)

const (
	internalError = `<?xml version="1.0" encoding="utf-8"?><Error><Code>InternalError</Code><Message>Server encountered an internal error.</Message></Error>`
	slowDown      = `<?xml version="1.0" encoding="utf-8"?><Error><Code>ServerBusy</Code><Message>The server is busy.</Message></Error>`
)

// block is the size of the blocks in these tests.
const block = 256 << 10

// behind gives a proxy before a server, and its account's URL.
func behind(t *testing.T, s *servers.AzureServer) (p *storetest.FaultProxy, endpoint string) {
	t.Helper()
	p = storetest.NewFaultProxy(t, s.Endpoint, storetest.FaultOptions{RootCAs: s.CA.Pool})
	return p, p.URL + "/" + s.Account
}

func TestFaults(t *testing.T) {
	s := servers.Azure(t)
	var places atomic.Int64
	storetest.RunFaults(t, func(t *testing.T) storetest.FaultTarget {
		proxy, endpoint := behind(t, s)
		prefix := ""
		return storetest.FaultTarget{Proxy: proxy, Large: block*2 + 1000, ErrorBody: internalError, SlowDown: slowDown, ErrorIn200: internalError,
			Open: func(t *testing.T, retry remote.Retry) store.Store {
				prefix = fmt.Sprint("faults/", places.Add(1))
				z := open(t, s, endpoint, proxy.CA.Pool, prefix)
				z.retry, z.sizing.First = retry, block
				z.sizing.Parts = 1 << 20 // a known size decides nothing
				return z
			},
			Direct: func(t *testing.T) store.Store { return open(t, s, s.Endpoint, s.CA.Pool, prefix) },
		}
	})
}
