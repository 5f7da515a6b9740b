package vault

import (
	"context"
	"encoding/hex"
	"fmt"

	"pgvault/fault"
	"pgvault/pg"
	"pgvault/pg/dumpfile"
	"pgvault/vault/archive"
)

// compare dumps the restored database through the same reader and holds
// every table's rows and SHA-256 against contents, then sequences, large
// objects and every other object of the table of contents, then what the
// catalog says of validity. What differs is collected, not only the first.
func (r *restoration) compare(ctx context.Context) error {
	s, err := pg.OpenSnapshot(ctx, r.admin(), r.target)
	if err != nil {
		return err
	}
	defer s.Close(context.WithoutCancel(ctx))
	catalog, err := s.Catalog(ctx)
	if err != nil {
		return err
	}
	d, err := pg.StartDump(ctx, r.admin(), r.dump, pg.DumpOptions{Database: r.target, Snapshot: s.ID, Encoding: r.catalog.Database.Encoding}, nil)
	if err != nil {
		return err
	}
	scan := r.newCompareScan()
	scanErr := dumpfile.Scan(d, scan)
	if scanErr != nil {
		d.Kill()
	}
	if err := dumpError(ctx, d.Wait(), scanErr, nil); err != nil {
		return err
	}
	if err := r.otherOrder(ctx, scan); err != nil {
		return err
	}
	scan.missing()
	if err := r.compareLarge(scan); err != nil {
		return err
	}
	r.compareObjects(scan, catalog)
	if r.only == nil {
		r.compareFacts(scan, catalog)
	}
	return r.verdict(scan)
}

// compareScan reads the restored database's dump.
type compareScan struct {
	tables
	want  map[string]archive.Table // by quoted name; what was not met yet
	order []string
	later []lateTable // rows agree, SHA-256 does not: maybe only the order
	toc   *dumpfile.TOC
	large archive.LargeObjects // summed
	// largeSum is the same however a pg_dump divides large objects into blocks.
	largeSum [32]byte
	diffs    []Difference
	equal    int
	total    int
}

type lateTable struct {
	entry *dumpfile.Entry
	block dumpfile.Block
	want  archive.Table
}

func (r *restoration) newCompareScan() *compareScan {
	s := &compareScan{tables: tables{run: r.run, perTable: map[string]int64{}}, want: map[string]archive.Table{}}
	for _, t := range r.c.Tables {
		if r.toc.Entry(t.DumpID) == nil || r.only != nil && !r.only.entries[t.DumpID] {
			continue
		}
		name := tableName(r.toc.Entry(t.DumpID), dumpfile.Data) // as the dump spells it, whatever its encoding
		s.want[name] = t
		s.order = append(s.order, name)
		s.perTable[name] = t.Rows
		s.rowsTotal += t.Rows
	}
	s.total, s.count = len(s.want), len(s.want)
	return s
}

func (s *compareScan) Raw([]byte) error { return nil }
func (s *compareScan) TOC(t *dumpfile.TOC) error {
	s.toc = t
	return nil
}
func (s *compareScan) BlockStart(e *dumpfile.Entry, kind dumpfile.BlockKind, _ int64) error {
	s.begin(e, kind)
	return nil
}
func (s *compareScan) Progress(e *dumpfile.Entry, rows, bytes int64) { s.tell(e, rows, bytes, 0) }

func (s *compareScan) BlockEnd(e *dumpfile.Entry, b dumpfile.Block) error {
	if b.Kind == dumpfile.LargeObjects {
		s.large.Count += b.Rows
		s.large.Bytes += b.Bytes
		s.large.SHA256 += hex.EncodeToString(b.SHA256[:])
		s.largeSum = dumpfile.AddSums(s.largeSum, b.Sum)
		return nil
	}
	name := tableName(e, b.Kind)
	want, ok := s.want[name]
	if !ok {
		if b.Rows > 0 {
			s.diffs = append(s.diffs, Difference{Table: name, RowsFound: b.Rows, Why: "is not in the archive"})
		}
		return nil
	}
	delete(s.want, name)
	switch {
	case want.Rows != b.Rows:
		s.differs(e, b, want, fmt.Sprintf("%d rows instead of %d", b.Rows, want.Rows))
	case want.SHA256 != hex.EncodeToString(b.SHA256[:]):
		s.later = append(s.later, lateTable{e, b, want})
	default:
		s.same(e, b, want, "")
	}
	return nil
}

func (s *compareScan) same(e *dumpfile.Entry, b dumpfile.Block, want archive.Table, note string) {
	s.equal++
	s.compared(e, b, want, StateEqual, note)
}

func (s *compareScan) differs(e *dumpfile.Entry, b dumpfile.Block, want archive.Table, why string) {
	s.diffs = append(s.diffs, Difference{Table: tableName(e, b.Kind), RowsExpected: want.Rows, RowsFound: b.Rows, Why: why})
	s.compared(e, b, want, StateDiffers, why)
}

