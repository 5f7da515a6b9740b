package gcs

import (
	"fmt"
	"sync/atomic"
	"testing"

	"pgvault/vault/store"
	"pgvault/vault/store/remote"
	"pgvault/vault/store/storetest"
	"pgvault/vault/store/storetest/servers"
)

// grain is the smallest piece that a session takes, but the last.
const grain = 256 << 10

const (
	internalError = `{"error":{"code":500,"message":"Backend Error","errors":[{"domain":"global","reason":"backendError","message":"Backend Error"}]}}`
	slowDown      = `{"error":{"code":503,"message":"Please reduce your request rate.","errors":[{"reason":"rateLimitExceeded"}]}}`
)

func TestFaults(t *testing.T) {
	s := servers.GCSWithSessions(t)
	var places atomic.Int64
	storetest.RunFaults(t, func(t *testing.T) storetest.FaultTarget {
		proxy := storetest.NewFaultProxy(t, s.Endpoint, storetest.FaultOptions{Plain: true})
		prefix := ""
		return storetest.FaultTarget{Proxy: proxy, Large: grain*2 + 1000, ErrorBody: internalError, SlowDown: slowDown, ErrorIn200: internalError,
			Open: func(t *testing.T, retry remote.Retry) store.Store {
				prefix = fmt.Sprint("faults/", places.Add(1))
				g := open(t, proxy.URL, s.Bucket, prefix)
				g.retry, g.piece = retry, grain
				return g
			},
			Direct: func(t *testing.T) store.Store { return open(t, s.Endpoint, s.Bucket, prefix) },
		}
	})
}
