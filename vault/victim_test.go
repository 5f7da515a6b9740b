package vault

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"pgvault/fault"
	"pgvault/pg"
	"pgvault/vault/store"
	"pgvault/vault/store/disk"
)

// victimTables hold 2 MB each: more than the pipe and all buffers between
// pg_dump and the place, so that pg_dump still runs whenever one of the first
// six has passed.
const victimTables = 8

// makeVictim makes a database every row of which holds the canary.
func makeVictim(t *testing.T, s pg.Settings, name string) canary {
	t.Helper()
	c := newCanary()
	sqlAs(t, s, "", "CREATE DATABASE "+pg.QuoteIdent(name)+" TEMPLATE template0")
	t.Cleanup(func() {
		if err := pg.DropDatabase(context.Background(), s, name); err != nil {
			t.Errorf("drop %q: %v", name, err)
		}
	})
	for i := range victimTables {
		sqlAs(t, s, name, fmt.Sprintf("CREATE TABLE t%d AS SELECT i AS id, '%s' || md5(i::text) AS v FROM generate_series(1, 24000) i", i, c), fmt.Sprintf("ALTER TABLE t%d ADD PRIMARY KEY (id)", i))
	}
	return c
}

// nothingMade is what must hold after a backup that failed.
func (w *world) nothingMade(t *testing.T, c canary, archives int) {
	t.Helper()
	if l := w.list(); len(l) != archives {
		t.Errorf("%d archives are listed, %d expected: %+v", len(l), archives, l)
	}
	infos, err := w.store().List(context.Background(), "main/")
	for _, i := range infos {
		if err == nil && strings.HasSuffix(i.Name, "/manifest.json") {
			if archives--; archives < 0 {
				t.Errorf("%s lies in the place", i.Name)
			}
		}
	}
	c.absent(t, w.dir)
}

// small is a place that is full after some bytes: a real file system in
// memory where this user may mount one, else a stand-in that says what the
// disk would.
func (w *world) small(t *testing.T, bytes int64) store.Store {
	t.Helper()
	dir := w.path("small")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700", bytes))
	if err == nil {
		t.Cleanup(func() {
			if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
				t.Error(err)
			}
		})
	} else if !errors.Is(err, syscall.EPERM) {
		t.Fatal(err)
	}
	d, derr := disk.Open(dir)
	if derr != nil {
		t.Fatal(derr)
	}
	if err == nil {
		return d
	}
	return &full{Store: d, left: bytes}
}

// full is a place on which only so many bytes have room.
type full struct {
	store.Store
	left int64
}

func (f *full) Create(ctx context.Context, name string) (store.Writer, error) {
	w, err := f.Store.Create(ctx, name)
	return &fullWriter{w, f}, err
}

type fullWriter struct {
	store.Writer
	f *full
}

func (w *fullWriter) Write(p []byte) (int, error) {
	if w.f.left -= int64(len(p)); w.f.left < 0 {
		return 0, &fault.Error{What: "no space", Why: "it is full", Left: "nothing is visible", Do: "make room", Code: fault.NoSpace, Err: syscall.ENOSPC}
	}
	return w.Writer.Write(p)
}

// programFolder is a folder of client programs of which pg_dump is a shell
// script; REAL in it is the real one.
func programFolder(t *testing.T, script string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"pg_dump", "pg_restore", "pg_dumpall"} {
		path := filepath.Join(cluster.BinDir, name)
		text := "#!/bin/sh\nexec '" + path + "' \"$@\"\n"
		if name == "pg_dump" {
			text = "#!/bin/sh\n[ \"$1\" = --version ] && exec '" + path + "' --version\n" + strings.ReplaceAll(script, "REAL", "'"+path+"'") + "\n"
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
