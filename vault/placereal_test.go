package vault

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgvault/vault/store"
	"pgvault/vault/store/address"
	"pgvault/vault/store/kinds"
	"pgvault/vault/store/storetest"
	"pgvault/vault/store/storetest/servers"
)

// realPlace opens a place on a real server.
func realPlace(t *testing.T, url string, getenv func(string) string, o address.Options) store.Store {
	t.Helper()
	o.Getenv = getenv
	s, err := kinds.Parse(t.Context(), url, o, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := kinds.Close(s); err != nil {
			t.Error(err)
		}
	})
	return s
}

// TestPlaceOnRealServers: every check of a place of each kind, against the
// server that people run.
func TestPlaceOnRealServers(t *testing.T) {
	for name, c := range map[string]struct {
		open func(t *testing.T) store.Store
		o    PlaceTest
		want []string // in order
	}{
		"s3": {func(t *testing.T) store.Store {
			s := servers.S3(t)
			return realPlace(t, s.URL("main"), s.Getenv, address.Options{})
		}, PlaceTest{}, []string{"ok reach", "ok clock", "ok put", "ok read", "ok list", "ok range", "ok overwrite", "ok lock", "ok pieces", "! delete", "ok space", "ok limits", "ok compared", "ok durable", "ok unfinished", "ok promise"}},
		"s3 with a lock": {func(t *testing.T) store.Store {
			s := servers.LockingS3(t)
			return realPlace(t, s.URL("main"), s.Getenv, address.Options{ObjectLock: 24 * time.Hour})
		}, PlaceTest{Lock: 24 * time.Hour}, []string{"ok reach", "ok clock", "ok put", "ok read", "ok list", "ok range", "ok overwrite", "ok lock", "ok pieces", "! delete", "ok space", "ok limits", "ok compared", "ok durable", "ok unfinished", "ok promise"}},
		"gcs": {func(t *testing.T) store.Store {
			s := servers.GCS(t)
			return realPlace(t, s.URL("main"), os.Getenv, address.Options{})
		}, PlaceTest{}, []string{"ok reach", "ok clock", "ok put", "ok read", "ok list", "ok range", "ok overwrite", "ok lock", "ok pieces", "! delete", "ok space", "ok limits", "ok compared", "ok durable", "ok promise"}},
		"sftp": {func(t *testing.T) store.Store {
			s := servers.SFTP(t)
			return realPlace(t, fmt.Sprintf("sftp://%s@%s:%d%s", s.User, s.Host, s.Port, s.Dir), s.Getenv, address.Options{})
		}, PlaceTest{MinFree: 1}, []string{"ok reach", "ok clock", "ok put", "ok read", "ok list", "ok range", "ok overwrite", "! delete", "ok space", "ok compared", "ok durable", "ok unfinished", "ok promise"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := c.open(t)
			got, order, err := tried(t, t.Context(), s, c.o)
			if err != nil || !slices.Equal(order, c.want) {
				t.Errorf("%q, %v; want %q", order, err, c.want)
			}
			left := storetest.Names(t, s, "")
			if len(left) > 0 {
				t.Errorf("left: %q; %+v", left, got["delete"])
			}
			for _, o := range order {
				_, check, _ := strings.Cut(o, " ")
				t.Logf("%-2s %-10s %s  %.2f s", got[check].State, check, got[check].Text, got[check].Seconds)
			}
		})
	}
}
