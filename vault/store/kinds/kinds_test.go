package kinds

import (
	"os"
	"path/filepath"
	"testing"

	"pgvault/fault"
	"pgvault/vault/store"
	"pgvault/vault/store/address"
	"pgvault/vault/store/disk"
	"pgvault/vault/store/limit"
	"pgvault/vault/store/storetest"
)

func TestFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "place")
	a := address.Address{Scheme: address.File, Path: dir}
	if _, err := Open(t.Context(), a, address.Options{}, 0); fault.CodeOf(err) != fault.PlaceUnreachable {
		t.Fatalf("a folder that is not there: %v", err)
	}
	if err := Prepare(t.Context(), a, address.Options{}); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), a, address.Options{}, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	if _, limited := s.(*limit.Store); !limited {
		t.Errorf("the limit is not there: %T", s)
	}
	if _, is := store.As[*disk.Disk](s); !is {
		t.Errorf("%T is no disk", s)
	}
	storetest.Put(t, s, "main/x", []byte("x"))
	if err := Close(s); err != nil {
		t.Error(err)
	}

	uid := os.Geteuid()
	look, err := Open(t.Context(), a, address.Options{Owner: &uid}, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer Close(look)
	if string(storetest.Get(t, look, "main/x")) != "x" {
		t.Error("it cannot be read")
	}
	if err := look.Remove(t.Context(), "main/x"); fault.CodeOf(err) != fault.Refused {
		t.Errorf("what was opened to look removes: %v", err)
	}
}

func TestParse(t *testing.T) {
	if _, err := Parse(t.Context(), "s4://bucket", address.Options{}, 0); fault.CodeOf(err) != fault.Usage {
		t.Error(err)
	}
	if _, err := Open(t.Context(), address.Address{Scheme: "x"}, address.Options{}, 0); fault.CodeOf(err) != fault.Usage {
		t.Error(err)
	}
}
