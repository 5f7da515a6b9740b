package pg_test

import (
	"bytes"
	"net"
	"strconv"
	"testing"

	"pgvault/pg"
)

func freePort() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "0"
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

func TestDumpOfSnapshot(t *testing.T) {
	newDatabase(t, "snap", "CREATE TABLE a (i int, s text)", "INSERT INTO a SELECT i, 'row ' || i FROM generate_series(1, 1000) i")
	s, err := pg.OpenSnapshot(t.Context(), settings(), "snap")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(t.Context())
	exec(t, connectTo(t, "snap"), "INSERT INTO public.a VALUES (5000, 'too late')")
	got, err := dump(t, settings(), pg.DumpOptions{Database: "snap", Snapshot: s.ID, Encoding: "UTF8"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Alive(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(got, []byte("PGDMP")) {
		t.Fatalf("begins with %q", got[:20])
	}
	if !bytes.Contains(got, []byte("1000\trow 1000\n")) {
		t.Error("a row of the snapshot is missing")
	}
	if bytes.Contains(got, []byte("too late")) {
		t.Error("a row from after the snapshot is in the dump")
	}
}

// TestDumpWithoutStdbuf: the dump is the same where the program that makes
// its pieces larger is missing.
func TestDumpWithoutStdbuf(t *testing.T) {
	t.Cleanup(pg.WithStdbuf("/nowhere/stdbuf"))
	TestDumpOfSnapshot(t)
}
