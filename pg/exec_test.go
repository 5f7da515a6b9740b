package pg_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"pgvault/fault"
	"pgvault/pg"
)

// TestCopyOutIsWhatPgDumpWrites, whatever the database has set.
func TestCopyOutIsWhatPgDumpWrites(t *testing.T) {
	newDatabase(t, "src", append(append([]string{}, school...),
		"CREATE TABLE odd (at timestamptz, f float8, f4 float4, i interval, d date)",
		"INSERT INTO odd VALUES ('2024-03-31 12:00+02', 1/3.0, 1/3.0, '1 mon 2 days', '2024-12-31')")...)
	tables := tablesOf(t, settings(), "src")
	err := pg.Exec(t.Context(), settings(), "src", `ALTER DATABASE src SET extra_float_digits = -5; ALTER DATABASE src SET DateStyle = 'German';
		ALTER DATABASE src SET TimeZone = 'Asia/Tokyo'; ALTER DATABASE src SET IntervalStyle = 'iso_8601'; ALTER DATABASE src SET bytea_output = 'escape';
		ALTER DATABASE src SET quote_all_identifiers = on; ALTER DATABASE src SET client_encoding = 'LATIN1'`)
	if err != nil {
		t.Fatal(err)
	}
	if len(tables) != 9 {
		t.Fatalf("%d tables", len(tables))
	}
	for _, table := range tables {
		r, err := pg.CopyOut(t.Context(), settings(), "src", "UTF8", table.copy)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if want := strings.TrimSuffix(table.data, "\\.\n\n\n"); err != nil || string(got) != want {
			t.Errorf("%s: %v\n%.300q\nwant %.300q", table.copy, err, got, want)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestCopyOutEndsInAnError(t *testing.T) {
	newDatabase(t, "src", big...)
	if _, err := pg.CopyOut(t.Context(), settings(), "src", "UTF8", "COPY public.big TO PROGRAM 'x'"); err == nil {
		t.Error("a statement that is no COPY … FROM stdin was run")
	}
	r, err := pg.CopyOut(t.Context(), settings(), "src", "UTF8", "COPY public.missing (i) FROM stdin;")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(r); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("a table that is not there: %v", err)
	}
	r.Close()
	r, err = pg.CopyOut(t.Context(), settings(), "src", "UTF8", "COPY public.big (i, s) FROM stdin;")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(r, make([]byte, 1<<16)); err != nil {
		t.Fatal(err)
	}
	var ended int
	err = connectTo(t, "").QueryRow(t.Context(), "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = 'src' AND query LIKE 'COPY%big%' AND state = 'active'").Scan(&ended)
	if err != nil || ended != 1 {
		t.Fatal(ended, err)
	}
	if _, err := io.Copy(io.Discard, r); fault.CodeOf(err) != fault.DBUnreachable {
		t.Errorf("a session that was ended: %v", err)
	}
	r.Close()
	r, err = pg.CopyOut(t.Context(), settings(), "src", "UTF8", "COPY public.big (i, s) FROM stdin;")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil { // unread: it must not hang
		t.Error(err)
	}
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("after Close: %v", err)
	}
}

func TestExecNamesTheDatabase(t *testing.T) {
	newDatabase(t, "src")
	if err := pg.Exec(t.Context(), settings(), "src", "CREATE TABLE a (i int); INSERT INTO a VALUES (1)", "INSERT INTO a VALUES (2)"); err != nil {
		t.Error(err)
	}
	err := pg.Exec(t.Context(), settings(), "src", "INSERT INTO nowhere VALUES (2)")
	if err == nil || !strings.Contains(err.Error(), "database src") || !strings.Contains(err.Error(), "nowhere") {
		t.Error(err)
	}
}
