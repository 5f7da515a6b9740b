package vault

import (
	"fmt"
	"strconv"
	"strings"

	"pgvault/fault"
	"pgvault/pg"
	"pgvault/vault/archive"
	"pgvault/vault/foreign"
)

// wanted is what the original says of its rows.
type wanted struct {
	tables  map[foreign.Name]foreign.Rows
	inserts bool // some rows come as statements, of tables that nobody names
	large   int64
}

func wantedOf(s *foreign.Script) wanted {
	return wanted{tables: s.Tables, inserts: s.Inserts > 0, large: s.LargeObjects}
}

// comparedTables holds the tables of an archive against those of its original.
type comparedTables struct {
	equal, total int
	unproven     []string     // tables whose rows could not be compared, with the reason
	diffs        []Difference // what speaks against the archive
}

// compareOriginals compares rows and digests. oldServer says that the
// original's server wrote some values in other words than this one
// (floating-point numbers before PostgreSQL 12), so that another digest with
// as many rows proves nothing.
func compareOriginals(got []archive.Table, want wanted, oldServer bool) comparedTables {
	var c comparedTables
	seen := map[foreign.Name]bool{}
	for _, t := range got {
		name := foreign.Name{Schema: t.Schema, Table: t.Name}
		shown := pg.QuoteName(t.Schema, t.Name)
		w, there := want.tables[name]
		seen[name] = true
		c.total++
		switch {
		case !there && t.Rows == 0:
			c.equal++
		case !there && want.inserts:
			c.unproven = append(c.unproven, shown+": its rows came as INSERT")
		case !there:
			c.diffs = append(c.diffs, Difference{Table: shown, RowsFound: t.Rows, Why: "the original names no rows of it"})
		case w.Why != "":
			c.unproven = append(c.unproven, shown+": "+w.Why)
		case w.Rows != t.Rows && want.inserts:
			c.unproven = append(c.unproven, shown+": some of its rows came as INSERT")
		case w.Rows != t.Rows:
			c.diffs = append(c.diffs, Difference{Table: shown, RowsExpected: w.Rows, RowsFound: t.Rows, Why: fmt.Sprintf("%d rows instead of %d", t.Rows, w.Rows)})
		case w.SHA256 == t.SHA256:
			c.equal++
		case oldServer:
			c.unproven = append(c.unproven, shown+": as many rows, written in other words by a server older than 12")
		default:
			c.diffs = append(c.diffs, Difference{Table: shown, RowsExpected: w.Rows, RowsFound: t.Rows, Why: "as many rows, but not the same"})
		}
	}
	for name, w := range want.tables {
		if !seen[name] && w.Rows > 0 {
			c.diffs = append(c.diffs, Difference{Table: pg.QuoteName(name.Schema, name.Table), RowsExpected: w.Rows, Why: "is not in the restored database"})
		}
	}
	return c
}

// compareOriginal is the proof of an import: what was dumped from the scratch
// server is what the original holds.
func (i *importing) compareOriginal() error {
	major, err := strconv.Atoi(strings.SplitN(i.file.Server, ".", 2)[0])
	c := compareOriginals(i.contents.Tables, i.want, err == nil && major < 12)
	var large int64
	for _, l := range i.contents.Large {
		large += l.Count
	}
	if large != i.want.large {
		c.diffs = append(c.diffs, Difference{Table: "large objects", RowsExpected: i.want.large, RowsFound: large, Why: fmt.Sprintf("%d large objects instead of %d", large, i.want.large)})
	}
	i.equal, i.total = c.equal, c.total
	i.contents.Original.Tables, i.contents.Original.Equal = c.total, c.equal
	i.done.TablesEqual, i.done.TablesTotal, i.done.Differences = c.equal, c.total, c.diffs
	for n, u := range c.unproven {
		if n == 10 {
			i.note(fmt.Sprintf("and %d more", len(c.unproven)-n))
			break
		}
		i.note("not compared with the original: " + u)
	}
	if large > 0 {
		i.info(plural(large, "large object") + ": their number is that of the original; their bytes were not compared")
	}
	if len(c.diffs) > 0 {
		d := c.diffs[0]
		return &fault.Error{Op: "import", What: fmt.Sprintf("%d of %d tables are equal; %d things differ from the original", c.equal, c.total, len(c.diffs)), Why: d.Table + ": " + d.Why,
			Left: "no archive was made; the original is as it was", Do: "keep the original, and report this with the versions of PostgreSQL that made it", Code: fault.Differs}
	}
	return nil
}
