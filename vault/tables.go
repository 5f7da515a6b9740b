package vault

import (
	"encoding/hex"

	"pgvault/pg"
	"pgvault/pg/dumpfile"
)

// tables follows a dump table by table and tells it as events. It is used
// by whatever reads a dump from one end to the other.
type tables struct {
	*run
	rows, bytes int64 // of tables that have ended
	done, count int
	rowsTotal   int64
	basis       string // of rowsTotal, empty when it is exact or unknown
	perTable    map[string]int64
}

// tableName is a table's (or large-object block's) name for people.
func tableName(e *dumpfile.Entry, kind dumpfile.BlockKind) string {
	if kind == dumpfile.LargeObjects {
		return "large objects"
	}
	return pg.QuoteName(e.Namespace, e.Tag)
}

// expect sets what a backup's progress is measured against: the run before
// where there was one, else the server's own row estimates. Sizes on disk
// are never used: bloat and compression make them lie both ways.
func (t *tables) expect(last *lastRun, c *pg.Catalog) {
	t.perTable = map[string]int64{}
	if last != nil && last.Rows > 0 {
		t.basis = "from the run of " + last.Finished.Format("2006-01-02 15:04") + "Z"
		t.rowsTotal, t.perTable = last.Rows, last.Tables
		return
	}
	for _, s := range c.Tables {
		if s.EstRows > 0 && s.Kind != 'p' {
			t.perTable[pg.QuoteName(s.Schema, s.Name)] = s.EstRows
			t.rowsTotal += s.EstRows
		}
	}
	if t.rowsTotal > 0 {
		t.basis = "from table statistics, may be far off"
	}
}

func (t *tables) countTables(toc *dumpfile.TOC) {
	for i := range toc.Entries {
		if toc.Entries[i].HasData {
			t.count++
		}
	}
}

func (t *tables) begin(e *dumpfile.Entry, kind dumpfile.BlockKind) {
	t.progress(func(p *Progress) { t.fill(p, tableName(e, kind), 0, 0) })
}

func (t *tables) tell(e *dumpfile.Entry, rows, bytes, stored int64) {
	t.progress(func(p *Progress) {
		kind := dumpfile.Data
		if e.Desc == "BLOBS" {
			kind = dumpfile.LargeObjects
		}
		t.fill(p, tableName(e, kind), rows, bytes)
		p.Stored = stored
	})
}

func (t *tables) fill(p *Progress, name string, rows, bytes int64) {
	p.Rows, p.Bytes = t.rows+rows, t.bytes+bytes
	p.RowsTotal, p.Estimate = t.rowsTotal, t.basis
	p.TablesDone, p.Tables = t.done, t.count
	p.Active = []Table{{Name: name, State: StateRunning, Rows: rows, Bytes: bytes, RowsTotal: t.perTable[name]}}
	if t.basis != "" && p.Rows > p.RowsTotal {
		p.RowsTotal = p.Rows
	}
}

func (t *tables) end(e *dumpfile.Entry, b dumpfile.Block, state TableState, note string) {
	t.done++
	t.rows += b.Rows
	t.bytes += b.Bytes
	t.tableDone(TableDone{Name: tableName(e, b.Kind), State: state, Rows: b.Rows, Bytes: b.Bytes, SHA256: hex.EncodeToString(b.SHA256[:]), Note: note})
}
