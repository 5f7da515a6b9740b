package pg_test

import (
	"slices"
	"strings"
	"testing"

	"pgvault/pg"
)

func TestOffers(t *testing.T) {
	offers, err := pg.Offers(t.Context(), connectTo(t, ""))
	if h := offers["hstore"]; err != nil || h.Default == "" || !slices.Contains(h.Versions, h.Default) || len(h.Versions) < 2 {
		t.Errorf("%+v, %v", h, err)
	}
	if _, known := offers["no_such"]; known {
		t.Error("it offers what there is none of")
	}
	names, err := pg.Tablespaces(t.Context(), connectTo(t, ""))
	if err != nil || !slices.Equal(names, []string{"pg_default", "pg_global"}) {
		t.Errorf("%q, %v", names, err)
	}
}

// TestLocaleOf: asked for what CREATE DATABASE needs, without making one.
func TestLocaleOf(t *testing.T) {
	conn := connectTo(t, "")
	for _, c := range []struct {
		like    pg.DatabaseInfo
		missing string
	}{
		{pg.DatabaseInfo{Provider: "c", Collate: "C", CType: "C"}, ""},
		{pg.DatabaseInfo{Provider: "c", Collate: "C.UTF-8", CType: "C"}, ""},
		{pg.DatabaseInfo{Provider: "c", Collate: "xx_YY.UTF-8", CType: "xx_YY.UTF-8"}, "xx_YY.UTF-8"},
		{pg.DatabaseInfo{Provider: "i", Collate: "C", CType: "C", ICULocale: "de-AT"}, ""},
	} {
		l, err := pg.LocaleOf(t.Context(), conn, c.like)
		if err != nil || (c.missing == "") != (l.Missing == "") || !strings.Contains(l.Missing, c.missing) || l.Unknown != "" {
			t.Errorf("%+v: %+v, %v", c.like, l, err)
		}
		if c.like.Provider == "i" && l.Version == "" {
			t.Errorf("no version of ICU: %+v", l)
		}
	}
	if programs(t).Major < 17 {
		l, err := pg.LocaleOf(t.Context(), conn, pg.DatabaseInfo{Provider: "b", ICULocale: "C.UTF-8"})
		if err != nil || !strings.Contains(l.Missing, "builtin") {
			t.Errorf("%+v, %v", l, err)
		}
	}
	var left int
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_collation WHERE collname = 'pgvault_probe'").Scan(&left); err != nil || left != 0 {
		t.Errorf("%d collations are left, %v", left, err)
	}
}

func TestRoomOf(t *testing.T) {
	conn := connectTo(t, "")
	before, err := pg.RoomOf(t.Context(), conn)
	if err != nil || before.Max < 10 || before.Connections < 1 || before.Connections >= before.Max || before.Free < 1<<20 || !strings.HasPrefix(before.Where, "/") {
		t.Fatalf("%+v, %v", before, err)
	}
	connectTo(t, "")
	after, err := pg.RoomOf(t.Context(), conn)
	if err != nil || after.Connections != before.Connections-1 {
		t.Errorf("%d sessions, then %d, %v", before.Connections, after.Connections, err)
	}
	newRole(t, "room_r", "CONNECTION LIMIT 3")
	far, err := overTCP(t, "room_r").Connect(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close(t.Context())
	if r, err := pg.RoomOf(t.Context(), far); err != nil || r.Connections != 2 || r.Free != -1 || !strings.Contains(r.Where, "socket") {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestLiveOf(t *testing.T) {
	newDatabase(t, "src", "CREATE TABLE a AS SELECT generate_series(1, 10) AS i")
	conn := connectTo(t, "")
	if l, err := pg.LiveOf(t.Context(), conn, "none"); l != nil || err != nil {
		t.Errorf("%+v, %v", l, err)
	}
	other := connectTo(t, "src")
	l, err := pg.LiveOf(t.Context(), conn, "src")
	if err != nil || l == nil || l.Size < 1<<20 || l.Sessions < 1 {
		t.Errorf("%+v, %v", l, err)
	}
	other.Close(t.Context())
}
