package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgvault/vault/store"
)

func testNames(t *testing.T, s store.Store) {
	names := []string{
		"x", "a.b", "-rf", "main/" + strings.Repeat("%2F", 66) + "xx/id/part", // an element of 200 bytes
		"main/" + strings.Repeat("n", 255) + "/part", "main/db/.hidden", "main/db/...", "main/a b/c+d&e=f?g#h",
		"main/$(reboot)`x`;'\"*", "main/ümlaut/日本語/🐘", "main/db/partial-x", "main/CASE", "main/case", "main/100%",
	}
	for i, n := range names {
		Put(t, s, n, Bytes(100, uint64(i)))
	}
	for i, n := range names {
		if !bytes.Equal(Get(t, s, n), Bytes(100, uint64(i))) {
			t.Errorf("%q came back changed", n)
		}
	}
	slices.Sort(names)
	wantNames(t, s, "", names...)
}

func testBadNames(t *testing.T, s store.Store) {
	for _, n := range []string{
		"", "/", "/etc/passwd", "a/", "a//b", "..", "../x", "a/../b", "a/..", ".", "./a", "a/./b", "a\x00b", "a\nb",
		"a\x1bb", "a\x7fb", "a\u0085b", `a\b`, "a\xffb", strings.Repeat("n", 256), strings.Repeat("n/", 512) + "n",
		store.TempPrefix + "x", "a/" + store.TempPrefix, "a/" + store.TempPrefix + "x/b",
	} {
		if store.ValidName(n) == nil {
			t.Errorf("ValidName(%q) = nil", n)
		}
		if _, err := s.Open(t.Context(), n, 0, -1); err == nil {
			t.Errorf("Open(%q) is accepted", n)
		}
		if _, err := s.Stat(t.Context(), n); err == nil {
			t.Errorf("Stat(%q) is accepted", n)
		}
		if err := s.Remove(t.Context(), n); err == nil {
			t.Errorf("Remove(%q) is accepted", n)
		}
		if w, err := s.Create(t.Context(), n); err == nil {
			t.Errorf("Create(%q) is accepted; %v", n, w.Abort())
		}
	}
	for _, p := range []string{"a", "/", "../", "a//", "/a/", "a/../", "\x00/"} {
		if _, err := s.List(t.Context(), p); err == nil {
			t.Errorf("List(%q) is accepted", p)
		}
	}
	wantNames(t, s, "")
}

func testListingOrder(t *testing.T, s store.Store) {
	names := []string{"a-b/c", "a.b", "a/b", "a/b-c", "a/ba/x", "a0", "ab", "b/1/x", "b/10/x", "b/2/x", "Z", "a/B"}
	for _, n := range names {
		Put(t, s, n, []byte(n))
	}
	sorted := slices.Sorted(slices.Values(names))
	wantNames(t, s, "", sorted...)
	wantNames(t, s, "a/", "a/B", "a/b", "a/b-c", "a/ba/x")
	wantNames(t, s, "b/1/", "b/1/x")
	wantNames(t, s, "a/b/") // the name of an object, not of a folder
	wantNames(t, s, "c/")
	list, err := s.List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range list {
		if i.Size != int64(len(i.Name)) {
			t.Errorf("%s: size %d, want %d", i.Name, i.Size, len(i.Name))
		}
	}
}

func testThousand(t *testing.T, s store.Store) {
	want := make([]string, 1001) // one more than a page of S3 holds
	todo, done := make(chan string), make(chan error)
	for range 8 {
		go func() {
			for n := range todo {
				w, err := s.Create(t.Context(), n)
				if err == nil {
					_, err = w.Write([]byte(n))
					err = errors.Join(err, w.Commit(t.Context()), w.Abort())
				}
				if err != nil {
					done <- fmt.Errorf("%s: %w", n, err)
					return
				}
			}
			done <- nil
		}()
	}
	go func() {
		defer close(todo)
		for i := range want {
			select {
			case todo <- fmt.Sprintf("main/db%d/%04d/part", i%3, i):
			case <-t.Context().Done():
				return
			}
		}
	}()
	for range 8 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	for i := range want {
		want[i] = fmt.Sprintf("main/db%d/%04d/part", i%3, i)
	}
	slices.Sort(want)
	wantNames(t, s, "", want...)
}

func testRemove(t *testing.T, s store.Store) {
	for _, n := range []string{"main/db/a/1", "main/db/a/2", "main/db/b/1", "main/vault.json"} {
		Put(t, s, n, []byte(n))
	}
	for _, n := range []string{"main/db/a/1", "main/db/a/2"} {
		if err := s.Remove(t.Context(), n); err != nil {
			t.Fatal(err)
		}
		wantAbsent(t, s, n)
	}
	wantNames(t, s, "", "main/db/b/1", "main/vault.json")
	Put(t, s, "main/db/a/1", []byte("again"))
	if got := string(Get(t, s, "main/db/a/1")); got != "again" {
		t.Fatalf("after Remove and Create: %q", got)
	}

	w := create(t, s, "main/db/c/2") // its folder may become empty meanwhile
	Put(t, s, "main/db/c/1", nil)
	if err := s.Remove(t.Context(), "main/db/c/1"); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(t.Context()); err != nil {
		t.Fatalf("Commit after the last neighbour was removed: %v", err)
	}
	wantNames(t, s, "main/db/c/", "main/db/c/2")
}

func testFreeAndString(t *testing.T, s store.Store) {
	if n, err := s.Free(t.Context()); err != nil || n < -1 || n == 0 {
		t.Errorf("Free = %d, %v", n, err)
	}
	if !strings.Contains(s.String(), ":") {
		t.Errorf("String() = %q is no URL", s.String())
	}
}

// testStamps: a listing again gives the same stamps, and an object that was
// replaced, be it by the same bytes, has another one or none.
func testStamps(t *testing.T, s store.Store) {
	Put(t, s, "main/a", []byte("one"))
	Put(t, s, "main/b", []byte("two"))
	stamps := func() map[string]string {
		t.Helper()
		list, err := s.List(t.Context(), "")
		if err != nil || len(list) != 2 {
			t.Fatalf("%v, %v", list, err)
		}
		return map[string]string{list[0].Name: list[0].Stamp, list[1].Name: list[1].Stamp}
	}
	before := stamps()
	if err := s.Remove(t.Context(), "main/a"); err != nil {
		t.Fatal(err)
	}
	Put(t, s, "main/a", []byte("one"))
	after := stamps()
	if after["main/a"] != "" && after["main/a"] == before["main/a"] {
		t.Error("another object of the same name has the same stamp")
	}
	if before["main/b"] != "" && after["main/b"] != "" && after["main/b"] != before["main/b"] {
		t.Error("an object that nobody touched has another stamp")
	}
}
