package azure

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

// small gives a place whose blocks are small.
func small(t *testing.T, s *servers.AzureServer, prefix string) *Azure {
	t.Helper()
	z := open(t, s, s.Endpoint, s.CA.Pool, prefix)
	z.sizing.First = block
	return z
}

// write publishes data, and tells Write's error from Commit's.
func write(t *testing.T, z *Azure, name string, data []byte) (writing, committing error) {
	t.Helper()
	w, err := z.Create(t.Context(), name)
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

func TestSizes(t *testing.T) {
	s := servers.Azure(t)
	z := small(t, s, "p")
	for i, n := range []int{0, 1, block - 1, block, block + 1, 2 * block, 7*block + 12345} {
		name := fmt.Sprint(i)
		data := storetest.Bytes(n, uint64(i))
		storetest.Put(t, z, name, data)
		if got := storetest.Get(t, z, name); !bytes.Equal(got, data) {
			t.Errorf("%d bytes came back changed", n)
		}
	}
	large := open(t, s, s.Endpoint, s.CA.Pool, "p") // blocks as they are
	data := storetest.Bytes(int(5*sizing.First+77), 9)
	storetest.Put(t, large, "large", data)
	if !bytes.Equal(storetest.Get(t, large, "large"), data) {
		t.Error("blocks came back changed, or in another order")
	}
}

// TestBlocksThatGoThroughAFile has blocks too large for memory.
func TestBlocksThatGoThroughAFile(t *testing.T) {
	s := servers.Azure(t)
	z := open(t, s, s.Endpoint, s.CA.Pool, "p")
	z.sizing.First = 20 << 20
	data := storetest.Bytes(45<<20, 1)
	storetest.Put(t, z, "x", data)
	if !bytes.Equal(storetest.Get(t, z, "x"), data) {
		t.Error("other bytes")
	}
}

// TestConcurrentBlocks: of several writers of one object in blocks, one wins
// and the others hear that the name is taken, although the winner's list
// takes away the blocks that they have staged.
func TestConcurrentBlocks(t *testing.T) {
	s := servers.Azure(t)
	z := small(t, s, "p")
	const writers, size = 4, 3*block + 1000
	for round := range 20 {
		name := fmt.Sprintf("r%d", round)
		results := make(chan error)
		for id := range writers {
			go func() {
				_, err := write(t, z, name, storetest.Bytes(size, uint64(id)))
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
		got := storetest.Get(t, z, name)
		if !slices.ContainsFunc([]uint64{0, 1, 2, 3}, func(id uint64) bool { return bytes.Equal(got, storetest.Bytes(size, id)) }) {
			t.Fatalf("round %d: a mixture of bytes", round)
		}
	}
}

// TestStagedAndOvertaken: while one writer has blocks staged, another makes
// the object, and in the second case it is removed again: the first writer's
// blocks are gone then, and it says so.
func TestStagedAndOvertaken(t *testing.T) {
	s := servers.Azure(t)
	z := small(t, s, "p")
	for _, removed := range []bool{false, true} {
		name := fmt.Sprint(removed)
		w, err := z.Create(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(storetest.Bytes(3*block, 1)); err != nil {
			t.Fatal(err)
		}
		w.(*writer).group.Wait() // two blocks are there
		storetest.Put(t, z, name, []byte("overtaken"))
		if removed {
			if err := z.Remove(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		}
		err = w.Commit(t.Context())
		if removed {
			if f := fault.As(err); errors.Is(err, store.ErrExist) || !errors.Is(err, errBlocks) || f.Do == "" || len(storetest.Names(t, z, "")) != 1 {
				t.Errorf("after a removal: %+v", f)
			}
		} else if !errors.Is(err, store.ErrExist) || string(storetest.Get(t, z, name)) != "overtaken" {
			t.Errorf("overtaken: %v", err)
		}
	}
}

// TestWrongBytes changes what is sent, at one request, and at all of them.
func TestWrongBytes(t *testing.T) {
	s := servers.Azure(t)
	p, endpoint := behind(t, s)
	z := open(t, s, endpoint, p.CA.Pool, "p")
	z.sizing.First = block
	for i, size := range []int{1000, 2*block + 5} {
		for _, times := range []int{1, -1} {
			p.Set(storetest.FaultRule{Method: http.MethodPut, Query: "!blocklist", Times: times, Do: storetest.FaultWrongRequest})
			name := fmt.Sprint(i, times)
			data := storetest.Bytes(size, 3)
			werr, err := write(t, z, name, data)
			done := p.Done(storetest.FaultWrongRequest)
			p.Set()
			if times == 1 {
				if werr != nil || err != nil || done != 1 || !bytes.Equal(storetest.Get(t, z, name), data) {
					t.Errorf("%d bytes: %v, %v", size, werr, err)
				}
				continue
			}
			if err = errors.Join(werr, err); err == nil || fault.CodeOf(err) != fault.Failed || !strings.Contains(fault.As(err).Do, "changes bytes") {
				t.Errorf("%d bytes, always changed: %v, %+v", size, err, fault.As(err))
			}
			if slices.Contains(storetest.Names(t, z, ""), name) {
				t.Errorf("%d bytes, always changed: it is there", size)
			}
		}
	}
}

// TestLostAnswer: the service made the object and nobody heard it.
func TestLostAnswer(t *testing.T) {
	s := servers.Azure(t)
	p, endpoint := behind(t, s)
	z := open(t, s, endpoint, p.CA.Pool, "p")
	z.sizing.First = block
	for _, c := range []struct {
		size  int
		query string
	}{{1000, "!comp"}, {2*block + 5, "comp"}} {
		name := fmt.Sprint(c.size)
		data := storetest.Bytes(c.size, 3)
		nth := 1
		if c.size > block {
			nth = 4 // three blocks, then their list
		}
		p.Set(storetest.FaultRule{Method: http.MethodPut, Query: c.query, Nth: nth, Do: storetest.FaultLoseAnswer})
		if werr, err := write(t, z, name, data); werr != nil || err != nil || p.Done(0) != 1 {
			t.Fatalf("%v, %v: %s", werr, err, strings.Join(p.Log(), "\n"))
		}
		if !bytes.Equal(storetest.Get(t, z, name), data) {
			t.Error("other bytes")
		}
		// Somebody else's object is no success, however the answer was lost.
		p.Set(storetest.FaultRule{Method: http.MethodPut, Query: c.query, Nth: nth, Do: storetest.FaultLoseAnswer})
		if _, err := write(t, z, name, storetest.Bytes(c.size, 4)); !errors.Is(err, store.ErrExist) || p.Done(0) != 1 {
			t.Errorf("another's: %v", err)
		}
		p.Set()
		if !bytes.Equal(storetest.Get(t, z, name), data) {
			t.Error("the first object was changed")
		}
	}
}

// TestReplacedMeanwhile: what was looked at is not there any more, and
// nothing else is touched.
func TestReplacedMeanwhile(t *testing.T) {
	s := servers.Azure(t)
	z := small(t, s, "p")
	storetest.Put(t, z, "x", []byte("first"))
	p, err := z.properties(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	if err := z.Remove(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	if err := z.remove(t.Context(), "x", *p.ETag); err != nil {
		t.Errorf("gone already: %v", err)
	}
	storetest.Put(t, z, "x", []byte("second"))
	if err := z.remove(t.Context(), "x", *p.ETag); !errors.Is(err, errReplaced) || string(storetest.Get(t, z, "x")) != "second" {
		t.Errorf("replaced: %v", err)
	}
	if _, _, _, err := z.open(t.Context(), "x", *p.ETag, 0, -1); !errors.Is(err, errReplaced) {
		t.Errorf("replaced while it is read: %v", err)
	}
}

// TestUnfinishedIsInvisible: blocks without a list are not listed, and a
// writer that was given up leaves nothing that is in the way.
func TestUnfinishedIsInvisible(t *testing.T) {
	s := servers.Azure(t)
	z := small(t, s, "p")
	w, err := z.Create(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(storetest.Bytes(4*block, 1)); err != nil {
		t.Fatal(err)
	}
	w.(*writer).group.Wait()
	if names := storetest.Names(t, z, ""); len(names) != 0 {
		t.Errorf("%q", names)
	}
	if _, err := z.Stat(t.Context(), "x"); !errors.Is(err, store.ErrNotExist) {
		t.Errorf("Stat: %v", err)
	}
	if err := z.Remove(t.Context(), "x"); !errors.Is(err, store.ErrNotExist) {
		t.Errorf("Remove: %v", err)
	}
	if err := w.Abort(); err != nil {
		t.Fatal(err)
	}
	storetest.Put(t, z, "x", []byte("after"))
	if got := storetest.Get(t, z, "x"); string(got) != "after" {
		t.Errorf("%q", got)
	}
}

func TestSized(t *testing.T) {
	s := servers.Azure(t)
	z := small(t, s, "p")
	for _, c := range []struct{ told, written int }{{10, 9}, {10, 11}, {0, 1}, {block + 1, block}, {block, block + 1}, {7, 7}, {block + 7, block + 7}} {
		w, err := store.CreateSized(t.Context(), z, "x", int64(c.told))
		if err != nil {
			t.Fatal(err)
		}
		_, werr := w.Write(storetest.Bytes(c.written, 1))
		cerr := w.Commit(t.Context())
		names := storetest.Names(t, z, "")
		if c.told == c.written {
			if werr != nil || cerr != nil || len(names) != 1 || z.Remove(t.Context(), "x") != nil {
				t.Errorf("%+v: %v, %v, %q", c, werr, cerr, names)
			}
		} else if cerr == nil || len(names) != 0 {
			t.Errorf("%+v: %v, %v, %q", c, werr, cerr, names)
		}
	}
}

// TestTooManyBlocks: an object that does not fit is an error before anything
// is made of it.
func TestTooManyBlocks(t *testing.T) {
	s := servers.Azure(t)
	z := small(t, s, "p")
	z.sizing.Parts, z.sizing.Fixed = 2, true
	werr, err := write(t, z, "x", storetest.Bytes(3*block, 1))
	if err = errors.Join(werr, err); err == nil || !strings.Contains(err.Error(), "does not fit") || len(storetest.Names(t, z, "")) != 0 {
		t.Errorf("%v", err)
	}
	storetest.Put(t, z, "y", storetest.Bytes(2*block, 1))
}
