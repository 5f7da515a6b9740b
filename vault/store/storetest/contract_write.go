package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"pgvault/vault/store"
)

func testEmpty(t *testing.T, s store.Store) {
	wantNames(t, s, "")
	wantNames(t, s, "main/")
	wantNames(t, s, "main/db/20261122T213000Z-7f3a/")
}

func testWriteThenRead(t *testing.T, s store.Store) {
	for i, n := range []int{0, 1, 4095, 64 << 10, 1<<20 - 1, 1 << 20, 1<<20 + 1, 3<<20 + 17} {
		name := fmt.Sprintf("main/db/a%d/part", i)
		data := Bytes(n, uint64(i))
		Put(t, s, name, data)
		if got := Get(t, s, name); !bytes.Equal(got, data) {
			t.Fatalf("%d bytes written, %d other bytes read", n, len(got))
		}
		info, err := s.Stat(t.Context(), name)
		if err != nil || info != (store.Info{Name: name, Size: int64(n)}) {
			t.Fatalf("Stat = %+v, %v", info, err)
		}
		list, err := s.List(t.Context(), fmt.Sprintf("main/db/a%d/", i))
		if err != nil || len(list) != 1 || list[0].Name != name || list[0].Size != int64(n) {
			t.Fatalf("List = %+v, %v", list, err)
		}
	}
}

func testInvisible(t *testing.T, s store.Store) {
	w := create(t, s, "main/db/a/part")
	wantAbsent(t, s, "main/db/a/part")
	for range 40 {
		if _, err := w.Write(Bytes(64<<10, 1)); err != nil {
			t.Fatal(err)
		}
	}
	wantAbsent(t, s, "main/db/a/part")
	wantNames(t, s, "")
	if err := w.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantNames(t, s, "", "main/db/a/part")
}

func testNoClobber(t *testing.T, s store.Store) {
	first := Bytes(100_000, 1)
	Put(t, s, "main/x", first)
	for _, other := range [][]byte{nil, Bytes(10, 2), Bytes(2<<20, 3)} {
		w := create(t, s, "main/x")
		if _, err := w.Write(other); err != nil {
			t.Fatal(err)
		}
		if err := w.Commit(t.Context()); !errors.Is(err, store.ErrExist) {
			t.Fatalf("second Commit: %v, want ErrExist", err)
		}
		if !bytes.Equal(Get(t, s, "main/x"), first) {
			t.Fatal("the first object's bytes were changed")
		}
	}
	wantNames(t, s, "", "main/x")
}

func testConcurrentCreate(t *testing.T, s store.Store) {
	const writers, rounds = 8, 10
	for round := range rounds {
		name := fmt.Sprintf("main/seq/%d", round)
		type result struct {
			id  int
			err error
		}
		start, results := make(chan struct{}), make(chan result)
		for id := range writers {
			w := create(t, s, name)
			if _, err := w.Write(Bytes(200_000, uint64(id))); err != nil {
				t.Fatal(err)
			}
			go func() {
				<-start
				results <- result{id, w.Commit(t.Context())}
			}()
		}
		close(start)
		winner := -1
		for range writers {
			r := <-results
			switch {
			case r.err == nil && winner >= 0:
				t.Errorf("round %d: both %d and %d won", round, winner, r.id)
			case r.err == nil:
				winner = r.id
			case !errors.Is(r.err, store.ErrExist):
				t.Errorf("round %d: a loser got %v, want ErrExist", round, r.err)
			}
		}
		if winner < 0 {
			t.Fatalf("round %d: nobody won", round)
		}
		if !bytes.Equal(Get(t, s, name), Bytes(200_000, uint64(winner))) {
			t.Fatalf("round %d: not the winner's bytes", round)
		}
	}
	if got := len(Names(t, s, "")); got != rounds {
		t.Fatalf("%d objects, want %d", got, rounds)
	}
}

func testAbort(t *testing.T, s store.Store) {
	for _, n := range []int{0, 10, 3 << 20} {
		w := create(t, s, "main/db/a/part")
		if _, err := w.Write(Bytes(n, 1)); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := w.Abort(); err != nil {
				t.Fatalf("Abort: %v", err)
			}
		}
		wantAbsent(t, s, "main/db/a/part")
	}
	Put(t, s, "main/db/a/part", []byte("after the aborts"))
	wantNames(t, s, "", "main/db/a/part")
}

func testAfterTheEnd(t *testing.T, s store.Store) {
	w := create(t, s, "main/x")
	if _, err := w.Write([]byte("one")); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.Abort(); err != nil {
		t.Fatalf("Abort after Commit: %v", err)
	}
	if _, err := w.Write([]byte("two")); !errors.Is(err, store.ErrClosed) {
		t.Fatalf("Write after Commit: %v, want ErrClosed", err)
	}
	if err := w.Commit(t.Context()); !errors.Is(err, store.ErrClosed) {
		t.Fatalf("second Commit: %v, want ErrClosed", err)
	}
	if got := string(Get(t, s, "main/x")); got != "one" {
		t.Fatalf("the object became %q", got)
	}
	w = create(t, s, "main/y")
	if err := w.Abort(); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(t.Context()); !errors.Is(err, store.ErrClosed) {
		t.Fatalf("Commit after Abort: %v, want ErrClosed", err)
	}
	wantAbsent(t, s, "main/y")
}

func testCancel(t *testing.T, s store.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w, err := s.Create(ctx, "main/x")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for i := range 100 {
		if i == 50 {
			cancel()
		}
		_, err = w.Write(Bytes(64<<10, 1))
		if (err != nil) != (i >= 50) {
			t.Fatalf("piece %d, cancelled before piece 50: %v", i, err)
		}
	}
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("Write: %v, want context.Canceled", err)
	}
	if err := w.Commit(context.WithoutCancel(ctx)); !errors.Is(err, context.Canceled) {
		t.Fatalf("Commit: %v, want context.Canceled", err)
	}
	wantAbsent(t, s, "main/x")

	w = create(t, s, "main/y") // cancelled at Commit only
	if _, err := w.Write([]byte("y")); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("Commit with a cancelled context: %v", err)
	}
	wantAbsent(t, s, "main/y")
}

func testCancelledContext(t *testing.T, s store.Store) {
	Put(t, s, "main/x", Bytes(5<<20, 1))
	ctx, cancel := context.WithCancel(t.Context())
	r, err := s.Open(ctx, "main/x", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.ReadFull(r, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if n, err := io.Copy(io.Discard, r); !errors.Is(err, context.Canceled) {
		t.Errorf("reading on after cancel: %d bytes, %v", n, err)
	}
	for what, call := range map[string]func() error{
		"List":   func() error { _, err := s.List(ctx, ""); return err },
		"Open":   func() error { _, err := s.Open(ctx, "main/x", 0, -1); return err },
		"Create": func() error { _, err := s.Create(ctx, "main/y"); return err },
		"Stat":   func() error { _, err := s.Stat(ctx, "main/x"); return err },
		"Remove": func() error { return s.Remove(ctx, "main/x") },
		"Free":   func() error { _, err := s.Free(ctx); return err },
	} {
		if err := call(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s with a cancelled context: %v", what, err)
		}
	}
	wantNames(t, s, "", "main/x")
}
