package gcs

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"pgvault/fault"
	"pgvault/vault/store"
	"pgvault/vault/store/storetest"
	"pgvault/vault/store/storetest/servers"
)

// sizes around a piece and around what one session request carries.
var sizes = []int{0, 1, small, small + 1, pieceSize - 1, pieceSize, pieceSize + 1, 2*pieceSize + 12345, 3 * pieceSize}

// TestSizes writes objects around the borders, with a service that keeps all
// it is sent and with one that keeps less.
func TestSizes(t *testing.T) {
	s := servers.GCSWithSessions(t)
	g := open(t, s.Endpoint, s.Bucket, "p")
	for _, less := range []bool{false, true} {
		s.KeepLess(less)
		for i, n := range sizes {
			name := fmt.Sprintf("%t/%d", less, i)
			data := storetest.Bytes(n, uint64(i))
			storetest.Put(t, g, name, data)
			if got := storetest.Get(t, g, name); !bytes.Equal(got, data) {
				t.Errorf("%s: %d bytes came back changed", name, n)
			}
		}
	}
	if n := s.Open(); n != 0 {
		t.Errorf("%d upload sessions are left open", n)
	}
}

// write publishes data in pieces of 64 KiB, and tells Write's error from
// Commit's.
func write(t *testing.T, g *GCS, name string, data []byte) (writing, committing error) {
	t.Helper()
	w, err := g.Create(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	for piece := range slices.Chunk(data, 64<<10) {
		if _, err := w.Write(piece); err != nil {
			return err, w.Abort()
		}
	}
	return nil, w.Commit(t.Context())
}

// session is the key that all requests to an upload session have.
const session = "upload_id"

// TestWrongBytesAreRefused changes the bytes of a piece on their way: nothing
// is made of them.
func TestWrongBytesAreRefused(t *testing.T) {
	s := servers.GCSWithSessions(t)
	p := storetest.NewFaultProxy(t, s.Endpoint, storetest.FaultOptions{Plain: true})
	g := open(t, p.URL, s.Bucket, "p")
	p.Set(storetest.FaultRule{Method: http.MethodPut, Query: session, Do: storetest.FaultWrongRequest})
	werr, err := write(t, g, "x", storetest.Bytes(pieceSize+100, 1))
	if werr != nil || err == nil || s.Refused() != 1 || p.Done(storetest.FaultWrongRequest) != 1 {
		t.Fatalf("%v, %v, %d refused", werr, err, s.Refused())
	}
	if f := fault.As(err); f.Code != fault.Failed || !strings.Contains(f.Do, "changes bytes") {
		t.Errorf("%+v", f)
	}
	if names := storetest.Names(t, g, ""); len(names) != 0 {
		t.Errorf("%q is there", names)
	}
	if s.Open() != 0 {
		t.Error("the upload session is left open")
	}
}

// TestWrongBytesAreWithdrawn has a server that does not compare: the
// emulator's own sessions. What the answer tells of the object is not what
// was sent, and it is taken away again.
func TestWrongBytesAreWithdrawn(t *testing.T) {
	s := servers.GCS(t)
	p := storetest.NewFaultProxy(t, s.Endpoint, storetest.FaultOptions{Plain: true})
	g := open(t, p.URL, s.Bucket, "p")
	p.Set(storetest.FaultRule{Method: http.MethodPut, Query: session, Do: storetest.FaultWrongRequest})
	werr, err := write(t, g, "x", storetest.Bytes(pieceSize+100, 1))
	if werr != nil || !errors.Is(err, errUnlike) || p.Done(storetest.FaultWrongRequest) != 1 {
		t.Fatalf("%v, %v", werr, err)
	}
	if names := storetest.Names(t, g, ""); len(names) != 0 {
		t.Errorf("%q is there", names)
	}
}

// TestLostAnswer: the service made the object and nobody heard it. The
// second try finds the name taken, by these very bytes.
func TestLostAnswer(t *testing.T) {
	s := servers.GCS(t)
	p := storetest.NewFaultProxy(t, s.Endpoint, storetest.FaultOptions{Plain: true})
	g := open(t, p.URL, s.Bucket, "p")
	p.Set(storetest.FaultRule{Method: http.MethodPost, Do: storetest.FaultLoseAnswer})
	data := storetest.Bytes(1000, 1)
	storetest.Put(t, g, "x", data)
	if log := strings.Join(p.Log(), "\n"); p.Done(0) != 1 || !strings.Contains(log, "412") {
		t.Fatalf("the fault did not happen:\n%s", log)
	}
	if !bytes.Equal(storetest.Get(t, g, "x"), data) {
		t.Error("other bytes")
	}

	// Somebody else's object is no success, however the answer was lost.
	p.Set(storetest.FaultRule{Method: http.MethodPost, Do: storetest.FaultLoseAnswer})
	if _, err := write(t, g, "x", storetest.Bytes(1000, 2)); !errors.Is(err, store.ErrExist) || p.Done(0) != 1 {
		t.Errorf("%v", err)
	}
	if !bytes.Equal(storetest.Get(t, g, "x"), data) {
		t.Error("the first object was changed")
	}
}

// TestTakenBeforeTheEnd: the service refuses a taken name when the session
// begins. Write goes on, and Commit tells.
func TestTakenBeforeTheEnd(t *testing.T) {
	s := servers.GCSWithSessions(t)
	g := open(t, s.Endpoint, s.Bucket, "p")
	storetest.Put(t, g, "x", []byte("first"))
	werr, err := write(t, g, "x", storetest.Bytes(3*pieceSize, 1))
	if werr != nil || !errors.Is(err, store.ErrExist) || string(storetest.Get(t, g, "x")) != "first" {
		t.Errorf("%v, %v", werr, err)
	}
}

// TestConcurrentSessions: of several writers of one large object, one wins
// and the others hear that the name is taken.
func TestConcurrentSessions(t *testing.T) {
	s := servers.GCSWithSessions(t)
	g := open(t, s.Endpoint, s.Bucket, "p")
	g.piece = grain
	const writers, size = 4, 2*grain + 1000
	for round := range 20 {
		name := fmt.Sprintf("r%d", round)
		results := make(chan error)
		for id := range writers {
			go func() {
				_, err := write(t, g, name, storetest.Bytes(size, uint64(id)))
				results <- err
			}()
		}
		won := 0
		for range writers {
			switch err := <-results; {
			case err == nil:
				won++
			case !errors.Is(err, store.ErrExist):
				t.Errorf("round %d: a loser got %v", round, err)
			}
		}
		if won != 1 {
			t.Fatalf("round %d: %d writers won", round, won)
		}
		got := storetest.Get(t, g, name)
		if !slices.ContainsFunc([]int{0, 1, 2, 3}, func(id int) bool { return bytes.Equal(got, storetest.Bytes(size, uint64(id))) }) {
			t.Fatalf("round %d: a mixture of bytes", round)
		}
	}
	if s.Open() != 0 {
		t.Errorf("%d upload sessions are left open", s.Open())
	}
}

// TestAbortEndsTheSession: nothing of a writer that was given up stays.
func TestAbortEndsTheSession(t *testing.T) {
	s := servers.GCSWithSessions(t)
	g := open(t, s.Endpoint, s.Bucket, "p")
	w, err := g.Create(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	for piece := range slices.Chunk(storetest.Bytes(2*pieceSize+1, 1), 1<<20) {
		if _, err := w.Write(piece); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Abort(); err != nil {
		t.Fatal(err)
	}
	if s.Open() != 0 || len(storetest.Names(t, g, "")) != 0 {
		t.Error("something is left")
	}
}

// TestSized: another number of bytes than was told makes no object.
func TestSized(t *testing.T) {
	s := servers.GCSWithSessions(t)
	g := open(t, s.Endpoint, s.Bucket, "p")
	for _, c := range []struct{ told, written int }{{10, 9}, {10, 11}, {0, 1}, {pieceSize + 1, pieceSize}, {pieceSize, pieceSize + 1}, {7, 7}, {pieceSize + 7, pieceSize + 7}} {
		w, err := store.CreateSized(t.Context(), g, "x", int64(c.told))
		if err != nil {
			t.Fatal(err)
		}
		_, werr := w.Write(storetest.Bytes(c.written, 1))
		cerr := w.Commit(t.Context())
		names := storetest.Names(t, g, "")
		if c.told == c.written {
			if werr != nil || cerr != nil || len(names) != 1 || g.Remove(t.Context(), "x") != nil {
				t.Errorf("%+v: %v, %v, %q", c, werr, cerr, names)
			}
		} else if cerr == nil || len(names) != 0 {
			t.Errorf("%+v: %v, %v, %q", c, werr, cerr, names)
		}
	}
}
