package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
)

// results are the series of every case, and sizes in bytes.
type results struct {
	bare, pipe, gzip, backup, checked series // dumps
	native, restore                   series // restores
	list                              series
	dumpBytes, customBytes            int64
	pipeBytes, storedBytes            int64
	bigBytes                          int64 // uncompressed size of the larger database, 0 = not measured
	bigBackup, bigRestore             series
	screen                            *screenResults // nil = not measured
	copies                            *copyResults   // nil = not measured
}

func (b *bench) measure(ctx context.Context) (*results, error) {
	r := &results{}
	var err error
	if r.dumpBytes, err = b.c.dumpSize(ctx, "-Fc", "-Z0"); err != nil {
		return nil, err
	}
	if r.customBytes, err = b.c.dumpSize(ctx, "-Fc"); err != nil {
		return nil, err
	}
	for i := range b.runs {
		fmt.Fprintf(os.Stderr, "bench: dumps, round %d of %d\n", i+1, b.runs)
		if err := b.dumpRound(ctx, r); err != nil {
			return nil, err
		}
	}
	if info, err := os.Stat(b.path("out", "pipe.age")); err == nil {
		r.pipeBytes = info.Size()
	}
	if _, err := b.shell(ctx, "pg_dump -Fd -j2 -f "+b.path("out", "directory")); err != nil {
		return nil, err
	}
	id := ""
	if len(r.backup) > 0 {
		last := r.backup[len(r.backup)-1].done
		id, r.storedBytes = last.ID, last.Stored
	}
	for i := range b.runs {
		fmt.Fprintf(os.Stderr, "bench: restores, round %d of %d\n", i+1, b.runs)
		if err := b.restoreRound(ctx, r, id); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// dumpRound takes every way to dump once.
func (b *bench) dumpRound(ctx context.Context, r *results) error {
	to := "age -R " + b.path("out", "recipients.txt")
	for _, c := range []struct {
		s    *series
		line string
	}{
		{&r.bare, "pg_dump -Fc -Z0 > /dev/null"},
		{&r.pipe, "pg_dump -Fc -Z0 | zstd -q -1 -T0 | " + to + " > " + b.path("out", "pipe.age")},
		{&r.gzip, "pg_dump -Fc | " + to + " > " + b.path("out", "gzip.age")},
	} {
		if err := b.c.warm(); err != nil {
			return err
		}
		x, err := b.shell(ctx, c.line)
		if err != nil {
			return err
		}
		*c.s = append(*c.s, x)
	}
	if b.baseOnly {
		return nil
	}
	for _, c := range []struct {
		s     *series
		check bool
	}{{&r.backup, false}, {&r.checked, true}} {
		if err := b.c.warm(); err != nil {
			return err
		}
		x, err := b.pgvault(ctx, "backup", database, "--json", "-c", b.config(c.check))
		if err != nil {
			return err
		}
		*c.s = append(*c.s, x)
	}
	x, err := b.shell(ctx, b.pgvaultBin+" list --json -c "+b.config(false)+" > /dev/null")
	r.list = append(r.list, x)
	return err
}

// restoreRound takes both ways to restore once, each into a new database
// that is dropped afterwards, after a checkpoint.
func (b *bench) restoreRound(ctx context.Context, r *results, id string) error {
	const target = "bench_restored"
	ways := []struct {
		s   *series
		run func() (sample, error)
	}{
		{&r.native, func() (sample, error) {
			return b.shell(ctx, "createdb -T template0 "+target+"; pg_restore -j2 -d "+target+" "+b.path("out", "directory"))
		}},
		{&r.restore, func() (sample, error) { return b.restore(ctx, id, target) }},
	}
	for _, w := range ways {
		if b.baseOnly && w.s == &r.restore {
			continue
		}
		if err := b.drop(ctx, target); err != nil {
			return err
		}
		x, err := w.run()
		if err != nil {
			return err
		}
		*w.s = append(*w.s, x)
	}
	return b.drop(ctx, target)
}

func (b *bench) restore(ctx context.Context, id, target string) (sample, error) {
	return b.pgvault(ctx, "restore", id, "--to-new", target, "--jobs", strconv.Itoa(2), "-i", b.path("out", "key.txt"),
		"--no-compare", "--json", "-c", b.config(false))
}

func (b *bench) drop(ctx context.Context, name string) error {
	_, err := b.c.sql(ctx, "postgres", "DROP DATABASE IF EXISTS "+name+";\nCHECKPOINT;\n")
	return err
}

// measureBig takes one backup and one restore at 10 times the size, for the
// memory alone. The smaller database is dropped to save space.
func (b *bench) measureBig(ctx context.Context, r *results) error {
	fmt.Fprintln(os.Stderr, "bench: memory at 10 times the size")
	if err := b.c.fill(ctx, 10*b.size); err != nil {
		return err
	}
	x, err := b.pgvault(ctx, "backup", database, "--json", "-c", b.config(true))
	if err != nil {
		return err
	}
	r.bigBytes, r.bigBackup = x.done.Bytes, series{x}
	const target = "bench_restored"
	if x, err = b.restore(ctx, x.done.ID, target); err != nil {
		return err
	}
	r.bigRestore = series{x}
	return b.drop(ctx, target)
}
