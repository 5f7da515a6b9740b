package vault

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"

	"pgvault/fault"
	"pgvault/pg/dumpfile"
	"pgvault/vault/archive"
)

// dump lets pg_dump's stream pass through the reader into the main part.
// The part is closed only after pg_dump has ended with status 0 and the
// stream parsed to its end: age is never closed on half a dump.
func (b *backup) dump(ctx context.Context) error {
	d := b.pgDump
	w, err := b.sealer.Part(ctx, archive.MainPart)
	if err != nil {
		d.Kill()
		_ = d.Wait()
		return err
	}
	reading, stop := context.WithCancel(ctx)
	defer stop()
	globals := b.besideDump(reading, d.Kill)
	s := &dumpScan{tables: tables{run: b.run}, w: w, b: b, toc: sha256.New()}
	s.expect(b.lastRun(), b.catalog)
	scanErr := dumpfile.Scan(d, s)
	if scanErr != nil {
		d.Kill()
	}
	if err = dumpError(ctx, d.Wait(), scanErr, s.err); err == nil {
		err = b.snapshot.Alive(ctx)
	}
	if err != nil {
		stop()
	}
	g := <-globals
	if g.err != nil && !errors.Is(g.err, context.Canceled) {
		err = g.err // the dump was given up for it
	}
	if err != nil {
		w.Abort()
		return err
	}
	part, err := w.Close(ctx)
	if err != nil {
		return err
	}
	for _, line := range d.Warnings() {
		b.contents.Warnings = append(b.contents.Warnings, line)
		b.warn(line)
	}
	b.keepGlobals(g)
	b.contents.Dump.Frames = w.Frames()
	b.contents.Dump.Length = s.length
	b.manifest.Parts = []archive.Part{part}
	b.manifest.Tables, b.manifest.Bytes = len(b.contents.Tables), s.length
	for _, t := range b.contents.Tables {
		b.manifest.Rows += t.Rows
	}
	return nil
}

// dumpError picks the error that tells the cause: what the place said when
// a write failed, else what pg_dump said, else what the reader met. A stream
// that is no dump comes before pg_dump's own words: it was killed for it.
func dumpError(ctx context.Context, wait, scan, write error) error {
	var bad *dumpfile.FormatError
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case write != nil:
		return write
	case wait != nil && !(errors.As(scan, &bad) && !bad.Short):
		return wait
	case scan != nil:
		return &fault.Error{Op: "dump", What: "pg_dump's output is not a dump that can be read to its end", Why: scan.Error(),
			Do: "report this with the versions of pg_dump and pgvault", Err: scan}
	}
	return nil
}

// dumpScan takes the dump as dumpfile.Scan reads it.
type dumpScan struct {
	tables
	b      *backup
	w      *archive.PartWriter
	toc    hash.Hash // nil once the table of contents has passed
	length int64
	err    error // of the place
}

func (s *dumpScan) Raw(p []byte) error {
	if s.toc != nil {
		s.toc.Write(p)
	}
	s.length += int64(len(p))
	if _, err := s.w.Write(p); err != nil {
		s.err = err
		return err
	}
	return nil
}

func (s *dumpScan) TOC(t *dumpfile.TOC) error {
	d := &s.b.contents.Dump
	d.TOCLength, d.TOCSHA256 = t.Length, hex.EncodeToString(s.toc.Sum(nil))
	d.ArchiveVersion = fmt.Sprintf("%d.%d.%d", t.Header.Version[0], t.Header.Version[1], t.Header.Version[2])
	s.toc = nil
	s.countTables(t)
	return nil
}

func (s *dumpScan) BlockStart(e *dumpfile.Entry, kind dumpfile.BlockKind, _ int64) error {
	s.begin(e, kind)
	s.err = s.w.Cut()
	return s.err
}

func (s *dumpScan) Progress(e *dumpfile.Entry, rows, bytes int64) {
	s.tell(e, rows, bytes, s.w.Stored())
}

func (s *dumpScan) BlockEnd(e *dumpfile.Entry, blk dumpfile.Block) error {
	c := &s.b.contents
	sum := hex.EncodeToString(blk.SHA256[:])
	if blk.Kind == dumpfile.LargeObjects {
		c.Large = append(c.Large, archive.LargeObjects{DumpID: blk.ID, Count: blk.Rows, Bytes: blk.Bytes, SHA256: sum, Offset: blk.Offset, Length: blk.Length})
	} else {
		c.Tables = append(c.Tables, archive.Table{DumpID: blk.ID, Schema: e.Namespace, Name: e.Tag, Rows: blk.Rows, Bytes: blk.Bytes, SHA256: sum, Offset: blk.Offset, Length: blk.Length})
	}
	s.end(e, blk, StateDone, "")
	return nil
}

// lastRun is what to measure progress against, nil for nothing: an import is
// of another time.
func (b *backup) lastRun() *lastRun {
	if b.imported != nil {
		return nil
	}
	return b.v.lastRun(b.vf, b.o.Database)
}
