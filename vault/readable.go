package vault

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"pgvault/fault"
	"pgvault/pg/dumpfile"
	"pgvault/vault/archive"
)

// selfCheck reads the stored bytes back with the one-time key: decrypted,
// parsed, every table's SHA-256 compared with what was recorded. The
// archive is then readable, although no recipient's secret key was here.
func (b *backup) selfCheck(ctx context.Context) error {
	b.enter(StageReadBack)
	p, unlock, err := b.proving(ctx, ProofReadable)
	if err != nil {
		return err
	}
	defer unlock()
	err = p.diagnosed(ctx, twice(b.run, func() error { return readThrough(ctx, b.run, p.o, p.keys) }))
	return p.concludeSelfCheck(ctx, len(b.contents.Tables), err)
}

// proving opens the archive that this backup has just made, with its one-time
// key. The caller ends it with unlock.
func (b *backup) proving(ctx context.Context, level Proof) (p *proving, unlock func(), err error) {
	f, err := b.v.locate(ctx, b.o.Database+"/"+b.id, b.home.Name)
	if err != nil {
		return nil, nil, err
	}
	l := &f.copies[0]
	if l.o == nil {
		return nil, nil, l.why
	}
	unlock, err = b.v.reading(l.o)
	return &proving{v: b.v, run: b.run, l: l, o: l.o, signer: b.signer, level: level, keys: b.once.Keys()}, unlock, err
}

// concludeSelfCheck writes what the self-check of n tables came to.
func (p *proving) concludeSelfCheck(ctx context.Context, n int, err error) error {
	level := ProofReadable
	var bytes *misread
	if errors.As(err, &bytes) {
		level, err = ProofIntact, bytes.error
	}
	if err != nil {
		if fault.CodeOf(err) == fault.Differs {
			_ = p.v.addProof(ctx, p.l, p.signer, archive.ProofFile{Level: string(level), Result: "failed", Key: p.keys.Names(), Note: oneLine(err)})
		}
		return err
	}
	p.done.Proof = ProofReadable
	return p.v.addProof(ctx, p.l, p.signer, archive.ProofFile{Level: string(ProofReadable), Result: "ok", Key: p.keys.Names(), Tables: n, Equal: n,
		Note: fmt.Sprintf("self-check: %d of %d tables read back equal", n, n)})
}

func oneLine(err error) string {
	e := fault.As(err)
	return strings.TrimSuffix(e.What+": "+e.Why, ": ")
}

// readThrough decrypts every part to its last byte. It compares the dump's
// tables with contents as they pass.
func readThrough(ctx context.Context, r *run, o *archive.Opened, keys *archive.Keys) error {
	c, err := o.Contents(ctx, keys)
	if err != nil {
		return err
	}
	if _, ok := o.Manifest.Part(archive.GlobalsPart); ok {
		if _, err := o.ReadPart(ctx, archive.GlobalsPart, keys, archive.MaxContents); err != nil {
			return err
		}
	}
	main, err := o.Part(ctx, archive.MainPart, keys)
	if err != nil {
		return err
	}
	defer main.Close()
	s := newReadScan(r, c, main)
	if err := dumpfile.Scan(main, s); err != nil {
		return readDamage(ctx, o, err)
	}
	return s.finish(o)
}

func readDamage(ctx context.Context, o *archive.Opened, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if fault.CodeOf(err) != fault.Failed {
		return err
	}
	return &fault.Error{Op: "read", What: "archive " + o.Manifest.ID + " is damaged", Why: err.Error(), Left: "the archive was not changed",
		Do: "use another copy or another archive", Code: fault.Differs, Err: err}
}

// readScan compares a dump that is read with the contents recorded of it.
type readScan struct {
	tables
	want    map[int]recorded
	stored  interface{ Stored() int64 }
	length  int64
	wantLen int64
	bad     []string
}

type recorded struct {
	rows   int64
	sha256 string
}

func newReadScan(r *run, c *archive.Contents, stored interface{ Stored() int64 }) *readScan {
	s := &readScan{tables: tables{run: r}, want: map[int]recorded{}, stored: stored, wantLen: c.Dump.Length}
	for _, t := range c.Tables {
		s.want[t.DumpID] = recorded{t.Rows, t.SHA256}
		s.rowsTotal += t.Rows
	}
	for _, l := range c.Large {
		s.want[l.DumpID] = recorded{l.Count, l.SHA256}
		s.rowsTotal += l.Count
	}
	s.count = len(s.want)
	return s
}

func (s *readScan) Raw(p []byte) error {
	s.length += int64(len(p))
	if s.length > s.wantLen {
		return fmt.Errorf("it unpacks to more than the recorded %d bytes", s.wantLen)
	}
	return nil
}
func (s *readScan) TOC(*dumpfile.TOC) error { return nil }
func (s *readScan) BlockStart(e *dumpfile.Entry, kind dumpfile.BlockKind, _ int64) error {
	s.begin(e, kind)
	return nil
}
func (s *readScan) Progress(e *dumpfile.Entry, rows, bytes int64) {
	s.tell(e, rows, bytes, s.stored.Stored())
}

func (s *readScan) BlockEnd(e *dumpfile.Entry, b dumpfile.Block) error {
	w, ok := s.want[b.ID]
	if !ok || w.rows != b.Rows || w.sha256 != hex.EncodeToString(b.SHA256[:]) {
		s.bad = append(s.bad, tableName(e, b.Kind))
		s.end(e, b, StateDiffers, "not as it was recorded")
		return nil
	}
	delete(s.want, b.ID)
	s.end(e, b, StateEqual, "")
	return nil
}

// finish tells whether all that was recorded was there, and equal.
func (s *readScan) finish(o *archive.Opened) error {
	if len(s.bad) == 0 && len(s.want) == 0 && s.length == s.wantLen {
		return nil
	}
	return &fault.Error{Op: "read", What: fmt.Sprintf("archive %s does not hold what was recorded", o.Manifest.ID),
		Why:  fmt.Sprintf("%d tables differ (%s), %d are missing", len(s.bad), strings.Join(s.bad, ", "), len(s.want)),
		Left: "the archive was not changed", Do: "use another archive, and back up again now", Code: fault.Differs}
}
