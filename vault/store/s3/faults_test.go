package s3

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"pgvault/vault/store"
	"pgvault/vault/store/address"
	"pgvault/vault/store/remote"
	"pgvault/vault/store/storetest"
	"pgvault/vault/store/storetest/servers"
)

// hasty tries as often as a real place does, and waits for nothing.
func hasty(stall time.Duration) remote.Retry {
	return remote.Retry{Attempts: 3, Stall: stall, Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }}
}

// behind gives a server, a proxy before it, and a place through the proxy.
func behind(t *testing.T, s *servers.S3Server) *storetest.FaultProxy {
	t.Helper()
	return storetest.NewFaultProxy(t, s.Endpoint, storetest.FaultOptions{RootCAs: s.CA.Pool})
}

// through gives the place at a prefix through a proxy.
func through(t *testing.T, s *servers.S3Server, proxy *storetest.FaultProxy, prefix string) *Place {
	t.Helper()
	a := at(s, prefix)
	a.Endpoint = proxy.URL
	p, err := Open(t.Context(), a, address.Options{TempDir: t.TempDir(), Getenv: func(name string) string {
		if name == "AWS_CA_BUNDLE" {
			return proxy.CA.File
		}
		return s.Getenv(name)
	}})
	if err != nil {
		t.Fatal(err)
	}
	p.retry = hasty(15 * time.Second)
	return p
}

const (
	internalError = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>InternalError</Code><Message>We encountered an internal error. Please try again.</Message></Error>`
	slowDown      = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>`
)

func TestFaults(t *testing.T) {
	s := servers.S3(t)
	var places atomic.Int64
	storetest.RunFaults(t, func(t *testing.T) storetest.FaultTarget {
		proxy := behind(t, s)
		prefix := ""
		return storetest.FaultTarget{Proxy: proxy, Large: minPiece + 1000,
			ErrorBody: internalError, SlowDown: slowDown, ErrorIn200: internalError,
			Open: func(t *testing.T, retry remote.Retry) store.Store {
				prefix = fmt.Sprint("faults/", places.Add(1))
				p := through(t, s, proxy, prefix)
				p.sizing.First, p.sizing.Fixed = minPiece, true
				p.slow, p.retry = 1, retry
				return p
			},
			Direct: func(t *testing.T) store.Store { return open(t, s, at(s, prefix)) },
		}
	})
}
