package gcs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"pgvault/fault"
	"pgvault/vault/store"
	"pgvault/vault/store/storetest"
	"pgvault/vault/store/storetest/servers"
)

// TestLock: each object is made with its lock, in one request and in a
// session. (fake-gcs-server v1.56.1 keeps the lock and does not obey it.)
func TestLock(t *testing.T) {
	s := servers.GCSWithSessions(t)
	g := open(t, s.Endpoint, s.Bucket, "p")
	g.lock = 30 * 24 * time.Hour
	begun := time.Now()
	for name, size := range map[string]int{"small": 1000, "large": pieceSize + 1} {
		storetest.Put(t, g, name, storetest.Bytes(size, 1))
		until, err := g.LockedUntil(t.Context(), name)
		if err != nil || until.Before(begun.Add(g.lock)) || until.After(time.Now().Add(g.lock+2*time.Second)) {
			t.Errorf("%s: locked until %v, %v", name, until, err)
		}
	}
	g.lock = 0
	storetest.Put(t, g, "free", nil)
	if until, err := g.LockedUntil(t.Context(), "free"); err != nil || !until.IsZero() {
		t.Errorf("locked until %v, %v", until, err)
	}
	if _, err := g.LockedUntil(t.Context(), "none"); !missing(err) {
		t.Errorf("%v", err)
	}
	g.now = func() time.Time { return time.Now().Add(31 * 24 * time.Hour) }
	if until, err := g.LockedUntil(t.Context(), "small"); err != nil || !until.IsZero() {
		t.Errorf("a month later: %v, %v", until, err)
	}
}

// TestNoLockToBeHad: a bucket without object retention refuses the object, or
// an emulator makes it without the lock: then it is taken away again.
func TestNoLockToBeHad(t *testing.T) {
	s := servers.GCS(t)
	target, err := url.Parse(s.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	through := httputil.NewSingleHostReverseProxy(target)
	through.ModifyResponse = func(r *http.Response) error { // the lock is lost
		if r.Request.Method != http.MethodPost {
			return nil
		}
		var o map[string]any
		if err := json.NewDecoder(r.Body).Decode(&o); err != nil {
			return err
		}
		delete(o, "retention")
		raw, err := json.Marshal(o)
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(raw)), int64(len(raw))
		r.Header.Set("Content-Length", fmt.Sprint(len(raw)))
		return err
	}
	loses := httptest.NewServer(through)
	defer loses.Close()
	refuses := storetest.NewFaultProxy(t, s.Endpoint, storetest.FaultOptions{Plain: true})
	refuses.Set(storetest.FaultRule{Method: http.MethodPost, Times: -1, Do: storetest.FaultAnswer, Status: http.StatusBadRequest,
		Body: `{"error":{"code":400,"message":"Object retention configuration is not allowed for the bucket.","errors":[{"reason":"invalid"}]}}`})
	for name, endpoint := range map[string]string{"loses": loses.URL, "refuses": refuses.URL} {
		g := open(t, endpoint, s.Bucket, "p")
		g.lock = time.Hour
		_, err := write(t, g, "x", []byte("x"))
		if f := fault.As(err); err == nil || f.Code != fault.Refused || !strings.Contains(f.Do, "retention") || f.Why == "" {
			t.Errorf("%s: %+v", name, f)
		}
		if names := storetest.Names(t, open(t, s.Endpoint, s.Bucket, "p"), ""); len(names) != 0 {
			t.Errorf("%s: %q is there", name, names)
		}
	}
}

// TestLockedAgainstRemoval has the words of the service for a locked object.
func TestLockedAgainstRemoval(t *testing.T) {
	s := servers.GCS(t)
	p := storetest.NewFaultProxy(t, s.Endpoint, storetest.FaultOptions{Plain: true})
	g := open(t, p.URL, s.Bucket, "p")
	storetest.Put(t, g, "x", []byte("x"))
	p.Set(storetest.FaultRule{Method: http.MethodDelete, Do: storetest.FaultAnswer, Status: http.StatusForbidden,
		Body: `{"error":{"code":403,"message":"Object 'b/x' is subject to a retention configuration and cannot be deleted until 2026-12-01T00:00:00Z","errors":[{"reason":"forbidden"}]}}`})
	if f := fault.As(g.Remove(t.Context(), "x")); f.Code != fault.Refused || !strings.Contains(f.Do, "lock ends") {
		t.Errorf("%+v", f)
	}
}

// TestRemoveTwice: what another connection removed meanwhile is gone as it
// was wanted; what it replaced stays.
func TestRemoveTwice(t *testing.T) {
	s := servers.GCS(t)
	p := storetest.NewFaultProxy(t, s.Endpoint, storetest.FaultOptions{Plain: true})
	g := open(t, p.URL, s.Bucket, "p")
	refused := storetest.FaultRule{Method: http.MethodDelete, Do: storetest.FaultAnswer, Status: http.StatusPreconditionFailed,
		Body: `{"error":{"code":412,"message":"no","errors":[{"reason":"conditionNotMet"}]}}`}
	storetest.Put(t, g, "x", []byte("x"))
	p.Set(refused)
	if err := g.Remove(t.Context(), "x"); err == nil || !strings.Contains(err.Error(), "another object") {
		t.Errorf("replaced: %v", err)
	}
	refused.Nth = 2
	p.Set(storetest.FaultRule{Method: http.MethodDelete, Do: storetest.FaultLoseAnswer}, refused)
	if err := g.Remove(t.Context(), "x"); err != nil || p.Done(0) != 2 {
		t.Errorf("removed by the first request: %v", err)
	}
}

// TestWrongBytesRead: other bytes than the service keeps are an error at the
// end of the object.
func TestWrongBytesRead(t *testing.T) {
	s := servers.GCS(t)
	p := storetest.NewFaultProxy(t, s.Endpoint, storetest.FaultOptions{Plain: true})
	g := open(t, p.URL, s.Bucket, "p")
	storetest.Put(t, g, "x", storetest.Bytes(100_000, 1))
	p.Set(storetest.FaultRule{Query: "alt", Do: storetest.FaultWrongResponse})
	r, err := g.Open(t.Context(), "x", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.ReadAll(r); err == nil || fault.CodeOf(err) != fault.Failed || p.Done(0) != 1 {
		t.Errorf("%v", err)
	}
}

func TestPromisesAndTime(t *testing.T) {
	s := servers.GCS(t)
	g := open(t, s.Endpoint, s.Bucket, "")
	g.lock = 48 * time.Hour
	p, err := g.Promises(t.Context())
	if err != nil || p.NoOverwrite == "" || p.Compared == "" || p.Durable == "" || !strings.Contains(p.Lock, "2 days") || p.MinPiece != pieceSize/32 {
		t.Errorf("%+v, %v", p, err)
	}
	now, err := g.ServerTime(t.Context())
	if d := time.Since(now); err != nil || d < -2*time.Second || d > 10*time.Second {
		t.Errorf("%v, %v", now, err)
	}
	var _ interface {
		store.SizedCreator
		store.Clock
		store.Retained
		store.Promising
		io.Closer
	} = g
}
