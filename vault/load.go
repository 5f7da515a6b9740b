package vault

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"sort"
	"sync"

	"golang.org/x/sync/errgroup"

	"pgvault/fault"
	"pgvault/pg"
	"pgvault/pg/dumpfile"
)

// load puts the rows in: jobs workers, each with its own connection, each
// taking the largest table that is left and reading just that table's
// frames of the encrypted part.
func (r *restoration) load(ctx context.Context) error {
	work := r.work()
	next := make(chan func(context.Context, *pg.Loader) error)
	p := newLoadProgress(r, work)
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(next)
		for _, w := range work {
			select {
			case next <- func(ctx context.Context, l *pg.Loader) error { return r.loadOne(ctx, l, w, p) }:
			case <-gctx.Done():
				return gctx.Err()
			}
		}
		return nil
	})
	for range max(1, r.jobs) {
		g.Go(func() error {
			l, err := pg.OpenLoader(gctx, r.server, r.target, r.catalog.Database.Encoding)
			if err != nil {
				return err
			}
			defer l.Close()
			for do := range next {
				if err := do(gctx, l); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return r.setSequences(ctx)
}

// blockWork is one data block to load.
type blockWork struct {
	entry  *dumpfile.Entry
	kind   dumpfile.BlockKind
	offset int64
	length int64
	want   recorded
	bytes  int64
}

func (w blockWork) name() string { return tableName(w.entry, w.kind) }

// work lists the blocks to load, largest first: the longest must not start
// last.
func (r *restoration) work() []blockWork {
	var out []blockWork
	for _, t := range r.c.Tables {
		if e := r.toc.Entry(t.DumpID); e != nil && (r.only == nil || r.only.entries[e.ID]) {
			out = append(out, blockWork{e, dumpfile.Data, t.Offset, t.Length, recorded{t.Rows, t.SHA256}, t.Bytes})
		}
	}
	for _, l := range r.c.Large {
		if e := r.toc.Entry(l.DumpID); e != nil && r.only == nil {
			out = append(out, blockWork{e, dumpfile.LargeObjects, l.Offset, l.Length, recorded{l.Count, l.SHA256}, l.Bytes})
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].bytes > out[j].bytes })
	return out
}

func (r *restoration) loadOne(ctx context.Context, l *pg.Loader, w blockWork, p *loadProgress) error {
	p.start(w)
	if w.kind == dumpfile.LargeObjects {
		if err := r.loadLargeObjects(ctx, w); err != nil {
			return err
		}
		p.end(w)
		return nil
	}
	for {
		source := r.source()
		err := r.loadTable(ctx, l, w, p)
		if err == nil {
			break
		}
		if pg.NoSuchTable(err) && r.metErrors() {
			p.leave(w)
			return nil
		}
		if !anotherCopy(ctx, err) || !r.readElsewhere(ctx, source, err) {
			return err
		}
		p.start(w)
	}
	p.end(w)
	return nil
}

// source numbers where blocks are read from: it changes when that does.
func (r *restoration) source() int {
	r.from.Lock()
	defer r.from.Unlock()
	return r.from.n
}

// readElsewhere goes on after a table that was damaged and rolled back: once
// more from the same copy, then from the others. false: there is none left.
// source is what the table was read from; another worker may have left it
// already.
func (r *restoration) readElsewhere(ctx context.Context, source int, err error) bool {
	r.from.Lock()
	defer r.from.Unlock()
	if r.from.n != source {
		return true
	}
	r.from.n++
	if source == 0 {
		r.info("read once more, because of this: " + oneLine(err))
		return true
	}
	return r.from.next != nil && r.from.next(ctx, err)
}

// loadTable copies one table. The rows' SHA-256 is compared with what was
// recorded before the server is told that they are complete: a damaged
// table is rolled back, never committed.
func (r *restoration) loadTable(ctx context.Context, l *pg.Loader, w blockWork, p *loadProgress) error {
	block, err := r.main.Block(w.offset, w.length)
	if err != nil {
		return err
	}
	defer block.Close()
	rows, err := dumpfile.NewBlockReader(block, r.toc.Header, w.entry.ID)
	if err != nil {
		return r.blockDamage(w, err.Error())
	}
	checked := &checkedRows{rows: rows, w: w, r: r, p: p}
	n, err := l.Copy(ctx, w.entry.Namespace, w.entry.Tag, w.entry.CopyStmt, checked)
	if checked.err != nil {
		return checked.err
	}
	if err == nil && n != w.want.rows {
		err = &fault.Error{Op: "load", What: fmt.Sprintf("table %s took %d rows of %d", w.name(), n, w.want.rows), Why: "the server did not store what was sent",
			Left: "the source database was not touched", Do: "look at the server's log", Code: fault.Differs}
	}
	return err
}

func (r *restoration) blockDamage(w blockWork, why string) error {
	return &fault.Error{Op: "load", What: fmt.Sprintf("table %s of archive %s is damaged", w.name(), r.o.Manifest.ID), Why: why,
		Left: "its rows were not stored; the source database was not touched", Do: "use another copy or another archive", Code: fault.Differs}
}

// checkedRows passes COPY rows on and says io.EOF only when rows and
// SHA-256 are as recorded.
type checkedRows struct {
	rows *dumpfile.BlockReader
	w    blockWork
	r    *restoration
	p    *loadProgress
	err  error
}

func (c *checkedRows) Read(b []byte) (int, error) {
	n, err := c.rows.Read(b)
	c.p.bytes(c.w, int64(n))
	switch {
	case err == io.EOF:
		got := c.rows.Block()
		if got.Rows != c.w.want.rows || hex.EncodeToString(got.SHA256[:]) != c.w.want.sha256 {
			c.err = c.r.blockDamage(c.w, "its rows are not those that were recorded")
			return n, c.err
		}
	case err != nil && fault.CodeOf(err) != fault.Failed: // the place's own word, or damage already named
		c.err = err
		return n, c.err
	case err != nil:
		c.err = c.r.blockDamage(c.w, err.Error())
		return n, c.err
	}
	return n, err
}

func (r *restoration) loadLargeObjects(ctx context.Context, w blockWork) error {
	in, err := r.stream(w.offset, w.length)
	if err != nil {
		return err
	}
	defer in.Close()
	return r.pgRestore(ctx, pg.RestoreOptions{Section: "data", Stdin: in, IDs: r.largeObjectEntries(w.entry)})
}

// largeObjectEntries gives a block's entry and, before it, what pg_dump 17
// and newer put into the data section beside it: the entry that makes the
// large objects, and their grants and comments. Older ones make them in
// pre-data.
func (r *restoration) largeObjectEntries(block *dumpfile.Entry) []int {
	var ids []int
	makes := map[int]bool{}
	for i := range r.toc.Entries {
		e := &r.toc.Entries[i]
		switch {
		case e.Desc == "BLOB METADATA" && slices.Contains(block.Deps, e.ID):
			makes[e.ID] = true
			ids = append(ids, e.ID)
		case e.Desc == "ACL" || e.Desc == "COMMENT" || e.Desc == "SECURITY LABEL":
			if slices.ContainsFunc(e.Deps, func(id int) bool { return makes[id] }) {
				ids = append(ids, e.ID)
			}
		}
	}
	return append(ids, block.ID)
}

// setSequences sets every sequence to where it stood.
func (r *restoration) setSequences(ctx context.Context) error {
	ids := []int{}
	for i := range r.toc.Entries {
		e := &r.toc.Entries[i]
		if e.Desc == "SEQUENCE SET" && (r.only == nil || r.only.entries[e.ID]) {
			ids = append(ids, e.ID)
		}
	}
	return r.pgRestore(ctx, pg.RestoreOptions{Section: "data", IDs: ids})
}

// loadProgress gathers what the workers do into one Progress.
type loadProgress struct {
	r      *restoration
	mu     sync.Mutex
	active map[int]*Table
	p      Progress
}

func newLoadProgress(r *restoration, work []blockWork) *loadProgress {
	l := &loadProgress{r: r, active: map[int]*Table{}}
	l.p.Tables = len(work)
	for _, w := range work {
		l.p.RowsTotal += w.want.rows
		l.p.BytesTotal += w.bytes
	}
	return l
}

func (l *loadProgress) start(w blockWork) {
	l.mu.Lock()
	if t := l.active[w.entry.ID]; t != nil { // it begins anew
		l.p.Bytes -= t.Bytes
	}
	l.active[w.entry.ID] = &Table{Name: w.name(), State: StateRunning, RowsTotal: w.want.rows}
	l.mu.Unlock()
	l.tell()
}

func (l *loadProgress) bytes(w blockWork, n int64) {
	l.mu.Lock()
	t := l.active[w.entry.ID]
	t.Bytes += n
	if w.bytes > 0 { // rows are counted when the block ends; until then by share of bytes
		t.Rows = int64(float64(t.Bytes) / float64(w.bytes) * float64(w.want.rows))
	}
	l.p.Bytes += n
	l.mu.Unlock()
	l.tell()
}

func (l *loadProgress) end(w blockWork) {
	l.mu.Lock()
	if w.kind == dumpfile.LargeObjects {
		l.p.Bytes += w.bytes
	}
	delete(l.active, w.entry.ID)
	l.p.TablesDone++
	l.p.Rows += w.want.rows
	l.mu.Unlock()
	l.r.tableDone(TableDone{Name: w.name(), State: StateDone, Rows: w.want.rows, RowsExpected: w.want.rows, Bytes: w.bytes, SHA256: w.want.sha256})
}

// leave passes over a table that is not there because the server refused to
// make it: it must not keep all others from coming back. The comparison finds it
// missing.
func (l *loadProgress) leave(w blockWork) {
	l.mu.Lock()
	delete(l.active, w.entry.ID)
	l.p.TablesDone++
	l.mu.Unlock()
	l.r.warn("the rows of " + w.name() + " are left out: the table could not be made")
	l.r.tableDone(TableDone{Name: w.name(), State: StateDiffers, RowsExpected: w.want.rows, Note: "the table could not be made"})
}

func (l *loadProgress) tell() {
	l.r.progress(func(p *Progress) {
		l.mu.Lock()
		defer l.mu.Unlock()
		stage, at := p.Stage, p.At
		*p = l.p
		p.Stage, p.At = stage, at
		for _, t := range l.active {
			p.Rows += t.Rows
			p.Active = append(p.Active, *t)
		}
		sort.Slice(p.Active, func(i, j int) bool { return p.Active[i].Name < p.Active[j].Name })
	})
}
