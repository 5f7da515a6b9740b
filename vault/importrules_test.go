package vault

import (
	"slices"
	"testing"
	"time"

	"pgvault/vault/archive"
	"pgvault/vault/foreign"
)

func TestCompareOriginals(t *testing.T) {
	name := foreign.Name{Schema: "public", Table: "t"}
	got := func(rows int64, sum string) []archive.Table {
		return []archive.Table{{Schema: "public", Name: "t", Rows: rows, SHA256: sum}}
	}
	want := func(rows int64, sum, why string) map[foreign.Name]foreign.Rows {
		return map[foreign.Name]foreign.Rows{name: {Rows: rows, SHA256: sum, Why: why}}
	}
	for what, c := range map[string]struct {
		got                    []archive.Table
		want                   wanted
		old                    bool
		equal, unproven, diffs int
	}{
		"equal":                     {got(2, "a"), wanted{tables: want(2, "a", "")}, false, 1, 0, 0},
		"another digest":            {got(2, "b"), wanted{tables: want(2, "a", "")}, false, 0, 0, 1},
		"written by an old server":  {got(2, "b"), wanted{tables: want(2, "a", "")}, true, 0, 1, 0},
		"a row less":                {got(1, "a"), wanted{tables: want(2, "a", "")}, true, 0, 0, 1},
		"a table less":              {nil, wanted{tables: want(2, "a", "")}, false, 0, 0, 1},
		"an empty table less":       {nil, wanted{tables: want(0, "a", "")}, false, 0, 0, 0},
		"rows that nobody named":    {got(2, "a"), wanted{}, false, 0, 0, 1},
		"none that nobody named":    {got(0, "a"), wanted{}, false, 1, 0, 0},
		"rows by INSERT":            {got(2, "a"), wanted{inserts: true}, false, 0, 1, 0},
		"rows by COPY and INSERT":   {got(3, "a"), wanted{tables: want(2, "a", ""), inserts: true}, false, 0, 1, 0},
		"rows in another format":    {got(2, "a"), wanted{tables: want(2, "", "odd")}, false, 0, 1, 0},
		"INSERT hides no other row": {got(2, "b"), wanted{tables: want(2, "a", ""), inserts: true}, false, 0, 0, 1},
	} {
		r := compareOriginals(c.got, c.want, c.old)
		if r.equal != c.equal || len(r.unproven) != c.unproven || len(r.diffs) != c.diffs || r.total != len(c.got) {
			t.Errorf("%s: %+v", what, r)
		}
	}
}

// TestImportIsNoBackup: an archive of today's dump does not make a database
// fresh, nor due runs done.
func TestImportIsNoBackup(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	v := New(Config{Name: "main", Of: func(string) Database { return Database{MaxAge: time.Hour} }})
	v.now = func() time.Time { return now }
	at := func(ago time.Duration, imported bool) Archive {
		a := Archive{ID: now.Add(-ago).Format("20060102T150405Z") + "-0000", Database: "shop", State: "good", Started: now.Add(-ago), Finished: now.Add(-ago)}
		if imported {
			a.Imported = &now
		}
		return a
	}
	if s := v.statusOf(nil, "shop", []Archive{at(time.Minute, true)}); s.State != "never" || s.LastGood != nil {
		t.Errorf("an import alone: %+v", s)
	}
	if s := v.statusOf(nil, "shop", []Archive{at(time.Minute, true), at(2*time.Hour, false)}); s.State != "late" {
		t.Errorf("an import after an old backup: %+v", s)
	}
	if len(seen([]Archive{at(time.Minute, true)}, nil)) > 0 {
		t.Error("an import stands for a scheduled run")
	}
	list := []Archive{at(time.Minute, true), at(2*time.Hour, false), at(3*time.Hour, false)}
	var refused []bool
	for i := range list {
		refused = append(refused, refusedDeletion(list, i, noon) != "")
	}
	if !slices.Equal(refused, []bool{true, true, false}) {
		t.Errorf("refused: %v", refused)
	}
}