func (s *compareScan) compared(e *dumpfile.Entry, b dumpfile.Block, want archive.Table, state TableState, note string) {
	s.done++
	s.rows += b.Rows
	s.bytes += b.Bytes
	s.tableDone(TableDone{Name: tableName(e, b.Kind), State: state, Rows: b.Rows, RowsExpected: want.Rows, Bytes: b.Bytes, SHA256: hex.EncodeToString(b.SHA256[:]), Note: note})
}

func (s *compareScan) missing() {
	for _, name := range s.order {
		if want, ok := s.want[name]; ok {
			s.diffs = append(s.diffs, Difference{Table: name, RowsExpected: want.Rows, Why: "is missing in the restored database"})
			s.tableDone(TableDone{Name: name, State: StateDiffers, RowsExpected: want.Rows, Note: "missing"})
		}
	}
}

// otherOrder looks once more at tables with as many rows and another
// SHA-256: a server may store equal rows in another order. Both sides are
// then read row by row and their row digests summed, which no order changes.
func (r *restoration) otherOrder(ctx context.Context, s *compareScan) error {
	for _, t := range s.later {
		same, err := r.sameRows(ctx, t)
		if err != nil {
			return err
		}
		if same {
			s.same(t.entry, t.block, t.want, "equal, in another order")
		} else {
			s.differs(t.entry, t.block, t.want, "as many rows, but not the same")
		}
	}
	return nil
}

func (r *restoration) sameRows(ctx context.Context, t lateTable) (bool, error) {
	block, err := r.main.Block(t.want.Offset, t.want.Length)
	if err != nil {
		return false, err
	}
	defer block.Close()
	rows, err := dumpfile.NewBlockReader(block, r.toc.Header, t.want.DumpID)
	if err != nil {
		return false, err
	}
	_, recorded, err := dumpfile.RowSum(rows)
	if err != nil {
		return false, err
	}
	out, err := pg.CopyOut(ctx, r.admin(), r.target, r.catalog.Database.Encoding, r.toc.Entry(t.want.DumpID).CopyStmt)
	if err != nil {
		return false, err
	}
	defer out.Close()
	_, found, err := dumpfile.RowSum(out)
	return recorded == found, err
}

// compareLarge holds the large objects, all together, against contents. A
// newer pg_dump divides them into other blocks: then those of the archive are
// read once more, and each object counts by itself.
func (r *restoration) compareLarge(s *compareScan) error {
	if r.only != nil {
		return nil
	}
	var want archive.LargeObjects
	for _, l := range r.c.Large {
		want.Count += l.Count
		want.Bytes += l.Bytes
		want.SHA256 += l.SHA256
	}
	if want.Count == 0 && s.large.Count == 0 {
		return nil
	}
	why, note := "", ""
	switch {
	case want.Count != s.large.Count || want.Bytes != s.large.Bytes:
		why = fmt.Sprintf("%d large objects of %d bytes instead of %d of %d", s.large.Count, s.large.Bytes, want.Count, want.Bytes)
	case want.SHA256 != s.large.SHA256:
		recorded, err := r.largeSum()
		if err != nil {
			return err
		}
		note = "equal, in another order"
		if recorded != s.largeSum {
			why = "as many large objects, but their contents differ"
		}
	}
	t := TableDone{Name: "large objects", State: StateEqual, Rows: s.large.Count, RowsExpected: want.Count, Bytes: s.large.Bytes, Note: note}
	if why != "" {
		t.State, t.Note = StateDiffers, why
		s.diffs = append(s.diffs, Difference{Table: "large objects", RowsExpected: want.Count, RowsFound: s.large.Count, Why: why})
	}
	s.tableDone(t)
	return nil
}

// largeSum reads the archive's large objects once more, for a digest that no
// order and no division into blocks changes.
func (r *restoration) largeSum() (sum [32]byte, err error) {
	for _, l := range r.c.Large {
		src, err := r.main.Block(l.Offset, l.Length)
		if err != nil {
			return sum, err
		}
		b, err := dumpfile.ScanObjects(src, r.toc.Header, r.toc.Entry(l.DumpID))
		src.Close()
		if err != nil {
			return sum, err
		}
		sum = dumpfile.AddSums(sum, b.Sum)
	}
	return sum, nil
}

// verdict turns what was found into the run's numbers and its error.
func (r *restoration) verdict(s *compareScan) error {
	r.done.TablesEqual, r.done.TablesTotal, r.done.Differences = s.equal, s.total, s.diffs
	r.done.Tables, r.done.Rows, r.done.Bytes = s.total, s.rows, s.bytes
	if len(s.diffs) > 0 {
		d := s.diffs[0]
		return &fault.Error{Op: "compare", What: fmt.Sprintf("%d of %d tables are equal; %d things differ from the archive", s.equal, s.total, len(s.diffs)),
			Why: d.Table + ": " + d.Why, Left: "database " + r.target + " is there for a look; the source was not touched", Do: "read the list of differences before you use it", Code: fault.Differs}
	}
	return r.partial()
}
